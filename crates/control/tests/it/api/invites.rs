use access::Role;
use config::snapshot::SignupMode;
use serde_json::{Value, json};

use crate::client::{Answer, call, get, post};
use crate::person::{BrowserSession, PASSWORD};
use crate::world::World;

const PATH: &str = "/api/invites";

async fn inviting(mode: SignupMode) -> (World, BrowserSession) {
    let world = World::start().await;
    world.configure(|config| {
        config.traffic.signup.mode = mode;
        config.process.public_url.control = Some("https://tollgate.example.com".to_owned());
    });
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (world, session)
}

async fn invite(world: &World, by: &BrowserSession, body: &Value) -> Answer {
    post(world.address, PATH, &[&by.bearer()], &body.to_string()).await
}

async fn take_back(world: &World, by: &BrowserSession, id: &str) -> Answer {
    call(world.address, &format!("DELETE {PATH}/{id}"), &[&by.bearer()], "").await
}

async fn redeem(world: &World, url: &str, email: &str) -> Answer {
    let token = url.split_once('#').unwrap().1;
    let body = json!({"token": token, "password": PASSWORD, "name": "New", "email": email});
    post(world.address, "/api/auth/link", &[], &body.to_string()).await
}

#[tokio::test]
async fn an_invitation_is_used_once_and_decides_the_plan() {
    let (world, root) = inviting(SignupMode::Invite).await;
    let created = invite(&world, &root, &json!({"email": "Bob@example.com", "plan": "endless"})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let mut shown = created.json();
    let url = shown["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://tollgate.example.com/link#tgl_"), "{url}");
    shown.as_object_mut().unwrap().remove("url");
    let admin = world.me(&root.bearer()).await.json()["user"]["id"].clone();
    let expected = json!({"id": shown["id"], "email": "bob@example.com", "plan": "endless", "made_by": admin,
        "created_at": "2026-11-20T12:00:00Z", "expires_at": "2026-11-27T12:00:00Z"});
    assert_eq!(shown, expected);
    let listed = get(world.address, PATH, &[&root.bearer()]).await.json();
    assert_eq!(listed, json!({"items": [expected], "next": null}));

    assert_eq!(redeem(&world, &url, "bob@example.com").await.json()["user"]["plan"], "endless");
    assert_eq!(get(world.address, PATH, &[&root.bearer()]).await.json()["items"], json!([]));
    redeem(&world, &url, "bob@example.com").await.refuses(404, "not_found");
    take_back(&world, &root, expected["id"].as_str().unwrap()).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_revoked_invitation_is_invalid() {
    let (world, root) = inviting(SignupMode::Open).await;
    let created = invite(&world, &root, &json!({})).await.json();
    assert_eq!((&created["email"], &created["plan"]), (&Value::Null, &Value::Null));
    assert_eq!(take_back(&world, &root, created["id"].as_str().unwrap()).await.status, 204);
    redeem(&world, created["url"].as_str().unwrap(), "eve@example.com").await.refuses(404, "not_found");
    for id in [created["id"].as_str().unwrap(), "0199aa00-0000-7000-8000-000000000000", "x", "%ff"] {
        take_back(&world, &root, id).await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn invitations_are_listed_in_pages() {
    let (world, root) = inviting(SignupMode::Invite).await;
    for n in 0..5 {
        world.clock.advance(std::time::Duration::from_millis(2));
        invite(&world, &root, &json!({"email": format!("{n}@example.com")})).await;
    }
    let mut paged = Vec::new();
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = get(world.address, &path, &[&root.bearer()]).await.json();
        paged.extend(page["items"].as_array().unwrap().iter().map(|item| item["email"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{PATH}?limit=2&cursor={next}");
    }
    assert_eq!(paged, [4, 3, 2, 1, 0].map(|n| format!("{n}@example.com")));
}

#[tokio::test]
async fn an_invitation_that_could_not_be_used_is_not_made() {
    let (world, root) = inviting(SignupMode::Closed).await;
    let message = invite(&world, &root, &json!({})).await.refuses(409, "conflict");
    assert!(message.contains("signup"), "{message}");
    world.configure(|config| config.traffic.signup.mode = SignupMode::Invite);
    invite(&world, &root, &json!({"plan": "gold"})).await.refuses(422, "unprocessable");
    invite(&world, &root, &json!({"email": "nobody"})).await.refuses(422, "unprocessable");
    invite(&world, &root, &json!({"role": "admin"})).await.refuses(400, "bad_request");
    assert_eq!(get(world.address, PATH, &[&root.bearer()]).await.json()["items"], json!([]));
}

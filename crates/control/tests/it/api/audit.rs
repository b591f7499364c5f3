use std::time::Duration;

use access::Role;
use serde_json::{Value, json};

use crate::client::{Answer, call, get, post};
use crate::person::BrowserSession;
use crate::world::World;

mod changes;

const PATH: &str = "/api/audit";

async fn administered() -> (World, BrowserSession) {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (world, session)
}

async fn ask(world: &World, by: &BrowserSession, query: &str) -> Answer {
    get(world.address, &format!("{PATH}?{query}"), &[&by.bearer()]).await
}

fn actions(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_line_has_actor_action_target_time_and_address() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    world.clock.advance(Duration::from_secs(90));
    let headers = [root.bearer(), "Content-Type: application/json".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let line = format!("PATCH /api/users/{}", ada.user);
    assert_eq!(call(world.address, &line, &headers, "{\"plan\":\"endless\",\"name\":\"Ada L.\"}").await.status, 200);
    let page = ask(&world, &root, "limit=1").await.json();
    let me = world.me(&root.bearer()).await.json();
    let expected = json!({
        "id": page["items"][0]["id"], "at": "2026-11-20T12:01:30Z",
        "actor": {"kind": "user", "user_id": me["user"]["id"], "user_name": "root", "session_id": me["session_id"],
            "key_id": null, "address": "127.0.0.1"},
        "action": "user.change", "target_id": ada.user, "user_id": ada.user, "user_name": "Ada L.",
        "detail": {"plan": "endless", "name": "changed", "before": {"plan": "starter"}},
    });
    assert_eq!(page["items"][0], expected);
    assert!(page["next"].is_string(), "{page}");
}

#[tokio::test]
async fn the_log_is_a_table_with_the_address_of_the_next_rows() {
    let (world, root) = administered().await;
    world.person("ada").await;
    let all = ask(&world, &root, "format=csv").await;
    assert_eq!(all.headers["content-disposition"], "attachment; filename=\"audit.csv\"");
    let lines: Vec<&str> = all.body.trim_end().split("\r\n").collect();
    assert_eq!(
        lines[0],
        "id,at,actor,actor_user_id,actor_user,actor_key_id,address,action,target_id,user_id,user,detail"
    );
    let page = ask(&world, &root, "").await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(lines.len() - 1, items.len());
    for (line, item) in lines[1..].iter().zip(items) {
        assert!(
            line.starts_with(&format!("{},{},", item["id"].as_str().unwrap(), item["at"].as_str().unwrap())),
            "{line}"
        );
        assert!(line.contains(item["action"].as_str().unwrap()), "{line}");
    }
    let first = ask(&world, &root, "format=csv&limit=1").await;
    let next = first.headers["link"].strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    let second = get(world.address, &next, &[&root.bearer()]).await;
    assert_eq!(second.body.trim_end().split("\r\n").nth(1), Some(lines[2]));
    ask(&world, &root, "format=xml").await.refuses(400, "bad_request");
    assert!(!first.headers["link"].is_empty() && !all.headers.contains_key("link"));
}

#[tokio::test]
async fn lines_are_filtered_by_user_action_and_time_and_paged() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let bob = world.person("bob").await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(60));
        world.sign_in(&ada).await;
        world.sign_in(&bob).await;
    }
    let of_ada = ask(&world, &root, &format!("user_id={}", ada.user)).await.json();
    assert_eq!(actions(&of_ada), ["session.create", "session.create", "session.create", "user.create"]);
    let created = ask(&world, &root, "action=user.create").await.json();
    assert_eq!(created["items"].as_array().unwrap().len(), 3);
    assert_eq!(
        created["items"][0]["actor"],
        json!({"kind": "command", "user_id": null, "user_name": null, "session_id": null,
        "key_id": null, "address": null})
    );
    let between = "since=2026-11-20T12:01:00Z&until=2026-11-20T12:03:00Z";
    assert_eq!(ask(&world, &root, between).await.json()["items"].as_array().unwrap().len(), 4);
    let both = format!("{between}&user_id={}&action=session.create", bob.user);
    assert_eq!(actions(&ask(&world, &root, &both).await.json()), ["session.create", "session.create"]);

    let all = ask(&world, &root, "limit=200").await.json();
    let mut paged = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = ask(&world, &root, &query).await.json();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=3&cursor={next}");
    }
    assert_eq!(&Value::from(paged), &all["items"]);
    for query in [
        "user_id=x",
        "action=user.eat",
        "since=today",
        "until=2026-11-20",
        "limit=0",
        "cursor=x",
        "actor=x",
        "actor_user_id=x",
    ] {
        ask(&world, &root, query).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn lines_are_filtered_by_their_actor_alone_and_with_other_conditions() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let bob = world.person("bob").await;
    let session = world.sign_in(&ada).await;
    world.sign_in(&bob).await;
    let headers = [session.bearer(), "Content-Type: application/json".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    assert_eq!(call(world.address, "POST /api/keys", &headers, "{\"label\":\"laptop\"}").await.status, 201);
    let by = |more: &str| format!("actor_user_id={}{more}", ada.user);
    assert_eq!(actions(&ask(&world, &root, &by("")).await.json()), ["key.create", "session.create"]);
    assert_eq!(actions(&ask(&world, &root, &by("&action=key.create")).await.json()), ["key.create"]);
    let of_bob = by(&format!("&user_id={}", bob.user));
    assert_eq!(actions(&ask(&world, &root, &of_bob).await.json()), Vec::<&str>::new());
    let first = ask(&world, &root, &by("&limit=1")).await.json();
    let next = format!("&limit=1&cursor={}", first["next"].as_str().unwrap());
    let second = ask(&world, &root, &by(&next)).await.json();
    assert_eq!((actions(&second), &second["next"]), (vec!["session.create"], &json!(null)));
}

#[tokio::test]
async fn refused_sign_ins_are_recorded_with_address_and_reason_and_are_bounded() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let login = async |email: &str| {
        let body = json!({"email": email, "password": "not the password"}).to_string();
        post(world.address, "/api/auth/login", &[], &body).await.status
    };
    for _ in 0..3 {
        assert_eq!(login(&ada.email).await, 401);
    }
    assert_eq!(login("nobody@example.com").await, 401);
    let key = format!("{{\"key\":\"tollgate_{}\"}}", "0".repeat(32));
    assert!(post(world.address, "/api/auth/login", &[], &key).await.status >= 400);
    let refused = ask(&world, &root, "action=session.refuse").await.json();
    let items = refused["items"].as_array().unwrap();
    let of = |item: &Value| (item["user_id"].clone(), item["detail"]["reason"].clone());
    assert_eq!(of(&items[0]), (json!(null), json!("key")));
    assert_eq!(of(&items[1]), (json!(null), json!("password")));
    assert_eq!(of(&items[2]), (json!(ada.user), json!("password")));
    assert_eq!(items.len(), 5);
    assert_eq!((&items[0]["actor"]["kind"], &items[0]["actor"]["address"]), (&json!("system"), &json!("127.0.0.1")));
    assert!(!refused.to_string().contains("nobody@example.com"));
    let mut attempts = 0;
    while login(&ada.email).await == 401 {
        attempts += 1;
        assert!(attempts < 100, "attempts are limited");
    }
    let of_ada = ask(&world, &root, &format!("action=session.refuse&user_id={}", ada.user)).await.json();
    assert!(of_ada["items"].as_array().unwrap().len() <= 10, "{of_ada}");
}

#[tokio::test]
async fn no_line_has_a_secret_or_an_address_of_a_person() {
    let (world, root) = administered().await;
    let body = json!({"email": "secret.person@example.com", "name": "Secret Person", "plan": "starter"}).to_string();
    let created = post(world.address, "/api/users", &[&root.bearer()], &body).await.json();
    let token = created["password_link"]["url"].as_str().unwrap().split_once('#').unwrap().1;
    let text = ask(&world, &root, "limit=200").await.body;
    for secret in [token, &token[4..], "secret.person@", &root.access, &root.refresh] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, call, get, post};
use crate::person::{BrowserSession, Person};
use crate::world::World;

const PATH: &str = "/api/sessions";

async fn sign_in_as(world: &World, person: &Person, agent: &str) -> BrowserSession {
    let header = format!("User-Agent: {agent}");
    BrowserSession::read(&post(world.address, "/api/auth/login", &[&header], &person.credentials()).await)
}

async fn end(world: &World, session: &BrowserSession, id: &str) -> Answer {
    call(world.address, &format!("DELETE {PATH}/{id}"), &[&session.bearer()], "").await
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sessions_are_listed_with_where_they_began() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let first = sign_in_as(&world, &ada, "Mozilla/5.0 (X11)").await;
    world.clock.advance(Duration::from_secs(60));
    let long = format!("\u{202e}curl/8\t{}", "x".repeat(300));
    sign_in_as(&world, &ada, &long).await;
    let page = get(world.address, PATH, &[&first.bearer()]).await.json();
    let id = world.me(&first.bearer()).await.json()["session_id"].clone();
    assert_eq!(page["next"], json!(null));
    assert_eq!(
        page["items"][1],
        json!({"id": id, "current": true, "key_id": null, "address": "127.0.0.1", "agent": "Mozilla/5.0 (X11)",
            "created_at": "2026-11-20T12:00:00Z", "seen_at": "2026-11-20T12:00:00Z", "expires_at": "2026-11-27T12:00:00Z"})
    );
    let agent = page["items"][0]["agent"].as_str().unwrap();
    assert_eq!((agent.chars().count(), agent.contains('\t')), (200, false), "{agent}");
    assert_eq!(page["items"][0]["current"], false);

    post(world.address, "/api/auth/refresh", &[], &first.renewal()).await;
    let page = get(world.address, PATH, &[&first.bearer()]).await.json();
    assert_eq!(page["items"][1]["seen_at"], "2026-11-20T12:01:00Z", "written when it is renewed");
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(world.sign_in(&ada).await);
        world.clock.advance(Duration::from_millis(5));
    }
    let bearer = sessions[0].bearer();
    let all = ids(&get(world.address, PATH, &[&bearer]).await.json());
    assert_eq!(all.len(), 5);
    let mut paged = Vec::new();
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = get(world.address, &path, &[&bearer]).await.json();
        paged.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{PATH}?limit=2&cursor={next}");
    }
    assert_eq!(paged, all);
    for query in ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=x", "cursor=", "page=2", "limit=1&limit=2"] {
        get(world.address, &format!("{PATH}?{query}"), &[&bearer]).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn a_session_that_is_ended_opens_nothing_and_is_not_listed() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let own = world.sign_in(&ada).await;
    let other = world.sign_in(&ada).await;
    let id = world.me(&other.bearer()).await.json()["session_id"].as_str().unwrap().to_owned();
    let answer = end(&world, &own, &id).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
    world.me(&other.bearer()).await.refuses(401, "token_expired");
    assert!(!ids(&get(world.address, PATH, &[&own.bearer()]).await.json()).contains(&id));
    let current = world.me(&own.bearer()).await.json()["session_id"].as_str().unwrap().to_owned();
    assert_eq!(end(&world, &own, &current).await.status, 204);
    world.me(&own.bearer()).await.refuses(401, "token_expired");
}

#[tokio::test]
async fn a_session_ended_by_another_node_is_refused_within_a_second() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let id = world.me(&session.bearer()).await.json()["session_id"].as_str().unwrap().parse().unwrap();
    world.store.end_session(&store::Actor::COMMAND, ada.user, access::SessionId(id)).await.unwrap();
    assert_eq!(world.me(&session.bearer()).await.status, 200, "this node has not asked again");
    world.clock.advance(Duration::from_secs(1));
    world.me(&session.bearer()).await.refuses(401, "token_expired");
}

#[tokio::test]
async fn a_session_of_another_user_is_as_absent_as_one_that_is_not() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let bob = world.person("bob").await;
    let own = world.sign_in(&ada).await;
    let foreign = world.sign_in(&bob).await;
    let id = world.me(&foreign.bearer()).await.json()["session_id"].as_str().unwrap().to_owned();
    let absent = "0199aa00-0000-7000-8000-000000000000";
    let mut bodies = Vec::new();
    for id in [id.as_str(), absent, "not-an-id", "%ff", "1'%20OR%20'1'='1"] {
        let answer = end(&world, &own, id).await;
        answer.refuses(404, "not_found");
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    end(&world, &own, "%00").await.refuses(400, "bad_request");
    assert_eq!(world.me(&foreign.bearer()).await.status, 200);
    assert_eq!(ids(&get(world.address, PATH, &[&own.bearer()]).await.json()).len(), 1);
}

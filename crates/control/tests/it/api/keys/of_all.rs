//! The keys of all users, for admins.

use std::time::Duration;

use access::Role;
use serde_json::{Value, json};

use super::{PATH, create, delete};
use crate::client::{Answer, get};
use crate::world::World;

async fn list(world: &World, header: &str, query: &str) -> Answer {
    get(world.address, &format!("{PATH}?scope=all{query}"), &[header]).await
}

fn labels(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let items = body["items"].as_array().unwrap().iter();
    items.map(|key| key["label"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_admin_lists_the_keys_of_all_users_with_their_owners() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    assert_eq!(create(&world, &ada.bearer(), &json!({"label": "100% CI"})).await.status, 201);
    let ended = json!({"label": "ended", "expires_at": "2026-11-20T12:00:30Z"});
    assert_eq!(create(&world, &bob.bearer(), &ended).await.status, 201);
    let gone = create(&world, &bob.bearer(), &json!({"label": "gone"})).await.json();
    assert_eq!(delete(&world, &bob.bearer(), gone["id"].as_str().unwrap()).await.status, 204);
    world.clock.advance(Duration::from_secs(60));
    let all = list(&world, &root, "").await;
    assert_eq!(labels(&all)[..3], ["gone", "ended", "100% CI"]);
    assert_eq!(labels(&all).len(), 5);
    let first = all.json()["items"][0].clone();
    assert_eq!((&first["user"]["id"], &first["user"]["name"]), (&json!(bob.user), &json!("bob")));
    assert!(first["user"]["email"].as_str().unwrap().starts_with("bob@"), "{first}");
    assert_eq!(labels(&list(&world, &root, "&state=revoked").await), ["gone"]);
    assert_eq!(labels(&list(&world, &root, "&state=expired").await), ["ended"]);
    assert_eq!(labels(&list(&world, &root, "&state=active").await).len(), 3);
    assert_eq!(labels(&list(&world, &root, "&text=100%25").await), ["100% CI"]);
    assert_eq!(labels(&list(&world, &root, "&text=BOB@").await).len(), 3);
    let last4 = gone["last4"].as_str().unwrap();
    assert!(labels(&list(&world, &root, &format!("&text={last4}")).await).contains(&"gone".to_owned()));
    // The keys were created at 12:00, and never used.
    assert_eq!(labels(&list(&world, &root, "&unused_since=2026-11-20T12:00:30Z").await).len(), 5);
    assert_eq!(labels(&list(&world, &root, "&unused_since=2026-11-20T11:00:00Z").await), Vec::<String>::new());
    let own = get(world.address, PATH, &[&ada.bearer()]).await.json();
    assert_eq!(own["items"][0]["user"], Value::Null, "a list of one user names no owner");
}

#[tokio::test]
async fn pages_of_all_keys_have_each_key_once() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    for nth in 0..6 {
        assert_eq!(create(&world, &ada.bearer(), &json!({"label": format!("key {nth}")})).await.status, 201);
    }
    let root = world.sign_in(&world.person_with("root", Role::Admin).await).await.bearer();
    let mut found = Vec::new();
    let mut query = "&text=key&limit=4".to_owned();
    loop {
        let page = list(&world, &root, &query).await;
        found.extend(labels(&page));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { break };
        query = format!("&text=key&limit=4&cursor={next}");
    }
    assert_eq!(found, ["key 5", "key 4", "key 3", "key 2", "key 1", "key 0"]);
}

#[tokio::test]
async fn the_keys_of_all_users_do_not_exist_for_members_and_restricted_keys() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    list(&world, &ada.bearer(), "").await.refuses(404, "not_found");
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await.bearer();
    let key = create(&world, &session, &json!({"label": "restricted", "scopes": {"models": ["fast"]}})).await.json();
    let secret = format!("Authorization: Bearer {}", key["key"].as_str().unwrap());
    list(&world, &secret, "").await.refuses(404, "not_found");
    for query in ["&state=lost", "&unused_since=today", "&limit=0", "&cursor=x", "&user_id=x", "&revoked=true"] {
        list(&world, &session, query).await.refuses(400, "bad_request");
    }
    let long = format!("&text={}", "a".repeat(101));
    list(&world, &session, &long).await.refuses(400, "bad_request");
    get(world.address, &format!("{PATH}?text=a"), &[&session]).await.refuses(400, "bad_request");
    get(world.address, &format!("{PATH}?scope=you"), &[&session]).await.refuses(400, "bad_request");
}

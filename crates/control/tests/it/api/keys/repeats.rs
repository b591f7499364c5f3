//! `Idempotency-Key` on `POST /api/keys` and `POST /api/keys/{id}/rotate`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATH, delete, patch, rotate, text, validate};
use crate::client::{Answer, get, post};
use crate::world::World;

async fn repeat(world: &World, header: &str, path: &str, name: &str, body: &str) -> Answer {
    post(world.address, path, &[header, &format!("Idempotency-Key: {name}")], body).await
}

fn label(text: &str) -> String {
    json!({"label": text}).to_string()
}

async fn count(world: &World, header: &str) -> usize {
    get(world.address, PATH, &[header]).await.json()["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeated_creation_gives_the_same_key_another_secret() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let create = async |header: &str, name: &str, body: &str| repeat(&world, header, PATH, name, body).await;
    let first = create(&ada.bearer(), "one", &label("ci")).await;
    assert_eq!(first.status, 201, "{first:?}");
    let lost = text(&first, "key");
    let second = create(&ada.bearer(), "one", "{ \"label\": \"ci\", \"scopes\": null }").await;
    assert_eq!((second.status, text(&second, "id")), (201, text(&first, "id")));
    let secret = text(&second, "key");
    assert_ne!(secret, lost);
    validate(&world, &lost).await.refuses(401, "key_unknown");
    assert_eq!(validate(&world, &secret).await.json()["key"]["id"], first.json()["id"]);
    assert_eq!(second.json()["previous"], Value::Null, "a repeat is no rotation");
    create(&ada.bearer(), "one", &label("other")).await.refuses(409, "conflict");
    assert_eq!(count(&world, &ada.bearer()).await, 2);
    // Another caller, another value and none are other requests.
    for (header, name) in [(bob.bearer(), "one"), (ada.bearer(), "two")] {
        let other = create(&header, name, &label("ci")).await;
        assert!(other.status == 201 && text(&other, "id") != text(&first, "id"), "{other:?}");
    }
    let other = super::create(&world, &ada.bearer(), &json!({"label": "ci"})).await;
    assert_ne!(text(&other, "id"), text(&first, "id"));
    for (name, code) in [("", "bad_request"), ("a b", "bad_request"), (&"x".repeat(256), "bad_request")] {
        create(&ada.bearer(), name, &label("ci")).await.refuses(400, code);
    }
}

#[tokio::test]
async fn a_creation_is_another_one_after_a_day_and_none_after_a_rotation_or_the_end_of_its_key() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let create = async |name: &str| repeat(&world, &ada.bearer(), PATH, name, &label("ci")).await;
    let [first, rotated, revoked] = [create("a").await, create("b").await, create("c").await];
    world.clock.advance(Duration::from_secs(86_400 - 1));
    assert_eq!(text(&create("a").await, "id"), text(&first, "id"));
    let kept = text(&rotate(&world, &ada.bearer(), &text(&rotated, "id"), "").await, "key");
    let message = create("b").await.refuses(409, "conflict");
    assert!(message.contains("replaced by a later rotation"), "{message}");
    assert_eq!(validate(&world, &kept).await.status, 200, "the later secret stays valid");
    assert_eq!(delete(&world, &ada.bearer(), &text(&revoked, "id")).await.status, 204);
    create("c").await.refuses(409, "conflict");
    world.clock.advance(Duration::from_secs(1));
    assert_ne!(text(&create("a").await, "id"), text(&first, "id"));
}

#[tokio::test]
async fn a_repeated_creation_gives_no_secret_of_a_key_that_is_valid_for_longer() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let end = "2099-01-01T00:00:00Z";
    let body = json!({"label": "ci", "expires_at": end}).to_string();
    let short = text(&super::create(&world, &ada.bearer(), &json!({"label": "short", "expires_at": end})).await, "key");
    let short = format!("Authorization: Bearer {short}");
    let first = repeat(&world, &short, PATH, "one", &body).await;
    let extended = patch(&world, &ada.bearer(), &text(&first, "id"), &json!({"expires_at": null})).await;
    assert_eq!(extended.status, 200, "{extended:?}");
    let message = repeat(&world, &short, PATH, "one", &body).await.refuses(409, "conflict");
    assert!(message.contains("expiry"), "{message}");
    assert_eq!(validate(&world, &text(&first, "key")).await.status, 200, "the refused repeat changes nothing");
}

#[tokio::test]
async fn a_repeated_rotation_replaces_the_lost_secret_and_keeps_the_one_before_it() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let created = super::create(&world, &ada.bearer(), &json!({"label": "ci"})).await;
    let id = text(&created, "id");
    let old = text(&created, "key");
    let turn =
        async |name: &str, body: &str| repeat(&world, &ada.bearer(), &format!("{PATH}/{id}/rotate"), name, body).await;
    let lost = turn("one", "{\"grace\":\"1h\"}").await;
    let again = turn("one", "{\"grace\":\"60m\"}").await;
    assert_eq!((again.status, text(&again, "id")), (200, id.clone()));
    assert_eq!(again.json()["previous"], lost.json()["previous"]);
    validate(&world, &text(&lost, "key")).await.refuses(401, "key_unknown");
    for secret in [&old, &text(&again, "key")] {
        assert_eq!(validate(&world, secret).await.status, 200);
    }
    turn("one", "{\"grace\":\"2h\"}").await.refuses(409, "conflict");
    // The same value on another key is another request.
    let other = super::create(&world, &ada.bearer(), &json!({"label": "other"})).await;
    let path = format!("{PATH}/{}/rotate", text(&other, "id"));
    let turned = repeat(&world, &ada.bearer(), &path, "one", "{\"grace\":\"2h\"}").await;
    assert_eq!(text(&turned, "id"), text(&other, "id"));
}

#[tokio::test]
async fn repeats_at_once_create_one_key() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let header = ada.bearer();
    let body = label("ci");
    let one = || repeat(&world, &header, PATH, "one", &body);
    let answers: [Answer; 4] = tokio::join!(one(), one(), one(), one()).into();
    assert!(answers.iter().all(|answer| text(answer, "id") == text(&answers[0], "id")), "{answers:?}");
    let mut valid = 0;
    for answer in &answers {
        valid += usize::from(validate(&world, &text(answer, "key")).await.status == 200);
    }
    assert_eq!((valid, count(&world, &header).await), (1, 2), "the secret of the last response is valid");
}

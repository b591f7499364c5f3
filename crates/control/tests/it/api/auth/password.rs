use std::time::Duration;

use serde_json::json;

use crate::client::post;
use crate::person::{BrowserSession, ORIGIN, PASSWORD};
use crate::world::World;

const PATH: &str = "/api/auth/password";
const NEW: &str = "another horse, same battery";

fn body(current: &str, new: &str) -> String {
    json!({"current": current, "new": new}).to_string()
}

#[tokio::test]
async fn a_changed_password_ends_all_other_sessions_and_opens_new_ones() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let own = world.sign_in(&ada).await;
    let other = world.sign_in(&ada).await;
    assert_eq!(world.me(&other.bearer()).await.status, 200);
    let answer = post(world.address, PATH, &[&own.cookie(), ORIGIN], &body(PASSWORD, NEW)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"status\":\"password_changed\"}"), "{answer:?}");
    world.me(&other.bearer()).await.refuses(401, "token_expired");
    post(world.address, "/api/auth/refresh", &[], &other.renewal()).await.refuses(401, "token_expired");
    assert_eq!(world.me(&own.bearer()).await.status, 200);
    assert_eq!(post(world.address, "/api/auth/refresh", &[], &own.renewal()).await.status, 200);
    post(world.address, "/api/auth/login", &[], &ada.credentials()).await.refuses(401, "unauthorized");
    let again = json!({"email": ada.email, "password": NEW}).to_string();
    assert_eq!(post(world.address, "/api/auth/login", &[], &again).await.status, 200);
}

#[tokio::test]
async fn the_current_password_is_needed_and_may_not_be_guessed() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    for _ in 0..9 {
        let answer = post(world.address, PATH, &[&session.bearer()], &body("not the password", NEW)).await;
        answer.refuses(403, "forbidden");
    }
    post(world.address, PATH, &[&session.bearer()], &body(PASSWORD, NEW)).await.refuses(429, "rate_limited");
    world.clock.advance(Duration::from_secs(1_800));
    assert_eq!(post(world.address, PATH, &[&session.bearer()], &body(PASSWORD, NEW)).await.status, 200);
}

#[tokio::test]
async fn a_password_has_12_to_128_characters_of_any_kind() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    for new in ["", "eleven char", &"x".repeat(129), &"🔑🏠".repeat(5)] {
        let answer = post(world.address, PATH, &[&session.bearer()], &body(PASSWORD, new)).await;
        assert_eq!(answer.refuses(422, "unprocessable"), "`new`: a password has 12 to 128 characters");
    }
    let mut current = PASSWORD.to_owned();
    for new in ["🔑🏠🌍🚪🔒🗝".repeat(2), "\u{202e}сказка про ключ".to_owned(), "xy z7w-q".repeat(16)]
    {
        let answer = post(world.address, PATH, &[&session.bearer()], &body(&current, &new)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let again = json!({"email": ada.email, "password": new}).to_string();
        assert_eq!(post(world.address, "/api/auth/login", &[], &again).await.status, 200);
        current = new;
    }
}

#[tokio::test]
async fn only_a_session_that_began_with_the_password_changes_it() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    post(world.address, PATH, &[&ada.bearer()], &body(PASSWORD, NEW)).await.refuses(403, "forbidden");
    let key = json!({"key": ada.secret, "refresh": true}).to_string();
    let session = BrowserSession::read(&post(world.address, "/api/auth/login", &[], &key).await);
    post(world.address, PATH, &[&session.bearer()], &body(PASSWORD, NEW)).await.refuses(403, "forbidden");
    post(world.address, PATH, &[], &body(PASSWORD, NEW)).await.refuses(401, "unauthorized");
}

use std::time::Duration;

use access::UserStatus;
use serde_json::json;
use store::UserRef;

use crate::client::{get, post};
use crate::person::{BrowserSession, ORIGIN, cookies_of, send};
use crate::world::World;

const PATH: &str = "/api/auth/refresh";

/// Renews a session by the body, and returns the new tokens.
async fn renew(world: &World, session: &BrowserSession) -> BrowserSession {
    let answer = post(world.address, PATH, &[], &session.renewal()).await;
    assert_eq!((answer.status, answer.cookies.len()), (200, 0), "{answer:?}");
    BrowserSession::read(&answer)
}

#[tokio::test]
async fn a_session_is_renewed_by_a_refresh_token_that_changes_each_time() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let first = world.sign_in(&ada).await;
    let session = world.me(&first.bearer()).await.json()["session_id"].clone();
    world.clock.advance(Duration::from_secs(86_400));
    world.me(&first.bearer()).await.refuses(401, "token_expired");
    let second = renew(&world, &first).await;
    assert_ne!((&second.access, &second.refresh), (&first.access, &first.refresh));
    assert_eq!(world.me(&second.bearer()).await.json()["session_id"], session);
    world.clock.advance(Duration::from_secs(6 * 86_400));
    let third = renew(&world, &second).await;
    assert_eq!(world.me(&third.bearer()).await.json()["session_id"], session);
    world.clock.advance(Duration::from_secs(7 * 86_400));
    post(world.address, PATH, &[], &third.renewal()).await.refuses(401, "token_expired");
}

#[tokio::test]
async fn a_cookie_is_renewed_as_a_cookie() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let first = world.sign_in(&ada).await;
    world.clock.advance(Duration::from_secs(86_400));
    world.me(&first.cookie()).await.refuses(401, "token_expired");
    let answer = send(&world, PATH, &[&first.cookie(), ORIGIN]).await;
    assert_eq!((answer.status, answer.cookies.len()), (200, 2), "{answer:?}");
    assert!(answer.json().get("refresh_token").is_none(), "no script of the page sees it");
    let cookies = cookies_of(&answer);
    assert!(!cookies.contains(&first.refresh));
    assert_eq!(world.me(&format!("Cookie: {cookies}")).await.status, 200);
}

#[tokio::test]
async fn an_empty_object_is_as_no_body_beside_a_cookie() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut session =
        format!("Cookie: {}", cookies_of(&post(world.address, "/api/auth/login", &[], &ada.credentials()).await));
    for body in ["{}", "{\"refresh_token\": null}"] {
        let answer = post(world.address, PATH, &[&session, ORIGIN], body).await;
        assert_eq!((answer.status, answer.cookies.len()), (200, 2), "{body}: {answer:?}");
        session = format!("Cookie: {}", cookies_of(&answer));
        assert_eq!(world.me(&session).await.status, 200);
    }
    post(world.address, PATH, &[], "{}").await.refuses(401, "unauthorized");
    post(world.address, PATH, &[&session], "{}").await.refuses(403, "forbidden");
    let out = post(world.address, "/api/auth/logout", &[&session, ORIGIN], "{}").await;
    assert_eq!(out.status, 200, "{out:?}");
    world.me(&session).await.refuses(401, "token_expired");
}

#[tokio::test]
async fn a_stolen_token_ends_the_session_for_the_thief_and_the_owner() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let stolen = world.sign_in(&ada).await;
    let other = world.sign_in(&ada).await;
    let thief = renew(&world, &stolen).await;
    assert_eq!(world.me(&thief.bearer()).await.status, 200);
    let message = post(world.address, PATH, &[], &stolen.renewal()).await.refuses(401, "token_expired");
    assert!(message.contains("used before"), "{message}");
    // At once on this node, because no ended session stays in the cache.
    world.me(&thief.bearer()).await.refuses(401, "token_expired");
    world.me(&stolen.bearer()).await.refuses(401, "token_expired");
    post(world.address, PATH, &[], &thief.renewal()).await.refuses(401, "token_expired");
    assert_eq!(world.me(&other.bearer()).await.status, 200, "her other session is not touched");
}

#[tokio::test]
async fn a_stolen_refresh_token_that_is_used_second_clears_the_cookies() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    renew(&world, &session).await;
    let answer = send(&world, PATH, &[&session.cookie(), ORIGIN]).await;
    answer.refuses(401, "token_expired");
    assert!(answer.cookies.len() == 2 && answer.cookies.iter().all(|line| line.contains("=; Path=/; Max-Age=0;")));
}

#[tokio::test]
async fn an_invalid_refresh_token_renews_nothing() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let ask = async |token: &str| post(world.address, PATH, &[], &json!({"refresh_token": token}).to_string()).await;
    for token in ["", "x", &session.access, &format!("tgl_{}", "A".repeat(43)), &format!("tgr_{}", "A".repeat(43))] {
        ask(token).await.refuses(401, "unauthorized");
    }
    ask("tgr_\0").await.refuses(401, "unauthorized");
    send(&world, PATH, &[]).await.refuses(401, "unauthorized");
    post(world.address, PATH, &[], "{\"token\": \"x\"}").await.refuses(400, "bad_request");
    world.me(&format!("Authorization: Bearer {}", session.refresh)).await.refuses(401, "key_malformed");
    assert_eq!(world.me(&session.bearer()).await.status, 200);
}

#[tokio::test]
async fn two_different_refresh_tokens_are_ambiguous_and_both_hold() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let one = world.sign_in(&ada).await;
    let two = world.sign_in(&ada).await;
    post(world.address, PATH, &[&one.cookie(), ORIGIN], &two.renewal()).await.refuses(400, "ambiguous_credentials");
    let twice = format!("{}; tollgate_refresh={}", one.cookie(), two.refresh);
    send(&world, PATH, &[&twice, ORIGIN]).await.refuses(400, "ambiguous_credentials");
    renew(&world, &one).await;
    renew(&world, &two).await;
}

#[tokio::test]
async fn suspension_ends_a_session_for_good() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    assert_eq!(world.me(&session.bearer()).await.status, 200);
    let set = async |status| {
        world
            .store
            .change_user(
                &store::Actor::COMMAND,
                &UserRef::Id(ada.user),
                store::UserChange { status: Some(status), ..store::UserChange::default() },
            )
            .await
            .unwrap();
        world.clock.advance(Duration::from_secs(1));
    };
    set(UserStatus::Suspended).await;
    world.me(&session.bearer()).await.refuses(403, "user_suspended");
    world.me(&session.cookie()).await.refuses(403, "user_suspended");
    post(world.address, PATH, &[], &session.renewal()).await.refuses(401, "token_expired");
    set(UserStatus::Active).await;
    world.me(&session.bearer()).await.refuses(401, "token_expired");
    world.sign_in(&ada).await;
}

#[tokio::test]
async fn without_the_store_nothing_is_used_up() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    world.store.close().await;
    let answer = send(&world, PATH, &[&session.cookie(), ORIGIN]).await;
    answer.refuses(503, "unavailable");
    assert!(answer.cookies.is_empty(), "the browser keeps the cookies for a retry");
}

#[tokio::test]
async fn a_token_signed_elsewhere_is_refused() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let [head, claims, signature] = session.access.split('.').collect::<Vec<_>>()[..] else { panic!() };
    // The header `{"alg":"none","typ":"JWT"}`.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for token in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{head}.{claims}.{}", "A".repeat(43)),
        format!("{head}.{}.{signature}", claims.replace('0', "1")),
        "..".to_owned(),
        "a.b.c".to_owned(),
    ] {
        get(world.address, "/api/me", &[&format!("Authorization: Bearer {token}")]).await.refuses(401, "unauthorized");
        get(world.address, "/api/me", &[&format!("Cookie: tollgate_session={token}")])
            .await
            .refuses(401, "unauthorized");
    }
}

use std::time::Duration;

use crate::client::post;
use crate::person::{ORIGIN, send};
use crate::world::World;

const PATH: &str = "/api/auth/logout";

#[tokio::test]
async fn signing_out_ends_the_session_at_once_however_it_is_named() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let other = world.sign_in(&ada).await;
    for way in ["bearer", "cookies", "refresh cookie", "body"] {
        let session = world.sign_in(&ada).await;
        assert_eq!(world.me(&session.bearer()).await.status, 200);
        let refresh = format!("Cookie: tollgate_refresh={}", session.refresh);
        let answer = match way {
            "bearer" => send(&world, PATH, &[&session.bearer()]).await,
            "cookies" => send(&world, PATH, &[&session.cookie(), ORIGIN]).await,
            "refresh cookie" => send(&world, PATH, &[&refresh, ORIGIN]).await,
            _ => post(world.address, PATH, &[], &session.renewal()).await,
        };
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"status\":\"signed_out\"}"), "{way}: {answer:?}");
        assert!(answer.cookies.len() == 2 && answer.cookies.iter().all(|line| line.contains("Max-Age=0")), "{way}");
        world.me(&session.bearer()).await.refuses(401, "token_expired");
        post(world.address, "/api/auth/refresh", &[], &session.renewal()).await.refuses(401, "token_expired");
    }
    assert_eq!(world.me(&other.bearer()).await.status, 200);
}

#[tokio::test]
async fn a_signed_out_session_is_refused() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    for _ in 0..2 {
        assert_eq!(send(&world, PATH, &[&session.cookie(), ORIGIN]).await.status, 200);
    }
    let stale = world.sign_in(&ada).await;
    world.clock.advance(Duration::from_secs(86_400));
    let answer = send(&world, PATH, &[&stale.cookie(), ORIGIN]).await;
    assert_eq!(answer.status, 200, "by the refresh token: {answer:?}");
    post(world.address, "/api/auth/refresh", &[], &stale.renewal()).await.refuses(401, "token_expired");
    assert_eq!(send(&world, PATH, &["Cookie: tollgate_session=a.b.c", ORIGIN]).await.status, 200);
}

#[tokio::test]
async fn a_client_without_a_session_cannot_sign_out() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    send(&world, PATH, &[]).await.refuses(401, "unauthorized");
    send(&world, PATH, &[&ada.bearer()]).await.refuses(403, "forbidden");
    send(&world, PATH, &["Authorization: Bearer a.b.c"]).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn without_the_store_the_browser_forgets_nothing() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    world.store.close().await;
    let answer = send(&world, PATH, &[&session.cookie(), ORIGIN]).await;
    answer.refuses(503, "unavailable");
    assert!(answer.cookies.is_empty());
}

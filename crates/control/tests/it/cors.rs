//! Cross-origin requests from pages of other origins.

use crate::client::{Answer, call, get};
use crate::world::{World, defaults};

const APP: &str = "Origin: https://app.example.com";
const ELSEWHERE: &str = "Origin: https://evil.example.com";
const TODAY: &str = "/api/usage/today";

async fn world() -> World {
    let world = World::start().await;
    world.configure(|snapshot| {
        snapshot.process.control.rate_limits = defaults().process.control.rate_limits;
        snapshot.process.control.allowed_origins =
            vec!["https://app.example.com".to_owned(), "http://localhost:3000".to_owned()];
    });
    world
}

fn shares(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<&str> =
        answer.headers.keys().map(String::as_str).filter(|name| name.starts_with("access-control-")).collect();
    names.sort_unstable();
    names
}

async fn preflight(world: &World, path: &str, origin: &str) -> Answer {
    let headers =
        [origin, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: authorization, content-type"];
    call(world.address, &format!("OPTIONS {path}"), &headers, "").await
}

#[tokio::test]
async fn a_preflight_of_a_listed_origin_is_answered_and_counts_for_nothing() {
    let world = world().await;
    for _ in 0..150 {
        let answer = preflight(&world, "/api/keys/x", APP).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
        assert_eq!(answer.headers["access-control-allow-methods"], "GET, POST, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(
            answer.headers["access-control-allow-headers"],
            "Authorization, Content-Type, Idempotency-Key, If-Match, X-API-Key"
        );
        assert_eq!(answer.headers["access-control-allow-credentials"], "true");
        assert_eq!(answer.headers["access-control-max-age"], "3600");
        assert!(answer.headers["vary"].contains("Origin") && answer.headers.contains_key("x-request-id"), "{answer:?}");
        assert!(!answer.headers.contains_key("x-ratelimit-limit") && answer.body.is_empty(), "{answer:?}");
    }
    assert_eq!(get(world.address, TODAY, &[]).await.headers["x-ratelimit-remaining"], "19");
}

#[tokio::test]
async fn a_listed_origin_reads_every_response_and_another_reads_none() {
    let world = world().await;
    let holder = world.holder("ada", "starter").await;
    let read = ["access-control-allow-credentials", "access-control-allow-origin", "access-control-expose-headers"];
    let mut seen = std::collections::BTreeSet::new();
    for nth in 0..22 {
        for (line, key, body) in
            [("GET /api/usage/today", true, ""), ("GET /nowhere", false, ""), ("POST /api/auth/login", false, "{")]
        {
            let bearer = holder.bearer();
            let mut headers = vec![APP, "Content-Type: application/json"];
            headers.extend(key.then_some(bearer.as_str()));
            let answer = call(world.address, line, &headers, body).await;
            assert_eq!(shares(&answer), read, "{nth} {line} {answer:?}");
            assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
            let exposed = &answer.headers["access-control-expose-headers"];
            assert_eq!(
                exposed,
                "Content-Disposition, ETag, Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
                 Retry-After, X-Request-Id"
            );
            assert!(answer.headers["vary"].contains("Origin"));
            seen.insert(answer.status);
        }
    }
    assert!([200, 400, 404, 429].iter().all(|status| seen.contains(status)), "{seen:?}");
    for origin in [
        ELSEWHERE,
        "Origin: null",
        "Origin: https://app.example.com.evil.example",
        "Origin: https://APP.example.com",
        "Origin: *",
    ] {
        for answer in [preflight(&world, TODAY, origin).await, get(world.address, "/health", &[origin]).await] {
            assert!(shares(&answer).is_empty() && answer.headers["vary"].contains("Origin"), "{origin} {answer:?}");
        }
    }
    let twice = get(world.address, "/health", &[APP, ELSEWHERE]).await;
    assert!(shares(&twice).is_empty(), "{twice:?}");
}

#[tokio::test]
async fn no_origin_is_listed_by_default() {
    let world = World::start().await;
    let answer = preflight(&world, TODAY, APP).await;
    assert_eq!((answer.status, shares(&answer)), (204, Vec::new()));
    // Without a requested method, the request is not a preflight.
    assert_eq!(call(world.address, "OPTIONS /api/usage/today", &[APP], "").await.status, 405);
}

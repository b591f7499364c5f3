//! Rate limits of control, and the header fields that report them in every response.

use std::time::Duration;

use access::network::address;
use config::snapshot::{Dimension, WindowLimit};

use crate::client::{Answer, call, get, post};
use crate::world::{World, defaults};

const TODAY: &str = "/api/usage/today";

/// Starts a world with the default limits.
async fn world() -> World {
    let world = World::start().await;
    world.configure(|snapshot| snapshot.process.control.rate_limits = defaults().process.control.rate_limits);
    world
}

/// Returns the limit, the remaining requests, and the seconds until the window ends.
fn reported(world: &World, answer: &Answer) -> (u64, u64, u64) {
    let number = |name: &str| {
        answer.headers.get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).parse::<u64>().unwrap()
    };
    let reset = number("x-ratelimit-reset").checked_sub(world.clock.now().unix_seconds()).unwrap();
    (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), reset)
}

#[tokio::test]
async fn each_key_may_call_100_times_a_minute() {
    let world = world().await;
    let holder = world.holder("ada", "starter").await;
    let other = world.key(&holder, "other").await;
    let bearer = holder.bearer();
    for left in (0..100).rev() {
        let answer = get(world.address, TODAY, &[&bearer]).await;
        assert_eq!(answer.status, 200);
        let (limit, remaining, reset) = reported(&world, &answer);
        assert_eq!((limit, remaining), (100, left));
        assert!(reset <= 61, "{reset}");
    }
    let answer = get(world.address, TODAY, &[&bearer]).await;
    answer.refuses(429, "rate_limited");
    let wait: u64 = answer.headers["retry-after"].parse().unwrap();
    let (limit, remaining, reset) = reported(&world, &answer);
    assert_eq!((limit, remaining), (100, 0));
    assert!((1..=61).contains(&wait) && reset >= wait - 1, "{wait} {reset}");
    // Refused requests do not count, and another key of the same user has a separate limit.
    assert_eq!(get(world.address, TODAY, &[&other.bearer()]).await.status, 200);
    // A full window may be full for a hundredth of it longer than the wait, which is at most the window.
    world.clock.advance(Duration::from_secs(wait + 1));
    assert_eq!(get(world.address, TODAY, &[&bearer]).await.status, 200);
    let metrics = get(world.address, "/metrics", &[]).await.body;
    assert!(metrics.contains("tollgate_limits_refused_total{limit=\"key\"} 1\n"), "{metrics}");
}

/// The endpoints of insights, which are not below `/api/`, count like all others.
#[tokio::test]
async fn the_endpoints_of_insights_are_limited() {
    let world = world().await;
    let limit = |limit: &mut WindowLimit| limit.limit = std::num::NonZeroU32::new(3).unwrap();
    world.configure(|snapshot| snapshot.process.control.rate_limits.iter_mut().for_each(limit));
    let holder = world.holder("ada", "starter").await;
    let bearer = holder.bearer();
    for (left, path) in [(2, "/brief/today"), (1, "/ingest/status"), (0, "/roi/today")] {
        let answer = get(world.address, path, &[&bearer]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let (limit, remaining, _) = reported(&world, &answer);
        assert_eq!((limit, remaining), (3, left), "{path}");
    }
    for line in ["GET /classify/today", "POST /export/today", "GET /review/status", "GET /config"] {
        call(world.address, line, &[&bearer], "").await.refuses(429, "rate_limited");
    }
}

#[tokio::test]
async fn an_address_without_a_valid_key_may_call_20_times_whatever_it_sends() {
    let world = world().await;
    let holder = world.holder("ada", "starter").await;
    let revoked = format!("Authorization: Bearer tollgate_{}", "0".repeat(32));
    let mut codes = Vec::new();
    for nth in 0..30 {
        let answer = match nth % 5 {
            0 => get(world.address, TODAY, &[]).await,
            1 => get(world.address, TODAY, &[&revoked]).await,
            2 => get(world.address, TODAY, &["X-API-Key: nonsense"]).await,
            3 => get(world.address, "/nowhere", &[]).await,
            _ => post(world.address, "/api/auth/validate", &[], r#"{"token": "nonsense"}"#).await,
        };
        let (limit, remaining, _) = reported(&world, &answer);
        assert_eq!((limit, remaining), (20, 19_u64.saturating_sub(nth)), "{nth}");
        codes.push(answer.status);
    }
    assert_eq!(codes[..5], [401, 401, 401, 404, 401]);
    assert!(
        codes[..20].iter().all(|status| *status != 429) && codes[20..].iter().all(|status| *status == 429),
        "{codes:?}"
    );
    // A valid key does not count for its address.
    assert_eq!(get(world.address, TODAY, &[&holder.bearer()]).await.status, 200);
    assert_eq!(get(world.address, "/nowhere", &[&holder.bearer()]).await.status, 404);
}

#[tokio::test]
async fn a_refused_sign_in_reports_the_limit_that_refused_it() {
    let world = world().await;
    let body = r#"{"email": "zoe@example.com", "password": "nope-nope-nope"}"#;
    for left in (10..20).rev() {
        let answer = post(world.address, "/api/auth/login", &[], body).await;
        assert_eq!((answer.status, reported(&world, &answer).1), (401, left));
    }
    let answer = post(world.address, "/api/auth/login", &[], body).await;
    answer.refuses(429, "rate_limited");
    let wait: u64 = answer.headers["retry-after"].parse().unwrap();
    let (limit, remaining, reset) = reported(&world, &answer);
    assert_eq!((limit, remaining), (10, 0));
    assert!(reset >= wait - 1, "{reset} {wait}");
}

#[tokio::test]
async fn a_valid_key_in_the_body_counts_for_itself() {
    let world = world().await;
    let holder = world.holder("ada", "starter").await;
    let token = format!(r#"{{"token": "{}"}}"#, holder.bearer().rsplit(' ').next().unwrap());
    for left in (0..100_u64).rev() {
        let answer = post(world.address, "/api/auth/validate", &[], &token).await;
        assert_eq!((answer.status, reported(&world, &answer).1), (200, left));
    }
    post(world.address, "/api/auth/validate", &[], &token).await.refuses(429, "rate_limited");
    get(world.address, TODAY, &[&holder.bearer()]).await.refuses(429, "rate_limited");
    assert_eq!(reported(&world, &get(world.address, "/nowhere", &[]).await), (20, 19, 60));
}

#[tokio::test]
async fn sessions_behind_one_address_have_a_share_each() {
    let world = world().await;
    let person = world.person("ada").await;
    let session = world.sign_in(&person).await;
    let answer = get(world.address, "/api/me", &[&session.bearer()]).await;
    assert_eq!((answer.status, reported(&world, &answer).0, reported(&world, &answer).1), (200, 100, 99));
    let answer = get(world.address, "/api/me", &[&session.cookie()]).await;
    assert_eq!((answer.status, reported(&world, &answer).1), (200, 98));
    let other = world.sign_in(&world.person("bob").await).await;
    for left in (0..100).rev() {
        let answer = get(world.address, "/api/me", &[&other.bearer()]).await;
        assert_eq!((answer.status, reported(&world, &answer).1), (200, left));
    }
    get(world.address, "/api/me", &[&other.bearer()]).await.refuses(429, "rate_limited");
    let answer = get(world.address, "/api/me", &[&session.bearer()]).await;
    assert_eq!((answer.status, reported(&world, &answer).1), (200, 97));
    // The sign-in itself carried no credential.
    assert_eq!(reported(&world, &get(world.address, "/api/me", &[]).await).1, 17);
}

#[tokio::test]
async fn probes_and_pages_are_not_limited_and_other_responses_have_the_remaining_amount() {
    let world = world().await;
    for _ in 0..30 {
        for path in [
            "/",
            "/health",
            "/livez",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/docs",
            "/docs/routing",
            "/docs/search.json",
            "/install.sh?agent=codex",
        ] {
            let answer = get(world.address, path, &[]).await;
            assert_eq!((answer.status, answer.headers.contains_key("x-ratelimit-limit")), (200, false), "{path}");
        }
    }
    for (line, headers, body, status) in [
        ("DELETE /api/usage/today", &[][..], "", 405),
        ("POST /api/auth/login", &["Content-Type: application/json"], "{", 400),
        ("POST /api/auth/login", &["Content-Type: text/plain"], "x", 415),
        ("GET /api/usage/today", &["Authorization: Basic x"], "", 401),
        ("OPTIONS /api/usage/today", &[], "", 405),
    ] {
        let answer = call(world.address, line, headers, body).await;
        assert_eq!(answer.status, status, "{line} {answer:?}");
        reported(&world, &answer);
    }
}

#[tokio::test]
async fn limits_are_as_configured_and_an_empty_list_disables_them() {
    let world = World::start().await;
    let answer = get(world.address, TODAY, &[]).await;
    assert!(!answer.headers.contains_key("x-ratelimit-limit"), "{answer:?}");
    let every_minute = defaults().process.control.rate_limits[1];
    world.configure(|snapshot| {
        let everybodys = WindowLimit { whose: config::snapshot::LimitSubject::Everybodys, ..every_minute };
        assert_eq!(everybodys.dimension, Dimension::Address);
        snapshot.process.control.rate_limits = vec![WindowLimit { limit: 2.try_into().unwrap(), ..everybodys }];
    });
    let holder = world.holder("ada", "starter").await;
    for expected in [200, 200, 429] {
        assert_eq!(get(world.address, TODAY, &[&holder.bearer()]).await.status, expected);
    }
    get(world.address, TODAY, &[]).await.refuses(429, "rate_limited");
}

#[tokio::test]
async fn only_a_trusted_proxy_sets_the_address_of_the_client() {
    let world = world().await;
    let spend = async |from: &str| {
        let answer = get(world.address, TODAY, &[&format!("X-Forwarded-For: {from}")]).await;
        reported(&world, &answer).1
    };
    // Without trusted proxies, all requests count for the peer.
    assert_eq!([spend("203.0.113.1").await, spend("203.0.113.2").await], [19, 18]);
    world.configure(|snapshot| snapshot.traffic.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    assert_eq!([spend("203.0.113.1").await, spend("203.0.113.2").await], [19, 19]);
    assert_eq!(spend("9.9.9.9, 203.0.113.1").await, 18);
    assert_eq!(spend("203.0.113.1, 127.0.0.9").await, 17);
    assert_eq!([spend("2001:db8::1").await, spend("2001:db8::2").await, spend("2001:db8:0:1::2").await], [19, 18, 19]);
    assert_eq!(address::network("2001:db8::2".parse().unwrap()).to_string(), "2001:db8::");
    // An invalid forwarded address counts for the proxy.
    assert_eq!([spend("nonsense").await, spend("203.0.113.1, x").await, spend("").await], [17, 16, 15]);
}

/// While the store is unavailable, a request with a valid key or session gets a 503 response and not a 429.
#[tokio::test]
async fn while_the_store_is_unavailable_no_client_counts_as_unauthenticated() {
    let world = world().await;
    let holder = world.holder("ada", "starter").await;
    let session = world.sign_in(&world.person("bob").await).await;
    world.store.close().await;
    world.clock.advance(Duration::from_secs(2));
    let token = format!(r#"{{"token": "{}"}}"#, holder.secret);
    for _ in 0..30 {
        for answer in [
            get(world.address, TODAY, &[&holder.bearer()]).await,
            get(world.address, TODAY, &[&session.bearer()]).await,
            get(world.address, TODAY, &[&session.cookie()]).await,
            post(world.address, "/api/auth/validate", &[], &token).await,
        ] {
            answer.refuses(503, "unavailable");
        }
    }
    // A request without a credential still counts as unauthenticated: only the sign-in above was counted.
    let answer = get(world.address, TODAY, &[]).await;
    assert_eq!((answer.status, reported(&world, &answer).1), (401, 18));
}

#[tokio::test]
async fn an_address_over_its_limit_causes_no_lookup() {
    let world = world().await;
    let of_keys = defaults().process.control.rate_limits[0];
    let every_minute = defaults().process.control.rate_limits[1];
    world.configure(|snapshot| {
        let everybodys = WindowLimit { whose: config::snapshot::LimitSubject::Everybodys, ..every_minute };
        snapshot.process.control.rate_limits =
            vec![of_keys, WindowLimit { limit: 2.try_into().unwrap(), ..everybodys }];
    });
    let holder = world.holder("ada", "starter").await;
    for _ in 0..2 {
        assert_eq!(get(world.address, TODAY, &[]).await.status, 401);
    }
    // A look-up would fail, and respond with 503.
    world.store.close().await;
    for _ in 0..3 {
        let answer = get(world.address, TODAY, &[&holder.bearer()]).await;
        answer.refuses(429, "rate_limited");
        assert_eq!(reported(&world, &answer).0, 2);
    }
}

#[tokio::test]
async fn a_key_in_the_body_that_is_over_its_limit_is_not_read_from_the_store() {
    let world = world().await;
    let holder = world.holder("ada", "starter").await;
    for _ in 0..100 {
        assert_eq!(get(world.address, TODAY, &[&holder.bearer()]).await.status, 200);
    }
    // The directory has cached the key, but the user would have to be read from the store.
    world.store.close().await;
    let token = format!(r#"{{"token": "{}"}}"#, holder.secret);
    let answer = post(world.address, "/api/auth/validate", &[], &token).await;
    answer.refuses(429, "rate_limited");
    assert_eq!(reported(&world, &answer).0, 100);
}

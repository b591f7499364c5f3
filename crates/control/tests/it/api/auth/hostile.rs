//! Hostile requests to the endpoints of authentication.

use config::snapshot::SignupMode;
use serde_json::{Value, json};

use crate::client::{call, post, raw};
use crate::person::{ORIGIN, PASSWORD};
use crate::world::World;

/// Every endpoint that reads a body, with a valid body.
fn bodies() -> Vec<(&'static str, Value)> {
    let token = format!("tgl_{}", "A".repeat(43));
    vec![
        ("/api/auth/register", json!({"email": "x@example.com", "password": PASSWORD, "name": "X", "invite": token})),
        ("/api/auth/login", json!({"email": "x@example.com", "password": PASSWORD})),
        ("/api/auth/login", json!({"key": "tollgate_0123456789abcdef0123456789abcdef"})),
        ("/api/auth/refresh", json!({"refresh_token": format!("tgr_{}", "A".repeat(43))})),
        ("/api/auth/logout", json!({"refresh_token": format!("tgr_{}", "A".repeat(43))})),
        ("/api/auth/password", json!({"current": PASSWORD, "new": "another horse, same battery"})),
        ("/api/auth/link/check", json!({"token": token})),
        ("/api/auth/link", json!({"token": token, "password": PASSWORD, "name": "X", "email": "x@example.com"})),
    ]
}

async fn world() -> (World, String) {
    let world = World::start().await;
    world.configure(|snapshot| snapshot.traffic.signup.mode = SignupMode::Open);
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    (world, session.bearer())
}

#[tokio::test]
async fn no_text_is_executed_as_sql_or_causes_an_internal_error() {
    let (world, bearer) = world().await;
    let texts = [
        "'; DROP TABLE users; --",
        "' OR '1'='1",
        "\"; DELETE FROM sessions; --",
        "$1",
        "a\0b",
        "\u{202e}\u{2066}\u{feff}",
        "مرحبا",
        "%s%n%x",
        "{{brand}}",
        "\u{fffd}\u{10ffff}",
        "../../../etc/passwd",
        &"x".repeat(100_000),
    ];
    for (path, body) in bodies() {
        for (name, _) in body.as_object().unwrap() {
            for text in texts {
                world.forget_attempts();
                let mut changed = body.clone();
                changed[name] = text.into();
                let headers = [bearer.as_str()];
                let headers: &[&str] = if path == "/api/auth/password" { &headers } else { &[] };
                let answer = post(world.address, path, headers, &changed.to_string()).await;
                assert!((200..500).contains(&answer.status), "{path} {name} {text:?}: {answer:?}");
                assert!(!answer.body.to_lowercase().contains("sql"), "{answer:?}");
            }
        }
    }
    assert!(world.store.users().await.unwrap().iter().any(|user| user.address_or_name() == "ada@example.com"));
}

#[tokio::test]
async fn fields_that_are_not_known_are_named() {
    let (world, bearer) = world().await;
    for (path, body) in bodies() {
        let mut changed = body.clone();
        changed["is_admin"] = true.into();
        let message = post(world.address, path, &[&bearer], &changed.to_string()).await.refuses(400, "bad_request");
        assert!(message.contains("unknown field `is_admin`"), "{path}: {message}");
        for value in [json!(1), json!(["x"]), json!({"a": "b"}), json!(true), json!(1.5)] {
            for (name, _) in body.as_object().unwrap() {
                let mut changed = body.clone();
                changed[name] = value.clone();
                let answer = post(world.address, path, &[&bearer], &changed.to_string()).await;
                assert!(answer.refuses(400, "bad_request").contains(&format!("`{name}`")), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn invalid_or_oversized_bodies_are_refused_first() {
    let (world, bearer) = world().await;
    for (path, body) in bodies() {
        let text = body.to_string();
        let line = format!("POST {path}");
        // A session that was signed out would be invalid.
        let bearer = if path == "/api/auth/password" { bearer.as_str() } else { "X-Nothing: 1" };
        for kind in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "X-None: 1"] {
            call(world.address, &line, &[kind, bearer], &text).await.refuses(415, "unsupported_media_type");
        }
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n{bearer}\r\n"
        );
        let announced = format!("{head}Content-Length: 10485760\r\n\r\n");
        raw(world.address, announced.as_bytes()).await.refuses(413, "payload_too_large");
        let big = format!("{{\"name\":\"{}\"}}", "x".repeat(1_100_000));
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
        raw(world.address, chunked.as_bytes()).await.refuses(413, "payload_too_large");
        for text in ["", "null", "[]", "{", "\u{feff}{}", "{\"a\":\"\\ud800\"}"] {
            let answer = post(world.address, path, &[bearer], text).await;
            assert!((400..=401).contains(&answer.status), "{path} {text:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn no_refusal_repeats_a_secret() {
    let (world, bearer) = world().await;
    let secrets = ["a secret of twelve", "tollgate_fedcba98765432100123456789abcdef", "tgl_c2VjcmV0", "tgr_c2VjcmV0"];
    for (path, body) in bodies() {
        for (name, _) in body.as_object().unwrap() {
            for secret in secrets {
                world.forget_attempts();
                let mut changed = body.clone();
                changed[name] = secret.into();
                changed["extra"] = secret.into();
                let answer = post(world.address, path, &[&bearer], &changed.to_string()).await;
                assert!(!answer.body.contains(secret), "{path} {name}: {answer:?}");
                changed.as_object_mut().unwrap().remove("extra");
                let answer = post(world.address, path, &[&bearer], &changed.to_string()).await;
                let is_own = answer.status < 300 && (name == "name" || name == "email");
                assert!(is_own || !answer.body.contains(secret), "{path} {name}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn cookies_and_headers_of_any_bytes_are_no_fault() {
    let (world, _) = world().await;
    let heads: [&[u8]; 6] = [
        b"Cookie: tollgate_session=\xff\xfe; tollgate_refresh=\x80",
        b"Cookie: tollgate_session=;;;===; =; tollgate_session",
        b"Authorization: Bearer \xff.\xff.\xff",
        b"User-Agent: \xff\xfe\x80",
        b"Origin: \xff",
        b"Sec-Fetch-Site: \xff",
    ];
    for head in heads {
        for line in ["GET /api/me", "POST /api/auth/logout", "POST /api/auth/refresh", "GET /api/sessions"] {
            let mut request = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n").into_bytes();
            request.extend_from_slice(head);
            request.extend_from_slice(b"\r\n\r\n");
            let answer = raw(world.address, &request).await;
            assert!((400..500).contains(&answer.status), "{line} {head:?}: {answer:?}");
        }
    }
    let long = format!("Cookie: tollgate_session={}", format!("{}.", "a".repeat(3_000)).repeat(3));
    world.me(&long).await.refuses(401, "unauthorized");
    let answer = call(world.address, "POST /api/auth/logout", &[&long, ORIGIN], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

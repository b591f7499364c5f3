//! Routes with `auth: {type: jwt}`: the tokens that they accept, and what upstreams receive.

use std::time::Duration;

use access::credentials::jwt::KeySet;
use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use spool::Record;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gateway::{Caller, Gateway, NOON};
use crate::raw::{Conn, Raw};
use crate::wire;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An upstream that responds 200 to everything.
pub(crate) async fn upstream() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.head().await.is_some() {
            conn.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await
}

fn yaml(raw: &Raw, more: &str) -> String {
    format!(
        "trusted_proxies: [127.0.0.1]
rate_limits: []
auth:
  - {{name: hmac, type: jwt, algorithms: [HS256], secret: {SECRET}, audience: [api, web], leeway: 5s, claims_to_headers: {{sub: X-User-Id, team: X-Team}}{more}}}
  - {{name: other, type: jwt, algorithms: [HS256], secret: another-{SECRET}, issuer: https://id.example.com}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: users, path: {{prefix: /users}}, events: rows, auth: {{type: jwt, use: hmac}}, upstreams: backend,
     transformations: {{request: {{add_headers: {{X-Copy: '${{header.X-Team}}'}}}}}}}}
  - {{name: admin, path: {{prefix: /admin}}, auth: {{type: jwt, use: hmac, require: {{scope: users.write, team: red}}}}, upstreams: backend}}
  - {{name: other, path: {{prefix: /other}}, auth: {{type: jwt, use: other}}, upstreams: backend}}
  - {{name: open, path: {{prefix: /open}}, auth: {{type: none}}, upstreams: backend,
     transformations: {{request: {{add_headers: {{X-Copy: '${{header.X-User-Id}}, ${{header.X-Remote-User}}'}}}}}}}}
  - {{name: allowed, path: {{prefix: /allowed}}, auth: {{type: none}}, allow_headers: [X-Team], upstreams: backend}}
  - {{name: robots, path: /robots.txt, auth: {{type: jwt, use: hmac}}, respond: {{body: x}}}}
",
        raw.address
    )
}

pub(crate) fn token(claims: &str, secret: &str) -> String {
    let encoded = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let message = format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"JWT"}"#), encoded(claims));
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = EncodingKey::from_secret(secret.as_bytes());
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap())
}

/// A token of `ada` for the API that ends in one hour, with further claims.
pub(crate) fn of_ada(more: &str) -> String {
    let exp = NOON.unix_seconds() + 3_600;
    token(&format!(r#"{{"sub":"ada","aud":"api","exp":{exp}{more}}}"#), SECRET)
}

/// Sends a request with these fields. Returns the status, and the head with the body.
pub(crate) async fn call(gateway: &Gateway, path: &str, fields: &str) -> (u16, String) {
    call_as(&gateway.caller(), path, fields).await
}

/// The same as a client that another task may have.
pub(crate) async fn call_as(caller: &Caller, path: &str, fields: &str) -> (u16, String) {
    let mut stream = caller.connect().await;
    let head = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// Starts an upstream that responds with the fields that it receives.
async fn reporting() -> Raw {
    let report = wire::upstream(|sent| {
        let fields: Vec<String> = sent.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (wire::answer(&fields.join("|")), false)
    });
    report.await
}

async fn with_token(gateway: &Gateway, path: &str, token: &str) -> (u16, String) {
    call(gateway, path, &format!("authorization: Bearer {token}\r\n")).await
}

#[tokio::test]
async fn a_valid_token_is_a_subject_whose_claims_the_upstream_receives() {
    let raw = reporting().await;
    let mut gateway = Gateway::plain(&yaml(&raw, ""));
    let spoofed = "x-user-id: root\r\nX_User_Id: root\r\nx-team: blue\r\nx-other: 1\r\nauthorization: Basic eDp5\r\n";
    for _ in 0..2 {
        let fields = format!("{spoofed}authorization: Bearer {}\r\n", of_ada(r#","team":"red","n":1"#));
        let (status, answer) = call(&gateway, "/users/7", &fields).await;
        let report = answer.to_ascii_lowercase();
        assert_eq!(status, 200, "{answer}");
        assert!(
            ["x-user-id=ada", "x-team=red", "x-copy=red", "x-other=1"].iter().all(|field| report.contains(field)),
            "{answer}"
        );
        assert!(!["root", "blue", "authorization"].iter().any(|field| report.contains(field)), "{answer}");
    }
    assert_eq!(call(&gateway, "/robots.txt", &format!("authorization: Bearer {}\r\n", of_ada(""))).await.0, 200);
    let records = gateway.stop().await;
    let subjects: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let Record::Event(event) = record else { return None };
            event.subject.name().map(|name| (name.issuer.to_owned(), name.name.to_owned()))
        })
        .collect();
    assert_eq!(subjects, vec![("hmac".to_owned(), "ada".to_owned()); 2]);
}

#[tokio::test]
async fn invalid_tokens_are_refused_with_the_challenge_of_rfc_6750() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let exp = NOON.unix_seconds() + 60;
    let none = "\r\nwww-authenticate: Bearer\r\n";
    let invalid = "\r\nwww-authenticate: Bearer error=\"invalid_token\"\r\n";
    let key = gateway.caller().authorization();
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    for (fields, code, challenge) in [
        (String::new(), "unauthorized", none),
        ("authorization: Basic eDp5\r\n".to_owned(), "unauthorized", none),
        (format!("x-api-key: {}\r\n", of_ada("")), "unauthorized", none),
        (bearer("nonsense"), "token_invalid", invalid),
        (format!("authorization: {key}\r\n"), "token_invalid", invalid),
        (bearer(&format!("{}x", of_ada(""))), "token_invalid", invalid),
        (bearer(&"a".repeat(20_000)), "token_invalid", invalid),
        (bearer(&token(&format!(r#"{{"sub":"ada","aud":"api","exp":{exp}}}"#), "x")), "token_invalid", invalid),
        (bearer(&token(&format!(r#"{{"sub":"ada","aud":"cli","exp":{exp}}}"#), SECRET)), "token_invalid", invalid),
        (bearer(&token(r#"{"sub":"ada","aud":"api","exp":1}"#, SECRET)), "token_expired", invalid),
        (bearer(&token(&format!(r#"{{"sub":{{"a":1}},"aud":"api","exp":{exp}}}"#), SECRET)), "token_invalid", invalid),
    ] {
        let (status, answer) = call(&gateway, "/users", &fields).await;
        assert_eq!(status, 401, "{answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")) && answer.contains(challenge), "{code} {answer}");
    }
    let (status, answer) = call(&gateway, "/users", &bearer(&"a".repeat(100 * 1024))).await;
    assert!(status == 431 && answer.contains("header_too_large"), "a token of 100 KB: {answer}");
    let two = format!("{}{}", bearer(&of_ada("")), bearer(&of_ada(r#","n":1"#)));
    let (status, answer) = call(&gateway, "/users", &two).await;
    assert!(status == 400 && answer.contains("ambiguous_credentials"), "{answer}");
    assert_eq!(raw.asked().len(), 0, "what is refused is not sent");
}

#[tokio::test]
async fn a_route_may_require_claims() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    for (claims, status) in [
        (r#","scope":"users.read users.write","team":"red""#, 200),
        (r#","scope":["users.write"],"team":"red""#, 200),
        (r#","scope":"users.read","team":"red""#, 403),
        (r#","scope":"users.write","team":"blue""#, 403),
        (r#","scope":"users.writer","team":"red""#, 403),
        ("", 403),
    ] {
        let (found, answer) = with_token(&gateway, "/admin", &of_ada(claims)).await;
        assert_eq!(found, status, "{claims} {answer}");
        if status == 403 {
            let challenge = "\r\nwww-authenticate: Bearer error=\"insufficient_scope\"\r\n";
            assert!(answer.contains(challenge) && answer.contains("\"code\":\"forbidden\""), "{answer}");
        }
        assert_eq!(with_token(&gateway, "/users", &of_ada(claims)).await.0, 200, "the other route requires nothing");
    }
}

#[tokio::test]
async fn a_verified_token_ends_with_its_time_its_entry_and_its_configuration() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let ada = of_ada("");
    assert_eq!(with_token(&gateway, "/users", &ada).await.0, 200);
    assert_eq!(with_token(&gateway, "/other", &ada).await.0, 401, "another entry has not verified it");
    gateway.reload(&yaml(&raw, ", issuer: nobody"));
    assert_eq!(with_token(&gateway, "/users", &ada).await.0, 401, "the new configuration does not accept it");
    gateway.reload(&yaml(&raw, ""));
    assert_eq!(with_token(&gateway, "/users", &ada).await.0, 200);
    gateway.clock().advance(Duration::from_secs(3_604));
    assert_eq!(with_token(&gateway, "/users", &ada).await.0, 200);
    gateway.clock().advance(Duration::from_secs(1));
    let (status, answer) = with_token(&gateway, "/users", &ada).await;
    assert!(status == 401 && answer.contains("token_expired"), "{answer}");
}

#[tokio::test]
async fn guesses_are_limited_per_address() {
    let raw = upstream().await;
    let limited =
        yaml(&raw, "").replace("rate_limits: []", "rate_limits: [{dimension: ip, limit: 3, window: 1m, without: key}]");
    let gateway = Gateway::plain(&limited);
    let cached = of_ada("");
    assert_eq!(with_token(&gateway, "/users", &cached).await.0, 200);
    for expected in [401, 401, 401, 429] {
        assert_eq!(with_token(&gateway, "/users", "a.b.c").await.0, expected);
    }
    assert_eq!(with_token(&gateway, "/users", &cached).await.0, 200, "a verified token needs no verification");
    let (status, answer) = with_token(&gateway, "/users", &of_ada(r#","team":"red""#)).await;
    assert!(status == 429 && answer.contains("\r\nretry-after: "), "no other token is verified: {answer}");
    assert!(gateway.metrics().contains("tollgate_limits_refused_total{limit=\"strangers\"} 2\n"));
}

#[tokio::test]
async fn a_claim_that_is_no_value_of_a_header_is_left_out() {
    let raw = reporting().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let long = format!("\"{}\"", "x".repeat(2_000));
    for team in [r#"["red"]"#, r#"{"name":"red"}"#, r#""""#, "1.5", r#""red\r\nx-user-id: root""#, &long] {
        let fields = format!("x-team: blue\r\nauthorization: Bearer {}\r\n", of_ada(&format!(",\"team\":{team}")));
        let (status, answer) = call(&gateway, "/users/7", &fields).await;
        let report = answer.to_ascii_lowercase();
        assert!(status == 200 && report.contains("x-user-id=ada"), "{team}: {answer}");
        assert!(!["x-team=", "blue", "root"].iter().any(|part| report.contains(part)), "{team}: {answer}");
    }
}

#[tokio::test]
async fn no_route_passes_headers_of_claims_from_clients() {
    let raw = reporting().await;
    let untrusted = yaml(&raw, "").replace("[127.0.0.1]", "[192.0.2.1]");
    let spoofed = "x-user-id: root\r\nX_User_Id: root\r\nx-remote-user: root\r\nx-team: blue\r\n";
    let gateway = Gateway::plain(&untrusted);
    for (path, passes_team) in [("/open", false), ("/allowed", true)] {
        let (status, answer) = call(&gateway, path, spoofed).await;
        assert_eq!((status, answer.contains("root"), answer.contains("blue")), (200, false, passes_team), "{answer}");
    }
    let trusted = Gateway::plain(&yaml(&raw, ""));
    let (_, answer) = call(&trusted, "/open", spoofed).await;
    assert!(answer.contains("blue"), "{answer}");
}

#[tokio::test]
async fn headers_from_claims_have_the_values_of_the_token_or_are_absent() {
    const ROUTE: &str = "routes:\n  - {name: made, path: {prefix: /made}, auth: {type: jwt, use: hmac}, upstreams: backend, \
        transformations: {request: {add_headers: {X-Sub: '${claim.sub}', X-Note: '${claim.note}'}}}}\n";
    let raw = reporting().await;
    let gateway = Gateway::plain(&yaml(&raw, "").replace("routes:\n", ROUTE));
    for (more, note) in [(r#","note":"red""#, Some("x-note=red")), ("", None), (r#","note":"a\r\nx-evil: 1""#, None)] {
        let fields = format!("x-sub: root\r\nx-note: root\r\nauthorization: Bearer {}\r\n", of_ada(more));
        let (status, answer) = call(&gateway, "/made", &fields).await;
        let report = answer.to_ascii_lowercase();
        assert!(status == 200 && report.contains("x-sub=ada"), "{more}: {answer}");
        assert_eq!(report.contains("x-note="), note.is_some(), "{more}: {answer}");
        assert!(note.is_none_or(|note| report.contains(note)), "{more}: {answer}");
        assert!(!["root", "x-evil"].iter().any(|part| report.contains(part)), "{more}: {answer}");
    }
}

#[tokio::test]
async fn trailers_set_no_header_of_a_claim() {
    let raw = wire::upstream(|sent| (wire::answer(&sent.trailers.join("|")), false)).await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    let mut stream = gateway.caller().connect().await;
    let head = format!(
        "POST /users HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\
         trailer: x-user-id, x-checksum\r\n\r\n1\r\na\r\n0\r\nx-user-id: root\r\nx_team: root\r\nx-checksum: 1\r\n\r\n",
        of_ada("")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("x-checksum: 1") && !answer.contains("root"), "{answer}");
}

/// Signed with the key of [`document`], whose `kid` is `one`: the subject `ada`, and an end in the year 2100.
const PUBLISHED: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6Im9uZSJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.2HTtYiSwkAKcKyOa_HLpaYDS4YOS1BuFL04nz2PVMfwFPpd3ok0JOBUVx1vLBZUMg5SAH3_w-AZLFfBHCPZJAQ";

/// The key set of an issuer with one key (RFC 8037, A.2).
fn document(kid: &str) -> KeySet {
    let key = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    KeySet::parse(format!(r#"{{"keys":[{{{key},"kid":"{kid}"}}]}}"#).as_bytes()).unwrap()
}

#[tokio::test]
async fn tokens_are_judged_with_the_published_keys_in_use() {
    let yaml = "rate_limits: []
auth: [{name: a, type: jwt, algorithms: [EdDSA], jwks: 'https://id.example.com/keys'}]
routes: [{path: /a, auth: {type: jwt}, respond: {body: fine}}]
";
    let gateway = Gateway::plain(yaml);
    let keys = gateway.issuer_keys();
    let check = async |token: &str, status: u16, code: &str| {
        let (found, answer) = with_token(&gateway, "/a", token).await;
        assert_eq!(found, status, "{answer}");
        assert!(answer.contains(code), "{answer}");
        answer
    };
    for token in [PUBLISHED, "nonsense"] {
        let answer = check(token, 503, "\"code\":\"issuer_unavailable\"").await;
        assert!(answer.contains("\r\nretry-after: 5\r\n") && !answer.contains("www-authenticate"), "{answer}");
    }
    assert_eq!(call(&gateway, "/a", "").await.0, 401, "a request without a token is not the issuer's fault");
    keys.store(document("one"));
    check(PUBLISHED, 200, "fine").await;
    check("nonsense", 401, "\"code\":\"token_invalid\"").await;
    assert!(!keys.is_requested());
    // The key was removed: the cached token is verified again, after the keys were fetched once more.
    keys.store(document("two"));
    let fetched = async |set: Option<&str>| {
        while !keys.is_requested() {
            tokio::task::yield_now().await;
        }
        keys.begin_fetch();
        if let Some(set) = set {
            keys.store(document(set));
        }
        keys.end_fetch(set.is_some());
    };
    tokio::join!(check(PUBLISHED, 401, "a key that its issuer does not publish"), fetched(Some("two")));
    check(PUBLISHED, 401, "a key that its issuer does not publish").await;
    assert!(!keys.is_requested(), "a refused token is remembered");
    // The issuer has rotated its keys: the first token of the new one waits for them, and a failed fetch refuses none.
    keys.store(document("three"));
    tokio::join!(check(PUBLISHED, 503, "\"code\":\"issuer_unavailable\""), fetched(None));
    tokio::join!(check(PUBLISHED, 200, "fine"), fetched(Some("one")));
    check(PUBLISHED, 200, "fine").await;
}

#[tokio::test]
async fn claims_limit_requests_and_decide_the_tier() {
    let yaml = format!(
        "rate_limits: [{{dimension: {{claim: tenant}}, limit: 2, tiers: {{by: {{claim: tier}}, pro: 3}}, window: 60s}}]
auth: [{{name: a, type: jwt, algorithms: [HS256], secret: {SECRET}}}]
routes: [{{path: /a, auth: {{type: jwt}}, respond: {{body: fine}}}}, {{path: /b, auth: {{type: none}}, respond: {{body: fine}}}}]
"
    );
    let gateway = Gateway::plain(&yaml);
    for (claims, passes) in [
        (r#","tenant":"a""#, 2),
        (r#","tenant":"b","tier":"other""#, 2),
        (r#","tenant":"a","tier":"pro""#, 3),
        (r#","tenant":7,"tier":"pro""#, 3),
        (r#","tenant":"7","tier":["pro"]"#, 2),
        // These tokens have no tenant, and count together.
        ("", 2),
        (r#","tenant":null"#, 0),
        (r#","tenant":{"id":"a"}"#, 0),
        (r#","tenant":["a"]"#, 0),
    ] {
        let mut passed = 0;
        while with_token(&gateway, "/a", &of_ada(claims)).await.0 == 200 {
            passed += 1;
        }
        assert_eq!(passed, passes, "{claims}");
    }
    for _ in 0..4 {
        assert_eq!(call(&gateway, "/b", "").await.0, 200, "requests without a token do not count");
    }
}

#[tokio::test]
async fn health_checks_need_no_credentials_on_their_exact_paths() {
    let raw = reporting().await;
    let yaml = |more: &str| {
        format!(
            "{more}rate_limits: []
auth: [{{name: a, type: jwt, algorithms: [HS256], secret: {SECRET}, claims_to_headers: {{sub: X-User-Id}}}}]
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{path: {{prefix: /}}, auth: {{type: jwt}}, upstreams: backend}}
  - {{path: {{prefix: /readyz}}, auth: {{type: key}}, upstreams: backend}}
  - {{path: /checks/db, auth: {{type: jwt}}, upstreams: backend}}
",
            raw.address
        )
    };
    let usual = Gateway::plain(&yaml(""));
    let other = Gateway::plain(&yaml("health_paths: [/checks/db]\n"));
    let none = Gateway::plain(&yaml("health_paths: []\n"));
    for (path, expected) in [
        ("/health", (200, 401, 401)),
        ("/livez?verbose=1", (200, 401, 401)),
        ("/health?", (200, 401, 401)),
        ("/health?a=%2f;b&a=//c", (200, 401, 401)),
        ("/readyz", (200, 401, 401)),
        ("/checks/db", (401, 200, 401)),
        ("/health/", (401, 401, 401)),
        ("/health/db", (401, 401, 401)),
        ("/Health", (401, 401, 401)),
        ("/%68ealth", (401, 401, 401)),
        ("/x/../health", (401, 401, 401)),
        ("//health", (401, 401, 401)),
        ("/healthz", (200, 200, 200)),
        ("/healthz/", (401, 401, 401)),
    ] {
        let status = async |gateway: &Gateway| {
            let found = call(gateway, path, "").await.0;
            // A path that two servers could read differently may be refused as such.
            if found == 400 { 401 } else { found }
        };
        assert_eq!((status(&usual).await, status(&other).await, status(&none).await), expected, "{path}");
    }
    let fields = format!("authorization: Bearer {}\r\nx-user-id: root\r\n", of_ada(""));
    let (status, answer) = call(&usual, "/health", &fields).await;
    let report = answer.to_ascii_lowercase();
    assert_eq!(status, 200, "{answer}");
    assert!(!report.contains("authorization=") && !report.contains("x-user-id="), "{answer}");
    assert!(call(&usual, "/healthz", "").await.1.ends_with("{\"status\":\"ok\"}"));
    for (method, expected) in [("POST", 401), ("HEAD", 200), ("DELETE", 401)] {
        let mut stream = usual.caller().connect().await;
        let head = format!("{method} /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{method} {answer}");
    }
}

#[tokio::test]
async fn subjects_of_tokens_have_the_rate_limit_of_their_plan() {
    let yaml = format!(
        "rate_limits: [{{dimension: {{claim: n}}, limit: 100, tiers: {{by: plan, pro: 4}}, window: 60s}}]
plans: [{{name: free, requests_per_minute: 2}}, {{name: pro, requests_per_minute: 5}}, {{name: open}}]
auth:
  - {{name: named, type: jwt, algorithms: [HS256], secret: {SECRET}, plan: free}}
  - {{name: claimed, type: jwt, algorithms: [HS256], secret: {SECRET}, plan: {{claim: plan}}}}
  - {{name: without, type: jwt, algorithms: [HS256], secret: {SECRET}}}
routes:
  - {{path: /named, auth: {{type: jwt, use: named}}, respond: {{body: fine}}}}
  - {{path: /claimed, auth: {{type: jwt, use: claimed}}, respond: {{body: fine}}}}
  - {{path: /without, auth: {{type: jwt, use: without}}, respond: {{body: fine}}}}
"
    );
    let gateway = Gateway::plain(&yaml);
    let exp = NOON.unix_seconds() + 3_600;
    let token = |sub: &str, more: &str| token(&format!(r#"{{"sub":"{sub}","exp":{exp}{more}}}"#), SECRET);
    for (path, sub, more, passes, end) in [
        ("/named", "ada", r#","n":1"#, 2, 429),
        ("/named", "bob", r#","plan":"pro","n":2"#, 2, 429),
        ("/claimed", "ada", r#","plan":"free","n":3"#, 2, 429),
        ("/claimed", "bob", r#","plan":"pro","n":4"#, 4, 429),
        ("/claimed", "eve", r#","plan":"gold""#, 0, 403),
        ("/claimed", "eve", r#","plan":["pro"]"#, 0, 403),
        ("/claimed", "eve", "", 0, 403),
        ("/claimed", "zoe", r#","plan":"open","n":5"#, 9, 200),
        ("/without", "ada", r#","plan":"free","n":6"#, 9, 200),
    ] {
        let token = token(sub, more);
        let mut statuses = Vec::new();
        for _ in 0..=passes {
            statuses.push(with_token(&gateway, path, &token).await.0);
        }
        let expected: Vec<u16> = std::iter::repeat_n(200, passes).chain([end]).collect();
        assert_eq!(statuses, expected, "{path} {sub} {more}");
    }
}

#[tokio::test]
async fn keys_of_the_configuration_admit_to_the_routes_that_use_them() {
    let raw = reporting().await;
    let yaml = format!(
        "rate_limits: []
auth:
  - name: partners
    type: key
    keys:
      - {{name: acme, sha256: 9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f}}
      - {{name: beta, value: fedcba9876543210}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: p, path: {{prefix: /p}}, events: rows, auth: {{type: key, use: partners}}, upstreams: backend}}
  - {{name: k, path: {{prefix: /k}}, auth: {{type: key}}, upstreams: backend}}
",
        raw.address
    );
    let mut gateway = Gateway::plain(&yaml);
    let own = format!("authorization: {}\r\n", gateway.caller().authorization());
    for (path, fields, status, code) in [
        ("/p", "x-api-key: 0123456789abcdef\r\n", 200, "host="),
        ("/p", "authorization: Bearer fedcba9876543210\r\n", 200, "host="),
        ("/p", "x-goog-api-key: fedcba9876543210\r\n", 200, "host="),
        ("/p", "x-api-key: fedcba9876543211\r\n", 401, "key_unknown"),
        ("/p", "x-api-key: 9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f\r\n", 401, "key_unknown"),
        ("/p", &own, 401, "key_unknown"),
        ("/p", "", 401, "unauthorized"),
        ("/p", "x-api-key: 0123456789abcdef\r\napi-key: fedcba9876543210\r\n", 400, "ambiguous_credentials"),
        ("/k", "x-api-key: 0123456789abcdef\r\n", 401, "key_malformed"),
        ("/k", &own, 200, "host="),
    ] {
        let (found, answer) = call(&gateway, path, fields).await;
        assert_eq!(found, status, "{path} {fields} {answer}");
        assert!(answer.contains(code), "{path} {fields} {answer}");
        let report = answer.to_ascii_lowercase();
        assert!(!["api-key=", "authorization="].iter().any(|field| report.contains(field)), "{answer}");
    }
    let records = gateway.stop().await;
    let names = records.iter().filter_map(|record| {
        let Record::Event(event) = record else { return None };
        event.subject.name().map(|name| (name.issuer.to_owned(), name.name.to_owned()))
    });
    let of = |name: &str| ("partners".to_owned(), name.to_owned());
    assert_eq!(names.collect::<Vec<_>>(), [of("acme"), of("beta"), of("beta")]);
}

//! The cross-origin rules of routes.

use http::HeaderValue;

use super::errors::check;
use super::*;
use crate::snapshot::Cors;

fn file(cors: &str) -> String {
    format!("routes:\n  - path: /a\n    respond: {{}}\n    cors: {{{cors}}}\n")
}

fn cors(keys: &str) -> Cors {
    let snapshot = snapshot(&file(keys));
    snapshot.traffic.router.routes()[0].policy.cors.as_deref().cloned().unwrap()
}

#[test]
fn cross_origin_rules_are_read() {
    let least = cors("allowed_origins: ['https://App.example.com:443/', 'http://*.localhost:3000']");
    for (origin, expected) in [("https://app.example.com", true), ("http://a.localhost:3000", true), ("null", false)] {
        assert_eq!(least.allows(origin.as_bytes()), expected, "{origin}");
    }
    assert!(!least.credentials && least.methods.is_none());
    assert!(least.exposed.is_none() && least.max_age.is_none());
    let most = cors(
        "allowed_origins: ['https://a.example'], allowed_methods: [GET, POST], allowed_headers: [Authorization, X-A], \
         exposed_headers: [X-B], allow_credentials: true, max_age: 1h",
    );
    assert!(most.credentials);
    for (value, expected) in [
        (most.methods, "GET, POST"),
        (most.headers, "Authorization, X-A"),
        (most.exposed, "X-B"),
        (most.max_age, "3600"),
    ] {
        assert_eq!(value, Some(HeaderValue::from_static(expected)));
    }
    let all = cors("allowed_origins: ['https://a.example', '*'], allowed_headers: ['*'], exposed_headers: ['*']");
    assert!(all.origins.is_none() && all.allows(b"null"));
}

#[test]
fn pages_may_send_json_and_the_credential_of_the_route_by_default() {
    for (auth, headers, expected) in [
        ("none", "", Some("Content-Type")),
        ("key", "", Some("Content-Type, Authorization, X-API-Key")),
        ("{type: jwt}", "", Some("Content-Type, Authorization")),
        ("{any: [{type: jwt}, {type: key}]}", "", Some("Content-Type, Authorization, X-API-Key")),
        ("{type: jwt}", ", allowed_headers: []", None),
        ("{type: jwt}", ", allowed_headers: [X-A]", Some("X-A")),
    ] {
        let entry =
            "auth: [{name: hmac, type: jwt, algorithms: [HS256], secret: '00000000000000000000000000000000'}]\n";
        let route = file(&format!("allowed_origins: ['https://a.example']{headers}"));
        let snapshot = snapshot(&format!("{entry}{route}    auth: {auth}\n"));
        let cors = snapshot.traffic.router.routes()[0].policy.cors.as_deref().unwrap().clone();
        assert_eq!(cors.headers, expected.map(HeaderValue::from_static), "{auth} {headers}");
    }
}

#[test]
fn invalid_cross_origin_rules_are_reported() {
    check(
        &file("allowed_origins: ['*'], allow_credentials: true"),
        "
error[bad_value]: `allowed_origins` has `*`, which browsers do not accept with `allow_credentials`
 --> t.yaml:4:55
  |
4 |     cors: {allowed_origins: ['*'], allow_credentials: true}
  |                                                       ^^^^ expected the values of `allowed_origins`, or no `allow_credentials`",
    );
    for (keys, codes) in [
        ("allowed_methods: [GET]", "missing"),
        ("allowed_origins: []", "bad_value"),
        ("allowed_origins: ['null']", "bad_value"),
        ("allowed_origins: [example.com]", "bad_value"),
        ("allowed_origins: ['https://a.example/path']", "bad_value"),
        ("allowed_origins: ['https://*']", "bad_value"),
        ("allowed_origins: ['https://a.example'], allowed_methods: ['*']", "bad_value"),
        ("allowed_origins: ['https://a.example'], allowed_methods: [get]", "bad_value"),
        ("allowed_origins: ['https://a.example'], allowed_headers: ['a b']", "bad_value"),
        ("allowed_origins: ['https://a.example'], max_age: 25h", "bad_value"),
        ("allowed_origins: ['https://a.example'], allow_credentials: true, allowed_headers: ['*']", "bad_value"),
        (
            "allowed_origins: ['*'], allow_credentials: true, allowed_headers: ['*'], exposed_headers: [X-A, '*']",
            "bad_value bad_value bad_value",
        ),
    ] {
        let error = read_text(&file(keys)).map(|_| ()).expect_err(keys);
        let found: Vec<_> = error.problems.iter().map(|problem| problem.code.name()).collect();
        assert_eq!(found.join(" "), codes, "{keys}\n{error}");
    }
}

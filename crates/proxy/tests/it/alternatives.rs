//! Routes with `auth: {any: [...]}`: the credential that decides, and the challenges of a refusal.

use crate::basic::{self, ARGON2ID};
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::tokens::{SECRET, call, of_ada, token, upstream};
use crate::wire;

const LISTED: &str = "a-key-of-a-partner";

fn yaml(raw: &Raw) -> String {
    format!(
        "rate_limits: []
auth:
  - {{name: hmac, type: jwt, algorithms: [HS256], secret: {SECRET}, audience: api}}
  - {{name: other, type: jwt, algorithms: [HS256], secret: another-{SECRET}, issuer: https://id.example.com}}
  - {{name: partners, type: key, keys: [{{name: acme, value: {LISTED}}}]}}
  - {{name: ops, type: basic, users: [{{name: ada, hash: \"{ARGON2ID}\"}}]}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{name: all, path: {{prefix: /all}}, auth: {{any: [{{type: jwt, use: other}}, {{type: jwt, use: hmac}}, {{type: key, use: partners}}, {{type: key}}, {{type: basic}}]}}, upstreams: backend}}
  - {{name: scope, path: {{prefix: /scope}}, auth: {{any: [{{type: jwt, use: hmac, require: {{scope: a}}}}, {{type: basic}}]}}, upstreams: backend}}
  - {{name: open, path: {{prefix: /open}}, auth: {{any: [{{type: key, use: partners}}, {{type: basic}}, {{type: none}}]}}, upstreams: backend}}
",
        raw.address
    )
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn of_other(secret: &str) -> String {
    let exp = crate::gateway::NOON.unix_seconds() + 60;
    token(&format!(r#"{{"sub":"eve","iss":"https://id.example.com","exp":{exp}}}"#), secret)
}

#[tokio::test]
async fn each_credential_of_the_route_admits() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    let key = gateway.caller().authorization();
    for fields in [
        bearer(&of_ada("")),
        bearer(&of_other(&format!("another-{SECRET}"))),
        bearer(LISTED),
        format!("x-api-key: {LISTED}\r\n"),
        format!("authorization: {key}\r\n"),
        format!("api-key: {}\r\n", key.strip_prefix("Bearer ").unwrap()),
        basic::authorization_line("ada", "open sesame"),
    ] {
        let (status, answer) = call(&gateway, "/all", &fields).await;
        assert_eq!(status, 200, "{fields} {answer}");
    }
}

#[tokio::test]
async fn the_first_credential_in_its_form_decides() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    let wrong = basic::authorization_line("ada", "wrong");
    for (fields, status, code) in [
        // A valid credential of a later alternative does not replace an invalid one of an earlier.
        (format!("{}x-api-key: {LISTED}\r\n", bearer("a.b.c")), 401, "token_invalid"),
        (format!("{wrong}{}", bearer(&of_ada(""))), 200, ""),
        (format!("{wrong}x-api-key: {LISTED}\r\n"), 200, ""),
        // `iss` selects the entry, whose key does not fit.
        (bearer(&of_other(SECRET)), 401, "token_invalid"),
        (bearer("an-unknown-key-of-a-partner"), 401, "key_unknown"),
        (bearer("tollgate_00000000000000000000000000000000"), 401, "key_unknown"),
        (wrong.clone(), 401, "password_invalid"),
        (String::new(), 401, "unauthorized"),
        ("authorization: Digest x\r\n".to_owned(), 401, "unauthorized"),
    ] {
        let (found, answer) = call(&gateway, "/all", &fields).await;
        assert!(found == status && answer.contains(code), "{fields} {answer}");
    }
}

#[tokio::test]
async fn a_refusal_has_the_challenge_of_each_alternative() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    let basic = "Basic realm=\"ops\", charset=\"UTF-8\"";
    for (path, fields, expected) in [
        ("/all", String::new(), vec!["Bearer", basic]),
        ("/all", bearer("a.b.c"), vec!["Bearer error=\"invalid_token\"", basic]),
        ("/all", basic::authorization_line("ada", "wrong"), vec!["Bearer", basic]),
        ("/open", basic::authorization_line("ada", "wrong"), vec!["Bearer", basic]),
        ("/scope", bearer(&of_ada("")), vec!["Bearer error=\"insufficient_scope\""]),
    ] {
        let (status, answer) = call(&gateway, path, &fields).await;
        let challenges = answer.lines().filter_map(|line| line.strip_prefix("www-authenticate: "));
        let mut challenges: Vec<&str> = challenges.collect();
        challenges.sort_by_key(|challenge| challenge.starts_with("Basic"));
        assert_eq!((status == 403, challenges), (path == "/scope", expected), "{answer}");
    }
}

#[tokio::test]
async fn an_optional_credential_must_be_valid() {
    let raw = upstream().await;
    let gateway = Gateway::plain(&yaml(&raw));
    for (fields, status) in [
        (String::new(), 200),
        ("x-other: 1\r\n".to_owned(), 200),
        (basic::authorization_line("ada", "open sesame"), 200),
        (basic::authorization_line("ada", "wrong"), 401),
        (bearer("an-unknown-key-of-a-partner"), 401),
        (bearer(&of_ada("")), 401),
        ("authorization: Digest x\r\n".to_owned(), 401),
    ] {
        let (found, answer) = call(&gateway, "/open", &fields).await;
        assert_eq!(found, status, "{fields} {answer}");
    }
}

#[tokio::test]
async fn no_credential_of_any_alternative_is_forwarded() {
    let reporting = wire::upstream(|sent| {
        let fields: Vec<String> = sent.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (wire::answer(&fields.join("|")), false)
    });
    let raw = reporting.await;
    let gateway = Gateway::plain(&yaml(&raw));
    let fields = format!("{}{}x-api-key: {LISTED}\r\n", bearer(LISTED), basic::authorization_line("ada", "x"));
    let (status, answer) = call(&gateway, "/all", &fields).await;
    let report = answer.to_ascii_lowercase();
    assert!(status == 200 && !report.contains("authorization") && !report.contains("x-api-key"), "{answer}");
}

#[tokio::test]
async fn no_key_of_a_user_reaches_an_upstream_in_another_place() {
    let raw = Raw::start(|mut conn| async move {
        while conn.whole_head().await.is_some() {
            conn.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}
upstreams: [{{name: backend, backends: [{{url: \"http://{}\"}}]}}]
routes:
  - {{path: {{prefix: /key}}, upstreams: backend}}
  - {{path: {{prefix: /any}}, auth: {{any: [{{type: key}}, {{type: none}}]}}, upstreams: backend}}
  - {{path: {{prefix: /open}}, auth: {{type: none}}, upstreams: backend}}
",
        raw.address
    ));
    let authorization = gateway.caller().authorization();
    let key = authorization.strip_prefix("Bearer ").unwrap();
    let other = key.replace(|digit: char| digit.is_ascii_digit(), "0");
    for route in ["/key", "/any", "/open"] {
        for (query, fields, place) in [
            (format!("?a=1&api_key={key}"), String::new(), "the query"),
            (format!("?{other}"), String::new(), "the query"),
            (String::new(), format!("cookie: a=b; gateway={key}\r\n"), "a cookie"),
        ] {
            let fields = format!("authorization: {authorization}\r\n{fields}");
            let (status, refusal) = call(&gateway, &format!("{route}{query}"), &fields).await;
            assert!(status == 400 && refusal.contains("\"code\":\"bad_request\""), "{refusal}");
            assert!(refusal.contains(&format!("{place} contains a key")) && !refusal.contains(key), "{refusal}");
        }
        assert!(raw.asked().is_empty());
    }
    let fields =
        format!("authorization: {authorization}\r\nX_API_Key: {key}\r\ncookie: a=order_{}\r\n", &key[key.len() - 32..]);
    for route in ["/key", "/any", "/open"] {
        assert_eq!(call(&gateway, route, &fields).await.0, 204);
    }
    let asked = raw.asked();
    assert!(asked.len() == 3 && asked.iter().all(|(_, head)| !head.contains(key)), "{asked:?}");
}

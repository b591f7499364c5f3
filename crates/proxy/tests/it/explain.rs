//! `Snapshot::explain` against the running worker: generated requests over generated configurations.

use std::fmt::Write as _;

use config::{Environment, Explanation, Flags, Sources, WrittenRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::basic::ARGON2ID;
use crate::gateway::{Caller, Gateway};
use crate::raw::{Conn, Raw};
use crate::tokens::SECRET;

const CONFIGS: usize = 300;
const REQUESTS: usize = 5;
/// The names of the upstreams.
const UPSTREAMS: [&str; 2] = ["one", "two"];

/// A generator of choices (splitmix64).
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// A response of the gateway.
#[derive(Debug)]
struct Received {
    status: u16,
    location: Option<String>,
    body: String,
}

/// Returns an upstream whose responses are its name and the received target.
async fn upstream(name: &'static str) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while conn.head().await.is_some() {
            let body = format!("{name} {}", conn.last_target());
            if !conn.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await {
                break;
            }
        }
    })
    .await
}

/// Returns a configuration with up to twelve routes, of which some may conflict.
fn configuration(choices: &mut Choices, upstreams: &[Raw; 2]) -> String {
    let mut yaml = format!("rate_limits: []\nai: {{prefix: {}}}\nupstreams:\n", choices.pick(&["/", "/llm"]));
    for (name, upstream) in UPSTREAMS.iter().zip(upstreams) {
        writeln!(yaml, "  - {{name: {name}, backends: [{{url: 'http://{}/base'}}]}}", upstream.address).unwrap();
    }
    yaml.push_str("routes:\n");
    for number in 0..2 + choices.below(11) {
        let host = choices.pick(&["", "", "", "host: a.example, ", "host: '*.example', ", "host: b.a.example, "]);
        let path = choices.pick(&[
            "/users",
            "/users/me",
            "'/users/{id}'",
            "'/{kind}/me'",
            "'/users/{*rest}'",
            "'/{*rest}'",
            "{prefix: /users}",
            "{prefix: /}",
            "{prefix: /v1}",
            "{regex: '^/users/[0-9]+$'}",
            "{regex: me$}",
        ]);
        let methods = choices.pick(&["", "", "methods: [GET], ", "methods: [POST, PUT], "]);
        let headers = choices.pick(&["", "", "headers: {X-A: '1'}, ", "headers: {X-A: {present: false}}, "]);
        let query = choices.pick(&["", "", "query: {q: {regex: '^[0-9]$'}}, "]);
        let auth = choices.pick(&["auth: {type: none}, ", "auth: {type: none}, ", ""]);
        let rewrite = |rewrite: &str| format!("transformations: {{request: {{rewrite: {rewrite}}}}}, upstreams: one");
        let action = match choices.below(7) {
            0 => format!("respond: {{body: r{number}}}"),
            1 => "redirect: {to: '/new?x', status: 301}".to_owned(),
            2 => "redirect: {to: 'https://else.example/y'}".to_owned(),
            3 => rewrite("{path: /other, query: {add: {g: '1'}, remove: [q]}}"),
            4 => rewrite("{path: {regex: '/e/', to: '/../'}}"),
            5 => "upstreams: [{name: one, weight: 2}, {name: two}]".to_owned(),
            _ => "upstreams: two".to_owned(),
        };
        writeln!(yaml, "  - {{name: r{number}, {host}path: {path}, {methods}{headers}{query}{auth}{action}}}").unwrap();
    }
    yaml
}

/// Returns the request line and the header fields of a request.
fn request(choices: &mut Choices, key: &str) -> (String, Vec<(String, String)>) {
    let method = choices.pick(&["GET", "GET", "POST", "DELETE"]);
    let host = choices.pick(&["a.example", "b.a.example", "B.A.Example:8080", "c.test"]);
    let path = choices.pick(&[
        "/users",
        "/users/",
        "/users/me",
        "/users/7",
        "/%75sers/7",
        "/users/7/me",
        "/other/me",
        "/",
        "/x",
        "/users/e/me",
        "/v1/models",
        "/healthz",
        "/health",
        "/v1/chat/completions",
        "/llm/v1/chat/completions",
        "//users",
    ]);
    let query = choices.pick(&["", "", "?q=7", "?q=7&q=x", "?a=%2F&q=1"]);
    let mut fields = Vec::new();
    for (name, value) in [("x-a", "1"), ("x_a", "1"), ("x-a", "2"), ("authorization", key), ("upgrade", "websocket")] {
        if choices.below(5) == 0 {
            fields.push((name.to_owned(), value.to_owned()));
        }
    }
    if choices.below(10) == 0 {
        fields.extend(
            [("connection", "upgrade"), ("upgrade", "websocket")].map(|(name, value)| (name.into(), value.into())),
        );
    }
    (format!("{method} http://{host}{path}{query}"), fields)
}

async fn send(caller: &Caller, line: &str, fields: &[(String, String)]) -> Received {
    let (method, url) = line.split_once(" http://").unwrap();
    let (host, target) = url.split_at(url.find('/').unwrap());
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in fields {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let is_closed = fields.iter().any(|(name, _)| name == "connection");
    head.push_str(if is_closed { "\r\n" } else { "connection: close\r\n\r\n" });
    let mut stream = caller.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    if is_closed {
        stream.shutdown().await.unwrap();
    }
    stream.read_to_end(&mut read).await.unwrap();
    let text = String::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line} {fields:?}: {text:?}"));
    let location =
        head.lines().find_map(|field| field.to_ascii_lowercase().starts_with("location: ").then(|| &field[10..]));
    Received { status: head[9..12].parse().unwrap(), location: location.map(str::to_owned), body: body.to_owned() }
}

/// Asserts that the response is the explained one.
fn check(explained: &Explanation, received: &Received) {
    if let Some(refusal) = &explained.refusal {
        assert_eq!(received.status, refusal.status);
        // On paths of LLM APIs, errors have the codes of those APIs.
        let is_llm = explained.request.path.contains("/v1/");
        assert!(is_llm || received.body.contains(refusal.code), "{}", refusal.code);
        return;
    }
    if let Some(status) = explained.status {
        assert_eq!(received.status, status);
    }
    let action = explained.action.as_ref().unwrap();
    assert_eq!(received.location, action.location);
    let route = explained.route.as_ref().unwrap();
    match action.kind {
        "respond" => assert_eq!((received.status, &received.body), (200, &route.name)),
        "redirect" | "status" => {}
        "models" => assert_eq!(received.status, 200),
        "inference" => assert_eq!(received.status, 400, "the request has no content"),
        "forward" => {
            let (upstream, target) = received.body.split_once(' ').unwrap();
            assert!(action.upstreams.iter().any(|possible| possible.name == upstream));
            // The upstream reports targets in lowercase.
            assert_eq!(target, format!("/base{}", action.target.as_ref().unwrap()).to_ascii_lowercase());
        }
        other => panic!("{other}"),
    }
}

/// Returns the compiled configuration; `None` if it is invalid.
fn compiled(yaml: &str) -> Option<config::Snapshot> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yaml");
    std::fs::write(&file, yaml).unwrap();
    let environment = &Environment::default();
    config::load(Sources { file: Some(&file), environment, flags: Flags::default() }).ok().map(|loaded| loaded.snapshot)
}

#[tokio::test]
async fn an_explanation_agrees_about_the_credential_that_decides() {
    let yaml = format!(
        "rate_limits: []
auth:
  - {{name: hmac, type: jwt, algorithms: [HS256], secret: {SECRET}}}
  - {{name: partners, type: key, keys: [{{name: acme, value: a-key-of-a-partner}}]}}
  - {{name: ops, type: basic, users: [{{name: ada, hash: \"{ARGON2ID}\"}}]}}
routes:
  - {{path: /key, auth: {{any: [{{type: key}}, {{type: none}}]}}, respond: {{}}}}
  - {{path: /listed, auth: {{any: [{{type: key, use: partners}}, {{type: none}}]}}, respond: {{}}}}
  - {{path: /jwt, auth: {{any: [{{type: jwt}}, {{type: none}}]}}, respond: {{}}}}
  - {{path: /basic, auth: {{any: [{{type: basic}}, {{type: none}}]}}, respond: {{}}}}
  - {{path: /two, auth: {{any: [{{type: key}}, {{type: basic}}]}}, respond: {{}}}}
"
    );
    let snapshot = compiled(&yaml).unwrap();
    let gateway = Gateway::plain(&yaml);
    let caller = gateway.caller();
    let own = caller.authorization();
    let mut refused = 0;
    for path in ["/key", "/listed", "/jwt", "/basic", "/two"] {
        for (name, value) in [
            ("x-other", "1"),
            ("authorization", "Digest x"),
            ("authorization", "Basic YTpi"),
            ("authorization", "Bearer unknown"),
            ("authorization", "Bearer a.b.c"),
            ("authorization", "Bearer a-key-of-a-partner"),
            ("authorization", own.as_str()),
            ("authorization", "Bearer "),
            ("x-api-key", "unknown"),
            ("x-api-key", ""),
        ] {
            let line = format!("GET http://h{path}");
            let fields = [(name.to_owned(), value.to_owned())];
            let explained = snapshot.explain(&WrittenRequest::parse(&line, &fields).unwrap());
            let received = send(&caller, &line, &fields).await;
            let context = format!("{path} {name}: {value}\n{explained}\n{received:?}");
            match (&explained.refusal, explained.status) {
                (Some(refusal), status) => {
                    refused += 1;
                    assert_eq!((Some(received.status), status), (Some(401), Some(refusal.status)), "{context}");
                }
                (None, Some(status)) => assert_eq!(received.status, status, "{context}"),
                // The credential decides, which an explanation does not check.
                (None, None) => assert!(matches!(received.status, 200 | 401), "{context}"),
            }
        }
    }
    let unknown = WrittenRequest::parse("/key", &[("Authorization".to_owned(), "Digest x".to_owned())]).unwrap();
    assert_eq!(snapshot.explain(&unknown).status, Some(401));
    assert!(refused > 10, "{refused}");
}

#[tokio::test]
async fn an_explanation_is_what_the_gateway_does() {
    let upstreams = [upstream("one").await, upstream("two").await];
    let gateway = Gateway::plain("routes: []");
    let caller = gateway.caller();
    let mut choices = Choices(20_261_123);
    let mut configs = 0;
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    while configs < CONFIGS {
        let yaml = configuration(&mut choices, &upstreams);
        // Routes that no request can tell apart are refused.
        let Some(snapshot) = compiled(&yaml) else { continue };
        configs += 1;
        gateway.reload(&yaml);
        for _ in 0..REQUESTS {
            let (line, fields) = request(&mut choices, &caller.authorization());
            let explained = snapshot.explain(&WrittenRequest::parse(&line, &fields).unwrap());
            let received = send(&caller, &line, &fields).await;
            let kind = match (&explained.refusal, &explained.action) {
                (Some(refusal), _) => refusal.code,
                (None, Some(action)) => action.kind,
                (None, None) => "nothing",
            };
            *kinds.entry(kind.to_owned()).or_default() += 1;
            let checked = std::panic::catch_unwind(|| check(&explained, &received));
            assert!(checked.is_ok(), "{yaml}\n{line} {fields:?}\n{explained}\n{received:?}");
        }
    }
    // Every kind of result occurred, so that none is untested.
    for kind in [
        "forward",
        "respond",
        "redirect",
        "unauthorized",
        "route_not_found",
        "method_not_allowed",
        "upgrade_required",
        "bad_request",
        "models",
        "status",
    ] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
}

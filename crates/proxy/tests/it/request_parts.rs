//! What a repeated, empty, oversized or differently spelled part of a request does where the gateway chooses, limits, caches
//! or hashes by it: a test per row of the table in docs/routing.md.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};
use crate::tokens::{SECRET, of_ada};

const OPEN: &str = "auth: {type: none}";

/// Sends a GET request with this target and these lines of fields; without a `host`, `h` is sent. Returns status and content.
async fn ask(gateway: &Gateway, target: &str, fields: &str) -> (u16, String) {
    let mut stream = gateway.caller().connect().await;
    let host = if fields.contains("host:") { "" } else { "host: h\r\n" };
    let head = format!("GET {target} HTTP/1.1\r\n{host}connection: close\r\n{fields}\r\n");
    // A refused head may not be read to its end.
    _ = stream.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    _ = stream.read_to_string(&mut answer).await;
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{target}: {answer}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), content.to_owned())
}

async fn check(gateway: &Gateway, target: &str, fields: &str, expected: (u16, &str)) {
    let (status, content) = ask(gateway, target, fields).await;
    let content = if status == 200 { content.as_str() } else { "" };
    let shown: String = fields.chars().take(60).collect();
    assert_eq!((status, content), expected, "{} {shown}", target.get(..60).unwrap_or(target));
}

/// A backend that responds with its name and the number of its response.
async fn numbered(name: &'static str) -> Raw {
    let count = Arc::new(AtomicUsize::new(0));
    Raw::start(move |mut conn: Conn| {
        let count = count.clone();
        async move {
            while conn.head().await.is_some() {
                let content = format!("{name}{}", count.fetch_add(1, Ordering::Relaxed));
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len());
                if !conn.say(head).await {
                    break;
                }
            }
        }
    })
    .await
}

const STRICT: (u16, &str) = (200, "strict");
const OTHER: (u16, &str) = (200, "other");
const REFUSED: (u16, &str) = (400, "");

#[tokio::test]
async fn headers_that_choose_a_route() {
    let gateway = Gateway::plain(&format!(
        "routes: [{{path: /a, headers: {{X-A: '1'}}, {OPEN}, respond: {{body: strict}}}}, {{path: /a, {OPEN}, respond: {{body: other}}}}]\n"
    ));
    let check = async |fields: &str, expected| check(&gateway, "/a", fields, expected).await;
    check("x-a: 2\r\nx-a: 1\r\n", REFUSED).await;
    check("x-a: 1\r\nx_a: 2\r\n", REFUSED).await;
    check("x-a: 1\r\nx-a:\r\n", REFUSED).await;
    check("x-a: 1\r\nx-a: 1\r\n", STRICT).await;
    check("x-a: 2\r\nx-a: 3\r\n", OTHER).await;
    check("x-a:\r\n", OTHER).await;
    check(&format!("x-a: {}\r\n", "1".repeat(9_000)), OTHER).await;
    check(&format!("x-a: {}\r\n", "1".repeat(70_000)), (431, "")).await;
    check("X_A:  1 \r\n", STRICT).await;
    check("x-a: 01\r\n", OTHER).await;
}

#[tokio::test]
async fn parameters_that_choose_a_route() {
    let gateway = Gateway::plain(&format!(
        "routes: [{{path: /a, query: {{action: delete}}, {OPEN}, respond: {{body: strict}}}}, {{path: /a, {OPEN}, respond: {{body: other}}}}]\n"
    ));
    let check = async |query: &str, expected| check(&gateway, &format!("/a?{query}"), "", expected).await;
    check("action=x&action=delete", REFUSED).await;
    check("action=delete&b=1&action=x", REFUSED).await;
    check("action&action=delete", REFUSED).await;
    check("%61ction=x&action=d%65lete", REFUSED).await;
    check("action=delete&action=delete", STRICT).await;
    check("action=x&action=y", OTHER).await;
    check("action=", OTHER).await;
    check(&format!("action={}", "x".repeat(9_000)), OTHER).await;
    check(&format!("action=delete&b={}", "x".repeat(9_000)), STRICT).await;
    check("%61ction=d%65lete", STRICT).await;
    check("ACTION=delete", OTHER).await;
    check("action=DELETE", OTHER).await;
    check("b=1;action=delete", OTHER).await;
}

#[tokio::test]
async fn hosts_and_paths_that_choose_a_route() {
    let gateway = Gateway::plain(&format!(
        "routes: [{{host: a.example, path: '/c%C3%A9', {OPEN}, respond: {{body: strict}}}}, {{path: {{prefix: /}}, {OPEN}, respond: {{body: other}}}}]\n"
    ));
    let check = async |target: &str, fields: &str, expected| check(&gateway, target, fields, expected).await;
    check("/c%C3%A9", "host: a.example\r\nhost: a.example\r\n", REFUSED).await;
    check("/c%C3%A9", "host:\r\n", REFUSED).await;
    check("/c%C3%A9", &format!("host: {}.example\r\n", "a".repeat(300)), OTHER).await;
    check("/c%C3%A9", "host: A.example.:8080\r\n", STRICT).await;
    check("/%63%c3%a9", "host: a.example\r\n", STRICT).await;
    check("/C%C3%A9", "host: a.example\r\n", OTHER).await;
    check("/c%C3%A9/", "host: a.example\r\n", OTHER).await;
}

#[tokio::test]
async fn headers_that_a_rate_limit_counts_by() {
    let gateway = Gateway::plain(&format!(
        "rate_limits: [{{dimension: {{header: X-T}}, limit: 1, window: 60s}}]\nroutes: [{{path: /a, {OPEN}, respond: {{body: strict}}}}]\n"
    ));
    let check = async |fields: &str, expected| check(&gateway, "/a", fields, expected).await;
    check("x-t: a\r\nx-t: a\r\n", REFUSED).await;
    check("x-t: a\r\nx_t: b\r\n", REFUSED).await;
    let long = format!("x-t: {}\r\n", "a".repeat(5_000));
    for fields in ["x-t: a\r\n", "x-t: A\r\n", "x-t:\r\n", "", &long] {
        check(fields, STRICT).await;
        check(fields, (429, "")).await;
    }
    check("X_T:  a \r\n", (429, "")).await;
}

#[tokio::test]
async fn values_that_choose_a_backend() {
    let one = numbered("one").await;
    let two = numbered("two").await;
    for (hash, of_value) in [
        (
            "{header: X-Id}",
            (|value: &str| (String::new(), format!("x-id: {value}\r\n"))) as fn(&str) -> (String, String),
        ),
        ("{cookie: id}", |value| (String::new(), format!("cookie: id={value}\r\n"))),
        ("{query: id}", |value| (format!("?id={value}"), String::new())),
    ] {
        let gateway = Gateway::plain(&format!(
            "upstreams: [{{name: u, strategy: hash, hash: {hash}, backends: [{{url: \"http://{}\"}}, {{url: \"http://{}\"}}]}}]\n\
             routes: [{{path: /a, {OPEN}, upstreams: u}}]\n",
            one.address, two.address
        ));
        let backend = async |query: String, fields: String| {
            let (status, content) = ask(&gateway, &format!("/a{query}"), &fields).await;
            assert_eq!(status, 200, "{hash}");
            content.get(..3).unwrap().to_owned()
        };
        let of = async |value: &str| {
            let (query, fields) = of_value(value);
            backend(query, fields).await
        };
        let first = of("a").await;
        let mut other = "b".to_owned();
        while of(&other).await == first {
            other.push('b');
        }
        // The first of several values decides, and an empty one is a value.
        let (query, fields) = of_value("a");
        let (second_query, second_fields) = of_value(&other);
        assert_eq!(backend(query + &second_query.replace('?', "&"), fields + &second_fields).await, first, "{hash}");
        assert_eq!(of("").await, of("").await, "{hash}");
        let long = "a".repeat(5_000);
        assert_eq!(of(&long).await, of(&long).await, "{hash}");
    }
}

#[tokio::test]
async fn parts_that_the_cache_stores_by() {
    let raw = numbered("r").await;
    let gateway = Gateway::plain(&format!(
        "upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{path: {{prefix: /}}, {OPEN}, upstreams: u, cache: {{ttl: 60s, vary: [X-V]}}}}]\n",
        raw.address
    ));
    let mut requests = 0;
    let mut check = async |target: &str, fields: &str, is_stored: bool| {
        let (status, content) = ask(&gateway, target, fields).await;
        let number: usize = content.trim_start_matches('r').parse().unwrap();
        let shown: String = fields.chars().take(40).collect();
        assert_eq!((status, number < requests), (200, is_stored), "{target} {shown} {content}");
        requests += usize::from(!is_stored);
    };
    check("/a", "x-v: 1\r\n", false).await;
    check("/a", "X_V:  1 \r\n", true).await;
    check("/a", "host: H\r\nx-v: 1\r\n", true).await;
    for (target, fields) in [
        ("/a", "x-v: 1\r\nx-v: 1\r\n"),
        ("/a", "x-v:\r\n"),
        ("/a", ""),
        ("/a", "x-v: A\r\n"),
        ("/a", "x-v: a\r\n"),
        ("/a?", ""),
        ("/a?b=1", ""),
        ("/a?b=1&b=1", ""),
        ("/a?b=%31", ""),
        ("/A", ""),
    ] {
        check(target, fields, false).await;
        check(target, fields, true).await;
    }
    check("/c%C3%A9", "", false).await;
    check("/%63%c3%a9", "", true).await;
    let long = format!("x-v: {}\r\n", "a".repeat(17_000));
    check("/a", &long, false).await;
    check("/a", &long, false).await;
}

#[tokio::test]
async fn fields_of_llm_bodies() {
    let raw = Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            conn.say("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}").await;
        }
    })
    .await;
    // A single provider would serve all other names.
    let gateway = Gateway::plain(&format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{0}/v1\", credential: sk-far}}, \
         {{name: near, kind: openai, base_url: \"http://{0}/v1\", credential: sk-near}}]\n\
         models: [{{name: listed, targets: [{{provider: far, model: m}}]}}]\n",
        raw.address
    ));
    let long = format!(r#""model":"{}""#, "m".repeat(9_000));
    for (fields, expected) in [
        (r#""model":"listed""#, 200),
        (r#""mod\u0065l":"list\u0065d""#, 200),
        (r#""model":"listed","model":"listed""#, 400),
        (r#""model":"other","mod\u0065l":"listed""#, 400),
        (r#""model":"listed","stream":true,"stream":false"#, 400),
        (r#""model":"listed","max_tokens":1,"max_tokens":9"#, 200),
        (r#""model":"""#, 400),
        (r#""model":"Listed""#, 404),
        (&long, 400),
        (r#""Model":"listed""#, 400),
    ] {
        let body = format!("{{{fields},\"messages\":[]}}");
        let answer = gateway.post("/v1/chat/completions", body).await;
        let status = answer.status().as_u16();
        got(answer).await;
        assert_eq!(status, expected, "{}", fields.get(..60).unwrap_or(fields));
    }
}

/// Sends a request with a token that has these claims besides those of its user.
async fn with_claims(gateway: &Gateway, path: &str, claims: &str) -> u16 {
    ask(gateway, path, &format!("authorization: Bearer {}\r\n", of_ada(claims))).await.0
}

#[tokio::test]
async fn claims_that_a_rate_limit_counts_by() {
    let gateway = Gateway::plain(&format!(
        "rate_limits: [{{dimension: {{claim: t}}, limit: 1, tiers: {{by: {{claim: tier}}, pro: 2}}, window: 60s}}]\n\
         auth: [{{name: a, type: jwt, algorithms: [HS256], secret: {SECRET}, audience: api}}]\n\
         routes: [{{path: /a, auth: {{type: jwt}}, respond: {{body: fine}}}}]\n"
    ));
    let long = format!(r#","t":"{}""#, "a".repeat(1_025));
    let huge = format!(r#","t":"{}""#, "a".repeat(17_000));
    for (claims, expected) in [
        // Counts of one: a value, one that differs in case, and an integer, which is the same as its text.
        (r#","t":"a""#, [200, 429].as_slice()),
        (r#","\u0074":"\u0061""#, &[429]),
        (r#","t":"A""#, &[200, 429]),
        (r#","t":7"#, &[200, 429]),
        (r#","t":"7""#, &[429]),
        // An empty, a long and a compound value count with that of a token without the claim.
        ("", &[200, 429]),
        (r#","t":"""#, &[429]),
        (r#","t":" a""#, &[429]),
        (&long, &[429]),
        (r#","t":["a"]"#, &[429]),
        // Two values, and too many bytes, are no token.
        (r#","t":"b","t":"c""#, &[401, 401]),
        (r#","t":"b","\u0074":"b""#, &[401, 401]),
        (&huge, &[401]),
        // The tier.
        (r#","t":"d","tier":"pro""#, &[200, 200, 429]),
        (r#","t":"e","tier":"PRO""#, &[200, 429]),
        (r#","t":"f","tier":"""#, &[200, 429]),
        (r#","t":"g","tier":["pro"]"#, &[200, 429]),
        (r#","t":"h","tier":"pro","tier":"pro""#, &[401]),
    ] {
        for status in expected {
            let shown: String = claims.chars().take(60).collect();
            assert_eq!(with_claims(&gateway, "/a", claims).await, *status, "{shown}");
        }
    }
}

#[tokio::test]
async fn claims_that_a_route_requires() {
    let gateway = Gateway::plain(&format!(
        "auth: [{{name: a, type: jwt, algorithms: [HS256], secret: {SECRET}, audience: api}}]\n\
         routes: [{{path: /a, auth: {{type: jwt, require: {{role: admin}}}}, respond: {{body: fine}}}}]\n"
    ));
    let long = format!(r#","role":"admin{}""#, "a".repeat(2_000));
    for (claims, expected) in [
        (r#","role":"admin""#, 200),
        (r#","rol\u0065":"\u0061dmin""#, 200),
        (r#","role":["user","admin"]"#, 200),
        (r#","role":"admin","role":"user""#, 401),
        (r#","role":"user","rol\u0065":"admin""#, 401),
        (r#","role":"""#, 403),
        (r#","role":"Admin""#, 403),
        (r#","role":" admin""#, 403),
        (r#","Role":"admin""#, 403),
        (r#","role":"admin user""#, 403),
        (r#","role":{"admin":true}"#, 403),
        (&long, 403),
        ("", 403),
    ] {
        let shown: String = claims.chars().take(60).collect();
        assert_eq!(with_claims(&gateway, "/a", claims).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn origins_that_may_read_responses() {
    let gateway = Gateway::plain(&format!(
        "routes: [{{path: /a, {OPEN}, cors: {{allowed_origins: ['https://a.example', 'https://*.b.example']}}, respond: {{body: fine}}}}]\n"
    ));
    let allowed = async |method: &str, fields: &str| {
        let mut stream = gateway.caller().connect().await;
        let announced = "access-control-request-method: GET\r\n";
        let head = format!("{method} /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{announced}{fields}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let allowed = answer.lines().find_map(|line| line.strip_prefix("access-control-allow-origin: "));
        (answer.split(' ').nth(1).unwrap().to_owned(), allowed.map(str::to_owned))
    };
    let label = "a".repeat(600);
    for (fields, expected) in [
        ("origin: https://a.example\r\n", Some("https://a.example")),
        ("Origin:  https://a.example \r\n", Some("https://a.example")),
        ("origin: https://x.b.example\r\n", Some("https://x.b.example")),
        // Repeated, also with the same value.
        ("origin: https://a.example\r\norigin: https://a.example\r\n", None),
        ("origin: https://a.example\r\norigin: https://other.example\r\n", None),
        ("origin: https://a.example, https://other.example\r\n", None),
        // Empty, absent and long.
        ("origin:\r\n", None),
        ("", None),
        (&format!("origin: https://{label}.b.example\r\n"), None),
        // Spelled differently.
        ("origin: HTTPS://a.example\r\n", None),
        ("origin: https://A.example\r\n", None),
        ("origin: https://a.example:443\r\n", None),
        ("origin: https://a.example/\r\n", None),
        ("origin: https://a.example.\r\n", None),
        ("origin: https://a%2Eexample\r\n", None),
        ("origin: https://other.example/.b.example\r\n", None),
        ("origin: null\r\n", None),
    ] {
        let (status, read) = allowed("GET", fields).await;
        assert_eq!((status.as_str(), read.as_deref()), ("200", expected), "{fields}");
        let (_, preflight) = allowed("OPTIONS", fields).await;
        assert_eq!(preflight.as_deref(), expected, "preflight {fields}");
    }
    let endless = format!("origin: https://{}.b.example\r\n", "a".repeat(70_000));
    assert_eq!(ask(&gateway, "/a", &endless).await.0, 431);
}

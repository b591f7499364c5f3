//! Changes of headers and statuses that a route makes: `transformations`.

use std::io::Write as _;

use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Setup, Turn, Upstream};
use flate2::Compression;
use flate2::write::GzEncoder;

const OPEN: &str = "auth: {type: none}";

/// Starts a gateway with one open route of `/users/{id}` with these transformations.
async fn gateway(upstream: &Upstream, transformations: &str) -> Gateway {
    let route =
        format!("{{path: '/users/{{id}}', upstreams: backend, {OPEN}, transformations: {{{transformations}}}}}");
    Gateway::start(Setup::routed(upstream.address(), &route)).await
}

#[tokio::test]
async fn a_request_is_changed_after_all_other_edits() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let rules = "request: {remove_headers: [X-Internal, X-Forwarded-For, Cookie], \
        add_headers: {X-Gateway: 'rust gateway', X-User: 'id=${path.id}', X-Copy: '${header.X-A}', X-None: '${header.X-B}', \
            X-Forwarded-Host: public.example, X-Id: '${request_id}', Authorization: 'Bearer backend'}, \
        append_headers: {X-List: own, X-Copies: '<${header.x-a}>'}}";
    let gateway = gateway(&upstream, rules).await;
    let call = Call::get("/users/a%0d%0aX-Evil:1")
        .header("x-internal", "1")
        .header("X_INTERNAL", "2")
        .header("X-GATEWAY", "spoofed")
        .header("x-none", "spoofed")
        .header("x-a", "1")
        .header("X-A", "2")
        .header("x-list", "theirs")
        .header("authorization", "Bearer mine")
        .header("cookie", "a=b");
    let answer = gateway.call(call).await.expect(200);
    let head = upstream.only().head;
    for (name, expected) in [
        ("x-internal", &[][..]),
        ("x_internal", &[]),
        ("x-forwarded-for", &[]),
        ("cookie", &[]),
        ("x-none", &[]),
        ("x-evil", &[]),
        ("x-gateway", &["rust gateway"]),
        ("x-user", &["id=a%0d%0aX-Evil:1"]),
        ("x-copy", &["1, 2"]),
        ("x-copies", &["<1, 2>"]),
        ("x-list", &["theirs", "own"]),
        ("x-forwarded-host", &["public.example"]),
        ("authorization", &["Bearer backend"]),
        ("x-id", &[answer.header("x-request-id").unwrap()]),
    ] {
        assert_eq!(head.all(name), expected, "{name} {head:?}");
    }
    // A value that is too long is not sent, and neither is that of the client.
    let long = Call::get("/users/1").header("x-a", &"a".repeat(9_000)).header("x-copy", "spoofed");
    gateway.call(long).await.expect(200);
    assert_eq!(upstream.seen()[1].head.all("x-copy"), [""; 0]);
}

#[tokio::test]
async fn the_value_of_a_header_may_be_a_file_or_a_variable() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let folder = Folder::new();
    let secret = folder.write("secret", "Basic S3CRET\n");
    let rules = format!(
        "request: {{add_headers: {{Authorization: 'file:{}', X-Env: 'a ${{OF_BACKEND}} ${{UNSET:-b}}'}}}}",
        secret.display()
    );
    let route = format!("{{path: /a, upstreams: backend, {OPEN}, transformations: {{{rules}}}}}");
    let setup = Setup::routed(upstream.address(), &route).variable("OF_BACKEND", "${latency}");
    let gateway = Gateway::start_in(folder, setup).await;
    gateway.call(Call::get("/a")).await.expect(200);
    let head = upstream.only().head;
    assert_eq!(head.all("authorization"), ["Basic S3CRET"]);
    // The content of a variable is not read again.
    assert_eq!(head.all("x-env"), ["a ${latency} b"]);
}

#[tokio::test]
async fn statuses_of_the_upstream_become_others() {
    let upstream = Upstream::answering("418 I am a teapot", "short").await;
    let gateway = gateway(&upstream, "response: {status: {418: 400}}").await;
    let answer = gateway.call(Call::get("/users/1")).await.expect(400);
    assert_eq!((answer.head.first.as_str(), answer.text().as_str()), ("HTTP/1.1 400 Bad Request", "short"));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check_code(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status(), &answer.json()["error"]["code"]), (status, &code.into()), "{}", answer.text());
}

const CHANGES: &str = "body: {set: {/source: gateway, /n: 5, /deep/er: '[1e400]'}, remove: [/debug], rename: {/old: /new}}, body_max: 100KiB";

#[tokio::test]
async fn the_json_of_a_request_is_changed() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = gateway(&upstream, &format!("request: {{{CHANGES}}}")).await;
    let body = r#"{"debug": true, "old": 12345678901234567890.10, "s": "\u00e9\/", "list": [1.0, -0]}"#;
    let expected = r#"{"new":12345678901234567890.10,"s":"\u00e9\/","list":[1.0, -0],"source":"gateway","n":5,"deep":{"er":[1e400]}}"#;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let large = format!("{{\"x\": \"{}\", {}", "y".repeat(90_000), &body[1..]);
    let with_large = format!("{{\"x\":\"{}\",{}", "y".repeat(90_000), &expected[1..]);
    let json = |body: &[u8]| Call::post("/users/1", body);
    for (call, expected) in [
        (json(body.as_bytes()).header("content-digest", "sha-256=:x:"), expected),
        (Call::new("POST", "/users/1").header("transfer-encoding", "chunked").body(&chunked), expected),
        (json(&gzip(body.as_bytes())).header("content-encoding", "gzip"), expected),
        (Call::new("PUT", "/users/1").header("content-type", "application/merge-patch+json").body(body), expected),
        // Changed on another thread.
        (json(large.as_bytes()), &with_large),
    ] {
        gateway.call(call.clone()).await.expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(String::from_utf8(seen.body).unwrap(), expected, "{:?}", call.line());
        assert_eq!(seen.head.all("content-length"), [expected.len().to_string()], "{:?}", seen.head);
        for name in ["content-encoding", "content-digest", "transfer-encoding"] {
            assert_eq!(seen.head.all(name), [""; 0], "{name} {:?}", seen.head);
        }
    }
    // Without content, there is nothing to change.
    gateway.call(Call::get("/users/1")).await.expect(200);
    assert_eq!(upstream.seen().pop().unwrap().body, b"");
}

#[tokio::test]
async fn a_body_that_cannot_be_changed_is_refused() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = gateway(&upstream, &format!("request: {{{CHANGES}}}")).await;
    let json = |body: &str| Call::post("/users/1", body);
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    let bomb = gzip(&vec![b' '; 4 << 20]);
    for (call, status, code) in [
        (json("{\"a\":"), 400, "bad_request"),
        (json("{\"a\":1,\"\\u0061\":2}"), 400, "bad_request"),
        (json(&deep), 400, "bad_request"),
        (json("\"text\""), 400, "bad_request"),
        (json("{\"deep\":1}"), 400, "bad_request"),
        (json("{}").header("content-encoding", "gzip"), 400, "bad_request"),
        (json("{}").header("content-encoding", "br"), 415, "unsupported_media_type"),
        (Call::new("POST", "/users/1").header("content-type", "text/plain").body("{}"), 415, "unsupported_media_type"),
        (json(&"x".repeat(100 * 1024 + 1)), 413, "payload_too_large"),
        (Call::post("/users/1", bomb).header("content-encoding", "gzip"), 413, "payload_too_large"),
    ] {
        check_code(&gateway.call(call).await, status, code);
    }
    assert!(upstream.seen().is_empty(), "the upstream gets nothing");
    gateway.at_rest().await;
}

/// Returns the response of a gateway whose route changes this response of the upstream, and the head that the upstream got.
async fn changed(head: &str, body: &[u8], call: Call) -> (Answer, e2e::Head) {
    let upstream = Upstream::answering(&format!("200 OK\r\n{head}"), body).await;
    let gateway =
        gateway(&upstream, "response: {body: {remove: [/internal], set: {/via: gw}}, body_max: 100KiB}").await;
    let answer = gateway.call(call).await;
    gateway.at_rest().await;
    (answer, upstream.only().head)
}

#[tokio::test]
async fn the_json_of_a_response_is_changed() {
    let body = r#"{"internal": {"a": 1}, "id": 1.50}"#;
    let expected = r#"{"id":1.50,"via":"gw"}"#;
    let fields = "content-type: application/json\r\netag: \"v1\"\r\nx-kept: 1\r\nrepr-digest: sha-256=:x:\r\naccept-ranges: bytes";
    let get = || Call::get("/users/1").header("accept-encoding", "br").header("range", "bytes=0-3");
    for (fields, body) in [
        (fields.to_owned(), body.as_bytes().to_vec()),
        (format!("{fields}\r\ncontent-encoding: gzip"), gzip(body.as_bytes())),
    ] {
        let (answer, head) = changed(&fields, &body, get()).await;
        assert_eq!((answer.status(), answer.text().as_str()), (200, expected));
        let length = expected.len().to_string();
        for (name, value) in [
            ("etag", Some("W/\"v1\"")),
            ("x-kept", Some("1")),
            ("content-length", Some(length.as_str())),
            ("repr-digest", None),
            ("accept-ranges", None),
            ("content-encoding", None),
        ] {
            assert_eq!(answer.header(name), value, "{name} {:?}", answer.head);
        }
        assert_eq!((head.all("accept-encoding"), head.all("range").len()), (vec!["identity"], 0), "{head:?}");
    }
    // A response to HEAD has no content, and its length would be that of the upstream.
    for coding in ["", "\r\ncontent-encoding: gzip"] {
        let (answer, _) = changed(&format!("{fields}{coding}"), b"", Call::new("HEAD", "/users/1")).await;
        assert_eq!(
            (
                answer.status(),
                answer.header("content-length"),
                answer.header("etag"),
                answer.header("content-encoding")
            ),
            (200, None, Some("W/\"v1\""), None)
        );
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_changed_is_replaced() {
    let json = "content-type: application/json";
    let large = format!("\"{}\"", "x".repeat(100 * 1024));
    for (fields, body) in [
        (json, "{\"secret\":"),
        (json, "{\"a\":1,\"a\":2}"),
        (json, "[1]"),
        (json, large.as_str()),
        ("content-type: text/html", "<p>secret"),
        ("content-type: application/json\r\ncontent-encoding: br", "secret"),
        ("content-type: application/json\r\ncontent-encoding: gzip", "secret"),
    ] {
        let (answer, _) = changed(fields, body.as_bytes(), Call::get("/users/1")).await;
        check_code(&answer, 502, "upstream_protocol");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    // An empty body has nothing to change.
    assert_eq!(changed(json, b"", Call::get("/users/1")).await.0.status(), 200);
}

#[tokio::test]
async fn an_empty_response_of_another_type_is_not_changed() {
    let upstream = Upstream::answering("302 Found\r\ncontent-type: text/html\r\nlocation: /b", "").await;
    let gateway = gateway(&upstream, "response: {body: {set: {/via: gw}}}").await;
    let answer = gateway.call(Call::get("/users/1")).await.expect(302);
    assert_eq!((answer.header("location"), answer.header("content-length")), (Some("/b"), Some("0")));
}

/// Only its end tells that chunked content is empty.
#[tokio::test]
async fn an_empty_chunked_response_of_any_type_is_not_changed_and_content_of_another_type_is_replaced() {
    for (fields, chunks, status) in [
        ("content-type: text/html", "0\r\n\r\n", 302),
        ("content-type: application/json\r\ncontent-encoding: br", "0\r\n\r\n", 302),
        ("content-type: application/json\r\ncontent-encoding: gzip", "0\r\n\r\n", 302),
        ("content-type: application/json", "0\r\n\r\n", 302),
        ("content-type: text/html", "6\r\nsecret\r\n0\r\n\r\n", 502),
    ] {
        let response =
            format!("HTTP/1.1 302 Found\r\n{fields}\r\nlocation: /b\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        let upstream = Upstream::start(move |mut turn: Turn| {
            let response = response.clone();
            async move {
                turn.read_body().await;
                turn.write(response.as_bytes()).await;
                Some(turn)
            }
        })
        .await;
        let gateway = gateway(&upstream, "response: {body: {set: {/via: gw}}}").await;
        let answer = gateway.call(Call::get("/users/1")).await.expect(status);
        assert!(!answer.text().contains("secret"), "{fields} {}", answer.text());
        assert_eq!(answer.header("location"), (status == 302).then_some("/b"), "{fields}");
    }
}

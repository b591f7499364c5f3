//! Bounds that one route has: the addresses of its clients, and the size of a body.

use e2e::{Call, Gateway, Setup, Upstream};

/// Asserts a refusal of an ordinary route.
#[track_caller]
fn check_code(answer: &e2e::Answer, status: u16, code: &str) {
    assert_eq!((answer.status(), &answer.json()["error"]["code"]), (status, &code.into()), "{}", answer.text());
}

#[tokio::test]
async fn a_route_accepts_only_clients_at_its_addresses() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let cors = "cors: {allowed_origins: ['https://a.example']}";
    let routes = format!(
        "{{path: /some, upstreams: backend, auth: {{type: none}}, {cors}, \
            addresses: {{allow: [203.0.113.0/24, '2001:db8::/32'], deny: [203.0.113.66]}}}}, \
          {{path: /most, respond: {{}}, auth: {{type: none}}, addresses: {{deny: [203.0.113.0/24]}}}}, \
          {{path: /keyed, respond: {{}}, addresses: {{allow: [203.0.113.0/24]}}}}"
    );
    let setup = Setup::routed(upstream.address(), &routes).section("trusted_proxies", "[127.0.0.1]");
    let gateway = Gateway::start(setup).await;
    let from = |call: Call, address: &str| gateway.call(call.header("x-forwarded-for", address));
    for (path, address, status) in [
        ("/some", "203.0.113.1", 200),
        ("/some", "2001:db8::7", 200),
        ("/some", "::ffff:203.0.113.1", 200),
        ("/some", "203.0.113.66", 403),
        ("/some", "198.51.100.1", 403),
        // The last address is that of the proxy's peer; a client can write the others itself.
        ("/some", "203.0.113.1, 198.51.100.1", 403),
        ("/most", "198.51.100.1", 200),
        ("/most", "203.0.113.1", 403),
        ("/keyed", "203.0.113.1", 401),
        ("/keyed", "198.51.100.1", 403),
    ] {
        let answer = from(Call::get(path), address).await;
        assert_eq!(answer.status(), status, "{path} {address}");
        if status == 403 {
            check_code(&answer, 403, "forbidden");
        }
    }
    let seen = upstream.seen().len();
    assert_eq!(seen, 3, "refused requests are not forwarded");
    let preflight = || {
        let call = Call::new("OPTIONS", "/some").header("origin", "https://a.example");
        call.header("access-control-request-method", "GET")
    };
    from(preflight(), "203.0.113.1").await.expect(204);
    let denied = from(preflight(), "203.0.113.66").await;
    check_code(&denied, 403, "forbidden");
    assert_eq!(denied.header("access-control-allow-origin"), Some("https://a.example"));
    // The proxy itself is in no network.
    check_code(&gateway.call(Call::get("/some")).await, 403, "forbidden");
}

#[tokio::test]
async fn a_route_has_its_own_maximum_body() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let routes = "{path: /small, upstreams: backend, auth: {type: none}, sizes: {body: 8B}}, \
        {path: /large, upstreams: backend, auth: {type: none}, sizes: {body: 64B}}, \
        {path: /other, upstreams: backend, auth: {type: none}}";
    let setup = Setup::routed(upstream.address(), routes).section("sizes", "{body: 16B}");
    let gateway = Gateway::start(setup).await;
    for (path, length, status) in [
        ("/small", 8, 200),
        ("/small", 9, 413),
        ("/other", 16, 200),
        ("/other", 17, 413),
        ("/large", 17, 200),
        ("/large", 64, 200),
        ("/large", 65, 413),
    ] {
        let body = "x".repeat(length);
        let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
        for call in
            [Call::post(path, &body), Call::new("POST", path).header("transfer-encoding", "chunked").body(chunked)]
        {
            let before = upstream.seen().len();
            let answer = gateway.call(call).await;
            assert_eq!(answer.status(), status, "{path} {length}: {}", answer.text());
            if status == 413 {
                check_code(&answer, 413, "payload_too_large");
            } else {
                assert_eq!(upstream.seen()[before].body.len(), length);
            }
        }
    }
}

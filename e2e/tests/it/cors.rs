//! Pages of control may call LLM endpoints from browsers, and pages of listed origins may call routes with `cors`; pages of
//! other origins and other paths may not.

use e2e::{Answer, Call, Gateway, Mock, Setup, Upstream};
use serde_json::{Value, json};

const PAGE: &str = "https://console.example";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const CHAT: &str = "/v1/chat/completions";

/// Starts a gateway whose pages have the origin [`PAGE`]. A catch-all route shows which requests are forwarded.
async fn gateway(provider: &Upstream, backend: &Upstream) -> Gateway {
    let routes = "{path: {prefix: /}, upstreams: backend, auth: {type: none}}";
    let setup = Setup::routed(backend.address(), routes)
        .section("providers", &format!("[{}]", e2e::setup::provider("up", "openai", provider.address())))
        .section("public_url", &format!("{{control: '{PAGE}/'}}"));
    Gateway::start(setup).await
}

/// Returns a provider that shares its responses with every page.
async fn sharing_provider() -> Upstream {
    let head = "200 OK\r\ncontent-type: application/json\r\naccess-control-allow-origin: *\r\n\
        Access-Control-Allow-Credentials: true\r\nvary: accept";
    let body = json!({"id": "c", "object": "chat.completion", "model": "m", "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    Upstream::answering(head, body.to_string()).await
}

fn preflight(path: &str, origin: &str) -> Call {
    Call::new("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
}

fn chat(model: &str) -> Call {
    Call::json(CHAT, &json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}))
}

#[track_caller]
fn check_shared(answer: &Answer) {
    assert_eq!(answer.head.all(ALLOW_ORIGIN), [PAGE], "{:?}", answer.head);
    assert!(answer.head.all("vary").iter().any(|value| value.eq_ignore_ascii_case("origin")), "{:?}", answer.head);
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("X-Request-Id") && exposed.contains("X-RateLimit-Remaining"), "{exposed}");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[track_caller]
fn check_unshared(answer: &Answer) {
    let head = format!("{:?}", answer.head).to_ascii_lowercase();
    assert!(!head.contains("access-control-"), "{head}");
}

#[tokio::test]
async fn gateway_answers_preflight_requests_of_its_pages() {
    let provider = sharing_provider().await;
    let backend = Upstream::json(&json!({})).await;
    let gateway = gateway(&provider, &backend).await;
    for path in [CHAT, "/v1/messages", "/v1/responses", "/v1beta/models/up/m:generateContent", "/v1/models"] {
        let method = if path == "/v1/models" { "GET" } else { "POST" };
        let call = Call::new("OPTIONS", path).header("origin", PAGE).header("access-control-request-method", method);
        let (answer, wire) = call.open(gateway.proxy).await.reuse().await;
        let answer = answer.expect(204);
        check_shared(&answer);
        assert!(answer.body.is_empty() && answer.header("content-length").is_none(), "{:?}", answer.head);
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(methods.split(", ").any(|allowed| allowed == method), "{methods}");
        let headers = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
        for name in ["authorization", "content-type", "x-api-key", "anthropic-version", "x-goog-api-key"] {
            assert!(headers.split(", ").any(|allowed| allowed == name), "{headers}");
        }
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        // The connection serves further requests.
        let again = call.over(wire, gateway.proxy).await.unwrap().rest().await;
        check_shared(&again.expect(204));
    }
    assert_eq!((provider.seen().len(), backend.seen().len()), (0, 0), "nothing is forwarded");
}

#[tokio::test]
async fn pages_read_responses_streams_and_errors() {
    let mock = Mock::start().await;
    let setup = Setup::provider("mock", mock.address()).section("public_url", &format!("{{control: '{PAGE}'}}"));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let streamed = json!({"model": "up/tokens-3", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let calls: [(Call, u16); 7] = [
        (chat("up/tokens-3").key(&key), 200),
        (Call::json(CHAT, &streamed).key(&key), 200),
        (Call::get("/v1/models").key(&key), 200),
        (chat("up/tokens-3").key("tollgate_x"), 401),
        (chat("up/tokens-3"), 401),
        (chat("up/500").key(&key), 500),
        (Call::get(CHAT).key(&key), 405),
    ];
    for (call, status) in calls {
        check_shared(&gateway.call(call.clone().header("origin", PAGE)).await.expect(status));
        check_unshared(&gateway.call(call.clone()).await.expect(status));
        check_unshared(&gateway.call(call.header("origin", "https://other.example")).await.expect(status));
    }
}

#[tokio::test]
async fn no_other_origin_or_path_is_shared() {
    let provider = sharing_provider().await;
    let backend = Upstream::json(&json!({})).await;
    let gateway = gateway(&provider, &backend).await;
    let key = gateway.key().await;
    let origins = [
        "http://console.example",
        "https://console.example:8443",
        "https://console.example/",
        "HTTPS://console.example",
        "null",
    ];
    for origin in origins {
        let asked = gateway.call(preflight(CHAT, origin)).await;
        check_unshared(&asked);
        check_unshared(&gateway.call(chat("up/m").key(&key).header("origin", origin)).await.expect(200));
    }
    let twice = preflight(CHAT, PAGE).header("origin", PAGE);
    check_unshared(&gateway.call(twice).await);
    let asked_before = backend.seen().len();
    // A route, an unserved path, and the path of the pages.
    for path in ["/hello", "/v1/nothing", "/"] {
        let answer = gateway.call(preflight(path, PAGE)).await;
        check_unshared(&answer);
        check_unshared(&gateway.call(Call::get(path).header("origin", PAGE)).await);
    }
    assert!(backend.seen().len() > asked_before, "routes get their own preflight requests");
    let shared = gateway.call(chat("up/m").key(&key).header("origin", PAGE)).await.expect(200);
    check_shared(&shared);
    assert_eq!(shared.head.all("vary"), ["accept", "Origin"]);
}

#[tokio::test]
async fn without_a_public_url_of_control_the_pages_of_its_listener_are_allowed() {
    let provider = sharing_provider().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let setup = Setup::provider("openai", provider.address()).flag("--addr").flag(&address);
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    for host in ["localhost", "127.0.0.1"] {
        let origin = format!("http://{host}:{port}");
        let answer = gateway.call(preflight(CHAT, &origin)).await.expect(204);
        assert_eq!(answer.head.all(ALLOW_ORIGIN), [origin.as_str()]);
        let answer = gateway.call(chat("up/m").key(&key).header("origin", &origin)).await.expect(200);
        assert_eq!(answer.head.all(ALLOW_ORIGIN), [origin.as_str()]);
        assert_eq!(answer.json()["object"], Value::from("chat.completion"));
    }
    for origin in [format!("https://localhost:{port}"), "http://localhost:1".to_owned(), format!("http://other:{port}")]
    {
        check_unshared(&gateway.call(preflight(CHAT, &origin)).await.expect(405));
    }
}

/// Starts a gateway with routes of one path: one with `cors` for GET, and one without for PUT.
async fn routes_with_rules(upstream: &Upstream) -> Gateway {
    let routes = "{name: read, path: /a, methods: [GET], upstreams: backend, auth: {type: key}, \
          cors: {allowed_origins: ['https://console.example'], allowed_methods: [GET], max_age: 10m}}, \
        {path: /a, methods: [PUT, OPTIONS], upstreams: backend, auth: {type: none}}, \
        {path: /all, upstreams: backend, auth: {type: none}, cors: {allowed_origins: ['*'], allowed_headers: ['*']}}";
    Gateway::start(Setup::routed(upstream.address(), routes)).await
}

#[tokio::test]
async fn a_preflight_request_gets_the_rules_of_the_route_that_it_announces() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = routes_with_rules(&upstream).await;
    let announce = |path: &str, method: &str| {
        Call::new("OPTIONS", path).header("origin", PAGE).header("access-control-request-method", method)
    };
    // Neither a key nor the upstream is needed.
    let read = gateway.call(announce("/a", "GET")).await.expect(204);
    check_shared(&read);
    assert_eq!(read.header("access-control-allow-methods"), Some("GET"));
    assert_eq!(read.header("access-control-max-age"), Some("600"));
    assert!(read.body.is_empty() && upstream.seen().is_empty());
    let all = gateway.call(announce("/all", "PATCH")).await.expect(204);
    assert_eq!(all.head.all(ALLOW_ORIGIN), ["*"]);
    assert_eq!(all.header("access-control-allow-methods"), Some("PATCH"));
    assert_eq!((all.header("access-control-allow-headers"), all.header("vary")), (Some("*"), None));
    // The other route leaves the decision to its upstream.
    check_unshared(&gateway.call(announce("/a", "PUT")).await.expect(200));
    assert_eq!(upstream.only().head.word(0), "OPTIONS");
    // Without an origin or a method, a request is no preflight request.
    for call in [Call::new("OPTIONS", "/a"), Call::new("OPTIONS", "/a").header("origin", PAGE)] {
        gateway.call(call).await.expect(200);
    }
    check_unshared(&gateway.call(announce("/nothing", "GET")).await.expect(404));
}

#[tokio::test]
async fn an_endless_or_repeated_origin_gets_nothing() {
    let upstream = sharing_provider().await;
    let gateway = routes_with_rules(&upstream).await;
    let key = gateway.key().await;
    let long = format!("https://{}.console.example", "a".repeat(60 << 10));
    for origin in [long.as_str(), "null", "https://console.example.evil"] {
        for (call, status) in [
            (Call::get("/a").key(&key), 200),
            (Call::get("/a"), 401),
            (Call::new("OPTIONS", "/a").header("access-control-request-method", "GET"), 204),
        ] {
            check_unshared(&gateway.call(call.header("origin", origin)).await.expect(status));
        }
    }
    let twice = Call::get("/a").key(&key).header("origin", PAGE).header("origin", PAGE);
    check_unshared(&gateway.call(twice).await.expect(200));
    // More than a head may have.
    let huge = Call::get("/all").header("origin", &"a".repeat(64 << 10));
    gateway.call(huge).await.expect(431);
    let shared = gateway.call(Call::get("/a").key(&key).header("origin", PAGE)).await.expect(200);
    check_shared(&shared);
    let all = gateway.call(Call::get("/all").header("origin", "null")).await.expect(200);
    assert_eq!((all.head.all(ALLOW_ORIGIN), all.head.all("vary")), (vec!["*"], vec!["accept"]));
}

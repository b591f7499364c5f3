//! Ordinary routes: authentication, forwarding and usage.

use e2e::{Answer, Call, Exchange, Gateway, Piece, Setup, Upstream, Wire, is_uuid_v7, setup, sha256};
use serde_json::json;

use crate::store;

const OPEN: &str = "auth: {type: none}";

async fn fine() -> Upstream {
    Upstream::answering("200 OK\r\ncontent-type: text/plain", "fine").await
}

/// Starts a server with one open route to `upstream`.
async fn open(upstream: &Upstream, path: &str) -> Gateway {
    Gateway::start(Setup::routed(upstream.address(), &format!("{{path: {path}, upstreams: backend, {OPEN}}}"))).await
}

/// Asserts the error format CX-4 of ordinary routes.
#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert_eq!((&body["error"]["code"], &body["error"]["status"]), (&json!(code), &json!(status)), "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1);
    let id = answer.header("x-request-id").unwrap();
    assert!(is_uuid_v7(id));
    assert_eq!(answer.header("request-id"), Some(id));
}

#[tokio::test]
async fn routes_match_by_path_and_method() {
    let one = fine().await;
    let two = Upstream::answering("200 OK", "two").await;
    let setup = Setup::new()
        .section(
            "upstreams",
            &format!(
                "[{{name: one, backends: [{{url: \"http://{}\"}}]}}, {{name: two, backends: [{{url: \"http://{}/base\"}}]}}]",
                one.address(),
                two.address()
            ),
        )
        .section(
            "routes",
            &format!(
                "[{{path: /items, methods: [GET, POST], upstreams: one, {OPEN}}}, \
                  {{path: {{prefix: /files}}, upstreams: one, {OPEN}}}, \
                  {{path: {{prefix: /files/two}}, upstreams: two, {OPEN}}}]"
            ),
        );
    let gateway = Gateway::start(setup).await;
    let call = async |method: &str, path: &str| gateway.call(Call::new(method, path)).await;
    for (method, path, body) in [
        ("GET", "/items", "fine"),
        ("POST", "/items", "fine"),
        ("GET", "/items?x=1", "fine"),
        ("GET", "/files", "fine"),
        ("DELETE", "/files/x/y", "fine"),
        ("GET", "/files/twofold", "fine"),
        ("GET", "/files/two/x", "two"),
    ] {
        assert_eq!(call(method, path).await.expect(200).text(), body, "{method} {path}");
    }
    assert_eq!(two.only().head.word(1), "/base/files/two/x");
    for path in ["/items/", "/items/x", "/itemsx", "/filesystem", "/Items", "/nowhere"] {
        check(&call("GET", path).await, 404, "route_not_found");
    }
    let answer = call("DELETE", "/items").await;
    check(&answer, 405, "method_not_allowed");
    let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    call("HEAD", "/items").await.expect(200);
}

#[tokio::test]
async fn routes_respond_and_redirect_by_themselves() {
    let setup = Setup::new().section(
        "routes",
        &format!(
            "[{{path: /robots.txt, {OPEN}, respond: {{body: \"User-agent: *\"}}}}, \
              {{path: /gone, {OPEN}, respond: {{status: 410, body: '{{}}', headers: {{Content-Type: application/json}}}}}}, \
              {{path: /empty, {OPEN}, respond: {{status: 204}}}}, \
              {{path: /mine, respond: {{body: ours}}}}, \
              {{path: {{prefix: /old}}, {OPEN}, redirect: {{to: /new, status: 308}}}}]"
        ),
    );
    let gateway = Gateway::start(setup).await;
    let call = async |method: &str, path: &str| gateway.call(Call::new(method, path)).await;
    let robots = call("GET", "/robots.txt").await.expect(200);
    assert_eq!(
        (robots.text().as_str(), robots.header("content-type")),
        ("User-agent: *", Some("text/plain; charset=utf-8"))
    );
    assert!(robots.header("x-request-id").is_some_and(is_uuid_v7));
    let head = call("HEAD", "/robots.txt").await.expect(200);
    assert_eq!((head.text().as_str(), head.header("content-length")), ("", Some("13")));
    let gone = call("POST", "/gone").await.expect(410);
    assert_eq!((gone.text().as_str(), gone.header("content-type")), ("{}", Some("application/json")));
    assert_eq!(call("GET", "/empty").await.expect(204).header("content-length"), None);
    for (path, to) in [("/old", "/new"), ("/old/x?a=%2F&b", "/new?a=%2F&b")] {
        let moved = call("GET", path).await.expect(308);
        assert_eq!((moved.header("location"), moved.text().as_str()), (Some(to), ""), "{path}");
    }
    // The default authentication is that of every route. The request is free of quota.
    check(&call("GET", "/mine").await, 401, "unauthorized");
    let key = gateway.key().await;
    let mine = gateway.call(Call::get("/mine").key(&key)).await.expect(200);
    assert_eq!(mine.text(), "ours");
    assert_eq!(gateway.usage(&key).await["credits"], 0);
}

#[tokio::test]
async fn only_sent_bytes_of_an_own_response_are_counted() {
    let upstream = Upstream::answering("200 OK\r\ninvalid", "fine").await;
    let routes = "{name: rows, path: /rows, upstreams: backend, events: rows}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes)).await;
    let key = gateway.key().await;
    for method in ["GET", "HEAD"] {
        let refused = gateway.call(Call::new(method, "/rows").key(&key)).await.expect(502);
        let row = store::row(gateway.folder(), &refused).await;
        assert_eq!(row["response_bytes"], refused.body.len(), "{method} {row}");
        assert_eq!(refused.body.is_empty(), method == "HEAD");
    }
}

#[tokio::test]
async fn path_and_query_reach_the_upstream_as_they_were_sent() {
    let upstream = fine().await;
    let gateway = open(&upstream, "{prefix: /f}").await;
    for target in ["/f/a%2Fb/%C3%A9;v=1", "/f/?", "/f?x=1&&y=%20+&z", "/f/a/b?u=http://h/?q=%3F"] {
        gateway.call(Call::get(target)).await.expect(200);
        assert_eq!(upstream.seen().last().unwrap().head.word(1), target);
    }
}

#[tokio::test]
async fn routes_require_a_key_unless_they_are_open() {
    let upstream = fine().await;
    let routes = format!("{{path: /keyed, upstreams: backend}}, {{path: /open, upstreams: backend, {OPEN}}}");
    let gateway = Gateway::start(Setup::routed(upstream.address(), &routes)).await;
    let key = gateway.key().await;
    let answer = gateway.call(Call::get("/keyed")).await;
    check(&answer, 401, "unauthorized");
    assert!(answer.header("www-authenticate").is_some());
    check(&gateway.call(Call::get("/keyed").key("sk-other")).await, 401, "key_malformed");
    check(&gateway.call(Call::get("/keyed").key(&format!("tollgate_{}", "1".repeat(32)))).await, 401, "key_unknown");
    assert!(upstream.seen().is_empty());
    gateway.call(Call::get("/open")).await.expect(200);
    for name in ["x-api-key", "api-key", "authorization"] {
        let value = if name == "authorization" { format!("Bearer {key}") } else { key.clone() };
        gateway.call(Call::get("/keyed").header(name, &value)).await.expect(200);
        let raw = String::from_utf8_lossy(&upstream.seen().last().unwrap().head.raw).into_owned();
        assert!(!raw.contains(&key), "a client's key must not be forwarded: {raw}");
    }
    // Requests to open routes are not counted.
    assert_eq!(gateway.counted(&key, 3).await["credits"], 3);
}

#[tokio::test]
async fn folded_events_are_counted_with_their_credits() {
    let upstream = fine().await;
    let routes = "{name: cheap, path: /cheap, upstreams: backend}, \
        {name: dear, path: /dear, upstreams: backend, credits: 5}, \
        {name: rows, path: /rows, upstreams: backend, events: rows, credits: 2}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes)).await;
    let account = gateway.account(setup::OPEN).await;
    for _ in 0..10 {
        gateway.call(Call::get("/cheap").key(&account.key)).await.expect(200);
        gateway.call(Call::get("/dear").key(&account.key)).await.expect(200);
        gateway.call(Call::get("/rows").key(&account.key)).await.expect(200);
    }
    let usage = gateway.counted(&account.key, 30).await;
    assert_eq!(usage["credits"], 10 * (1 + 5 + 2));
    let by_key = usage["by_key"].as_array().unwrap();
    assert_eq!((by_key.len(), &by_key[0]["requests"]), (1, &json!(30)), "{usage}");
    assert_eq!(gateway.used(&account.key).await, 80);
    let metrics = gateway.metrics().await;
    assert!(
        metrics
            .contains("tollgate_requests_total{route=\"dear\",method=\"GET\",status=\"200\",result=\"succeeded\"} 10"),
        "{metrics}"
    );

    // Aggregated counts are in the spool at once: they survive a crash.
    let again = Gateway::start_in(gateway.crash().folder, Setup::routed(upstream.address(), routes)).await;
    assert_eq!(again.counted(&account.key, 30).await["credits"], 80);
}

#[tokio::test]
async fn limits_apply_on_plain_routes_with_a_retry_time() {
    let upstream = fine().await;
    let setup = Setup::routed(upstream.address(), "{path: /r, upstreams: backend, credits: 3}")
        .plans("{name: seven, credits_per_day: 7}, {name: slow, requests_per_minute: 1}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("seven").await.key;
    for _ in 0..2 {
        gateway.call(Call::get("/r").key(&key)).await.expect(200);
    }
    let answer = gateway.call(Call::get("/r").key(&key)).await;
    check(&answer, 429, "quota_exceeded");
    let seconds = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
    assert!((1..=86_400).contains(&seconds), "until midnight: {seconds}");
    assert_eq!(gateway.counted(&key, 2).await["remaining"], 1);

    let key = gateway.account("slow").await.key;
    gateway.call(Call::get("/r").key(&key)).await.expect(200);
    let answer = gateway.call(Call::get("/r").key(&key)).await;
    check(&answer, 429, "rate_limited");
    let seconds = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(answer.header("x-ratelimit-limit"), Some("1"));
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    // The upstream answers each piece before the client sends the next.
    let upstream = Upstream::start(|mut turn| async move {
        let mut framing = turn.head.framing()?;
        turn.stream("200 OK").await;
        loop {
            match turn.wire.piece(&mut framing).await {
                Piece::Data(data) => turn.chunk(&data.to_ascii_uppercase()).await,
                Piece::End => break,
                Piece::Cut => return None,
            };
        }
        turn.chunk(b"").await;
        Some(turn)
    })
    .await;
    let gateway = open(&upstream, "/s").await;
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    let head = Call::new("POST", "/s").header("transfer-encoding", "chunked").head(gateway.proxy);
    wire.write(format!("{head}3\r\none\r\n").as_bytes()).await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!(head.word(1), "200");
    let mut framing = head.framing().unwrap();
    assert_eq!(wire.piece(&mut framing).await, Piece::Data(b"ONE".to_vec()));
    for word in ["two", "three"] {
        wire.write(format!("{:x}\r\n{word}\r\n", word.len()).as_bytes()).await.unwrap();
        assert_eq!(wire.piece(&mut framing).await, Piece::Data(word.to_ascii_uppercase().into_bytes()));
    }
    wire.write(b"0\r\n\r\n").await.unwrap();
    assert_eq!(wire.piece(&mut framing).await, Piece::End);
}

#[tokio::test]
async fn large_bodies_pass_by_hash_both_ways() {
    let answer: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let upstream = Upstream::answering("200 OK", &answer).await;
    let gateway = open(&upstream, "/b").await;
    let body: Vec<u8> = answer.iter().rev().copied().collect();
    let got = gateway.call(Call::new("PUT", "/b").body(&body)).await.expect(200);
    assert_eq!(sha256(&got.body), sha256(&answer));
    let seen = upstream.only();
    assert_eq!(sha256(&seen.body), sha256(&body));
    assert_eq!(seen.head.header("content-length"), Some("5000000"));
    assert!(seen.head.header("transfer-encoding").is_none());
}

#[tokio::test]
async fn upstream_receives_the_clients_address_and_no_hop_by_hop_headers() {
    let upstream = Upstream::answering(
        "200 OK\r\nConnection: X-Answer-Hop\r\nX-Answer-Hop: 1\r\nKeep-Alive: timeout=9\r\nX-Kept:  a b",
        "x",
    )
    .await;
    let gateway = open(&upstream, "/h").await;
    let call = Call::get("/h")
        .header("Host", "api.example.com:8443")
        .header("Connection", "X-Hop, close")
        .header("X-Hop", "1")
        .header("TE", "gzip")
        .header("Proxy-Connection", "keep-alive")
        .header("Upgrade", "h2c")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Forwarded-Proto", "https")
        .header("Accept-Encoding", "gzip")
        .header("X-Kept", "1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let answer = gateway.call(call).await.expect(200);
    assert_eq!(answer.header("x-kept"), Some("a b"));
    assert!(answer.header("x-answer-hop").is_none() && answer.header("keep-alive").is_none());
    let head = upstream.only().head;
    assert_eq!(head.all("host"), ["api.example.com:8443"]);
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"], "no proxy is trusted to set it");
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["api.example.com:8443"]);
    assert_eq!(head.all("accept-encoding"), ["gzip"], "Tollgate does not read responses of ordinary routes");
    assert_eq!(head.all("x-kept"), ["1"]);
    for gone in ["x-hop", "te", "proxy-connection", "upgrade"] {
        assert!(head.header(gone).is_none(), "{gone}");
    }
    let trace: Vec<&str> = head.header("traceparent").unwrap().split('-').collect();
    assert_eq!((trace[0], trace[1], trace[3]), ("00", "0af7651916cd43dd8448eb211c80319c", "01"));
}

/// Forged header fields: the bytes that the backend received contain them only where they are allowed.
#[tokio::test]
async fn headers_that_backends_trust_pass_only_from_trusted_proxies_on_allowed_routes() {
    const FORGED: [&str; 9] = [
        "Proxy",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X_Rewrite_URL",
        "X-HTTP-Method-Override",
        "CF-Connecting-IP",
        "True-Client-IP",
        "Remote-User",
        "X-Remote-User",
    ];
    let upstream = fine().await;
    let routes = format!(
        "{{path: /closed, upstreams: backend, {OPEN}}}, \
         {{path: /allowed, upstreams: backend, allow_headers: [X-HTTP-Method-Override], {OPEN}}}"
    );
    let setup = || Setup::routed(upstream.address(), &routes);
    let (strict, behind) =
        tokio::join!(Gateway::start(setup()), Gateway::start(setup().section("trusted_proxies", "[127.0.0.0/8]")));
    let cases = [
        (&strict, "/closed", &[][..]),
        (&strict, "/allowed", &["X-HTTP-Method-Override"]),
        (&behind, "/closed", &FORGED),
    ];
    for (gateway, path, passes) in cases {
        let call = FORGED.iter().fold(Call::get(path), |call, name| call.header(name, "forged-value"));
        gateway.call(call.header("X-Kept", "1")).await.expect(200);
        let head = upstream.seen().pop().unwrap().head;
        let raw = String::from_utf8_lossy(&head.raw).to_lowercase();
        assert_eq!(raw.matches("forged-value").count(), passes.len(), "{path} {raw}");
        for name in passes {
            assert_eq!(head.all(name), ["forged-value"], "{raw}");
        }
        assert_eq!(head.all("x-kept"), ["1"]);
    }
}

#[tokio::test]
async fn responses_without_a_body_have_no_bytes() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        let answer: &[u8] = match turn.head.word(1) {
            "/s/204" => b"HTTP/1.1 204 No Content\r\n\r\n",
            "/s/304" => b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\ncontent-length: 100\r\n\r\n",
            "/s/103" => b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "/s/close" => b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
        };
        turn.write(answer).await;
        (turn.head.word(1) != "/s/close").then_some(turn)
    })
    .await;
    let gateway = open(&upstream, "{prefix: /s}").await;
    let head = gateway.call(Call::new("HEAD", "/s/head")).await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("1234"), 0));
    assert!(gateway.call(Call::get("/s/204")).await.expect(204).body.is_empty());
    assert_eq!(gateway.call(Call::get("/s/304")).await.expect(304).header("etag"), Some("\"x\""));
    assert_eq!(gateway.call(Call::get("/s/103")).await.expect(200).text(), "ok");
    let answer = gateway.call(Call::get("/s/close")).await.expect(200);
    assert_eq!((answer.text().as_str(), answer.whole), ("until the end", true));
}

#[tokio::test]
async fn client_that_expects_100_continue_receives_it() {
    let upstream = fine().await;
    let gateway = open(&upstream, "/e").await;
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    let head =
        Call::new("POST", "/e").header("expect", "100-continue").header("content-length", "4").head(gateway.proxy);
    wire.write(head.as_bytes()).await.unwrap();
    assert_eq!(wire.head().await.unwrap().word(1), "100");
    wire.write(b"body").await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!(Exchange::new(wire, head, "POST").rest().await.expect(200).text(), "fine");
    assert_eq!(upstream.only().body, b"body");
}

#[tokio::test]
async fn connection_of_a_client_serves_consecutive_requests() {
    let upstream = fine().await;
    let gateway = open(&upstream, "{prefix: /k}").await;
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    for n in 0..5 {
        let (answer, back) =
            Call::new("POST", &format!("/k/{n}")).body("x").over(wire, gateway.proxy).await.unwrap().reuse().await;
        assert_eq!((answer.status(), answer.text().as_str()), (200, "fine"));
        wire = back;
    }
    // Two pipelined requests are answered in order.
    let head = |path: &str| Call::get(path).head(gateway.proxy);
    wire.write(format!("{}{}", head("/nowhere"), head("/k/last")).as_bytes()).await.unwrap();
    for status in [404, 200] {
        let head = wire.head().await.unwrap();
        let (answer, back) = Exchange::new(wire, head, "GET").reuse().await;
        assert_eq!(answer.status(), status);
        wire = back;
    }
}

#[tokio::test]
async fn bounds_and_failures_have_their_codes() {
    let closed_port = e2e::ReservedPort::new();
    let setup = Setup::routed(closed_port.address(), &format!("{{path: /r, upstreams: backend, {OPEN}}}"))
        .section("sizes", "{body: 1KiB}");
    let gateway = Gateway::start(setup).await;
    let answer = gateway.call(Call::get("/r")).await;
    check(&answer, 502, "upstream_connect");
    assert!(
        !answer.text().contains(&closed_port.address().to_string()),
        "the response must not reveal the backend's address"
    );
    let too_large = Call::new("POST", "/r").header("content-length", "1025").body("");
    check(&gateway.call(too_large).await, 413, "payload_too_large");
}

#[tokio::test]
async fn http_1_0_responses_end_with_the_connection() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.stream("200 OK").await;
        turn.chunk(b"in ").await;
        turn.chunk(b"pieces").await;
        turn.chunk(b"").await;
        Some(turn)
    })
    .await;
    let gateway = open(&upstream, "/o").await;
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    wire.write(b"GET /o HTTP/1.0\r\n\r\n").await.unwrap();
    let head = wire.head().await.unwrap();
    assert!(head.framing().is_none(), "{head:?}");
    assert_eq!(Exchange::new(wire, head, "GET").rest().await.expect(200).text(), "in pieces");
    assert_eq!(upstream.only().head.word(2), "HTTP/1.1");
}

#[tokio::test]
async fn rate_limit_headers_are_only_tollgates() {
    let others = "200 OK\r\nX-RateLimit-Limit: 777777\r\nx-ratelimit-limit: 777777\r\nX-RateLimit-Remaining: 777777\
        \r\nX-Ratelimit-Reset: 777777";
    let upstream = Upstream::answering(others, "fine").await;
    let setup = Setup::routed(upstream.address(), "{path: /r, upstreams: backend}")
        .plans("{name: five, requests_per_minute: 5}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("five").await.key;
    let answer = gateway.call(Call::get("/r").key(&key)).await.expect(200);
    assert_eq!(answer.head.all("x-ratelimit-limit"), ["5"]);
    assert_eq!(answer.head.all("x-ratelimit-remaining"), ["4"]);
    let resets = answer.head.all("x-ratelimit-reset");
    assert!(resets.len() == 1 && resets[0] != "777777", "{resets:?}");
}

#[tokio::test]
async fn key_beside_another_authorization_does_not_reach_the_upstream() {
    let upstream = fine().await;
    let gateway = open(&upstream, "/o").await;
    let key = gateway.key().await;
    let basic = "Basic dTpw".to_owned();
    let bearer = format!("Bearer {key}");
    for pair in [[&basic, &bearer], [&bearer, &basic]] {
        let call = Call::get("/o").header("authorization", pair[0]).header("Authorization", pair[1]);
        gateway.call(call).await.expect(200);
        let head = upstream.seen().pop().unwrap().head;
        assert!(!String::from_utf8_lossy(&head.raw).contains(&key), "{head:?}");
    }
    // A single authorization that is not a Tollgate key is forwarded unchanged.
    gateway.call(Call::get("/o").header("authorization", &basic)).await.expect(200);
    assert_eq!(upstream.seen().pop().unwrap().head.all("authorization"), [basic]);
}

//! Keys where browsers and Google's clients send them: in the query, or in `Sec-WebSocket-Protocol`.

use e2e::{Call, Gateway, Setup, Turn, Upstream, commands};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ROUTE: &str = "{path: /live, upstreams: backend, upgrades: [websocket], auth: {type: key, from: [header, {query: key}, protocol]}}";

/// Accepts each WebSocket with the last of the protocols, if the request has one.
async fn accepting() -> Upstream {
    Upstream::start(|mut turn: Turn| async move {
        let offered = turn.head.header("sec-websocket-protocol").map(str::to_owned);
        let protocol = offered.as_deref().and_then(|offered| offered.rsplit(',').next()).map(str::trim);
        let protocol = protocol.map(|protocol| format!("sec-websocket-protocol: {protocol}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{protocol}\r\n"
        );
        turn.write(head.as_bytes()).await;
        None
    })
    .await
}

/// Asks for a WebSocket as a browser does; returns the head of the response in lowercase, apart from values.
async fn upgraded(gateway: &Gateway, target: &str, protocols: Option<&str>) -> String {
    let mut socket = TcpStream::connect(gateway.proxy).await.unwrap();
    let protocols = protocols.map(|protocols| format!("Sec-WebSocket-Protocol: {protocols}\r\n")).unwrap_or_default();
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocols}\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        received.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(received).unwrap()
}

fn accepted(head: &str) -> Option<&str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-protocol").then(|| value.trim())
    })
}

/// Asserts that neither upstreams nor the log have learned the key.
fn check_secrecy(gateway: &Gateway, upstream: &Upstream, key: &str) {
    for request in upstream.seen() {
        assert!(!format!("{:?}", request.head).contains(key), "{:?}", request.head);
    }
    let log = gateway.stderr();
    assert!(log.contains("\"path\":\"/live\"") && !log.contains(key), "{log}");
}

#[tokio::test]
async fn a_browsers_websocket_has_its_key_among_the_protocols_or_in_the_query() {
    let upstream = accepting().await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTE)).await;
    let key = gateway.key().await;
    let with_key = format!("tollgate.key.{key}");
    for (target, protocols, expected) in [
        ("/live".to_owned(), Some(format!("chat, {with_key}, chat.v2")), Some("chat.v2".to_owned())),
        ("/live".to_owned(), Some(with_key.clone()), Some(with_key.clone())),
        (format!("/live?key={key}"), None, None),
        (format!("/live?room=1&key={key}"), Some("chat".to_owned()), Some("chat".to_owned())),
    ] {
        let head = upgraded(&gateway, &target, protocols.as_deref()).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{target} {protocols:?}: {head}");
        assert_eq!(accepted(&head), expected.as_deref(), "{target} {protocols:?}: {head}");
    }
    let seen = upstream.seen();
    let targets: Vec<_> = seen.iter().map(|request| request.head.first.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(targets, ["/live", "/live", "/live", "/live?room=1"]);
    let protocols: Vec<_> = seen.iter().map(|request| request.head.header("sec-websocket-protocol")).collect();
    assert_eq!(protocols, [Some("chat, chat.v2"), None, None, Some("chat")]);
    gateway.uses(&key, 4).await;
    check_secrecy(&gateway, &upstream, &key);

    for (target, protocols, status) in [
        ("/live".to_owned(), None, "401"),
        ("/live".to_owned(), Some("tollgate.key.tollgate_00000000000000000000000000000000".to_owned()), "401"),
        (format!("/live?key={key}"), Some("tollgate.key.tollgate_00000000000000000000000000000000".to_owned()), "400"),
    ] {
        let head = upgraded(&gateway, &target, protocols.as_deref()).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{target} {protocols:?}: {head}");
    }
}

#[tokio::test]
async fn other_routes_accept_a_key_in_headers_only() {
    let upstream = accepting().await;
    let routes = "{path: /live, upstreams: backend, upgrades: [websocket]}, \
        {path: /query, upstreams: backend, auth: {type: key, from: {query: key}}}";
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes)).await;
    let key = gateway.key().await;
    let head = upgraded(&gateway, "/live", Some(&format!("tollgate.key.{key}"))).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    gateway.call(Call::get(&format!("/live?key={key}"))).await.expect(401);
    gateway.call(Call::get("/query").key(&key)).await.expect(401);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn an_explanation_does_not_repeat_the_key() {
    let upstream = accepting().await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTE)).await;
    let key = gateway.key().await;
    let url = format!("http://x/live?a=1&key={key}");
    let output = commands::run(gateway.folder(), &["explain", "--config", "tollgate.yaml", &url, "--json"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let explained: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(explained["request"]["query"], "a=1");
    assert_eq!(explained["authentication"]["has_credential"], true);
    assert_eq!(explained["refusal"], Value::Null);
    assert!(!text.contains(&key), "{text}");
}

#[tokio::test]
async fn googles_paths_accept_a_key_in_the_query() {
    let upstream = Upstream::json(&json!({"candidates": [{"finishReason": "STOP"}]})).await;
    let gateway = Gateway::start(Setup::provider("gemini", upstream.address())).await;
    let key = gateway.key().await;
    let path = |query: &str| format!("/v1beta/models/up/gemini-2.5-flash:generateContent{query}");
    let body = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    gateway.call(Call::json(&path(&format!("?key={key}")), &body)).await.expect(200);
    gateway.call(Call::json(&path("?key=AIza-of-somebody-else"), &body)).await.expect(401);
    gateway.call(Call::get(&format!("/v1beta/models?key={key}"))).await.expect(200);
    gateway.call(Call::json(&format!("/v1/chat/completions?key={key}"), &json!({"model": "x"}))).await.expect(401);
    // The call, and the list of the provider's models.
    let seen = upstream.seen();
    assert!(seen.len() == 2 && seen.iter().all(|request| !format!("{:?}", request.head).contains(&key)), "{seen:?}");
    gateway.uses(&key, 1).await;
}

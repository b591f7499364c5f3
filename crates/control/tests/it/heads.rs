//! Heads that two servers could read differently, and content with invalid framing, byte for byte on real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use control::ServerLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{get, raw, rest};
use crate::world::World;

const NEXT: &str = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
/// Invalid heads, each without its last empty line, and what the message of the refusal contains.
const INVALID: [(&str, &str); 19] = [
    ("GET /livez HTTP/1.1\r\n", "the Host header is missing"),
    ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "more than one Host"),
    ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "more than one Host"),
    ("GET http://a/livez HTTP/1.1\r\nHost: b\r\n", "Host"),
    ("GET /livez HTTP/1.1\nHost: a\r\n", "LF without CR"),
    ("GET /livez HTTP/1.1\r\nHost: a\nX: y\r\n", "LF without CR"),
    ("GET /livez HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n", "begins with whitespace"),
    ("GET /livez HTTP/1.1\r\nHost: a\r\nX : y\r\n", "whitespace precedes the colon"),
    ("GET /livez HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n", "control"),
    ("GET /livez\0 HTTP/1.1\r\nHost: a\r\n", "control"),
    ("GET /livez%00 HTTP/1.1\r\nHost: a\r\n", "percent"),
    ("GET /api/../livez HTTP/1.1\r\nHost: a\r\n", "segment"),
    ("POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n", "Content-Length"),
    ("POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n", "Content-Length"),
    ("POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n", "Content-Length"),
    (
        "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "both Content-Length and Transfer-Encoding",
    ),
    ("POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding"),
    ("POST /api/auth/validate HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding"),
    ("hello\r\n", "version"),
];

async fn world() -> World {
    World::start_with("127.0.0.1:0", ServerLimits::default()).await
}

/// Sends each byte in a separate segment, and reads until the server closes the connection.
async fn byte_by_byte(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in request.bytes() {
        // The server may have refused the request and closed the connection.
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    rest(&mut stream).await
}

#[tokio::test]
async fn an_invalid_head_is_refused_and_no_later_request_is_served() {
    let world = world().await;
    for (head, message) in INVALID {
        let answer = raw(world.address, format!("{head}\r\n{NEXT}{NEXT}").as_bytes()).await;
        // The error object is the only content: no second response follows.
        let refused = answer.refuses(400, "bad_request");
        assert!(refused.contains(message), "{head:?}: {refused}");
        assert_eq!(answer.headers.get("connection").map(String::as_str), Some("close"), "{head:?}");
    }
}

#[tokio::test]
async fn a_valid_request_before_an_invalid_head_is_served() {
    let world = world().await;
    for (head, _) in INVALID {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(format!("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n{head}\r\n{NEXT}").as_bytes()).await.unwrap();
        let both = rest(&mut stream).await;
        assert!(both.starts_with("HTTP/1.1 200"), "{head:?}: {both}");
        let count = |status: &str| both.matches(&format!("HTTP/1.1 {status}")).count();
        assert_eq!((count("200"), count("400")), (1, 1), "{head:?}: {both}");
    }
}

#[tokio::test]
async fn heads_are_judged_alike_in_any_pieces() {
    let world = world().await;
    for (head, _) in INVALID.iter().step_by(3) {
        let text = byte_by_byte(world.address, &format!("{head}\r\n")).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{head:?}: {text}");
    }
    let valid = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(byte_by_byte(world.address, valid).await.matches("HTTP/1.1 200").count(), 2);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = world().await;
    let long = format!("X-Long: {}", "x".repeat(70_000));
    get(world.address, "/livez", &[&long]).await.refuses(431, "header_too_large");
    let many = vec!["X-Many: 1"; 101];
    get(world.address, "/livez", &many).await.refuses(431, "header_too_large");
    let endless = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(300_000));
    raw(world.address, endless.as_bytes()).await.refuses(431, "header_too_large");
    // The largest heads within the bounds are served.
    let fits = format!("X-Long: {}", "x".repeat(64 * 1024 - 200));
    assert_eq!(get(world.address, "/livez", &[&fits]).await.status, 200);
    assert_eq!(get(world.address, "/livez", &many[..98]).await.status, 200);
}

#[tokio::test]
async fn a_client_that_still_sends_reads_its_refusal() {
    let world = world().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let late = vec![b'x'; 600_000];
    stream.write_all(b"POST /api/auth/validate HTTP/1.1\r\nContent-Length: 600000\r\n\r\n").await.unwrap();
    stream.write_all(&late).await.unwrap();
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("Host header is missing"), "{text}");
    drop(stream);
    // A client that never stops is cut.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let endless = async {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        while stream.write_all(&late).await.is_ok() {}
    };
    timeout(Duration::from_secs(20), endless).await.expect("the server closes the connection");
}

#[tokio::test]
async fn content_with_invalid_framing_is_refused_or_cut() {
    let world = world().await;
    let head = "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    for content in
        ["zz\r\n", "2\n{}", "2\r\n{}0\r\n\r\n", "-1\r\n", "\r\n", "2\r\n{}\r\n0\r\nContent-Length: 1\r\n\r\n"]
    {
        for first in ["", "d\r\n{\"token\":\"x\"}\r\n"] {
            let mut stream = TcpStream::connect(world.address).await.unwrap();
            stream.write_all(format!("{head}{first}{content}{NEXT}").as_bytes()).await.unwrap();
            let text = rest(&mut stream).await;
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{first:?} {content:?}: {text}");
            assert!(text.matches("HTTP/1.1 ").count() < 2 && !text.contains("openapi"), "{content:?}: {text}");
        }
    }
}

#[tokio::test]
async fn ordinary_clients_are_served() {
    let world = world().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let body = "{\"token\":\"x\"}";
    let post = "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\
        Content-Type: application/json\r\n";
    let mut room = vec![0; 64 * 1024];
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n".to_owned(), "200"),
        (format!("{post}Content-Length: {}\r\n\r\n{body}", body.len()), "401"),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\nX-T: 1\r\n\r\n", body.len()),
            "401",
        ),
        ("GET http://a/livez HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200"),
        ("\r\nGET /livez?x HTTP/1.1\r\nhost: a:8787\r\n\r\n".to_owned(), "200"),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.contains("\r\n\r\n") {
            let bytes = timeout(Duration::from_secs(20), stream.read(&mut room)).await.unwrap().unwrap();
            assert!(bytes > 0, "{request:?}: {text}");
            text.push_str(std::str::from_utf8(&room[..bytes]).unwrap());
        }
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {text}");
    }
    for fields in ["", "Host: a\r\n", "Connection: close\r\n"] {
        let answer = raw(world.address, format!("GET /livez HTTP/1.0\r\n{fields}\r\n").as_bytes()).await;
        assert_eq!(answer.status, 200, "{fields:?}");
    }
    let mut kept = TcpStream::connect(world.address).await.unwrap();
    kept.write_all(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /livez HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut kept).await.matches(" 200 OK").count(), 2);
}

//! Requests and responses on HTTP/1.1 connections to upstreams: framing, and bodies in both directions at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, call};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends `request` on a new connection, with the credential in place of `AUTH`.
async fn send_raw(gateway: &Gateway, request: &str) -> TcpStream {
    let caller = gateway.caller();
    let mut stream = caller.connect().await;
    let request = request.replace("AUTH", &format!("host: here\r\nauthorization: {}\r\n", caller.authorization()));
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until the response ends with `end`.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let bytes = timeout(PATIENCE, stream.read_buf(&mut read)).await.expect("bytes in time").unwrap();
        assert!(bytes > 0, "the connection ended after {}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// The last field and the content that an upstream receives for a request of a client.
async fn received(request: &str, end: &'static str) -> String {
    let bytes = Arc::new(Mutex::new(String::new()));
    let noted = bytes.clone();
    let raw = Raw::start(move |mut conn: Conn| {
        let noted = noted.clone();
        async move {
            let request = read_to(&mut conn.stream, end).await;
            noted.lock().unwrap().push_str(&request);
            conn.say(OK).await;
            conn.linger().await;
        }
    })
    .await;
    let gateway = raw.http1();
    let mut client = send_raw(&gateway, request).await;
    read_to(&mut client, "ok").await;
    let received = bytes.lock().unwrap().clone();
    let (head, content) = received.split_once("\r\n\r\n").unwrap();
    let is_framing = |line: &&str| line.starts_with("content-length:") || line.starts_with("transfer-encoding:");
    let framing: Vec<&str> = head.lines().filter(is_framing).collect();
    format!("{} | {} | {content}", head.lines().next().unwrap(), framing.join(", "))
}

#[tokio::test]
async fn requests_are_framed_as_their_content_needs() {
    for (request, end, expected) in [
        ("GET /api/x?a=%20b HTTP/1.1\r\nAUTH\r\n", "\r\n\r\n", "GET /api/x?a=%20b HTTP/1.1 |  | "),
        ("POST /api/x HTTP/1.1\r\nAUTH\r\n", "\r\n\r\n", "POST /api/x HTTP/1.1 |  | "),
        (
            "POST /api/x HTTP/1.1\r\nAUTHcontent-length: 0\r\n\r\n",
            "\r\n\r\n",
            "POST /api/x HTTP/1.1 | content-length: 0 | ",
        ),
        (
            "PUT /api/x HTTP/1.1\r\nAUTHcontent-length: 5\r\n\r\nhello",
            "hello",
            "PUT /api/x HTTP/1.1 | content-length: 5 | hello",
        ),
        (
            "POST /api/x HTTP/1.1\r\nAUTHtransfer-encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nt: v\r\n\r\n",
            "t: v\r\n\r\n",
            "POST /api/x HTTP/1.1 | transfer-encoding: chunked | 3\r\nhel\r\n2\r\nlo\r\n0\r\nt: v\r\n\r\n",
        ),
    ] {
        assert_eq!(received(request, end).await, expected);
    }
}

#[tokio::test]
async fn large_content_reaches_an_upstream_that_reads_slowly() {
    const BYTES: usize = 3 * 1024 * 1024;
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.say(OK).await;
        conn.linger().await;
    })
    .await;
    let gateway = raw.http1();
    let body = "x".repeat(BYTES);
    let request = format!("POST /api/x HTTP/1.1\r\nAUTHcontent-length: {BYTES}\r\n\r\n{body}");
    let mut client = send_raw(&gateway, &request).await;
    read_to(&mut client, "ok").await;
}

#[tokio::test]
async fn response_before_the_end_of_the_request_does_not_stop_the_request() {
    const BYTES: usize = 8 * 1024 * 1024;
    let raw = Raw::start(|mut conn: Conn| async move {
        read_to(&mut conn.stream, "begin").await;
        conn.say("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nwait").await;
        let mut left = vec![0; BYTES];
        conn.stream.read_exact(&mut left).await.unwrap();
        conn.say("end").await;
        conn.linger().await;
    })
    .await;
    let gateway = raw.http1();
    let length = BYTES + "begin".len();
    let head = format!("POST /api/x HTTP/1.1\r\nAUTHcontent-length: {length}\r\n\r\nbegin");
    let mut client = send_raw(&gateway, &head).await;
    read_to(&mut client, "wait").await;
    // The client reads nothing until all of its request is sent.
    timeout(PATIENCE, client.write_all(&vec![b'x'; BYTES])).await.expect("the request continues").unwrap();
    read_to(&mut client, "end").await;
}

#[tokio::test]
async fn client_that_leaves_during_its_request_ends_a_response_that_has_begun() {
    let is_closed = Arc::new(Semaphore::new(0));
    let closed = is_closed.clone();
    let raw = Raw::start(move |mut conn: Conn| {
        let closed = closed.clone();
        async move {
            read_to(&mut conn.stream, "begin").await;
            conn.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nwait").await;
            conn.linger().await;
            closed.add_permits(1);
        }
    })
    .await;
    let gateway = raw.http1();
    let mut client = send_raw(&gateway, "POST /api/x HTTP/1.1\r\nAUTHcontent-length: 100\r\n\r\nbegin").await;
    read_to(&mut client, "wait").await;
    drop(client);
    timeout(PATIENCE, is_closed.acquire()).await.expect("the upstream's connection is closed").unwrap().forget();
}

#[tokio::test]
async fn response_to_a_refused_request_reaches_the_client() {
    // The upstream responds and closes without reading the request.
    let raw = Raw::start(|mut conn: Conn| async move {
        read_to(&mut conn.stream, "begin").await;
        conn.say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!").await;
        conn.is_read().await;
    })
    .await;
    let gateway = raw.http1();
    let head = "POST /api/x HTTP/1.1\r\nAUTHcontent-length: 1000000\r\n\r\nbegin";
    let mut client = send_raw(&gateway, head).await;
    let response = read_to(&mut client, "no!").await;
    assert!(response.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{response}");
}

#[tokio::test]
async fn responses_without_content_are_complete_with_their_head() {
    for (method, response) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        (Method::GET, "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n"),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let raw = Raw::start(move |mut conn: Conn| async move {
            while conn.head().await.is_some() {
                conn.say(response).await;
            }
        })
        .await;
        let gateway = raw.http1();
        for _ in 0..2 {
            let got = call(&gateway.caller(), method.clone()).await;
            assert_eq!((got.body.as_str(), got.whole), ("", true), "{method} {response}");
        }
        let connections = raw.asked().iter().map(|(number, _)| *number).max();
        assert_eq!(connections, Some(1), "the connection is used again: {method} {response}");
    }
}

#[tokio::test]
async fn connections_are_used_again_only_where_the_response_allows_it() {
    for (response, closes, is_kept) in [
        (OK, false, true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", false, false),
        ("HTTP/1.1 200 OK\r\nconnection: foo, CLOSE\r\ncontent-length: 2\r\n\r\nok", false, false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false, false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", false, true),
        ("HTTP/1.1 200 OK\r\n\r\nok", true, false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=\"y\"\r\nok\r\n0\r\nt: v\r\n\r\n", false, true),
        ("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", false, true),
    ] {
        let raw = Raw::start(move |mut conn: Conn| async move {
            while conn.head().await.is_some() {
                conn.say(response).await;
                if closes {
                    return;
                }
            }
        })
        .await;
        let gateway = raw.http1();
        call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
        call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
        let connections: Vec<usize> = raw.asked().iter().map(|(number, _)| *number).collect();
        assert_eq!(connections == [1, 1], is_kept, "{response}");
    }
}

#[tokio::test]
async fn reason_phrases_and_responses_in_single_bytes_arrive_as_they_are() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        for byte in b"HTTP/1.1 299 Rather Fine\r\nx-a:  b \r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        {
            conn.say([*byte]).await;
            tokio::task::yield_now().await;
        }
        conn.linger().await;
    })
    .await;
    let gateway = raw.http1();
    let mut client = send_raw(&gateway, "GET /api/x HTTP/1.1\r\nAUTH\r\n").await;
    let response = read_to(&mut client, "0\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 299 Rather Fine\r\n"), "{response}");
    assert!(response.contains("\r\nx-a: b\r\n"), "{response}");
}

#[tokio::test]
async fn a_client_that_aborts_its_upload_has_no_failed_request() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.linger().await;
    })
    .await;
    let gateway = raw.http1();
    drop(send_raw(&gateway, "POST /api/x HTTP/1.1\r\nAUTHcontent-length: 100\r\n\r\nabc").await);
    let ended = async {
        loop {
            let text = gateway.metrics();
            let series =
                text.lines().find(|line| line.starts_with("tollgate_requests_total{") && line.contains("POST"));
            match series.filter(|line| line.ends_with(" 1")) {
                Some(series) => return series.to_owned(),
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let series = timeout(PATIENCE, ended).await.expect("the request ends");
    assert!(series.contains("status=\"499\"") && series.contains("result=\"succeeded\""), "{series}");
}

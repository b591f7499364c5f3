//! Responses before the end of a request, and clients that end their side (RFC 9112, 9.3 and 9.6; RFC 9110, 7.5).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::raw::{Conn, Raw};
use crate::wire::{Client, End, OK, PATIENCE, before, echo, noted, upstream};

/// More than a socket's buffers hold, and less than the gateway reads and drops after a refusal.
const LATE_BYTES: usize = 1_000_000;
const DONE: End = End { rest: String::new(), by_reset: false };

/// Heads of requests with a body of [`LATE_BYTES`] bytes, and what surrounds these bytes.
fn requests(path: &str) -> [(String, String, &'static str); 2] {
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n");
    [
        (format!("{head}content-length: {LATE_BYTES}\r\n\r\n"), String::new(), ""),
        (format!("{head}transfer-encoding: chunked\r\n\r\n"), format!("{LATE_BYTES:x}\r\n"), "\r\n0\r\n\r\n"),
    ]
}

#[tokio::test]
async fn refusal_reaches_a_client_that_sends_on_before_it_reads() {
    let raw = echo().await;
    let gateway = before(&raw);
    for path in ["/keyed", "/nowhere"] {
        for (head, begin, end) in requests(path) {
            let mut client = Client::sending(&gateway, head).await;
            let body = format!("{begin}{}{end}", "x".repeat(LATE_BYTES));
            assert!(client.try_send(body).await, "{path}: the client can send on");
            let received = client.response("POST").await;
            assert!(matches!(received.code(), Some("unauthorized" | "route_not_found")), "{received:?}");
            if received.closes() {
                client.half_close().await;
                assert_eq!(client.end().await, DONE, "{path}");
            } else {
                client.goes_on().await;
            }
        }
    }
    assert!(noted(&raw).iter().all(|line| line == "GET /api/next"), "{:?}", noted(&raw));
}

#[tokio::test]
async fn refusal_of_a_head_reaches_a_client_that_sends_on_before_it_reads() {
    let raw = echo().await;
    let gateway = before(&raw);
    for fields in ["host: x\r\nhost: x\r\n", "host: x\r\ntransfer-encoding: chunked\r\n", ""] {
        let head = format!("POST /api/x HTTP/1.1\r\n{fields}content-length: {LATE_BYTES}\r\n\r\n");
        let mut client = Client::sending(&gateway, head).await;
        assert!(client.try_send("x".repeat(LATE_BYTES)).await);
        let received = client.response("POST").await;
        received.is_refusal(400, "bad_request");
        assert!(received.closes());
        client.half_close().await;
        assert_eq!(client.end().await, DONE, "{fields:?}");
    }
    assert_eq!(noted(&raw), [""; 0]);
}

#[tokio::test]
async fn refused_body_over_its_bound_says_that_the_connection_closes() {
    let raw = echo().await;
    let gateway = crate::wire::configured(&raw, "sizes: {body: 1MiB}\n");
    let mut client =
        Client::sending(&gateway, "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n").await;
    let received = client.response("POST").await;
    received.is_refusal(413, "payload_too_large");
    assert!(received.closes(), "{received:?}");
    client.ends().await;
    assert_eq!(noted(&raw), [""; 0]);
}

/// An upstream that reads the head and `begin`, responds with a whole response of `fields`, and then reads on or closes.
async fn hasty(fields: &'static str, reads_on: bool) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        let mut read = Vec::new();
        while !read.ends_with(b"begin") {
            use tokio::io::AsyncReadExt;
            let Ok(byte) = conn.stream.read_u8().await else { return };
            read.push(byte);
        }
        conn.say(format!("HTTP/1.1 413 Content Too Large\r\n{fields}content-length: 3\r\n\r\nno!")).await;
        if reads_on {
            conn.linger().await;
        } else {
            conn.is_read().await;
        }
    })
    .await
}

#[tokio::test]
async fn early_response_of_an_upstream_reaches_a_client_that_sends_on_before_it_reads() {
    for (fields, reads_on) in [("", true), ("connection: close\r\n", true), ("connection: close\r\n", false)] {
        for (head, size, end) in requests("/api/x") {
            let raw = hasty(fields, reads_on).await;
            let gateway = before(&raw);
            let mut client = Client::sending(&gateway, format!("{head}{size}begin")).await;
            // The response is on its way while the client writes.
            sleep(Duration::from_millis(50)).await;
            client.try_send(format!("{}{end}", "x".repeat(LATE_BYTES - "begin".len()))).await;
            let received = client.response("POST").await;
            assert_eq!((received.status, received.body.as_str()), (413, "no!"), "{fields:?} {reads_on}");
        }
    }
}

#[tokio::test]
async fn early_response_of_an_upstream_reaches_a_client_that_stops_sending() {
    for (fields, reads_on) in [("", true), ("connection: close\r\n", true), ("connection: close\r\n", false)] {
        for (head, size, _) in requests("/api/x") {
            let raw = hasty(fields, reads_on).await;
            let gateway = before(&raw);
            let mut client = Client::sending(&gateway, format!("{head}{size}begin")).await;
            let received = client.response("POST").await;
            assert_eq!((received.status, received.body.as_str()), (413, "no!"), "{fields:?} {reads_on}");
        }
    }
}

#[tokio::test]
async fn early_response_says_that_the_connection_closes_where_the_client_owes_bytes() {
    // RFC 9110, 10.1.1 and RFC 9112, 9.3: a server that does not read the rest closes, and says so.
    for (fields, reads_on) in [("", true), ("connection: close\r\n", false)] {
        for (head, size, _) in requests("/api/x") {
            let raw = hasty(fields, reads_on).await;
            let gateway = before(&raw);
            let mut client = Client::sending(&gateway, format!("{head}{size}begin")).await;
            let received = client.response("POST").await;
            assert!(received.closes(), "{fields:?} {reads_on}: {received:?}");
            client.half_close().await;
            assert_eq!(client.end().await, DONE);
        }
    }
}

#[tokio::test]
async fn nothing_behind_an_unfinished_request_is_served_as_one() {
    let raw = hasty("connection: close\r\n", false).await;
    let gateway = before(&raw);
    let body = "beginGET /api/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let head = format!("POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len() + 1_000_000);
    let mut client = Client::sending(&gateway, format!("{head}begin")).await;
    assert_eq!(client.response("POST").await.status, 413);
    client.try_send(&body["begin".len()..]).await;
    client.try_send("x".repeat(100_000)).await;
    let end = client.end().await;
    assert_eq!(end.rest, "", "one response belongs to one request");
}

#[tokio::test]
async fn response_goes_on_while_the_client_sends_its_request() {
    let raw = Raw::start(|mut conn: Conn| async move {
        use tokio::io::AsyncReadExt;
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(conn.stream.read_u8().await.unwrap());
        }
        conn.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
        for _ in 0..10 {
            let byte = conn.stream.read_u8().await.unwrap();
            conn.say([byte.to_ascii_uppercase()]).await;
        }
        conn.linger().await;
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n").await;
    for byte in b"abcdefghij" {
        client.send([*byte]).await;
        sleep(Duration::from_millis(5)).await;
    }
    client.response("POST").await.is_answer("ABCDEFGHIJ");
}

/// Starts an upstream that sends one response for each permit of the first semaphore. It adds a permit to the second one
/// when a connection closes.
async fn patient() -> (Raw, Arc<Semaphore>, Arc<Semaphore>) {
    let may_answer = Arc::new(Semaphore::new(0));
    let is_closed = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&may_answer);
    let closed = Arc::clone(&is_closed);
    let raw = Raw::start(move |mut conn: Conn| {
        let answers = Arc::clone(&answers);
        let closed = Arc::clone(&closed);
        async move {
            while let Some(sent) = conn.request().await {
                conn.note(&sent.summary());
                tokio::select! {
                    permit = answers.acquire() => permit.unwrap().forget(),
                    () = conn.linger() => break,
                }
                conn.say(OK).await;
            }
            closed.add_permits(1);
        }
    })
    .await;
    (raw, may_answer, is_closed)
}

#[tokio::test]
async fn client_that_ends_its_side_during_a_request_gets_its_response() {
    let (raw, answers, _is_closed) = patient().await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    while noted(&raw).is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    client.half_close().await;
    client.hears_nothing_for(Duration::from_millis(200)).await;
    answers.add_permits(1);
    client.response("GET").await.is_answer("ok");
    assert_eq!(client.end().await.rest, "");
}

#[tokio::test]
async fn client_that_resets_its_connection_during_a_request_counts_as_gone() {
    let (raw, _answers, is_closed) = patient().await;
    let gateway = before(&raw);
    let client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    while noted(&raw).is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    client.stream.set_zero_linger().unwrap();
    drop(client);
    timeout(PATIENCE, is_closed.acquire()).await.expect("the upstream's request is aborted").unwrap().forget();
}

/// An empty line after the content is no further request (RFC 9112, 2.2).
#[tokio::test]
async fn client_that_ends_its_side_after_an_empty_line_gets_its_response() {
    let (raw, answers, _is_closed) = patient().await;
    let gateway = before(&raw);
    let head = "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n";
    let mut client = Client::sending(&gateway, format!("{head}hello\r\n")).await;
    while noted(&raw).is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    client.half_close().await;
    answers.add_permits(1);
    client.response("POST").await.is_answer("ok");
}

/// The end of the content arrives after all of its bytes.
#[tokio::test]
async fn client_that_resets_its_connection_after_a_streamed_upload_counts_as_gone() {
    let is_closed = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&is_closed);
    let raw = Raw::start(move |mut conn: Conn| {
        let closed = Arc::clone(&closed);
        async move {
            use tokio::io::AsyncReadExt;
            for end in ["hello\r\n", "0\r\n\r\n"] {
                let mut read = Vec::new();
                while !read.ends_with(end.as_bytes()) {
                    let Ok(byte) = conn.stream.read_u8().await else { return };
                    read.push(byte);
                }
                conn.note(end.trim());
            }
            conn.linger().await;
            closed.add_permits(1);
        }
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let head = "POST /api/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    for (arrived, bytes) in [format!("{head}5\r\nhello\r\n"), "0\r\n\r\n".to_owned()].into_iter().enumerate() {
        client.send(bytes).await;
        while noted(&raw).len() <= arrived {
            sleep(Duration::from_millis(5)).await;
        }
    }
    client.stream.set_zero_linger().unwrap();
    drop(client);
    timeout(PATIENCE, is_closed.acquire()).await.expect("the upstream's request is aborted").unwrap().forget();
}

#[tokio::test]
async fn client_that_ends_its_side_with_its_request_gets_the_whole_response_or_none() {
    let raw = echo().await;
    let gateway = before(&raw);
    for request in [
        "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n!",
        "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\nGET /api/y HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /keyed HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut client = Client::sending(&gateway, request).await;
        client.half_close().await;
        let mut responses = 0;
        while let Some(received) = client.interim_or_final("GET").await {
            assert_ne!(received.framing, crate::wire::Framing::Cut, "{request:?}: {received:?}");
            responses += 1;
        }
        assert!(responses <= request.matches("HTTP/1.1").count());
    }
}

#[tokio::test]
async fn client_that_ends_its_side_within_a_head_or_a_body_is_answered_with_nothing_or_a_refusal() {
    let raw = echo().await;
    let gateway = before(&raw);
    for request in [
        "G",
        "GET /api/x HTTP/1.1\r\n",
        "GET /api/x HTTP/1.1\r\nhost: x\r\n",
        "GET /api/x HTTP/1.1\r\nhost: x\r\n\r",
        "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n",
        "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhell",
        "POST /api/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST /api/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let mut client = Client::sending(&gateway, request).await;
        client.half_close().await;
        if let Some(received) = client.interim_or_final("POST").await {
            assert!((400..500).contains(&received.status), "{request:?}: {received:?}");
            assert!(received.closes(), "{request:?}: {received:?}");
        }
        assert_eq!(client.end().await.rest, "", "{request:?}");
    }
    assert_eq!(noted(&raw), [""; 0], "no whole request arrived");
}

#[tokio::test]
async fn client_that_is_gone_takes_no_other_client_with_it() {
    let raw = upstream(|sent| (crate::wire::answer(&sent.summary()), false)).await;
    let gateway = before(&raw);
    for _ in 0..20 {
        let client = Client::sending(&gateway, "GET /api/gone HTTP/1.1\r\nhost: x\r\n\r\n").await;
        drop(client);
        let mut client = Client::connect(&gateway).await;
        client.goes_on().await;
    }
}

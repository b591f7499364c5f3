//! Several requests on one connection, sent before their responses are read (RFC 9112, 9.3.2).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::wire::{Client, answer, before, echo, noted, upstream};

/// Requests of each kind of framing, and what [`echo`] responds to them.
const KINDS: [(&str, &str); 5] = [
    ("GET /api/a HTTP/1.1\r\nhost: x\r\n\r\n", "GET /api/a"),
    ("POST /api/b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", "POST /api/b | hello"),
    (
        "PUT /api/c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nt: v\r\n\r\n",
        "PUT /api/c | hello",
    ),
    ("DELETE /api/d HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", "DELETE /api/d"),
    ("GET /api/e HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n", "GET /api/e"),
];

/// `count` requests in turn, and their responses.
fn requests(count: usize) -> (String, Vec<&'static str>) {
    let kinds = KINDS.iter().cycle().take(count);
    (kinds.clone().map(|(request, _)| *request).collect(), kinds.map(|(_, response)| *response).collect())
}

#[tokio::test]
async fn requests_in_one_segment_are_served_in_order() {
    let raw = echo().await;
    let gateway = before(&raw);
    for count in [2, 3, 5, 20, 50] {
        let (sent, expected) = requests(count);
        let mut client = Client::sending(&gateway, sent).await;
        for expected in expected {
            client.response("GET").await.is_answer(expected);
        }
        client.goes_on().await;
    }
}

#[tokio::test]
async fn requests_byte_by_byte_are_served_in_order() {
    let raw = echo().await;
    let gateway = before(&raw);
    let (sent, expected) = requests(10);
    let mut client = Client::connect(&gateway).await;
    for byte in sent.bytes() {
        client.send([byte]).await;
        tokio::task::yield_now().await;
    }
    for expected in expected {
        client.response("GET").await.is_answer(expected);
    }
    client.goes_on().await;
}

#[tokio::test]
async fn requests_in_two_segments_are_served_wherever_these_are_split() {
    let raw = echo().await;
    let gateway = before(&raw);
    let (sent, expected) = requests(5);
    let mut client = Client::connect(&gateway).await;
    for at in 1..sent.len() {
        client.send(&sent[..at]).await;
        sleep(Duration::from_millis(1)).await;
        client.send(&sent[at..]).await;
        for expected in &expected {
            client.response("GET").await.is_answer(expected);
        }
    }
}

#[tokio::test]
async fn responses_without_content_stay_in_their_turn() {
    let raw = upstream(|sent| {
        let response = match sent.line.split(' ').nth(1).unwrap() {
            "/api/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            "/api/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n".to_owned(),
            "/api/head" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_owned(),
            _ => answer(&sent.summary()),
        };
        (response, false)
    })
    .await;
    let gateway = before(&raw);
    let turns =
        [("GET", "/api/204", 204), ("HEAD", "/api/head", 200), ("GET", "/api/304", 304), ("GET", "/api/x", 200)];
    let turns = turns.iter().cycle().take(12);
    let sent: String =
        turns.clone().map(|(method, path, _)| format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    let mut client = Client::sending(&gateway, sent).await;
    for (method, path, status) in turns {
        let received = client.response(method).await;
        assert_eq!(received.status, *status, "{method} {path}: {received:?}");
        assert_eq!(received.body, if *path == "/api/x" { "GET /api/x" } else { "" });
    }
    client.goes_on().await;
}

#[tokio::test]
async fn refused_request_without_a_fault_in_its_bytes_stays_in_its_turn() {
    let raw = echo().await;
    let gateway = before(&raw);
    let sent = "GET /api/a HTTP/1.1\r\nhost: x\r\n\r\nGET /keyed HTTP/1.1\r\nhost: x\r\n\r\n\
        POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello\
        HEAD /keyed HTTP/1.1\r\nhost: x\r\n\r\nGET /api/b HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut client = Client::sending(&gateway, sent).await;
    client.response("GET").await.is_answer("GET /api/a");
    client.response("GET").await.is_refusal(401, "unauthorized");
    client.response("POST").await.is_refusal(404, "route_not_found");
    assert_eq!(client.response("HEAD").await.status, 401);
    client.response("GET").await.is_answer("GET /api/b");
    client.goes_on().await;
}

#[tokio::test]
async fn nothing_behind_a_refused_head_is_served() {
    let good = "GET /api/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for (bad, status, code) in [
        ("GET /api/b HTTP/1.1\r\n\r\n", 400, "bad_request"),
        ("GET /api/b HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400, "bad_request"),
        ("GET /api/b HTTP/1.1\nhost: x\n\n", 400, "bad_request"),
        ("POST /api/b HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n!", 400, "bad_request"),
        (
            "POST /api/b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        ("CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n", 405, "method_not_allowed"),
        ("X\r\n\r\n", 400, "bad_request"),
    ] {
        for count in [1, 5, 49] {
            let raw = echo().await;
            let gateway = before(&raw);
            let (sent, expected) = requests(count);
            let mut client = Client::sending(&gateway, format!("{sent}{bad}{good}{good}")).await;
            for expected in &expected {
                client.response("GET").await.is_answer(expected);
            }
            let refused = client.response("GET").await;
            refused.is_refusal(status, code);
            assert!(refused.closes(), "{bad:?}");
            client.half_close().await;
            client.ends().await;
            assert_eq!(noted(&raw), expected, "{bad:?}");
        }
    }
}

#[tokio::test]
async fn nothing_behind_a_refused_chunk_is_served() {
    let raw = echo().await;
    let gateway = before(&raw);
    let good = "GET /api/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for bad in ["z\r\n", "5\r\nhelloX", "0\r\nhost: y\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "0\r\n\n"] {
        let head = "POST /api/b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let (sent, expected) = requests(5);
        let begun = noted(&raw).len();
        let mut client = Client::sending(&gateway, format!("{sent}{head}{bad}{good}")).await;
        for expected in &expected {
            client.response("GET").await.is_answer(expected);
        }
        let refused = client.response("POST").await;
        refused.is_refusal(400, "bad_request");
        assert!(refused.closes(), "{refused:?}");
        client.half_close().await;
        client.ends().await;
        assert_eq!(noted(&raw)[begun..], expected, "{bad:?}");
    }
}

#[tokio::test]
async fn nothing_behind_a_request_that_closes_is_served() {
    let raw = echo().await;
    let gateway = before(&raw);
    for closing in [
        "GET /api/z HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "GET /api/z HTTP/1.0\r\nhost: x\r\n\r\n",
        "GET /api/z HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, x\r\nconnection: Close\r\n\r\n",
    ] {
        let (sent, expected) = requests(5);
        let begun = noted(&raw).len();
        let mut client = Client::sending(&gateway, format!("{sent}{closing}{sent}")).await;
        for expected in &expected {
            client.response("GET").await.is_answer(expected);
        }
        client.response("GET").await.is_answer("GET /api/z");
        client.half_close().await;
        client.ends().await;
        assert_eq!(noted(&raw)[begun..], [&expected[..], &["GET /api/z"]].concat(), "{closing:?}");
    }
}

#[tokio::test]
async fn one_empty_line_between_requests_is_skipped_and_two_are_refused() {
    let raw = echo().await;
    let gateway = before(&raw);
    let (get, _) = requests(1);
    let mut client = Client::sending(&gateway, format!("{get}\r\n{get}\r\n{get}")).await;
    for _ in 0..3 {
        client.response("GET").await.is_answer("GET /api/a");
    }
    client.call("\r\n\r\n").await.is_refusal(400, "bad_request");
    client.ends().await;
}

#[tokio::test]
async fn client_that_sends_a_flood_and_reads_nothing_is_not_read_without_bound() {
    // The kernel's buffers on both connections, and what the gateway reads ahead.
    const TAKEN_MAX: usize = 24 << 20;
    let raw = upstream(|sent| (answer(&sent.summary().repeat(200)), false)).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let mut sent = 0;
    let piece = "GET /api/a HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let mut begun = 0;
    while let Ok(written) = timeout(Duration::from_millis(700), client.stream.write(&piece.as_bytes()[begun..])).await {
        let written = written.unwrap();
        (sent, begun) = (sent + written, (begun + written) % piece.len());
        assert!(sent < TAKEN_MAX, "{sent} bytes of requests were taken");
    }
    let served = noted(&raw).len();
    sleep(Duration::from_millis(300)).await;
    // A few more fit, where the kernel makes room.
    assert!(noted(&raw).len() < served + 100, "nobody is served whose responses nobody reads");
    // Another client is served.
    let mut other = Client::connect(&gateway).await;
    assert_eq!(other.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 200);
    // And this one gets every response, once it reads.
    let whole = sent / (piece.len() / 100);
    let expected = "GET /api/a".repeat(200);
    for _ in 0..whole.min(2_000) {
        client.response("GET").await.is_answer(&expected);
    }
}

#[tokio::test]
async fn slow_upstream_gets_one_request_at_a_time() {
    let raw = crate::raw::Raw::start(|mut conn: crate::raw::Conn| async move {
        while let Some(sent) = conn.request().await {
            conn.note(&sent.summary());
            sleep(Duration::from_millis(100)).await;
            conn.note("answered");
            conn.say(answer(&sent.summary())).await;
        }
    })
    .await;
    let gateway = before(&raw);
    let (sent, expected) = requests(4);
    let mut client = Client::sending(&gateway, sent).await;
    for expected in &expected {
        client.response("GET").await.is_answer(expected);
    }
    let turns: Vec<&str> = expected.iter().flat_map(|line| [*line, "answered"]).collect();
    assert_eq!(noted(&raw), turns);
}

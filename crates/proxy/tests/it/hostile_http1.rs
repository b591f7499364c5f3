//! HTTP/1.1 upstreams that lie, say too much, or break off: what the caller gets, what becomes of the connection, and that
//! the next client of the worker gets its own response.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use proxy::tls_config;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::raw::{ClientResponse, Conn, Raw, call};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// The response to the next client.
const OWN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown";

/// Returns the response to a client whose upstream responds with `said` and then waits for the gateway to close.
async fn said(method: Method, said: impl Into<Vec<u8>>) -> ClientResponse {
    said_and(method, said, false).await
}

/// The same, when the upstream then ends the connection.
async fn said_and_closed(said: impl Into<Vec<u8>>) -> ClientResponse {
    said_and(Method::GET, said, true).await
}

async fn said_and(method: Method, said: impl Into<Vec<u8>>, closes: bool) -> ClientResponse {
    let said = said.into();
    let raw = Raw::start(move |mut conn: Conn| {
        let said = said.clone();
        async move {
            if conn.number == 1 {
                conn.head().await;
                conn.say(said).await;
                if closes {
                    return;
                }
            }
            while conn.head().await.is_some() {
                conn.say(OWN).await;
            }
        }
    })
    .await;
    let gateway = raw.http1();
    let got = call(&gateway.caller(), method).await;
    assert_eq!(raw.asked().len(), 1, "an answer that cannot be read is not asked for again");
    call(&gateway.caller(), Method::GET).await.is_answer("own", true);
    got
}

/// Makes two calls to an upstream whose first connection responds with `first` and then serves requests as usual. Returns
/// both responses, and whether they used one connection.
async fn twice(first: &'static str) -> (ClientResponse, ClientResponse, bool) {
    let raw = Raw::start(move |mut conn: Conn| async move {
        let mut says = if conn.number == 1 { first } else { OK };
        while conn.head().await.is_some() {
            conn.say(says).await;
            says = OK;
        }
    })
    .await;
    let gateway = raw.http1();
    let caller = gateway.caller();
    let answers = (call(&caller, Method::GET).await, call(&caller, Method::GET).await);
    let connections = raw.asked().iter().map(|(number, _)| *number).max();
    (answers.0, answers.1, connections == Some(1))
}

#[tokio::test]
async fn answer_with_length_and_chunks_is_upstream_protocol() {
    for head in ["content-length: 2\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 2"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        said(Method::GET, answer).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn answer_with_two_lengths_is_upstream_protocol() {
    for head in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2\r\ncontent-length: 2",
        "content-length: 2, 2",
        "content-length: 2, 3",
    ] {
        said(Method::GET, format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok")).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn answer_whose_length_is_no_number_is_upstream_protocol() {
    for length in ["+2", "-2", "0x2", "2 2", "2;", "", "99999999999999999999", "two"] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nok");
        said(Method::GET, answer.clone()).await.is_refusal(502, "upstream_protocol");
        assert_eq!(said(Method::HEAD, answer).await.status, 502);
    }
}

#[tokio::test]
async fn answer_with_another_coding_is_upstream_protocol() {
    for coding in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked"] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        said(Method::GET, answer).await.is_refusal(502, "upstream_protocol");
    }
    let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    said(Method::GET, old).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn answer_shorter_than_its_length_is_cut() {
    said_and_closed("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nshort").await.is_answer("short", false);
    said_and_closed("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n")
        .await
        .is_answer("short", false);
}

#[tokio::test]
async fn answer_longer_than_its_length_ends_there_and_its_connection_with_it() {
    let longer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more";
    let (first, second, one) = twice(longer).await;
    first.is_answer("ok", true);
    second.is_answer("ok", true);
    assert!(!one, "what follows an answer is nobody's answer");
}

#[tokio::test]
async fn second_answer_is_nobodys() {
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let (first, second, one) = twice(two).await;
    first.is_answer("ok", true);
    second.is_answer("ok", true);
    assert!(!one);
}

#[tokio::test]
async fn second_answer_that_comes_later_is_nobodys() {
    let is_said = Arc::new(Semaphore::new(0));
    let said = Arc::clone(&is_said);
    let raw = Raw::start(move |mut conn: Conn| {
        let said = Arc::clone(&said);
        async move {
            while conn.head().await.is_some() {
                conn.say(OK).await;
                if conn.number == 1 {
                    conn.is_read().await;
                    conn.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").await;
                    said.add_permits(1);
                }
            }
        }
    })
    .await;
    let gateway = raw.http1();
    call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
    // On loopback, written bytes have arrived.
    is_said.acquire().await.unwrap().forget();
    call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
    assert_eq!(raw.asked().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn body_where_there_is_none_is_nobodys_answer() {
    let (first, second, one) =
        twice("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").await;
    assert_eq!((first.status.as_u16(), first.body.as_str()), (204, ""));
    second.is_answer("ok", true);
    assert!(!one);
}

#[tokio::test]
async fn good_answers_share_a_connection() {
    let (first, second, one) = twice(OK).await;
    first.is_answer("ok", true);
    second.is_answer("ok", true);
    assert!(one, "else the tests beside this one show nothing");
}

#[tokio::test]
async fn interim_answers_without_end_are_upstream_protocol() {
    let begun = Instant::now();
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        let many = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        while conn.say(&many).await {}
    })
    .await;
    let gateway = raw.http1();
    call(&gateway.caller(), Method::GET).await.is_refusal(502, "upstream_protocol");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn interim_responses_are_bounded_in_number_and_bytes() {
    let with = |count: usize, bytes: usize| {
        let interim = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(bytes));
        interim.repeat(count) + OK
    };
    said(Method::GET, with(64, 10)).await.is_answer("ok", true);
    said(Method::GET, with(65, 10)).await.is_refusal(502, "upstream_protocol");
    said(Method::GET, with(6, 10_000)).await.is_answer("ok", true);
    said(Method::GET, with(7, 10_000)).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn interim_answers_do_not_put_the_deadline_off() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        while conn.say("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let gateway = Gateway::hurried(&format!("http://{}", raw.address), tls_config(), "first_byte: 500ms");
    call(&gateway.caller(), Method::GET).await.is_refusal(504, "upstream_timeout");
}

#[tokio::test]
async fn a_few_interim_answers_are_passed_over() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n".repeat(5) + OK;
    said(Method::GET, answer).await.is_answer("ok", true);
}

#[tokio::test]
async fn switch_of_protocols_is_upstream_protocol() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nbytes";
    said(Method::GET, answer).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn head_over_64_kib_is_upstream_protocol() {
    let with =
        |bytes: usize| format!("HTTP/1.1 200 OK\r\nx-large: {}\r\ncontent-length: 2\r\n\r\nok", "x".repeat(bytes));
    said(Method::GET, with(60 * 1024)).await.is_answer("ok", true);
    for bytes in [65 * 1024, 300 * 1024, 2 * 1024 * 1024] {
        said(Method::GET, with(bytes)).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn head_with_too_many_fields_is_upstream_protocol() {
    let with = |fields: usize| format!("HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\nok", "a: b\r\n".repeat(fields));
    said(Method::GET, with(200)).await.is_answer("ok", true);
    said(Method::GET, with(256)).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn head_without_end_is_upstream_protocol() {
    for piece in ["x".repeat(1000), "a: b\r\n".repeat(100)] {
        let raw = Raw::start(move |mut conn: Conn| {
            let piece = piece.clone();
            async move {
                conn.head().await;
                conn.say("HTTP/1.1 200 OK\r\na: ").await;
                while conn.say(&piece).await {}
            }
        })
        .await;
        let gateway = raw.http1();
        call(&gateway.caller(), Method::GET).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_upstream_protocol() {
    for answer in [
        "hello\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\r\n\r\n",
        "HTTP/1.1 200 OK\na: b\n\n",
        "HTTP/1.1 200 OK\r\na: b\nset-cookie: evil\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: first\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: \x01\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: \x7f\r\n\r\n",
        "HTTP/1.1 200 \x01\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent_length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer_encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 100 Continue\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\na\0: b\r\n\r\n",
        "\0\0\0\x04\0\0\0\0\0",
        "\x15\x03\x01\0\x02\x02\x0a",
    ] {
        let got = said(Method::GET, answer).await;
        got.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn invalid_first_chunk_cuts_the_response() {
    let response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nbad";
    said(Method::GET, response).await.is_answer("", false);
}

#[tokio::test]
async fn chunk_extensions_and_trailers_are_bounded() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let extension = |bytes: usize| format!("{head}0;{}\r\n\r\n", "x".repeat(bytes));
    let trailer = |bytes: usize| format!("{head}0\r\na: {}\r\n\r\n", "x".repeat(bytes));
    let trailers = |count: usize| format!("{head}0\r\n{}\r\n", "a: b\r\n".repeat(count));
    for whole in [extension(8_000), trailer(8_000), trailers(100)] {
        said(Method::GET, whole).await.is_answer("hello", true);
    }
    for cut in [extension(9_000), trailer(9_000), trailers(101)] {
        said(Method::GET, cut).await.is_answer("hello", false);
    }
}

#[tokio::test]
async fn chunks_that_are_none_cut_the_answer() {
    for chunks in [
        "5\r\nhello\r\nzz\r\nbad",
        "5\r\nhello\r\n-1\r\nbad",
        "5\r\nhello\r\nffffffffffffffffff\r\nbad",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\n\r\n",
        "5\r\nhello\r\n5\nworld\r\n0\r\n\r\n",
        "5\r\nhello\r\n 5\r\nworld\r\n0\r\n\r\n",
        "5\r\nhello\r\n5 \x01\r\nworld\r\n0\r\n\r\n",
        "5\r\nhello\r\n0x5\r\nworld\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\ncontent length: 9\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\r\nhello\r\n0\r\na: b\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        said(Method::GET, answer).await.is_answer("hello", false);
    }
}

/// Checks the response to a client if the upstream connection ends after `said`, by a close and by a reset.
async fn check_broken_off(said: &'static str, check: impl Fn(&ClientResponse)) {
    for by_reset in [false, true] {
        let raw = Raw::start(move |mut conn: Conn| async move {
            conn.head().await;
            if conn.number > 1 {
                conn.say(OWN).await;
                return;
            }
            conn.say(said).await;
            // The gateway must have read all written bytes, because a reset discards unread bytes.
            conn.is_read().await;
            if by_reset {
                conn.reset();
            }
        })
        .await;
        let gateway = raw.http1();
        check(&call(&gateway.caller(), Method::GET).await);
        assert_eq!(raw.asked().len(), 1, "it was sent, and is not sent again");
        call(&gateway.caller(), Method::GET).await.is_answer("own", true);
    }
}

#[tokio::test]
async fn connection_lost_before_the_head_is_upstream_reset() {
    check_broken_off("", |got| got.is_refusal(502, "upstream_reset")).await;
}

#[tokio::test]
async fn connection_lost_in_the_head_is_upstream_reset() {
    check_broken_off("HTTP/1.1 200 OK\r\ncontent-le", |got| got.is_refusal(502, "upstream_reset")).await;
}

#[tokio::test]
async fn connection_lost_after_the_head_cuts_the_answer() {
    check_broken_off("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", |got| got.is_answer("", false)).await;
}

#[tokio::test]
async fn connection_lost_in_the_body_cuts_the_answer() {
    check_broken_off("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", |got| got.is_answer("hel", false)).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n";
    check_broken_off(chunked, |got| got.is_answer("hel", false)).await;
}

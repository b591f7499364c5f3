//! HTTP/2 upstreams that violate the protocol, flood, or abort: the response to the client, and its cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use proxy::tls_config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INTERNAL_ERROR, NO_ERROR, PING, SETTINGS, STATUS_200, answer,
    block, frame, goaway, head, reset,
};
use crate::gateway::Gateway;
use crate::raw::{ClientResponse, Conn, Raw, call};

const OK: &[(&str, &str)] = &[(":status", "200")];

/// Returns the response to a client whose upstream writes each of `says` on the request's stream, with pauses between
/// them. Then the upstream waits for the gateway, or closes the connection.
async fn said(closes: bool, says: &[&(dyn Fn(u32) -> Vec<u8> + Sync)]) -> ClientResponse {
    said_to(Method::GET, closes, says).await
}

async fn said_to(method: Method, closes: bool, says: &[&(dyn Fn(u32) -> Vec<u8> + Sync)]) -> ClientResponse {
    // The first request's stream is 1 (RFC 9113, 5.1.1).
    let says: Vec<Vec<u8>> = says.iter().map(|say| say(1)).collect();
    let raw = Raw::start(move |mut conn: Conn| {
        let says = says.clone();
        async move {
            conn.greet(&[]).await;
            conn.asked().await;
            for say in says {
                conn.say(say).await;
                // The gateway may treat frames that arrive together as one piece.
                conn.is_read().await;
            }
            if !closes {
                conn.linger().await;
            }
        }
    })
    .await;
    let mut gateway = raw.http2();
    let got = call(&gateway.caller(), method).await;
    assert_eq!(raw.asked().len(), 1, "it was sent, and is not sent again");
    gateway.stop().await;
    assert_eq!(gateway.ended().settled, 1, "it counts");
    got
}

#[tokio::test]
async fn upstream_that_speaks_http1_is_upstream_protocol() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.say("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        conn.linger().await;
    })
    .await;
    call(&raw.http2().caller(), Method::GET).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn connection_lost_before_the_head_is_upstream_reset() {
    said(true, &[]).await.is_refusal(502, "upstream_reset");
    // A frame that is announced and does not come whole.
    let torn = |stream| frame(HEADERS, END_HEADERS, stream, block(OK))[..12].to_vec();
    said(true, &[&torn]).await.is_refusal(502, "upstream_reset");
    let unfinished = |stream| frame(HEADERS, 0, stream, block(OK));
    said(true, &[&unfinished]).await.is_refusal(502, "upstream_reset");
}

#[tokio::test]
async fn connection_lost_after_the_head_cuts_the_answer() {
    said(true, &[&|stream| head(stream, 0, OK)]).await.is_answer("", false);
    said(true, &[&|stream| head(stream, 0, OK), &|stream| frame(DATA, 0, stream, "hel")]).await.is_answer("hel", false);
}

#[tokio::test]
async fn stream_that_is_reset_before_the_head_is_upstream_reset() {
    for reason in [NO_ERROR, INTERNAL_ERROR] {
        said(false, &[&|stream| reset(stream, reason)]).await.is_refusal(502, "upstream_reset");
    }
}

#[tokio::test]
async fn stream_that_is_reset_in_the_answer_cuts_it() {
    // NO_ERROR as well: the answer has no end.
    for reason in [NO_ERROR, INTERNAL_ERROR] {
        let begins = |stream| head(stream, 0, OK);
        let ends = |stream: u32| reset(stream, reason);
        said(false, &[&begins, &ends]).await.is_answer("", false);
        said(false, &[&begins, &|stream| frame(DATA, 0, stream, "hel"), &ends]).await.is_answer("hel", false);
    }
}

#[tokio::test]
async fn goaway_that_takes_an_answer_back_cuts_it() {
    said(false, &[&|stream| head(stream, 0, OK), &|_| goaway(0, NO_ERROR)]).await.is_answer("", false);
}

#[tokio::test]
async fn answer_before_the_request_is_read_is_whole() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.greet(&[]).await;
        while let Some(stream) = conn.asked().await {
            conn.say([answer(stream, "enough"), reset(stream, NO_ERROR)].concat()).await;
        }
    })
    .await;
    let gateway = raw.http2();
    let caller = gateway.caller();
    for _ in 0..2 {
        let mut stream = caller.connect().await;
        let head = format!(
            "POST /api/x HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: 5000000\r\n\r\n",
            caller.authorization()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // More than the upstream's window takes, and less than all.
        stream.write_all(&vec![b'x'; 300_000]).await.unwrap();
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        reading.expect("the connection ends").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("6\r\nenough\r\n0\r\n\r\n"), "{answer}");
    }
    assert_eq!(raw.asked().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 1], "the connection goes on");
}

#[tokio::test]
async fn head_over_64_kib_is_upstream_protocol() {
    let with = |bytes: usize| {
        move |stream: u32| {
            let block = block(&[(":status", "200"), ("x-large", &"x".repeat(bytes))]);
            let mut pieces = block.chunks(16 * 1024).peekable();
            let mut frames = frame(HEADERS, 0, stream, pieces.next().unwrap());
            while let Some(piece) = pieces.next() {
                let flags = if pieces.peek().is_some() { 0 } else { END_HEADERS };
                frames.extend(frame(CONTINUATION, flags, stream, piece));
            }
            frames.extend(frame(DATA, END_STREAM, stream, "ok"));
            frames
        }
    };
    said(false, &[&with(60 * 1024)]).await.is_answer("ok", true);
    for bytes in [66 * 1024, 1024 * 1024] {
        said(false, &[&with(bytes)]).await.is_refusal(502, "upstream_protocol");
    }
}

/// Returns the response to a client whose upstream writes `piece` without an end.
async fn flooded(begin: impl Fn(u32) -> Vec<u8>, piece: impl Fn(u32) -> Vec<u8>) -> ClientResponse {
    let begin = begin(1);
    let piece = piece(1);
    let raw = Raw::start(move |mut conn: Conn| {
        let begin = begin.clone();
        let many = piece.repeat(100);
        async move {
            conn.greet(&[]).await;
            conn.asked().await;
            conn.say(begin).await;
            // The gateway must send the begun response before it is aborted.
            conn.is_read().await;
            while conn.say(&many).await {}
        }
    })
    .await;
    let gateway = Gateway::hurried(&format!("h2c://{}", raw.address), tls_config(), "first_byte: 60s");
    // It ends by itself, in less time than is waited for a first byte.
    call(&gateway.caller(), Method::GET).await
}

#[tokio::test]
async fn head_without_end_is_upstream_protocol() {
    let begin = |stream| frame(HEADERS, 0, stream, STATUS_200);
    for piece in [vec![], block(&[("a", "b")])] {
        flooded(begin, |stream| frame(CONTINUATION, 0, stream, &piece)).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_upstream_protocol() {
    let interim = |stream| head(stream, 0, &[(":status", "103")]);
    flooded(|_| Vec::new(), interim).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn empty_pieces_without_end_cut_the_answer() {
    let begin = |stream| [head(stream, 0, OK), frame(DATA, 0, stream, "x")].concat();
    let got = flooded(begin, |stream| frame(DATA, 0, stream, "")).await;
    assert!(!got.whole, "{got:?}");
}

#[tokio::test]
async fn a_few_interim_answers_are_passed_over() {
    let answer = |stream| [head(stream, 0, &[(":status", "103")]).repeat(10), answer(stream, "ok")].concat();
    said(false, &[&answer]).await.is_answer("ok", true);
}

#[tokio::test]
async fn switch_of_protocols_is_upstream_protocol() {
    said(false, &[&|stream| head(stream, 0, &[(":status", "101")])]).await.is_refusal(502, "upstream_protocol");
}

#[tokio::test]
async fn answer_of_another_length_than_it_says_is_cut() {
    let of = |length: &'static str, body: &'static str| {
        let begins = move |stream| head(stream, 0, &[(":status", "200"), ("content-length", length)]);
        let ends = move |stream| frame(DATA, END_STREAM, stream, body);
        (begins, ends)
    };
    for (length, body) in [("5", "hel"), ("2", "hello")] {
        let (begins, ends) = of(length, body);
        let got = said(false, &[&begins, &ends]).await;
        assert!((got.status.as_u16(), got.whole) == (200, false), "{got:?}");
    }
    let (begins, ends) = of("5", "hello");
    said(false, &[&begins, &ends]).await.is_answer("hello", true);
}

#[tokio::test]
async fn head_that_is_malformed_is_upstream_protocol() {
    let bad: &[&[(&str, &str)]] = &[
        &[(":status", "200"), ("content-length", "2"), ("content-length", "3")],
        &[(":status", "200"), ("content-length", "2"), ("content-length", "2")],
        &[(":status", "200"), ("content-length", "two")],
        &[(":status", "200"), ("content-length", "-2")],
        &[(":status", "200"), ("transfer-encoding", "chunked")],
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "200"), ("upgrade", "h2c")],
        &[(":status", "200"), ("Upper", "case")],
        &[(":status", "200"), ("a", "b\r\nc: d")],
        &[(":status", "200"), ("a", "b\0")],
        &[(":status", "200"), (":status", "200")],
        &[(":status", "2000")],
        &[(":path", "/")],
        &[("a", "b"), (":status", "200")],
        &[("a", "b")],
        &[],
    ];
    for fields in bad {
        let answer = |stream| [head(stream, 0, fields), frame(DATA, END_STREAM, stream, "ok")].concat();
        let got = said(false, &[&answer]).await;
        assert_eq!((got.status.as_u16(), got.code.as_deref()), (502, Some("upstream_protocol")), "{fields:?}");
    }
}

#[tokio::test]
async fn frames_that_cannot_be_are_upstream_protocol() {
    let frames: [&(dyn Fn(u32) -> Vec<u8> + Sync); 6] = [
        // Data before a head, a head on a stream that is not open, a push that was forbidden, a frame over the bound,
        // a window of nothing, settings of another length.
        &|stream| frame(DATA, 0, stream, "early"),
        &|stream| head(stream + 2, 0, OK),
        &|stream| frame(5, END_HEADERS, stream, [0, 0, 0, 2, 0x88]),
        &|stream| frame(DATA, 0, stream, vec![0; 20_000]),
        &|stream| frame(8, 0, stream, [0; 4]),
        &|_| frame(SETTINGS, 0, 0, [0; 5]),
    ];
    for says in frames {
        said(false, &[says]).await.is_refusal(502, "upstream_protocol");
    }
}

#[tokio::test]
async fn questions_whose_answers_nobody_reads_are_not_piled_up() {
    // The bytes that the kernel buffers on loopback, in both directions.
    const TAKEN_MAX: usize = 32 * 1024 * 1024;
    for question in [frame(SETTINGS, 0, 0, []), frame(PING, 0, 0, [0; 8])] {
        let taken = Arc::new(AtomicUsize::new(0));
        let noting = Arc::clone(&taken);
        let raw = Raw::start(move |mut conn: Conn| {
            let many = question.repeat(1000);
            let noting = Arc::clone(&noting);
            async move {
                conn.greet(&[]).await;
                conn.asked().await;
                while conn.say(&many).await {
                    noting.fetch_add(many.len(), Ordering::Relaxed);
                }
            }
        })
        .await;
        let gateway = Gateway::hurried(&format!("h2c://{}", raw.address), tls_config(), "first_byte: 2s");
        call(&gateway.caller(), Method::GET).await.is_refusal(504, "upstream_timeout");
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken < TAKEN_MAX, "{taken} bytes of questions were taken");
    }
}

//! When a request is sent again, and when it is not (docs/decisions/0016-http2-and-retries.md).

use std::sync::Arc;
use std::time::Duration;

use access::NanoUsd;
use bytes::Bytes;
use http::Method;
use spool::Record;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::frames::{
    DATA, END_STREAM, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, WINDOW_UPDATE, answer, frame, goaway, head, reset,
};
use crate::gateway::{CREDITS, Gateway, ReservationCounts};
use crate::raw::{ClientResponse, Conn, Raw, call, got};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Two calls with `method`: the first connection answers the first and, asked again, says `last` and ends.
async fn after_reuse(method: Method, last: &'static str) -> (ClientResponse, Vec<usize>) {
    let raw = Raw::start(move |mut conn: Conn| async move {
        conn.head().await;
        conn.say(OK).await;
        if conn.number == 1 {
            conn.head().await;
            conn.say(last).await;
            return;
        }
        conn.linger().await;
    })
    .await;
    let gateway = raw.http1();
    let caller = gateway.caller();
    call(&caller, Method::GET).await.is_answer("ok", true);
    let second = call(&caller, method).await;
    (second, raw.asked().iter().map(|(number, _)| *number).collect())
}

#[tokio::test]
async fn safe_request_is_sent_again_when_a_used_connection_closes_without_a_byte() {
    for method in [Method::GET, Method::OPTIONS] {
        let (second, connections) = after_reuse(method.clone(), "").await;
        second.is_answer("ok", true);
        assert_eq!(connections, [1, 1, 2], "{method}");
    }
}

/// The second connection of the request is one that another request has ended, because the backend allows only one.
#[tokio::test]
async fn safe_request_is_sent_again_once_where_connections_are_limited() {
    let close = Arc::new(Semaphore::new(0));
    let closes = Arc::clone(&close);
    let raw = Raw::start(move |mut conn: Conn| {
        let closes = Arc::clone(&closes);
        async move {
            conn.head().await;
            conn.say(OK).await;
            conn.head().await;
            if conn.number == 1 {
                closes.acquire().await.unwrap().forget();
            }
        }
    })
    .await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\nroutes: [{{path: {{prefix: /}}, upstreams: u, timeouts: {{connect: 20s}}}}]\n\
         upstreams: [{{name: u, pool: {{max_connections: 1}}, backends: [{{url: \"http://{}\"}}]}}]\n",
        raw.address
    ));
    let caller = gateway.caller();
    got(caller.send(Method::GET, "/warm", "").await).await.is_answer("ok", true);
    let mut tasks = JoinSet::new();
    for (path, requests) in [("/again", 1), ("/other", 2)] {
        let caller = gateway.caller();
        tasks.spawn(async move { (path, got(caller.send(Method::GET, path, "").await).await) });
        timeout(Duration::from_secs(20), async {
            // The second request waits for the connection of the first one.
            while raw.asked().len() < 2 || gateway.in_flight() < requests {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("the request arrives");
    }
    close.add_permits(1);
    for (path, response) in tasks.join_all().await {
        if path == "/other" {
            response.is_answer("ok", true);
        } else {
            response.is_refusal(502, "upstream_reset");
        }
    }
    let asked: Vec<String> = raw.asked().into_iter().map(|(number, line)| format!("{number} {line}")).collect();
    let expected =
        ["1 get /warm", "1 get /again", "2 get /other", "2 get /again"].map(|line| format!("{line} http/1.1"));
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn request_with_an_effect_is_not_sent_again() {
    for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
        let (second, connections) = after_reuse(method.clone(), "").await;
        second.is_refusal(502, "upstream_reset");
        assert_eq!(connections, [1, 1], "{method}");
    }
}

#[tokio::test]
async fn request_is_not_sent_again_after_a_byte_of_an_answer() {
    for last in ["H", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let (second, connections) = after_reuse(Method::GET, last).await;
        second.is_refusal(502, "upstream_reset");
        assert_eq!(connections, [1, 1], "{last:?}");
    }
    let (second, connections) = after_reuse(Method::GET, "nonsense\r\n\r\n").await;
    second.is_refusal(502, "upstream_protocol");
    assert_eq!(connections, [1, 1]);
}

#[tokio::test]
async fn request_with_a_body_is_not_sent_again() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.say(OK).await;
        conn.head().await;
    })
    .await;
    let gateway = raw.http1();
    call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
    got(gateway.caller().send(Method::PUT, "/api/x", "body").await).await.is_refusal(502, "upstream_reset");
    assert_eq!(raw.asked().len(), 2);
}

/// An upstream of which the first `bad` connections do with a request what `does` says, and the others answer.
async fn bad_ones(bad: usize, does: impl Fn(u32) -> Vec<u8> + Clone + Send + Sync + 'static) -> Raw {
    Raw::start(move |mut conn: Conn| {
        let does = does.clone();
        async move {
            if conn.greet(&[]).await.is_none() {
                return;
            }
            while let Some(stream) = conn.asked().await {
                let says = if conn.number <= bad { does(stream) } else { answer(stream, "ok") };
                conn.say(says).await;
            }
        }
    })
    .await
}

const LLM_BODY: &str = r#"{"model":"far/m","messages":[{"role":"user","content":"hi"}]}"#;

/// Sends a chat completion through a gateway to `raw`. Returns the response, the records, and the reservations.
async fn complete(raw: &Raw) -> (ClientResponse, Vec<Record>, ReservationCounts) {
    complete_with(raw, LLM_BODY.to_owned()).await
}

async fn complete_with(raw: &Raw, body: String) -> (ClientResponse, Vec<Record>, ReservationCounts) {
    let mut gateway = Gateway::before_llm(&format!("h2c://{}", raw.address));
    let answer = gateway.caller().send(Method::POST, "/v1/chat/completions", body).await;
    let got = got(answer).await;
    let records = gateway.stop().await;
    (got, records, gateway.ended())
}

const ONE: ReservationCounts = ReservationCounts { released: 0, settled: 1, interrupted: 0 };
/// A call with a large body. A check before work on the body reserves an amount and releases it.
const LARGE: ReservationCounts = ReservationCounts { released: 1, settled: 1, interrupted: 0 };

#[tokio::test]
async fn llm_call_that_goaway_leaves_out_is_sent_again_and_counts_once() {
    let raw = bad_ones(1, |_| goaway(0, NO_ERROR)).await;
    let (got, records, ended) = complete(&raw).await;
    got.is_answer("ok", true);
    assert_eq!(raw.asked(), [(1, "stream 1".to_owned()), (2, "stream 1".to_owned())]);
    assert_eq!(ended, ONE);
    let [Record::Open(opened), Record::Close(event)] = records.as_slice() else { panic!("one event: {records:?}") };
    assert_eq!((opened.id, opened.reserved), (event.id, event.charge));
    let attempts: Vec<_> = event.attempts.iter().map(|attempt| (attempt.status, attempt.cost)).collect();
    assert_eq!(attempts, [(None, Some(NanoUsd(0))), (Some(200), None)], "what had no effect costs nothing");
}

#[tokio::test]
async fn refused_stream_is_sent_again_on_another_connection() {
    let raw = bad_ones(1, |stream| reset(stream, REFUSED_STREAM)).await;
    let (got, _, ended) = complete(&raw).await;
    got.is_answer("ok", true);
    assert_eq!(raw.asked().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(ended, ONE);
}

#[tokio::test]
async fn stream_that_is_always_refused_is_upstream_reset() {
    for does in [|stream| reset(stream, REFUSED_STREAM), |_| goaway(0, NO_ERROR)] {
        let raw = bad_ones(usize::MAX, does).await;
        let (got, _, ended) = complete(&raw).await;
        got.is_refusal(502, "upstream_reset");
        assert!(got.body.contains("the upstream refused the request and did nothing of it"), "{got:?}");
        assert_eq!(raw.asked().len(), 5, "once, and four times again");
        assert_eq!(ended, ONE);
    }
}

#[tokio::test]
async fn stream_that_may_have_had_an_effect_is_not_sent_again() {
    for does in [
        |stream| reset(stream, INTERNAL_ERROR),
        |stream| reset(stream, NO_ERROR),
        // It may have been processed.
        |stream| [goaway(stream, NO_ERROR), reset(stream, INTERNAL_ERROR)].concat(),
        // Something was said of it, so it was begun.
        |stream| [head(stream, 0, &[(":status", "103")]), reset(stream, INTERNAL_ERROR)].concat(),
    ] {
        let raw = bad_ones(1, does).await;
        let (got, _, ended) = complete(&raw).await;
        got.is_refusal(502, "upstream_reset");
        assert_eq!(raw.asked().len(), 1);
        assert_eq!(ended, ONE);
    }
}

#[tokio::test]
async fn connection_lost_after_goaway_covered_the_stream_is_not_repeated() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.greet(&[]).await;
        if let Some(stream) = conn.asked().await {
            conn.say(goaway(stream, NO_ERROR)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (got, _, _) = complete(&raw).await;
    got.is_refusal(502, "upstream_reset");
    assert_eq!(raw.asked().len(), 1);
}

#[tokio::test]
async fn stream_in_flight_goes_on_after_goaway_and_the_next_one_goes_elsewhere() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.greet(&[]).await;
        if let Some(stream) = conn.asked().await {
            conn.say([head(stream, 0, &[(":status", "200")]), goaway(stream, NO_ERROR)].concat()).await;
            if conn.number == 1 {
                // Until the other connection has answered.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            conn.say(crate::frames::frame(DATA, END_STREAM, stream, "ok")).await;
            conn.linger().await;
        }
    })
    .await;
    let mut gateway = raw.http2();
    let caller = gateway.caller();
    let first = caller.send(Method::POST, "/api/x", "one").await;
    call(&caller, Method::GET).await.is_answer("ok", true);
    got(first).await.is_answer("ok", true);
    assert_eq!(raw.asked().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    gateway.stop().await;
    assert_eq!(gateway.used(), u64::from(2 * CREDITS));
}

#[tokio::test]
async fn safe_request_is_sent_again_when_a_used_http2_connection_is_lost() {
    for (method, connections) in
        [(Method::GET, vec![1, 1, 2]), (Method::DELETE, vec![1, 1]), (Method::POST, vec![1, 1])]
    {
        let raw = Raw::start(|mut conn: Conn| async move {
            conn.greet(&[]).await;
            if let Some(stream) = conn.asked().await {
                conn.say(answer(stream, "ok")).await;
            }
            conn.asked().await;
            // The connection ends without a word.
        })
        .await;
        let gateway = raw.http2();
        call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
        let second = call(&gateway.caller(), method).await;
        if connections.len() == 3 {
            second.is_answer("ok", true);
        } else {
            second.is_refusal(502, "upstream_reset");
        }
        assert_eq!(raw.asked().iter().map(|(number, _)| *number).collect::<Vec<_>>(), connections);
    }
}

#[tokio::test]
async fn refused_stream_is_sent_again_with_the_body_that_it_had() {
    for (bytes, again) in [(0, true), (1, true), (60_000, true), (1_000_000, false)] {
        let raw = Raw::start(|mut conn: Conn| async move {
            conn.greet(&[]).await;
            let Some(stream) = conn.asked().await else { return };
            // The whole of the body, or what the window takes.
            let mut taken = 0;
            loop {
                let Some(frame) = conn.next().await else { return };
                taken += if frame.kind == DATA { frame.payload.len() } else { 0 };
                if frame.kind == DATA && (frame.flags & END_STREAM != 0 || taken == 65_535) {
                    break;
                }
            }
            let says =
                if conn.number == 1 { reset(stream, REFUSED_STREAM) } else { answer(stream, &taken.to_string()) };
            conn.say(says).await;
            conn.linger().await;
        })
        .await;
        let gateway = raw.http2();
        // In two pieces, as a caller sends it, of which the second one comes later.
        let pieces = [vec![b'x'; bytes], b"end".to_vec()].map(|piece| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(Bytes::from(piece)))
        });
        let body = futures_util::StreamExt::then(futures_util::stream::iter(pieces), |piece| piece);
        let request = http::Request::post("/api/x");
        let body = http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(Box::pin(body)));
        let got = got(gateway.caller().send_request(request, body).await).await;
        if again {
            got.is_answer(&(bytes + 3).to_string(), true);
        } else {
            got.is_refusal(502, "upstream_reset");
        }
        assert_eq!(raw.asked().len(), if again { 2 } else { 1 });
    }
}

/// A chat completion of 2 MiB, whose content tells each of its parts apart.
fn large_llm_body() -> String {
    let mut content = String::with_capacity(2 << 20);
    for number in 0_u32.. {
        if content.len() >= 2 << 20 {
            break;
        }
        content.push_str(&format!("{number:08} "));
    }
    LLM_BODY.replace("hi", &content)
}

/// An upstream whose first connection takes `taken` bytes of a body and then does what `does` says. Its other connections
/// take whole bodies, and answer whether the body is `expected`.
async fn aborting(taken: usize, does: fn(u32) -> Vec<u8>, expected: String) -> Raw {
    let expected = std::sync::Arc::new(expected);
    Raw::start(move |mut conn: Conn| {
        let expected = expected.clone();
        async move {
            let window = if conn.number == 1 { u32::try_from(taken).unwrap() } else { 16 << 20 };
            conn.greet(&[(4, window)]).await;
            conn.say(frame(WINDOW_UPDATE, 0, 0, (16_u32 << 20).to_be_bytes())).await;
            let Some(stream) = conn.asked().await else { return };
            let mut body = Vec::new();
            let mut ended = false;
            while !ended && (conn.number > 1 || body.len() < taken) {
                let Some(next) = conn.next().await else { return };
                if next.kind == DATA {
                    ended = next.flags & END_STREAM != 0;
                    body.extend_from_slice(&next.payload);
                }
            }
            let says = if conn.number == 1 {
                does(stream)
            } else {
                answer(stream, if body == expected.as_bytes() { "the same" } else { "another" })
            };
            conn.say(says).await;
            conn.linger().await;
        }
    })
    .await
}

#[tokio::test]
async fn large_llm_call_that_is_refused_within_its_upload_is_sent_again_and_counts_once() {
    let body = large_llm_body();
    let sent = body.replace("far/m", "m");
    let refusals: [fn(u32) -> Vec<u8>; 3] = [
        |stream| reset(stream, REFUSED_STREAM),
        |_| goaway(0, NO_ERROR),
        |stream| [head(stream, 0, &[(":status", "100")]), reset(stream, REFUSED_STREAM)].concat(),
    ];
    for does in refusals {
        for taken in [65_535, 1_500_000] {
            let raw = aborting(taken, does, sent.clone()).await;
            let (got, records, ended) = complete_with(&raw, body.clone()).await;
            got.is_answer("the same", true);
            assert_eq!(raw.asked().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(ended, LARGE);
            let [Record::Open(opened), Record::Close(event)] = records.as_slice() else { panic!("{records:?}") };
            assert_eq!((opened.id, opened.reserved), (event.id, event.charge));
            let attempts: Vec<_> = event.attempts.iter().map(|attempt| (attempt.status, attempt.cost)).collect();
            assert_eq!(attempts, [(None, Some(NanoUsd(0))), (Some(200), None)]);
        }
    }
}

#[tokio::test]
async fn large_llm_call_that_may_have_had_an_effect_is_not_sent_again() {
    let body = large_llm_body();
    let effects: [fn(u32) -> Vec<u8>; 3] = [
        |stream| reset(stream, INTERNAL_ERROR),
        |stream| reset(stream, NO_ERROR),
        |stream| [goaway(stream, NO_ERROR), reset(stream, INTERNAL_ERROR)].concat(),
    ];
    for does in effects {
        let raw = aborting(65_535, does, String::new()).await;
        let (got, records, ended) = complete_with(&raw, body.clone()).await;
        got.is_refusal(502, "upstream_reset");
        assert_eq!(raw.asked().len(), 1);
        assert_eq!(ended, LARGE);
        let [Record::Open(_), Record::Close(event)] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(event.attempts.len(), 1);
    }
    // A body that was sent whole is not kept: a refusal after that is final.
    let raw = aborting(4 << 20, |stream| reset(stream, REFUSED_STREAM), String::new()).await;
    let (got, _, ended) = complete_with(&raw, body).await;
    got.is_refusal(502, "upstream_reset");
    assert_eq!((raw.asked().len(), ended), (1, LARGE));
}

#[tokio::test]
async fn caller_is_not_blamed_for_what_the_next_upstream_does_not_take() {
    let raw = Raw::start(|mut conn: Conn| async move {
        // The first connection takes all that comes, the second one a byte less.
        conn.greet(&[(4, if conn.number == 1 { 1_000_000 } else { 65_535 })]).await;
        let Some(stream) = conn.asked().await else { return };
        if conn.number == 1 {
            conn.say(frame(WINDOW_UPDATE, 0, 0, 1_000_000_u32.to_be_bytes())).await;
            let mut taken = 0;
            while taken < 65_536 {
                let Some(next) = conn.next().await else { return };
                taken += if next.kind == DATA { next.payload.len() } else { 0 };
            }
            // By now more of the body is waited for.
            tokio::time::sleep(Duration::from_millis(100)).await;
            conn.say(reset(stream, REFUSED_STREAM)).await;
        }
        conn.linger().await;
    })
    .await;
    let gateway = Gateway::hurried(&format!("h2c://{}", raw.address), proxy::tls_config(), "idle: 1s");
    let pieces = futures_util::stream::iter([vec![b'x'; 65_535], b"y".to_vec(), b"end".to_vec()]);
    let body = futures_util::StreamExt::then(pieces, |piece| async move {
        // The single byte is a separate piece.
        let pause = if piece == b"end" { 5_000 } else { 100 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(Bytes::from(piece)))
    });
    let body = http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(Box::pin(body)));
    let request = http::Request::post("/api/x");
    got(gateway.caller().send_request(request, body).await).await.is_refusal(504, "upstream_timeout");
    assert_eq!(raw.asked().len(), 2);
}

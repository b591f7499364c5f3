//! One HTTP/2 connection that many clients share: the effect of one client, or of an upstream that is gone, on the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use proxy::tls_config;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::frames::{
    DATA, END_STREAM, HEADERS, NO_ERROR, REFUSED_STREAM, RST_STREAM, WINDOW_UPDATE, answer, frame, goaway, head, reset,
};
use crate::gateway::{CREDITS, Gateway, ReservationCounts};
use crate::raw::{Conn, Raw, call, got};

const OK: &[(&str, &str)] = &[(":status", "200")];
/// The number of requests, which fit on one connection.
const REQUESTS: usize = 60;

/// An upstream whose first connection answers one request and then reads on without a word.
async fn falls_silent() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        conn.greet(&[]).await;
        while let Some(stream) = conn.asked().await {
            if conn.number == 1 && stream > 1 {
                conn.linger().await;
                return;
            }
            conn.say(answer(stream, "ok")).await;
        }
    })
    .await
}

fn connections(raw: &Raw) -> Vec<usize> {
    raw.asked().iter().map(|(number, _)| *number).collect()
}

#[tokio::test]
async fn connection_that_said_nothing_until_the_deadline_is_not_used_again() {
    let raw = falls_silent().await;
    let gateway = Gateway::hurried(&format!("h2c://{}", raw.address), tls_config(), "first_byte: 1500ms");
    let caller = gateway.caller();
    call(&caller, Method::GET).await.is_answer("ok", true);
    call(&caller, Method::GET).await.is_refusal(504, "upstream_timeout");
    call(&caller, Method::GET).await.is_answer("ok", true);
    assert_eq!(connections(&raw), [1, 1, 2]);
}

#[tokio::test]
async fn connection_that_said_nothing_until_its_caller_left_is_not_used_again() {
    let raw = falls_silent().await;
    let gateway = raw.http2();
    let caller = gateway.caller();
    call(&caller, Method::GET).await.is_answer("ok", true);
    let mut leaving = caller.connect().await;
    let head = format!("GET /api/x HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", caller.authorization());
    leaving.write_all(head.as_bytes()).await.unwrap();
    while connections(&raw).len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    leaving.set_zero_linger().unwrap();
    drop(leaving);
    let deadline = Instant::now() + Duration::from_secs(20);
    while gateway.in_flight() > 0 {
        assert!(Instant::now() < deadline, "the gateway has seen that the caller left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    call(&caller, Method::GET).await.is_answer("ok", true);
    assert_eq!(connections(&raw), [1, 1, 2]);
}

#[tokio::test]
async fn answers_to_callers_that_left_cut_nobody_else() {
    // More than h2 remembers by default, and more than it forgives.
    const LEAVING: usize = 1_500;
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.greet(&[]).await;
        let first = conn.asked().await.unwrap();
        conn.say([head(first, 0, OK), frame(DATA, 0, first, "be")].concat()).await;
        let mut late = Vec::new();
        let mut reset = 0;
        while reset < LEAVING {
            let Some(next) = conn.next().await else { return };
            match next.kind {
                HEADERS => {
                    conn.note("another");
                    late.extend(answer(next.stream, "late"));
                }
                RST_STREAM => reset += 1,
                _ => {}
            }
        }
        // h2's own memory is one second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        conn.say(late).await;
        conn.say(frame(DATA, END_STREAM, first, "hind")).await;
        conn.linger().await;
    })
    .await;
    let gateway = raw.http2();
    let caller = gateway.caller();
    let long = caller.send(Method::GET, "/api/x", "").await;
    for begun in (0..LEAVING).step_by(50) {
        let mut leaving = Vec::new();
        for _ in 0..50 {
            let mut stream = caller.connect().await;
            let head = format!("GET /api/x HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", caller.authorization());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.set_zero_linger().unwrap();
            leaving.push(stream);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while raw.asked().len() < 1 + begun + 50 {
            assert!(Instant::now() < deadline, "{} streams are here", raw.asked().len());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    got(long).await.is_answer("behind", true);
    assert!(connections(&raw).iter().all(|number| *number == 1), "all on one connection");
}

#[tokio::test]
async fn request_that_was_handed_over_counts_though_its_caller_left_before_it_was_written() {
    let reads_on = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&reads_on);
    let raw = Raw::start(move |mut conn: Conn| {
        let gate = Arc::clone(&gate);
        async move {
            // The windows are unlimited, so that the socket becomes full first.
            conn.greet(&[(4, i32::MAX.cast_unsigned())]).await;
            conn.say(frame(WINDOW_UPDATE, 0, 0, 0x7000_0000_u32.to_be_bytes())).await;
            conn.asked().await;
            gate.acquire().await.unwrap().forget();
            conn.asked().await;
            conn.linger().await;
        }
    })
    .await;
    let mut gateway = raw.http2();
    let caller = gateway.caller();
    let head = |line: &str, length: usize| {
        let authorization = caller.authorization();
        format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut large = caller.connect().await;
    large.write_all(head("POST /api/x", 30_000_000).as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 * 1024];
    while tokio::time::timeout(Duration::from_secs(2), large.write(&piece)).await.is_ok() {}

    let mut leaving = caller.connect().await;
    leaving.write_all(head("GET /api/x", 0).as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while gateway.used() < 2 * u64::from(CREDITS) {
        assert!(Instant::now() < deadline, "it is admitted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // And handed over, which follows.
    tokio::time::sleep(Duration::from_millis(300)).await;
    leaving.set_zero_linger().unwrap();
    drop(leaving);
    while gateway.ended().released + gateway.ended().settled == 0 {
        assert!(Instant::now() < deadline, "it is settled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(gateway.ended(), ReservationCounts { released: 0, settled: 1, interrupted: 0 }, "it counts");
    assert_eq!(raw.asked().len(), 1, "it did not arrive yet");
    reads_on.add_permits(1);
    while raw.asked().len() < 2 {
        assert!(Instant::now() < deadline, "it arrives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(large);
    gateway.stop().await;
}

/// Connections that [`REQUESTS`] take, when the first one does with them what `does` says once all are on it.
async fn connections_when_all(does: impl Fn(&[u32]) -> Vec<u8> + Clone + Send + Sync + 'static) -> usize {
    let accepted = Arc::new(AtomicUsize::new(0));
    let noting = Arc::clone(&accepted);
    let raw = Raw::start(move |mut conn: Conn| {
        noting.fetch_add(1, Ordering::Relaxed);
        let does = does.clone();
        async move {
            conn.greet(&[]).await;
            let mut streams = Vec::new();
            while let Some(stream) = conn.asked().await {
                if conn.number > 1 || stream == 1 {
                    conn.say(answer(stream, "ok")).await;
                    continue;
                }
                streams.push(stream);
                if streams.len() == REQUESTS {
                    let says = does(&streams);
                    if says.is_empty() {
                        return;
                    }
                    conn.say(says).await;
                }
            }
        }
    })
    .await;
    let gateway = Gateway::hurried(&format!("h2c://{}", raw.address), tls_config(), "connect: 5s");
    let caller = gateway.caller();
    // So that it has served before.
    call(&caller, Method::GET).await.is_answer("ok", true);
    let mut calls = JoinSet::new();
    for _ in 0..REQUESTS {
        let caller = caller.clone();
        calls.spawn(async move { call(&caller, Method::GET).await });
    }
    while let Some(got) = calls.join_next().await {
        got.unwrap().is_answer("ok", true);
    }
    accepted.load(Ordering::Relaxed)
}

#[tokio::test]
async fn goaway_makes_one_other_connection() {
    assert_eq!(connections_when_all(|_| goaway(0, NO_ERROR)).await, 2);
}

#[tokio::test]
async fn lost_connection_makes_one_other_connection() {
    assert_eq!(connections_when_all(|_| Vec::new()).await, 2);
}

#[tokio::test]
async fn refused_streams_make_one_other_connection() {
    let refuse = |streams: &[u32]| streams.iter().flat_map(|stream| reset(*stream, REFUSED_STREAM)).collect();
    assert_eq!(connections_when_all(refuse).await, 2);
}

#[tokio::test]
async fn connection_without_settings_holds_up_nobody_for_long() {
    let raw = Raw::start(|mut conn: Conn| async move {
        if conn.number == 1 {
            conn.linger().await;
            return;
        }
        conn.greet(&[]).await;
        while let Some(stream) = conn.asked().await {
            conn.say(answer(stream, "ok")).await;
        }
    })
    .await;
    let gateway = raw.http2();
    let mut first = JoinSet::new();
    let caller = gateway.caller();
    first.spawn(async move { call(&caller, Method::GET).await });
    // Half of `timeouts.connect`, so that there is time left in line when the first connection's is over.
    tokio::time::sleep(Duration::from_millis(500)).await;
    call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
    assert_eq!(connections(&raw), [2]);
}

#[tokio::test]
async fn upstream_that_ends_no_handshake_is_not_said_to_be_full() {
    let raw = Raw::start(|mut conn: Conn| async move { conn.linger().await }).await;
    let gateway = Gateway::hurried(&format!("https://{}", raw.address), tls_config(), "connect: 500ms");
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let caller = gateway.caller();
        calls.spawn(async move { call(&caller, Method::GET).await });
    }
    let mut not_ready = 0;
    while let Some(got) = calls.join_next().await {
        let got = got.unwrap();
        got.is_refusal(502, "upstream_connect");
        assert!(!got.body.contains("no room"), "{got:?}");
        not_ready += usize::from(got.body.contains("no connection to the upstream was ready in time"));
    }
    assert!(not_ready > 0, "some waited for the others");
}

//! Clients that send or read one byte at a time: each ends within its bound, and others are served meanwhile.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::wire::{Client, answer, configured, echo, noted, upstream, yaml};

/// The timeouts that the tests exceed.
const TIMEOUTS: &str = "timeouts: {connect: 1s, idle: 600ms, first_byte: 600ms, total: 1500ms}\n";
/// The pause between two bytes, shorter than `timeouts.idle`.
const PACE: Duration = Duration::from_millis(50);
/// The maximum time until a connection ends: the longest deadline, and time for a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(3);

/// The bytes that a slow client received, and the time until its connection ended.
struct Ending {
    bytes: Vec<u8>,
    after: Duration,
}

/// Sends `begin`, and then the bytes of `trickle` in turn, again and again, until the connection ends.
async fn send_slowly(gateway: &Gateway, begin: &str, trickle: &str) -> Ending {
    // Before the first byte: on a busy machine, the server's time may begin long before this task runs again.
    let since = Instant::now();
    let client = Client::sending(gateway, begin).await;
    let (mut from, mut to) = client.stream.into_split();
    let writing = async {
        for byte in trickle.bytes().cycle() {
            if to.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(PACE).await;
        }
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    let reading = async { while from.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    tokio::select! {
        () = writing => {}
        ended = timeout(ENDS_WITHIN, reading) => ended.expect("the connection ends"),
    }
    Ending { bytes, after: since.elapsed() }
}

/// Serves others until `slow` is over.
async fn while_others_are_served<T>(gateway: &Gateway, slow: impl Future<Output = T>) -> T {
    let others = async {
        let mut client = Client::connect(gateway).await;
        loop {
            let asked = Instant::now();
            client.goes_on().await;
            assert!(asked.elapsed() < OTHERS_WAIT_MAX, "another client waited for {:?}", asked.elapsed());
            sleep(PACE).await;
        }
    };
    tokio::select! {
        done = slow => done,
        () = others => unreachable!("it does not end"),
    }
}

/// Returns the states in which a client may be slow: name, bytes sent at once, bytes repeated slowly.
fn states() -> Vec<(&'static str, String, &'static str)> {
    let head = "POST /api/x HTTP/1.1\r\nhost: x\r\n";
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    vec![
        ("method behind an empty line", "\r\n".to_owned(), "A"),
        ("method", String::new(), "A"),
        ("target", "GET /api/".to_owned(), "x"),
        ("name of a field", "GET /api/x HTTP/1.1\r\n".to_owned(), "x"),
        ("value of a field", "GET /api/x HTTP/1.1\r\nhost: x\r\na: ".to_owned(), "x"),
        ("fields", "GET /api/x HTTP/1.1\r\nhost: x\r\n".to_owned(), "a: b\r\n"),
        ("head of a second request", "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\nGET /api/".to_owned(), "y"),
        ("body with a length", format!("{head}content-length: 1000\r\n\r\n"), "x"),
        ("size of a chunk", chunked.clone(), "0"),
        ("chunks", chunked.clone(), "1\r\nx\r\n"),
        ("extension of a chunk", format!("{chunked}5;"), "x"),
        ("data of a chunk", format!("{chunked}1000\r\n"), "x"),
        ("extension of the last chunk", format!("{chunked}0;"), "x"),
        ("name of a trailer", format!("{chunked}0\r\n"), "x"),
        ("value of a trailer", format!("{chunked}0\r\nx: "), "x"),
        ("trailers", format!("{chunked}0\r\n"), "x: y\r\n"),
    ]
}

/// Returns the number of bytes that arrive before the connection ends.
async fn bytes_to_the_end(client: &mut Client) -> usize {
    let mut read = 0;
    let mut scratch = vec![0; 64 * 1024];
    loop {
        match timeout(ENDS_WITHIN, client.stream.read(&mut scratch)).await.expect("the connection ends") {
            Ok(0) | Err(_) => return read,
            Ok(more) => read += more,
        }
    }
}

/// Every final response of a slow client's, as statuses and codes.
fn responses(bytes: &[u8]) -> Vec<(u16, Option<String>)> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let begun = text.split("HTTP/1.1 ").skip(1);
    let status = |response: &str| response[..3].parse().unwrap();
    let code = |response: &str| Some(response.split_once(r#""code":""#)?.1.split('"').next()?.to_owned());
    begun.map(|response| (status(response), code(response))).collect()
}

#[tokio::test]
async fn requests_that_trickle_end_within_their_bounds() {
    let raw = echo().await;
    let gateway = configured(&raw, TIMEOUTS);
    let slow = states().into_iter().map(|(name, begin, trickle)| {
        let gateway = &gateway;
        async move { (name, send_slowly(gateway, &begin, trickle).await) }
    });
    let endings = while_others_are_served(&gateway, futures_util::future::join_all(slow)).await;
    for (name, ending) in endings {
        let mut got = responses(&ending.bytes);
        if name == "head of a second request" {
            assert_eq!(got.remove(0), (200, None), "{name}");
        }
        // A head that does not arrive in time is cut or refused with 408; a body gets a refusal.
        let refusals: &[(u16, &str)] = match name {
            "size of a chunk" => &[(400, "bad_request"), (408, "request_timeout")],
            _ => &[(408, "request_timeout"), (504, "upstream_timeout")],
        };
        match got.as_slice() {
            [] => {}
            [(status, code)] => {
                let refusal = (*status, code.as_deref().unwrap_or_default());
                assert!(refusals.contains(&refusal), "{name}: {refusal:?} after {:?}", ending.after);
            }
            more => panic!("{name}: {more:?}"),
        }
        let soonest = Duration::from_millis(if name == "size of a chunk" { 500 } else { 590 });
        assert!(ending.after > soonest && ending.after < ENDS_WITHIN, "{name}: after {:?}", ending.after);
    }
    assert!(
        noted(&raw).iter().all(|line| matches!(line.as_str(), "GET /api/next" | "GET /api/x")),
        "{:?}",
        noted(&raw)
    );
}

#[tokio::test]
async fn bodies_that_trickle_are_refused_with_a_code() {
    let raw = echo().await;
    let gateway = configured(&raw, TIMEOUTS);
    let bodies =
        states().into_iter().filter(|(name, ..)| matches!(*name, "body with a length" | "chunks" | "data of a chunk"));
    let slow = bodies.map(|(name, begin, trickle)| {
        let gateway = &gateway;
        async move { (name, send_slowly(gateway, &begin, trickle).await) }
    });
    for (name, ending) in futures_util::future::join_all(slow).await {
        let got = responses(&ending.bytes);
        assert_eq!(got.len(), 1, "{name}: {:?}", String::from_utf8_lossy(&ending.bytes));
        assert!(matches!(got[0].0, 408 | 504) && got[0].1.is_some(), "{name}: {got:?}");
        assert!(ending.after > Duration::from_millis(1_400), "{name}: the body was never idle: {:?}", ending.after);
    }
}

#[tokio::test]
async fn silence_in_every_state_ends_at_the_idle_timeout() {
    let raw = echo().await;
    let gateway = configured(&raw, TIMEOUTS);
    let silent = states().into_iter().map(|(name, begin, _)| {
        let gateway = &gateway;
        async move {
            let mut client = Client::sending(gateway, begin).await;
            let since = Instant::now();
            let end = client.end().await;
            (name, end, since.elapsed())
        }
    });
    for (name, end, after) in futures_util::future::join_all(silent).await {
        assert!(after > Duration::from_millis(550) && after < ENDS_WITHIN, "{name}: after {after:?}");
        let mut got = responses(end.rest.as_bytes());
        got.retain(|(status, _)| *status != 200);
        assert!(got.iter().all(|(status, code)| matches!(status, 408 | 504) && code.is_some()), "{name}: {got:?}");
        assert!(!end.by_reset, "{name}: {end:?}");
    }
}

#[tokio::test]
async fn idle_connection_is_closed_in_good_order() {
    let raw = echo().await;
    let gateway = configured(&raw, TIMEOUTS);
    let mut fresh = Client::connect(&gateway).await;
    let mut used = Client::connect(&gateway).await;
    used.goes_on().await;
    fresh.ends().await;
    used.ends().await;
}

/// An upstream with more to say than sockets hold.
async fn large() -> Raw {
    let body = "x".repeat(24 << 20);
    upstream(move |sent| (answer(if sent.line.contains("large") { &body } else { "GET /api/next" }), false)).await
}

#[tokio::test]
async fn response_that_is_read_one_byte_at_a_time_is_cut_at_the_total_timeout() {
    let raw = large().await;
    let gateway = configured(&raw, TIMEOUTS);
    let slow = async {
        let mut client = Client::connect(&gateway).await;
        client.send("GET /api/large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let since = Instant::now();
        while since.elapsed() < Duration::from_millis(3_500) {
            client.stream.read_u8().await.unwrap();
            sleep(PACE).await;
        }
        // Bytes in the kernel's buffers still arrive.
        bytes_to_the_end(&mut client).await
    };
    let read = while_others_are_served(&gateway, slow).await;
    assert!(read < 24 << 20, "the response was cut: {read} bytes");
}

#[tokio::test]
async fn response_that_nobody_reads_is_cut_at_the_idle_timeout() {
    let raw = large().await;
    let gateway = configured(&raw, "timeouts: {connect: 1s, idle: 500ms, total: 60s}\n");
    let slow = async {
        let mut client = Client::connect(&gateway).await;
        client.send("GET /api/large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_secs(2)).await;
        bytes_to_the_end(&mut client).await
    };
    let read = while_others_are_served(&gateway, slow).await;
    assert!(read < 24 << 20, "the response was cut: {read} bytes");
}

/// Pauses within a response of a route with the idle timeout `own`, and returns the number of bytes read after that.
async fn read_after_a_pause(own: &str, general: &str) -> usize {
    let raw = large().await;
    let yaml = yaml(raw.address, &format!("timeouts: {{connect: 1s, idle: {general}, total: 60s}}\n"));
    let gateway = Gateway::plain(&yaml.replace("{name: open,", &format!("{{name: open, timeouts: {{idle: {own}}},")));
    let mut client = Client::connect(&gateway).await;
    client.send("GET /api/large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    sleep(Duration::from_secs(2)).await;
    bytes_to_the_end(&mut client).await
}

#[tokio::test]
async fn idle_timeout_of_a_route_applies_to_a_client_that_pauses() {
    let (cut, whole) = tokio::join!(read_after_a_pause("500ms", "60s"), read_after_a_pause("60s", "500ms"));
    assert!(cut < 24 << 20 && whole > 24 << 20, "{cut} {whole}");
}

#[tokio::test]
async fn response_that_is_read_slowly_but_in_time_is_whole() {
    let raw = upstream(|_| (answer(&"x".repeat(200)), false)).await;
    let gateway = configured(&raw, "timeouts: {connect: 1s, idle: 500ms, total: 60s}\n");
    let mut client = Client::connect(&gateway).await;
    client.narrow();
    client.send("GET /api/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut read = Vec::new();
    while let Ok(byte) = client.stream.read_u8().await {
        read.push(byte);
        sleep(Duration::from_millis(2)).await;
    }
    assert!(read.ends_with("x".repeat(200).as_bytes()), "{}", read.len());
}

//! Listeners whose connections begin with a header of the PROXY protocol.

use std::time::Duration;

use http1::KnownName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::Gateway;
use crate::listener_tls::{Certificates, PATIENCE, connect_over, get, start_with};
use crate::raw::Raw;

const TRUSTED: &str = "trusted_proxies: 127.0.0.1\n";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\r\n";

/// A header of version 2 with the same source.
fn binary() -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f"[..], &addresses, &[0x04, 0, 0]].concat()
}

async fn start(more: &str) -> (Gateway, Raw) {
    start_with("proxy_protocol: true", more).await
}

/// Sends `bytes` on a new connection, and returns all that is received, in lowercase.
async fn exchange(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = gateway.caller().connect().await;
    stream.write_all(bytes).await.unwrap();
    received(stream).await
}

async fn received(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection ends").unwrap();
    String::from_utf8(received).unwrap().to_ascii_lowercase()
}

fn request(fields: &str) -> Vec<u8> {
    format!("GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{fields}\r\n").into_bytes()
}

fn forwarded_for(received: &str) -> Vec<&str> {
    let name = KnownName::XForwardedFor.as_str().to_ascii_lowercase();
    received.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect()
}

#[tokio::test]
async fn source_of_the_header_counts_as_the_peer() {
    let (gateway, _upstream) = start(TRUSTED).await;
    for (header, source) in [
        (LINE.to_vec(), "203.0.113.9"),
        (binary(), "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0".to_vec(), "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), "127.0.0.1"),
    ] {
        // The client is no trusted proxy, unless the proxy itself has connected.
        let expected = if header.get(12) == Some(&0x20) { "198.51.100.1, 127.0.0.1" } else { source };
        let sent = [&header[..], &request("X-Forwarded-For: 198.51.100.1\r\n")].concat();
        let received = exchange(&gateway, &sent).await;
        assert!(received.starts_with("http/1.1 200 ok\r\n"), "{received}");
        assert_eq!(forwarded_for(&received), [expected], "{received}");
    }
}

#[tokio::test]
async fn client_whose_tls_the_proxy_has_ended_requested_https() {
    let (gateway, _upstream) = start(TRUSTED).await;
    let addresses = [203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 1, 0xbb];
    for (client, scheme) in [(1, "https"), (0, "http")] {
        let header =
            [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14"[..], &addresses, &[0x20, 0, 5, client, 0, 0, 0, 0]].concat();
        let received = exchange(&gateway, &[&header[..], &request("X-Forwarded-Proto: ftp\r\n")].concat()).await;
        assert!(received.contains(&format!("\r\nx-forwarded-proto: {scheme}\r\n")), "{received}");
    }
}

#[tokio::test]
async fn header_may_arrive_byte_by_byte() {
    let (gateway, _upstream) = start(TRUSTED).await;
    for header in [LINE.to_vec(), binary()] {
        let mut stream = gateway.caller().connect().await;
        stream.set_nodelay(true).unwrap();
        for byte in [&header[..], &request("")].concat() {
            stream.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let received = received(stream).await;
        assert_eq!(forwarded_for(&received), ["203.0.113.9"], "{received}");
    }
}

#[tokio::test]
async fn untrusted_peers_and_invalid_headers_get_a_coded_400() {
    for (more, sent, message) in [
        ("trusted_proxies: 10.0.0.0/8\n", LINE.to_vec(), "only connections of trusted proxies"),
        ("trusted_proxies: 10.0.0.0/8\n", request(""), "only connections of trusted proxies"),
        ("trusted_proxies: 10.0.0.0/8\n", Vec::new(), "only connections of trusted proxies"),
        (TRUSTED, request(""), "valid header of the proxy protocol"),
        (TRUSTED, [b"PROXY TCP4 nonsense\r\n", &request("")[..]].concat(), "valid header of the proxy protocol"),
        (TRUSTED, vec![b'P'; 100_000], "valid header of the proxy protocol"),
        (TRUSTED, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "valid header of the proxy protocol"),
        (TRUSTED, b"\x16\x03\x01\x02\x00".to_vec(), "valid header of the proxy protocol"),
    ] {
        let (gateway, upstream) = start(more).await;
        let received = exchange(&gateway, &sent).await;
        assert!(received.starts_with("http/1.1 400 bad request\r\n"), "{received}");
        assert!(received.contains(r#""code":"bad_request""#) && received.contains(message), "{received}");
        assert!(upstream.asked().is_empty());
        let metrics = gateway.metrics();
        assert!(metrics.contains("tollgate_refusals_total{code=\"bad_request\"} 1\n"), "{metrics}");
    }
}

#[tokio::test]
async fn header_that_trickles_or_stops_is_cut() {
    let (gateway, _upstream) = start(&format!("{TRUSTED}timeouts: {{connect: 1s, idle: 600ms}}\n")).await;
    for pace in [None, Some(Duration::from_millis(50))] {
        let since = Instant::now();
        let mut stream = gateway.caller().connect().await;
        stream.write_all(b"PROXY UNKNOWN ").await.unwrap();
        let (mut from, mut to) = stream.split();
        let write = async {
            while let Some(pace) = pace {
                sleep(pace).await;
                if to.write_all(b"f").await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut received = Vec::new();
        tokio::select! {
            () = write => {}
            _ = timeout(PATIENCE, from.read_to_end(&mut received)) => {}
        }
        assert!(since.elapsed() < PATIENCE && received.is_empty(), "{:?}", since.elapsed());
    }
}

#[tokio::test]
async fn connections_count_for_their_source() {
    let (gateway, _upstream) = start(&format!("{TRUSTED}connections: {{max: 100, per_address: 2}}\n")).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = gateway.caller().connect().await;
        stream.write_all(LINE).await.unwrap();
        stream.write_all(&request("")[..30]).await.unwrap();
        open.push(stream);
    }
    sleep(Duration::from_millis(300)).await;
    let refused = exchange(&gateway, &[LINE, &request("")].concat()).await;
    assert!(refused.starts_with("http/1.1 503") && refused.contains("overloaded"), "{refused}");
    for number in 1..6 {
        let header = format!("PROXY TCP4 203.0.113.{} 10.0.0.1 1 2\r\n", 100 + number);
        let received = exchange(&gateway, &[header.as_bytes(), &request("")].concat()).await;
        assert!(received.starts_with("http/1.1 200"), "{number}: {received}");
    }
    drop(open);
    let since = Instant::now();
    while !exchange(&gateway, &[LINE, &request("")].concat()).await.starts_with("http/1.1 200") {
        assert!(since.elapsed() < PATIENCE, "the connections that have ended do not count");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn header_precedes_tls() {
    let certificates = Certificates::new();
    let tls = certificates.write("a", &["a.test"], 2100);
    let (gateway, _upstream) = start_with(&format!("proxy_protocol: true, tls: {{{tls}}}"), TRUSTED).await;
    for header in [LINE.to_vec(), binary()] {
        let mut stream = gateway.caller().connect().await;
        stream.write_all(&header).await.unwrap();
        let mut stream = connect_over(stream, &certificates.client(), "a.test").await.unwrap();
        let received = get(&mut stream, "").await.unwrap().to_ascii_lowercase();
        assert_eq!(forwarded_for(&received), ["203.0.113.9"], "{received}");
        assert!(received.contains("\r\nx-forwarded-proto: https\r\n"), "{received}");
    }
    // TLS without the header, and a header after it.
    let stream = gateway.caller().connect().await;
    assert!(connect_over(stream, &certificates.client(), "a.test").await.is_err());
    let plain = exchange(&gateway, &[LINE, &request("")].concat()).await;
    assert!(plain.contains("accepts only tls"), "{plain}");
}

#[tokio::test]
async fn other_listeners_take_no_header() {
    let (gateway, _upstream) = start_with("proxy_protocol: false", TRUSTED).await;
    let received = exchange(&gateway, &[LINE, &request("")].concat()).await;
    assert!(received.starts_with("http/1.1 400 bad request\r\n"), "{received}");
}

//! Notifications of the payment provider that are far too large.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::{eventually, text};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shop;

/// The size of each body.
const BODY_BYTES: usize = 10_000_000;
/// The number of notifications at once.
const AT_ONCE: usize = 24;
/// Maximum memory for all of them: a twentieth of their bodies.
const MEMORY_MAX: u64 = 12 << 20;
const STORED: &str = "SELECT count(*) FROM payment_notifications";
/// A timeout against hangs only.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends a whole notification before anything is read, and returns the response up to the end of the connection.
async fn send(to: SocketAddr, is_chunked: bool) -> String {
    let framing =
        if is_chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {BODY_BYTES}") };
    let head = format!(
        "POST /midtrans/notification HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    let piece = vec![b' '; 10_000];
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..BODY_BYTES / piece.len() {
        if is_chunked {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
        }
        stream.write_all(&piece).await.unwrap();
        if is_chunked {
            stream.write_all(b"\r\n").await.unwrap();
        }
    }
    if is_chunked {
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
    let mut response = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut response)).await;
    read.expect("the server closes the connection").expect("the connection is not reset");
    response
}

#[tokio::test]
async fn notifications_of_10_mb_are_refused_in_bounded_memory() {
    let shop = Shop::open().await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    for is_chunked in [false, true] {
        send(shop.gateway.control, is_chunked).await;
    }
    // The first one reports that the payment is pending.
    let stored = eventually("a notification is stored", async || {
        let stored = shop.count(STORED).await;
        (stored > 0).then_some(stored)
    })
    .await;
    let before = shop.gateway.vitals().peak_bytes();
    let mut sending = JoinSet::new();
    for nth in 0..AT_ONCE {
        sending.spawn(send(shop.gateway.control, nth % 2 == 0));
    }
    for response in sending.join_all().await {
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 413 "), "{response}");
        let error: Value = serde_json::from_str(body).unwrap();
        assert_eq!(error["error"]["code"], "payload_too_large", "{response}");
        assert_eq!(error["error"]["message"], "a notification has at most 64 KiB", "{response}");
    }
    let used = shop.gateway.vitals().peak_bytes().saturating_sub(before);
    assert!(used <= MEMORY_MAX, "{used} bytes more than before");
    // Nothing is stored, and a genuine one is accepted.
    assert_eq!(shop.count(STORED).await, stored);
    let genuine = shop.play(&format!("/_stub/resend/{}", text(&payment["order_id"]))).await;
    assert_eq!(shop.notify(&genuine).await, 200);
}

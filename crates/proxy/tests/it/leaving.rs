//! Connections that are inside a response when another process takes over, or when the process is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::wire::{Client, answer, before};

const SLOW: &str = "GET /api/slow HTTP/1.1\r\nhost: x\r\n\r\n";
const NEXT: &str = "GET /api/next HTTP/1.1\r\nhost: x\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab";

/// A backend that stops within the response to `/api/slow` until it is notified.
async fn stopping() -> (Raw, Arc<Notify>) {
    let goes_on = Arc::new(Notify::new());
    let of_backend = goes_on.clone();
    let raw = Raw::start(move |mut conn: Conn| {
        let goes_on = of_backend.clone();
        async move {
            while let Some(sent) = conn.request().await {
                if sent.summary().starts_with("GET /api/slow") {
                    conn.say(HEAD).await;
                    goes_on.notified().await;
                    conn.say("cd").await;
                } else {
                    conn.say(answer(&sent.summary())).await;
                }
            }
        }
    })
    .await;
    (raw, goes_on)
}

/// Returns clients that are inside a response.
async fn inside(gateway: &Gateway, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Client::sending(gateway, SLOW).await;
        let head = client.until_text("\r\n\r\nab").await;
        assert!(!head.contains("connection: close"), "{head}");
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn a_connection_inside_a_response_serves_one_more_request() {
    for phase in [Gateway::leave as fn(&Gateway), Gateway::drain] {
        let (raw, goes_on) = stopping().await;
        let gateway = before(&raw);
        let mut clients = inside(&gateway, 8).await;
        phase(&gateway);
        // Workers learn of the phase.
        tokio::time::sleep(Duration::from_millis(300)).await;
        goes_on.notify_waiters();
        for client in &mut clients {
            client.reads("cd").await;
            let received = client.call(NEXT).await;
            received.is_answer("GET /api/next");
            assert!(received.closes(), "{received:?}");
            client.ends().await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_sends_no_further_request_ends_soon_after_the_drain_began() {
    let (raw, goes_on) = stopping().await;
    let gateway = before(&raw);
    let mut clients = inside(&gateway, 2).await;
    gateway.drain();
    tokio::time::sleep(Duration::from_millis(300)).await;
    goes_on.notify_waiters();
    for client in &mut clients {
        client.reads("cd").await;
        client.ends().await;
    }
}

//! Bounds of connections, on sockets and in real time: what is waited for is seen, never slept for.

use std::time::Duration;

use control::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{Answer, get, rest};
use crate::world::World;

const SOON: Duration = Duration::from_millis(100);
/// Longer than anything here is waited for.
const LONG: Duration = Duration::from_secs(60);

async fn world(limits: Limits) -> World {
    World::start_with("127.0.0.1:0", limits).await
}

/// Asks until it is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let so = async {
        while !is_so().await {
            sleep(SOON / 10).await;
        }
    };
    timeout(200 * SOON, so).await.expect(what);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let world = world(Limits { head: SOON, ..Limits::default() }).await;
    for sent in ["", "GET /health HTTP/1.1\r\nHost: a\r\n", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let text = rest(&mut stream).await;
        assert_eq!(text.starts_with("HTTP/1.1 200"), sent.ends_with("\r\n\r\n"), "{sent:?} {text:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_a_timeout() {
    let world = world(Limits { body: SOON, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"token\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    Answer::read(&rest(&mut stream).await).refuses(408, "request_timeout");
}

#[tokio::test]
async fn a_connection_past_the_bound_waits_for_a_place() {
    let world = world(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(world.address).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();

    let second = get(world.address, "/livez", &[]);
    tokio::pin!(second);
    assert!(timeout(3 * SOON, &mut second).await.is_err());
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn an_address_holds_so_many_connections_and_a_trusted_proxy_more() {
    let world = world(Limits { connections_per_address_max: 2, ..Limits::default() }).await;
    let hold = async || {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut byte = [0];
        let answered = stream.read_exact(&mut byte).await.is_ok();
        (stream, answered)
    };
    let (first, second, third) = (hold().await, hold().await, hold().await);
    assert_eq!([first.1, second.1, third.1], [true, true, false]);
    drop(first);
    sleep(SOON).await;
    assert_eq!(get(world.address, "/livez", &[]).await.status, 200);

    world.configure(|snapshot| snapshot.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let proxied = [hold().await, hold().await, hold().await, hold().await];
    assert!(proxied.iter().all(|(_, answered)| *answered));
    drop(second);
}

#[tokio::test]
async fn a_connection_has_an_end() {
    // Long enough that the answer goes before the end, on a busy machine too.
    let world = world(Limits { connection: 20 * SOON, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_end() {
    let mut world = world(Limits { head: LONG, drain: LONG, ..Limits::default() }).await;
    let body = "{\"token\":\"x\"}";
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Then the call has begun, and waits for its body.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    world.stop();
    eventually("the listener is closed", async || TcpStream::connect(world.address).await.is_err()).await;
    assert!(rest(&mut idle).await.len() < 2_000, "an idle connection is closed at once");

    stream.write_all(body.as_bytes()).await.unwrap();
    Answer::read(&rest(&mut stream).await).refuses(401, "key_malformed");
    world.ended().await;
}

#[tokio::test]
async fn what_hangs_does_not_keep_the_end() {
    let mut world = world(Limits { drain: SOON, body: LONG, call: LONG, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head =
        b"POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
        Content-Length: 9\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // Then the call has begun, and waits for a body that never comes.
    let mut byte = [0];
    stream.read_exact(&mut byte).await.unwrap();
    world.stop();
    timeout(200 * SOON, world.ended()).await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = world(Limits::default()).await;
    let long = format!("X-Long: {}", "x".repeat(70_000));
    assert_eq!(get(world.address, "/livez", &[&long]).await.status, 431);
    let many = vec!["X-Many: 1"; 101];
    assert_eq!(get(world.address, "/livez", &many).await.status, 431);
}

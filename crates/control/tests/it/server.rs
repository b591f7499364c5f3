//! Bounds of connections, on sockets and in real time. Tests wait for observable effects and never sleep.

use std::net::SocketAddr;
use std::time::Duration;

use control::ServerLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::client::{Answer, get, rest};
use crate::world::World;

const SOON: Duration = Duration::from_millis(100);
/// A duration that exceeds every wait of these tests.
const LONG: Duration = Duration::from_secs(60);

async fn world(limits: ServerLimits) -> World {
    World::start_with("127.0.0.1:0", limits).await
}

/// Polls until the condition is true.
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
    let world = world(ServerLimits { head: SOON, ..ServerLimits::default() }).await;
    for sent in ["", "GET /health HTTP/1.1\r\nHost: a\r\n", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let text = rest(&mut stream).await;
        assert_eq!(text.starts_with("HTTP/1.1 200"), sent.ends_with("\r\n\r\n"), "{sent:?} {text:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_a_timeout() {
    let world = world(ServerLimits { body: SOON, ..ServerLimits::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"token\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    Answer::read(&rest(&mut stream).await).refuses(408, "request_timeout");
}

/// A connection that serves a request: the server waits for its body.
async fn busy(from: &str, address: SocketAddr) -> TcpStream {
    let mut stream = connect(from, address).await;
    let head = "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 13\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The interim response shows that the request is being served.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Finishes the request of [`busy`].
async fn finish(mut stream: TcpStream) {
    stream.write_all(b"{\"token\":\"x\"}").await.unwrap();
    assert!(answers(&mut stream).await.unwrap().starts_with("HTTP/1.1 401"));
}

/// Connects from a loopback address.
async fn connect(from: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(address).await.unwrap()
}

/// An idle connection that served one request.
async fn idle(from: &str, address: SocketAddr) -> TcpStream {
    let mut stream = connect(from, address).await;
    assert!(call_again(&mut stream).await, "a connection from {from} is served");
    stream
}

/// Whether a request on this connection gets a response; false if the connection was closed.
async fn call_again(stream: &mut TcpStream) -> bool {
    let sent = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sent.is_ok() && answers(stream).await.is_some_and(|text| text.starts_with("HTTP/1.1 200"))
}

/// Reads one response with its body; returns `None` if the connection was closed instead.
async fn answers(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut piece = [0; 1_024];
    loop {
        let read = timeout(LONG, stream.read(&mut piece)).await.expect("it ends in time");
        let read = read.ok().filter(|read| *read > 0)?;
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// Whether the server has closed this connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(timeout(SOON, stream.read(&mut [0])).await, Err(_) | Ok(Ok(1)))
}

const HERE: &str = "127.0.0.1";
const THERE: &str = "127.0.0.2";

#[tokio::test]
async fn a_connection_past_the_bound_waits_while_all_serve_calls() {
    let world = world(ServerLimits { connections_max: 1, body: LONG, ..ServerLimits::default() }).await;
    let first = busy(HERE, world.address).await;
    let second = get(world.address, "/livez", &[]);
    tokio::pin!(second);
    assert!(timeout(3 * SOON, &mut second).await.is_err());
    finish(first).await;
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn the_longest_idle_connection_of_an_address_makes_room_for_its_next() {
    let limits = ServerLimits { connections_per_address_max: 3, head: LONG, body: LONG, ..ServerLimits::default() };
    let world = world(limits).await;
    let mut other = idle(THERE, world.address).await;
    let mut first = idle(HERE, world.address).await;
    let mut second = idle(HERE, world.address).await;
    let serving = busy(HERE, world.address).await;
    // The first connection was idle for longer until now.
    assert!(call_again(&mut first).await);

    let mut next = idle(HERE, world.address).await;
    assert!(is_closed(&mut second).await, "the longest idle one makes room");
    assert!(call_again(&mut first).await && call_again(&mut next).await && call_again(&mut other).await);
    finish(serving).await;
}

#[tokio::test]
async fn silent_connections_do_not_lock_an_address_out() {
    let limits = ServerLimits { connections_per_address_max: 8, head: LONG, ..ServerLimits::default() };
    let world = world(limits).await;
    let mut silent = Vec::new();
    for _ in 0..24 {
        silent.push(connect(HERE, world.address).await);
    }
    for _ in 0..16 {
        assert_eq!(get(world.address, "/livez", &[]).await.status, 200);
    }
    assert!(is_closed(&mut silent[0]).await);
}

#[tokio::test]
async fn an_address_has_a_maximum_of_busy_connections_and_a_trusted_proxy_has_none() {
    let limits = ServerLimits { connections_per_address_max: 2, body: LONG, ..ServerLimits::default() };
    let world = world(limits).await;
    let first = busy(HERE, world.address).await;
    let second = busy(HERE, world.address).await;
    let mut third = connect(HERE, world.address).await;
    assert!(!call_again(&mut third).await, "it is closed at once");
    assert!(call_again(&mut connect(THERE, world.address).await).await);
    world.configure(|snapshot| snapshot.traffic.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    for _ in 0..4 {
        let _kept = idle(HERE, world.address).await;
    }
    finish(first).await;
    finish(second).await;
}

#[tokio::test]
async fn a_full_listener_closes_idle_connections_first() {
    let limits = ServerLimits { connections_max: 3, head: LONG, body: LONG, ..ServerLimits::default() };
    let world = world(limits).await;
    let serving = busy(HERE, world.address).await;
    let mut oldest = idle(THERE, world.address).await;
    let mut own = idle(HERE, world.address).await;
    let mut next = idle(HERE, world.address).await;
    assert!(is_closed(&mut own).await, "one of the same address");
    let mut stranger = idle("127.0.0.3", world.address).await;
    assert!(is_closed(&mut oldest).await, "else the longest idle of all");
    assert!(call_again(&mut next).await && call_again(&mut stranger).await);
    finish(serving).await;
}

#[tokio::test]
async fn a_connection_has_an_end() {
    // Long enough that the response precedes the end, also on a busy machine.
    let world = world(ServerLimits { connection: 20 * SOON, ..ServerLimits::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn requests_in_flight_are_answered_before_the_shutdown() {
    let mut world = world(ServerLimits { head: LONG, drain: LONG, ..ServerLimits::default() }).await;
    let body = "{\"token\":\"x\"}";
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The interim response shows that the request waits for its body.
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
async fn a_stalled_request_does_not_delay_the_shutdown() {
    let mut world = world(ServerLimits { drain: SOON, body: LONG, call: LONG, ..ServerLimits::default() }).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head =
        b"POST /api/auth/validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
        Content-Length: 9\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // The interim response shows that the request waits for a body that never arrives.
    let mut byte = [0];
    stream.read_exact(&mut byte).await.unwrap();
    world.stop();
    timeout(200 * SOON, world.ended()).await.unwrap();
}

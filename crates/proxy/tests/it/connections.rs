//! The bounds of connections to backends (`upstreams[].pool`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::frames::answer;
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backend whose responses wait until a test lets them go.
struct HeldBackend {
    raw: Raw,
    go: Arc<Semaphore>,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl HeldBackend {
    async fn start() -> Self {
        let go = Arc::new(Semaphore::new(0));
        let open = Arc::<AtomicUsize>::default();
        let most = Arc::<AtomicUsize>::default();
        let waits = go.clone();
        let opened = open.clone();
        let noted = most.clone();
        let raw = Raw::start(move |mut conn: Conn| {
            let go = waits.clone();
            let open = opened.clone();
            let most = noted.clone();
            async move {
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                while conn.head().await.is_some() {
                    go.acquire().await.unwrap().forget();
                    if !conn.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await {
                        break;
                    }
                }
                open.fetch_sub(1, Ordering::SeqCst);
            }
        })
        .await;
        Self { raw, go, open, most }
    }

    /// Waits until this number of requests has arrived.
    async fn has_received(&self, requests: usize) {
        let begin = Instant::now();
        while self.raw.asked().len() < requests {
            assert!(begin.elapsed() < PATIENCE, "{:?}", self.raw.asked());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a request in a task. Returns when it is in flight, as the last one of `tasks`, and the first of them has arrived.
    ///
    /// From then on the key is known, so that no later request overtakes this one.
    async fn begin(&self, gateway: &Gateway, tasks: &mut JoinSet<Response<Incoming>>, path: &'static str) {
        let caller = gateway.caller();
        tasks.spawn(async move { caller.send(Method::GET, path, "").await });
        let begin = Instant::now();
        let expected = u32::try_from(tasks.len()).unwrap();
        while gateway.in_flight() != expected {
            assert!(begin.elapsed() < PATIENCE, "{} requests are in flight", gateway.in_flight());
            sleep(Duration::from_millis(1)).await;
        }
        self.has_received(1).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn before(address: SocketAddr, scheme: &str, pool: &str, route: &str) -> Gateway {
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\nroutes: [{{path: {{prefix: /}}, upstreams: u{route}}}]\n\
         upstreams: [{{name: u, pool: {{{pool}}}, backends: [{{url: \"{scheme}://{address}\"}}]}}]\n"
    ))
}

/// A backend over HTTP/2 that permits one stream at a time, and responds to the first request only.
async fn one_stream_at_a_time() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        if conn.greet(&[(3, 1)]).await.is_none() {
            return;
        }
        while let Some(stream) = conn.asked().await {
            if stream == 1 {
                conn.say(answer(stream, "done")).await;
            }
        }
    })
    .await
}

fn no_backend_has_failed(gateway: &Gateway) {
    let metrics = gateway.metrics();
    let failures: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("tollgate_backend_failures_total{")).collect();
    assert!(!failures.is_empty() && failures.iter().all(|line| line.ends_with(" 0")), "{failures:?}");
}

#[tokio::test]
async fn requests_wait_in_turn_for_the_connections_of_a_backend() {
    let held = HeldBackend::start().await;
    let gateway = before(held.raw.address, "http", "max_connections: 1", ", timeouts: {connect: 20s}");
    let mut tasks = JoinSet::new();
    for path in ["/a", "/b", "/c", "/d"] {
        held.begin(&gateway, &mut tasks, path).await;
    }
    assert_eq!(held.raw.asked().len(), 1, "the others wait");
    held.go.add_permits(4);
    while let Some(response) = timeout(PATIENCE, tasks.join_next()).await.expect("responses in time") {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
    let asked: Vec<String> = held.raw.asked().into_iter().map(|(number, line)| format!("{number} {line}")).collect();
    assert_eq!(asked, ["a", "b", "c", "d"].map(|path| format!("1 get /{path} http/1.1")), "all use one connection");
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let held = HeldBackend::start().await;
    held.go.add_permits(1_000);
    let gateway = before(held.raw.address, "http", "max_connections: 3", ", timeouts: {connect: 20s}");
    let mut tasks = JoinSet::new();
    for _ in 0..60 {
        let caller = gateway.caller();
        tasks.spawn(async move { caller.send(Method::GET, "/", "").await.status() });
    }
    for status in timeout(PATIENCE, tasks.join_all()).await.expect("responses in time") {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!((held.most.load(Ordering::SeqCst), held.open.load(Ordering::SeqCst)), (3, 3));
    assert_eq!(held.raw.asked().len(), 60);
}

#[tokio::test]
async fn requests_beyond_those_that_may_wait_are_refused_at_once() {
    let held = HeldBackend::start().await;
    let gateway = before(held.raw.address, "http", "max_connections: 1, pending: 1", ", timeouts: {connect: 1h}");
    let mut tasks = JoinSet::new();
    for path in ["/a", "/b"] {
        held.begin(&gateway, &mut tasks, path).await;
    }
    let third = timeout(PATIENCE, gateway.caller().send(Method::GET, "/c", "")).await.expect("it does not wait");
    got(third).await.is_refusal(503, "overloaded");
    held.go.add_permits(2);
    while let Some(response) = timeout(PATIENCE, tasks.join_next()).await.expect("responses in time") {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_request_that_waits_in_vain_is_refused_and_no_backend_has_failed() {
    let held = HeldBackend::start().await;
    let gateway = before(held.raw.address, "http", "max_connections: 1", ", timeouts: {connect: 300ms}");
    let mut tasks = JoinSet::new();
    held.begin(&gateway, &mut tasks, "/a").await;
    let begun = Instant::now();
    let late = timeout(PATIENCE, gateway.caller().send(Method::GET, "/b", "")).await.expect("a response in time");
    got(late).await.is_refusal(503, "overloaded");
    assert!(begun.elapsed() >= Duration::from_millis(300), "it has waited: {:?}", begun.elapsed());
    held.go.add_permits(2);
    assert_eq!(timeout(PATIENCE, tasks.join_next()).await.unwrap().unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(gateway.caller().send(Method::GET, "/d", "").await.status(), StatusCode::OK);
    no_backend_has_failed(&gateway);
}

/// A full connection over HTTP/2 is no failure of its backend either.
#[tokio::test]
async fn a_request_that_waits_in_vain_for_a_stream_is_refused_and_no_backend_has_failed() {
    let raw = one_stream_at_a_time().await;
    let gateway = before(raw.address, "h2c", "max_connections: 1", ", timeouts: {connect: 300ms}");
    let caller = gateway.caller();
    got(caller.send(Method::GET, "/", "").await).await.is_answer("done", true);
    let held = gateway.caller();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { held.send(Method::GET, "/", "").await });
    until("the second request arrives", || raw.asked().len() == 2).await;
    let late = timeout(PATIENCE, caller.send(Method::GET, "/b", "")).await.expect("a response in time");
    got(late).await.is_refusal(503, "overloaded");
    no_backend_has_failed(&gateway);
}

#[tokio::test]
async fn a_backend_without_a_free_stream_has_not_failed_though_the_total_time_is_over() {
    let raw = one_stream_at_a_time().await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         upstreams: [{{name: group, pool: {{max_connections: 1}}, backends: [{{url: \"h2c://{}\"}}]}}]\n\
         routes: [{{path: /held, upstreams: group}}, {{path: /late, upstreams: group, timeouts: {{total: 300ms}}}}]\n",
        raw.address
    ));
    let caller = gateway.caller();
    got(caller.send(Method::GET, "/held", "").await).await.is_answer("done", true);
    let held = gateway.caller();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { held.send(Method::GET, "/held", "").await });
    until("the second request arrives", || raw.asked().len() == 2).await;
    let late = timeout(PATIENCE, caller.send(Method::GET, "/late", "")).await.expect("a response in time");
    got(late).await.is_refusal(503, "overloaded");
    no_backend_has_failed(&gateway);
}

#[tokio::test]
async fn a_connection_that_its_backend_closes_makes_room_for_another() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.head().await;
        conn.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let gateway = before(raw.address, "http", "max_connections: 1", ", timeouts: {connect: 20s}");
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let caller = gateway.caller();
        tasks.spawn(async move { caller.send(Method::POST, "/", "").await.status() });
    }
    for status in timeout(PATIENCE, tasks.join_all()).await.expect("responses in time") {
        assert_eq!(status, StatusCode::OK);
    }
    let mut connections: Vec<usize> = raw.asked().into_iter().map(|(number, _)| number).collect();
    connections.dedup();
    assert_eq!(connections, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn idle_connections_are_bounded_in_number_and_time() {
    for (pool, pause, connections) in [
        ("idle: 0", 0, vec![1, 2]),
        ("idle: 1", 0, vec![1, 1]),
        ("idle_timeout: 1s", 1_300, vec![1, 2]),
        ("idle_timeout: 9s", 1_300, vec![1, 1]),
    ] {
        let held = HeldBackend::start().await;
        held.go.add_permits(2);
        let gateway = before(held.raw.address, "http", pool, "");
        let caller = gateway.caller();
        assert_eq!(caller.send(Method::GET, "/", "").await.status(), StatusCode::OK);
        sleep(Duration::from_millis(pause)).await;
        assert_eq!(caller.send(Method::GET, "/", "").await.status(), StatusCode::OK);
        let used: Vec<usize> = held.raw.asked().into_iter().map(|(number, _)| number).collect();
        assert_eq!(used, connections, "{pool}");
    }
}

/// Over HTTP/2, streams of one connection serve the requests that would need another.
#[tokio::test]
async fn streams_of_the_allowed_connections_serve_all_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::<AtomicUsize>::default();
    let counted = accepted.clone();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(async |_: Request<Incoming>| {
                sleep(Duration::from_millis(20)).await;
                Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
            });
            connections.spawn(async move {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                let served = builder.max_concurrent_streams(2).serve_connection(TokioIo::new(stream), service).await;
                served.unwrap_or_default();
            });
        }
    });
    let gateway = before(address, "h2c", "max_connections: 1", ", timeouts: {connect: 20s}");
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let caller = gateway.caller();
        tasks.spawn(async move { caller.send(Method::GET, "/", "").await.status() });
    }
    for status in timeout(PATIENCE, tasks.join_all()).await.expect("responses in time") {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

/// A drained connection whose stream runs for long does not keep other requests of its worker waiting.
#[tokio::test]
async fn a_drained_connection_with_a_stream_leaves_its_place_to_another() {
    let raw = Raw::start(|mut conn: Conn| async move {
        if conn.greet(&[]).await.is_none() {
            return;
        }
        while let Some(stream) = conn.asked().await {
            // On the first connection, only the first request has a response.
            if (conn.number, stream) == (1, 1) || conn.number > 1 {
                conn.say(answer(stream, "done")).await;
            }
        }
    })
    .await;
    let gateway = before(raw.address, "h2c", "max_connections: 1", ", timeouts: {connect: 2s}");
    let caller = gateway.caller();
    got(caller.send(Method::GET, "/", "").await).await.is_answer("done", true);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", caller.authorization());
    let mut long = caller.connect().await;
    let mut brief = caller.connect().await;
    for (client, asked) in [(&mut long, 2), (&mut brief, 3)] {
        client.write_all(head.as_bytes()).await.unwrap();
        until("the request arrives", || raw.asked().len() == asked).await;
    }
    // An earlier disconnect would not drain the connection.
    sleep(Duration::from_millis(1_100)).await;
    brief.set_zero_linger().unwrap();
    drop(brief);
    until("the brief request ends", || gateway.in_flight() == 1).await;
    got(caller.send(Method::GET, "/", "").await).await.is_answer("done", true);
    assert_eq!(raw.asked()[3], (2, "stream 1".to_owned()), "on another connection");
    drop(long);
}

/// A client that disconnects after a silence drains its connection over HTTP/2, which the backend keeps open.
#[tokio::test]
async fn a_drained_connection_without_streams_leaves_its_place_to_another() {
    let raw = Raw::start(|mut conn: Conn| async move {
        if conn.greet(&[]).await.is_none() {
            return;
        }
        while let Some(stream) = conn.asked().await {
            // Only the second request of the first connection has no response.
            if (conn.number, stream) != (1, 3) {
                conn.say(answer(stream, "done")).await;
            }
        }
    })
    .await;
    let gateway = before(raw.address, "h2c", "max_connections: 1", ", timeouts: {connect: 2s}");
    let caller = gateway.caller();
    // With the whole response, the settings have been read: the connection is silent during the second request.
    got(caller.send(Method::GET, "/", "").await).await.is_answer("done", true);
    let mut client = caller.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", caller.authorization());
    client.write_all(head.as_bytes()).await.unwrap();
    until("the second request arrives", || raw.asked().len() == 2).await;
    // An earlier disconnect would not drain the connection.
    sleep(Duration::from_millis(1_100)).await;
    client.set_zero_linger().unwrap();
    drop(client);
    until("the second request ends", || gateway.in_flight() == 0).await;
    got(caller.send(Method::GET, "/", "").await).await.is_answer("done", true);
    assert_eq!(raw.asked()[2], (2, "stream 1".to_owned()), "on another connection");
}

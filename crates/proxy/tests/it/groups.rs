//! Upstreams of several backends: the distribution, second attempts, and the counts of each backend.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use h2::client::Builder;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client_http2::StreamClient;
use crate::gateway::{CREDITS, Caller, Gateway};
use crate::raw::{Conn, Raw, call};

/// Returns a backend that responds to each request with the `Host` that it received.
async fn backend() -> Raw {
    Raw::start(|mut conn: Conn| async move { while answer(&mut conn).await {} }).await
}

/// Reads a request and responds with its `Host`. Returns whether the connection is still open.
async fn answer(conn: &mut Conn) -> bool {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let Ok(byte) = conn.stream.read_u8().await else { return false };
        read.push(byte);
    }
    let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let mut body = vec![0; value("content-length: ").parse().unwrap_or(0)];
    conn.stream.read_exact(&mut body).await.unwrap();
    conn.note(head.lines().next().unwrap());
    let host = value("host: ");
    conn.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}", host.len())).await
}

/// Returns an address at which connections are refused.
async fn refusing() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}

fn yaml(backends: &str) -> String {
    format!(
        "ai: {{enabled: false}}\n\
         timeouts: {{connect: 1s}}\n\
         upstreams: [{{name: pair, backends: [{backends}]}}]\n\
         routes: [{{name: all, path: {{prefix: /api}}, credits: {CREDITS}, upstreams: pair, \
         transformations: {{request: {{rewrite: {{host: backend}}}}}}}}]\n"
    )
}

/// Starts a gateway before these addresses with these weights.
fn before(backends: &[(SocketAddr, u32)]) -> Gateway {
    Gateway::plain(&yaml(&listed(backends)))
}

fn listed(backends: &[(SocketAddr, u32)]) -> String {
    let backends = backends.iter().map(|(address, weight)| format!("{{url: \"http://{address}\", weight: {weight}}}"));
    backends.collect::<Vec<_>>().join(", ")
}

async fn get(caller: &Caller) -> (StatusCode, String) {
    let response = caller.send(Method::GET, "/api", "").await;
    let status = response.status();
    (status, String::from_utf8_lossy(&response.into_body().collect().await.unwrap().to_bytes()).into_owned())
}

/// Returns the value of a metric of one backend.
fn metric(gateway: &Gateway, name: &str, address: SocketAddr) -> u64 {
    series(gateway, &format!("{name}{{upstream=\"pair\",backend=\"http://{address}\"}} "))
}

/// Returns the number of attempts on a backend that failed for a cause.
fn failures(gateway: &Gateway, address: SocketAddr, cause: &str) -> u64 {
    let labels = format!("upstream=\"pair\",backend=\"http://{address}\",cause=\"{cause}\"");
    series(gateway, &format!("tollgate_backend_failures_total{{{labels}}} "))
}

/// Returns the value of the series whose line has this start.
fn series(gateway: &Gateway, start: &str) -> u64 {
    let text = gateway.metrics();
    text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{start}\n{text}")).parse().unwrap()
}

const PICKS: &str = "tollgate_backend_requests_total";
const IN_FLIGHT: &str = "tollgate_backend_requests_in_flight";

/// Waits until no request uses these backends.
async fn settled(gateway: &Gateway, addresses: &[SocketAddr]) {
    for _ in 0..500 {
        if addresses.iter().all(|address| metric(gateway, IN_FLIGHT, *address) == 0) {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("requests remain in flight\n{}", gateway.metrics());
}

#[tokio::test]
async fn backends_take_turns_by_weight_and_receive_their_own_host() {
    for (weights, expected) in [([1, 1], [15, 15]), ([1, 2], [10, 20]), ([1_000, 500], [20, 10])] {
        let a = backend().await;
        let b = backend().await;
        let gateway = before(&[(a.address, weights[0]), (b.address, weights[1])]);
        let caller = gateway.caller();
        let mut hosts = Vec::new();
        for _ in 0..30 {
            let (status, host) = get(&caller).await;
            assert_eq!(status, StatusCode::OK);
            hosts.push(host);
        }
        for (backend, expected) in [&a, &b].into_iter().zip(expected) {
            let own = hosts.iter().filter(|host| **host == backend.address.to_string()).count();
            assert_eq!((own, backend.asked().len()), (expected, expected), "{weights:?}");
            assert_eq!(metric(&gateway, PICKS, backend.address), expected as u64);
        }
        settled(&gateway, &[a.address, b.address]).await;
    }
}

#[tokio::test]
async fn a_request_goes_to_another_backend_if_the_first_refuses_the_connection() {
    let gone = refusing().await;
    let alive = backend().await;
    let gateway = before(&[(gone, 1), (alive.address, 1)]);
    let caller = gateway.caller();
    for _ in 0..10 {
        // Nothing was sent, so a request with an effect is sent to the other backend too.
        let response = caller.send(Method::POST, "/api", "body").await;
        assert_eq!(response.status(), StatusCode::OK);
        let host = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(host, alive.address.to_string());
    }
    assert_eq!(alive.asked().len(), 10);
    assert!(failures(&gateway, gone, "connect") >= 4, "{}", gateway.metrics());
    assert_eq!(failures(&gateway, alive.address, "connect"), 0);
    let errors = "tollgate_upstream_errors_total{upstream=\"pair\",code=\"upstream_connect\"}";
    assert!(gateway.metrics().contains(errors), "{}", gateway.metrics());
    settled(&gateway, &[gone, alive.address]).await;
    assert_eq!(gateway.used(), 10 * u64::from(CREDITS), "each request counts once");
}

#[tokio::test]
async fn a_request_fails_after_every_backend_has_refused_once() {
    let gone = [refusing().await, refusing().await, refusing().await];
    let gateway = before(&gone.map(|address| (address, 1)));
    call(&gateway.caller(), Method::GET).await.is_refusal(503, "no_healthy_upstream");
    for address in gone {
        assert_eq!(failures(&gateway, address, "connect"), 1);
    }
    settled(&gateway, &gone).await;
    // The reservation is released after the request has ended.
    while gateway.ended().released == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(gateway.used(), 0);
}

#[tokio::test]
async fn a_backend_that_refuses_connections_meets_its_share_of_requests() {
    let gone = refusing().await;
    let alive = backend().await;
    let gateway = before(&[(gone, 1), (alive.address, 1)]);
    let caller = gateway.caller();
    for _ in 0..40 {
        assert_eq!(get(&caller).await, (StatusCode::OK, alive.address.to_string()));
    }
    assert_eq!(failures(&gateway, gone, "connect"), 20, "every second request begins there");
}

/// Returns an address at which the kernel drops every SYN, because nobody accepts the connections before.
async fn swallowing() -> (SocketAddr, (Socket, Vec<TcpStream>)) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "the backlog is not bounded");
    }
    (address, (listener, waiting))
}

#[tokio::test]
async fn a_backend_that_swallows_connections_meets_its_share_of_requests() {
    let (silent, _waiting) = swallowing().await;
    let alive = backend().await;
    let gateway =
        Gateway::plain(&yaml(&listed(&[(silent, 1), (alive.address, 1)])).replace("connect: 1s", "connect: 100ms"));
    let caller = gateway.caller();
    for _ in 0..16 {
        assert_eq!(get(&caller).await, (StatusCode::OK, alive.address.to_string()));
    }
    assert_eq!(failures(&gateway, silent, "connect"), 8, "every second request begins there");
}

#[tokio::test]
async fn the_total_time_of_a_request_bounds_its_connection_too() {
    let (silent, _waiting) = swallowing().await;
    let source = yaml(&listed(&[(silent, 1)])).replace("connect: 1s", "connect: 1h, total: 300ms");
    let gateway = Gateway::plain(&source);
    call(&gateway.caller(), Method::GET).await.is_refusal(504, "upstream_timeout");
    assert_eq!((failures(&gateway, silent, "connect"), failures(&gateway, silent, "timeout")), (0, 1));
}

#[tokio::test]
async fn the_time_that_a_client_gives_its_call_bounds_its_connection_and_says_nothing_about_the_backend() {
    let (silent, _waiting) = swallowing().await;
    let gateway = Gateway::plain(&yaml(&listed(&[(silent, 1)])).replace("connect: 1s", "connect: 1h"));
    let mut client = StreamClient::over(gateway.caller().connect().await, &Builder::new()).await;
    let request = Request::builder().method(Method::POST).uri("http://gateway.test/api");
    let request = request.header(header::AUTHORIZATION, gateway.caller().authorization());
    let request = request.header(header::CONTENT_TYPE, "application/grpc").header("grpc-timeout", "300m");
    let refused = client.call(request.body(()).unwrap(), "").await;
    assert_eq!(refused.header("grpc-status"), Some("4"));
    assert_eq!((failures(&gateway, silent, "connect"), failures(&gateway, silent, "timeout")), (0, 0));
}

/// Returns a backend that reads a head and then sends `response`, which may be empty, before it closes the connection.
async fn saying(response: &'static str) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        if conn.head().await.is_some() {
            conn.say(response.to_owned()).await;
        }
    })
    .await
}

#[tokio::test]
async fn each_failed_attempt_counts_for_its_cause_and_other_responses_do_not() {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    for (response, status, cause) in [
        (OK, StatusCode::OK, None),
        (ERROR, StatusCode::INTERNAL_SERVER_ERROR, None),
        (UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE, Some("status")),
        ("", StatusCode::BAD_GATEWAY, Some("reset")),
        ("NOT HTTP\r\n\r\n", StatusCode::BAD_GATEWAY, Some("reset")),
    ] {
        let backend = saying(response).await;
        let gateway = before(&[(backend.address, 1)]);
        assert_eq!(get(&gateway.caller()).await.0, status, "{response:?}");
        for known in ["connect", "reset", "timeout", "status"] {
            let expected = u64::from(cause == Some(known));
            assert_eq!(failures(&gateway, backend.address, known), expected, "{response:?} {known}");
        }
    }
}

#[tokio::test]
async fn a_late_response_counts_as_a_timeout() {
    let silent = Raw::start(|mut conn: Conn| async move { while conn.head().await.is_some() {} }).await;
    let source = yaml(&listed(&[(silent.address, 1)])).replace("connect: 1s", "first_byte: 200ms");
    let gateway = Gateway::plain(&source);
    call(&gateway.caller(), Method::GET).await.is_refusal(504, "upstream_timeout");
    assert_eq!(failures(&gateway, silent.address, "timeout"), 1);
}

#[tokio::test]
async fn a_request_is_retried_at_most_four_times() {
    let mut gone = Vec::new();
    for _ in 0..7 {
        gone.push((refusing().await, 1));
    }
    let gateway = before(&gone);
    call(&gateway.caller(), Method::GET).await.is_refusal(502, "upstream_connect");
    let tried: u64 = gone.iter().map(|(address, _)| failures(&gateway, *address, "connect")).sum();
    assert_eq!(tried, 5);
}

/// A backend whose connections respond to one request and close after they have read another.
async fn forgetful() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        if answer(&mut conn).await {
            conn.head().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_second_attempt_goes_to_another_backend_only_if_the_request_may_be_repeated() {
    for (method, repeats) in [(Method::GET, true), (Method::POST, false)] {
        let a = forgetful().await;
        let b = forgetful().await;
        let gateway = before(&[(a.address, 1), (b.address, 1)]);
        let caller = gateway.caller();
        for _ in 0..2 {
            assert_eq!(get(&caller).await.0, StatusCode::OK);
        }
        let first = a.address;
        let other = b.address;
        let third = call(&caller, method.clone()).await;
        if repeats {
            third.is_answer(&other.to_string(), true);
            assert_eq!(b.asked().last().unwrap().0, 2, "a retry uses a new connection");
        } else {
            third.is_refusal(502, "upstream_reset");
        }
        assert_eq!((a.asked().len(), b.asked().len()), (2, if repeats { 2 } else { 1 }), "{method}");
        settled(&gateway, &[first, other]).await;
        assert_eq!(gateway.used(), 3 * u64::from(CREDITS), "a retried request counts once");
    }
}

#[tokio::test]
async fn a_backend_that_dies_under_load_costs_at_most_the_requests_that_it_had_received() {
    const CLIENTS: usize = 8;
    let dying = backend().await;
    let alive = backend().await;
    let addresses = [dying.address, alive.address];
    let gateway = before(&addresses.map(|address| (address, 1)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let caller = gateway.caller();
        clients.spawn(async move {
            let mut failed = 0;
            for _ in 0..50 {
                match get(&caller).await.0 {
                    StatusCode::OK => {}
                    StatusCode::BAD_GATEWAY => failed += 1,
                    other => panic!("{other}"),
                }
            }
            failed
        });
    }
    while dying.asked().len() < 20 {
        sleep(Duration::from_millis(1)).await;
    }
    drop(dying);
    let failed: usize = clients.join_all().await.into_iter().sum();
    assert!(failed <= CLIENTS, "{failed}");
    assert_eq!(get(&gateway.caller()).await.0, StatusCode::OK);
    settled(&gateway, &addresses).await;
}

#[tokio::test]
async fn a_reload_keeps_the_counts_of_backends() {
    let open = Arc::new(Semaphore::new(0));
    let waiting = open.clone();
    let slow = Raw::start(move |mut conn: Conn| {
        let open = waiting.clone();
        async move {
            while conn.head().await.is_some() {
                open.acquire().await.unwrap().forget();
                conn.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let other = backend().await;
    let added = backend().await;
    let gateway = before(&[(slow.address, 1)]);
    let caller = gateway.caller();
    let mut pending = JoinSet::from_iter([async move { get(&caller).await.0 }]);
    while slow.asked().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    gateway.reload(&yaml(&listed(&[(other.address, 1), (added.address, 1)])));
    for _ in 0..4 {
        assert_eq!(get(&gateway.caller()).await.0, StatusCode::OK);
    }
    assert_eq!(metric(&gateway, IN_FLIGHT, slow.address), 1, "a request still uses the removed backend");
    gateway.reload(&yaml(&listed(&[(slow.address, 1), (other.address, 1)])));
    open.add_permits(10);
    assert_eq!(pending.join_next().await.unwrap().unwrap(), StatusCode::OK);
    for _ in 0..4 {
        assert_eq!(get(&gateway.caller()).await.0, StatusCode::OK);
    }
    assert_eq!(metric(&gateway, PICKS, slow.address), 3, "one before the reloads, two of four after them");
    settled(&gateway, &[slow.address, other.address]).await;
}

#[tokio::test]
async fn a_backend_at_a_unix_socket_gets_requests_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let gateway = Gateway::plain(&yaml(&format!("{{url: \"unix:{}\"}}", path.display())));
    let caller = gateway.caller();
    call(&caller, Method::GET).await.is_refusal(502, "upstream_connect");
    for _ in 0..2 {
        let backend = Raw::at_socket(&path, |mut conn: Conn| async move { while answer(&mut conn).await {} });
        for method in [Method::GET, Method::POST, Method::GET] {
            call(&caller, method).await.is_answer("localhost", true);
        }
        let received = ["get", "post", "get"].map(|method| (1, format!("{method} /api/x http/1.1")));
        assert_eq!(backend.asked(), received, "one connection carries all requests");
        // The next backend replaces it, as after a restart of the application.
        drop(backend);
        std::fs::remove_file(&path).unwrap();
    }
    call(&caller, Method::GET).await.is_refusal(502, "upstream_connect");
}

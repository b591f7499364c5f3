//! Retries by the rules of an upstream, the timeouts of routes, and responses in place of the gateway's errors.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::{Caller, Gateway};
use crate::raw::{Conn, Raw, got};

/// The longest wait for a response.
const PATIENCE: Duration = Duration::from_secs(20);
const KIB: usize = 1024;

/// What a backend does with each request after it has read it.
#[derive(Debug, Clone, Copy)]
enum Behavior {
    /// Responds with this status and these fields.
    Says(u16, &'static str),
    Resets,
    Hangs,
    /// Responds with this status to the first request, and with 200 to others.
    Recovers(u16),
}

async fn backend(behavior: Behavior) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        let mut is_first = conn.number == 1;
        while conn.head().await.is_some() {
            let (status, fields) = match behavior {
                Behavior::Says(status, fields) => (status, fields),
                Behavior::Resets => return conn.reset(),
                Behavior::Hangs => return conn.linger().await,
                Behavior::Recovers(status) if std::mem::take(&mut is_first) => (status, ""),
                Behavior::Recovers(_) => (200, ""),
            };
            if !conn.say(format!("HTTP/1.1 {status} X\r\n{fields}content-length: 2\r\n\r\nok")).await {
                break;
            }
        }
    })
    .await
}

/// Starts a gateway before these backends; `more` are keys of the upstream, and `route` those of the route.
fn before(backends: &[SocketAddr], more: &str, route: &str) -> Gateway {
    let urls: Vec<String> = backends.iter().map(|address| format!("{{url: \"http://{address}\"}}")).collect();
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\nupstreams: [{{name: group, backends: [{}]{more}}}]\n\
         routes: [{{path: {{prefix: /}}, upstreams: group{route}}}]\n",
        urls.join(", ")
    ))
}

async fn send(caller: &Caller, method: Method, body: impl Into<Bytes>) -> Response<Incoming> {
    timeout(PATIENCE, caller.send(method, "/", body)).await.expect("a response in time")
}

/// Returns the requests that a backend has received.
fn received(raw: &Raw) -> usize {
    raw.asked().len()
}

/// Returns the value of a metric of the upstream.
fn metric(gateway: &Gateway, series: &str) -> u64 {
    let text = gateway.metrics();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("{series}\n{text}"))
}

fn retries(cause: &str) -> String {
    format!("tollgate_upstream_retries_total{{upstream=\"group\",cause=\"{cause}\"}}")
}

#[tokio::test]
async fn a_failed_request_goes_to_another_backend_and_a_post_only_if_the_rules_say_so() {
    for (behavior, cause) in [
        (Behavior::Says(503, ""), "status"),
        (Behavior::Says(200, "content-type: application/grpc\r\ngrpc-status: 14\r\n"), "status"),
        (Behavior::Says(500, ""), "status"),
        (Behavior::Resets, "reset"),
        (Behavior::Says(200, "content-length: 7\r\n"), "reset"),
        (Behavior::Hangs, "timeout"),
    ] {
        for (method, retried, rules) in [
            (Method::GET, true, ""),
            (Method::PUT, true, ""),
            (Method::POST, false, ""),
            (Method::POST, true, ", unsafe: true"),
        ] {
            let bad = backend(behavior).await;
            let good = backend(Behavior::Says(201, "")).await;
            let rules = format!(", retry: {{on: [connect, reset, timeout, 5xx], backoff: 0s{rules}}}");
            let is_hurried = matches!(behavior, Behavior::Hangs);
            let route = if is_hurried { ", timeouts: {first_byte: 500ms}" } else { "" };
            let gateway = before(&[bad.address, good.address], &rules, route);
            let caller = gateway.caller();
            let mut created = 0;
            for _ in 0..2 {
                created += usize::from(send(&caller, method.clone(), "").await.status() == StatusCode::CREATED);
            }
            let case = format!("{behavior:?} {method} {rules}");
            assert_eq!(received(&bad), 1, "{case}");
            assert_eq!((created, received(&good)), if retried { (2, 2) } else { (1, 1) }, "{case}");
            if retried {
                assert_eq!(metric(&gateway, &retries(cause)), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn requests_are_not_retried_after_other_failures() {
    for (behavior, on) in [
        (Behavior::Says(503, ""), "[connect, reset, timeout, 502]"),
        (Behavior::Says(404, ""), "[5xx, 429]"),
        (Behavior::Resets, "[connect, timeout, 5xx]"),
    ] {
        let bad = backend(behavior).await;
        let good = backend(Behavior::Says(200, "")).await;
        let gateway = before(&[bad.address, good.address], &format!(", retry: {{on: {on}}}"), "");
        let caller = gateway.caller();
        for _ in 0..2 {
            send(&caller, Method::GET, "").await;
        }
        assert_eq!((received(&bad), received(&good)), (1, 1), "{behavior:?} {on}");
    }
}

#[tokio::test]
async fn the_number_of_retries_is_bounded_and_the_last_response_is_relayed() {
    let bad = [backend(Behavior::Says(503, "")).await, backend(Behavior::Says(503, "")).await];
    for attempts in [0, 1, 2, 5] {
        let rules = format!(", retry: {{attempts: {attempts}, backoff: 1ms}}");
        let gateway = before(&[bad[0].address, bad[1].address], &rules, "");
        let before: usize = bad.iter().map(received).sum();
        let response = send(&gateway.caller(), Method::GET, "").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok", "it is the backend's");
        assert_eq!(bad.iter().map(received).sum::<usize>() - before, attempts + 1);
    }
}

#[tokio::test]
async fn a_single_backend_gets_the_retry_itself() {
    let flapping = backend(Behavior::Recovers(503)).await;
    let gateway = before(&[flapping.address], ", retry: {}", "");
    assert_eq!(send(&gateway.caller(), Method::GET, "").await.status(), StatusCode::OK);
    // The response was read to its end, so that the retry uses its connection.
    let connections: Vec<usize> = flapping.asked().into_iter().map(|(number, _)| number).collect();
    assert_eq!(connections, [1, 1]);
}

#[tokio::test]
async fn a_backend_that_refuses_connections_is_tried_again_after_a_pause() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = before(&[closed], ", retry: {attempts: 3}", "");
    got(send(&gateway.caller(), Method::POST, "some").await).await.is_refusal(502, "upstream_connect");
    assert_eq!(metric(&gateway, &retries("connect")), 3);
}

/// A backend that reads whole bodies, over HTTP/1.1 and HTTP/2, and responds with a status. It notes the sizes of bodies.
async fn reader(status: u16, sizes: &Sizes, is_http2: bool) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sizes = sizes.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let sizes = sizes.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let sizes = sizes.clone();
                async move {
                    let body = request.into_body().collect().await?.to_bytes();
                    sizes.lock().unwrap().push(body.len());
                    let response = Response::builder().status(status).body(Full::<Bytes>::default());
                    Ok::<_, hyper::Error>(response.unwrap())
                }
            });
            connections.spawn(async move {
                let stream = TokioIo::new(stream);
                if is_http2 {
                    let server = http2::Builder::new(TokioExecutor::new());
                    server.serve_connection(stream, service).await.unwrap_or_default();
                } else {
                    http1::Builder::new().serve_connection(stream, service).await.unwrap_or_default();
                }
            });
        }
    });
    (address, tasks)
}

type Sizes = Arc<Mutex<Vec<usize>>>;

#[tokio::test]
async fn a_body_is_kept_up_to_its_maximum() {
    for (scheme, size, is_kept) in [
        ("http", 1, true),
        ("http", 64 * KIB, true),
        ("http", 64 * KIB + 1, false),
        ("http", 200 * KIB, false),
        ("h2c", 64 * KIB, true),
        ("h2c", 64 * KIB + 1, false),
    ] {
        for is_chunked in [false, true] {
            let sizes = Sizes::default();
            let is_http2 = scheme == "h2c";
            let (bad, _bad) = reader(503, &sizes, is_http2).await;
            let (good, _good) = reader(201, &sizes, is_http2).await;
            let gateway = Gateway::plain(&format!(
                "ai: {{enabled: false}}\nroutes: [{{path: {{prefix: /}}, upstreams: u}}]\n\
                 upstreams: [{{name: u, retry: {{backoff: 0s}}, backends: [{{url: \"{scheme}://{bad}\"}}, {{url: \"{scheme}://{good}\"}}]}}]\n"
            ));
            let caller = gateway.caller();
            let mut created = 0;
            for _ in 0..2 {
                let request = Request::builder().method(Method::PUT).uri("/");
                let body = Bytes::from(vec![b'x'; size]);
                let sent = async {
                    if is_chunked {
                        let frames = [Ok::<_, Infallible>(Frame::data(body))];
                        caller.send_request(request, StreamBody::new(stream::iter(frames))).await
                    } else {
                        caller.send_request(request, Full::new(body)).await
                    }
                };
                let response = timeout(PATIENCE, sent).await.expect("a response in time");
                created += usize::from(response.status() == StatusCode::CREATED);
            }
            let case = format!("{scheme} {size} {is_chunked}");
            let requests = if is_kept { 3 } else { 2 };
            assert_eq!(created, requests - 1, "{case}");
            assert_eq!(*sizes.lock().unwrap(), vec![size; requests], "{case}");
        }
    }
}

#[tokio::test]
async fn the_time_in_retry_after_is_waited_or_ends_the_retries() {
    for (fields, max_backoff, is_retried) in [
        ("retry-after: 1\r\n", "2s", true),
        ("retry-after: 3\r\n", "2s", false),
        ("retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "0s", true),
        ("retry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\n", "60s", false),
        ("retry-after: soon\r\n", "0s", true),
    ] {
        let bad = backend(Behavior::Says(429, fields)).await;
        let good = backend(Behavior::Says(200, "")).await;
        let rules = format!(", retry: {{on: [429], max_backoff: {max_backoff}}}");
        let gateway = before(&[bad.address, good.address], &rules, "");
        let caller = gateway.caller();
        let begin = Instant::now();
        let mut refused = 0;
        for _ in 0..2 {
            refused += usize::from(send(&caller, Method::GET, "").await.status() == StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(refused, usize::from(!is_retried), "{fields}");
        if fields.ends_with(": 1\r\n") {
            assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
        }
    }
}

#[tokio::test]
async fn the_total_time_bounds_all_attempts() {
    let hanging = [backend(Behavior::Hangs).await, backend(Behavior::Hangs).await];
    let gateway = before(
        &[hanging[0].address, hanging[1].address],
        ", retry: {attempts: 10, on: [timeout], backoff: 0s}",
        ", timeouts: {first_byte: 800ms, total: 3s}",
    );
    let begin = Instant::now();
    got(send(&gateway.caller(), Method::GET, "").await).await.is_refusal(504, "upstream_timeout");
    let attempts: usize = hanging.iter().map(received).sum();
    assert!(begin.elapsed() >= Duration::from_millis(2_100), "{:?}", begin.elapsed());
    assert!((2..=4).contains(&attempts), "{attempts} attempts");
}

#[tokio::test]
async fn retries_beyond_the_budget_are_not_made() {
    let failing = backend(Behavior::Says(503, "retry-after: 50\r\n")).await;
    // Three retries in flight are always allowed: they wait, and so they remain in flight.
    let gateway = before(&[failing.address], ", retry: {max_backoff: 60s, budget: 0%}", "");
    let caller = gateway.caller();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let caller = caller.clone();
        tasks.spawn(async move { caller.send(Method::GET, "/", "").await.status() });
    }
    let refused = "tollgate_upstream_retries_refused_total{upstream=\"group\"}";
    for _ in 0..5 {
        let status = timeout(PATIENCE, tasks.join_next()).await.expect("a response in time").unwrap().unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!((metric(&gateway, &retries("status")), metric(&gateway, refused)), (3, 5));
}

#[tokio::test]
async fn a_fallback_replaces_errors_of_the_gateway_alone() {
    let route = ", fallback: {status: 200, body: later, headers: {X-From: fallback}}";
    let hurried = format!(", timeouts: {{first_byte: 200ms}}{route}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let resetting = backend(Behavior::Resets).await;
    let hanging = backend(Behavior::Hangs).await;
    for (what, backends) in [
        ("connect", vec![closed]),
        ("none", vec![closed, "127.0.0.1:1".parse().unwrap()]),
        ("reset", vec![resetting.address]),
        ("timeout", vec![hanging.address]),
    ] {
        let gateway = before(&backends, "", &hurried);
        let response = send(&gateway.caller(), Method::GET, "").await;
        assert_eq!(
            (response.status().as_u16(), response.headers()["x-from"].as_bytes()),
            (200, &b"fallback"[..]),
            "{what}"
        );
        assert_eq!(response.headers().contains_key("retry-after"), what == "none", "{what}");
        assert!(response.headers().contains_key("x-request-id"), "{what}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "later", "{what}");
    }
    let failing = backend(Behavior::Says(503, "")).await;
    let gateway = before(&[failing.address], "", route);
    let response = send(&gateway.caller(), Method::GET, "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "it is the backend's");
    let gateway = before(&[failing.address], "", &format!("{route}, rate_limit: {{requests: 1, window: 1h}}"));
    let caller = gateway.caller();
    send(&caller, Method::GET, "").await;
    got(send(&caller, Method::GET, "").await).await.is_refusal(429, "rate_limited");
}

/// A backend whose event stream lasts for a while.
async fn events(content_type: &'static str) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        conn.head().await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n");
        conn.say(head).await;
        for _ in 0..8 {
            conn.say("data: 1\n\n").await;
            sleep(Duration::from_millis(200)).await;
        }
    })
    .await
}

#[tokio::test]
async fn only_the_total_time_of_its_route_ends_an_event_stream() {
    for (content_type, route, is_whole) in [
        ("text/event-stream", "", true),
        ("Text/Event-Stream; charset=utf-8", "", true),
        ("text/plain", "", false),
        ("text/plain", ", timeouts: {total: none}", true),
        ("text/event-stream", ", timeouts: {total: 1s}", false),
    ] {
        let backend = events(content_type).await;
        let gateway = Gateway::plain(&format!(
            "ai: {{enabled: false}}\ntimeouts: {{total: 1s}}\nroutes: [{{path: {{prefix: /}}, upstreams: u{route}}}]\n\
             upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]\n",
            backend.address
        ));
        let response = send(&gateway.caller(), Method::GET, "").await;
        let body = timeout(PATIENCE, response.into_body().collect()).await.expect("an end in time");
        assert_eq!(body.is_ok(), is_whole, "{content_type} {route}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_retried_at_another_backend_without_a_pause() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let good = backend(Behavior::Says(200, "")).await;
    let gateway = before(&[closed, good.address], ", retry: {on: [connect], backoff: 60s, max_backoff: 60s}", "");
    let caller = gateway.caller();
    // One of the two begins at the backend that refuses; the pause would exceed the patience with a response.
    for _ in 0..2 {
        assert_eq!(send(&caller, Method::GET, "").await.status(), StatusCode::OK);
    }
    assert_eq!((received(&good), metric(&gateway, &retries("connect"))), (2, 1));
}

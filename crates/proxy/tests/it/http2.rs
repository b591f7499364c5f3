//! HTTP/2 to upstreams: how many connections, whose streams, in whose time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::{CREDITS, Gateway, ReservationCounts};
use crate::streams::{Plan, Server, StreamRequest};

const PATIENCE: Duration = Duration::from_secs(20);

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn start(server: &Server) -> Gateway {
    Gateway::hurried(&server.url(), proxy::tls_config(), "connect: 15s")
}

async fn body(answer: Response<Incoming>) -> Bytes {
    patiently("the answer's body", answer.into_body().collect()).await.unwrap().to_bytes()
}

async fn echo(mut asked: StreamRequest) {
    let body = asked.read().await;
    asked.answer(body);
}

/// Waits until the test lets it, then answers.
async fn wait(asked: StreamRequest) {
    let seen = asked.seen.clone();
    seen.gate.acquire().await.unwrap().forget();
    asked.answer("done");
}

#[tokio::test]
async fn request_over_http2_has_nothing_of_http1() {
    let server = Server::start(Plan::streams(100), echo).await;
    let mut gateway = start(&server);
    let request = http::Request::post("/api/echo?q=1")
        .header(header::CONNECTION, "x-private, keep-alive")
        .header("x-private", "1")
        .header("keep-alive", "timeout=5")
        .header(header::TE, "trailers, deflate")
        .header(header::UPGRADE, "websocket")
        .header("x-kept", "yes");
    // Of unknown length, so chunked on the way in.
    let chunks = ["one ", "two ", "three"].map(|text| Ok(hyper::body::Frame::data(Bytes::from(text))));
    let chunked = http_body_util::StreamBody::new(futures_util::stream::iter(chunks));
    let chunked = http_body_util::combinators::BoxBody::<_, std::convert::Infallible>::new(chunked);
    let answer = patiently("an answer", gateway.caller().send_request(request, chunked)).await;
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(body(answer).await, "one two three");

    let heads = std::mem::take(&mut *server.seen.heads.lock().unwrap());
    let head = &heads[0];
    assert_eq!(head.uri.to_string(), "http://gateway.test/api/echo?q=1", "the host of the client");
    let of_http1 = ["host", "connection", "keep-alive", "upgrade", "transfer-encoding", "x-private"];
    for name in of_http1 {
        assert_eq!(head.headers.get(name), None, "{name}");
    }
    assert_eq!(head.headers.get("x-kept"), Some(&HeaderValue::from_static("yes")));
    assert_eq!(head.headers.get("te"), Some(&HeaderValue::from_static("trailers")), "the caller accepts them");
    gateway.stop().await;
    assert_eq!(gateway.ended(), ReservationCounts { released: 0, settled: 1, interrupted: 0 });
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let server = Server::start(Plan::streams(100), echo).await;
    let gateway = start(&server);
    let sent: Bytes = (0..3 * 1024 * 1024).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let answer = patiently("an answer", gateway.post("/api/echo", sent.clone())).await;
    assert!(body(answer).await == sent, "the body comes back as it was sent");
    let length = server.seen.heads.lock().unwrap()[0].headers.get(header::CONTENT_LENGTH).cloned();
    assert_eq!(length, Some(HeaderValue::from(sent.len())));
}

/// Returns the framing that a client receives for a response with these fields.
async fn framing(headers: HeaderMap, method: Method) -> (Option<String>, Option<String>, Bytes) {
    let answer = move |mut asked: StreamRequest| {
        let mut head = Response::new(());
        *head.headers_mut() = headers.clone();
        async move {
            let is_head = asked.seen.heads.lock().unwrap()[0].method == Method::HEAD;
            let mut to = asked.reply.send_response(head, is_head).unwrap();
            if !is_head {
                to.send_data("hello".into(), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("x-trailer", HeaderValue::from_static("1"));
                to.send_trailers(trailers).unwrap();
            }
        }
    };
    let server = Server::start(Plan::streams(100), answer).await;
    let mut gateway = start(&server);
    let answer = patiently("an answer", gateway.caller().send(method, "/api/x", "")).await;
    let text = |name| answer.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
    let length = text(header::CONTENT_LENGTH);
    let coding = text(header::TRANSFER_ENCODING);
    let whole = patiently("the answer's body", answer.into_body().collect()).await.unwrap();
    assert_eq!(whole.trailers(), None, "the caller does not accept them");
    gateway.stop().await;
    assert_eq!(gateway.ended().settled, 1, "the answer was whole");
    (length, coding, whole.to_bytes())
}

#[tokio::test]
async fn answer_over_http2_has_one_framing_for_its_caller() {
    let five = || HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from_static("5"))]);
    let five_text = Some("5".to_owned());
    let chunked = Some("chunked".to_owned());
    assert_eq!(framing(five(), Method::GET).await, (five_text.clone(), None, Bytes::from("hello")));
    assert_eq!(framing(HeaderMap::new(), Method::GET).await, (None, chunked, Bytes::from("hello")));
    assert_eq!(framing(five(), Method::HEAD).await, (five_text, None, Bytes::new()));
}

/// Sends 100 requests at once to an upstream that allows `streams_max`; answers connections when all are under way.
async fn connections_of_100(streams_max: u32) -> usize {
    let server = Server::start(Plan::streams(streams_max), wait).await;
    let mut gateway = start(&server);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let caller = gateway.caller();
        calls.spawn(async move { caller.send(Method::GET, "/api/x", "").await.status() });
    }
    until("100 streams at once", || server.seen.streams.load(Ordering::Relaxed) == 100).await;
    let accepted = server.accepted();
    server.seen.gate.add_permits(100);
    while let Some(status) = patiently("an answer", calls.join_next()).await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    gateway.stop().await;
    assert_eq!(gateway.used(), u64::from(100 * CREDITS));
    accepted
}

#[tokio::test]
async fn streams_ask_for_as_many_connections_as_they_need() {
    for (streams_max, connections) in [(1, 100), (3, 34), (10, 10), (1000, 2)] {
        assert_eq!(connections_of_100(streams_max).await, connections, "{streams_max} streams a connection");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(Plan::streams(10), echo).await;
    let gateway = start(&server);
    for call in 0..30 {
        let text = format!("call {call}");
        assert_eq!(body(gateway.post("/api/echo", text.clone()).await).await, text);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn goaway_under_load_fails_no_request() {
    let plan = Plan { streams_max: 10, goes_after: Some(7) };
    let answer = |asked: StreamRequest| async move {
        sleep(Duration::from_millis(u64::try_from(asked.number).unwrap())).await;
        echo(asked).await;
    };
    let server = Server::start(plan, answer).await;
    let mut gateway = start(&server);
    let mut calls = JoinSet::new();
    for caller_no in 0..20 {
        let caller = gateway.caller();
        calls.spawn(async move {
            for call in 0..20 {
                let text = format!("{caller_no}-{call}");
                let answer = caller.send(Method::POST, "/api/echo", text.clone()).await;
                let status = answer.status();
                assert_eq!((status, body(answer).await), (StatusCode::OK, Bytes::from(text)));
            }
        });
    }
    while let Some(called) = patiently("a caller", calls.join_next()).await {
        called.unwrap();
    }
    assert!(server.accepted() >= 400 / 20, "connections went away: {}", server.accepted());
    gateway.stop().await;
    assert_eq!(gateway.ended(), ReservationCounts { released: 0, settled: 400, interrupted: 0 });
}

#[tokio::test]
async fn caller_that_hangs_up_resets_its_stream_and_no_other() {
    let answer =
        |asked: StreamRequest| async move { if asked.number == 2 { asked.pour().await } else { wait(asked).await } };
    let server = Server::start(Plan::streams(10), answer).await;
    let gateway = start(&server);
    let caller = gateway.caller();
    let mut other = JoinSet::new();
    other.spawn(async move { caller.send(Method::GET, "/api/x", "").await });
    until("the first stream", || server.seen.streams.load(Ordering::Relaxed) == 1).await;
    let mut poured = gateway.post("/api/pour", "").await;
    patiently("a part", poured.body_mut().frame()).await.unwrap().unwrap();
    drop(poured);
    until("the reset", || server.seen.cancelled.load(Ordering::Relaxed) == 1).await;

    server.seen.gate.add_permits(2);
    assert_eq!(body(patiently("the other answer", other.join_next()).await.unwrap().unwrap()).await, "done");
    assert_eq!(body(gateway.post("/api/x", "").await).await, "done");
    assert_eq!(server.accepted(), 1, "the connection goes on");
}

/// Asks for `/api/pour` and reads the head alone, with a small buffer in the kernel.
async fn ask_and_do_not_read(gateway: &Gateway) -> tokio::net::TcpStream {
    let caller = gateway.caller();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    SockRef::from(&socket).set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(caller.address()).await.unwrap();
    let head = format!("GET /api/pour HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", caller.authorization());
    stream.write_all(head.as_bytes()).await.unwrap();
    patiently("the first byte", stream.read_u8()).await.unwrap();
    stream
}

#[tokio::test]
async fn callers_that_do_not_read_hold_little_and_nobody_up() {
    const SLOW: usize = 60;
    // A window of 256 KiB, the kernel's buffers, and what hyper holds.
    const HELD_MAX: usize = 1536 * 1024;
    let answer =
        |asked: StreamRequest| async move { if asked.number <= SLOW { asked.pour().await } else { echo(asked).await } };
    let server = Server::start(Plan::streams(128), answer).await;
    let gateway = start(&server);
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(ask_and_do_not_read(&gateway).await);
    }
    let taken = patiently("standstill", async {
        let mut before = 0;
        loop {
            sleep(Duration::from_millis(300)).await;
            let sent = server.seen.sent.load(Ordering::Relaxed);
            // On a busy machine nothing moves for a while before every window is full.
            if std::mem::replace(&mut before, sent) == sent && sent >= SLOW * 256 * 1024 {
                return sent;
            }
        }
    })
    .await;
    assert!(taken >= SLOW * 256 * 1024, "every window is full: {taken}");
    assert!(taken <= SLOW * HELD_MAX, "{} bytes a caller", taken / SLOW);
    let answer = patiently("an answer beside them", gateway.post("/api/echo", "quick")).await;
    assert_eq!(body(answer).await, "quick");
    assert_eq!(server.accepted(), 1, "on the same connection");
}

#[tokio::test]
async fn refused_connection_counts_for_nothing() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut gateway = Gateway::start(&url, proxy::tls_config());
    let answer = patiently("an answer", gateway.post("/api/x", "")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(body(answer).await.windows(16).any(|part| part == b"upstream_connect"));
    gateway.stop().await;
    assert_eq!(gateway.ended(), ReservationCounts { released: 1, settled: 0, interrupted: 0 });
}

#[tokio::test]
async fn wait_for_a_stream_has_an_end_and_counts_for_nothing() {
    // The maximum number of connections, each with one stream, all in use.
    const TAKEN: usize = 256;
    let server = Server::start(Plan::streams(1), wait).await;
    let mut gateway = Gateway::hurried(&server.url(), proxy::tls_config(), "connect: 5s");
    let mut calls = JoinSet::new();
    for _ in 0..TAKEN {
        let caller = gateway.caller();
        calls.spawn(async move { caller.send(Method::GET, "/api/x", "").await.status() });
    }
    until("all streams are taken", || server.seen.streams.load(Ordering::Relaxed) == TAKEN).await;
    let answer = patiently("a refusal", gateway.post("/api/x", "")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let told = body(answer).await;
    assert!(String::from_utf8_lossy(&told).contains(r#""code":"overloaded""#), "{told:?}");
    assert_eq!(server.accepted(), TAKEN);

    // The waiting request gets the first free stream.
    let caller = gateway.caller();
    let mut next = JoinSet::new();
    next.spawn(async move { caller.send(Method::GET, "/api/x", "").await.status() });
    sleep(Duration::from_millis(100)).await;
    server.seen.gate.add_permits(TAKEN + 1);
    assert_eq!(patiently("the next answer", next.join_next()).await.unwrap().unwrap(), StatusCode::OK);
    while let Some(status) = patiently("an answer", calls.join_next()).await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    gateway.stop().await;
    let settled = u64::try_from(TAKEN + 1).unwrap();
    assert_eq!(gateway.ended(), ReservationCounts { released: 1, settled, interrupted: 0 });
}

#[tokio::test]
async fn caller_that_leaves_the_line_leaves_its_turn_to_the_next() {
    // The maximum number of connections, each with one stream, all in use.
    const TAKEN: usize = 256;
    const LEAVING: usize = 20;
    let server = Server::start(Plan::streams(1), wait).await;
    let mut gateway = start(&server);
    let ask = |calls: &mut JoinSet<StatusCode>, times: usize| {
        for _ in 0..times {
            let caller = gateway.caller();
            calls.spawn(async move { caller.send(Method::GET, "/api/x", "").await.status() });
        }
    };
    let mut calls = JoinSet::new();
    let mut leaving = Vec::new();
    ask(&mut calls, TAKEN);
    until("all streams are taken", || server.seen.streams.load(Ordering::Relaxed) == TAKEN).await;
    for _ in 0..LEAVING {
        let mut stream = gateway.caller().connect().await;
        let head =
            format!("GET /api/x HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", gateway.caller().authorization());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.set_zero_linger().unwrap();
        leaving.push(stream);
    }
    // Each request reserves its cost before it enters the queue.
    let reserved = |requests: usize| u64::try_from(requests).unwrap() * u64::from(CREDITS);
    until("they are in line", || gateway.used() == reserved(TAKEN + LEAVING)).await;
    ask(&mut calls, 1);
    until("so is the next", || gateway.used() == reserved(TAKEN + LEAVING + 1)).await;
    drop(leaving);
    until("they have left", || gateway.ended().released == u64::try_from(LEAVING).unwrap()).await;
    // Two streams become free: one for the waiting request, and the one that this request used.
    server.seen.gate.add_permits(2);
    for _ in 0..2 {
        let answered = patiently("an answer", calls.join_next()).await.unwrap().unwrap();
        assert_eq!(answered, StatusCode::OK);
    }
    until("the next one's stream", || server.seen.streams.load(Ordering::Relaxed) == TAKEN + 1).await;
    server.seen.gate.add_permits(TAKEN);
    while let Some(status) = patiently("an answer", calls.join_next()).await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    gateway.stop().await;
    let released = u64::try_from(LEAVING).unwrap();
    let settled = u64::try_from(TAKEN + 1).unwrap();
    assert_eq!(gateway.ended(), ReservationCounts { released, settled, interrupted: 0 });
}

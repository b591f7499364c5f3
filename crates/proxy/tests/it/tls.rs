//! Upstreams behind `https://`: the certificates that the gateway accepts. A request without a connection costs nothing.

use std::sync::Arc;
use std::time::Duration;

use access::Credits;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use meter::{Counts, Outcome, RequestResult};
use rustls::{ClientConfig, ServerConfig};
use spool::Record;

use crate::gateway::{CREDITS, Gateway, ReservationCounts};
use crate::upstream::{Authority, Handshake, PARTS, Upstream};

/// More than a TLS record and a socket's buffer hold.
const BODY_BYTES: usize = 3 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

async fn body(answer: Response<Incoming>) -> Bytes {
    patiently("the answer's body", answer.into_body().collect()).await.unwrap().to_bytes()
}

async fn part(answer: &mut Response<Incoming>) -> Bytes {
    let frame = patiently("a part of the answer", answer.body_mut().frame()).await;
    frame.expect("the answer is not over").unwrap().into_data().unwrap()
}

/// Returns the counts of the records. The route aggregates its requests.
fn counted(records: &[Record]) -> impl Iterator<Item = &Counts> {
    records.iter().flat_map(|record| match record {
        Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => counts.as_slice(),
        Record::Open(_) => &[],
        Record::Close(_) | Record::Event(_) => panic!("the route folds its events: {record:?}"),
    })
}

/// A call through a gateway before `https://HOST:PORT`, which must fail as `upstream_connect`. It is counted among
/// the requests that no upstream received, and costs nothing.
async fn check_unreachable(host: &str, upstream: &Upstream, tls: Arc<ClientConfig>) {
    let mut gateway = Gateway::start(&format!("https://{host}:{}", upstream.address.port()), tls);
    let answer = patiently("an answer", gateway.post("/api/echo", "a secret")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let body = body(answer).await;
    let told = String::from_utf8_lossy(&body);
    assert!(told.contains(r#""code":"upstream_connect""#), "{told}");

    let notes = upstream.notes();
    assert!(notes.accepted > 0, "the gateway must have come as far as the handshake");
    assert_eq!((notes.handshakes, notes.requests), (Vec::new(), Vec::new()));
    let records = gateway.stop().await;
    let counts: Vec<_> =
        counted(&records).map(|counts| (counts.status_class, counts.requests, counts.credits)).collect();
    assert_eq!(counts, [(RequestResult::unsent_class(502, Outcome::Completed, None), 1, Credits::whole(0))]);
    assert_eq!(gateway.used(), 0);
    assert_eq!(gateway.ended(), ReservationCounts { released: 1, settled: 0, interrupted: 0 });
}

#[tokio::test]
async fn request_reaches_an_upstream_over_tls() {
    check_reached(|authority| authority.server_of("localhost", "http/1.1"), "http/1.1").await;
}

#[tokio::test]
async fn upstream_that_speaks_both_is_spoken_to_in_http2() {
    check_reached(|authority| authority.server("localhost"), "h2").await;
}

/// A request and a stream through a gateway to a server that `server` makes, over `protocol`.
async fn check_reached(server: impl Fn(&Authority) -> ServerConfig, protocol: &str) {
    let authority = Authority::new();
    let upstream = Upstream::start(server(&authority)).await;
    let port = upstream.address.port();
    let mut gateway = Gateway::start(&format!("https://localhost:{port}"), authority.trusted());
    let sent: Bytes = (0..BODY_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let echoed = patiently("an answer", gateway.post("/api/echo", sent.clone())).await;
    assert_eq!(echoed.status(), StatusCode::OK);
    assert!(body(echoed).await == sent, "the body comes back as it was sent");

    let mut streamed = patiently("an answer", gateway.post("/api/stream", "go")).await;
    // The second part is written only when the first one has arrived: nothing holds it up.
    assert_eq!(part(&mut streamed).await, PARTS[0]);
    upstream.go_on();
    assert_eq!(part(&mut streamed).await, PARTS[1]);
    assert_eq!(body(streamed).await, "");

    let notes = upstream.notes();
    let named = Handshake { server_name: Some("localhost".to_owned()), protocol: Some(protocol.to_owned()) };
    assert!(
        !notes.handshakes.is_empty() && notes.handshakes.iter().all(|seen| *seen == named),
        "{:?}",
        notes.handshakes
    );
    let host = format!("localhost:{port}");
    assert!(notes.requests == [(host.clone(), sent), (host, Bytes::from("go"))]);

    let records = gateway.stop().await;
    assert_eq!(gateway.used(), u64::from(2 * CREDITS));
    assert_eq!(gateway.ended(), ReservationCounts { released: 0, settled: 2, interrupted: 0 });
    let answered = counted(&records).filter(|counts| counts.status_class == 2);
    let sums = answered.fold((0, 0), |sums, counts| (sums.0 + counts.requests, sums.1 + counts.credits.rounded_down()));
    assert_eq!(sums, (2, u64::from(2 * CREDITS)));
}

#[tokio::test]
async fn upstream_named_by_its_address_shows_a_certificate_for_it() {
    let authority = Authority::new();
    let upstream = Upstream::start(authority.server("127.0.0.1")).await;
    let mut gateway = Gateway::start(&format!("https://{}", upstream.address), authority.trusted());
    let answer = patiently("an answer", gateway.post("/api/echo", "hello")).await;
    assert_eq!(body(answer).await, "hello");
    // An address is no server name (RFC 6066, 3).
    assert_eq!(upstream.notes().handshakes[0].server_name, None);
    gateway.stop().await;
}

#[tokio::test]
async fn certificate_of_another_name_is_upstream_connect() {
    let authority = Authority::new();
    for (host, certified) in [("localhost", "other.test"), ("localhost", "127.0.0.1"), ("127.0.0.1", "localhost")] {
        let upstream = Upstream::start(authority.server(certified)).await;
        check_unreachable(host, &upstream, authority.trusted()).await;
    }
}

#[tokio::test]
async fn certificate_nobody_vouches_for_is_upstream_connect() {
    let authority = Authority::new();
    let upstream = Upstream::start(authority.server("localhost")).await;
    // Public roots alone, as the product has them.
    check_unreachable("localhost", &upstream, proxy::tls_config()).await;
    let stranger = Upstream::start(Authority::new().server("localhost")).await;
    check_unreachable("localhost", &stranger, authority.trusted()).await;
}

#[tokio::test]
async fn expired_certificate_is_upstream_connect() {
    let authority = Authority::new();
    let upstream = Upstream::start(authority.expired_server("localhost")).await;
    check_unreachable("localhost", &upstream, authority.trusted()).await;
}

#[tokio::test]
async fn tls_connection_is_reused() {
    const CALLS: usize = 5;
    for protocol in ["http/1.1", "h2"] {
        check_reused(protocol, CALLS).await;
    }
}

async fn check_reused(protocol: &str, calls: usize) {
    let authority = Authority::new();
    let upstream = Upstream::start(authority.server_of("localhost", protocol)).await;
    let url = format!("https://localhost:{}", upstream.address.port());
    let mut gateway = Gateway::start(&url, authority.trusted());
    for call in 0..calls {
        let text = format!("call {call}");
        let answer = patiently("an answer", gateway.post("/api/echo", text.clone())).await;
        assert_eq!(body(answer).await, text);
    }
    let notes = upstream.notes();
    assert_eq!((notes.handshakes.len(), notes.requests.len()), (1, calls), "{protocol}");
    gateway.stop().await;
}

#[tokio::test]
async fn upstream_that_speaks_no_tls_is_upstream_connect() {
    let authority = Authority::new();
    let upstream = Upstream::start_plain().await;
    check_unreachable("localhost", &upstream, authority.trusted()).await;
}

#[tokio::test]
async fn upstream_that_ends_no_handshake_is_upstream_connect() {
    let authority = Authority::new();
    let upstream = Upstream::start_silent().await;
    check_unreachable("localhost", &upstream, authority.trusted()).await;
}

#[tokio::test]
async fn origin_may_change_its_protocol() {
    let authority = Authority::new();
    let first = authority.server_of("localhost", "h2");
    let then = authority.server_of("localhost", "http/1.1");
    for (first, then, chosen) in [(first.clone(), then.clone(), ["h2", "http/1.1"]), (then, first, ["http/1.1", "h2"])]
    {
        let upstream = Upstream::start_changing(first, then).await;
        let url = format!("https://localhost:{}", upstream.address.port());
        let mut gateway = Gateway::start(&url, authority.trusted());
        for call in 0..4 {
            let text = format!("call {call}");
            let answer = patiently("an answer", gateway.post("/api/echo", text.clone())).await;
            assert_eq!(body(answer).await, text);
            if call == 1 {
                upstream.hang_up().await;
            }
        }
        let spoken: Vec<_> = upstream.notes().handshakes.into_iter().filter_map(|seen| seen.protocol).collect();
        assert_eq!(spoken, chosen);
        gateway.stop().await;
    }
}

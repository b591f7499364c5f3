//! What happens to requests while backends fail, and after they have recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use crate::gateway::{Caller, Gateway};
use crate::raw::{Conn, Raw, got};

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backend whose status a test changes.
pub(crate) struct Switched {
    pub(crate) raw: Raw,
    status: Arc<AtomicU16>,
}

impl Switched {
    pub(crate) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let shown = status.clone();
        let raw = Raw::start(move |mut conn: Conn| {
            let status = shown.clone();
            async move {
                while conn.head().await.is_some() {
                    let status = status.load(Ordering::SeqCst);
                    // The status 214 is that of gRPC: its own status is a field.
                    let (status, more) = match status {
                        214 => (200, "content-type: application/grpc\r\ngrpc-status: 14\r\n"),
                        other => (other, ""),
                    };
                    if !conn.say(format!("HTTP/1.1 {status} X\r\n{more}content-length: 0\r\n\r\n")).await {
                        break;
                    }
                }
            }
        })
        .await;
        Self { raw, status }
    }

    pub(crate) fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Returns the number of requests that arrived.
    pub(crate) fn received(&self) -> usize {
        self.raw.asked().len()
    }
}

/// Starts a gateway before these backends; `more` are keys of the upstream, and `routes` those of the route.
pub(crate) fn before(backends: &[&Switched], more: &str, route: &str) -> Gateway {
    let urls: Vec<String> =
        backends.iter().map(|backend| format!("{{url: \"http://{}\"}}", backend.raw.address)).collect();
    Gateway::plain(&format!(
        "ai: {{enabled: false}}\n\
         upstreams: [{{name: group, backends: [{}]{more}}}]\n\
         routes: [{{path: {{prefix: /}}, upstreams: group{route}}}]\n",
        urls.join(", ")
    ))
}

pub(crate) async fn get(caller: &Caller) -> Response<Incoming> {
    caller.send(Method::GET, "/", "").await
}

/// Sends requests until one has this status.
async fn until(caller: &Caller, status: u16) {
    let begin = Instant::now();
    while get(caller).await.status().as_u16() != status {
        assert!(begin.elapsed() < PATIENCE, "no response has the status {status}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn metric(gateway: &Gateway, name: &str, backend: &Switched) -> u64 {
    let text = gateway.metrics();
    let start = format!("{name}{{upstream=\"group\",backend=\"http://{}\"}} ", backend.raw.address);
    text.lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or_else(|| panic!("{start}\n{text}"))
        .parse()
        .unwrap()
}

const BREAKER: &str =
    ", circuit_breaker: {failure_threshold: 3, timeout: 300ms, half_open_requests: 1, success_threshold: 2}";

#[tokio::test]
async fn an_open_breaker_sends_nothing_and_closes_after_successes() {
    for failing in [502, 503, 504, 214] {
        let backend = Switched::start(failing).await;
        let gateway = before(&[&backend], BREAKER, "");
        let caller = gateway.caller();
        for _ in 0..3 {
            get(&caller).await;
        }
        let refused = get(&caller).await;
        let retry_after = refused.headers()["retry-after"].to_str().unwrap().to_owned();
        got(refused).await.is_refusal(503, "no_healthy_upstream");
        assert_eq!((retry_after.as_str(), backend.received()), ("1", 3), "{failing}");
        assert_eq!(metric(&gateway, "tollgate_backend_breakers_open", &backend), 1);
        backend.set(204);
        until(&caller, 204).await;
        assert_eq!(get(&caller).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(metric(&gateway, "tollgate_backend_breakers_open", &backend), 0);
        assert_eq!(metric(&gateway, "tollgate_backend_breaker_openings_total", &backend), 1);
    }
}

#[tokio::test]
async fn other_statuses_open_no_breaker() {
    for status in [500, 501, 429, 404] {
        let backend = Switched::start(status).await;
        let gateway = before(&[&backend], BREAKER, "");
        let caller = gateway.caller();
        for _ in 0..8 {
            assert_eq!(get(&caller).await.status().as_u16(), status);
        }
        assert_eq!((backend.received(), metric(&gateway, "tollgate_backend_breakers_open", &backend)), (8, 0));
    }
}

#[tokio::test]
async fn a_failed_trial_opens_the_breaker_again() {
    let backend = Switched::start(503).await;
    let gateway = before(&[&backend], BREAKER, "");
    let caller = gateway.caller();
    for _ in 0..3 {
        get(&caller).await;
    }
    let begin = Instant::now();
    while backend.received() < 6 {
        get(&caller).await;
        assert!(begin.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(900), "each trial comes after the timeout: {:?}", begin.elapsed());
    assert!(metric(&gateway, "tollgate_backend_breaker_openings_total", &backend) >= 3);
}

#[tokio::test]
async fn the_other_backends_get_the_requests_of_an_open_breaker() {
    let (bad, good) = (Switched::start(503).await, Switched::start(200).await);
    let gateway = before(&[&bad, &good], ", circuit_breaker: {failure_threshold: 2, timeout: 1h}", "");
    let caller = gateway.caller();
    let mut failed = 0;
    for _ in 0..30 {
        failed += usize::from(get(&caller).await.status() != StatusCode::OK);
    }
    assert_eq!((failed, bad.received(), good.received()), (2, 2, 28));
}

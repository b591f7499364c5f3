//! What happens to requests while backends fail, and after they have recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::{Caller, Gateway};
use crate::raw::{Conn, Raw, got};

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backend whose status a test changes.
pub(crate) struct Switched {
    pub(crate) raw: Raw,
    status: Arc<AtomicU16>,
    /// A request for `/held` gets its response with a permit of it.
    gate: Arc<Semaphore>,
}

impl Switched {
    pub(crate) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let gate = Arc::new(Semaphore::new(0));
        let shown = status.clone();
        let held = gate.clone();
        let raw = Raw::start(move |mut conn: Conn| {
            let status = shown.clone();
            let gate = held.clone();
            async move {
                while conn.head().await.is_some() {
                    if conn.last_target() == "/held" {
                        gate.acquire().await.unwrap().forget();
                    }
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
        Self { raw, status, gate }
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
    Gateway::plain(&yaml(backends, more, route))
}

pub(crate) fn yaml(backends: &[&Switched], more: &str, route: &str) -> String {
    let urls: Vec<String> =
        backends.iter().map(|backend| format!("{{url: \"http://{}\"}}", backend.raw.address)).collect();
    format!(
        "ai: {{enabled: false}}\n\
         upstreams: [{{name: group, backends: [{}]{more}}}]\n\
         routes: [{{path: {{prefix: /}}, upstreams: group{route}}}]\n",
        urls.join(", ")
    )
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
    let bad = Switched::start(503).await;
    let good = Switched::start(200).await;
    let gateway = before(&[&bad, &good], ", circuit_breaker: {failure_threshold: 2, timeout: 1h}", "");
    let caller = gateway.caller();
    let mut failed = 0;
    for _ in 0..30 {
        failed += usize::from(get(&caller).await.status() != StatusCode::OK);
    }
    assert_eq!((failed, bad.received(), good.received()), (2, 2, 28));
}

/// Sends this number of requests, and returns how many each backend received meanwhile.
pub(crate) async fn received(gateway: &Gateway, requests: usize, backends: &[&Switched]) -> Vec<usize> {
    let before: Vec<usize> = backends.iter().map(|backend| backend.received()).collect();
    let caller = gateway.caller();
    for _ in 0..requests {
        get(&caller).await;
    }
    backends.iter().zip(before).map(|(backend, before)| backend.received() - before).collect()
}

#[tokio::test]
async fn a_backend_that_fails_is_ejected_and_comes_back_slowly() {
    let bad = Switched::start(503).await;
    let good = Switched::start(200).await;
    let more = ", ejection: {failures: 3, time: 400ms, max: 50%}, slow_start: 2s";
    let gateway = before(&[&bad, &good], more, "");
    let caller = gateway.caller();
    let begin = Instant::now();
    get(&caller).await;
    while metric(&gateway, "tollgate_backend_ejections_total", &bad) == 0 {
        get(&caller).await;
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!((bad.received(), metric(&gateway, "tollgate_backend_ejected", &bad)), (3, 1));
    bad.set(200);
    while metric(&gateway, "tollgate_backend_ejected", &bad) == 1 {
        sleep(Duration::from_millis(10)).await;
        assert!(begin.elapsed() < PATIENCE);
    }
    // A tenth of its half, and a little more while it grows; half without the slow start.
    let shares = received(&gateway, 100, &[&bad, &good]).await;
    assert!(shares[0] < 40 && shares[1] > 60, "{shares:?}");
    while received(&gateway, 20, &[&bad, &good]).await != [10, 10] {
        assert!(begin.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_last_backend_is_never_ejected() {
    let backends = [Switched::start(503).await, Switched::start(503).await];
    let gateway = before(&[&backends[0], &backends[1]], ", ejection: {failures: 2, time: 1h, max: 100%}", "");
    let caller = gateway.caller();
    for _ in 0..20 {
        assert_eq!(get(&caller).await.status().as_u16(), 503);
    }
    let ejected: u64 = backends.iter().map(|backend| metric(&gateway, "tollgate_backend_ejected", backend)).sum();
    let received: usize = backends.iter().map(Switched::received).sum();
    assert_eq!((ejected, received), (1, 20), "each request reaches a backend");
}

#[tokio::test]
async fn a_value_of_the_request_determines_its_backend() {
    let backends = [Switched::start(200).await, Switched::start(200).await, Switched::start(200).await];
    let all: Vec<&Switched> = backends.iter().collect();
    for (hash, field, value) in [
        ("strategy: hash, hash: {header: X-User}", "x-user", "ada-"),
        ("strategy: hash, hash: {cookie: session}", "cookie", "a=b; session="),
        ("strategy: hash, hash: {query: id}", "", "/?id="),
    ] {
        let gateway = before(&all, &format!(", {hash}"), "");
        let caller = gateway.caller();
        let mut used = 0;
        // That a backend gets no value has a probability below 1 in 10^9; the ports differ from run to run.
        for nth in 0..60 {
            let before: Vec<usize> = all.iter().map(|backend| backend.received()).collect();
            for _ in 0..3 {
                let target = if field.is_empty() { format!("{value}{nth}") } else { "/".to_owned() };
                let request = Request::builder().method(Method::GET).uri(target);
                let request = if field.is_empty() { request } else { request.header(field, format!("{value}{nth}")) };
                assert_eq!(caller.send_request(request, Full::default()).await.status(), StatusCode::OK);
            }
            let more: Vec<usize> =
                all.iter().zip(before).map(|(backend, before)| backend.received() - before).collect();
            assert_eq!(more.iter().max(), Some(&3), "{hash}: {more:?}");
            used |= 1 << more.iter().position(|more| *more == 3).unwrap();
        }
        assert_eq!(used, 0b111, "{hash}: each backend gets some values");
        assert_eq!(received(&gateway, 6, &all).await, [2, 2, 2], "without a value they take turns");
    }
}

#[tokio::test]
async fn a_route_has_its_own_strategy_and_an_address_its_own_backend() {
    let backends = [Switched::start(200).await, Switched::start(200).await];
    let all: Vec<&Switched> = backends.iter().collect();
    let gateway = before(&all, "", ", strategy: ip_hash");
    let shares = received(&gateway, 10, &all).await;
    assert!(shares == [10, 0] || shares == [0, 10], "{shares:?}");
    let gateway = before(&all, ", strategy: ip_hash", ", strategy: weighted_round_robin");
    assert_eq!(received(&gateway, 10, &all).await, [5, 5]);
    for strategy in ["least_connections", "ewma", "random"] {
        let gateway = before(&all, &format!(", strategy: {strategy}"), "");
        assert_eq!(received(&gateway, 40, &all).await.iter().sum::<usize>(), 40, "{strategy}");
    }
}

#[tokio::test]
async fn a_backend_with_weight_0_gets_no_request() {
    let drained = Switched::start(200).await;
    let other = Switched::start(200).await;
    let gateway = Gateway::plain(&format!(
        "ai: {{enabled: false}}\nroutes: [{{path: {{prefix: /}}, upstreams: u}}]\n\
         upstreams: [{{name: u, backends: [{{url: \"http://{}\", weight: 0}}, {{url: \"http://{}\"}}]}}]\n",
        drained.raw.address, other.raw.address
    ));
    assert_eq!(received(&gateway, 5, &[&drained, &other]).await, [0, 5]);
}

/// A backend that answers after a while.
async fn slow(wait: Duration) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while conn.head().await.is_some() {
            sleep(wait).await;
            if !conn.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await {
                break;
            }
        }
    })
    .await
}

#[tokio::test]
async fn loads_and_latencies_lead_to_the_faster_backend() {
    for strategy in ["least_connections", "ewma"] {
        let fast = slow(Duration::ZERO).await;
        let slow = slow(Duration::from_millis(300)).await;
        let gateway = Gateway::plain(&format!(
            "ai: {{enabled: false}}\nroutes: [{{path: {{prefix: /}}, upstreams: u}}]\n\
             upstreams: [{{name: u, strategy: {strategy}, backends: [{{url: \"http://{}\"}}, {{url: \"http://{}\"}}]}}]\n",
            slow.address, fast.address
        ));
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let caller = gateway.caller();
            tasks.spawn(async move {
                for _ in 0..25 {
                    get(&caller).await;
                }
            });
        }
        tasks.join_all().await;
        let slow = slow.asked().len();
        let fast = fast.asked().len();
        assert!(slow + fast == 100 && slow <= 20, "{strategy}: {slow} and {fast}");
    }
}

#[tokio::test]
async fn a_scrape_stops_no_request() {
    let backend = Switched::start(200).await;
    let gateway = before(&[&backend], "", ", auth: {type: none}");
    let (end, scrape) = gateway.begin_scrape();
    for _ in 0..3 {
        assert_eq!(get(&gateway.caller()).await.status(), StatusCode::OK);
    }
    assert!(!scrape.is_finished());
    drop(end);
    assert!(scrape.join().unwrap().ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_removed_backend_vanishes_from_the_metrics_without_another_request() {
    let first = Switched::start(200).await;
    let second = Switched::start(200).await;
    let gateway = before(&[&first, &second], "", ", auth: {type: none}");
    for _ in 0..2 {
        assert_eq!(get(&gateway.caller()).await.status(), StatusCode::OK);
    }
    let series_of = |backend: &Switched| gateway.metrics().matches(&format!("{}\"", backend.raw.address)).count();
    assert!(series_of(&first) > 20 && series_of(&first) == series_of(&second), "{}", gateway.metrics());
    gateway.reload(&yaml(&[&first], "", ", auth: {type: none}"));
    assert_eq!(series_of(&second), 0, "{}", gateway.metrics());
    gateway.reload(&yaml(&[&first, &second], "", ", auth: {type: none}"));
    assert_eq!(metric(&gateway, "tollgate_backend_requests_total", &second), 1, "the worker kept its state");
}

#[tokio::test]
async fn a_response_after_its_timeout_reaches_no_other_request() {
    let backend = Switched::start(200).await;
    let held = "routes: [{path: /held, upstreams: group, timeouts: {first_byte: 300ms}}, ";
    let gateway = Gateway::plain(&yaml(&[&backend], "", "").replace("routes: [", held));
    let caller = gateway.caller();
    for _ in 0..3 {
        backend.set(201);
        got(caller.send(Method::GET, "/held", "").await).await.is_refusal(504, "upstream_timeout");
        backend.gate.add_permits(1);
        backend.set(202);
        assert_eq!(get(&caller).await.status(), StatusCode::ACCEPTED);
    }
    let series = format!(
        "tollgate_backend_failures_total{{upstream=\"group\",backend=\"http://{}\",cause=\"timeout\"}} 3",
        backend.raw.address
    );
    assert!(gateway.metrics().contains(&series), "{}", gateway.metrics());
}

#[tokio::test]
async fn a_response_to_a_streamed_body_is_due_within_first_byte() {
    let backend = Switched::start(200).await;
    let gateway = before(&[&backend], "", ", timeouts: {first_byte: 300ms}");
    // Without it, the time for the body would apply, which is a minute.
    let caller = gateway.caller();
    let response = timeout(PATIENCE, caller.send(Method::POST, "/held", "body"));
    got(response.await.expect("a response in time")).await.is_refusal(504, "upstream_timeout");
}

#[tokio::test]
async fn clocks_that_jump_change_no_breaker() {
    const A_DAY: Duration = Duration::from_hours(24);
    let backend = Switched::start(503).await;
    let gateway = before(&[&backend], ", circuit_breaker: {failure_threshold: 3, timeout: 1h}", "");
    let caller = gateway.caller();
    for _ in 0..3 {
        get(&caller).await;
    }
    let now = gateway.clock().now();
    for time in [now.after(A_DAY), now.before(A_DAY), now] {
        gateway.clock().jump(time);
        let refused = get(&caller).await;
        let retry_after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3_590..=3_600).contains(&retry_after), "{retry_after}");
        got(refused).await.is_refusal(503, "no_healthy_upstream");
    }
    assert_eq!(backend.received(), 3);
    let gateway = before(&[&backend], BREAKER, "");
    let caller = gateway.caller();
    for _ in 0..3 {
        get(&caller).await;
    }
    gateway.clock().jump(now.before(A_DAY));
    backend.set(204);
    until(&caller, 204).await;
}

/// A breaker that is half-open, and whose only trial is in flight while the configuration changes.
#[tokio::test]
async fn a_reload_during_a_trial_keeps_the_breaker_and_returns_its_permit() {
    // With the timeout of `BREAKER`, a slow test would see the next trial.
    let longer = BREAKER.replace("300ms", "1h");
    let longer = longer.as_str();
    let without = "";
    for (between, succeeds) in [(longer, true), (longer, false), (without, true), (without, false)] {
        let backend = Switched::start(503).await;
        let gateway = before(&[&backend], BREAKER, "");
        let caller = gateway.caller();
        for _ in 0..3 {
            get(&caller).await;
        }
        let mut trial = JoinSet::new();
        let begin = Instant::now();
        while backend.received() == 3 {
            let caller = gateway.caller();
            trial.spawn(async move { caller.send(Method::GET, "/held", "").await.status() });
            sleep(Duration::from_millis(20)).await;
            assert!(begin.elapsed() < PATIENCE);
        }
        gateway.reload(&yaml(&[&backend], between, ""));
        let during = get(&caller).await.status();
        // Without a breaker, the backend itself responds.
        let expected = if between.is_empty() { 5 } else { 4 };
        assert_eq!((during, backend.received()), (StatusCode::SERVICE_UNAVAILABLE, expected), "{between}");
        backend.set(if succeeds { 204 } else { 503 });
        backend.gate.add_permits(1);
        while trial.join_next().await.is_some() {}
        gateway.reload(&yaml(&[&backend], BREAKER, ""));
        backend.set(204);
        until(&caller, 204).await;
        until(&caller, 204).await;
        assert_eq!(metric(&gateway, "tollgate_backend_breakers_open", &backend), 0, "{between} {succeeds}");
        // A client may have its response before the request has ended.
        let begin = Instant::now();
        while metric(&gateway, "tollgate_backend_requests_in_flight", &backend) > 0 {
            assert!(begin.elapsed() < PATIENCE, "{between} {succeeds}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_reload_without_a_breaker_closes_an_open_one() {
    let backend = Switched::start(503).await;
    let gateway = before(&[&backend], ", circuit_breaker: {failure_threshold: 1, timeout: 1h}", "");
    let caller = gateway.caller();
    get(&caller).await;
    got(get(&caller).await).await.is_refusal(503, "no_healthy_upstream");
    assert_eq!(metric(&gateway, "tollgate_backend_breakers_open", &backend), 1);
    gateway.reload(&yaml(&[&backend], "", ""));
    assert_eq!(metric(&gateway, "tollgate_backend_breakers_open", &backend), 0);
    backend.set(204);
    assert_eq!(get(&caller).await.status(), StatusCode::NO_CONTENT);
}

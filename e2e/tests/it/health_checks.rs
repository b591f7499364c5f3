//! Health checks: requests avoid a backend that hangs or fails its checks, until it has recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use e2e::{Call, Gateway, Setup, Turn, Upstream, eventually};

const UP: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
/// Every second check fails.
const FLAPS: u8 = 3;

/// A backend whose checks have the result that a test sets; it always answers requests of clients.
struct Checked {
    upstream: Upstream,
    state: Arc<AtomicU8>,
}

impl Checked {
    async fn start() -> Self {
        let state = Arc::new(AtomicU8::new(UP));
        let shown = state.clone();
        let checks = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::start(move |mut turn: Turn| {
            let is_check = turn.head.first.starts_with("GET /health ");
            let nth = checks.fetch_add(usize::from(is_check), Ordering::SeqCst);
            let state = match shown.load(Ordering::SeqCst) {
                FLAPS if nth % 2 == 1 => FAILS,
                state => state,
            };
            async move {
                match state {
                    HANGS if is_check => std::future::pending().await,
                    FAILS if is_check => turn.answer("500 X", b"").await,
                    _ => turn.answer("200 OK", b"").await,
                };
                Some(turn)
            }
        })
        .await;
        Self { upstream, state }
    }

    /// Returns the number of checks that have begun.
    fn checks(&self) -> usize {
        self.upstream.seen().iter().filter(|request| request.head.first.starts_with("GET /health ")).count()
    }

    /// Returns the number of requests of clients.
    fn served(&self) -> usize {
        self.upstream.seen().iter().filter(|request| request.head.first.starts_with("GET /x ")).count()
    }
}

async fn start(backends: &[&Checked]) -> Gateway {
    start_with(backends, "path: /health, timeout: 1s").await
}

/// Starts a gateway that checks the backends in this way.
async fn start_with(backends: &[&Checked], probe: &str) -> Gateway {
    let urls: Vec<String> =
        backends.iter().map(|backend| format!("{{url: \"http://{}\"}}", backend.upstream.address())).collect();
    let check = format!("health_check: {{{probe}, interval: 150ms, unhealthy_threshold: 2}}, slow_start: 0s");
    let upstream = format!("[{{name: pair, backends: [{}], {check}}}]", urls.join(", "));
    let setup = Setup::new()
        .section("upstreams", &upstream)
        .section("routes", "[{path: /x, upstreams: pair, auth: {type: none}}]");
    Gateway::start(setup).await
}

/// Waits until the metric says whether a backend is unhealthy.
async fn waits(gateway: &Gateway, backend: &Checked, unhealthy: u8) {
    let address = backend.upstream.address();
    let line = format!("tollgate_backend_unhealthy{{upstream=\"pair\",backend=\"http://{address}\"}} {unhealthy}");
    eventually(&line, async || gateway.metrics().await.lines().any(|shown| shown == line).then_some(())).await;
}

async fn send(gateway: &Gateway, count: usize) {
    for _ in 0..count {
        gateway.call(Call::get("/x")).await.expect(200);
    }
}

#[tokio::test]
async fn a_backend_that_fails_its_checks_gets_no_requests_until_it_has_recovered() {
    let changing = Checked::start().await;
    let steady = Checked::start().await;
    let gateway = start(&[&changing, &steady]).await;
    send(&gateway, 10).await;
    for state in [FAILS, HANGS] {
        waits(&gateway, &changing, 0).await;
        changing.state.store(state, Ordering::SeqCst);
        waits(&gateway, &changing, 1).await;
        let before = (changing.served(), steady.served());
        send(&gateway, 10).await;
        assert_eq!((changing.served() - before.0, steady.served() - before.1), (0, 10));
        changing.state.store(UP, Ordering::SeqCst);
        waits(&gateway, &changing, 0).await;
        let before = changing.served();
        send(&gateway, 10).await;
        assert!(changing.served() > before, "it has its share again");
    }
    gateway.logs("a backend is unhealthy").await;
    gateway.logs("a backend is healthy again").await;
}

#[tokio::test]
async fn a_backend_whose_checks_flap_keeps_its_state_and_fills_no_log() {
    let flapping = Checked::start().await;
    let steady = Checked::start().await;
    let gateway = start(&[&flapping, &steady]).await;
    waits(&gateway, &flapping, 0).await;
    flapping.state.store(FLAPS, Ordering::SeqCst);
    let begun = flapping.checks();
    eventually("the checks flap", async || (flapping.checks() >= begun + 12).then_some(())).await;
    let before = (flapping.served(), steady.served());
    send(&gateway, 10).await;
    assert_eq!((flapping.served() - before.0, steady.served() - before.1), (5, 5));
    let log = gateway.stderr();
    let lines = log.lines().filter(|line| line.contains("a backend is")).count();
    assert_eq!(lines, 0, "{log}");
}

#[tokio::test]
async fn a_backend_is_in_use_before_the_end_of_its_first_check() {
    let hanging = Checked::start().await;
    let steady = Checked::start().await;
    hanging.state.store(HANGS, Ordering::SeqCst);
    let gateway = start_with(&[&hanging, &steady], "path: /health, timeout: 1m").await;
    eventually("the first check begins", async || (hanging.checks() > 0).then_some(())).await;
    send(&gateway, 10).await;
    assert_eq!((hanging.served(), steady.served()), (5, 5));
    assert_eq!(hanging.checks(), 1, "it has not ended");
}

#[tokio::test]
async fn if_no_backend_is_healthy_all_get_requests() {
    let one = Checked::start().await;
    let other = Checked::start().await;
    let gateway = start(&[&one, &other]).await;
    send(&gateway, 2).await;
    for backend in [&one, &other] {
        backend.state.store(FAILS, Ordering::SeqCst);
        waits(&gateway, backend, 1).await;
    }
    let before = [one.served(), other.served()];
    send(&gateway, 10).await;
    assert!(one.served() > before[0] && other.served() > before[1]);
}

#[tokio::test]
async fn with_panic_off_requests_are_refused_while_every_check_fails() {
    let one = Checked::start().await;
    let other = Checked::start().await;
    for backends in [&[&one, &other][..], &[&one]] {
        let gateway = start_with(backends, "path: /health, timeout: 1s, panic: off").await;
        send(&gateway, 2).await;
        for backend in backends {
            backend.state.store(FAILS, Ordering::SeqCst);
            waits(&gateway, backend, 1).await;
        }
        let before = (one.served(), other.served());
        for _ in 0..4 {
            let refused = gateway.call(Call::get("/x")).await.expect(503);
            assert_eq!(refused.json()["error"]["code"], "no_healthy_upstream");
        }
        assert_eq!((one.served(), other.served()), before, "no backend received a request");
        one.state.store(UP, Ordering::SeqCst);
        waits(&gateway, &one, 0).await;
        send(&gateway, 2).await;
        other.state.store(UP, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_script_decides_whether_a_backend_gets_requests() {
    let folder = tempfile::tempdir().unwrap();
    let changing = Checked::start().await;
    let steady = Checked::start().await;
    // The file of a backend, by its port, says that it is down.
    let file = |backend: &Checked| folder.path().join(backend.upstream.address().port().to_string());
    let script = folder.path().join("check.sh");
    std::fs::write(&script, "#!/bin/sh\nif [ -e \"$1/$BACKEND_PORT\" ]; then echo it is down; exit 1; fi\n").unwrap();
    let probe = format!("script: [/bin/sh, {}, {}]", script.display(), folder.path().display());
    let gateway = start_with(&[&changing, &steady], &probe).await;
    std::fs::write(file(&changing), "").unwrap();
    waits(&gateway, &changing, 1).await;
    let before = (changing.served(), steady.served());
    send(&gateway, 10).await;
    assert_eq!((changing.served() - before.0, steady.served() - before.1), (0, 10));
    assert!(gateway.stderr().contains("it is down"), "the log has the cause: {}", gateway.stderr());
    std::fs::remove_file(file(&changing)).unwrap();
    waits(&gateway, &changing, 0).await;
}

//! Events of backends and requests in the log: each once, with its stable name, the backend, the cause and durations.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use e2e::{Call, Gateway, Setup, Turn, Upstream, eventually};
use serde_json::Value;

/// The duration of ejections, and of the open state of breakers.
const OUT_MS: u64 = 200;

/// A backend that responds with the status that a test sets, to checks too.
struct Switched {
    upstream: Upstream,
    status: Arc<AtomicU16>,
}

impl Switched {
    async fn start() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let shown = status.clone();
        let upstream = Upstream::start(move |mut turn: Turn| {
            let status = shown.load(Ordering::SeqCst);
            async move {
                turn.answer(&format!("{status} X"), b"").await;
                Some(turn)
            }
        })
        .await;
        Self { upstream, status }
    }

    fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        format!("http://{}", self.upstream.address())
    }
}

/// Returns the lines of the log with one of these events, and the value of `field`.
fn lines(gateway: &Gateway, event: &str, field: &str, value: &str) -> Vec<Value> {
    let log = gateway.stderr();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == event && line[field] == value).collect()
}

/// Waits for the event of a backend, and returns its line.
async fn event_of(gateway: &Gateway, event: &str, backend: &str) -> Value {
    eventually(event, async || {
        // A scrape reads the state of all backends: an ejection may have ended.
        gateway.metrics().await;
        lines(gateway, event, "backend", backend).pop()
    })
    .await
}

/// Asserts that an event of a backend is in the log once.
fn once(gateway: &Gateway, event: &str, backend: &str) {
    assert_eq!(lines(gateway, event, "backend", backend).len(), 1, "{event} {}", gateway.stderr());
}

/// Returns a setup with one upstream for each kind of change.
fn setup([checked, ejected, other, broken]: [&Switched; 4], unused: SocketAddr) -> Setup {
    let upstreams = [
        format!(
            "{{name: checked, backends: [{{url: \"{}\"}}], health_check: {{path: /h, interval: 100ms, \
             unhealthy_threshold: 1, healthy_threshold: 1}}}}",
            checked.url()
        ),
        format!(
            "{{name: ejecting, backends: [{{url: \"{}\"}}, {{url: \"{}\"}}], ejection: {{failures: 1, \
             time: {OUT_MS}ms, max: 50%}}}}",
            ejected.url(),
            other.url()
        ),
        format!(
            "{{name: broken, backends: [{{url: \"{}\"}}], circuit_breaker: {{failure_threshold: 1, \
             timeout: {OUT_MS}ms, success_threshold: 1}}}}",
            broken.url()
        ),
        format!("{{name: gone, backends: [{{url: \"http://{unused}\"}}]}}"),
    ];
    let route = |name: &str| format!("{{path: /{name}, upstreams: {name}, auth: {{type: none}}}}");
    Setup::new()
        .section("upstreams", &format!("[{}]", upstreams.join(", ")))
        .section("routes", &format!("[{}]", ["checked", "ejecting", "broken", "gone"].map(route).join(", ")))
}

#[tokio::test]
async fn each_change_of_a_backend_is_one_event_with_its_cause_and_durations() {
    let checked = Switched::start().await;
    let ejected = Switched::start().await;
    let other = Switched::start().await;
    let broken = Switched::start().await;
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(setup([&checked, &ejected, &other, &broken], unused)).await;

    checked.set(500);
    let line = event_of(&gateway, "backend_unhealthy", &checked.url()).await;
    assert_eq!((&line["upstream"], &line["cause"]), (&"checked".into(), &"the status is 500".into()));
    assert!(line["healthy_ms"].is_u64(), "{line}");
    checked.set(200);
    let line = event_of(&gateway, "backend_healthy", &checked.url()).await;
    assert!(line["unhealthy_ms"].as_u64().unwrap() >= 50, "at least one pause between checks: {line}");

    ejected.set(503);
    eventually("a response of the failing backend", async || {
        (gateway.call(Call::get("/ejecting")).await.status() == 503).then_some(())
    })
    .await;
    ejected.set(200);
    let line = event_of(&gateway, "backend_ejected", &ejected.url()).await;
    assert_eq!((&line["cause"], &line["ejected_ms"]), (&"status".into(), &OUT_MS.into()));
    let line = event_of(&gateway, "backend_returned", &ejected.url()).await;
    assert_eq!(line["ejected_ms"], OUT_MS);

    broken.set(504);
    gateway.call(Call::get("/broken")).await.expect(504);
    broken.set(200);
    let line = event_of(&gateway, "breaker_opened", &broken.url()).await;
    assert_eq!((&line["cause"], &line["open_ms"]), (&"status".into(), &OUT_MS.into()));
    eventually("the breaker closes", async || (gateway.call(Call::get("/broken")).await.status() == 200).then_some(()))
        .await;
    let line = event_of(&gateway, "breaker_closed", &broken.url()).await;
    assert!(line["open_ms"].as_u64().unwrap() >= OUT_MS, "{line}");

    for _ in 0..3 {
        gateway.call(Call::get("/gone")).await.expect(502);
    }
    let line = event_of(&gateway, "backend_unreachable", &format!("http://{unused}")).await;
    assert!(line["cause"].is_string(), "{line}");

    once(&gateway, "backend_unreachable", &format!("http://{unused}"));
    for (backend, events) in [
        (&checked, ["backend_unhealthy", "backend_healthy"]),
        (&ejected, ["backend_ejected", "backend_returned"]),
        (&broken, ["breaker_opened", "breaker_closed"]),
    ] {
        for event in events {
            once(&gateway, event, &backend.url());
        }
    }
}

#[tokio::test]
async fn each_request_has_one_event_at_its_begin_and_one_at_its_end() {
    let upstream = Upstream::start(|mut turn: Turn| async move {
        if turn.head.word(1) == "/cut" {
            turn.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
            return None;
        }
        turn.answer("200 OK", b"").await;
        Some(turn)
    })
    .await;
    let routes = "{path: /whole, upstreams: backend, auth: {type: none}}, \
                  {path: /cut, upstreams: backend, auth: {type: none}}, {path: /keyed, upstreams: backend}, \
                  {path: /limited, upstreams: backend, auth: {type: none}, \
                   rate_limits: [{dimension: ip, limit: 1, window: 1d}]}";
    let setup = Setup::routed(upstream.address(), routes)
        .section("log", "{level: debug}")
        .section("rate_limits", "[]")
        .limited();
    let gateway = Gateway::start(setup).await;
    gateway.call(Call::get("/limited")).await.expect(200);
    for (path, status, event) in [
        ("/whole", 200, "request_ends"),
        ("/cut", 200, "upstream_failed"),
        ("/keyed", 401, "authentication_failed"),
        ("/limited", 429, "limit_refused"),
    ] {
        let id = gateway.call(Call::get(path)).await.expect(status).header("x-request-id").unwrap().to_owned();
        eventually(event, async || lines(&gateway, event, "request_id", &id).pop()).await;
        let log = gateway.stderr();
        let of_request = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let events: Vec<String> = of_request
            .filter(|line| line["request_id"] == *id)
            .filter_map(|line| line["event"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(events, ["request_begins", event], "{path}");
    }
}

#[tokio::test]
async fn the_line_of_a_request_has_its_backend_its_attempts_and_its_bytes() {
    let good = Switched::start().await;
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("{{url: \"http://{unused}\"}}");
    let good_url = good.url();
    let upstreams = format!(
        "[{{name: pair, backends: [{dead}, {{url: \"{good_url}\"}}], retry: {{on: [connect], backoff: 0s}}}}, \
         {{name: gone, backends: [{dead}]}}]"
    );
    let open = "auth: {type: none}";
    let routes = format!("[{{path: /pair, upstreams: pair, {open}}}, {{path: /gone, upstreams: gone, {open}}}]");
    let gateway = Gateway::start(Setup::new().section("upstreams", &upstreams).section("routes", &routes)).await;
    let line = async |call: Call, status: u16, event: &str| {
        let id = gateway.call(call).await.expect(status).header("x-request-id").unwrap().to_owned();
        eventually(event, async || lines(&gateway, event, "request_id", &id).pop()).await
    };
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let line = line(Call::post("/pair", "12345"), 200, "request_ends").await;
        assert_eq!((&line["backend"], &line["request_bytes"]), (&good_url.as_str().into(), &5.into()), "{line}");
        assert_eq!((&line["upstream"], &line["outcome"]), (&"pair".into(), &"completed".into()));
        attempts.push(line["attempts"].as_u64().unwrap());
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2], "one of two requests begins at the dead backend");
    let line = line(Call::get("/gone"), 502, "upstream_failed").await;
    assert_eq!((&line["status"], &line["outcome"]), (&502.into(), &"failed".into()), "{line}");
    assert_eq!((&line["code"], &line["attempts"]), (&"upstream_connect".into(), &1.into()), "{line}");
}

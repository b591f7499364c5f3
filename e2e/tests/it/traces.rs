//! Traces: the spans that a receiver of OTLP gets, and receivers that fail.

mod receiver;
mod rotel;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::upstream::ReservedPort;
use e2e::{Answer, Call, Gateway, Mock, Setup, Upstream, eventually, setup};
use serde_json::json;
use tokio::time::Instant;

use crate::bodies::{CHAT, Format};
use receiver::{ShownSpan, accepting, all, resource, spans_of};
use rotel::Rotel;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traced(to: SocketAddr, more: &str) -> String {
    format!("{{otlp: \"http://{to}\"{more}}}")
}

/// Returns the id of the trace that a request has begun: its own id.
fn trace_of(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap().replace('-', "")
}

fn named<'a>(spans: &'a [ShownSpan], name: &str) -> &'a ShownSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [span] = found[..] else { panic!("not one span {name}: {spans:#?}") };
    span
}

/// Checks the attributes of the span of a `GET /users/7`.
fn assert_server_attributes(server: &ShownSpan) {
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/users/7"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.0.0.1"),
        ("http.route", "/users"),
        ("tollgate.route", "users"),
    ] {
        assert_eq!(server.attributes.get(key).map(String::as_str), Some(value), "{key}: {server:#?}");
    }
}

#[tokio::test]
async fn a_request_with_two_attempts_has_two_client_spans_whose_ids_backends_receive() {
    let receiver = accepting().await;
    let backend = Upstream::start(|mut turn| async move {
        let head = if turn.connection + turn.number == 0 { "503 Later" } else { "200 OK" };
        turn.answer(head, b"x").await;
        Some(turn)
    })
    .await;
    let upstreams = format!(
        "[{{name: backend, retry: {{attempts: 1, on: [503]}}, backends: [{{url: \"http://{}\"}}]}}]",
        backend.address()
    );
    let setup = Setup::new()
        .section("upstreams", &upstreams)
        .section("routes", "[{name: users, path: {prefix: /users}, auth: none, upstreams: backend}]")
        .section("traces", &traced(receiver.address(), ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    let call = Call::get("/users/7?token=a-secret-query")
        .header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=1")
        .header("authorization", "Bearer a-secret-credential")
        .header("cookie", "a-secret-cookie");
    gateway.call(call).await.expect(200);
    let spans = spans_of(&receiver, TRACE).await;
    let server = named(&spans, "GET /users");
    assert_eq!((server.kind, &*server.parent, &*server.state, server.is_error), (2, PARENT, "vendor=1", false));
    assert_server_attributes(server);
    let attempts: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
    let [failed, answered] = attempts[..] else { panic!("not two attempts: {spans:#?}") };
    assert!(spans.iter().skip(1).all(|span| span.parent == server.id && span.start >= server.start));
    assert!(spans.iter().all(|span| span.end >= span.start && span.end <= server.end), "{spans:#?}");
    assert_eq!((&*failed.attributes["error.type"], failed.is_error), ("503", true));
    assert_eq!(answered.attributes["url.full"], format!("http://{}/users/7", backend.address()));
    assert_eq!(failed.attributes["server.port"], backend.address().port().to_string());
    assert_eq!((&*answered.attributes["http.response.status_code"], answered.is_error), ("200", false));
    assert_eq!(answered.attributes["http.request.resend_count"], "1");
    let received: Vec<_> = backend.seen().into_iter().map(|seen| seen.head).collect();
    for (head, span) in received.iter().zip([failed, answered]) {
        assert_eq!(head.all("traceparent"), [format!("00-{TRACE}-{}-01", span.id)]);
        assert_eq!(head.all("tracestate"), ["vendor=1"]);
    }
    assert_eq!(received.len(), 2);
    assert!(failed.id != answered.id && ![&failed.id, &answered.id].contains(&&server.id));
    let of_process = resource(&receiver);
    assert!(of_process.contains_key("service.instance.id") && of_process["service.name"] == "tollgate");
    let received: Vec<u8> = receiver.seen().into_iter().flat_map(|request| request.body).collect();
    assert!(!String::from_utf8_lossy(&received).contains("a-secret"), "spans have no query, credential or cookie");
    gateway.logs(&format!("\"trace_id\":\"{TRACE}\"")).await;
    eventually("the export is counted", async || {
        gateway.metrics().await.lines().any(|line| line == "tollgate_traces_exported_total 1").then_some(())
    })
    .await;
    let exemplar = format!(" # {{trace_id=\"{TRACE}\"}} ");
    let metrics = async |accept| gateway.ask(Call::get("/metrics").header("accept", accept)).await.expect(200).text();
    let with = metrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    let lines: Vec<&str> = with.lines().filter(|line| line.contains(&exemplar)).collect();
    let [line] = lines[..] else { panic!("not one exemplar: {with}") };
    assert!(
        line.starts_with("tollgate_request_duration_seconds_bucket{le=") && line.contains("route=\"users\"}"),
        "{line}"
    );
    assert!(!metrics("*/*").await.contains(&exemplar));
}

#[tokio::test]
async fn each_change_of_a_route_is_a_span_before_or_after_the_attempt() {
    let receiver = accepting().await;
    let backend = Upstream::answering("200 OK\r\ncontent-type: application/json", "{\"internal\": 1}").await;
    let changed = "{request: {body: {set: {/via: gw}}}, response: {body: {remove: [/internal]}}}";
    let route = |path: &str, more: &str| format!("{{path: {path}, upstreams: backend, auth: {{type: none}}{more}}}");
    let routes = [
        route("/plain", ""),
        route("/head", ", transformations: {request: {add_headers: {X-Env: a}}}"),
        route("/body", &format!(", transformations: {changed}")),
    ];
    let setup = Setup::routed(backend.address(), &routes.join(", "))
        .section("traces", &traced(receiver.address(), ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    for (path, expected) in [("/plain", [0, 0]), ("/head", [1, 0]), ("/body", [1, 1])] {
        let answer = gateway.call(Call::json(path, &json!({"a": 1}))).await.expect(200);
        let spans = spans_of(&receiver, &trace_of(&answer)).await;
        let server = spans.iter().find(|span| span.kind == 2).unwrap();
        let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
        let changes: Vec<_> = spans.iter().filter(|span| span.name == "transform").collect();
        assert!(changes.iter().all(|span| span.parent == server.id && span.start >= server.start), "{spans:#?}");
        let before = changes.iter().filter(|span| span.end <= attempt.end && span.start <= attempt.start).count();
        assert_eq!([before, changes.len() - before], expected, "{path}: {spans:#?}");
        assert!(changes.iter().all(|span| span.start <= span.end && span.end <= server.end), "{spans:#?}");
    }
}

#[tokio::test]
async fn a_call_with_a_fallback_has_a_span_of_genai_for_each_target() {
    let receiver = accepting().await;
    let first = Mock::start().await;
    let second = Mock::start().await;
    let providers =
        [setup::provider("openai", "openai", first.address()), setup::provider("backup", "mock", second.address())];
    let models = "[{name: fast, targets: [{provider: openai, model: \"500\"}, {provider: backup, model: tokens-3}]}]";
    let setup = Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", models)
        .section("traces", &traced(receiver.address(), ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let mut body = Format::Chat.body("fast", true);
    body["messages"] = json!([{"role": "user", "content": "a-secret-prompt"}]);
    let answer = gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
    let spans = spans_of(&receiver, &trace_of(&answer)).await;
    let failed = named(&spans, "chat 500");
    let served = named(&spans, "chat tokens-3");
    assert_eq!((&*failed.attributes["error.type"], failed.is_error, served.is_error), ("500", true, false));
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "mock"),
        ("gen_ai.request.model", "tokens-3"),
        ("tollgate.model", "fast"),
        ("tollgate.upstream", "backup"),
        ("gen_ai.usage.output_tokens", "3"),
    ] {
        assert_eq!(served.attributes.get(key).map(String::as_str), Some(value), "{key}: {served:#?}");
    }
    let id = answer.text().lines().find_map(|line| {
        let chunk: serde_json::Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
        chunk["id"].as_str().map(str::to_owned)
    });
    assert_eq!(served.attributes.get("gen_ai.response.id"), id.as_ref(), "{served:#?}");
    let bits = served.attributes["gen_ai.response.time_to_first_chunk"].parse().unwrap();
    let first = f64::from_bits(bits);
    assert!(first > 0.0 && first < 60.0, "{first} s");
    assert_eq!(named(&spans, "POST /v1/chat/completions").attributes["http.route"], "/v1/chat/completions");
    named(&spans, "authenticate");
    assert!(spans.iter().any(|span| span.name == "limit"), "{spans:#?}");
    let received: Vec<u8> = receiver.seen().into_iter().flat_map(|request| request.body).collect();
    let received = String::from_utf8_lossy(&received);
    assert!(!received.contains("a-secret") && !received.contains(&key), "spans have no prompt and no key");
}

/// The times are those of the attempts themselves. The shortest of several is measured: others contain what the machine does
/// beside the test.
#[tokio::test]
async fn the_next_target_is_tried_at_most_5_ms_after_a_dead_one_has_failed() {
    const CALLS: usize = 20;
    const NANOS_MAX: u64 = 5_000_000;
    let receiver = accepting().await;
    let dead = ReservedPort::new();
    let second = Mock::start().await;
    let providers =
        [setup::provider("dead", "openai", dead.address()), setup::provider("backup", "mock", second.address())];
    let models = "[{name: fast, targets: [{provider: dead, model: m}, {provider: backup, model: tokens-3}], cooldown: {failures: 1000}}]";
    let setup = Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", models)
        .section("traces", &traced(receiver.address(), ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let mut pauses = Vec::new();
    for _ in 0..CALLS {
        let answer = gateway.call(Call::json(CHAT, &Format::Chat.body("fast", false)).key(&key)).await.expect(200);
        assert_eq!(answer.header("x-tollgate-attempts"), Some("2"));
        let mut attempts = spans_of(&receiver, &trace_of(&answer)).await;
        attempts.retain(|span| span.kind == 3);
        let [failed, served] = &attempts[..] else { panic!("not two attempts: {attempts:#?}") };
        assert!(failed.is_error && !served.is_error, "{attempts:#?}");
        pauses.push(served.start.checked_sub(failed.end).expect("the second attempt begins after the first"));
    }
    let shortest = pauses.iter().min().copied().unwrap_or(u64::MAX);
    println!(
        "from the failure of a dead target to the next attempt: {} µs at least of {CALLS} calls",
        shortest / 1_000
    );
    assert!(shortest <= NANOS_MAX, "{pauses:?}");
}

/// Returns a gateway with a route to `backend`, of which nothing is sampled by chance.
async fn unsampled(backend: &Upstream, receiver: &Upstream, more: &str) -> Gateway {
    let setup =
        Setup::routed(backend.address(), "{name: users, path: {prefix: /users}, auth: none, upstreams: backend}")
            .section("traces", &traced(receiver.address(), &format!(", sample: 0%{more}")));
    Gateway::start(setup).await
}

#[tokio::test]
async fn without_a_sample_failed_slow_and_sampled_requests_are_exported() {
    let receiver = accepting().await;
    let backend = Upstream::start(|mut turn| async move {
        if turn.head.first.contains("/slow ") {
            tokio::time::sleep(Duration::from_millis(3_100)).await;
        }
        let status = if turn.head.first.contains("/failed ") { "500 No" } else { "200 OK" };
        turn.answer(status, b"x").await;
        Some(turn)
    })
    .await;
    let gateway = unsampled(&backend, &receiver, ", slow: 3s").await;
    let quick = trace_of(&gateway.call(Call::get("/users/quick")).await.expect(200));
    let absent = trace_of(&gateway.call(Call::get("/absent")).await.expect(404));
    let failed = trace_of(&gateway.call(Call::get("/users/failed")).await.expect(500));
    let slow = trace_of(&gateway.call(Call::get("/users/slow")).await.expect(200));
    let sampled = Call::get("/users/quick").header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    gateway.call(sampled).await.expect(200);
    let other = "1af7651916cd43dd8448eb211c80319c";
    let unsampled = Call::get("/users/quick").header("traceparent", &format!("00-{other}-{PARENT}-00"));
    gateway.call(unsampled).await.expect(200);
    for trace in [&failed, &slow, TRACE] {
        assert_eq!(spans_of(&receiver, trace).await.iter().filter(|span| span.kind == 3).count(), 1);
    }
    assert!(named(&spans_of(&receiver, &failed).await, "GET /users").is_error);
    gateway.stop().await;
    // The end of the process sends everything that waits.
    let traces: Vec<String> = all(&receiver).into_iter().map(|span| span.trace_id).collect();
    assert!(![&*quick, &*absent, other].iter().any(|trace| traces.iter().any(|of| of == trace)), "{traces:?}");
    let flags: Vec<_> =
        backend.seen().iter().map(|seen| seen.head.header("traceparent").unwrap()[53..].to_owned()).collect();
    assert_eq!(flags, ["00", "00", "00", "01", "00"]);
}

#[tokio::test]
async fn a_share_of_none_and_without_the_client_exports_nothing() {
    let receiver = accepting().await;
    let backend = Upstream::json(&json!({})).await;
    let gateway = unsampled(&backend, &receiver, ", parent: false, errors: false, slow: never").await;
    let sampled = Call::get("/users/1").header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    gateway.call(sampled).await.expect(200);
    gateway.stop().await;
    assert_eq!(receiver.seen().len(), 0);
    assert!(backend.only().head.header("traceparent").unwrap().ends_with("-00"));
}

/// Returns the value of a metric.
async fn figure(gateway: &Gateway, series: &str) -> u64 {
    let metrics = gateway.metrics().await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series}: {metrics}"))
}

const QUEUE_FULL: &str = "tollgate_traces_dropped_total{reason=\"queue_full\"}";
const REFUSED: &str = "tollgate_traces_dropped_total{reason=\"refused\"}";

#[tokio::test]
async fn a_receiver_that_hangs_or_is_gone_delays_no_request_and_the_queue_is_bounded() {
    let backend = Upstream::json(&json!({})).await;
    let hanging = Upstream::start(|turn| async move {
        std::future::pending::<()>().await;
        Some(turn)
    })
    .await;
    let gone = ReservedPort::new();
    for receiver in [hanging.address(), gone.address()] {
        let setup =
            Setup::routed(backend.address(), "{name: users, path: {prefix: /users}, auth: none, upstreams: backend}")
                .section("traces", &traced(receiver, ", sample: 100%, queue: 16"));
        let gateway = Gateway::start(setup).await;
        for _ in 0..600 {
            gateway.call(Call::get("/users/1")).await.expect(200);
        }
        // One batch of at most 16 requests is being sent, and 16 requests wait.
        let dropped = figure(&gateway, QUEUE_FULL).await;
        assert!(dropped >= 600 - 16 - 16, "{dropped}");
        assert!(figure(&gateway, "tollgate_traces_waiting").await <= 16);
        assert_eq!(figure(&gateway, "tollgate_traces_exported_total").await, 0);
        let exit = gateway.stop().await;
        assert!(exit.stderr.contains("spans of the last requests were not exported"), "{}", exit.stderr);
    }
}

#[tokio::test]
async fn a_receiver_that_refuses_or_redirects_is_not_asked_again_for_the_same_spans() {
    let elsewhere = accepting().await;
    let backend = Upstream::json(&json!({})).await;
    for head in ["400 Bad Request".to_owned(), format!("307 Elsewhere\r\nlocation: http://{}/", elsewhere.address())] {
        let receiver = Upstream::answering(&head, "no").await;
        let setup =
            Setup::routed(backend.address(), "{name: users, path: {prefix: /users}, auth: none, upstreams: backend}")
                .section("traces", &traced(receiver.address(), ", sample: 100%"));
        let gateway = Gateway::start(setup).await;
        gateway.call(Call::get("/users/1")).await.expect(200);
        eventually("the spans are dropped", async || (figure(&gateway, REFUSED).await == 1).then_some(())).await;
        gateway.logs("the receiver of traces refused the spans with status").await;
        assert_eq!((receiver.seen().len(), elsewhere.seen().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_busy_receiver_gets_the_same_spans_again_after_the_time_that_it_asks_for() {
    let backend = Upstream::json(&json!({})).await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let of_receiver = times.clone();
    let receiver = Upstream::start(move |mut turn| {
        let times = of_receiver.clone();
        async move {
            turn.read_body().await;
            times.lock().unwrap().push(Instant::now());
            let head = if turn.connection == 0 { "429 Busy\r\nretry-after: 2" } else { "200 OK" };
            turn.answer(head, b"").await;
            Some(turn)
        }
    })
    .await;
    let setup =
        Setup::routed(backend.address(), "{name: users, path: {prefix: /users}, auth: none, upstreams: backend}")
            .section("traces", &traced(receiver.address(), ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    gateway.call(Call::get("/users/1")).await.expect(200);
    eventually("the spans are sent again", async || {
        (figure(&gateway, "tollgate_traces_exported_total").await == 1).then_some(())
    })
    .await;
    let times = times.lock().unwrap().clone();
    let [first, second] = times[..] else { panic!("not two requests: {times:?}") };
    assert!(second.duration_since(first) >= Duration::from_secs(2), "{times:?}");
    let [first, second] = &receiver.seen()[..] else { panic!("not two requests") };
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn a_response_of_ten_megabytes_is_not_read() {
    let backend = Upstream::json(&json!({})).await;
    let receiver = Upstream::answering("200 OK", vec![b'x'; 10 << 20]).await;
    let setup =
        Setup::routed(backend.address(), "{name: users, path: {prefix: /users}, auth: none, upstreams: backend}")
            .section("traces", &traced(receiver.address(), ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    gateway.call(Call::get("/users/1")).await.expect(200);
    eventually("the export is counted", async || {
        (figure(&gateway, "tollgate_traces_exported_total").await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn variables_of_opentelemetry_configure_the_receiver() {
    let receiver = accepting().await;
    let backend = Upstream::json(&json!({})).await;
    let setup =
        Setup::routed(backend.address(), "{name: users, path: {prefix: /users}, auth: none, upstreams: backend}")
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}/base/", receiver.address()))
            .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=S3CRET%20value, x-other=2")
            .variable("OTEL_SERVICE_NAME", "edge gateway")
            .variable("TOLLGATE_TRACES__SAMPLE", "100%");
    let gateway = Gateway::start(setup).await;
    let answer = gateway.call(Call::get("/users/1")).await.expect(200);
    spans_of(&receiver, &trace_of(&answer)).await;
    assert_eq!(resource(&receiver)["service.name"], "edge gateway");
    let head = receiver.only().head;
    assert_eq!(head.first, "POST /base/v1/traces HTTP/1.1");
    assert_eq!(head.all("x-api-key"), ["S3CRET value"]);
    assert_eq!(head.all("x-other"), ["2"]);
    assert_eq!(head.all("content-type"), ["application/x-protobuf"]);
}

#[tokio::test]
async fn another_receiver_reads_the_spans_of_requests_with_two_attempts() {
    let rotel = Rotel::start().await;
    let first = Mock::start().await;
    let second = Mock::start().await;
    let backend = Upstream::start(|mut turn| async move {
        let head = if turn.connection + turn.number == 0 { "503 Later" } else { "200 OK" };
        turn.answer(head, b"x").await;
        Some(turn)
    })
    .await;
    let upstreams = format!(
        "[{{name: backend, retry: {{attempts: 1, on: [503]}}, backends: [{{url: \"http://{}\"}}]}}]",
        backend.address()
    );
    let providers =
        [setup::provider("openai", "openai", first.address()), setup::provider("backup", "mock", second.address())];
    let models = "[{name: fast, targets: [{provider: openai, model: \"500\"}, {provider: backup, model: tokens-3}]}]";
    let setup = Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", models)
        .section("upstreams", &upstreams)
        .section("routes", "[{name: users, path: {prefix: /users}, auth: none, upstreams: backend}]")
        .section("traces", &traced(rotel.address, ", sample: 100%"));
    let gateway = Gateway::start(setup).await;
    let call = Call::get("/users/7").header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    gateway.call(call).await.expect(200);
    // The request, its phases `authenticate` and `limit`, and two attempts.
    let spans = rotel.spans_of(TRACE, 5).await;
    let server = named(&spans, "GET /users");
    assert_eq!((server.kind, &*server.parent, server.is_error), (2, PARENT, false));
    assert_eq!(server.attributes["http.response.status_code"], "200");
    for phase in ["authenticate", "limit"] {
        assert_eq!((named(&spans, phase).kind, &named(&spans, phase).parent), (1, &server.id));
    }
    let attempts: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
    let [failed, answered] = attempts[..] else { panic!("not two attempts: {spans:#?}") };
    assert_eq!((&*failed.attributes["error.type"], failed.is_error, answered.is_error), ("503", true, false));
    assert_eq!(answered.attributes["http.request.resend_count"], "1");
    assert!(spans.iter().all(|span| span.start <= span.end && span.end <= server.end), "{spans:#?}");
    assert_eq!(backend.seen().len(), 2);

    let key = gateway.key().await;
    let answer = gateway.call(Call::json(CHAT, &Format::Chat.body("fast", false)).key(&key)).await.expect(200);
    let spans = rotel.spans_of(&trace_of(&answer), 5).await;
    let failed = named(&spans, "chat 500");
    let served = named(&spans, "chat tokens-3");
    assert_eq!((&*failed.attributes["error.type"], failed.is_error, served.is_error), ("500", true, false));
    assert_eq!(served.attributes["gen_ai.request.model"], "tokens-3");
    assert_eq!(served.attributes["gen_ai.usage.output_tokens"], "3");
}

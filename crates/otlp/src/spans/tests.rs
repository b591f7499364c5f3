use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::*;

fn resource() -> ExportedResource {
    ExportedResource { service: "tollgate".to_owned(), version: "1.2.3", instance: "node-1".to_owned() }
}

fn attempt(id: u8, status: Option<u16>, error: Option<&'static str>) -> TracedAttempt {
    TracedAttempt {
        span_id: [id; 8],
        since_us: 100,
        until_us: Some(400),
        upstream: "users".into(),
        host: "10.0.0.7".into(),
        port: 9_000,
        url: "https://10.0.0.7:9000/v1/users/7".into(),
        status,
        error,
        call: None,
    }
}

fn traced() -> TracedRequest {
    TracedRequest {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent_id: Some([3; 8]),
        state: "a=1".into(),
        began_at_us: 1_700_000_000_000_000,
        duration_us: 1_000,
        method: "GET",
        scheme: "https",
        protocol: "2",
        host: "api.example.com".into(),
        path: "/users/7".into(),
        user_agent: Box::default(),
        client: IpAddr::from([192, 0, 2, 7]),
        route: "users".into(),
        template: Some("/users/{id}".into()),
        status: 200,
        outcome: "completed",
        code: None,
        is_failed: false,
        request_bytes: 0,
        response_bytes: 512,
        phases: vec![TracedPhase { name: "authenticate", since_us: 10, until_us: 60 }],
        attempts: vec![attempt(4, None, Some("upstream_connect")), attempt(5, Some(200), None)],
    }
}

/// The spans of a request, decoded from the bytes that the receiver gets.
fn received(request: TracedRequest) -> Vec<Span> {
    let bytes = encoded(&resource(), &[Box::new(request)]);
    let message = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    let [resource_spans] = &message.resource_spans[..] else { panic!("{message:?}") };
    let [scope_spans] = &resource_spans.scope_spans[..] else { panic!("{message:?}") };
    let of_resource = shown(&resource_spans.resource.as_ref().unwrap().attributes);
    assert_eq!(of_resource["service.name"], "tollgate");
    assert_eq!((&*of_resource["service.version"], &*of_resource["service.instance.id"]), ("1.2.3", "node-1"));
    scope_spans.spans.clone()
}

fn shown(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |of: &KeyValue| match of.value.clone().unwrap().value.unwrap() {
        AttributeValue::Text(text) => text,
        AttributeValue::Flag(flag) => flag.to_string(),
        AttributeValue::Number(number) => number.to_string(),
        AttributeValue::Fraction(fraction) => fraction.to_string(),
    };
    let all: BTreeMap<_, _> = attributes.iter().map(|of| (of.key.clone(), value(of))).collect();
    assert_eq!(all.len(), attributes.len(), "an attribute has one value: {attributes:?}");
    all
}

#[test]
fn a_request_with_two_attempts_has_a_span_for_each() {
    let spans = received(traced());
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /users/{id}", "authenticate", "GET", "GET"]);
    let [server, phase, first, second] = &spans[..] else { panic!("{spans:?}") };
    assert!(spans.iter().all(|span| span.trace_id == [1; 16] && span.trace_state == "a=1"));
    assert_eq!((&*server.span_id, &*server.parent_span_id, server.flags), (&[2; 8][..], &[3; 8][..], 0x301));
    for child in [phase, first, second] {
        assert_eq!((&*child.parent_span_id, child.flags), (&[2; 8][..], 0x101));
    }
    assert_eq!((&*first.span_id, &*second.span_id), (&[4; 8][..], &[5; 8][..]));
    assert!(!spans.iter().any(|span| !std::ptr::eq(span, phase) && span.span_id == phase.span_id));
    let kinds = [SpanKind::Server, SpanKind::Internal, SpanKind::Client, SpanKind::Client];
    assert_eq!(spans.iter().map(|span| span.kind()).collect::<Vec<_>>(), kinds);
    let times = |span: &Span| (span.start_time_unix_nano, span.end_time_unix_nano - span.start_time_unix_nano);
    assert_eq!(times(server), (1_700_000_000_000_000_000, 1_000_000));
    assert_eq!(times(phase), (1_700_000_000_000_010_000, 50_000));
    assert_eq!(times(first), (1_700_000_000_000_100_000, 300_000));
    let attributes = shown(&server.attributes);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/users/7"),
        ("server.address", "api.example.com"),
        ("client.address", "192.0.2.7"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "512"),
        ("http.route", "/users/{id}"),
        ("tollgate.route", "users"),
        ("tollgate.outcome", "completed"),
    ] {
        assert_eq!(attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!attributes.contains_key("error.type") && !attributes.contains_key("user_agent.original"));
    assert_eq!((server.status.clone(), second.status.clone()), (None, None));
    assert_eq!(first.status.as_ref().map(SpanStatus::code), Some(StatusWord::Error));
    let first = shown(&first.attributes);
    let second = shown(&second.attributes);
    assert_eq!((&*first["error.type"], &*first["server.port"]), ("upstream_connect", "9000"));
    assert_eq!(first["url.full"], "https://10.0.0.7:9000/v1/users/7");
    assert!(!first.contains_key("http.request.resend_count"));
    assert_eq!((&*second["http.request.resend_count"], &*second["http.response.status_code"]), ("1", "200"));
}

#[test]
fn a_failed_request_has_the_code_of_its_error() {
    let failed = |code, status| received(TracedRequest { is_failed: true, code, status, ..traced() }).remove(0);
    let span = failed(Some("upstream_timeout"), 504);
    assert_eq!(shown(&span.attributes)["error.type"], "upstream_timeout");
    assert_eq!(shown(&span.attributes)["tollgate.code"], "upstream_timeout");
    assert_eq!(span.status.as_ref().map(SpanStatus::code), Some(StatusWord::Error));
    assert_eq!(shown(&failed(None, 500).attributes)["error.type"], "500");
    let refused = TracedRequest { code: Some("unauthorized"), status: 401, attempts: Vec::new(), ..traced() };
    let span = received(refused).remove(0);
    assert_eq!((span.status, shown(&span.attributes).contains_key("error.type")), (None, false));
}

#[test]
fn a_call_of_a_model_has_the_attributes_of_genai() {
    let call = TracedCall {
        operation: "chat",
        provider: "openai",
        model: "gpt-5".into(),
        requested_model: "fast".into(),
        answered_model: Some("gpt-5-2025".into()),
        response_id: Some("chatcmpl-1".into()),
        is_streamed: true,
        first_chunk_us: Some(250_000),
        input_tokens: Some(12),
        output_tokens: Some(34),
        cache_read_tokens: Some(7),
        cache_write_tokens: Some(0),
        reasoning_tokens: Some(9),
        cost_nano_usd: Some(56),
    };
    let call = TracedAttempt { call: Some(Box::new(call)), ..attempt(4, Some(200), None) };
    let spans = received(TracedRequest { attempts: vec![call], phases: Vec::new(), ..traced() });
    assert_eq!(spans[1].name, "chat gpt-5");
    let attributes = shown(&spans[1].attributes);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-5"),
        ("gen_ai.response.model", "gpt-5-2025"),
        ("gen_ai.response.id", "chatcmpl-1"),
        ("gen_ai.usage.input_tokens", "12"),
        ("gen_ai.usage.output_tokens", "34"),
        ("gen_ai.usage.cache_read.input_tokens", "7"),
        ("gen_ai.usage.reasoning.output_tokens", "9"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.response.time_to_first_chunk", "0.25"),
        ("tollgate.cost_nano_usd", "56"),
        ("tollgate.model", "fast"),
    ] {
        assert_eq!(attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!attributes.contains_key("gen_ai.usage.cache_write.input_tokens"), "{attributes:?}");
}

#[test]
fn the_span_of_a_request_without_a_route_is_named_after_its_method() {
    let span = received(TracedRequest { template: None, route: "unmatched".into(), ..traced() }).remove(0);
    assert_eq!((&*span.name, shown(&span.attributes).contains_key("http.route")), ("GET", false));
}

/// The page writes the first of them in full, as `tollgate.route`, and the last part of the others, as `.code`.
#[test]
fn the_page_names_the_attributes_of_tollgate() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/traces.md")).unwrap();
    let sentence = page.lines().find(|line| line.contains("`tollgate.")).unwrap();
    let words = sentence.split('`').skip(1).step_by(2);
    let listed = words.filter_map(|word| word.strip_prefix("tollgate").unwrap_or(word).strip_prefix('.'));
    let call = TracedCall { cost_nano_usd: Some(1), ..TracedCall::default() };
    let called = TracedAttempt { call: Some(Box::new(call)), ..attempt(4, Some(200), None) };
    let spans = received(TracedRequest { code: Some("internal"), attempts: vec![called], ..traced() });
    let attributes: Vec<_> = spans.iter().flat_map(|span| shown(&span.attributes).into_keys()).collect();
    let own = attributes.iter().filter_map(|key| key.strip_prefix("tollgate."));
    assert_eq!(listed.collect::<BTreeSet<_>>(), own.collect::<BTreeSet<_>>(), "{sentence}");
}

#[test]
fn unknown_methods_are_written_as_the_convention_has_them() {
    let spans = received(TracedRequest { method: telemetry::metrics::OTHER, parent_id: None, ..traced() });
    assert_eq!((&*spans[0].name, &*shown(&spans[0].attributes)["http.request.method"]), ("HTTP /users/{id}", "_OTHER"));
    assert_eq!((spans[0].parent_span_id.len(), spans[0].flags), (0, 0x101));
}

//! The spans of requests, with the names and attributes of OpenTelemetry's semantic conventions (HTTP 1.43, GenAI of 2026).
//!
//! A request has one server span. Its children are a span for each phase and a client span for each attempt.

use std::time::Duration;

use prost::Message as _;
use telemetry::traces::{TracedAttempt, TracedCall, TracedPhase, TracedRequest};

use crate::messages::{
    AnyValue, AttributeValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans,
    ScopeSpans, Span, SpanKind, SpanStatus, StatusWord,
};

/// The flags of a span that was sampled (W3C Trace Context, 3.2).
const SAMPLED: u32 = 1;
/// Says that the next flag is known (OTLP, `SpanFlags`).
const KNOWS_REMOTE: u32 = 0x100;
/// The parent of the span is in another process.
const PARENT_IS_REMOTE: u32 = 0x200;
const NANOS_PER_MICRO: u64 = 1_000;

/// The process that exports spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedResource {
    /// `service.name`: the configured name, or the brand for machines.
    pub service: String,
    /// `service.version`: that of Tollgate.
    pub version: &'static str,
    /// `service.instance.id`: the id of the node.
    pub instance: String,
}

/// Returns the spans of `requests` as the body of a request to the receiver.
#[must_use]
pub fn encoded(resource: &ExportedResource, requests: &[Box<TracedRequest>]) -> Vec<u8> {
    request(resource, requests).encode_to_vec()
}

/// Returns the message with the spans of `requests`.
pub(crate) fn request(resource: &ExportedResource, requests: &[Box<TracedRequest>]) -> ExportTraceServiceRequest {
    let attributes = vec![
        text("service.name", resource.service.as_str()),
        text("service.version", resource.version),
        text("service.instance.id", resource.instance.as_str()),
    ];
    let scope = InstrumentationScope { name: "tollgate".to_owned(), version: resource.version.to_owned() };
    let spans = requests.iter().flat_map(|request| spans(request)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource = Some(Resource { attributes });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
}

/// Returns the spans of a request: the server span, then those of its phases and attempts.
fn spans(request: &TracedRequest) -> Vec<Span> {
    let phases = request.phases.iter().zip(1_u64..).map(|(phase, number)| of_phase(request, *phase, number));
    let attempts =
        request.attempts.iter().zip(0_usize..).map(|(attempt, earlier)| of_attempt(request, attempt, earlier));
    std::iter::once(of_request(request)).chain(phases).chain(attempts).collect()
}

/// Returns the server span.
fn of_request(request: &TracedRequest) -> Span {
    let mut attributes = vec![
        text("http.request.method", method(request.method)),
        text("url.scheme", request.scheme),
        text("url.path", &*request.path),
        text("network.protocol.version", request.protocol),
        text("client.address", request.client.to_string()),
        number("http.response.status_code", i64::from(request.status)),
        text("tollgate.route", &*request.route),
        text("tollgate.outcome", request.outcome),
        whole("http.request.body.size", request.request_bytes),
        whole("http.response.body.size", request.response_bytes),
    ];
    attributes.extend(request.template.as_deref().map(|template| text("http.route", template)));
    attributes.extend(unless_empty("server.address", &request.host));
    attributes.extend(unless_empty("user_agent.original", &request.user_agent));
    attributes.extend(request.code.map(|code| text("tollgate.code", code)));
    let error = request.is_failed.then(|| request.code.map_or_else(|| request.status.to_string(), str::to_owned));
    attributes.extend(error.as_deref().map(|error| text("error.type", error)));
    let remote = if request.parent_id.is_some() { PARENT_IS_REMOTE } else { 0 };
    Span {
        span_id: request.span_id.to_vec(),
        parent_span_id: request.parent_id.map(Vec::from).unwrap_or_default(),
        name: server_span_name(request),
        kind: SpanKind::Server.into(),
        attributes,
        status: status(request.is_failed),
        flags: SAMPLED | KNOWS_REMOTE | remote,
        ..between(request, 0, request.duration_us)
    }
}

/// Returns the name of the server span: the method, and the path of the route, whose number of values is bounded.
fn server_span_name(request: &TracedRequest) -> String {
    let method = name_of_method(request.method);
    match &request.template {
        Some(template) => format!("{method} {template}"),
        None => method.to_owned(),
    }
}

/// Returns the span of a phase, the `number`th of its request.
fn of_phase(request: &TracedRequest, phase: TracedPhase, number: u64) -> Span {
    Span {
        span_id: child_id(request.span_id, number),
        name: phase.name.to_owned(),
        kind: SpanKind::Internal.into(),
        ..child(request, phase.since_us, phase.until_us)
    }
}

/// Returns the client span of an attempt that follows `earlier` ones.
fn of_attempt(request: &TracedRequest, attempt: &TracedAttempt, earlier: usize) -> Span {
    let mut attributes = vec![
        text("http.request.method", method(request.method)),
        text("server.address", &*attempt.host),
        number("server.port", i64::from(attempt.port)),
        text("url.full", &*attempt.url),
        text("tollgate.upstream", &*attempt.upstream),
    ];
    attributes.extend(attempt.status.map(|status| number("http.response.status_code", i64::from(status))));
    if earlier > 0 {
        attributes.push(whole("http.request.resend_count", u64::try_from(earlier).unwrap_or(u64::MAX)));
    }
    // Statuses from 400 on are errors of a client span.
    let of_status = || attempt.status.filter(|status| *status >= 400).map(|status| status.to_string());
    let error = attempt.error.map(str::to_owned).or_else(of_status);
    attributes.extend(error.as_deref().map(|error| text("error.type", error)));
    let mut name = name_of_method(request.method).to_owned();
    if let Some(call) = &attempt.call {
        name = format!("{} {}", call.operation, call.model);
        add_call(&mut attributes, call);
    }
    Span {
        span_id: attempt.span_id.to_vec(),
        name,
        kind: SpanKind::Client.into(),
        attributes,
        status: status(error.is_some()),
        ..child(request, attempt.since_us, attempt.until_us.unwrap_or(request.duration_us))
    }
}

/// Adds the attributes of a call of a model.
fn add_call(attributes: &mut Vec<KeyValue>, call: &TracedCall) {
    attributes.push(text("gen_ai.operation.name", call.operation));
    attributes.push(text("gen_ai.provider.name", call.provider));
    attributes.push(text("gen_ai.request.model", &*call.model));
    attributes.push(text("tollgate.model", &*call.requested_model));
    attributes.extend(call.answered_model.as_deref().map(|model| text("gen_ai.response.model", model)));
    attributes.extend(call.response_id.as_deref().map(|id| text("gen_ai.response.id", id)));
    if call.is_streamed {
        attributes.push(attribute("gen_ai.request.stream", AttributeValue::Flag(true)));
        if let Some(first_chunk_us) = call.first_chunk_us {
            let waited = AttributeValue::Fraction(Duration::from_micros(first_chunk_us).as_secs_f64());
            attributes.push(attribute("gen_ai.response.time_to_first_chunk", waited));
        }
    }
    for (key, tokens) in [
        ("gen_ai.usage.input_tokens", call.input_tokens),
        ("gen_ai.usage.output_tokens", call.output_tokens),
        ("gen_ai.usage.cache_read.input_tokens", call.cache_read_tokens.filter(|tokens| *tokens > 0)),
        ("gen_ai.usage.cache_write.input_tokens", call.cache_write_tokens.filter(|tokens| *tokens > 0)),
        ("gen_ai.usage.reasoning.output_tokens", call.reasoning_tokens.filter(|tokens| *tokens > 0)),
    ] {
        attributes.extend(tokens.map(|tokens| whole(key, tokens)));
    }
    attributes.extend(call.cost_nano_usd.map(|cost| number("tollgate.cost_nano_usd", cost)));
}

/// Returns an unnamed child of the server span.
fn child(request: &TracedRequest, since_us: u64, until_us: u64) -> Span {
    Span {
        parent_span_id: request.span_id.to_vec(),
        flags: SAMPLED | KNOWS_REMOTE,
        ..between(request, since_us, until_us)
    }
}

/// Returns an unnamed span of the trace between two times.
fn between(request: &TracedRequest, since_us: u64, until_us: u64) -> Span {
    let at = |offset_us: u64| request.began_at_us.saturating_add(offset_us).saturating_mul(NANOS_PER_MICRO);
    Span {
        trace_id: request.trace_id.to_vec(),
        trace_state: request.state.to_string(),
        start_time_unix_nano: at(since_us),
        end_time_unix_nano: at(until_us.max(since_us)),
        ..Span::default()
    }
}

/// Returns the id of the `number`th phase of a request, which no other span of the request has.
fn child_id(span_id: [u8; 8], number: u64) -> Vec<u8> {
    // Ids of attempts differ from the server span's in other bits (`proxy::account::spans`).
    let id = u64::from_be_bytes(span_id) ^ (number << 56);
    id.to_be_bytes().to_vec()
}

/// Returns the method as the convention has it.
fn method(method: &'static str) -> &'static str {
    if method == telemetry::metrics::OTHER { "_OTHER" } else { method }
}

/// Returns the method in the name of a span.
fn name_of_method(method: &'static str) -> &'static str {
    if method == telemetry::metrics::OTHER { "HTTP" } else { method }
}

/// A span without an error has no status.
fn status(is_error: bool) -> Option<SpanStatus> {
    is_error.then(|| SpanStatus { message: String::new(), code: StatusWord::Error.into() })
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, AttributeValue::Text(value.into()))
}

fn unless_empty(key: &str, value: &str) -> Option<KeyValue> {
    (!value.is_empty()).then(|| text(key, value))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, AttributeValue::Number(value))
}

fn whole(key: &str, value: u64) -> KeyValue {
    number(key, i64::try_from(value).unwrap_or(i64::MAX))
}

fn attribute(key: &str, value: AttributeValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

#[cfg(test)]
mod tests;

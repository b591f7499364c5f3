//! The decision whether the spans of a finished request are exported, and the facts from which they are made.

use access::Tokens;
use ai::{Format, ProviderKind};
use config::snapshot::Traces;
use http1::KnownName;
use meter::{Outcome, RequestResult};
use telemetry::metrics::method;
use telemetry::traces::{TracedCall, TracedRequest};
use tokio::time::Instant;

use crate::account::spans::SpanRecord;
use crate::account::trace_context::TraceState;
use crate::account::{InferenceCall, RequestAccount};
use crate::settle::RequestSummary;
use crate::settle::log::{FIELD_LEN_MAX, MaskedText, PATH_LEN_MAX, outcome};

/// Longest `tracestate` of an exported span, in bytes: as much as each participant should propagate (W3C Trace Context, 3.3.1.5).
const STATE_LEN_MAX: usize = 512;

/// Hands the request to the exporter, if it was sampled, has failed or was slow.
pub(super) fn end(account: &RequestAccount, summary: &RequestSummary, now: Instant) {
    let Some(spans) = &account.request.spans else { return };
    let Some(traces) = &account.request.snapshot.process.traces else { return };
    let is_failed = is_failed(account, summary);
    match summary.outcome {
        Outcome::UpstreamCut | Outcome::TimedOut | Outcome::Drained => spans.failed(summary.outcome.as_str(), now),
        Outcome::Completed | Outcome::CallerGone | Outcome::BudgetCut | Outcome::Interrupted => spans.end_attempt(now),
    }
    if spans.is_sampled || is_kept(traces, is_failed, summary.duration_us) {
        let request = Box::new(traced(account, summary, spans, is_failed));
        account.request.worker().shared.metrics.traces.queue.push(request, traces.queue_max);
    }
}

/// Returns whether a request is exported that was not sampled at its beginning.
fn is_kept(traces: &Traces, is_failed: bool, duration_us: u64) -> bool {
    let is_slow = traces.slow.is_some_and(|slow| u128::from(duration_us) >= slow.as_micros());
    traces.errors && is_failed || is_slow
}

/// Returns whether the upstream or Tollgate failed. The span of a server does not report errors of its client (OpenTelemetry, HTTP spans).
fn is_failed(account: &RequestAccount, summary: &RequestSummary) -> bool {
    let is_cut = matches!(summary.outcome, Outcome::UpstreamCut | Outcome::TimedOut | Outcome::Drained);
    summary.result == RequestResult::Failed && (account.ending.status >= 500 || is_cut)
}

fn traced(account: &RequestAccount, summary: &RequestSummary, spans: &SpanRecord, is_failed: bool) -> TracedRequest {
    let request = &account.request;
    let ending = &account.ending;
    let head = &request.head;
    let trace = request.trace();
    let shown =
        |bytes: &[u8], len_max: usize| -> Box<str> { MaskedText::new(request, bytes, len_max).to_string().into() };
    let (phases, attempts) = spans.take();
    TracedRequest {
        trace_id: trace.trace_id,
        span_id: trace.span_id,
        parent_id: trace.parent_id,
        state: state(account, &trace.state),
        began_at_us: request.started_at.0,
        duration_us: summary.duration_us,
        method: method(head.method_bytes()),
        scheme: request.origin(request.is_peer_trusted()).scheme,
        protocol: request.protocol(),
        host: shown(head.host(), FIELD_LEN_MAX),
        path: shown(head.path().as_bytes(), PATH_LEN_MAX),
        user_agent: head.get(KnownName::UserAgent).map(|agent| shown(agent, FIELD_LEN_MAX)).unwrap_or_default(),
        client: request.client_address(),
        route: account.policy().name.clone(),
        template: spans.template(),
        status: ending.status,
        outcome: outcome(account, summary),
        code: ending.refusal.as_ref().map(|(refusal, _)| refusal.code()),
        is_failed,
        request_bytes: ending.request_bytes,
        response_bytes: ending.response_bytes,
        phases,
        attempts,
    }
}

/// Joins the first members of the forwarded `tracestate` to at most [`STATE_LEN_MAX`] bytes.
fn state(account: &RequestAccount, state: &TraceState) -> Box<str> {
    match state {
        TraceState::Absent => Box::default(),
        TraceState::Received => {
            joined(account.request.head.fields().all(KnownName::Tracestate).filter_map(crate::client::head::text))
        }
        TraceState::Members(members) => joined(crate::client::head::text(members).into_iter()),
    }
}

fn joined<'a>(values: impl Iterator<Item = &'a str>) -> Box<str> {
    let mut state = String::new();
    for member in values.flat_map(|value| value.split(',')).map(str::trim).filter(|member| !member.is_empty()) {
        let comma = if state.is_empty() { "" } else { "," };
        if state.len() + comma.len() + member.len() > STATE_LEN_MAX {
            break;
        }
        state.push_str(comma);
        state.push_str(member);
    }
    state.into()
}

/// Returns the facts of an attempt at a model, without those of its response.
pub(super) fn call_of(call: &InferenceCall, record: &meter::Attempt) -> TracedCall {
    let tokens = |classes: &dyn Fn(meter::Usage) -> [Option<Tokens>; 2]| {
        let known = classes(record.usage?).into_iter().flatten();
        known.map(|tokens| tokens.0).reduce(u64::saturating_add)
    };
    TracedCall {
        operation: operation(call.format),
        provider: provider(call.provider.kind),
        model: record.model.clone().unwrap_or_default(),
        requested_model: call.requested_model.clone(),
        answered_model: record.answered_model.clone(),
        response_id: None,
        is_streamed: call.streamed,
        first_chunk_us: None,
        input_tokens: record.usage.and_then(|usage| usage.all_input()).map(|tokens| tokens.0),
        output_tokens: record.usage.and_then(|usage| usage.all_output()).map(|tokens| tokens.0),
        cache_read_tokens: tokens(&|usage| [usage.cached_input, None]),
        cache_write_tokens: tokens(&|usage| [usage.cache_write_short, usage.cache_write_long]),
        reasoning_tokens: tokens(&|usage| [usage.reasoning, None]),
        cost_nano_usd: record.cost.map(|cost| cost.0),
    }
}

/// Returns the attribute `gen_ai.operation.name`.
const fn operation(format: Format) -> &'static str {
    match format {
        Format::Chat | Format::Responses | Format::Messages => "chat",
        Format::GenerateContent => "generate_content",
        Format::Completions => "text_completion",
        Format::Embeddings | Format::EmbedContent => "embeddings",
        Format::Images | Format::Speech | Format::Transcription | Format::Moderations => format.name(),
    }
}

/// Returns the attribute `gen_ai.provider.name`.
const fn provider(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Gemini => "gcp.gemini",
        ProviderKind::AzureOpenAi => "azure.ai.openai",
        ProviderKind::Bedrock => "aws.bedrock",
        ProviderKind::Vertex => "gcp.vertex_ai",
        ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Mock => kind.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_state_is_cut_between_members() {
        let member = |letter: &str| format!("{letter}={}", letter.repeat(253));
        let long = format!("{} , {},c=1", member("a"), member("b"));
        let both = format!("{},{}", member("a"), member("b"));
        assert_eq!(&*joined([long.as_str(), "d=2"].into_iter()), both);
        assert_eq!(both.len(), 511);
        assert_eq!(&*joined(["a=1,", "", "b=2"].into_iter()), "a=1,b=2");
    }
}

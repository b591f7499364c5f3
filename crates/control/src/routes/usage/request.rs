//! `GET /api/usage/requests/{id}`: one request, its attempts, and the calculation of its cost.

use std::sync::Arc;

use access::{NanoUsd, Refusal, RequestId, Role};
use axum::Json;
use axum::extract::{Request, State};
use config::snapshot::Traffic;
use ledger::{RecordedLabels, RequestAttempt, RequestDetails, RequestSkip};
use meter::rating;
use meter::{BilledQuantity, ToolUse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{self, Segment};
use crate::message::figures::{CURRENCY, Cost, TokenClasses, ToolCalls, ms};
use crate::message::problem::Problem;
use crate::nouns::labels_view::{self, LabelsView};
use crate::nouns::usage_scope::UsageScope;
use crate::process::state::App;
use crate::routes::usage::requests::RequestItem;
use crate::sign_in::caller::KeyReader;

const PICO_PER_NANO: i64 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RequestDetailQuery {
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
}

/// A request with all details. Its usage and cost are the sums over its attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestDetail)]
pub(in crate::routes) struct RequestDetail {
    #[serde(flatten)]
    request: RequestItem,
    /// The attempts in order; empty if the request never reached a provider.
    attempts: Vec<Attempt>,
    /// The targets of the model that the request skipped, in order, at most 32.
    skipped: Vec<Skip>,
    /// The id of the trace in hexadecimal digits; null if traces are not exported and the client has not begun one.
    trace_id: Option<String>,
    /// The page of the trace in the tracing system; null without `traces.link` or a trace.
    trace_url: Option<String>,
    /// The labels that the request was made under; null if they belong to none of the 1,000 sets of labels whose usage is
    /// stored apart.
    labels: Option<LabelsView>,
    /// The use of the client's tools: `none`, `offered` or `called`; null with `count`.
    tool_use: Option<&'static str>,
}

/// A target of a model to which a request was not sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkippedTarget)]
struct Skip {
    /// The name of the provider.
    provider: String,
    /// The model name that would have been sent to the provider.
    model: String,
    /// `format` (the provider does not support it), `credential` (the client has none), `cooldown` (left out after
    /// failures), `breaker` (the circuit breaker is open), `price` (a budget needs an unknown price or bound), `connect`
    /// (no connection could be opened), `limit` (at one of the target's limits), or a word of a newer version.
    reason: String,
    /// The number of `attempts` that precede it.
    attempts_before: u8,
}

impl From<RequestSkip> for Skip {
    fn from(RequestSkip { provider, model, reason, attempts_before }: RequestSkip) -> Self {
        Self { provider, model, reason, attempts_before }
    }
}

/// One attempt: a request to a backend or provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestAttempt)]
struct Attempt {
    /// The name of the provider.
    provider: Option<String>,
    /// The model name that was sent to the provider.
    model: Option<String>,
    /// The model that responded, if the provider reports it.
    answered_model: Option<String>,
    /// The status of the provider's response; null without a response.
    status: Option<u16>,
    /// The provider's own id of the request.
    upstream_id: Option<String>,
    /// The source of the usage: `reported` by the provider, `counted` by the gateway, or `bounded` (an upper bound);
    /// null without usage.
    source: Option<&'static str>,
    /// The tokens by class; null if unknown.
    tokens: Option<TokenClasses>,
    /// The billed quantity if the request is not billed by tokens; null otherwise.
    billed: Option<OtherUnit>,
    /// Calls of the provider's own tools; null if unknown.
    tools: Option<ToolCalls>,
    /// The cost of the attempt; null if its usage or price is unknown.
    cost: Option<Cost>,
    /// The reason why the cost of an LLM request is unknown; null if the cost is known.
    unknown_reason: Option<String>,
    /// The calculation of the cost; null without a cost, or if the price that applied is no longer configured.
    price: Option<Price>,
    /// Milliseconds to the first byte of the response; null without a response.
    first_byte_ms: Option<f64>,
    /// Milliseconds of the whole attempt.
    total_ms: f64,
}

/// A quantity of a unit other than tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BilledUnits)]
struct OtherUnit {
    /// `image`, `millisecond` (of audio input) or `character` (of speech output).
    unit: &'static str,
    quantity: u64,
}

/// The calculation of a cost. The sum of all `amount_pico` and of `rounding_pico` equals `cost.amount_nano` times
/// 1,000.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceLines)]
struct Price {
    /// The version of the price.
    version: String,
    /// The source of the price's figures.
    source: String,
    /// The day on which the figures were read at the source; null for configured prices.
    as_of: Option<String>,
    currency: &'static str,
    /// One line per class with usage.
    lines: Vec<PriceLine>,
    /// The rounding to billionths, half to even: -500 to 500 trillionths.
    rounding_pico: i64,
}

/// A quantity and its rate.
#[derive(Debug, Serialize, ToSchema)]
struct PriceLine {
    /// A class of tokens, or a unit.
    class: &'static str,
    quantity: u64,
    /// The rate of one unit, in trillionths.
    rate_pico: u64,
    /// The amount of the line, in trillionths.
    amount_pico: i64,
}

impl From<BilledQuantity> for OtherUnit {
    fn from(billed: BilledQuantity) -> Self {
        Self { unit: billed.unit.as_str(), quantity: billed.quantity }
    }
}

impl Attempt {
    fn from_attempt(attempt: RequestAttempt, traffic: &Traffic) -> Self {
        let price = Price::from_attempt(&attempt, traffic);
        let usage = attempt.usage.as_ref();
        Self {
            provider: attempt.provider,
            model: attempt.model,
            answered_model: attempt.answered_model,
            status: attempt.status,
            upstream_id: attempt.upstream_id,
            source: usage.map(|usage| usage.source.as_str()),
            tokens: usage.filter(|usage| usage.has_tokens()).map(TokenClasses::from),
            billed: usage.filter(|usage| !usage.has_tokens()).and_then(|usage| usage.billed).map(OtherUnit::from),
            tools: usage.map(|usage| &usage.tools).filter(|tools| !tools.is_empty()).map(ToolCalls::from),
            cost: attempt.cost.map(Cost::from_nano_usd),
            unknown_reason: attempt.unknown,
            price,
            first_byte_ms: attempt.first_byte_us.map(ms),
            total_ms: ms(attempt.duration_us),
        }
    }
}

impl Price {
    /// Returns `None` if the price no longer applies, or if its lines do not add up to the cost (for impossible
    /// amounts).
    fn from_attempt(attempt: &RequestAttempt, traffic: &Traffic) -> Option<Self> {
        let cost = attempt.cost?;
        let usage = attempt.usage.as_ref()?;
        let version = attempt.price_version.as_deref()?;
        let names = (attempt.model.as_deref().unwrap_or_default(), attempt.answered_model.as_deref());
        let price = traffic.price_of_version(attempt.provider.as_deref()?, names, version)?;
        let (lines, rounding_pico) = Self::adding_up(&price.lines(usage)?, cost)?;
        Some(Self {
            version: version.to_owned(),
            source: price.source.to_string(),
            as_of: Some(price.as_of.to_string()).filter(|day| !day.is_empty()),
            currency: CURRENCY,
            lines,
            rounding_pico,
        })
    }

    /// Returns the lines and the rounding.
    fn adding_up(lines: &[rating::Line], cost: NanoUsd) -> Option<(Vec<PriceLine>, i64)> {
        let amount = |line: &rating::Line| i64::try_from(line.amount_pico()).ok();
        let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(amount(line)?))?;
        let rounding_pico = cost.0.checked_mul(PICO_PER_NANO)?.checked_sub(sum)?;
        if rating::total(lines) != cost {
            return None;
        }
        let lines = lines.iter().map(|line| {
            let amount_pico = amount(line)?;
            Some(PriceLine { class: line.class, quantity: line.quantity, rate_pico: line.rate_pico, amount_pico })
        });
        Some((lines.collect::<Option<_>>()?, rounding_pico))
    }
}

/// Returns one request of a user.
#[utoipa::path(get, path = "/api/usage/requests/{id}", tag = "usage", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The request's id"), RequestDetailQuery),
    extensions(("x-codes" = json!(["bad_request", "not_found"]))),
    responses((status = 200, body = RequestDetail, example = json!({
        "id": "0199aa00-0000-7000-8000-00000000000f", "started_at": "2026-11-20T08:03:52.000120Z", "count": null, "kind": "llm",
        "key": {"id": "0199aa00-0000-7000-8000-000000000001", "label": "laptop", "prefix": "tollgate", "last4": "9f3c"},
        "route": "/v1/chat/completions", "format": "chat", "model": "fast", "provider": "openai", "answered_model": "gpt-5-mini-2025-08-07", "program": "openai_python",
        "streamed": false,
        "status": 200, "result": "succeeded", "outcome": "completed", "refusal": null, "credits": 1, "attempt_count": 1,
        "tokens": {"input": 7, "cached_input": 0, "cache_write": 0, "output": 3, "reasoning": 0, "total": 10},
        "cost": {"amount_nano": 7750, "currency": "USD"}, "unpriced": false, "unknown_reason": null,
        "charged": {"tokens": 10, "cost": {"amount_nano": 7750, "currency": "USD"}},
        "phases": {"first_byte_ms": 312.5, "upstream_ms": 410.043, "total_ms": 410.4},
        "bytes": {"request": 512, "response": 1024},
        "attempts": [{
            "provider": "openai", "model": "gpt-5-mini", "answered_model": "gpt-5-mini-2025-08-07", "status": 200,
            "upstream_id": "req_1", "source": "reported",
            "tokens": {"input": 7, "cached_input": null, "cache_write_short": null, "cache_write_long": null, "output": 3,
                "reasoning": null, "audio_input": null, "image_input": null, "audio_output": null, "image_output": null,
                "total": 10},
            "billed": null, "tools": null, "cost": {"amount_nano": 7750, "currency": "USD"}, "unknown_reason": null,
            "price": {"version": "builtin-2026-11-21", "source": "developers.openai.com/api/docs/pricing",
                "as_of": "2026-11-20", "currency": "USD", "rounding_pico": 0, "lines": [
                {"class": "input", "quantity": 7, "rate_pico": 250000, "amount_pico": 1750000},
                {"class": "output", "quantity": 3, "rate_pico": 2000000, "amount_pico": 6000000}]},
            "first_byte_ms": 312.5, "total_ms": 410.043
        }],
        "skipped": [{"provider": "backup", "model": "gpt-5-mini", "reason": "cooldown", "attempts_before": 0}],
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "trace_url": "https://jaeger.example.com/trace/0af7651916cd43dd8448eb211c80319c",
        "labels": {"team": "payments"}, "tool_use": "none"
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    KeyReader(caller): KeyReader,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<RequestDetail>, Problem> {
    let RequestDetailQuery { user_id } = input::query(request.uri())?;
    let scope = UsageScope::resolve(&app, &caller, user_id).await?;
    // An invalid id matches no request.
    let mut found = None;
    if let Ok(id) = id.parse().map(RequestId) {
        found = app.ledger.find_request(scope.no, id).await?;
        if found.is_none() && user_id.is_none() && caller.role == Role::Admin {
            found = app.ledger.find_any_request(id).await?;
        }
    }
    let is_visible = |found: &RequestDetails| {
        caller.only_key().is_none_or(|own| found.line.key.as_ref().is_some_and(|key| key.id == own.key))
    };
    let found = found.filter(is_visible);
    let found = found.ok_or_else(|| Problem::new(Refusal::NotFound, "you have no request with this id"))?;
    let RequestDetails { line, attempts, skipped, trace, labels, tools } = found;
    let is_admin = caller.role == Role::Admin && caller.only_key().is_none();
    let snapshot = app.live.load_full();
    let attempts = attempts.into_iter().map(|attempt| Attempt::from_attempt(attempt, &snapshot.traffic));
    let trace_id = trace.map(|trace| trace.to_string());
    let link = snapshot.process.trace_link.as_ref();
    Ok(Json(RequestDetail {
        request: if is_admin { RequestItem::with_user(line) } else { RequestItem::from(line) },
        attempts: attempts.collect(),
        skipped: skipped.into_iter().map(Skip::from).collect(),
        trace_url: trace_id.as_deref().zip(link).map(|(id, link)| link.url(id)),
        trace_id,
        labels: match labels {
            RecordedLabels::Set(labels) => Some(labels_view::view(&labels)),
            RecordedLabels::Other => None,
        },
        tool_use: tools.map(ToolUse::as_str),
    }))
}

#[cfg(test)]
mod tests {
    use access::Tokens;
    use meter::{Rates, Source, Usage};

    use super::*;

    #[test]
    fn lines_and_rounding_add_up_to_the_cost() {
        for input in 0..200_u64 {
            let rates = Rates { input: Some(333), output: Some(77_777), ..Rates::default() };
            let usage =
                Usage { input: Some(Tokens(input)), output: Some(Tokens(input / 3)), ..Usage::empty(Source::Reported) };
            let cost = rates.cost(&usage).unwrap();
            let lines = rates.lines(&usage).unwrap();
            let (shown, rounding_pico) = Price::adding_up(&lines, cost).unwrap();
            let sum: i64 = shown.iter().map(|line| line.amount_pico).sum();
            assert_eq!(sum + rounding_pico, cost.0 * 1_000);
            assert!(rounding_pico.abs() <= 500);
            assert!(Price::adding_up(&lines, NanoUsd(cost.0 + 1)).is_none(), "another cost");
        }
        let endless = Usage { output: Some(Tokens(u64::MAX)), ..Usage::empty(Source::Reported) };
        let rates = Rates::flat(u64::MAX);
        assert!(Price::adding_up(&rates.lines(&endless).unwrap(), rates.cost(&endless).unwrap()).is_none());
    }
}

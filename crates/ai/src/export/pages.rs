//! Pages of OpenAI's and Anthropic's usage and cost endpoints.

use access::{Day, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal::nano;
use super::{Export, ExportError, ExportFigures, ExportLineKey};
use crate::provider::ProviderKind;

/// One page of either provider.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<Bucket<'a>>,
    #[serde(default)]
    has_more: bool,
}

/// One time bucket. `start_time` is OpenAI's, in Unix seconds; `starting_at` is Anthropic's, in RFC 3339.
#[derive(Deserialize)]
struct Bucket<'a> {
    start_time: Option<u64>,
    starting_at: Option<String>,
    #[serde(borrow)]
    results: Vec<Item<'a>>,
}

/// One result of a bucket.
#[derive(Deserialize)]
struct Item<'a> {
    object: Option<String>,
    model: Option<String>,
    // OpenAI: input includes tokens read from and written to caches, of text, audio and images.
    num_model_requests: Option<u64>,
    input_tokens: Option<u64>,
    input_cached_tokens: Option<u64>,
    // Both providers report output tokens in this field.
    output_tokens: Option<u64>,
    // Anthropic: the classes of input are disjoint.
    uncached_input_tokens: Option<u64>,
    cache_creation: Option<Created>,
    cache_read_input_tokens: Option<u64>,
    // Costs: OpenAI's amount is an object, Anthropic's a string in cents.
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    currency: Option<String>,
    // Anthropic: set in all costs of a report by description, which have a model if they are costs of tokens.
    description: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Deserialize)]
struct Amount<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    currency: String,
}

const COMPLETIONS: &str = "organization.usage.completions.result";
const EMBEDDINGS: &str = "organization.usage.embeddings.result";
const COSTS: &str = "organization.costs.result";

pub(super) fn read(text: &str) -> Result<Export, ExportError> {
    let mut export = Export::default();
    let mut has_more = false;
    let mut kinds = Vec::new();
    let mut by_description = true;
    for (number, page) in (1..).zip(serde_json::Deserializer::from_str(text).into_iter::<Page<'_>>()) {
        let page =
            page.map_err(|error| ExportError::Json { line: error.line(), column: error.column(), what: what(&error) })?;
        has_more = page.has_more;
        for (nth, bucket) in page.data.iter().enumerate() {
            let at = format!("page {number}: data[{nth}]");
            let (day, kind) = begins(bucket, &at)?;
            kinds.push((kind, at.clone()));
            export.days.push(day);
            for (nth, item) in bucket.results.iter().enumerate() {
                let figures = figures(item, kind, &format!("{at}.results[{nth}]"))?;
                by_description &= figures.cost.is_none() || item.model.is_some() || item.description.is_some();
                export.add(ExportLineKey { day, provider: None, model: item.model.clone() }, &figures);
            }
        }
    }
    export.kind = kinds.first().map(|(kind, _)| *kind);
    if let Some((_, field)) = kinds.into_iter().find(|(kind, _)| Some(*kind) != export.kind) {
        return Err(ExportError::Field { field, what: "another provider's format than the first" });
    }
    if by_description {
        join_costs(&mut export);
    }
    match (has_more, export.days.is_empty()) {
        (true, _) => Err(ExportError::Incomplete),
        (false, true) => Err(ExportError::Empty),
        (false, false) => Ok(export),
    }
}

/// Sums the costs of all models if some costs have no model, such as those of web searches: costs are compared either
/// by model or for all models together.
fn join_costs(export: &mut Export) {
    let any_cost = |by_model: bool| {
        export.lines.iter().any(|(of, figures)| figures.cost.is_some() && of.model.is_some() == by_model)
    };
    if !(any_cost(true) && any_cost(false)) {
        return;
    }
    for (of, figures) in std::mem::take(&mut export.lines) {
        if figures.cost.is_some() {
            let all = ExportLineKey { model: None, ..of.clone() };
            export.add(all, &ExportFigures { cost: figures.cost, ..ExportFigures::default() });
        }
        let counts = ExportFigures { cost: None, ..figures };
        if counts != ExportFigures::default() {
            export.add(of, &counts);
        }
    }
}

/// Returns the message without the position, which is reported separately.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

/// Returns the day of a bucket, and the provider whose format it has.
fn begins(bucket: &Bucket<'_>, at: &str) -> Result<(Day, ProviderKind), ExportError> {
    let field = |name: &str, what| ExportError::Field { field: format!("{at}.{name}"), what };
    match (bucket.start_time, &bucket.starting_at) {
        (Some(seconds), None) => {
            let micros = seconds.checked_mul(1_000_000).ok_or_else(|| field("start_time", "not a time in seconds"))?;
            Ok((Timestamp(micros).day(), ProviderKind::OpenAi))
        }
        (None, Some(text)) => {
            // Buckets begin at full minutes in UTC.
            let (day, time) = text.split_once('T').unwrap_or((text, ""));
            let day = if time.ends_with('Z') || time.ends_with("+00:00") { Day::parse(day) } else { None };
            let day = day.ok_or_else(|| field("starting_at", "not a UTC time such as 2026-11-20T00:00:00Z"))?;
            Ok((day, ProviderKind::Anthropic))
        }
        (None, None) => Err(field("start_time", "missing, and so is starting_at")),
        (Some(_), Some(_)) => Err(field("start_time", "present together with starting_at")),
    }
}

fn figures(item: &Item<'_>, kind: ProviderKind, at: &str) -> Result<ExportFigures, ExportError> {
    let missing = |name: &str| ExportError::Field { field: format!("{at}.{name}"), what: "missing" };
    if kind == ProviderKind::OpenAi {
        return match item.object.as_deref() {
            Some(COMPLETIONS | EMBEDDINGS) => Ok(ExportFigures {
                requests: Some(item.num_model_requests.ok_or_else(|| missing("num_model_requests"))?),
                input: Some(item.input_tokens.ok_or_else(|| missing("input_tokens"))?),
                cached_input: item.input_cached_tokens,
                output: item.output_tokens,
                ..ExportFigures::default()
            }),
            Some(COSTS) => Ok(ExportFigures { cost: Some(cost(item, at)?), ..ExportFigures::default() }),
            Some(_) => Err(ExportError::Field {
                field: format!("{at}.object"),
                what: "only usage of completions and embeddings, and costs, can be compared",
            }),
            None => Err(missing("object")),
        };
    }
    if item.amount.is_some() {
        return Ok(ExportFigures { cost: Some(cents(item, at)?), ..ExportFigures::default() });
    }
    let uncached = item.uncached_input_tokens.ok_or_else(|| missing("uncached_input_tokens"))?;
    let read = item.cache_read_input_tokens.ok_or_else(|| missing("cache_read_input_tokens"))?;
    let created = item.cache_creation.as_ref().ok_or_else(|| missing("cache_creation"))?;
    let short = created.ephemeral_5m_input_tokens;
    let long = created.ephemeral_1h_input_tokens;
    Ok(ExportFigures {
        input: Some([read, short, long].into_iter().fold(uncached, u64::saturating_add)),
        cached_input: Some(read),
        cache_write_short: Some(short),
        cache_write_long: Some(long),
        output: Some(item.output_tokens.ok_or_else(|| missing("output_tokens"))?),
        ..ExportFigures::default()
    })
}

/// Reads OpenAI's amount: `{"value": 0.06, "currency": "usd"}`.
fn cost(item: &Item<'_>, at: &str) -> Result<i64, ExportError> {
    let field = |what| ExportError::Field { field: format!("{at}.amount"), what };
    let raw = item.amount.ok_or_else(|| field("missing"))?;
    let amount: Amount<'_> = serde_json::from_str(raw.get()).map_err(|_| field("not a value with a currency"))?;
    if !amount.currency.eq_ignore_ascii_case("usd") {
        return Err(field("another currency than USD"));
    }
    nano(amount.value.get().trim_matches('"'), 0).ok_or_else(|| field("not an amount of money"))
}

/// Reads Anthropic's amount: `"123.45"` cents.
fn cents(item: &Item<'_>, at: &str) -> Result<i64, ExportError> {
    let field = |what| ExportError::Field { field: format!("{at}.amount"), what };
    let raw = item.amount.map_or("", RawValue::get);
    if !item.currency.as_deref().is_some_and(|currency| currency.eq_ignore_ascii_case("usd")) {
        return Err(field("another currency than USD, or no currency"));
    }
    nano(raw.trim_matches('"'), -2).ok_or_else(|| field("not an amount of money"))
}

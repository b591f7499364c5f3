//! The rows of the export: one for each request with an event, and one for each aggregated count.
//!
//! The names and meanings of fields never change within a version of the schema; a later version may add fields.

use access::{Credits, Day, NanoUsd, Subject, Timestamp};
use meter::usage::TOKEN_CLASSES;
use meter::{Caller, Counts, Usage, UsageEvent};
use serde::Serialize;
use serde_json::{Map, Value};
use spool::Record;
use uuid::Uuid;

use crate::caller_ids::CallerIds;

/// The version of the schema, in each row.
pub const SCHEMA: u32 = 1;
const MICROS: u64 = 1_000_000;

/// A row as a target receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRow {
    /// The id, by which a target recognizes a row that it has received before.
    pub id: String,
    /// The kind of the row: `request` or `count`.
    pub kind: &'static str,
    /// The row as one line of JSON.
    pub json: String,
}

/// The fields of a row in the order of the document.
#[derive(Debug, Serialize)]
struct EventRow<'a> {
    schema: u32,
    id: &'a str,
    kind: &'static str,
    node: Uuid,
    started_at: String,
    day: String,
    subject: &'static str,
    user: Option<Uuid>,
    key: Option<Uuid>,
    plan: Option<Uuid>,
    issuer: Option<&'a str>,
    name: Option<&'a str>,
    route: &'a str,
    labels: Map<String, Value>,
    requests: u64,
    counted_requests: u64,
    credits: Credits,
    result: &'static str,
    status_class: u8,
    #[serde(flatten)]
    request: Option<RequestFields<'a>>,
}

/// The fields that only rows of requests have.
#[derive(Debug, Serialize)]
struct RequestFields<'a> {
    status: u16,
    outcome: &'static str,
    code: Option<&'a str>,
    format: Option<&'a str>,
    model: Option<&'a str>,
    provider: Option<&'a str>,
    provider_model: Option<&'a str>,
    attempts: usize,
    streamed: bool,
    request_bytes: u64,
    response_bytes: u64,
    duration_us: u64,
    first_byte_us: Option<u64>,
    charged_tokens: u64,
    charged_nano_usd: i64,
    cost_nano_usd: Option<i64>,
    cost_unknown: Option<&'static str>,
    #[serde(flatten)]
    tokens: Map<String, Value>,
    trace_id: Option<String>,
}

/// Returns the keys and users of a record.
pub(crate) fn callers(record: &Record) -> Vec<Caller> {
    match record {
        Record::Close(event) | Record::Event(event) => event.subject.caller().into_iter().collect(),
        Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => {
            counts.iter().filter_map(|counts| counts.subject.caller()).collect()
        }
        Record::Open(_) => Vec::new(),
    }
}

/// Returns the time at which the request of a record has ended, or the minute of its first count.
pub(crate) fn written_at(record: &Record) -> Option<Timestamp> {
    match record {
        Record::Close(event) | Record::Event(event) => Some(event.ended_at()),
        Record::Counts { counts, .. } | Record::CloseBatch { counts, .. } => counts.first().map(minute),
        Record::Open(_) => None,
    }
}

/// Returns the rows of a record.
#[must_use]
pub fn rows(record: &Record, node: Uuid, ids: &CallerIds) -> Vec<EncodedRow> {
    match record {
        Record::Close(event) | Record::Event(event) => {
            let id = event.id.to_string();
            let json = json(&of_event(event, &id, node, ids));
            vec![EncodedRow { id, kind: "request", json }]
        }
        Record::Counts { id, counts } | Record::CloseBatch { id, counts } => {
            let row = |(nth, counts): (usize, &Counts)| {
                let id = format!("{id}-{nth}");
                let json = json(&of_counts(counts, &id, node, ids));
                EncodedRow { id, kind: "count", json }
            };
            counts.iter().enumerate().map(row).collect()
        }
        Record::Open(_) => Vec::new(),
    }
}

/// Serializing these fields to memory does not fail.
fn json(row: &EventRow<'_>) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

fn of_event<'a>(event: &'a UsageEvent, id: &'a str, node: Uuid, ids: &CallerIds) -> EventRow<'a> {
    let usage = event.attempts.iter().filter_map(|attempt| attempt.usage).reduce(|all, next| all.and(&next));
    let cost = event.attempts.iter().filter_map(|attempt| attempt.cost).reduce(NanoUsd::saturating_add);
    let first = event.attempts.first();
    let last = event.attempts.last();
    let unknown = event.attempts.iter().find_map(|attempt| attempt.unknown);
    let request = RequestFields {
        status: event.status,
        outcome: event.outcome.as_str(),
        code: event.refusal.as_deref(),
        format: event.format.as_deref(),
        model: event.model.as_deref(),
        provider: last.map(|attempt| &*attempt.provider),
        provider_model: last.and_then(|attempt| attempt.model.as_deref()),
        attempts: event.attempts.len(),
        streamed: event.streamed,
        request_bytes: event.request_bytes,
        response_bytes: event.response_bytes,
        duration_us: event.duration_us,
        first_byte_us: first.and_then(|attempt| attempt.first_byte_us),
        charged_tokens: event.charge.tokens.0,
        charged_nano_usd: event.charge.money.0,
        cost_nano_usd: cost.map(|cost| cost.0),
        cost_unknown: unknown.map(meter::UnknownCost::as_str),
        tokens: usage.as_ref().map(tokens).unwrap_or_default(),
        trace_id: event.origin.trace.map(|trace| trace.to_string()),
    };
    EventRow {
        requests: 1,
        counted_requests: u64::from(event.counts()),
        credits: event.charge.credits,
        result: event.result().as_str(),
        status_class: u8::try_from(event.status / 100).unwrap_or(0),
        request: Some(request),
        ..row(&Head {
            id,
            kind: "request",
            node,
            at: event.started_at,
            day: event.day,
            subject: &event.subject,
            route: &event.route,
            labels: event.origin.labels.pairs().collect(),
            ids,
        })
    }
}

fn of_counts<'a>(counts: &'a Counts, id: &'a str, node: Uuid, ids: &CallerIds) -> EventRow<'a> {
    let class = counts.status_class;
    EventRow {
        requests: counts.requests,
        counted_requests: counts.sent_requests(),
        credits: counts.credits,
        result: meter::RequestResult::of_class(class).as_str(),
        // Classes of requests that reached no upstream are above 10.
        status_class: class % 10,
        ..row(&Head {
            id,
            kind: "count",
            node,
            at: minute(counts),
            day: counts.day,
            subject: &counts.subject,
            route: &counts.route,
            labels: counts.labels.pairs().collect(),
            ids,
        })
    }
}

/// What rows of both kinds have.
struct Head<'a, 'i> {
    id: &'a str,
    kind: &'static str,
    node: Uuid,
    at: Timestamp,
    day: Day,
    subject: &'a Subject,
    route: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    ids: &'i CallerIds,
}

fn row<'a>(head: &Head<'a, '_>) -> EventRow<'a> {
    let caller = head.subject.caller();
    let name = head.subject.name();
    let labels = head.labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    EventRow {
        schema: SCHEMA,
        id: head.id,
        kind: head.kind,
        node: head.node,
        started_at: rfc3339(head.at),
        day: head.day.to_string(),
        subject: head.subject.kind().as_str(),
        user: caller.and_then(|caller| *head.ids.users.get(&caller.user)?).map(|id| id.0),
        key: caller.and_then(|caller| *head.ids.keys.get(&caller.key)?).map(|id| id.0),
        plan: caller.map(|caller| caller.plan.0),
        issuer: name.map(|name| name.issuer),
        name: name.map(|name| name.name),
        route: head.route,
        labels: labels.collect(),
        requests: 0,
        counted_requests: 0,
        credits: Credits::ZERO,
        result: "",
        status_class: 0,
        request: None,
    }
}

/// Returns the known classes of tokens as `input_tokens` and so on, and the known calls of tools.
fn tokens(usage: &Usage) -> Map<String, Value> {
    let classes = usage.classes().into_iter().zip(&TOKEN_CLASSES);
    let classes = classes.filter_map(|(tokens, class)| Some((class.column.to_owned(), tokens?.0.into())));
    let tools = usage.tools.counts().into_iter().zip(meter::usage::TOOL_CALLS);
    let tools = tools.filter_map(|(calls, name)| Some((name.to_owned(), calls?.into())));
    classes.chain(tools).collect()
}

fn minute(counts: &Counts) -> Timestamp {
    Timestamp(u64::from(counts.minute) * 60 * MICROS)
}

/// Returns a time as `2026-11-26T23:00:00.000000Z`.
fn rfc3339(at: Timestamp) -> String {
    let seconds = at.0 / MICROS;
    let hour = seconds / 3_600 % 24;
    let minute = seconds / 60 % 60;
    let second = seconds % 60;
    format!("{}T{hour:02}:{minute:02}:{second:02}.{:06}Z", at.day(), at.0 % MICROS)
}

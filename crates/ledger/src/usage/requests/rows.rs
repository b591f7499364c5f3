//! Rows of requests and of their attempts, as the database returns them.

use access::{ClientProgram, Credits, KeyId, NanoUsd, RequestId, SubjectKind, Tokens, UserId};
use meter::{ToolUse, TraceId};
use store::sql::{timestamp, unsigned};
use uuid::Uuid;

use super::{RequestAttempt, RequestDetails, RequestKey, RequestLine, RequestSubject};
use crate::recorded_labels::RecordedLabels;
use crate::skipped_targets;
use crate::stored_text::refused_limits;
use crate::usage::scope::KeyOwner;
use crate::usage_columns::UsageRow;

#[derive(sqlx_macros::FromRow)]
struct FiguresRow {
    #[sqlx(flatten)]
    usage: UsageRow,
    cost_nano: Option<i64>,
    cost_unknown: Option<String>,
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct LineRow {
    id: Uuid,
    pub(super) user_no: Option<i64>,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    subject_kind: Option<String>,
    issuer: Option<String>,
    subject_name: Option<String>,
    started_at: i64,
    key_id: Option<Uuid>,
    label: Option<String>,
    prefix: Option<String>,
    last4: Option<String>,
    route: Option<String>,
    format: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    answered_model: Option<String>,
    client: Option<i64>,
    streamed: bool,
    status: i64,
    outcome: String,
    refusal: Option<String>,
    refused_limit: Option<String>,
    credits: i64,
    request_bytes: i64,
    response_bytes: i64,
    duration_us: i64,
    attempts: i64,
    first_byte_us: Option<i64>,
    upstream_us: Option<i64>,
    #[sqlx(flatten)]
    figures: FiguresRow,
    charged_tokens: i64,
    charged_nano: i64,
    unpriced: bool,
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct AttemptRow {
    provider: Option<String>,
    model: Option<String>,
    answered_model: Option<String>,
    upstream_status: Option<i64>,
    upstream_id: Option<String>,
    price: Option<String>,
    first_byte_us: Option<i64>,
    upstream_us: Option<i64>,
    #[sqlx(flatten)]
    figures: FiguresRow,
}

/// The columns of a request that only its details have.
#[derive(Default, sqlx_macros::FromRow)]
pub(super) struct DetailRow {
    trace_id: Option<Uuid>,
    skipped: Option<String>,
    tools: Option<i64>,
    label_set_no: Option<i64>,
    labels: Option<String>,
}

impl DetailRow {
    /// Returns the details of a request.
    pub(super) fn details(self, line: RequestLine, attempts: Vec<RequestAttempt>) -> RequestDetails {
        RequestDetails {
            line,
            attempts,
            skipped: skipped_targets::of_stored(self.skipped.as_deref()),
            trace: self.trace_id.map(|id| TraceId(id.into_bytes())),
            labels: RecordedLabels::of_stored(self.label_set_no, self.labels),
            tools: self.tools.map(|tools| ToolUse::of_number(small(tools))),
        }
    }
}

/// Returns the number of a word; one of a later release is that of none of this one.
fn small(stored: i64) -> u8 {
    u8::try_from(stored).unwrap_or(u8::MAX)
}

fn status(stored: i64) -> u16 {
    u16::try_from(stored).unwrap_or(0)
}

impl From<LineRow> for RequestLine {
    fn from(row: LineRow) -> Self {
        let key = match (row.key_id, row.label, row.prefix, row.last4) {
            (Some(id), Some(label), Some(prefix), Some(last4)) => {
                Some(RequestKey { id: KeyId(id), label, prefix, last4 })
            }
            _ => None,
        };
        let kind =
            row.subject_kind.or_else(|| row.user_no.is_none().then(|| SubjectKind::Anonymous.as_str().to_owned()));
        let issuer = row.issuer.filter(|issuer| !issuer.is_empty());
        Self {
            id: RequestId(row.id),
            started_at: timestamp(row.started_at),
            key,
            user: row.user_id.zip(row.user_name).map(|(id, name)| KeyOwner { id: UserId(id), name }),
            subject: kind.map(|kind| RequestSubject { kind, issuer, name: row.subject_name }),
            route: row.route,
            format: row.format,
            model: row.model,
            provider: row.provider,
            answered_model: row.answered_model,
            program: row.client.map(|client| ClientProgram::of_number(small(client))),
            streamed: row.streamed,
            status: status(row.status),
            outcome: row.outcome,
            refusal: row.refusal,
            refused_limit: refused_limits::of_stored(row.refused_limit.as_deref()),
            credits: Credits(unsigned(row.credits)),
            request_bytes: unsigned(row.request_bytes),
            response_bytes: unsigned(row.response_bytes),
            duration_us: unsigned(row.duration_us),
            attempts: unsigned(row.attempts),
            first_byte_us: row.first_byte_us.map(unsigned),
            upstream_us: row.upstream_us.map(unsigned),
            usage: row.figures.usage.usage(),
            cost: row.figures.cost_nano.map(NanoUsd),
            unpriced: row.unpriced,
            unknown: row.figures.cost_unknown,
            charged: (Tokens(unsigned(row.charged_tokens)), NanoUsd(row.charged_nano)),
            counted: None,
        }
    }
}

impl From<AttemptRow> for RequestAttempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            provider: row.provider,
            model: row.model,
            answered_model: row.answered_model,
            status: row.upstream_status.map(status),
            upstream_id: row.upstream_id,
            usage: row.figures.usage.usage(),
            cost: row.figures.cost_nano.map(NanoUsd),
            unknown: row.figures.cost_unknown,
            price_version: row.price,
            first_byte_us: row.first_byte_us.map(unsigned),
            duration_us: unsigned(row.upstream_us.unwrap_or(0)),
        }
    }
}

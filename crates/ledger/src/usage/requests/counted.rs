//! Requests without a row of their own: one line per key or subject, route, status class and minute.

use access::{Credits, KeyId, NanoUsd, RequestId, SubjectKind, Tokens, UserId};
use meter::result::UNSENT_CLASS;
use meter::{Outcome, RequestResult};
use store::DatabaseError;
use store::sql::{statements, timestamp, unsigned};
use uuid::Uuid;

use super::filter::{RequestFilter, TEXT};
use super::{RequestDetails, RequestKey, RequestLine, RequestSubject};
use crate::handle::Ledger;
use crate::recorded_labels::RecordedLabels;
use crate::results;
use crate::usage::scope::{KeyOwner, UsageOf};

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// Columns of a line, from `c`, a selection of `usage_counts`.
macro_rules! columns {
    () => {
        "SELECT c.id, c.user_no, u.id AS user_id, u.name AS user_name, subject.kind AS subject_kind, subject.issuer,
        subject.name AS subject_name, c.minute, k.id AS key_id, k.label, k.prefix, k.last4, route.name AS route,
        c.status_class, c.requests, c.credits FROM "
    };
}
/// Joins for the names in a line.
macro_rules! named {
    () => {
        " c LEFT JOIN api_keys k ON k.no = c.key_no LEFT JOIN users u ON u.no = c.user_no
        LEFT JOIN names route ON route.no = c.route_no LEFT JOIN subjects subject ON subject.no = c.subject_no "
    };
}

statements! {
    ONE_COUNTED = concat!(columns!(), "(SELECT * FROM usage_counts WHERE id = $1)", named!());
    LABELS_OF_COUNTS = "SELECT c.label_set_no, s.labels FROM usage_counts c LEFT JOIN label_sets s ON s.no = c.label_set_no
        WHERE c.id = $1";
}

/// Requests of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedRequests {
    /// The number of the requests, which began in the minute at [`RequestLine::started_at`].
    pub requests: u64,
    /// Their status class, as [`RequestResult::status_class`] and [`RequestResult::unsent_class`] return it.
    pub status_class: u8,
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct CountedRow {
    id: Uuid,
    user_no: i64,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    subject_kind: Option<String>,
    issuer: Option<String>,
    subject_name: Option<String>,
    minute: i64,
    key_id: Option<Uuid>,
    label: Option<String>,
    prefix: Option<String>,
    last4: Option<String>,
    route: Option<String>,
    status_class: i64,
    requests: i64,
    credits: i64,
}

/// Builds the query for a page in the range of places of `super::page`. `$6`: the key or null, `$7`: the maximum number, `$8`:
/// the text if the filter has one.
pub(super) fn page(of: UsageOf, filter: &RequestFilter, only: &str) -> String {
    let mut filters = format!("AND (key_no = $6 OR $6 IS NULL){only}");
    if let Some(result) = filter.result {
        filters.push_str(&format!(" AND ({}) = {}", results::OF_COUNTS, result.number()));
    }
    if let Some((low, high)) = filter.status {
        let classes = (1..=5).filter(|class| low <= class * 100 && class * 100 + 99 <= high);
        let classes: Vec<String> = classes.map(|class| class.to_string()).collect();
        // No class has the number 9: a single status selects no counts.
        let classes = if classes.is_empty() { "9".to_owned() } else { classes.join(", ") };
        filters.push_str(&format!(" AND status_class % 10 IN ({classes})"));
    }
    if filter.text.is_some() {
        filters.push_str(&format!(" AND ({})", TEXT.replace("$TEXT", "$8")));
    }
    let columns = columns!();
    let named = named!();
    let condition = of.condition();
    if of.is_wide() {
        return format!(
            "{columns}(SELECT * FROM usage_counts WHERE {condition} AND id >= $3 AND id < $5
            AND minute * 60000000 >= $2 AND minute * 60000000 < $4
            {filters} ORDER BY id DESC LIMIT $7){named}ORDER BY c.id DESC"
        );
    }
    format!(
        "{columns}(SELECT * FROM usage_counts WHERE {condition} AND minute >= $2 / 60000000
        AND minute <= $4 / 60000000 AND minute * 60000000 >= $2
        AND (minute * 60000000 > $2 OR id >= $3) AND (minute * 60000000, id) < ($4, $5) {filters}
        ORDER BY minute DESC, id DESC LIMIT $7){named}ORDER BY c.minute DESC, c.id DESC"
    )
}

/// Builds the query for the place of the `$5`th row in the same range, with the parameters of `super::stop`.
pub(super) fn stop(of: UsageOf) -> &'static str {
    if of.is_wide() {
        return "SELECT minute * 60000000, id FROM usage_counts WHERE id >= $2 AND id < $4
        AND minute * 60000000 >= $1 AND minute * 60000000 < $3 ORDER BY id DESC LIMIT 1 OFFSET $5";
    }
    "SELECT minute * 60000000, id FROM usage_counts WHERE user_no = $6 AND minute >= $1 / 60000000 AND minute <= $3 / 60000000
        AND minute * 60000000 >= $1 AND (minute * 60000000 > $1 OR id >= $2) AND (minute * 60000000, id) < ($3, $4)
        ORDER BY minute DESC, id DESC LIMIT 1 OFFSET $5"
}

impl Ledger {
    /// Returns the counts with this id, of any user or of one.
    pub(super) async fn counted_details(
        &self,
        user: Option<i64>,
        id: RequestId,
    ) -> Result<Option<RequestDetails>, DatabaseError> {
        let row: Option<CountedRow> = self.store.query(ONE_COUNTED).bind(id.0).find().await?;
        let Some(row) = row.filter(|row| user.is_none_or(|user| row.user_no == user)) else { return Ok(None) };
        let labels: Option<(i64, Option<String>)> = self.store.query(LABELS_OF_COUNTS).bind(id.0).find().await?;
        let (set, labels) = labels.map_or((None, None), |(set, labels)| (Some(set), labels));
        Ok(Some(RequestDetails {
            line: RequestLine::from(row),
            attempts: Vec::new(),
            skipped: Vec::new(),
            trace: None,
            labels: RecordedLabels::of_stored(set, labels),
            tools: None,
        }))
    }
}

impl From<CountedRow> for RequestLine {
    fn from(row: CountedRow) -> Self {
        let key = match (row.key_id, row.label, row.prefix, row.last4) {
            (Some(id), Some(label), Some(prefix), Some(last4)) => {
                Some(RequestKey { id: KeyId(id), label, prefix, last4 })
            }
            _ => None,
        };
        let kind = row.subject_kind.or_else(|| (row.user_no == 0).then(|| SubjectKind::Anonymous.as_str().to_owned()));
        let issuer = row.issuer.filter(|issuer| !issuer.is_empty());
        let status_class = u8::try_from(row.status_class).unwrap_or(UNSENT_CLASS - 1);
        let requests = unsigned(row.requests);
        Self {
            id: RequestId(row.id),
            started_at: timestamp(row.minute.saturating_mul(MICROS_PER_MINUTE)),
            key,
            user: row.user_id.zip(row.user_name).map(|(id, name)| KeyOwner { id: UserId(id), name }),
            subject: kind.map(|kind| RequestSubject { kind, issuer, name: row.subject_name }),
            route: row.route,
            format: None,
            model: None,
            provider: None,
            answered_model: None,
            program: None,
            streamed: false,
            status: u16::from(status_class % 10) * 100,
            outcome: Outcome::Completed.as_str().to_owned(),
            refusal: None,
            refused_limit: None,
            credits: Credits(unsigned(row.credits)),
            request_bytes: 0,
            response_bytes: 0,
            duration_us: 0,
            attempts: if status_class < UNSENT_CLASS { requests } else { 0 },
            first_byte_us: None,
            upstream_us: None,
            usage: None,
            cost: None,
            unpriced: false,
            unknown: None,
            charged: (Tokens::default(), NanoUsd::default()),
            counted: Some(CountedRequests { requests, status_class }),
        }
    }
}

impl CountedRequests {
    /// Returns the result by which the requests are counted.
    #[must_use]
    pub const fn result(&self) -> RequestResult {
        RequestResult::of_class(self.status_class)
    }
}

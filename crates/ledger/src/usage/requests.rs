//! Requests of a user: a list, newest first, and the details of a single request. Requests of ordinary routes that are stored
//! as counts have one line per minute.

mod counted;
mod filter;
mod range;
mod rows;
#[cfg(test)]
pub(super) mod texts;

use std::cmp::Reverse;

use access::{ClientProgram, Credits, KeyId, NanoUsd, RequestId, Timestamp, Tokens, UserNo};
use meter::usage_columns;
use meter::{Outcome, RefusedLimit, RequestResult, ToolUse, TraceId, Usage};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{micros, statements, timestamp};
use uuid::Uuid;

use self::counted::CountedRow;
use self::filter::{TEXT, TEXT_OF_EVENTS};
use self::range::Range;
use self::rows::{AttemptRow, DetailRow, LineRow};
use crate::handle::Ledger;
use crate::recorded_labels::RecordedLabels;
use crate::results;
use crate::skipped_targets::RequestSkip;
use crate::stored_text::clip;
use crate::usage::scope::{KeyOwner, UsageOf};
use crate::usage_columns::selected;

/// Maximum number of a user's rows that one page scans. If few rows match the filter, a page may be shorter than
/// requested, or empty, although another page follows. Of filters by a refusal, a failure or a model (of several users), only
/// rows with that condition are scanned.
pub const REQUESTS_LOOKED_AT_MAX: u32 = 20_000;
/// Maximum number of lines in a page.
pub const REQUESTS_PAGE_MAX: u32 = 1_000;
/// Maximum number of names of routes that a filter selects.
const ROUTES_MAX: usize = 100;

pub use self::counted::CountedRequests;
pub use self::filter::{RequestFilter, RequestKind};
pub use self::range::RequestPlace;

/// Columns of a line, from `e`, a selection of `usage_events`.
macro_rules! line {
    () => {
        concat!(
            "SELECT e.id, e.user_no, u.id AS user_id, u.name AS user_name, subject.kind AS subject_kind, subject.issuer, subject.name AS subject_name, e.started_at, k.id AS key_id, k.label, k.prefix, k.last4, route.name AS route, e.format,
            model.name AS model, provider.name AS provider, answered.name AS answered_model, e.client, e.streamed, e.status, e.outcome, e.refusal, e.refused_limit, e.credits,
            e.request_bytes, e.response_bytes, e.duration_us, e.attempts, e.first_byte_us, e.upstream_us, ",
            usage_columns!(selected "e."),
            ",
            e.cost_nano, e.cost_unknown, e.charged_tokens, e.charged_nano,
            CASE WHEN e.format IS NULL OR e.attempts = 0 THEN FALSE WHEN e.attempts = 1 THEN e.cost_nano IS NULL
                ELSE EXISTS (SELECT 1 FROM usage_attempts a WHERE a.event_id = e.id AND a.cost_nano IS NULL) END AS unpriced
            FROM "
        )
    };
}
/// Joins for the names in a line.
macro_rules! named {
    () => {
        " e LEFT JOIN api_keys k ON k.no = e.key_no LEFT JOIN users u ON u.no = e.user_no LEFT JOIN names route ON route.no = e.route_no
            LEFT JOIN names model ON model.no = e.model_no LEFT JOIN names provider ON provider.no = e.provider_no
            LEFT JOIN names answered ON answered.no = e.answered_model_no LEFT JOIN subjects subject ON subject.no = e.subject_no "
    };
}
/// Columns of an attempt, from `a`.
macro_rules! attempt {
    ($table:literal, $where:literal) => {
        concat!(
            "SELECT provider.name AS provider, model.name AS model, answered.name AS answered_model, a.upstream_status,
            a.upstream_id, price.name AS price, a.first_byte_us, a.upstream_us, ",
            usage_columns!(selected "a."),
            ", a.cost_nano,
            a.cost_unknown FROM ",
            $table,
            " a LEFT JOIN names provider ON provider.no = a.provider_no LEFT JOIN names model ON model.no = a.provider_model_no
            LEFT JOIN names answered ON answered.no = a.answered_model_no LEFT JOIN names price ON price.no = a.price_no
            WHERE ",
            $where
        )
    };
}

statements! {
    ONE = concat!(line!(), "(SELECT * FROM usage_events WHERE id = $1)", named!());
    MODEL = "SELECT no FROM names WHERE kind = 'model' AND name = $1";
    ROUTE = "SELECT no FROM names WHERE kind = 'route' AND name = $1";
    ONLY_ATTEMPT = attempt!("usage_events", "a.id = $1 AND a.attempts = 1");
    ATTEMPTS = attempt!("usage_attempts", "a.event_id = $1 ORDER BY a.no");
    DETAIL = "SELECT e.trace_id, e.skipped, e.tools, e.label_set_no, s.labels FROM usage_events e
        LEFT JOIN label_sets s ON s.no = e.label_set_no WHERE e.id = $1";
}

/// Builds the query for a page, from the place (`$2`, `$3`), inclusive, up to the place (`$4`, `$5`), exclusive. The requests
/// of several users are read in the order of their ids (UUIDv7), which is that of their begin to the millisecond. `$11` is the
/// text if the filter has one; `only` is the condition for routes and labels.
fn page(of: UsageOf, filter: &RequestFilter, only: &str) -> String {
    let line = line!();
    let named = named!();
    let mut filters = format!(
        "AND status >= $6 AND status <= $7 AND (key_no = $8 OR $8 IS NULL) AND (model_no = $9 OR $9 IS NULL){only}"
    );
    filters.push_str(filter.indexed());
    if let Some(result) = filter.result {
        filters.push_str(&format!(" AND {} = {}", results::of_event(), result.number()));
    }
    match filter.kind {
        Some(RequestKind::Llm) => filters.push_str(" AND format IS NOT NULL"),
        Some(RequestKind::Route) => filters.push_str(" AND format IS NULL"),
        None => {}
    }
    if filter.text.is_some() {
        filters.push_str(&format!(" AND ({TEXT}{TEXT_OF_EVENTS})").replace("$TEXT", "$11"));
    }
    if of.is_wide() {
        let condition = of.condition();
        return format!(
            "{line}(SELECT * FROM usage_events WHERE {condition} AND id >= $3 AND id < $5 AND started_at >= $2 AND started_at < $4
            {filters} ORDER BY id DESC LIMIT $10){named}ORDER BY e.id DESC"
        );
    }
    format!(
        "{line}(SELECT * FROM usage_events WHERE user_no = $1 AND started_at >= $2
        AND (started_at > $2 OR id >= $3) AND (started_at, id) < ($4, $5) {filters} ORDER BY started_at DESC, id DESC LIMIT $10)
        {named}ORDER BY e.started_at DESC, e.id DESC"
    )
}

/// Builds the query for the place of the `$6`th event in the same range. `indexed` are conditions that an index serves, so that
/// other events do not count.
fn stop(of: UsageOf, indexed: &str) -> String {
    if of.is_wide() {
        return format!(
            "SELECT started_at, id FROM usage_events WHERE id >= $2 AND id < $4 AND started_at >= $1 AND started_at < $3{indexed}
        ORDER BY id DESC LIMIT 1 OFFSET $5"
        );
    }
    format!(
        "SELECT started_at, id FROM usage_events WHERE user_no = $6 AND started_at >= $1 AND (started_at > $1 OR id >= $2)
        AND (started_at, id) < ($3, $4){indexed} ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET $5"
    )
}

/// Returns the condition for a model's number, if an index serves it: the list of one user has none by model.
fn of_model(of: UsageOf, model: Option<i64>) -> String {
    match model {
        Some(no) if of.is_wide() => format!(" AND model_no = {no}"),
        Some(_) | None => String::new(),
    }
}

/// One page of requests, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestPage {
    /// Requests of the page.
    pub lines: Vec<RequestLine>,
    /// Place after which the next page begins; `None` at the end. An empty page may have a next page.
    pub next: Option<RequestPlace>,
}

/// The key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Public id of the key.
    pub id: KeyId,
    /// Name that the owner gives the key.
    pub label: String,
    /// Part of the key before the underscore.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
}

/// The identity of a request that was made without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSubject {
    /// A word of [`access::SubjectKind`].
    pub kind: String,
    /// Issuer of a token.
    pub issuer: Option<String>,
    /// Name of the subject; `None` for an anonymous client.
    pub name: Option<String>,
}

/// A request. `outcome` and `refusal` may contain words of a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    /// Id of the request.
    pub id: RequestId,
    /// Time at which its head had arrived.
    pub started_at: Timestamp,
    /// Key of the request; `None` if the store does not know it.
    pub key: Option<RequestKey>,
    /// User of the request; `None` if the store does not know one.
    pub user: Option<KeyOwner>,
    /// Identity that the request was made as; `None` for a key.
    pub subject: Option<RequestSubject>,
    /// Name of the route.
    pub route: Option<String>,
    /// Name of the format, on an LLM route.
    pub format: Option<String>,
    /// Name of the model, as the client wrote it.
    pub model: Option<String>,
    /// Provider of the last attempt.
    pub provider: Option<String>,
    /// Model that responded to the last attempt, if its provider reports it.
    pub answered_model: Option<String>,
    /// Program that sent the request; `None` if the request is counted, or an older release recorded it.
    pub program: Option<ClientProgram>,
    /// Whether the response was a stream of events.
    pub streamed: bool,
    /// Status that the client received.
    pub status: u16,
    /// Outcome of the request.
    pub outcome: String,
    /// Code of the refusal, if Tollgate refused the request.
    pub refusal: Option<String>,
    /// The limit that refused the request; `None` if no limit has, or an older release recorded it.
    pub refused_limit: Option<RefusedLimit>,
    /// Credits that the request cost.
    pub credits: Credits,
    /// Size of the request's body in bytes.
    pub request_bytes: u64,
    /// Size of the response's body in bytes.
    pub response_bytes: u64,
    /// Microseconds from the head of the request to the end of the response.
    pub duration_us: u64,
    /// Number of attempts; 0 if the request reached no upstream.
    pub attempts: u64,
    /// Microseconds until the first byte of the response's head, for the last attempt.
    pub first_byte_us: Option<u64>,
    /// Microseconds until the end of the last attempt.
    pub upstream_us: Option<u64>,
    /// Usage of all attempts; `None` if none was reported.
    pub usage: Option<Usage>,
    /// Known part of the cost.
    pub cost: Option<NanoUsd>,
    /// Whether the cost of an attempt is unknown.
    pub unpriced: bool,
    /// Reason for the unknown cost, of the first such attempt: a word of [`meter::UnknownCost`], or of a newer version.
    pub unknown: Option<String>,
    /// Tokens and money that budgets count: the usage, or the reserved amount if no usage was reported.
    pub charged: (Tokens, NanoUsd),
    /// The requests of the line, if they are stored as counts; then durations, sizes and outcome are unknown,
    /// `status` is the first of the class, and `credits` is the sum.
    pub counted: Option<CountedRequests>,
}

/// One attempt of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAttempt {
    /// Name of the provider or upstream.
    pub provider: Option<String>,
    /// Model that the provider was asked for.
    pub model: Option<String>,
    /// Model that responded, if the provider reports it.
    pub answered_model: Option<String>,
    /// Status of the upstream; `None` if it sent no response.
    pub status: Option<u16>,
    /// Id that the provider gave the request.
    pub upstream_id: Option<String>,
    /// Usage of the attempt; `None` if none was reported.
    pub usage: Option<Usage>,
    /// Cost of the usage; `None` if usage or price are unknown.
    pub cost: Option<NanoUsd>,
    /// Reason for the unknown cost: a word of [`meter::UnknownCost`], or of a newer version.
    pub unknown: Option<String>,
    /// Version of the price.
    pub price_version: Option<String>,
    /// Microseconds until the first byte of the response's head.
    pub first_byte_us: Option<u64>,
    /// Microseconds until the end of the attempt.
    pub duration_us: u64,
}

/// A request with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestDetails {
    /// The request as lists have it.
    pub line: RequestLine,
    /// The attempts in their order.
    pub attempts: Vec<RequestAttempt>,
    /// Targets of its model that it skipped, in order.
    pub skipped: Vec<RequestSkip>,
    /// Trace of the request, if one exists.
    pub trace: Option<TraceId>,
    /// Labels that the request was made under.
    pub labels: RecordedLabels,
    /// Use of the client's tools; `None` if the request is counted, or an older release recorded it.
    pub tools: Option<ToolUse>,
}

impl RequestLine {
    /// Returns the result by which the request is counted. An outcome of a later version is a failure.
    #[must_use]
    pub fn result(&self) -> RequestResult {
        if let Some(counted) = &self.counted {
            return counted.result();
        }
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == self.outcome);
        outcome.map_or(RequestResult::Failed, |outcome| {
            RequestResult::from_outcome(self.status, outcome, self.refusal.as_deref())
        })
    }

    fn place(&self) -> RequestPlace {
        RequestPlace { at: self.started_at, id: self.id.0 }
    }
}

impl Ledger {
    /// Returns a page of a scope's requests: at most `limit` of those after the place `after`, or from the newest on if
    /// it is `None`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn requests_page(
        &self,
        of: impl Into<UsageOf>,
        filter: &RequestFilter,
        after: Option<RequestPlace>,
        limit: u32,
    ) -> Result<RequestPage, DatabaseError> {
        let of = of.into();
        let limit = usize::try_from(limit.min(REQUESTS_PAGE_MAX)).unwrap_or(usize::MAX);
        let model = match filter.model.as_deref().map(|name| self.model_no(name)) {
            None => None,
            Some(asked) => match asked.await? {
                Some(no) => Some(no),
                // No client ever requested the model, so there is no row.
                None => return Ok(RequestPage::default()),
            },
        };
        let mut only = match &filter.routes {
            None => String::new(),
            Some(names) => format!(" AND route_no IN ({})", self.route_numbers(names).await?),
        };
        if let Some(label) = filter.label {
            only.push_str(&self.label_condition(label).await?);
        }
        let mut range = Range::from_filter(of, filter, after);
        let is_scan = filter.chooses() || matches!(of, UsageOf::Plan(_));
        let of_model = of_model(of, model);
        only.push_str(&of_model);
        let indexed = format!("{}{of_model}", filter.indexed());
        let stop = if is_scan { self.stop(of, filter, &indexed, &range).await? } else { None };
        range.from = stop.map_or(range.from, |stop| range.begin_at(of, stop));
        let (low, high) = filter.status.unwrap_or((0, u16::MAX));
        let page = range.bind(of, self.store.query(AssertSqlSafe(page(of, filter, &only))).once());
        let page = page.bind(i64::from(low)).bind(i64::from(high)).bind(filter.key.map(|key| key.0)).bind(model);
        let page = page.bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
        let rows: Vec<LineRow> = match filter.pattern() {
            Some(pattern) => page.bind(pattern).all().await?,
            None => page.all().await?,
        };
        let mut lines: Vec<RequestLine> = rows.into_iter().map(RequestLine::from).collect();
        if filter.has_counts() {
            let rows = CountedRows { only: &only, most: limit + 1 };
            lines.extend(self.counted(of, filter, &range, rows).await?);
            lines.sort_by_key(|line| Reverse((if of.is_wide() { Timestamp(0) } else { line.started_at }, line.id.0)));
        }
        let next = if lines.len() > limit {
            lines.truncate(limit);
            lines.last().map(RequestLine::place)
        } else {
            stop
        };
        Ok(RequestPage { lines, next })
    }

    /// Returns the lines of counts in a range, at most the given number.
    async fn counted(
        &self,
        of: UsageOf,
        filter: &RequestFilter,
        range: &Range,
        rows: CountedRows<'_>,
    ) -> Result<Vec<RequestLine>, DatabaseError> {
        let CountedRows { only, most } = rows;
        let page = range.of_counts().bind(of, self.store.query(AssertSqlSafe(counted::page(of, filter, only))).once());
        let page = page.bind(filter.key.map(|key| key.0)).bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows: Vec<CountedRow> = match filter.pattern() {
            Some(pattern) => page.bind(pattern).all().await?,
            None => page.all().await?,
        };
        Ok(rows.into_iter().map(RequestLine::from).collect())
    }

    /// Returns the numbers of the names of routes as a list in SQL.
    async fn route_numbers(&self, names: &[String]) -> Result<String, DatabaseError> {
        // No name has the number 0.
        let mut numbers = "0".to_owned();
        for name in names.iter().take(ROUTES_MAX) {
            if let Some((no,)) = self.store.query(ROUTE).bind(clip(name)).find::<(i64,)>().await? {
                numbers.push_str(&format!(", {no}"));
            }
        }
        Ok(numbers)
    }

    /// Returns one request of a user with its details; `None` if the id does not exist or belongs to another user.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_request(&self, user: UserNo, id: RequestId) -> Result<Option<RequestDetails>, DatabaseError> {
        self.request(Some(user.0), id).await
    }

    /// Returns one request of any user, or without a user, with its details; `None` if the id does not exist.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_any_request(&self, id: RequestId) -> Result<Option<RequestDetails>, DatabaseError> {
        self.request(None, id).await
    }

    async fn request(&self, user: Option<i64>, id: RequestId) -> Result<Option<RequestDetails>, DatabaseError> {
        let row: Option<LineRow> = self.store.query(ONE).bind(id.0).find().await?;
        let Some(row) = row else {
            return self.counted_details(user, id).await;
        };
        if user.is_some() && row.user_no != user {
            return Ok(None);
        }
        let line = RequestLine::from(row);
        let rows: Vec<AttemptRow> = match line.attempts {
            0 => Vec::new(),
            1 => self.store.query(ONLY_ATTEMPT).bind(id.0).all().await?,
            _ => self.store.query(ATTEMPTS).bind(id.0).all().await?,
        };
        let detail: Option<DetailRow> = self.store.query(DETAIL).bind(id.0).find().await?;
        let attempts = rows.into_iter().map(RequestAttempt::from).collect();
        Ok(Some(detail.unwrap_or_default().details(line, attempts)))
    }

    /// Returns the number of a model name; `None` if no request named it.
    pub(super) async fn model_no(&self, name: &str) -> Result<Option<i64>, DatabaseError> {
        let found: Option<(i64,)> = self.store.query(MODEL).bind(clip(name)).find().await?;
        Ok(found.map(|(no,)| no))
    }

    /// Returns the place at which the scan of a page must stop; `None` if fewer rows exist.
    async fn stop(
        &self,
        of: UsageOf,
        filter: &RequestFilter,
        indexed: &str,
        range: &Range,
    ) -> Result<Option<RequestPlace>, DatabaseError> {
        let events = self.stop_of(of, stop(of, indexed), range).await?;
        let counts = if filter.has_counts() {
            self.stop_of(of, counted::stop(of).to_owned(), &range.of_counts()).await?
        } else {
            None
        };
        let newest = if of.is_wide() { |place: &RequestPlace| (Timestamp(0), place.id) } else { in_order };
        Ok(events.into_iter().chain(counts).max_by_key(newest))
    }

    async fn stop_of(&self, of: UsageOf, text: String, range: &Range) -> Result<Option<RequestPlace>, DatabaseError> {
        let stop = self.store.query(AssertSqlSafe(text)).once().bind(micros(range.from.at)).bind(range.from.id);
        let stop = stop.bind(micros(range.until.at)).bind(range.until.id);
        let stop = stop.bind(i64::from(REQUESTS_LOOKED_AT_MAX) - 1);
        let row: Option<(i64, Uuid)> = match of {
            UsageOf::User(user) => stop.bind(user.0).find().await?,
            UsageOf::All | UsageOf::Plan(_) => stop.find().await?,
        };
        Ok(row.map(|(at, id)| RequestPlace { at: timestamp(at), id }))
    }
}

/// The rows of counts that a page reads.
#[derive(Clone, Copy)]
struct CountedRows<'a> {
    /// The condition for their routes and labels.
    only: &'a str,
    /// The maximum number of these rows.
    most: usize,
}

fn in_order(place: &RequestPlace) -> (Timestamp, Uuid) {
    (place.at, place.id)
}

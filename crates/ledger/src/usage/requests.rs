//! Requests of a user: a list with one row each, newest first, and the details of a single request.

mod rows;

use access::{Credits, KeyId, KeyNo, NanoUsd, RequestId, Timestamp, Tokens, UserNo};
use meter::{Outcome, RequestResult, Usage, usage_columns};
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use store::sql::{micros, statements, timestamp};
use uuid::Uuid;

use self::rows::{AttemptRow, LineRow};
use crate::handle::Ledger;
use crate::ingest::clip;
use crate::results;
use crate::retention::first_id;
use crate::usage::scope::{ID_SLACK, KeyOwner, UsageOf};
use crate::usage_columns::selected;

/// Maximum number of a user's rows that one page scans. If few rows match the filter, a page may be shorter than
/// requested, or empty, although another page follows.
pub const REQUESTS_LOOKED_AT_MAX: u32 = 20_000;
/// Maximum number of lines in a page.
pub const REQUESTS_PAGE_MAX: u32 = 1_000;

/// Columns of a line, from `e`, a selection of `usage_events`.
macro_rules! line {
    () => {
        concat!(
            "SELECT e.id, e.user_no, u.id AS user_id, u.name AS user_name, subject.kind AS subject_kind, subject.issuer, subject.name AS subject_name, e.started_at, k.id AS key_id, k.label, k.prefix, k.last4, route.name AS route, e.format,
            model.name AS model, provider.name AS provider, e.streamed, e.status, e.outcome, e.refusal, e.credits,
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
            LEFT JOIN subjects subject ON subject.no = e.subject_no "
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
    NEWEST = concat!(line!(), "(SELECT * FROM usage_events WHERE user_no = $1 ORDER BY started_at DESC, id DESC LIMIT $2)",
        named!(), "ORDER BY e.started_at DESC, e.id DESC");
    ONE = concat!(line!(), "(SELECT * FROM usage_events WHERE id = $1)", named!());
    MODEL = "SELECT no FROM names WHERE kind = 'model' AND name = $1";
    ONLY_ATTEMPT = attempt!("usage_events", "a.id = $1 AND a.attempts = 1");
    ATTEMPTS = attempt!("usage_attempts", "a.event_id = $1 ORDER BY a.no");
}

/// Builds the query for a page, from the place (`$2`, `$3`), inclusive, up to the place (`$4`, `$5`), exclusive. The requests
/// of several users are read in the order of their ids (UUIDv7), which is that of their begin to the millisecond.
fn page(of: UsageOf, result: Option<RequestResult>) -> String {
    let (line, named) = (line!(), named!());
    let of_result =
        result.map(|result| format!("AND {} = {}", results::of_event(), result.number())).unwrap_or_default();
    let filters = format!(
        "AND status >= $6 AND status <= $7 AND (key_no = $8 OR $8 IS NULL) AND (model_no = $9 OR $9 IS NULL) {of_result}"
    );
    if of.is_wide() {
        let condition = of.condition_of_requests();
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

/// Builds the query for the place of the `$6`th event in the same range.
fn stop(of: UsageOf) -> &'static str {
    if of.is_wide() {
        return "SELECT started_at, id FROM usage_events WHERE id >= $2 AND id < $4 AND started_at >= $1 AND started_at < $3
        ORDER BY id DESC LIMIT 1 OFFSET $5";
    }
    "SELECT started_at, id FROM usage_events WHERE user_no = $6 AND started_at >= $1 AND (started_at > $1 OR id >= $2)
        AND (started_at, id) < ($3, $4) ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET $5"
}

/// The conditions that select the requests of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Returns only requests with this key.
    pub key: Option<KeyNo>,
    /// Only requests for this model, as the client named it.
    pub model: Option<String>,
    /// Only responses with a status in this range, both ends included.
    pub status: Option<(u16, u16)>,
    /// Only requests with this result.
    pub result: Option<RequestResult>,
    /// Only requests that began at or after this time.
    pub since: Option<Timestamp>,
    /// Only requests that began before this time.
    pub until: Option<Timestamp>,
}

/// The place of a request in its user's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestPlace {
    /// Time at which the request began.
    pub at: Timestamp,
    /// Id of the request.
    pub id: Uuid,
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
    /// Whether the response was a stream of events.
    pub streamed: bool,
    /// Status that the client received.
    pub status: u16,
    /// Outcome of the request.
    pub outcome: String,
    /// Code of the refusal, if Tollgate refused the request.
    pub refusal: Option<String>,
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

impl RequestLine {
    /// Returns the result by which the request is counted. An outcome of a later version is a failure.
    #[must_use]
    pub fn result(&self) -> RequestResult {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == self.outcome);
        outcome
            .map_or(RequestResult::Failed, |outcome| RequestResult::of(self.status, outcome, self.refusal.as_deref()))
    }

    fn place(&self) -> RequestPlace {
        RequestPlace { at: self.started_at, id: self.id.0 }
    }
}

impl RequestFilter {
    /// Whether a scan may meet rows that do not match the filter.
    const fn chooses(&self) -> bool {
        self.key.is_some() || self.model.is_some() || self.status.is_some() || self.result.is_some()
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
        let range = Range::of(of, filter, after);
        let is_scan = filter.chooses() || matches!(of, UsageOf::Plan(_));
        let stop = if is_scan { self.stop(of, &range).await? } else { None };
        let from = stop.map_or(range.from, |stop| range.begin_at(of, stop));
        let (low, high) = filter.status.unwrap_or((0, u16::MAX));
        let page =
            of.bind(self.store.query(AssertSqlSafe(page(of, filter.result)))).bind(micros(from.at)).bind(from.id);
        let page = page.bind(micros(range.until.at)).bind(range.until.id).bind(i64::from(low)).bind(i64::from(high));
        let page = page.bind(filter.key.map(|key| key.0)).bind(model);
        let rows: Vec<LineRow> = page.bind(i64::try_from(limit + 1).unwrap_or(i64::MAX)).all().await?;
        let mut lines: Vec<RequestLine> = rows.into_iter().map(RequestLine::from).collect();
        let next = if lines.len() > limit {
            lines.truncate(limit);
            lines.last().map(RequestLine::place)
        } else {
            stop
        };
        Ok(RequestPage { lines, next })
    }

    /// Returns the newest requests of a user.
    pub(super) async fn newest_requests(&self, user: UserNo, count: u32) -> Result<Vec<RequestLine>, DatabaseError> {
        let rows: Vec<LineRow> = self.store.query(NEWEST).bind(user.0).bind(i64::from(count)).all().await?;
        Ok(rows.into_iter().map(RequestLine::from).collect())
    }

    /// Returns one request of a user, with its attempts in order; `None` if the id does not exist or belongs to another
    /// user.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_request(
        &self,
        user: UserNo,
        id: RequestId,
    ) -> Result<Option<(RequestLine, Vec<RequestAttempt>)>, DatabaseError> {
        self.request(Some(user.0), id).await
    }

    /// Returns one request of any user, or without a user, with its attempts in order; `None` if the id does not exist.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_any_request(
        &self,
        id: RequestId,
    ) -> Result<Option<(RequestLine, Vec<RequestAttempt>)>, DatabaseError> {
        self.request(None, id).await
    }

    async fn request(
        &self,
        user: Option<i64>,
        id: RequestId,
    ) -> Result<Option<(RequestLine, Vec<RequestAttempt>)>, DatabaseError> {
        let row: Option<LineRow> = self.store.query(ONE).bind(id.0).find().await?;
        let row = row.filter(|row| user.is_none() || row.user_no == user);
        let Some(line) = row.map(RequestLine::from) else { return Ok(None) };
        let rows: Vec<AttemptRow> = match line.attempts {
            0 => Vec::new(),
            1 => self.store.query(ONLY_ATTEMPT).bind(id.0).all().await?,
            _ => self.store.query(ATTEMPTS).bind(id.0).all().await?,
        };
        Ok(Some((line, rows.into_iter().map(RequestAttempt::from).collect())))
    }

    /// Returns the number of a model name; `None` if no request named it.
    pub(super) async fn model_no(&self, name: &str) -> Result<Option<i64>, DatabaseError> {
        let found: Option<(i64,)> = self.store.query(MODEL).bind(clip(name)).find().await?;
        Ok(found.map(|(no,)| no))
    }

    /// Returns the place at which the scan of a page must stop; `None` if fewer rows exist.
    async fn stop(&self, of: UsageOf, range: &Range) -> Result<Option<RequestPlace>, DatabaseError> {
        let stop = self.store.query(stop(of)).bind(micros(range.from.at)).bind(range.from.id);
        let stop = stop.bind(micros(range.until.at)).bind(range.until.id);
        let stop = stop.bind(i64::from(REQUESTS_LOOKED_AT_MAX) - 1);
        let row: Option<(i64, Uuid)> = match of {
            UsageOf::User(user) => stop.bind(user.0).find().await?,
            UsageOf::All | UsageOf::Plan(_) => stop.find().await?,
        };
        Ok(row.map(|(at, id)| RequestPlace { at: timestamp(at), id }))
    }
}

/// Range of places for a query: the first is included, the last is not.
struct Range {
    from: RequestPlace,
    until: RequestPlace,
}

impl Range {
    fn of(of: UsageOf, filter: &RequestFilter, after: Option<RequestPlace>) -> Self {
        if of.is_wide() {
            return Self::of_ids(filter, after);
        }
        let end = Timestamp(u64::try_from(i64::MAX).unwrap_or(u64::MAX));
        let until = RequestPlace { at: filter.until.unwrap_or(end), id: Uuid::nil() };
        let from = RequestPlace { at: filter.since.unwrap_or_default(), id: Uuid::nil() };
        Self { from, until: after.map_or(until, |after| after.min(until)) }
    }

    /// The range of ids that a query for several users reads, besides the times of the filter.
    fn of_ids(filter: &RequestFilter, after: Option<RequestPlace>) -> Self {
        let end = Timestamp(u64::try_from(i64::MAX).unwrap_or(u64::MAX));
        let first = filter.since.map_or(Uuid::nil(), |since| first_id(since.before(ID_SLACK)));
        let last = filter.until.map_or(Uuid::max(), |until| first_id(until.after(ID_SLACK)));
        let from = RequestPlace { at: filter.since.unwrap_or_default(), id: first };
        let id = after.map_or(last, |after| after.id.min(last));
        Self { from, until: RequestPlace { at: filter.until.unwrap_or(end), id } }
    }

    /// The begin of the range if it may not be read beyond `stop`.
    const fn begin_at(&self, of: UsageOf, stop: RequestPlace) -> RequestPlace {
        if of.is_wide() { RequestPlace { at: self.from.at, id: stop.id } } else { stop }
    }
}

/// Returns the SQL texts that this module builds.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    UsageOf::KINDS
        .into_iter()
        .flat_map(|of| [page(of, None), page(of, Some(RequestResult::Failed)), stop(of).to_owned()])
        .collect()
}

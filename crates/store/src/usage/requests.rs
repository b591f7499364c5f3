//! Requests, one row each, newest first; one of them in full.

use access::{Credits, KeyId, KeyNo, NanoUsd, RequestId, Timestamp, UserNo};
use meter::{Billed, Source, ToolCalls, Unit, Usage};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ingest::clip;
use crate::statement::{micros, statements, timestamp, unsigned};
use crate::store::Store;

/// Rows of a user that one page looks at. Where few are of what is asked for, a page may have fewer than were asked for, or
/// none, and be followed by another.
pub const REQUESTS_LOOKED_AT_MAX: u32 = 20_000;
/// Lines on a page, at the most.
pub const REQUESTS_PAGE_MAX: u32 = 1_000;

/// What a line says, of `e`, which gives a few rows of `usage_events`.
macro_rules! line {
    () => {
        "SELECT e.id, e.user_no, e.started_at, k.id AS key_id, k.label, k.prefix, k.last4, route.name AS route, e.format,
            model.name AS model, provider.name AS provider, e.streamed, e.status, e.outcome, e.refusal, e.credits,
            e.request_bytes, e.response_bytes, e.duration_us, e.attempts, e.first_byte_us, e.upstream_us, e.usage_source,
            e.input_tokens, e.cached_input_tokens, e.cache_write_short_tokens, e.cache_write_long_tokens, e.output_tokens,
            e.reasoning_tokens, e.audio_input_tokens, e.image_input_tokens, e.audio_output_tokens, e.image_output_tokens,
            e.billed_unit, e.billed_quantity, e.searches, e.maps_prompts, e.maps_queries, e.containers, e.file_searches,
            e.cost_nano, e.cost_unknown, e.charged_tokens, e.charged_nano,
            CASE WHEN e.format IS NULL OR e.attempts = 0 THEN FALSE WHEN e.attempts = 1 THEN e.cost_nano IS NULL
                ELSE EXISTS (SELECT 1 FROM usage_attempts a WHERE a.event_id = e.id AND a.cost_nano IS NULL) END AS unpriced
            FROM "
    };
}
/// The names beside them.
macro_rules! named {
    () => {
        " e LEFT JOIN api_keys k ON k.no = e.key_no LEFT JOIN names route ON route.no = e.route_no
            LEFT JOIN names model ON model.no = e.model_no LEFT JOIN names provider ON provider.no = e.provider_no "
    };
}
/// What an attempt says, of `a`.
macro_rules! attempt {
    ($table:literal, $where:literal) => {
        concat!(
            "SELECT provider.name AS provider, model.name AS model, answered.name AS answered_model, a.upstream_status,
            a.upstream_id, price.name AS price, a.first_byte_us, a.upstream_us, a.usage_source, a.input_tokens,
            a.cached_input_tokens, a.cache_write_short_tokens, a.cache_write_long_tokens, a.output_tokens, a.reasoning_tokens,
            a.audio_input_tokens, a.image_input_tokens, a.audio_output_tokens, a.image_output_tokens, a.billed_unit,
            a.billed_quantity, a.searches, a.maps_prompts, a.maps_queries, a.containers, a.file_searches, a.cost_nano,
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
    // From the place (`$2`, `$3`) on, up to the place (`$4`, `$5`), which is not among them.
    PAGE = concat!(line!(), "(SELECT * FROM usage_events WHERE user_no = $1 AND started_at >= $2
        AND (started_at > $2 OR id >= $3) AND (started_at, id) < ($4, $5) AND status >= $6 AND status <= $7
        AND (key_no = $8 OR $8 IS NULL) AND (model_no = $9 OR $9 IS NULL) ORDER BY started_at DESC, id DESC LIMIT $10)",
        named!(), "ORDER BY e.started_at DESC, e.id DESC");
    STOP = "SELECT started_at, id FROM usage_events WHERE user_no = $1 AND started_at >= $2 AND (started_at, id) < ($3, $4)
        ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET $5";
    ONE = concat!(line!(), "(SELECT * FROM usage_events WHERE id = $1)", named!());
    MODEL = "SELECT no FROM names WHERE kind = 'model' AND name = $1";
    ONLY_ATTEMPT = attempt!("usage_events", "a.id = $1 AND a.attempts = 1");
    ATTEMPTS = attempt!("usage_attempts", "a.event_id = $1 ORDER BY a.no");
}

/// Which requests are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Of this key.
    pub key: Option<KeyNo>,
    /// For a model that the caller called so.
    pub model: Option<String>,
    /// Answered with a status from the one to the other, both among them.
    pub status: Option<(u16, u16)>,
    /// Begun then or later.
    pub since: Option<Timestamp>,
    /// Begun before.
    pub until: Option<Timestamp>,
}

/// A request's place among its user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestPlace {
    /// When it began.
    pub at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

/// Requests, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestPage {
    /// The requests.
    pub lines: Vec<RequestLine>,
    /// After which place the next page begins; `None` at the end. There may be a next page where this one is empty.
    pub next: Option<RequestPlace>,
}

/// The key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Its id.
    pub id: KeyId,
    /// What its owner calls it.
    pub label: String,
    /// What stands before the underscore.
    pub prefix: String,
    /// The last four digits.
    pub last4: String,
}

/// A request. Words (`outcome`, `refusal`) may be those of a newer tollgate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    /// Its id.
    pub id: RequestId,
    /// When its head had arrived.
    pub started_at: Timestamp,
    /// The key, where the store knows it.
    pub key: Option<RequestKey>,
    /// The route's name.
    pub route: Option<String>,
    /// The wire format's name, on an LLM route.
    pub format: Option<String>,
    /// The model's name as the caller wrote it.
    pub model: Option<String>,
    /// Who answered last.
    pub provider: Option<String>,
    /// Whether the answer was a stream of events.
    pub streamed: bool,
    /// The status that the caller got.
    pub status: u16,
    /// How it ended.
    pub outcome: String,
    /// The code of our own answer, where the answer was ours.
    pub refusal: Option<String>,
    /// What it cost of the quota.
    pub credits: Credits,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// Microseconds from the head to the end of the answer.
    pub duration_us: u64,
    /// Calls upstream; 0 where it never reached one.
    pub attempts: u64,
    /// Of the last attempt: microseconds until the first byte of the answer's head.
    pub first_byte_us: Option<u64>,
    /// Of the last attempt: microseconds until its end.
    pub upstream_us: Option<u64>,
    /// What all attempts used; `None` where nobody said.
    pub usage: Option<Usage>,
    /// What is known of the cost.
    pub cost: Option<NanoUsd>,
    /// Whether the cost of an attempt is not known.
    pub unpriced: bool,
    /// Why: a word of [`meter::UnknownCost`], or of a newer tollgate; of several attempts the first one's.
    pub unknown: Option<String>,
    /// What budgets count for it: tokens and money that were used, or were reserved where nobody said.
    pub charged: (u64, NanoUsd),
}

/// One call upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAttempt {
    /// The provider's or upstream's name.
    pub provider: Option<String>,
    /// The model as the provider was asked for it.
    pub model: Option<String>,
    /// The model that answered, where the provider says.
    pub answered_model: Option<String>,
    /// The upstream's status; `None` when it answered nothing.
    pub status: Option<u16>,
    /// The provider's own id of the request.
    pub upstream_id: Option<String>,
    /// What it used; `None` when nobody said.
    pub usage: Option<Usage>,
    /// What that costs; `None` when usage or price are not known.
    pub cost: Option<NanoUsd>,
    /// Why that is not known: a word of [`meter::UnknownCost`], or of a newer tollgate.
    pub unknown: Option<String>,
    /// The price's version.
    pub price_version: Option<String>,
    /// Microseconds until the first byte of the answer's head.
    pub first_byte_us: Option<u64>,
    /// Microseconds until its end.
    pub duration_us: u64,
}

#[derive(sqlx::FromRow)]
struct FiguresRow {
    usage_source: Option<String>,
    input_tokens: Option<i64>,
    cached_input_tokens: Option<i64>,
    cache_write_short_tokens: Option<i64>,
    cache_write_long_tokens: Option<i64>,
    output_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    audio_input_tokens: Option<i64>,
    image_input_tokens: Option<i64>,
    audio_output_tokens: Option<i64>,
    image_output_tokens: Option<i64>,
    billed_unit: Option<String>,
    billed_quantity: Option<i64>,
    searches: Option<i64>,
    maps_prompts: Option<i64>,
    maps_queries: Option<i64>,
    containers: Option<i64>,
    file_searches: Option<i64>,
    cost_nano: Option<i64>,
    cost_unknown: Option<String>,
}

#[derive(sqlx::FromRow)]
struct LineRow {
    id: Uuid,
    user_no: Option<i64>,
    started_at: i64,
    key_id: Option<Uuid>,
    label: Option<String>,
    prefix: Option<String>,
    last4: Option<String>,
    route: Option<String>,
    format: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    streamed: bool,
    status: i64,
    outcome: String,
    refusal: Option<String>,
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

#[derive(sqlx::FromRow)]
struct AttemptRow {
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

impl FiguresRow {
    /// `None` where no source is told, or one that this tollgate does not know.
    fn usage(&self) -> Option<Usage> {
        let word = self.usage_source.as_deref()?;
        let source = Source::ALL.into_iter().find(|source| source.as_str() == word)?;
        let unit =
            self.billed_unit.as_deref().and_then(|word| Unit::ALL.into_iter().find(|unit| unit.as_str() == word));
        let of = |tokens: Option<i64>| tokens.map(unsigned);
        Some(Usage {
            source,
            input: of(self.input_tokens),
            cached_input: of(self.cached_input_tokens),
            cache_write_short: of(self.cache_write_short_tokens),
            cache_write_long: of(self.cache_write_long_tokens),
            output: of(self.output_tokens),
            reasoning: of(self.reasoning_tokens),
            audio_input: of(self.audio_input_tokens),
            image_input: of(self.image_input_tokens),
            audio_output: of(self.audio_output_tokens),
            image_output: of(self.image_output_tokens),
            billed: unit.zip(of(self.billed_quantity)).map(|(unit, quantity)| Billed { unit, quantity }),
            tools: ToolCalls {
                searches: of(self.searches),
                maps_prompts: of(self.maps_prompts),
                maps_queries: of(self.maps_queries),
                containers: of(self.containers),
                file_searches: of(self.file_searches),
            },
        })
    }
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
        Self {
            id: RequestId(row.id),
            started_at: timestamp(row.started_at),
            key,
            route: row.route,
            format: row.format,
            model: row.model,
            provider: row.provider,
            streamed: row.streamed,
            status: status(row.status),
            outcome: row.outcome,
            refusal: row.refusal,
            credits: Credits(u32::try_from(row.credits).unwrap_or(u32::MAX)),
            request_bytes: unsigned(row.request_bytes),
            response_bytes: unsigned(row.response_bytes),
            duration_us: unsigned(row.duration_us),
            attempts: unsigned(row.attempts),
            first_byte_us: row.first_byte_us.map(unsigned),
            upstream_us: row.upstream_us.map(unsigned),
            usage: row.figures.usage(),
            cost: row.figures.cost_nano.map(NanoUsd),
            unpriced: row.unpriced,
            unknown: row.figures.cost_unknown,
            charged: (unsigned(row.charged_tokens), NanoUsd(row.charged_nano)),
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
            usage: row.figures.usage(),
            cost: row.figures.cost_nano.map(NanoUsd),
            unknown: row.figures.cost_unknown,
            price_version: row.price,
            first_byte_us: row.first_byte_us.map(unsigned),
            duration_us: unsigned(row.upstream_us.unwrap_or(0)),
        }
    }
}

impl RequestLine {
    fn place(&self) -> RequestPlace {
        RequestPlace { at: self.started_at, id: self.id.0 }
    }
}

impl RequestFilter {
    /// Whether rows must be looked at that may not be of it.
    const fn chooses(&self) -> bool {
        self.key.is_some() || self.model.is_some() || self.status.is_some()
    }
}

impl Store {
    /// A page of a user's requests: at most `limit` of those after the place `after`, from the newest on where there is none.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn requests_page(
        &self,
        user: UserNo,
        filter: &RequestFilter,
        (after, limit): (Option<RequestPlace>, u32),
    ) -> Result<RequestPage, StoreError> {
        let limit = usize::try_from(limit.min(REQUESTS_PAGE_MAX)).unwrap_or(usize::MAX);
        let model = match filter.model.as_deref().map(|name| self.model_no(name)) {
            None => None,
            Some(asked) => match asked.await? {
                Some(no) => Some(no),
                // Nobody ever asked for it.
                None => return Ok(RequestPage::default()),
            },
        };
        let range = Range::of(filter, after);
        let stop = if filter.chooses() { self.stop(user, &range).await? } else { None };
        let from = stop.unwrap_or(range.from);
        let (low, high) = filter.status.unwrap_or((0, u16::MAX));
        let page = self.query(PAGE).bind(user.0).bind(micros(from.at)).bind(from.id);
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

    /// The newest requests of a user.
    pub(super) async fn newest_requests(&self, user: UserNo, count: u32) -> Result<Vec<RequestLine>, StoreError> {
        let rows: Vec<LineRow> = self.query(NEWEST).bind(user.0).bind(i64::from(count)).all().await?;
        Ok(rows.into_iter().map(RequestLine::from).collect())
    }

    /// One request of a user's, and its calls upstream in order; `None` where there is none of this id, or it is another's.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn find_request(
        &self,
        user: UserNo,
        id: RequestId,
    ) -> Result<Option<(RequestLine, Vec<RequestAttempt>)>, StoreError> {
        let row: Option<LineRow> = self.query(ONE).bind(id.0).find().await?;
        let Some(line) = row.filter(|row| row.user_no == Some(user.0)).map(RequestLine::from) else { return Ok(None) };
        let rows: Vec<AttemptRow> = match line.attempts {
            0 => Vec::new(),
            1 => self.query(ONLY_ATTEMPT).bind(id.0).all().await?,
            _ => self.query(ATTEMPTS).bind(id.0).all().await?,
        };
        Ok(Some((line, rows.into_iter().map(RequestAttempt::from).collect())))
    }

    async fn model_no(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let found: Option<(i64,)> = self.query(MODEL).bind(clip(name)).find().await?;
        Ok(found.map(|(no,)| no))
    }

    /// Where a page that may look at so many rows must stop, if there are more.
    async fn stop(&self, user: UserNo, range: &Range) -> Result<Option<RequestPlace>, StoreError> {
        let stop = self.query(STOP).bind(user.0).bind(micros(range.from.at)).bind(micros(range.until.at));
        let stop = stop.bind(range.until.id).bind(i64::from(REQUESTS_LOOKED_AT_MAX) - 1);
        let row: Option<(i64, Uuid)> = stop.find().await?;
        Ok(row.map(|(at, id)| RequestPlace { at: timestamp(at), id }))
    }
}

/// Places between which requests are asked for: the first is among them, the last is not.
struct Range {
    from: RequestPlace,
    until: RequestPlace,
}

impl Range {
    fn of(filter: &RequestFilter, after: Option<RequestPlace>) -> Self {
        let end = Timestamp(u64::try_from(i64::MAX).unwrap_or(u64::MAX));
        let until = RequestPlace { at: filter.until.unwrap_or(end), id: Uuid::nil() };
        let from = RequestPlace { at: filter.since.unwrap_or_default(), id: Uuid::nil() };
        Self { from, until: after.map_or(until, |after| after.min(until)) }
    }
}

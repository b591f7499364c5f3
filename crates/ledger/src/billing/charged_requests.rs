//! The requests of a user on one day that invoices charge, page by page.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use access::{Credits, Day, Timestamp, UserNo};
use meter::Usage;
use meter::usage_columns;
use store::sql::{micros, statements, timestamp, unsigned};
use store::{DatabaseError, Store};
use uuid::Uuid;

use crate::usage_columns::{UsageRow, selected};

/// Maximum number of requests in a page.
pub const CHARGED_PAGE: usize = 1_000;
/// Maximum number of sums of requests that are stored as counts: one per route and class of the status.
const FOLDED_MAX: u32 = 10_000;
/// Maximum number of prices of a day.
const PRICES_MAX: u32 = 10_000;
/// Maximum difference between the time of a request and the day on which it was admitted.
pub(super) const SLACK: Duration = Duration::from_secs(600);

/// The condition that the cost of an LLM request `e` is unknown, or partly unknown. The cost of attempts with the user's own
/// credential, whose `own_cost_nano` is never null, does not matter.
macro_rules! is_unpriced {
    () => {
        "(e.attempts = 0 OR e.attempts = 1 AND e.cost_nano IS NULL AND e.own_cost_nano IS NULL OR e.attempts > 1 AND EXISTS
        (SELECT 1 FROM usage_attempts t WHERE t.event_id = e.id AND t.cost_nano IS NULL AND t.own_cost_nano IS NULL))"
    };
}
pub(super) use is_unpriced;

statements! {
    // The events that daily_usage contains; those that were stored after the invoice was made are not part of it.
    REQUESTS = concat!(
        "SELECT e.id, e.started_at, route.name AS route, e.format, model.name AS model, provider.name AS provider,
        sent.name AS sent_model, answered.name AS answered_model, price.name AS price, e.attempts, e.status, e.outcome, e.credits,
        e.cost_nano - coalesce(e.own_cost_nano, 0) AS cost_nano, ",
        usage_columns!(selected "e."),
        ", CASE WHEN e.format IS NOT NULL AND ",
        is_unpriced!(),
        " THEN TRUE ELSE FALSE END AS unpriced
        FROM (SELECT * FROM usage_events WHERE user_no = $1 AND started_at >= $2 AND started_at < $3 AND (started_at > $2 OR id > $4)
        AND day = $5 AND created_at <= $6 AND (attempts > 0 OR outcome = 'interrupted') ORDER BY started_at, id LIMIT $7) e
        LEFT JOIN names route ON route.no = e.route_no LEFT JOIN names model ON model.no = e.model_no
        LEFT JOIN names provider ON provider.no = e.provider_no LEFT JOIN names price ON price.no = e.price_no
        LEFT JOIN names sent ON sent.no = e.provider_model_no LEFT JOIN names answered ON answered.no = e.answered_model_no
        ORDER BY e.started_at, e.id"
    );
    // The attempts of the requests that needed more than one: at least those of the page that begins at the same request.
    ATTEMPTS = concat!(
        "SELECT a.event_id, provider.name AS provider, sent.name AS sent_model, answered.name AS answered_model, price.name AS price,
        a.cost_nano - coalesce(a.own_cost_nano, 0) AS cost_nano, ",
        usage_columns!(selected "a."),
        " FROM (SELECT id FROM usage_events WHERE user_no = $1 AND started_at >= $2 AND started_at < $3 AND (started_at > $2 OR id > $4)
        AND day = $5 AND created_at <= $6 AND attempts > 1 ORDER BY started_at, id LIMIT $7) e
        JOIN usage_attempts a ON a.event_id = e.id
        LEFT JOIN names provider ON provider.no = a.provider_no LEFT JOIN names price ON price.no = a.price_no
        LEFT JOIN names sent ON sent.no = a.provider_model_no LEFT JOIN names answered ON answered.no = a.answered_model_no
        ORDER BY a.event_id, a.no"
    );
    // Each price that rated a request of a day, with the models by which it is found again.
    PRICES = "SELECT provider.name, sent.name, answered.name, price.name FROM (
        SELECT provider_no, provider_model_no, answered_model_no, price_no FROM usage_events WHERE user_no = $1
        AND started_at >= $2 AND started_at < $3 AND day = $4 AND created_at <= $5 AND attempts = 1
        UNION SELECT a.provider_no, a.provider_model_no, a.answered_model_no, a.price_no FROM usage_events e
        JOIN usage_attempts a ON a.event_id = e.id WHERE e.user_no = $1 AND e.started_at >= $2 AND e.started_at < $3
        AND e.day = $4 AND e.created_at <= $5 AND e.attempts > 1) used
        JOIN names provider ON provider.no = used.provider_no JOIN names price ON price.no = used.price_no
        JOIN names sent ON sent.no = used.provider_model_no LEFT JOIN names answered ON answered.no = used.answered_model_no LIMIT $6";
    // The counts that daily_usage contains: those of requests that reached an upstream.
    FOLDED = "SELECT n.name, c.status_class, CAST(sum(c.requests) AS BIGINT), CAST(sum(c.credits) AS BIGINT)
        FROM usage_counts c LEFT JOIN names n ON n.no = c.route_no
        WHERE c.user_no = $1 AND c.minute >= $2 AND c.minute < $3 AND c.day = $4 AND c.status_class < 10 AND c.key_no <> 0
        GROUP BY n.name, c.status_class LIMIT $5";
}

/// The price of an attempt, as it was named when the attempt was rated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChargedPrice {
    /// Name of the provider.
    pub provider: String,
    /// Model that the provider was asked for.
    pub sent_model: String,
    /// Model that responded, if the provider reports it.
    pub answered_model: Option<String>,
    /// Version of the price.
    pub version: String,
}

/// One attempt of a charged request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedAttempt {
    /// The price; `None` if the attempt has none.
    pub price: Option<ChargedPrice>,
    /// Usage of the attempt.
    pub usage: Option<Usage>,
    /// Cost in nano-USD, 0 with the user's own credential if the cost is known; `None` if it is unknown.
    pub cost_nano: Option<u64>,
}

/// One request that an invoice charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedRequest {
    /// Id of the request.
    pub id: Uuid,
    /// Time at which its head had arrived.
    pub started_at: Timestamp,
    /// Name of the route.
    pub route: Option<String>,
    /// Name of the format; `None` for ordinary APIs.
    pub format: Option<String>,
    /// Name of the model as the client wrote it.
    pub model: Option<String>,
    /// Provider of the last attempt.
    pub provider: Option<String>,
    /// Version of the price of the last attempt.
    pub price: Option<String>,
    /// Status that the client received.
    pub status: u16,
    /// Outcome of the request.
    pub outcome: String,
    /// Credits of the request.
    pub credits: Credits,
    /// Usage of all attempts.
    pub usage: Option<Usage>,
    /// Known part of the cost in nano-USD, without that of the user's own credentials.
    pub cost_nano: Option<u64>,
    /// Whether the cost is unknown or partly unknown, except for attempts with the user's own credentials.
    pub unpriced: bool,
    /// The attempts in their order; none for requests that reached no provider.
    pub attempts: Vec<ChargedAttempt>,
}

/// Requests of one day that are stored as counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedRequests {
    /// Name of the route.
    pub route: Option<String>,
    /// The class of the status: 2 is 200 to 299.
    pub status_class: u16,
    /// Number of the counted requests.
    pub requests: u64,
    /// Credits of the requests.
    pub credits: Credits,
}

/// The requests of a user on one day, as far as they were stored when an invoice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargedDayOf {
    /// The number of the user.
    pub user: UserNo,
    /// The UTC day of admission.
    pub day: Day,
    /// The time at which the invoice was computed, in microseconds.
    pub computed_at: i64,
}

#[derive(sqlx_macros::FromRow)]
struct RequestRow {
    id: Uuid,
    started_at: i64,
    route: Option<String>,
    format: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    sent_model: Option<String>,
    answered_model: Option<String>,
    price: Option<String>,
    attempts: i64,
    status: i64,
    outcome: String,
    credits: i64,
    cost_nano: Option<i64>,
    #[sqlx(flatten)]
    usage: UsageRow,
    unpriced: bool,
}

#[derive(sqlx_macros::FromRow)]
struct AttemptRow {
    event_id: Uuid,
    provider: Option<String>,
    sent_model: Option<String>,
    answered_model: Option<String>,
    price: Option<String>,
    cost_nano: Option<i64>,
    #[sqlx(flatten)]
    usage: UsageRow,
}

impl ChargedPrice {
    fn from_columns(
        provider: Option<&String>,
        models: (Option<&String>, Option<&String>),
        version: Option<&String>,
    ) -> Option<Self> {
        let sent_model = models.0?.clone();
        let answered_model = models.1.cloned();
        Some(Self { provider: provider?.clone(), sent_model, answered_model, version: version?.clone() })
    }
}

impl From<AttemptRow> for ChargedAttempt {
    fn from(row: AttemptRow) -> Self {
        let models = (row.sent_model.as_ref(), row.answered_model.as_ref());
        Self {
            price: ChargedPrice::from_columns(row.provider.as_ref(), models, row.price.as_ref()),
            usage: row.usage.usage(),
            cost_nano: row.cost_nano.map(unsigned),
        }
    }
}

impl From<RequestRow> for ChargedRequest {
    fn from(row: RequestRow) -> Self {
        let models = (row.sent_model.as_ref(), row.answered_model.as_ref());
        let usage = row.usage.usage();
        let cost_nano = row.cost_nano.map(unsigned);
        let price = ChargedPrice::from_columns(row.provider.as_ref(), models, row.price.as_ref());
        let attempts = if row.attempts == 1 { vec![ChargedAttempt { price, usage, cost_nano }] } else { Vec::new() };
        Self {
            id: row.id,
            started_at: timestamp(row.started_at),
            route: row.route,
            format: row.format,
            model: row.model,
            provider: row.provider,
            price: row.price,
            status: u16::try_from(row.status).unwrap_or(0),
            outcome: row.outcome,
            credits: Credits(unsigned(row.credits)),
            usage,
            cost_nano,
            unpriced: row.unpriced,
            attempts,
        }
    }
}

impl ChargedDayOf {
    fn bounds(self) -> (Timestamp, Timestamp) {
        (self.day.start().before(SLACK), self.day.next().start().after(SLACK))
    }

    /// Returns at most [`CHARGED_PAGE`] requests in the order of their times, from the one after `after` on.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn requests(
        self,
        store: &Store,
        after: Option<(Timestamp, Uuid)>,
    ) -> Result<Vec<ChargedRequest>, DatabaseError> {
        let (from, until) = self.bounds();
        let (from, id) = after.unwrap_or((from, Uuid::nil()));
        let limit = i64::try_from(CHARGED_PAGE).unwrap_or(i64::MAX);
        let page = |text| {
            let query = store.query(text).bind(self.user.0).bind(micros(from)).bind(micros(until)).bind(id);
            query.bind(i64::from(self.day.0)).bind(self.computed_at).bind(limit)
        };
        let rows: Vec<RequestRow> = page(REQUESTS).all().await?;
        let has_several = rows.iter().any(|row| row.attempts > 1);
        let mut requests: Vec<ChargedRequest> = rows.into_iter().map(ChargedRequest::from).collect();
        if has_several {
            let mut attempts: HashMap<Uuid, Vec<ChargedAttempt>> = HashMap::new();
            for row in page(ATTEMPTS).all::<AttemptRow>().await? {
                attempts.entry(row.event_id).or_default().push(row.into());
            }
            for request in &mut requests {
                request.attempts.append(&mut attempts.remove(&request.id).unwrap_or_default());
            }
        }
        Ok(requests)
    }

    /// Returns each price that rated a request of the day, in their order.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn prices(self, store: &Store) -> Result<BTreeSet<ChargedPrice>, DatabaseError> {
        let (from, until) = self.bounds();
        let query = store.query(PRICES).bind(self.user.0).bind(micros(from)).bind(micros(until));
        let query = query.bind(i64::from(self.day.0)).bind(self.computed_at).bind(i64::from(PRICES_MAX));
        let rows: Vec<(String, String, Option<String>, String)> = query.all().await?;
        let price = |(provider, sent_model, answered_model, version)| ChargedPrice {
            provider,
            sent_model,
            answered_model,
            version,
        };
        Ok(rows.into_iter().map(price).collect())
    }

    /// Returns the requests that are stored as counts, by route and class of the status.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn folded(self, store: &Store) -> Result<Vec<FoldedRequests>, DatabaseError> {
        let (from, until) = self.bounds();
        let minute = |at: Timestamp| i64::try_from(at.unix_seconds() / 60).unwrap_or(i64::MAX);
        let query = store.query(FOLDED).bind(self.user.0).bind(minute(from)).bind(minute(until));
        let query = query.bind(i64::from(self.day.0)).bind(i64::from(FOLDED_MAX));
        let rows: Vec<(Option<String>, i64, i64, i64)> = query.all().await?;
        let folded = |(route, class, requests, credits)| FoldedRequests {
            route,
            status_class: u16::try_from(class).unwrap_or(0),
            requests: unsigned(requests),
            credits: Credits(unsigned(credits)),
        };
        let mut sums: Vec<FoldedRequests> = rows.into_iter().map(folded).collect();
        // Databases order texts differently.
        sums.sort_by(|a, b| (&a.route, a.status_class).cmp(&(&b.route, b.status_class)));
        Ok(sums)
    }
}

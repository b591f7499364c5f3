//! The newest responses of providers, from which their health is judged.

use access::{Timestamp, UserNo};
use meter::Outcome;
use store::DatabaseError;
use store::sql::{micros, statements, timestamp};

use crate::handle::Ledger;
use crate::row_ids::first_id;

/// Maximum number of requests that are read.
pub const PROVIDER_REQUESTS_MAX: u32 = 500;

/// Names of a selection `e` of events. A failed connection has no attempt, and so no provider, but a model.
macro_rules! named {
    () => {
        " e LEFT JOIN names n ON n.no = e.provider_no LEFT JOIN names m ON m.no = e.model_no
        WHERE e.format IS NOT NULL AND (e.provider_no IS NOT NULL
            OR e.refusal IN ('upstream_connect', 'upstream_reset', 'upstream_protocol', 'upstream_timeout'))"
    };
}
macro_rules! columns {
    () => {
        "SELECT n.name AS provider, m.name AS model, e.started_at, e.upstream_status, e.outcome FROM "
    };
}

/// Leaves out refusals of users' own credentials, which say nothing about the shared one. The status is that of the last attempt,
/// which may have the shared credential after an own one.
macro_rules! shared {
    () => {
        " AND (own_cost_nano IS NULL OR upstream_status IS NULL OR upstream_status NOT IN (401, 403, 429)
        OR attempts > 1 AND (SELECT t.own_cost_nano FROM usage_attempts t WHERE t.event_id = usage_events.id
            ORDER BY t.no DESC LIMIT 1) IS NULL)"
    };
}

statements! {
    OF_USER = concat!(columns!(), "(SELECT * FROM usage_events WHERE user_no = $1 AND started_at >= $2
        ORDER BY started_at DESC, id DESC LIMIT $3)", named!(), " ORDER BY e.started_at DESC, e.id DESC");
    // The refusals do not count for the limit: one agent that repeats a refused call would hide all other requests.
    OF_ALL = concat!(columns!(), "(SELECT * FROM usage_events WHERE id >= $1", shared!(), " ORDER BY id DESC LIMIT $2)", named!(),
        " ORDER BY e.id DESC");
}

/// The last attempt of an LLM request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderResponse {
    /// The provider's name in the configuration; `None` if the connection failed.
    pub provider: Option<String>,
    /// Name of the model, as the client wrote it.
    pub model: Option<String>,
    /// Time at which the request began.
    pub at: Timestamp,
    /// Status of the provider's response; `None` if it sent no response.
    pub status: Option<u16>,
    /// Whether the response was received to its end, as far as the provider decides that.
    pub is_complete: bool,
}

#[derive(sqlx_macros::FromRow)]
struct ProviderRow {
    provider: Option<String>,
    model: Option<String>,
    started_at: i64,
    upstream_status: Option<i64>,
    outcome: String,
}

impl Ledger {
    /// Returns the responses to the newest LLM requests that began at or after `since`, newest first: of one user, or of
    /// all clients, without refusals of users' own credentials. A request that something else than the provider ended before a
    /// response is missing.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn newest_responses(
        &self,
        user: Option<UserNo>,
        since: Timestamp,
    ) -> Result<Vec<ProviderResponse>, DatabaseError> {
        let query = match user {
            Some(user) => self.store.query(OF_USER).bind(user.0).bind(micros(since)),
            // Ids are in the order of their requests (UUIDv7).
            None => self.store.query(OF_ALL).bind(first_id(since)),
        };
        let rows: Vec<ProviderRow> = query.bind(i64::from(PROVIDER_REQUESTS_MAX)).all().await?;
        Ok(rows.into_iter().filter_map(ProviderRow::response).collect())
    }
}

impl ProviderRow {
    fn response(self) -> Option<ProviderResponse> {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == self.outcome)?;
        let status = self.upstream_status.and_then(|status| u16::try_from(status).ok());
        let is_complete = !matches!(outcome, Outcome::UpstreamCut | Outcome::TimedOut);
        let says_nothing = status.is_none()
            && matches!(outcome, Outcome::CallerGone | Outcome::Drained | Outcome::Interrupted | Outcome::BudgetCut);
        let at = timestamp(self.started_at);
        let provider = self.provider;
        let model = self.model;
        (!says_nothing).then_some(ProviderResponse { provider, model, at, status, is_complete })
    }
}

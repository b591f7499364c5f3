//! What is remembered of a request: a row each, or counts of a minute.

use std::sync::Arc;

use access::{Day, KeyNo, NanoUsd, PlanId, Principal, RequestId, Timestamp, UserNo};
use serde::{Deserialize, Serialize};

use crate::budget::Charge;
use crate::unknown::UnknownCost;
use crate::usage::Usage;

/// Whose request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Caller {
    /// The key's owner.
    pub user: UserNo,
    /// The key.
    pub key: KeyNo,
    /// The plan that the owner had when the request was admitted.
    pub plan: PlanId,
}

impl From<&Principal> for Caller {
    fn from(principal: &Principal) -> Self {
        Self { user: principal.user_no, key: principal.key_no, plan: principal.plan_id }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The answer was relayed whole, whatever its status.
    Completed,
    /// The caller went away first.
    CallerGone,
    /// The upstream closed or broke off first.
    UpstreamCut,
    /// A deadline ended it.
    TimedOut,
    /// We were shutting down.
    Drained,
    /// The process died; what became of the request nobody knows.
    Interrupted,
    /// Its caller's budget was used up; we ended it.
    BudgetCut,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Completed,
        Self::CallerGone,
        Self::UpstreamCut,
        Self::TimedOut,
        Self::Drained,
        Self::Interrupted,
        Self::BudgetCut,
    ];

    /// The word in the store, the log and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CallerGone => "caller_gone",
            Self::UpstreamCut => "upstream_cut",
            Self::BudgetCut => "budget_cut",
            Self::TimedOut => "timed_out",
            Self::Drained => "drained",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One call upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider's or upstream's name.
    pub provider: Arc<str>,
    /// The model as the provider was asked for it.
    pub model: Option<Arc<str>>,
    /// The model that answered, where the provider says.
    pub answered_model: Option<Arc<str>>,
    /// The upstream's status; `None` when it answered nothing.
    pub status: Option<u16>,
    /// The provider's own id of the request.
    pub upstream_id: Option<Arc<str>>,
    /// What it used; `None` when nobody said.
    pub usage: Option<Usage>,
    /// The object in which the provider said so, as it stood in the answer.
    pub raw_usage: Option<Arc<str>>,
    /// What that costs; `None` when usage or price are not known.
    pub cost: Option<NanoUsd>,
    /// Why the cost of an LLM call is not known; `None` where it is.
    pub unknown: Option<UnknownCost>,
    /// The price's version.
    pub price_version: Option<Arc<str>>,
    /// Microseconds until the first byte of the answer's head.
    pub first_byte_us: Option<u64>,
    /// Microseconds until its end.
    pub duration_us: u64,
}

/// One request that reached an upstream, or an LLM request of a known caller that we refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// The request's id; ingest is idempotent by it.
    pub id: RequestId,
    /// Whose request; `None` on an open route.
    pub caller: Option<Caller>,
    /// When its head had arrived.
    pub started_at: Timestamp,
    /// The day whose quota it was admitted under.
    pub day: Day,
    /// What it counts for in quotas and budgets: its credits; of tokens and money what was used, or what was reserved where
    /// nobody said and a budget holds them.
    pub charge: Charge,
    /// The route's name.
    pub route: Arc<str>,
    /// The wire format's name, on an LLM route.
    pub format: Option<Arc<str>>,
    /// The model's name as the caller wrote it.
    pub model: Option<Arc<str>>,
    /// Whether the answer was a stream of events.
    pub streamed: bool,
    /// The status that the caller got.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body that were handed to the caller's connection.
    pub response_bytes: u64,
    /// Microseconds from the head to the end of the answer.
    pub duration_us: u64,
    /// The calls upstream, in order; empty where the request never reached one.
    pub attempts: Vec<Attempt>,
    /// The code of our own answer, where the answer was ours.
    pub refusal: Option<Arc<str>>,
}

impl UsageEvent {
    /// Whether it is a request of a day's totals: what never reached an upstream is not. Of what was interrupted nobody knows.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.attempts.is_empty() || self.outcome == Outcome::Interrupted
    }

    /// When it ended.
    #[must_use]
    pub const fn ended_at(&self) -> Timestamp {
        Timestamp(self.started_at.0.saturating_add(self.duration_us))
    }

    /// Whether it is told as an error: an answer of 400 and more, or one of ours.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.status >= 400 || self.refusal.is_some()
    }
}

/// Requests of one caller, route, status class and minute, folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Whose requests; `None` on an open route.
    pub caller: Option<Caller>,
    /// The route's name.
    pub route: Arc<str>,
    /// The status's first digit, 1 to 5.
    pub status_class: u8,
    /// Whole minutes since the Unix epoch.
    pub minute: u32,
    /// The day whose quota they were admitted under.
    pub day: Day,
    /// How many.
    pub requests: u64,
    /// What they cost of the quota.
    pub credits: u64,
}

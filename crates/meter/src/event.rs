//! Records of requests: one usage event each, or aggregated counts per minute.

use std::sync::Arc;

use access::{Credits, Day, LabelSet, NanoUsd, RequestId, Subject, Timestamp};

use crate::budgets::budget::Charge;
use crate::budgets::period::Period;
use crate::origin::RequestOrigin;
use crate::unknown::UnknownCost;
use crate::usage::Usage;

/// The way in which a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The response was sent completely, with any status.
    Completed,
    /// The client disconnected before the end.
    CallerGone,
    /// The upstream closed or reset the connection before the end.
    UpstreamCut,
    /// A deadline ended the request.
    TimedOut,
    /// A shutdown ended the request.
    Drained,
    /// The process died; the result of the request is unknown.
    Interrupted,
    /// Tollgate ended the request because a budget was exhausted.
    BudgetCut,
}

impl Outcome {
    /// All outcomes in a fixed order.
    pub const ALL: [Self; 7] = [
        Self::Completed,
        Self::CallerGone,
        Self::UpstreamCut,
        Self::TimedOut,
        Self::Drained,
        Self::Interrupted,
        Self::BudgetCut,
    ];

    /// Returns the name in the store, the log and the API.
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

/// One attempt at one upstream or provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The name of the provider or upstream.
    pub provider: Arc<str>,
    /// The model's name as the provider knows it.
    pub model: Option<Arc<str>>,
    /// The model in the provider's response, if it names one.
    pub answered_model: Option<Arc<str>>,
    /// The status of the upstream's response; `None` if there was no response.
    pub status: Option<u16>,
    /// The provider's id of the request.
    pub upstream_id: Option<Arc<str>>,
    /// The usage of the attempt; `None` if it was not reported.
    pub usage: Option<Usage>,
    /// The JSON object of the response that reports the usage, unchanged.
    pub raw_usage: Option<Arc<str>>,
    /// The cost of the usage; `None` if usage or rates are unknown.
    pub cost: Option<NanoUsd>,
    /// The reason why the cost of an LLM call is unknown; `None` if it is known.
    pub unknown: Option<UnknownCost>,
    /// The version of the price.
    pub price_version: Option<Arc<str>>,
    /// Whether the provider was paid with the user's own credential.
    pub own_credential: bool,
    /// Microseconds until the first byte of the response's head.
    pub first_byte_us: Option<u64>,
    /// Microseconds until the end of the attempt.
    pub duration_us: u64,
}

/// A request that reached an upstream, or an authenticated LLM request that Tollgate refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// The id of the request; ingest is idempotent by it.
    pub id: RequestId,
    /// The identity that the request was made as.
    pub subject: Subject,
    /// The time at which the request's head had arrived.
    pub started_at: Timestamp,
    /// The day whose quota the request counts in.
    pub day: Day,
    /// The windows of the user or the subject in which the request counts, each once.
    pub windows: Vec<Period>,
    /// The amounts that quotas and budgets count: credits, and the used tokens and money. Where usage was not reported
    /// and a budget limits them, the reserved amounts count.
    pub charge: Charge,
    /// The name of the route.
    pub route: Arc<str>,
    /// The name of the format, on an LLM route.
    pub format: Option<Arc<str>>,
    /// The model's name as the client wrote it.
    pub model: Option<Arc<str>>,
    /// Whether the response was a stream of events.
    pub streamed: bool,
    /// The status that the client received.
    pub status: u16,
    /// The way in which the request ended.
    pub outcome: Outcome,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body that were handed to the client's connection.
    pub response_bytes: u64,
    /// Microseconds from the request's head to the end of the response.
    pub duration_us: u64,
    /// The attempts in their order; empty if the request did not reach an upstream.
    pub attempts: Vec<Attempt>,
    /// The error code, if Tollgate created the response.
    pub refusal: Option<Arc<str>>,
    /// The program, the labels and the session of the request.
    pub origin: RequestOrigin,
}

impl UsageEvent {
    /// Returns whether the request counts in daily totals. A request that did not reach an upstream does not count; an
    /// interrupted one may have reached it and counts.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.attempts.is_empty() || self.outcome == Outcome::Interrupted
    }

    /// Returns the time at which the request ended.
    #[must_use]
    pub const fn ended_at(&self) -> Timestamp {
        Timestamp(self.started_at.0.saturating_add(self.duration_us))
    }
}

/// Aggregated requests of one subject, route, status class and minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The identity that the requests were made as.
    pub subject: Subject,
    /// The name of the route.
    pub route: Arc<str>,
    /// The first digit of the status with the result, as `RequestResult::status_class` and `unsent_class` return it.
    pub status_class: u8,
    /// Whole minutes since the Unix epoch.
    pub minute: u32,
    /// The day whose quota the requests count in.
    pub day: Day,
    /// The number of requests.
    pub requests: u64,
    /// The credits that the requests cost.
    pub credits: Credits,
    /// The labels of the key, the user and the route.
    pub labels: LabelSet,
}

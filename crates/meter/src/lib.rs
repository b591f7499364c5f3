//! The meter admits requests under their limits, records their usage and computes its cost.
//!
//! This crate does no I/O, reads no clock, and does not allocate when it admits a request of a known principal.
//!
//! Reading order: [`usage`] (token classes and units), [`rating`] (cost, and credits by tokens), [`event`] (records), [`result`] (succeeded, refused
//! or failed). Then [`rate`] and [`budgets`] (atomic counters, periods and charges), [`limits`] (limits of a principal or a
//! subject), [`admission`], which takes from all limits or from none, [`reservation`] (the taken amounts), and [`lease`] (budgets
//! that nodes share). [`limiter`] counts requests by any dimension against the rate limits of the configuration. [`window`] limits
//! the admin API and unauthenticated clients. [`busy_scopes`] finds the keys and subjects that are near a limit of their plan.

pub mod admission;
pub mod budgets;
pub mod busy_scopes;
pub mod event;
pub mod lease;
pub mod limiter;
pub mod limits;
mod origin;
mod prelogged;
pub mod rate;
mod rate_card;
pub mod rating;
pub mod reservation;
pub mod result;
mod scope_counters;
pub mod skipped;
pub mod stats;
mod unknown;
pub mod usage;
pub mod window;

pub use access::Caller;
pub use admission::refused_limit::{LimitOwner, LimitUnit, RefusedLimit};
pub use admission::{
    AdmissionRefusal, AdmissionRequest, BudgetExceeded, GrantedLevels, Meter, RateSource, SUBJECTS_MAX,
};
pub use budgets::budget::{BudgetId, BudgetScope, Charge, LimitPeriod, Measure};
pub use budgets::period::Period;
pub use busy_scopes::{BusyQuota, BusyRate};
pub use event::{Attempt, Counts, Outcome, UsageEvent};
pub use limits::{BudgetLevel, Limits, RateOwner, SubjectTerms, Terms};
pub use origin::{CacheUse, RequestOrigin, SessionHash, ToolUse, TraceId};
pub use prelogged::PreloggedCredits;
pub use rate_card::{LongRates, RateCard};
pub use rating::{Rates, UnitRates};
pub use reservation::{AdmissionInfo, CommittedRequest, Reservation, ReservedPart};
pub use result::RequestResult;
pub use skipped::{SKIPPED_TARGETS_MAX, SkipReason, SkippedTarget};
pub use unknown::UnknownCost;
pub use usage::{BilledQuantity, Source, ToolCalls, Unit, Usage};

//! The ledger: usage events on their way from the spool to rows and daily totals, the reading of both, their retention
//! and their audit.
//!
//! This crate never decides whether a request may pass (that is `meter`), never speaks HTTP, and never reads the system
//! clock. Tables of users, keys and plans belong to `store`; leases between nodes belong to `cluster`.
//!
//! Read in this order: [`handle`], [`ingest`] (from the spool to rows), [`usage`] (totals and requests),
//! [`retention`] (deletion of old rows), `reviews` (decisions on days), [`reconcile`] (the audit of usage), and [`billing`]
//! (the rows of subscriptions, invoices and payments). A test of `statements` prepares every SQL text.

// Files of the test fixture name this crate as other crates do.
#[cfg(test)]
extern crate self as ledger;

mod batch_sizer;
pub mod billing;
mod busy_subjects;
mod busy_users;
#[cfg(test)]
#[path = "../../store/src/fixture.rs"]
#[allow(dead_code, reason = "each crate with SQL uses a part of the fixture")]
mod fixture;
pub mod handle;
pub mod ingest;
#[cfg(test)]
mod ingest_fixture;
pub mod reconcile;
mod recorded_labels;
mod results;
pub mod retention;
mod reviews;
mod row_ids;
mod skipped_targets;
#[cfg(test)]
mod statements;
mod stored_text;
pub mod usage;
mod usage_columns;
#[cfg(test)]
mod usage_fixture;
mod usage_totals;

pub use busy_subjects::SubjectCredits;
pub use busy_users::UserCredits;
pub use handle::Ledger;
pub use ingest::{IngestError, IngestStats, WriteError};
pub use reconcile::{
    AuditProgress, DIFFERENCES_MAX, Days, Difference, DifferencePlace, InterruptedRequests, OpenRequests,
    Reconciliation, RecordedUsage, RepairError, RepairedTotals, Sample, UnleasedUsage, UnpricedRequests,
};
pub use recorded_labels::RecordedLabels;
pub use retention::RetentionStats;
pub use reviews::{DayDecision, DecisionError, NewDecision, SettingsChange, SettingsError, StoredDecision};
pub use skipped_targets::RequestSkip;
pub use usage::{
    CachedUsage, CountedRequests, DAY_EVENTS_MAX, DayEvent, DayState, DayTotals, DayUsage, DayUsageOf, DurationCount,
    EVENT_GROUPS_MAX, EventGroup, GroupBounds, GroupName, GroupSeries, KeyOwner, KeyUsage, MinuteGroup, ModelDayUsage,
    Overview, OverviewKey, OverviewModel, PROVIDER_REQUESTS_MAX, ProviderResponse, REQUESTS_LOOKED_AT_MAX,
    REQUESTS_PAGE_MAX, RankedRoute, RankedUser, RequestAttempt, RequestDetails, RequestFilter, RequestKey, RequestKind,
    RequestLine, RequestPage, RequestPlace, RequestSubject, ResultTotals, SERIES_ROWS_MAX, SERIES_ROWS_OF_SEVERAL_MAX,
    ScopeOverview, SeriesFigures, SeriesFilter, SeriesGroup, SeriesStep, SeriesUser, TopLists, UnpricedModel, UsageOf,
    UsageSeries, UserUse,
};
pub use usage_totals::UsageTotals;

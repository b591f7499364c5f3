//! The meter decides: may this request pass, what did it use, what does that cost.
//!
//! Never does: I/O, reading a clock, allocation on the way of a known caller.
//!
//! Read in this order: [`usage`] (token classes and units), [`rating`] (what they cost), [`event`] (what is remembered);
//! then [`rate`] and [`counter`], counts of atomic words; [`budget`] (whose, of what, how long), [`limits`] (a caller's, found
//! once), [`admission`], which takes from all of them or from none, and [`reservation`], what it took; [`lease`] is how
//! nodes share budgets. [`window`] is the limit of the control API and of calls without a valid key.

pub mod admission;
pub mod budget;
pub mod counter;
pub mod event;
pub mod lease;
pub mod limits;
mod prelogged;
pub mod rate;
pub mod rating;
pub mod reservation;
pub mod stats;
mod subject_counters;
mod unknown;
pub mod usage;
pub mod window;

pub use admission::{AdmissionRefusal, AdmissionRequest, BudgetExceeded, Meter};
pub use budget::{BudgetId, Charge, Measure, Per, Period, Subject};
pub use event::{Attempt, Caller, Counts, Outcome, UsageEvent};
pub use limits::{Limits, RateOwner, Terms};
pub use prelogged::PreloggedCredits;
pub use rating::{Rates, UnitRates};
pub use reservation::{AdmissionInfo, CommittedRequest, Reservation, ReservedPart};
pub use unknown::UnknownCost;
pub use usage::{Billed, Source, ToolCalls, Unit, Usage};

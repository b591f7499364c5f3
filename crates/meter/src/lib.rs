//! The meter decides: may this request pass, what did it use, what does that cost.
//!
//! Never does: I/O, reading a clock, allocation on the way of a known caller.
//!
//! Read in this order: [`usage`] (token classes and units), [`rating`] (what they cost), [`event`] (what is remembered);
//! then [`rate`] and [`cell`], counts of atomic words; [`budget`] (whose, of what, how long), [`limits`] (a caller's, found
//! once), [`admission`], which takes from all of them or from none, and [`reservation`], what it took; [`lease`] is how
//! nodes share budgets. [`window`] is the limit of the control API and of calls without a valid key.

mod account;
pub mod admission;
pub mod budget;
pub mod cell;
pub mod event;
pub mod lease;
pub mod limits;
pub mod rate;
pub mod rating;
pub mod reservation;
mod spare;
pub mod tally;
mod unknown;
pub mod usage;
pub mod window;

pub use admission::{Ask, Exceeded, Meter, Refused};
pub use budget::{BudgetId, Charge, Measure, Per, Period, Subject};
pub use event::{Attempt, Caller, Counts, Outcome, UsageEvent};
pub use limits::{LimitOf, Limits, Terms};
pub use rating::{Rates, UnitRates};
pub use reservation::{Committed, Part, Reservation, Standing};
pub use spare::Spare;
pub use unknown::UnknownCost;
pub use usage::{Billed, Source, ToolCalls, Unit, Usage};

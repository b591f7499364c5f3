//! The meter decides: may this request pass, what did it use, what does that cost.
//!
//! Never does: I/O, reading a clock, allocation on the way of a known caller.
//!
//! Read in this order: [`usage`] (token classes), [`rating`] (what they cost), [`event`] (what is remembered);
//! then [`rate`] and [`quota`], one atomic word each, and [`admission`], which takes from both or from none.

pub mod admission;
pub mod event;
pub mod quota;
pub mod rate;
pub mod rating;
pub mod usage;

pub use admission::{Ask, Committed, Meter, Refused, Reservation, Standing};
pub use event::{Attempt, Caller, Counts, Outcome, UsageEvent};
pub use rating::Rates;
pub use usage::{Source, Usage};

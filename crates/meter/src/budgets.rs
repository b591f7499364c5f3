//! Counters of budgets.', ['atomic_amount', 'budget', 'counter

pub(crate) mod atomic_amount;
pub mod budget;
pub mod counter;
pub mod period;

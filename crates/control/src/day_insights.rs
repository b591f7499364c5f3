//! The figures of one UTC day for a scope, as the insights endpoints return them.

mod conversion;
pub(crate) mod day_scope;
pub(crate) mod export;
pub(crate) mod gather;
pub(crate) mod progress;
pub(crate) mod review;
pub(crate) mod roles;
pub(crate) mod settings;
pub(crate) mod shared_days;
mod signed;
pub(crate) mod signing;
mod spend_budget;

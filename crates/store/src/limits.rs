//! Budgets, and what counts against them.

pub mod budgets;
pub mod charges;
pub mod scope_ids;
pub mod subscription_dates;

//! Columns that several tables have.

pub(crate) mod bounds_row;
pub mod budget_period;
pub(crate) mod labels;

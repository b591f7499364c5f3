//! Amounts: credits, tokens, money, prices of plans, and exact sums of a series.

pub mod amount;
mod credits;
pub mod money;
pub mod plan_price;
pub mod series_form;
pub mod usd;

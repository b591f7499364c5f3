//! What a caller may use: bounds of a key, budgets, windows, and plans.

pub mod bounds;
pub mod budget;
pub mod plan;
pub mod window;

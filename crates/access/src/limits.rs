//! What a caller may use: bounds of a key, budgets, windows, and plans.

pub mod bounds;
pub mod budget;
mod minutes;
pub mod plan;
pub mod quota_name;
pub mod subscription_window;
pub mod window;

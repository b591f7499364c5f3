//! Figures of a day: intervals, latencies, money and ratios.

pub mod day;
pub mod interval;
pub mod money;
pub mod ratio;

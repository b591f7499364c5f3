//! The clock, and the time zones of customers.

pub mod clock;
pub mod time_zone;

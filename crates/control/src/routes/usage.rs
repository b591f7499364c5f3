//! Recorded usage: today, per day, as time series, and per request.

pub(super) mod history;
pub(super) mod request;
pub(super) mod requests;
pub(super) mod series;
pub(super) mod today;

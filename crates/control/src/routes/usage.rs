//! Recorded usage: today, per day, and per request.

pub(super) mod history;
pub(super) mod request;
pub(super) mod requests;
pub(super) mod today;

//! What was used: today, day by day, and request by request.

pub(super) mod history;
pub(super) mod request;
pub(super) mod requests;
pub(super) mod today;

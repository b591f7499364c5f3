//! Faults that the mock shows on request.

pub(crate) mod damage;
pub(crate) mod flaky;
pub(crate) mod http_violation;

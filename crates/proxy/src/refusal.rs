//! The responses with which Tollgate refuses a request: the problem, its text in the format of the client, its fields.

pub(crate) mod answer;
pub(crate) mod challenge;
pub(crate) mod counted_limits;
pub(crate) mod phase;
pub(crate) mod seconds;

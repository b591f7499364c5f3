//! The responses with which Tollgate refuses a request: the problem, its text in the format of the client, its fields.

pub(crate) mod budget_words;
pub(crate) mod call_tokens;
pub(crate) mod cause;
pub(crate) mod challenge;
pub(crate) mod counted_limits;
pub(crate) mod grpc;
pub(crate) mod limit_fields;
pub(crate) mod limit_items;
pub(crate) mod phase;
pub(crate) mod problem;
pub(crate) mod render;
pub(crate) mod seconds;
pub(crate) mod vendor_fields;

//! The cache of responses (RFC 9111), which all workers share. Each cached route has its own memory.
//!
//! Reading order: `directives` and `freshness` (the rules), `stored` (a response), `conditions` (what a request gets of it),
//! `memory` (the responses of a route), `fill_state` and `fill` (at most one request per key that fills it), `memories` (those
//! of all routes).

mod conditions;
mod directives;
pub(crate) mod fill;
pub(crate) mod fill_state;
pub(crate) mod freshness;
pub(crate) mod memories;
pub(crate) mod memory;
pub(crate) mod stored;

pub(crate) use conditions::{is_unmodified, selected};
pub(crate) use directives::CacheControl;

//! The cache of responses (RFC 9111), which all workers share. Each cached route has its own memory.
//!
//! Reading order: `directives` and `freshness` (the rules), `stored` (a response), `conditions` (what a request gets of it),
//! `memory` (the responses of a route), `fill_state` and `fill` (at most one request per key that fills it), `purge_log` (the
//! last purges of all nodes), `shared` (responses in Redis), `memories` (the memories of all routes).

mod conditions;
mod directives;
pub(crate) mod fill;
pub(crate) mod fill_state;
pub(crate) mod freshness;
pub(crate) mod memories;
pub(crate) mod memory;
mod purge_log;
pub(crate) mod shared_slot;
pub(crate) mod stored;
mod targeted;
mod value;

pub(crate) use conditions::{is_unmodified, selected};
pub(crate) use directives::CacheControl;

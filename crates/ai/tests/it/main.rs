//! Costs of responses, bounds of requests, and the events that Tollgate writes, tested over the crate's public API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bills;
mod events;
mod published;

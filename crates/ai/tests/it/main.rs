//! What an answer costs, what a request can cost, and the events that Tollgate writes, over the crate's public API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bills;
mod events;
mod published;

//! What an answer costs and what a request can cost, over the crate's own doors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bills;

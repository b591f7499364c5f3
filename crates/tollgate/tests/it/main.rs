//! The process itself: what it does when nobody reads its output, when a signal comes too early, when it cannot start,
//! and when there is no store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as tests"
)]

mod commands;
mod full_pipe;
mod server;
mod signals;
mod start;

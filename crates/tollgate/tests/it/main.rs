//! The process itself: what it does when nobody reads its output, and when a signal comes too early.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as tests"
)]

mod full_pipe;
mod server;
mod signals;

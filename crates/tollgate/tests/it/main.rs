//! The process itself: unread output, early signals, failed starts, and commands without a store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as tests"
)]

mod check;
mod commands;
mod config_file;
mod full_pipe;
mod server;
mod signals;
mod start;
mod watchdog;

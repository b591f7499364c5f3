//! The built binary from outside, with real clients: one module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; JSON is read by indexing"
)]

mod bodies;
mod bytes;
mod callers;
mod crash;
mod demo;
mod drain;
mod examples;
mod formats;
mod framing;
mod outcomes;
mod plain;
mod quota;
mod refusals;
mod revoke;
mod sdk;
mod start;
mod store;
mod telemetry;
mod upstream;
mod usage;

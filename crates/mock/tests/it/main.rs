//! The mock over a real socket: each format, each behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy does not see as tests"
)]

mod behaviours;
mod damage;
mod formats;
mod gemini;
mod golden;
mod http_violations;
mod media;
#[path = "../../../ai/tests/it/published.rs"]
mod published;
mod request_log;
mod schemas;
mod validation;
mod wire;

//! The mock over a socket: each format and each behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test helpers, which clippy does not recognize as tests"
)]

mod behaviours;
mod damage;
mod formats;
mod gemini;
mod golden;
mod http_violations;
mod media;
mod midtrans;
#[path = "../../../ai/tests/it/published.rs"]
mod published;
mod request_log;
mod rules;
mod schemas;
mod validation;
mod wire;

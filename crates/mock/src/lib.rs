//! A mock LLM provider for demos, tests and benchmarks. It speaks the formats of OpenAI, Anthropic and Google over
//! HTTP/1.1, responds to equal bodies equally, and misbehaves if the model's name says so.
//!
//! It uses no randomness, sends no requests, and does not check credentials against an account. Beside it is a stub of
//! Midtrans (`midtrans`), which takes payments and sends notifications.
//!
//! Reading order: [`MockTiming`] and [`serve`]; [`BEHAVIOURS`], the model names; `handle` and `handle::call`, the path
//! of a request; `call_body`, `credential` and `error`, its parsing and refusal; `response` and `wire`, the content and
//! its format (`schema` makes documents and a tool call's arguments); `payload`, the pace; `faults` and `damaged_stream`, the misbehaviour; `request_log`, `GET /mock/seen`; `grpc` and `websocket`, which
//! return messages.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most behaviours, damages and endpoints differ in one place, and share the default elsewhere"
)]

mod behaviour;
mod call_body;
mod content;
mod credential;
mod damaged_stream;
mod error;
mod faults;
mod grpc;
mod handle;
mod json;
mod midtrans;
mod payload;
mod provider_headers;
mod request_log;
mod response;
mod schema;
mod server;
mod timing;
mod websocket;
mod wire;

pub use behaviour::BEHAVIOURS;
pub use midtrans::{MidtransOptions, serve_midtrans};
pub use server::{serve, serve_with};
pub use timing::MockTiming;

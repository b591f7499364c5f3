//! A provider of LLMs that is not one: it speaks the formats of OpenAI, Anthropic and Google over real HTTP/1.1, always
//! answers the same to the same body, and misbehaves by the model's name. For demos, tests and benchmarks.
//!
//! Never does: randomness, a call to anybody, a look at who a credential belongs to.
//!
//! Read in this order: [`MockTiming`] and [`serve`]; [`BEHAVIOURS`] (what a model's name asks for); `handle` and its `call` (a
//! request's way); `asked`, `credential` and `error` (what is read, judged and refused); `response` and `wire` (what is said,
//! and in which shape; `schema` makes the arguments of a tool's call); `payload` (how fast, and how far), `damage` and `violation` (how badly); `seen` (`GET /mock/seen`).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most behaviours, damages and endpoints differ in one place, and take the usual way everywhere else"
)]

mod behaviour;
mod call_body;
mod credential;
mod damage;
mod error;
mod flaky;
mod handle;
mod http_violation;
mod json;
mod media;
mod payload;
mod provider_headers;
mod request_log;
mod response;
mod schema;
mod server;
mod text;
mod wire;

pub use behaviour::BEHAVIOURS;
pub use server::{MockTiming, serve, serve_with};

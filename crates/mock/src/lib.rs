//! A provider of LLMs that is not one: it speaks the formats of OpenAI, Anthropic and Google over real HTTP/1.1, always
//! answers the same to the same body, and misbehaves by the model's name. For demos, tests and benchmarks.
//!
//! Never does: randomness, a call to anybody, a look at who a credential belongs to.
//!
//! Read in this order: [`Options`] and [`serve`]; [`BEHAVIOURS`] (what a model's name asks for); `handle` and its `call` (a
//! request's way); `asked`, `credential` and `fault` (what is read, judged and refused); `answer` and `wire` (what is said,
//! and in which shape; `schema` makes the arguments of a tool's call); `payload` (how fast, and how far), `damage` and `trick` (how badly); `seen` (`GET /mock/seen`).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most behaviours, damages and endpoints differ in one place, and take the usual way everywhere else"
)]

mod answer;
mod asked;
mod behaviour;
mod credential;
mod damage;
mod fault;
mod flaky;
mod handle;
mod json;
mod media;
mod payload;
mod schema;
mod seen;
mod server;
mod sign;
mod text;
mod trick;
mod wire;

pub use behaviour::BEHAVIOURS;
pub use server::{Options, serve, serve_with};

//! A provider of LLMs that is not one: it speaks the formats of OpenAI and Anthropic over real HTTP/1.1, always answers the
//! same to the same body, and misbehaves by the model's name. For demos, tests and benchmarks.
//!
//! Never does: randomness, a call to anybody, a look at credentials.
//!
//! Read in this order: [`Options`] and [`serve`]; `behaviour` (what a model's name asks for); `handle` (a request's way);
//! `answer` and `wire` (what is said, and in which shape); `payload` (how fast, and how far); `seen` (`GET /mock/seen`).

mod answer;
mod asked;
mod behaviour;
mod fault;
mod handle;
mod json;
mod payload;
mod seen;
mod server;
mod text;
mod wire;

pub use server::{Options, serve, serve_with};

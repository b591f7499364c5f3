//! The languages of LLM providers: chat completions, Responses, Messages.
//!
//! Never does: I/O, reading a clock, keeping more of a body than its bound. Bytes in, bytes out.
//!
//! Read in this order: [`format`](mod@format) and [`endpoint`] (what is spoken where), [`request`] (what a caller asks
//! for, and the two edits we make), [`tap`] (what an answer says of itself while it passes; built on `scan`, `sse` and
//! `usage`), [`error`] and [`models`] (what we say ourselves), [`price`] (what a token costs).

pub mod endpoint;
pub mod error;
pub mod format;
pub mod models;
pub mod price;
pub mod request;
mod scan;
mod short;
mod sse;
pub mod tap;
mod usage;

pub use endpoint::Endpoint;
pub use error::Problem;
pub use format::{Format, ProviderKind};
pub use price::{Price, Prices};
pub use request::{Asked, RequestError, Rewritten};
pub use tap::{Seen, Tap};

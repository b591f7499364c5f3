//! The languages of LLM providers: OpenAI's, Anthropic's and Google's formats.
//!
//! Never does: I/O, reading a clock, keeping more of a body than its bound. Bytes in, bytes out.
//!
//! Read in this order: [`format`](mod@format) and [`endpoint`] (what is spoken where), [`request`] (what a caller asks
//! for, and the edits we make), [`bound`] (the most that it can cost), [`tap`] (what an answer says of itself while it
//! passes; built on `scan`, `sse` and `usage`), [`error`] and [`models`] (what we say ourselves), [`price`] (what tokens and
//! other units cost), [`export`] (what a provider says afterwards that it counted).

pub mod bound;
pub mod endpoint;
pub mod error;
pub mod export;
pub mod format;
pub mod models;
mod partial;
pub mod price;
pub mod request;
mod scan;
mod short;
mod sse;
mod stop;
pub mod tap;
mod usage;

pub use bound::{Bound, Extent};
pub use endpoint::{Called, Endpoint};
pub use error::{Problem, Reporter};
pub use export::{Export, ExportError};
pub use format::{Dialect, Format, ProviderKind};
pub use price::{Price, Prices};
pub use request::{Asked, RequestError, Rewritten};
pub use tap::{Framing, Seen, Tap};

//! The protocols of LLM providers: the formats of OpenAI, Anthropic and Google.
//!
//! The crate performs no I/O, reads no clock and keeps at most a bounded part of a body. Input and output are bytes.
//!
//! Reading order: [`format`](mod@format) and [`endpoint`] (the protocol of each path), [`provider`] (the kinds of providers),
//! [`hosts`] (hosts that differ from OpenAI, their URLs and signatures), [`request`] (the client's request and Tollgate's edits),
//! [`bound`] (the highest possible cost of a request), [`account_objects`] (references of a request to objects in the operator's
//! account), [`tap`] (usage and outcome of a response while it is forwarded; built on `scan`, [`streams`] and `usage`),
//! [`response_edits`] (values of it that the client gets in another form), [`error`] and [`models`] (responses that Tollgate
//! creates), [`translate`] (a call and its response in another provider's format), [`failures`] (whether another provider may
//! replace a response), [`price`] (the prices of tokens and other units), [`export`] (usage that a provider reports afterwards).

pub mod account_objects;
pub mod bound;
pub mod count;
pub mod endpoint;
pub mod error;
pub mod export;
pub mod failures;
pub mod format;
pub mod hosts;
pub mod models;
pub mod price;
pub mod provider;
pub mod request;
pub mod response_edits;
mod scan;
mod short;
pub mod streams;
pub mod tap;
pub mod translate;
mod usage;

pub use bound::{Bound, Extent};
pub use endpoint::{Endpoint, EndpointCall};
pub use error::{FormatProblem, Reporter};
pub use export::{Export, ExportError};
pub use format::{Dialect, Format};
pub use price::{Price, Prices};
pub use provider::{ClaudeSurface, PathCall, ProviderDescriptor, ProviderKind, ProviderPaths};
pub use request::{CallError, RequestFields, RewrittenBody};
pub use response_edits::{ResponseEdits, RestoredValue};
pub use streams::framing::ResponseFraming;
pub use tap::{ResponseFacts, Tap};

//! The export of traces over OTLP: spans as protobuf, sent over HTTP/1.1 by a background job.
//!
//! The crate reads facts of requests from [`telemetry::traces`], names spans and attributes as the semantic conventions of
//! OpenTelemetry do, and sends them in batches. It follows no redirect, reads at most a bounded part of a response, and never
//! delays a request: a request that finds the queue full has no spans.
//!
//! Read in this order: [`export`] (the job), `batch` (the state of a batch), `spans` (the spans of a request), `messages` (protobuf),
//! [`client`] (one request to the receiver).

mod batch;
pub mod client;
mod error;
pub mod export;
mod messages;
mod spans;

pub use client::{OtlpClient, OtlpReceiver};
pub use error::TraceExportError;
pub use export::{ExportTarget, SPEC, TraceExport};
pub use spans::{ExportedResource, encoded};

//! The export of usage events from the spool to one target: files, ClickHouse or NATS JetStream.
//!
//! The job reads the spool with separate positions ([`spool::ExportReader`]). Each row has an id, because a target may receive
//! a row again. The export never delays ingest and never changes the spool; its rows contain no credential, body or address.
//!
//! Read in this order: [`row`] (the schema of a row), [`caller_ids`], [`job`], [`target`] with a file for each target.

pub mod caller_ids;
pub mod error;
pub mod job;
pub mod row;
pub mod target;

pub use caller_ids::{CallerIds, IdLookup};
pub use error::EventExportError;
pub use job::{EventExport, EventExportParts, SPEC};
pub use target::EventTarget;
pub use target::clickhouse::ClickHouseTable;
pub use target::file::EventFiles;
pub use target::nats::NatsStream;

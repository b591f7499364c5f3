//! The append-only files in which a node keeps usage events until the store has ingested them.
//!
//! Each worker writes one partition. A partition is a sequence of segments, a segment is a preallocated file of
//! records. An appended record survives the death of the process (`kill -9`), because it is in the kernel's page cache.
//! With [`SpoolDurability::Power`] it is also synced; [`Writer::durable`] reports when. A segment is removed after the store
//! has ingested its records; the store must have made them durable before. A request whose cost is known only at its
//! end is opened and closed: room for its close is reserved, and a start finds the requests that were open when the
//! process died.
//!
//! This crate contains no SQL and no async runtime, reads no clock, and does not lock the folder: the binary ensures
//! that one process opens it.
//!
//! Reading order: [`records`] (bytes of one event; its payloads are the spool's own structs; segments, each one file),
//! `partition` (shared state), [`threads`] (the writer, and the threads that prepare files and sync them), [`reader`],
//! [`export_reader`] and [`retained`] (a second reader), [`opener`] and `recovery` (startup).

mod disk;
pub mod error;
pub mod export_reader;
mod folder;
mod mutex;
pub mod open_request;
pub mod opener;
pub mod options;
mod partition;
pub mod reader;
pub mod record_version;
pub mod records;
mod recovery;
pub mod retained;
pub mod stored_request;
mod sync_waiters;
pub mod threads;

pub use error::{SpoolError, UnknownFormat};
pub use export_reader::{ExportBatch, ExportCounter, ExportReader};
pub use folder::{CLOSE_BYTES_MAX, SpoolDurability};
pub use open_request::{InterruptedRequest, OpenRequest};
pub use opener::{Spool, SpoolOpener};
pub use options::{SEGMENT_BYTES, SpoolOptions};
pub use reader::{BacklogCounter, Batch, Reader, SpoolDepth};
pub use record_version::RecordVersion;
pub use records::position::Position;
pub use records::record::Record;
pub use recovery::{LostSegments, SkippedDamage, TruncatedTail};
pub use retained::{ExportOptions, ExportTotals, discard_export};
pub use stored_request::StoredRequestError;
pub use threads::sync::DurableFuture;
pub use threads::writer::Writer;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod fixture;

//! The append-only file of usage events, between the workers that write them and the store that ingests them.
//!
//! One lane a worker, a lane is a row of segments, a segment a preallocated file of records. What was appended survives
//! the death of the process (`kill -9`): it lies in the kernel's page cache. With [`Durability::Power`] it is synced as well, and
//! [`Writer::durable`] says when. A segment is removed when the store says that its events are in the database: that they
//! stay there is the store's to see to, beforehand. A request whose cost is known afterwards is opened and closed: the room
//! for its close is kept, and what is open when the process dies is found at the next start.
//!
//! Never does: SQL, async of its own, reading a clock, locking the folder (one process opens it; the binary holds that lock).
//!
//! Read in this order: [`record`] (bytes of one event), `segment` (the file), `partition` (what writer and reader share),
//! [`writer`], [`reader`], [`opener`] and `recovery` (what a start finds), `allocator` and [`sync`] (the threads beside them).

mod allocator;
mod disk;
pub mod error;
mod folder;
pub mod open_request;
pub mod opener;
pub mod options;
mod partition;
pub mod position;
pub mod reader;
pub mod record;
mod recovery;
mod segment;
pub mod sync;
pub mod writer;

pub use error::SpoolError;
pub use folder::{CLOSE_BYTES_MAX, Durability};
pub use open_request::{InterruptedRequest, OpenRequest};
pub use opener::{Spool, SpoolOpener};
pub use options::{SEGMENT_BYTES, SpoolOptions};
pub use position::Position;
pub use reader::{BacklogCounter, Batch, Reader, SpoolDepth};
pub use record::Record;
pub use recovery::{LostSegments, SkippedDamage, TruncatedTail};
pub use sync::DurableFuture;
pub use writer::Writer;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod fixture;

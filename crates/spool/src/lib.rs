//! The append-only file of usage events, between the workers that write them and the store that ingests them.
//!
//! One lane a worker, a lane is a row of segments, a segment a preallocated file of records. What was appended survives
//! the death of the process (`kill -9`): it lies in the kernel's page cache. It is not synced, so a power cut can take
//! what the kernel had not yet written; nothing here calls fsync, on files or on the folder. A segment is removed when the
//! store says that its events are in the database: that they stay there is the store's to see to, beforehand.
//!
//! Never does: SQL, async, reading a clock, locking the folder (one process opens it; the binary holds that lock).
//!
//! Read in this order: [`record`] (bytes of one event), `segment` (the file), `lane` (what writer and reader share),
//! [`writer`], [`reader`], [`open`] and `recovery` (what a start finds), `ahead` (segments made before they are needed).

mod ahead;
mod disk;
pub mod error;
mod lane;
pub mod open;
pub mod position;
pub mod reader;
pub mod record;
mod recovery;
mod segment;
pub mod writer;

pub use error::SpoolError;
pub use open::{Options, SEGMENT_BYTES, Spool};
pub use position::Position;
pub use reader::{Batch, Depth, Reader};
pub use record::Record;
pub use recovery::{Cut, Lost};
pub use writer::Writer;

#[cfg(test)]
mod fixture;

//! The records of a worker: its spool partition, with the ids and the clock that records need.

use std::cell::RefCell;

use access::{Clock, Ids};

/// What writing a record needs.
pub(crate) struct Recorder {
    pub(crate) spool: RefCell<spool::Writer>,
    pub(crate) ids: RefCell<Ids>,
    pub(crate) clock: Clock,
}

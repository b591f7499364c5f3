//! The records of a worker: its spool partition, with the ids and the clock that records need.

use std::cell::RefCell;

use access::{Clock, Ids};

/// The spool partition of a worker, with the ids and the clock that its records need.
pub(crate) struct Recorder {
    pub(crate) spool: RefCell<spool::Writer>,
    pub(crate) ids: RefCell<Ids>,
    pub(crate) clock: Clock,
}

//! The requests that are open at the reader's position.

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::open_request::OpenRequest;
use crate::position::Position;

/// Maximum number of closes whose opens are not read yet, because they are in a partition that is read later. A spool
/// of Tollgate has fewer.
const EARLY_CLOSES_MAX: usize = 64 * 1024;

/// The change that a record makes to the open requests.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "each second change opens a request, and changes live as long as a batch"
)]
pub(super) enum OpenChange {
    Opened(OpenRequest),
    Closed(Uuid),
}

/// The requests that are open at the reader's position; bounded by the requests in flight.
#[derive(Debug, Default)]
pub(crate) struct OpenRequests {
    open: FxHashMap<Uuid, OpenLocation>,
    /// Requests whose close was read before their opens, because partitions are read one after the other. A request may have
    /// several opens, so its id stays.
    early_closes: FxHashSet<Uuid>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most requests are in the spool, which is the larger variant")]
enum OpenLocation {
    /// The open record is in the segment of this position.
    Spooled(Position, OpenRequest),
    /// The store has the request; the segment of its open record is removed.
    Stored,
}

impl OpenRequests {
    /// Creates the state at the first unreleased record.
    pub(crate) fn new(spooled: impl IntoIterator<Item = (Position, OpenRequest)>, stored: &[OpenRequest]) -> Self {
        let stored = stored.iter().map(|opened| (opened.id.0, OpenLocation::Stored));
        let spooled = spooled.into_iter().map(|(place, opened)| (opened.id.0, OpenLocation::Spooled(place, opened)));
        Self { open: stored.chain(spooled).collect(), early_closes: FxHashSet::default() }
    }

    pub(super) fn apply(&mut self, place: Position, change: &OpenChange) {
        match change {
            OpenChange::Opened(opened) => {
                if !self.early_closes.contains(&opened.id.0) {
                    self.open.insert(opened.id.0, OpenLocation::Spooled(place, opened.clone()));
                }
            }
            OpenChange::Closed(id) => {
                if self.open.remove(id).is_none() && self.early_closes.len() < EARLY_CLOSES_MAX {
                    self.early_closes.insert(*id);
                }
            }
        }
    }

    /// Returns the requests that are open after `changes` and whose open record is in a segment that `is_removed`.
    pub(super) fn lost_with<'a>(
        &'a self,
        changes: impl Iterator<Item = &'a (Position, OpenChange)>,
        is_removed: impl Fn(Position) -> bool,
    ) -> Vec<OpenRequest> {
        let spooled = self.open.values().filter_map(|location| match location {
            OpenLocation::Spooled(place, opened) => Some((opened.id.0, (*place, opened))),
            OpenLocation::Stored => None,
        });
        // The last open of a request counts.
        let mut opened: FxHashMap<Uuid, (Position, &OpenRequest)> = spooled.collect();
        let mut closed = FxHashSet::default();
        for (place, change) in changes {
            match change {
                OpenChange::Opened(one) => drop(opened.insert(one.id.0, (*place, one))),
                OpenChange::Closed(id) => drop(closed.insert(*id)),
            }
        }
        let is_open = |id: &Uuid| !closed.contains(id) && !self.early_closes.contains(id);
        let lost = opened.into_iter().filter(|(id, (place, _))| is_removed(*place) && is_open(id));
        lost.map(|(_, (_, opened))| opened.clone()).collect()
    }

    /// Marks the requests that were opened in the segments before `end` as stored.
    pub(super) fn mark_stored(&mut self, end: Position) {
        for location in self.open.values_mut() {
            if matches!(location, OpenLocation::Spooled(place, _) if place.partition == end.partition && place.segment < end.segment)
            {
                *location = OpenLocation::Stored;
            }
        }
    }
}

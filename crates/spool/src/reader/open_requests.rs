//! The requests that are open at the reader's position.

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::open_request::OpenRequest;
use crate::records::position::Position;
use crate::records::record::Record;

/// Maximum number of closes whose opens are not read yet, because they are in a partition that is read later. A spool
/// of Tollgate has fewer.
const EARLY_CLOSES_MAX: usize = 64 * 1024;

/// A change of a batch to the open requests.
#[derive(Debug, Clone)]
pub(super) enum OpenChange {
    Opened(Box<OpenRequest>),
    /// `opened_before`: the batch opened the request before this close, and has no other change for that.
    Closed {
        id: Uuid,
        opened_before: bool,
    },
}

/// Returns the changes that the records of a batch make, with the positions after the records: the closes, and then the
/// last open of each request that remains open. Most requests end in the batch that opens them, so few opens are copied.
/// Changes of different requests do not depend on each other.
pub(super) fn changes_of(records: &[Record], positions: &[Position]) -> Vec<(Position, OpenChange)> {
    let mut open: FxHashMap<Uuid, (Position, &OpenRequest)> = FxHashMap::default();
    let mut changes = Vec::new();
    for (record, place) in records.iter().zip(positions) {
        if let Record::Open(opened) = record {
            open.insert(opened.id.0, (*place, opened));
        } else if let Some(id) = record.closes() {
            let opened_before = open.remove(&id).is_some();
            changes.push((*place, OpenChange::Closed { id, opened_before }));
        }
    }
    changes.extend(open.into_values().map(|(place, opened)| (place, OpenChange::Opened(Box::new(opened.clone())))));
    changes
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
enum OpenLocation {
    /// The open record is in the segment of this position.
    Spooled(Position, Box<OpenRequest>),
    /// The store has the request; the segment of its open record is removed.
    Stored,
}

impl OpenRequests {
    /// Creates the state at the first unreleased record.
    pub(crate) fn new(spooled: impl IntoIterator<Item = (Position, OpenRequest)>, stored: &[OpenRequest]) -> Self {
        let stored = stored.iter().map(|opened| (opened.id.0, OpenLocation::Stored));
        let spooled = spooled.into_iter();
        let spooled = spooled.map(|(place, opened)| (opened.id.0, OpenLocation::Spooled(place, Box::new(opened))));
        Self { open: stored.chain(spooled).collect(), early_closes: FxHashSet::default() }
    }

    pub(super) fn apply(&mut self, place: Position, change: &OpenChange) {
        match change {
            OpenChange::Opened(opened) => {
                if !self.early_closes.contains(&opened.id.0) {
                    self.open.insert(opened.id.0, OpenLocation::Spooled(place, opened.clone()));
                }
            }
            OpenChange::Closed { id, opened_before } => {
                let was_open = self.open.remove(id).is_some() || *opened_before;
                if !was_open && self.early_closes.len() < EARLY_CLOSES_MAX {
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
            OpenLocation::Spooled(place, opened) => Some((opened.id.0, (*place, &**opened))),
            OpenLocation::Stored => None,
        });
        // The last open of a request counts.
        let mut opened: FxHashMap<Uuid, (Position, &OpenRequest)> = spooled.collect();
        let mut closed = FxHashSet::default();
        for (place, change) in changes {
            match change {
                OpenChange::Opened(one) => drop(opened.insert(one.id.0, (*place, one))),
                OpenChange::Closed { id, .. } => drop(closed.insert(*id)),
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{close_of, id, open_of, opened, record};

    fn place(offset: u32) -> Position {
        Position { partition: 0, segment: 0, offset }
    }

    fn places(records: &[Record]) -> Vec<Position> {
        (1..).map(place).take(records.len()).collect()
    }

    fn apply(requests: &mut OpenRequests, records: &[Record], places: &[Position]) {
        changes_of(records, places).iter().for_each(|(place, change)| requests.apply(*place, change));
    }

    #[test]
    fn a_request_that_a_batch_opens_and_closes_leaves_nothing() {
        let mut requests = OpenRequests::default();
        let apply = |requests: &mut OpenRequests, records: &[Record]| apply(requests, records, &places(records));
        apply(&mut requests, &[open_of(0, 1), record(0, 2), open_of(0, 3), open_of(0, 1), close_of(0, 1)]);
        assert_eq!(requests.open.keys().copied().collect::<Vec<_>>(), [id(0, 3)]);
        assert!(requests.early_closes.is_empty());
        // Its first open is in an earlier batch.
        apply(&mut requests, &[open_of(0, 3), close_of(0, 3)]);
        assert!(requests.open.is_empty() && requests.early_closes.is_empty());
        // The open after its close is in a partition that was read later.
        apply(&mut requests, &[close_of(0, 4), open_of(0, 4)]);
        assert!(requests.open.is_empty() && requests.early_closes.contains(&id(0, 4)));
    }

    /// Returns the positions of the open requests, and the requests that were closed before their opens.
    fn state(requests: &OpenRequests) -> (Vec<(Uuid, Option<Position>)>, Vec<Uuid>) {
        let place = |location: &OpenLocation| match location {
            OpenLocation::Spooled(place, _) => Some(*place),
            OpenLocation::Stored => None,
        };
        let mut open: Vec<_> = requests.open.iter().map(|(id, location)| (*id, place(location))).collect();
        let mut early: Vec<_> = requests.early_closes.iter().copied().collect();
        open.sort_unstable();
        early.sort_unstable();
        (open, early)
    }

    proptest! {
        /// `steps` are opens and closes of four requests; the first batch has `first` records.
        #[test]
        fn batches_change_what_their_records_change_one_after_the_other(
            steps in vec((any::<bool>(), 0_u32..4), 0..12), first in 0_usize..12,
        ) {
            let record = |(is_open, n): &(bool, u32)| if *is_open { open_of(0, *n) } else { close_of(0, *n) };
            let records: Vec<Record> = steps.iter().map(record).collect();
            let places = places(&records);
            let first = first.min(records.len());
            let mut in_batches = OpenRequests::default();
            let mut in_turn = OpenRequests::default();
            for part in [0..first, first..records.len()] {
                apply(&mut in_batches, &records[part.clone()], &places[part]);
            }
            for (record, place) in records.iter().zip(&places) {
                apply(&mut in_turn, std::slice::from_ref(record), std::slice::from_ref(place));
            }
            prop_assert_eq!(state(&in_batches), state(&in_turn));
        }
    }

    #[test]
    fn the_changes_of_a_batch_contain_the_requests_that_remain_open() {
        let changes = changes_of(&[open_of(0, 1), open_of(0, 2), close_of(0, 1)], &[place(1), place(2), place(3)]);
        let [(at, OpenChange::Closed { id: closed, opened_before: true }), (from, OpenChange::Opened(remaining))] =
            &changes[..]
        else {
            panic!("{changes:?}")
        };
        assert_eq!((*at, *closed, *from, &**remaining), (place(3), id(0, 1), place(2), &opened(id(0, 2))));
    }
}

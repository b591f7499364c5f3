//! Which of the requests that were read are still open.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::opened::Opened;
use crate::position::Position;

/// Closes whose opens are not read yet: they stand in another lane, behind. More than so many are no spool's of ours.
const EARLY_MAX: usize = 64 * 1024;

/// What a record does to the open requests.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    Opened(Opened),
    Closed(Uuid),
}

/// The requests that are open where reading stands: bounded by what is in flight.
#[derive(Debug, Default)]
pub(crate) struct Held {
    open: HashMap<Uuid, Kept>,
    /// Closed before they were opened, as the lanes are read one after the other.
    early: HashSet<Uuid>,
}

#[derive(Debug)]
enum Kept {
    /// In the segment of this place.
    Spooled(Position, Opened),
    /// In the store: its segment is gone.
    Stored,
}

impl Held {
    /// As the lanes left it before the first record that is to be read.
    pub(crate) fn new(spooled: impl IntoIterator<Item = (Position, Opened)>, stored: &[Opened]) -> Self {
        let stored = stored.iter().map(|opened| (opened.id.0, Kept::Stored));
        let spooled = spooled.into_iter().map(|(place, opened)| (opened.id.0, Kept::Spooled(place, opened)));
        Self { open: stored.chain(spooled).collect(), early: HashSet::new() }
    }

    pub(super) fn apply(&mut self, place: Position, mark: &Mark) {
        match mark {
            Mark::Opened(opened) => {
                if !self.early.remove(&opened.id.0) {
                    self.open.insert(opened.id.0, Kept::Spooled(place, opened.clone()));
                }
            }
            Mark::Closed(id) => {
                if self.open.remove(id).is_none() && self.early.len() < EARLY_MAX {
                    self.early.insert(*id);
                }
            }
        }
    }

    /// What is still open after `news`, and stands in a segment that `goes`.
    pub(super) fn lost_by<'a>(
        &'a self,
        news: impl Iterator<Item = &'a (Position, Mark)>,
        goes: impl Fn(Position) -> bool,
    ) -> Vec<Opened> {
        let (mut opened, mut closed) = (Vec::new(), HashSet::new());
        for (place, mark) in news {
            match mark {
                Mark::Opened(one) => opened.push((*place, one)),
                Mark::Closed(id) => drop(closed.insert(*id)),
            }
        }
        let held = self.open.values().filter_map(|kept| match kept {
            Kept::Spooled(place, opened) => Some((*place, opened)),
            Kept::Stored => None,
        });
        let is_open = |opened: &Opened| !closed.contains(&opened.id.0) && !self.early.contains(&opened.id.0);
        held.chain(opened)
            .filter(|(place, opened)| goes(*place) && is_open(opened))
            .map(|(_, opened)| opened.clone())
            .collect()
    }

    /// The lane is released until `end`: what it opened in the segments before is the store's from here on.
    pub(super) fn carry(&mut self, end: Position) {
        for kept in self.open.values_mut() {
            if matches!(kept, Kept::Spooled(place, _) if place.lane == end.lane && place.segment < end.segment) {
                *kept = Kept::Stored;
            }
        }
    }
}

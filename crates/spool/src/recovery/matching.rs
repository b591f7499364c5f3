//! Which opens have no close.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::opened::{Interrupted, Opened};
use crate::position::Position;

/// The opens of a lane without a close, and the closes without an open: in whichever order the lanes are read, what is open
/// in all of them together is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    /// Each with the place after it.
    pub(crate) open: HashMap<Uuid, (Position, Opened)>,
    pub(crate) closed: HashSet<Uuid>,
}

impl Matching {
    pub(super) fn opened(&mut self, place: Position, opened: Opened) {
        if !self.closed.remove(&opened.id.0) {
            self.open.insert(opened.id.0, (place, opened));
        }
    }

    pub(super) fn closed(&mut self, id: Uuid) {
        if self.open.remove(&id).is_none() {
            self.closed.insert(id);
        }
    }

    /// What is open in all lanes together.
    pub(crate) fn still_open<'a>(lanes: &'a [&'a Self]) -> impl Iterator<Item = &'a (Position, Opened)> {
        let is_open = move |id: &Uuid| !lanes.iter().any(|lane| lane.closed.contains(id));
        lanes.iter().flat_map(move |lane| lane.open.iter().filter(move |(id, _)| is_open(id)).map(|(_, open)| open))
    }
}

/// What no lane has closed of what they opened and of what the store kept, oldest first.
pub(crate) fn interrupted(lanes: &[&Matching], carried: &[Opened]) -> Vec<Interrupted> {
    let spooled: Vec<Interrupted> = Matching::still_open(lanes)
        .map(|(place, opened)| Interrupted { opened: opened.clone(), lane: Some(place.lane) })
        .collect();
    let known: HashSet<Uuid> = spooled.iter().map(|one| one.opened.id.0).collect();
    let is_open = |opened: &&Opened| {
        let id = opened.id.0;
        !known.contains(&id) && !lanes.iter().any(|lane| lane.closed.contains(&id))
    };
    let kept = carried.iter().filter(is_open).map(|opened| Interrupted { opened: opened.clone(), lane: None });
    let mut all: Vec<_> = spooled.into_iter().chain(kept).collect();
    all.sort_unstable_by_key(|one| (one.opened.started_at, one.opened.id));
    all
}

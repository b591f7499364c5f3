//! Matching of opens and closes.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::open_request::{InterruptedRequest, OpenRequest};
use crate::records::position::Position;

/// The opens of a partition without a close, and its closes without an open. The combined result of all partitions does
/// not depend on the order in which they are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestMatcher {
    /// Each open with the position after it.
    pub(crate) open: HashMap<Uuid, (Position, OpenRequest)>,
    pub(crate) closed: HashSet<Uuid>,
}

impl RequestMatcher {
    pub(super) fn opened(&mut self, place: Position, opened: OpenRequest) {
        if !self.closed.remove(&opened.id.0) {
            self.open.insert(opened.id.0, (place, opened));
        }
    }

    pub(super) fn closed(&mut self, id: Uuid) {
        if self.open.remove(&id).is_none() {
            self.closed.insert(id);
        }
    }

    /// Returns the requests that no partition has closed.
    pub(crate) fn still_open<'a>(partitions: &'a [&'a Self]) -> impl Iterator<Item = &'a (Position, OpenRequest)> {
        let is_open = move |id: &Uuid| !partitions.iter().any(|partition| partition.closed.contains(id));
        partitions
            .iter()
            .flat_map(move |partition| partition.open.iter().filter(move |(id, _)| is_open(id)).map(|(_, open)| open))
    }
}

/// Returns the requests from the partitions and from the store that no partition has closed, oldest first.
pub(crate) fn interrupted_requests(
    partitions: &[&RequestMatcher],
    stored_requests: &[OpenRequest],
) -> Vec<InterruptedRequest> {
    let spooled: Vec<InterruptedRequest> = RequestMatcher::still_open(partitions)
        .map(|(place, opened)| InterruptedRequest { request: opened.clone(), partition: Some(place.partition) })
        .collect();
    let known: HashSet<Uuid> = spooled.iter().map(|one| one.request.id.0).collect();
    let is_open = |opened: &&OpenRequest| {
        let id = opened.id.0;
        !known.contains(&id) && !partitions.iter().any(|partition| partition.closed.contains(&id))
    };
    let kept = stored_requests
        .iter()
        .filter(is_open)
        .map(|opened| InterruptedRequest { request: opened.clone(), partition: None });
    let mut all: Vec<_> = spooled.into_iter().chain(kept).collect();
    all.sort_unstable_by_key(|one| (one.request.started_at, one.request.id));
    all
}

//! The backends of an upstream as one worker uses them, and the choice among them.

use std::rc::Rc;

use tokio::time::Instant;

use crate::upstream::backend::NoBackend;
use crate::upstream::destination::{Destination, DestinationInUse};
use crate::upstream::strategy::Rotation;

/// The backends of one upstream.
pub(crate) struct Group {
    backends: Box<[Rc<Destination>]>,
    rotation: Rotation,
    /// The turns of retries. They do not move `rotation`: otherwise, the request after a retry would get the backend that
    /// has just failed.
    retries: Rotation,
}

/// The backends that a request has tried already.
#[derive(Debug, Default, Clone)]
pub(crate) struct TriedBackends(Vec<usize>);

impl TriedBackends {
    pub(crate) fn add(&mut self, destination: &Destination) {
        self.0.push(destination.backend.index);
    }
}

impl Group {
    /// Returns a group of `backends` with these weights. The first choice skips `begin` choices, so that workers begin with
    /// different backends.
    pub(crate) fn round_robin(backends: Vec<Rc<Destination>>, weights: &[u32], begin: usize) -> Self {
        let (rotation, retries) = (Rotation::new(weights, begin), Rotation::new(weights, begin));
        Self { backends: backends.into(), rotation, retries }
    }

    /// Chooses the backend of a new request at `now`, or for a retry one that the request has not tried: the next in turn
    /// of the retries. Backends whose circuit breaker is open are passed over.
    ///
    /// # Errors
    /// The request has tried all backends, or no other one takes requests now.
    pub(crate) fn choose(&self, tried: &TriedBackends, now: Instant) -> Result<DestinationInUse, NoBackend> {
        let rotation = if tried.0.is_empty() { &self.rotation } else { &self.retries };
        let mut passed = tried.0.clone();
        let mut refused = NoBackend { retry_after: None };
        loop {
            let backends = self.backends.len();
            let index = match &*passed {
                [] => Some(rotation.next(backends)),
                passed if passed.len() >= backends => None,
                passed => rotation.next_except(backends, passed),
            };
            let (index, backend) = index.and_then(|index| Some((index, self.backends.get(index)?))).ok_or(refused)?;
            match DestinationInUse::begin(backend, now) {
                Ok(destination) => return Ok(destination),
                Err(NoBackend { retry_after }) => {
                    let least = [refused.retry_after, retry_after].into_iter().flatten().min();
                    refused = NoBackend { retry_after: least };
                    passed.push(index);
                }
            }
        }
    }
}

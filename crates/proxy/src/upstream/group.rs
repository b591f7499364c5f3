//! The backends of an upstream as one worker uses them, and the choice among them.

use std::rc::Rc;

use thiserror::Error;

use crate::upstream::destination::Destination;
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

/// No backend of the upstream takes the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no backend of the upstream takes the request")]
pub(crate) struct NoBackend;

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

    /// Chooses the backend of a new request, or for a retry one that the request has not tried: the next in turn of the
    /// retries.
    ///
    /// # Errors
    /// The request has tried all backends.
    pub(crate) fn choose(&self, tried: &TriedBackends) -> Result<&Rc<Destination>, NoBackend> {
        let backends = self.backends.len();
        let index = match &*tried.0 {
            [] => Some(self.rotation.next(backends)),
            tried if tried.len() >= backends => None,
            tried => self.retries.next_except(backends, tried),
        };
        index.and_then(|index| self.backends.get(index)).ok_or(NoBackend)
    }
}

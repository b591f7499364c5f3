//! Upstreams and providers as one worker uses them: the pool of connections, and the edits that every request gets.
//!
//! A worker builds them once per snapshot. A request finds one by the address of its configuration: no name is hashed or
//! compared.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use config::snapshot::{Origin, Provider, Upstream};
use http1::{HeadEdits, InvalidPart};
use rustc_hash::FxHashMap;
use telemetry::metrics::Histogram;

use crate::transform;
use crate::upstream::pool::Pool;
use crate::worker::Worker;

/// An upstream or a provider.
pub(crate) struct Destination {
    pub(crate) name: Arc<str>,
    pub(crate) pool: Rc<Pool>,
    /// The edits that every request to it gets.
    pub(crate) edits: HeadEdits,
    /// The metric of the time until the head of a response.
    pub(crate) duration: Histogram,
}

/// The destinations of one snapshot, by the address of their configuration, which the snapshot keeps alive. There are at
/// most as many as upstreams and providers.
#[derive(Default)]
pub(crate) struct Destinations(RefCell<FxHashMap<usize, Rc<Destination>>>);

impl Destinations {
    /// Returns the destination of an ordinary route; `upstream` is part of the snapshot.
    ///
    /// # Errors
    /// The origin's authority is not a valid header.
    pub(crate) fn of_upstream(
        &self,
        upstream: &Arc<Upstream>,
        worker: &Worker,
    ) -> Result<Rc<Destination>, InvalidPart> {
        self.of(Arc::as_ptr(upstream).addr(), || {
            let edits = transform::upstream_edits(&upstream.origin)?;
            Ok(Destination::new(worker, &upstream.name, &upstream.origin, edits))
        })
    }

    /// Returns the destination of an LLM call; `provider` is part of the snapshot.
    ///
    /// # Errors
    /// The origin's authority is not a valid header.
    pub(crate) fn of_provider(
        &self,
        provider: &Arc<Provider>,
        worker: &Worker,
    ) -> Result<Rc<Destination>, InvalidPart> {
        self.of(Arc::as_ptr(provider).addr(), || {
            let edits = transform::provider_edits(&provider.origin)?;
            Ok(Destination::new(worker, &provider.name, &provider.origin, edits))
        })
    }

    fn of(
        &self,
        address: usize,
        build: impl FnOnce() -> Result<Destination, InvalidPart>,
    ) -> Result<Rc<Destination>, InvalidPart> {
        if let Some(known) = self.0.borrow().get(&address) {
            return Ok(known.clone());
        }
        let built = Rc::new(build()?);
        self.0.borrow_mut().insert(address, built.clone());
        Ok(built)
    }
}

impl Destination {
    fn new(worker: &Worker, name: &Arc<str>, origin: &Origin, edits: HeadEdits) -> Self {
        let duration = worker.handles.upstream_duration(name);
        Self { name: name.clone(), pool: worker.pools.of(origin), edits, duration }
    }
}

//! Upstreams and providers as one worker uses them: the pool of connections, and the edits that every request gets.
//!
//! A worker builds them once per snapshot. A request finds one by the address of its configuration: no name is hashed or
//! compared.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use config::snapshot::{Origin, Provider, Upstream};
use http1::{HeadEdits, InvalidPart, KnownName};
use rustc_hash::FxHashMap;
use telemetry::Metrics;
use telemetry::metrics::{Histogram, UpstreamLabels};

use crate::upstream::pool::{Pool, Pools};

/// Fields that the gateway writes itself for an ordinary upstream, or that concern the connection to the client. Their
/// spellings with underscores are removed too.
const REPLACED: [KnownName; 11] = [
    KnownName::Expect,
    KnownName::Forwarded,
    KnownName::Traceparent,
    KnownName::XForwardedFor,
    KnownName::XForwardedHost,
    KnownName::XForwardedOther,
    KnownName::XForwardedPort,
    KnownName::XForwardedPrefix,
    KnownName::XForwardedProto,
    KnownName::XRealIp,
    KnownName::XRequestId,
];

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
pub(crate) struct Destinations {
    known: RefCell<FxHashMap<usize, Rc<Destination>>>,
    pools: Rc<Pools>,
    metrics: Arc<Metrics>,
}

impl Destinations {
    /// Returns no destinations yet. They use the worker's pools.
    pub(crate) fn new(pools: Rc<Pools>, metrics: Arc<Metrics>) -> Self {
        Self { known: RefCell::default(), pools, metrics }
    }

    /// Returns the destination of an ordinary route; `upstream` is part of the snapshot.
    ///
    /// # Errors
    /// The origin's authority is not a valid header.
    pub(crate) fn of_upstream(&self, upstream: &Arc<Upstream>) -> Result<Rc<Destination>, InvalidPart> {
        self.of(Arc::as_ptr(upstream).addr(), || {
            let edits = upstream_edits(&upstream.origin)?;
            Ok(self.destination(&upstream.name, &upstream.origin, edits))
        })
    }

    /// Returns the destination of an LLM call; `provider` is part of the snapshot.
    ///
    /// # Errors
    /// The origin's authority is not a valid header.
    pub(crate) fn of_provider(&self, provider: &Arc<Provider>) -> Result<Rc<Destination>, InvalidPart> {
        self.of(Arc::as_ptr(provider).addr(), || {
            let edits = provider_edits(&provider.origin)?;
            Ok(self.destination(&provider.name, &provider.origin, edits))
        })
    }

    fn of(
        &self,
        address: usize,
        build: impl FnOnce() -> Result<Destination, InvalidPart>,
    ) -> Result<Rc<Destination>, InvalidPart> {
        if let Some(known) = self.known.borrow().get(&address) {
            return Ok(known.clone());
        }
        let built = Rc::new(build()?);
        self.known.borrow_mut().insert(address, built.clone());
        Ok(built)
    }

    fn destination(&self, name: &Arc<str>, origin: &Origin, edits: HeadEdits) -> Destination {
        let labels = UpstreamLabels { upstream: name.into() };
        let duration = self.metrics.proxy.upstream_duration.get_or_create(&labels);
        Destination { name: name.clone(), pool: self.pools.of(origin), edits, duration }
    }
}

/// Returns the edits that every request to an ordinary upstream gets.
///
/// # Errors
/// The origin's authority is not a field value.
pub(crate) fn upstream_edits(origin: &Origin) -> Result<HeadEdits, InvalidPart> {
    let mut edits = HeadEdits::for_forwarding();
    for name in REPLACED {
        edits.remove(name);
    }
    edits.set(KnownName::Host, origin.authority.as_bytes())?;
    Ok(edits)
}

/// Returns the edits that every request to a provider gets.
///
/// # Errors
/// The origin's authority is not a field value.
pub(crate) fn provider_edits(origin: &Origin) -> Result<HeadEdits, InvalidPart> {
    let mut edits = HeadEdits::for_forwarding();
    edits.remove(KnownName::Traceparent);
    edits.set(KnownName::Host, origin.authority.as_bytes())?;
    // The tap must be able to read the response.
    edits.set(KnownName::AcceptEncoding, b"identity")?;
    Ok(edits)
}

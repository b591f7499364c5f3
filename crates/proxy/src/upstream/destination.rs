//! Backends of upstreams, and providers, as one worker uses them: the pool of connections, and the edits that every
//! request gets.

use std::rc::Rc;
use std::sync::Arc;

use config::snapshot::Origin;
use config::snapshot::trusted_headers::FORWARDED;
use http1::{HeadEdits, InvalidPart, KnownName};
use telemetry::metrics::Histogram;
use tokio::time::Instant;

use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::backend::BackendUse;
use crate::upstream::breaker::TrialPermit;
use crate::upstream::no_backend::NoBackend;
use crate::upstream::pool::Pool;
use crate::upstream::retry_budget::RetryPermit;

/// Fields beside [`FORWARDED`] that the gateway writes itself for an ordinary upstream, or that concern the connection to the
/// client.
const REPLACED: [KnownName; 4] = [KnownName::Expect, KnownName::Host, KnownName::Traceparent, KnownName::XRequestId];

/// A backend of an upstream, or a provider.
pub(crate) struct Destination {
    /// The name of the upstream or provider.
    pub(crate) name: Arc<str>,
    pub(crate) pool: Rc<Pool>,
    /// The edits that every request to it gets.
    pub(crate) edits: HeadEdits,
    /// The metric of the time until the head of a response.
    pub(crate) duration: Histogram,
    pub(crate) backend: BackendUse,
}

impl Destination {
    /// Returns the URL of a backend that has others beside it, for the log.
    pub(crate) fn backend_url(&self) -> Option<&str> {
        self.backend.has_others.then_some(&*self.backend.state.url)
    }
}

/// The destination of a request, which counts the request as in flight until it is dropped.
pub(crate) struct DestinationInUse {
    destination: Rc<Destination>,
    /// The permit of a half-open circuit breaker, until the attempt is reported.
    permit: Option<TrialPermit>,
    /// The permit of a retry, until the request has ended.
    retry: Option<RetryPermit>,
}

impl DestinationInUse {
    /// Begins to use a destination at `now`.
    ///
    /// # Errors
    /// The circuit breaker of the destination is open.
    pub(crate) fn begin(destination: &Rc<Destination>, now: Instant) -> Result<Self, NoBackend> {
        let permit = destination.backend.admit(now)?;
        destination.backend.counts.begin();
        Ok(Self { destination: destination.clone(), permit, retry: None })
    }

    /// Counts the request as a retry with this permit, until it ends.
    pub(crate) fn retries_with(&mut self, permit: RetryPermit) {
        self.retry = Some(permit);
    }

    /// Returns the destination itself.
    pub(crate) fn shared(&self) -> Rc<Destination> {
        self.destination.clone()
    }

    /// Reports the end of an attempt. `source` is the cause of a failed connection, for the log.
    pub(crate) fn report(&mut self, result: AttemptResult, source: Option<&str>) {
        self.destination.backend.report(result, source, self.permit.take().as_ref());
    }
}

impl std::ops::Deref for DestinationInUse {
    type Target = Destination;

    fn deref(&self) -> &Destination {
        &self.destination
    }
}

impl Drop for DestinationInUse {
    fn drop(&mut self) {
        self.destination.backend.counts.end();
    }
}

/// Returns the edits that every request to an ordinary upstream gets. They remove the host: each request adds that of its
/// route.
pub(crate) fn upstream_edits() -> HeadEdits {
    let mut edits = HeadEdits::for_forwarding();
    for name in FORWARDED.into_iter().chain(REPLACED) {
        edits.remove(name);
    }
    edits
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

//! The decisions of services about requests of one worker: those in progress, and those that are cached.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use http1::InvalidPart;
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::upstream::short_call::ShortCallError;
use crate::worker::admitted_client::ServiceClient;
use crate::worker::credential_cache::CredentialCache;

/// Maximum number of requests of a worker that wait for one service.
const WAITING_MAX: usize = 256;
/// Maximum number of responses that a worker caches.
const CACHED_MAX: usize = 4_000;

/// The requests of a worker that wait for services, and the responses that it caches for one snapshot.
pub(crate) struct Services {
    pub(crate) cached: CredentialCache<Decision>,
    pub(crate) waiting: WaitingCounts,
}

impl Default for Services {
    fn default() -> Self {
        Self { cached: CredentialCache::new(CACHED_MAX), waiting: WaitingCounts::default() }
    }
}

/// The numbers of requests that wait, by the address of the service's entry, which the snapshot keeps alive.
pub(crate) type WaitingCounts = RefCell<FxHashMap<usize, usize>>;

/// The decision of a service about a request.
#[derive(Clone)]
pub(crate) enum Decision {
    Admitted(Rc<ServiceClient>),
    /// The response that the client gets.
    Responded(Rc<Response<Bytes>>),
    Failed(Rc<ServiceError>),
    Busy,
}

/// The reason why a service has not decided.
#[derive(Debug, Error)]
pub(crate) enum ServiceError {
    #[error("the service did not respond in time")]
    Late,
    #[error("the service sent no whole response")]
    Call(#[source] ShortCallError),
    #[error("the request to the service cannot be written")]
    Request(#[source] InvalidPart),
    #[error("the response of the service has an invalid header")]
    Header,
    #[error("the response of the service has no valid subject")]
    Subject,
}

/// The permit of a request that waits for a service.
pub(crate) struct WaitPermit<'a> {
    waiting: &'a WaitingCounts,
    entry: usize,
}

impl<'a> WaitPermit<'a> {
    /// Counts a request that waits for the service of `entry`, an address; `None` if too many wait for it.
    pub(crate) fn take(waiting: &'a WaitingCounts, entry: usize) -> Option<Self> {
        let mut counts = waiting.borrow_mut();
        let count = counts.entry(entry).or_default();
        (*count < WAITING_MAX).then(|| {
            *count += 1;
            Self { waiting, entry }
        })
    }
}

impl Drop for WaitPermit<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.waiting.borrow_mut().get_mut(&self.entry) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_wait_for_one_service_leave_room_for_another() {
        let waiting = WaitingCounts::default();
        let mut permits: Vec<_> = (0..WAITING_MAX).map(|_| WaitPermit::take(&waiting, 1).unwrap()).collect();
        assert!(WaitPermit::take(&waiting, 1).is_none() && WaitPermit::take(&waiting, 2).is_some());
        permits.pop();
        assert!(WaitPermit::take(&waiting, 1).is_some());
    }
}

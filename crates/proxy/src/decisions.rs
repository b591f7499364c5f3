//! The decisions of services about requests of one worker: those in progress, and those that are cached.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use http1::InvalidPart;
use thiserror::Error;

use crate::admitted_client::ServiceClient;
use crate::credential_cache::CredentialCache;
use crate::upstream::connect::ConnectError;
use crate::upstream::http1::body::Http1BodyError;
use crate::upstream::http1::error::Http1CallError;

/// Maximum number of requests of a worker that wait for services.
const WAITING_MAX: usize = 256;
/// Maximum number of responses that a worker caches.
const CACHED_MAX: usize = 4_000;

/// The requests of a worker that wait for services, and the responses that it caches for one snapshot.
pub(crate) struct Services {
    pub(crate) cached: CredentialCache<Decision>,
    pub(crate) waiting: Cell<usize>,
}

impl Default for Services {
    fn default() -> Self {
        Self { cached: CredentialCache::new(CACHED_MAX), waiting: Cell::new(0) }
    }
}

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
    #[error("the service cannot be reached")]
    Connect(#[source] ConnectError),
    #[error("the service did not respond")]
    Call(#[source] Http1CallError),
    #[error("the response of the service is incomplete")]
    Body(#[source] Http1BodyError),
    #[error("the body of the response of the service is larger than 64 KiB")]
    TooLarge,
    #[error("the request to the service cannot be written")]
    Request(#[source] InvalidPart),
    #[error("the service speaks HTTP/2 only")]
    Protocol,
    #[error("the response of the service has an invalid header")]
    Header,
    #[error("the response of the service has no valid subject")]
    Subject,
}

/// The permit of a request that waits for a service.
pub(crate) struct WaitPermit<'a>(&'a Cell<usize>);

impl<'a> WaitPermit<'a> {
    pub(crate) fn take(waiting: &'a Cell<usize>) -> Option<Self> {
        let count = waiting.get();
        (count < WAITING_MAX).then(|| {
            waiting.set(count + 1);
            Self(waiting)
        })
    }
}

impl Drop for WaitPermit<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

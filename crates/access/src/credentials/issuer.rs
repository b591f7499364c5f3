//! The keys that issuers of access tokens publish: their sources, and the sets that were fetched last.
//!
//! An [`IssuerRegistry`] lives as long as the process, so the keys survive a change of the configuration. A job fetches
//! them; requests only read them.

mod url;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;
pub use url::{IssuerUrl, IssuerUrlError, UrlScheme, host_and_port, is_link_local};

use crate::credentials::jwt::KeySet;

/// Maximum number of requests that wait for a fetch of one source.
const WAITING_MAX: usize = 256;

/// The place where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerSource {
    /// The URL of the keys, or the issuer whose metadata names it.
    pub place: IssuerPlace,
    /// Whether the host may have a link-local address, at which clouds serve the credentials of machines.
    pub allow_link_local: bool,
    /// The TLS settings of the connections. Keys that were fetched with other settings are not used.
    pub tls: Option<IssuerTls>,
}

/// The TLS settings of connections to an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerTls {
    /// The file with the certificates that sign those of the issuer; `None` means Mozilla's.
    pub ca: Option<PathBuf>,
    /// The files of the client certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the issuer's certificate; `None` means the host of its URL.
    pub server_name: Option<String>,
}

/// The URL that is configured for the keys of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IssuerPlace {
    /// The URL of the JSON Web Key Set.
    Keys(IssuerUrl),
    /// The issuer. Its metadata names the URL of the keys (OpenID Connect Discovery 1.0, 4).
    Issuer(IssuerUrl),
}

impl IssuerSource {
    /// Returns the configured URL, which names the source in the log and in metrics.
    #[must_use]
    pub const fn url(&self) -> &IssuerUrl {
        match &self.place {
            IssuerPlace::Keys(url) | IssuerPlace::Issuer(url) => url,
        }
    }
}

/// The keys of one source.
#[derive(Debug, Default)]
pub struct IssuerKeys {
    keys: RwLock<Option<Arc<KeySet>>>,
    generation: AtomicU64,
    is_requested: AtomicBool,
    /// The number of fetches that have begun.
    begun: AtomicU64,
    ended: watch::Sender<EndedFetch>,
    waiting: AtomicUsize,
}

/// The last fetch that has ended.
#[derive(Debug, Clone, Copy, Default)]
struct EndedFetch {
    number: u64,
    has_succeeded: bool,
}

/// A request that waits for a fetch, among at most [`WAITING_MAX`].
struct WaitingRequest<'a>(&'a AtomicUsize);

impl IssuerKeys {
    /// Returns the keys that were fetched last; `None` if none were fetched yet.
    #[must_use]
    pub fn load(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a number that differs after each change of the keys; 0 before the first one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Replaces the keys. Returns whether they differ from those before.
    pub fn store(&self, keys: KeySet) -> bool {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|current| current.is_same(&keys)) {
            return false;
        }
        *current = Some(Arc::new(keys));
        self.generation.fetch_add(1, Ordering::Release);
        true
    }

    /// Requests that the keys are fetched soon, because a token names a key that is not among them, and waits until a
    /// fetch has ended that began after this call. Returns false if that fetch failed, or at once if too many requests
    /// wait. The future may be cancelled.
    pub async fn refetched(&self) -> bool {
        let Some(_waiting) = WaitingRequest::enter(&self.waiting) else { return false };
        let mut ended = self.ended.subscribe();
        // Read first: the fetch of another request may begin before the request is stored.
        let next = self.begun.load(Ordering::SeqCst) + 1;
        self.is_requested.store(true, Ordering::SeqCst);
        ended.wait_for(|ended| ended.number >= next).await.is_ok_and(|ended| ended.has_succeeded)
    }

    /// Returns whether a fetch was requested since the last one began.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::SeqCst)
    }

    /// Notes that a fetch begins. It ends the request of one.
    pub fn begin_fetch(&self) {
        self.is_requested.store(false, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that the last fetch that began has ended, and its keys are stored if it succeeded.
    pub fn end_fetch(&self, has_succeeded: bool) {
        let number = self.begun.load(Ordering::SeqCst);
        self.ended.send_replace(EndedFetch { number, has_succeeded });
    }
}

impl<'a> WaitingRequest<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Option<Self> {
        let one_more = |count| (count < WAITING_MAX).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Self(waiting))
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The keys of all sources of this process. The configuration bounds their number.
#[derive(Debug, Default)]
pub struct IssuerRegistry(Mutex<HashMap<IssuerSource, Arc<IssuerKeys>>>);

impl IssuerRegistry {
    /// Returns the keys of a source, which is added if it is new.
    #[must_use]
    pub fn keys_of(&self, source: &IssuerSource) -> Arc<IssuerKeys> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(source.clone()).or_default().clone()
    }

    /// Removes the sources that are not current and whose keys nobody else has. A worker may have the keys of a source
    /// whose configuration the caller has not read yet.
    pub fn retain(&self, is_current: impl Fn(&IssuerSource) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known, keys| is_current(known) || Arc::strong_count(keys) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn source(url: &str) -> IssuerSource {
        IssuerSource { place: IssuerPlace::Keys(IssuerUrl::parse(url).unwrap()), allow_link_local: false, tls: None }
    }

    #[test]
    fn keys_of_a_source_survive_a_change_of_the_configuration() {
        let registry = IssuerRegistry::default();
        let kept = source("https://a.example/keys");
        let removed = source("https://b.example/keys");
        let keys = registry.keys_of(&kept);
        assert!(keys.load().is_none() && registry.keys_of(&removed).store(KeySet::parse(KEYS.as_bytes()).unwrap()));
        assert!(keys.store(KeySet::parse(KEYS.as_bytes()).unwrap()));
        registry.retain(|source| *source == kept);
        assert!(registry.keys_of(&kept).load().is_some());
        assert!(registry.keys_of(&removed).load().is_none());
        // A worker has the keys already, although the job has not read the configuration that names them.
        let held = registry.keys_of(&removed);
        registry.retain(|source| *source == kept);
        assert!(Arc::ptr_eq(&held, &registry.keys_of(&removed)));
        drop(held);
        registry.retain(|source| *source == kept);
        assert_eq!(registry.0.lock().unwrap().len(), 1);
    }

    fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn a_request_waits_for_a_fetch_that_begins_after_it() {
        let keys = IssuerKeys::default();
        keys.begin_fetch();
        let mut waiting = std::pin::pin!(keys.refetched());
        assert!(is_pending(waiting.as_mut()));
        keys.end_fetch(true);
        assert!(is_pending(waiting.as_mut()) && keys.is_requested(), "that fetch began before the request");
        keys.begin_fetch();
        assert!(is_pending(waiting.as_mut()) && !keys.is_requested());
        keys.end_fetch(true);
        assert!(waiting.await);
    }

    #[tokio::test]
    async fn a_request_that_waited_for_a_failed_fetch_does_not_have_the_keys() {
        let keys = IssuerKeys::default();
        let mut waiting = std::pin::pin!(keys.refetched());
        assert!(is_pending(waiting.as_mut()));
        keys.begin_fetch();
        keys.end_fetch(false);
        assert!(!waiting.await);
    }

    #[tokio::test]
    async fn requests_that_wait_are_bounded_and_leave_when_they_are_cancelled() {
        let keys = IssuerKeys::default();
        let mut all: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(keys.refetched())).collect();
        assert!(all.iter_mut().all(|one| is_pending(one.as_mut())));
        assert!(!keys.refetched().await);
        all.pop();
        assert!(is_pending(std::pin::pin!(keys.refetched())));
    }

    #[test]
    fn generation_changes_with_the_document_only() {
        let keys = IssuerKeys::default();
        let set = |text: &str| KeySet::parse(text.as_bytes()).unwrap();
        let other = KEYS.replace("{\"kty\"", "{\"kid\":\"2\",\"kty\"");
        let mut generations = vec![keys.generation()];
        for text in [KEYS, KEYS, &other, KEYS] {
            keys.store(set(text));
            generations.push(keys.generation());
        }
        assert_eq!(generations, [0, 1, 1, 2, 3]);
    }
}

//! Credentials of the operator that a provider has lastingly refused: they are invalid, or their account has no money left.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time in which a refused credential is not tried again.
const REFUSED_TIME: Duration = Duration::from_secs(60);
/// Maximum number of refusals that are known at a time. Others are tried again by the next call.
const REFUSALS_MAX: usize = 1024;

/// A credential of a provider, for one model.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct CredentialUse<'a> {
    pub(crate) provider: &'a str,
    pub(crate) model: &'a str,
    /// What identifies the credential. Only its keyed hash is kept.
    pub(crate) credential: &'a str,
}

/// The credentials that are not tried now.
#[derive(Debug, Default)]
pub(crate) struct RefusedCredentials {
    /// Whether any is known; if not, nothing else is read.
    has_any: AtomicBool,
    /// The ends of the times, by the hash of a use.
    until: Mutex<HashMap<u64, Instant>>,
    hasher: RandomState,
}

impl RefusedCredentials {
    /// Whether any credential may be refused at present.
    pub(crate) fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Relaxed)
    }

    /// Notes that the provider has refused the credential.
    pub(crate) fn refused(&self, of: CredentialUse<'_>, now: Instant) {
        let mut known = self.known();
        known.retain(|_, until| now < *until);
        if known.len() < REFUSALS_MAX {
            known.insert(self.hasher.hash_one(of), now + REFUSED_TIME);
            self.has_any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the provider has refused the credential within the last minute.
    pub(crate) fn is_refused(&self, of: CredentialUse<'_>, now: Instant) -> bool {
        let mut known = self.known();
        known.retain(|_, until| now < *until);
        self.has_any.store(!known.is_empty(), Ordering::Relaxed);
        known.contains_key(&self.hasher.hash_one(of))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_credential_is_not_tried_for_a_minute() {
        let refused = RefusedCredentials::default();
        let now = Instant::now();
        let of = CredentialUse { provider: "p", model: "m", credential: "k" };
        assert!(!refused.has_any());
        refused.refused(of, now);
        assert!(refused.has_any() && refused.is_refused(of, now + REFUSED_TIME - Duration::from_secs(1)));
        for other in [
            CredentialUse { provider: "q", ..of },
            CredentialUse { model: "n", ..of },
            CredentialUse { credential: "new", ..of },
        ] {
            assert!(!refused.is_refused(other, now), "{other:?}");
        }
        assert!(!refused.is_refused(of, now + REFUSED_TIME) && !refused.has_any());
    }

    #[test]
    fn the_number_of_refusals_is_bounded() {
        let refused = RefusedCredentials::default();
        let now = Instant::now();
        let models: Vec<String> = (0..=REFUSALS_MAX).map(|number| number.to_string()).collect();
        let of = |model| CredentialUse { provider: "p", model, credential: "k" };
        models.iter().for_each(|model| refused.refused(of(model), now));
        assert!(refused.is_refused(of("0"), now) && !refused.is_refused(of(&models[REFUSALS_MAX]), now));
        assert_eq!(refused.known().len(), REFUSALS_MAX);
    }
}

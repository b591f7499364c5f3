//! The hashes of the keys that a worker has found lately, so that these keys are not hashed by SHA-256 again.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use siphasher::sip128::SipHasher24;

use crate::cache::Cache;
use crate::credentials::api_key::KeyHash;

/// The hashes of keys, by the tag of the key. Only keys that exist are kept, so that random keys cannot evict them.
pub(super) struct KnownHashes {
    /// The secret of the tags; `None` if the operating system returned no random bytes. No key has a tag then.
    secret: Option<[u8; 16]>,
    hashes: Mutex<Cache<Tag, KeyHash>>,
}

/// The SipHash-2-4-128 of a key with a random secret of this process: nobody can find a key with the tag of another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(u128);

impl KnownHashes {
    pub(super) fn new(entries_max: usize) -> Self {
        let mut secret = [0_u8; 16];
        let secret = getrandom::fill(&mut secret).is_ok().then_some(secret);
        Self { secret, hashes: Mutex::new(Cache::new(entries_max)) }
    }

    pub(super) fn tag(&self, key: &[u8]) -> Option<Tag> {
        Some(Tag(SipHasher24::new_with_key(self.secret.as_ref()?).hash(key).as_u128()))
    }

    pub(super) fn get(&self, tag: Tag) -> Option<KeyHash> {
        self.hashes().get(&tag)
    }

    pub(super) fn insert(&self, tag: Tag, hash: KeyHash) {
        self.hashes().insert(tag, hash);
    }

    fn hashes(&self) -> MutexGuard<'_, Cache<Tag, KeyHash>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KnownHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownHashes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_other_keys_and_of_other_secrets_differ() {
        let one = KnownHashes::new(4);
        let another = KnownHashes::new(4);
        assert!(one.tag(b"a") == one.tag(b"a") && one.tag(b"a").is_some());
        assert!(one.tag(b"a") != one.tag(b"b") && one.tag(b"a") != another.tag(b"a"));
    }

    #[test]
    fn a_hash_is_found_by_the_tag_of_its_key() {
        let known = KnownHashes::new(4);
        let [a, b] = [b"a", b"b"].map(|key| known.tag(key).unwrap());
        known.insert(a, KeyHash([1; 32]));
        assert_eq!((known.get(a), known.get(b)), (Some(KeyHash([1; 32])), None));
        assert_eq!(format!("{known:?}"), "KnownHashes(…)");
    }
}

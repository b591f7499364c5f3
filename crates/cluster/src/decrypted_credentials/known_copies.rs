//! The copies of users' own credentials that principals hold.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use access::{ProviderKey, UserId};

/// The number of copies from which those that no principal holds are removed.
const REMOVED_FROM: usize = 1_024;

/// The last copy of each user's credentials, as long as a principal holds it.
#[derive(Debug)]
pub(super) struct KnownCopies {
    copies: HashMap<UserId, Weak<[ProviderKey]>>,
    /// The number of copies at which those without a holder are removed next.
    removed_at: usize,
}

impl Default for KnownCopies {
    fn default() -> Self {
        Self { copies: HashMap::new(), removed_at: REMOVED_FROM }
    }
}

impl KnownCopies {
    /// Returns the known copy of a user's credentials if it equals `keys`, otherwise a new one.
    pub(super) fn share(&mut self, user: UserId, keys: Vec<ProviderKey>) -> Arc<[ProviderKey]> {
        let known = self.copies.get(&user).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| **known == *keys) {
            return known;
        }
        if self.copies.len() >= self.removed_at {
            self.copies.retain(|_, copy| copy.strong_count() > 0);
            self.removed_at = self.copies.len().saturating_mul(2).max(REMOVED_FROM);
        }
        let copy = Arc::from(keys);
        self.copies.insert(user, Arc::downgrade(&copy));
        copy
    }
}

#[cfg(test)]
mod tests {
    use access::{ProviderKeyId, Secret};
    use uuid::Uuid;

    use super::*;

    fn keys(secret: &str) -> Vec<ProviderKey> {
        let id = ProviderKeyId(Uuid::nil());
        let secret = Some(Secret::new(secret.to_owned()));
        vec![ProviderKey { id, provider: "openai".into(), label: "own".into(), secret }]
    }

    #[test]
    fn equal_credentials_of_a_user_are_one_copy_and_changed_ones_another() {
        let mut copies = KnownCopies::default();
        let ada = UserId(Uuid::nil());
        let bob = UserId(Uuid::max());
        let first = copies.share(ada, keys("sk-1"));
        assert!(Arc::ptr_eq(&first, &copies.share(ada, keys("sk-1"))));
        assert!(!Arc::ptr_eq(&first, &copies.share(bob, keys("sk-1"))));
        let changed = copies.share(ada, keys("sk-2"));
        assert_eq!(*changed, *keys("sk-2"));
        assert!(Arc::ptr_eq(&changed, &copies.share(ada, keys("sk-2"))));
    }

    #[test]
    fn copies_without_a_holder_are_removed() {
        let mut copies = KnownCopies::default();
        let held = copies.share(UserId(Uuid::max()), keys("sk-held"));
        for n in 0..u128::try_from(REMOVED_FROM).unwrap() * 3 {
            drop(copies.share(UserId(Uuid::from_u128(n)), keys("sk-1")));
        }
        assert!(copies.copies.len() <= REMOVED_FROM, "{}", copies.copies.len());
        assert!(Arc::ptr_eq(&held, &copies.share(UserId(Uuid::max()), keys("sk-held"))));
    }
}

//! Who a request is made as.

use std::sync::Arc;

use crate::bounds::KeyBounds;
use crate::clock::Timestamp;
use crate::id::{KeyId, KeyNo, UserId, UserNo};
use crate::plan::Plan;
use crate::provider_key::ProviderKeys;

/// The caller, known by an API key: active, not revoked, not expired when it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key's owner.
    pub user: UserId,
    /// The store's integer for the owner.
    pub user_no: UserNo,
    /// The key presented.
    pub key: KeyId,
    /// The store's integer for the key.
    pub key_no: KeyNo,
    /// The owner's plan.
    pub plan: Arc<Plan>,
    /// From this moment on the key, or the secret presented, opens nothing; whichever ends first.
    pub expires_at: Option<Timestamp>,
    /// Until when the secret presented opens the key, where it is the one before the last rotation.
    pub rotated: Option<Timestamp>,
    /// What the key may do less than its owner.
    pub bounds: Arc<KeyBounds>,
    /// What the owner's LLM calls may go with.
    pub provider_keys: ProviderKeys,
}

impl Principal {
    /// A caller whose key has no bounds and no end.
    #[must_use]
    pub fn unbounded(user: (UserId, UserNo), key: (KeyId, KeyNo), plan: Arc<Plan>) -> Self {
        let ((user, user_no), (key, key_no)) = (user, key);
        let (bounds, provider_keys) = (Arc::default(), ProviderKeys::default());
        Self { user, user_no, key, key_no, plan, expires_at: None, rotated: None, bounds, provider_keys }
    }
}

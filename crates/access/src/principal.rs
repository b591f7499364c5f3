//! Who a request is made as.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::{KeyId, KeyNo, UserId, UserNo};
use crate::plan::Plan;

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
    /// From this moment on the key opens nothing.
    pub expires_at: Option<Timestamp>,
}

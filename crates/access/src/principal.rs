//! Who a request is made as.

use std::sync::Arc;

use crate::bounds::KeyBounds;
use crate::budget::BudgetId;
use crate::clock::Timestamp;
use crate::id::{KeyId, KeyNo, PlanId, UserId, UserNo};
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
    /// The id of the owner's plan.
    pub plan_id: PlanId,
    /// The owner's plan.
    pub plan: Arc<Plan>,
    /// What holds them beside the limits of plan and key: budgets of the key, the user, the plan and everybody, with how much
    /// each holds.
    pub budgets: Arc<[(BudgetId, u64)]>,
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
        Self {
            user,
            user_no,
            key,
            key_no,
            plan_id: PlanId::NIL,
            plan,
            budgets: Arc::default(),
            expires_at: None,
            rotated: None,
            bounds: Arc::default(),
            provider_keys: ProviderKeys::default(),
        }
    }
}

//! Who a request is made as.

use std::fmt;
use std::sync::Arc;

use crate::bounds::KeyBounds;
use crate::budget::BudgetId;
use crate::clock::Timestamp;
use crate::id::{KeyId, KeyNo, PlanId, UserId, UserNo};
use crate::plan::Plan;
use crate::provider_key::ProviderKeys;

/// The last four digits of a key, by which lists and log lines name it beside its id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Last4([u8; 4]);

impl Last4 {
    /// Parses four hexadecimal digits; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 4] = text.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(Self(digits))
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits are always UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Last4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Last4({})", self.as_str())
    }
}

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
    /// The last four digits of the key; `None` where they are not known.
    pub last4: Option<Last4>,
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
            last4: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_digits_are_four_hexadecimal_digits() {
        assert_eq!(Last4::parse("9f3c").map(|last4| last4.as_str().to_owned()), Some("9f3c".to_owned()));
        for text in ["", "9f3", "9f3c0", "9f3g", "ß3c", "9f \n"] {
            assert_eq!(Last4::parse(text), None, "{text:?}");
        }
    }
}

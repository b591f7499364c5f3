//! The authenticated user and key of a request.

use std::fmt;
use std::sync::Arc;

use crate::amounts::amount::Amount;
use crate::credentials::provider_key::ProviderKeys;
use crate::id::{KeyId, KeyNo, PlanId, UserId, UserNo};
use crate::limits::bounds::KeyBounds;
use crate::limits::budget::BudgetId;
use crate::limits::plan::Plan;
use crate::people::labels::LabelSet;
use crate::people::subject::{Caller, Subject};
use crate::time::clock::Timestamp;

/// The last four digits of a key. Lists and log lines show them with its id.
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

/// The user and key of a request. The key was neither revoked nor expired when it was looked up, and the user was
/// active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The id of the user who owns the key.
    pub user: UserId,
    /// The store's integer for the user.
    pub user_no: UserNo,
    /// The id of the key.
    pub key: KeyId,
    /// The store's integer for the key.
    pub key_no: KeyNo,
    /// The last four digits of the key; `None` if they are not known.
    pub last4: Option<Last4>,
    /// The id of the user's plan.
    pub plan_id: PlanId,
    /// The plan of the user.
    pub plan: Arc<Plan>,
    /// Budgets of the key, the user, the plan and all users, with their amounts; the limits of plan and key apply as
    /// well.
    pub budgets: Arc<[(BudgetId, Amount)]>,
    /// Time at which the key or this secret expires, whichever is earlier.
    pub expires_at: Option<Timestamp>,
    /// Time until which this secret remains valid, if it is the one before the last rotation.
    pub rotated: Option<Timestamp>,
    /// Whether the key may call what admins call: it has the scope `admin`, and its user is an admin.
    pub is_admin: bool,
    /// Restrictions of the key.
    pub bounds: Arc<KeyBounds>,
    /// The provider credentials that the user's LLM requests may use.
    pub provider_keys: ProviderKeys,
    /// The labels of the key, and those of the user with other names.
    pub labels: LabelSet,
}

impl Principal {
    /// Returns the identity of the requests with this key.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::Key(Caller::from(self))
    }

    /// Creates a principal whose key has no restrictions and does not expire.
    #[must_use]
    pub fn unbounded(user: (UserId, UserNo), key: (KeyId, KeyNo), plan: Arc<Plan>) -> Self {
        let (user, user_no) = user;
        let (key, key_no) = key;
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
            is_admin: false,
            bounds: Arc::default(),
            provider_keys: ProviderKeys::default(),
            labels: LabelSet::NONE,
        }
    }
}

impl From<&Principal> for Caller {
    fn from(principal: &Principal) -> Self {
        Self { user: principal.user_no, key: principal.key_no, plan: principal.plan_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_digits_are_four_hexadecimal_digits() {
        assert_eq!(Last4::parse("9f3c").map(|last4| last4.as_str().to_owned()), Some("9f3c".to_owned()));
        assert_eq!(format!("{:?}", Last4::parse("9f3c")), "Some(Last4(9f3c))");
        for text in ["", "9f3", "9f3c0", "9f3g", "ß3c", "9f \n"] {
            assert_eq!(Last4::parse(text), None, "{text:?}");
        }
    }
}

//! The users whose usage a query adds up. In SQL texts the scope is `$1`.

use std::time::Duration;

use access::{PlanId, UserId, UserNo};
use store::sql::Query;

/// Maximum difference between the time in the id of a request and the time at which it began.
pub(super) const ID_SLACK: Duration = Duration::from_secs(60);

/// The user who owns a key, or made a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// Public id of the user.
    pub id: UserId,
    /// Name that is shown to people.
    pub name: String,
}

/// The users whose usage is requested. One key of a user is a further condition of each query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOf {
    /// All users of the store.
    All,
    /// The users with this plan now.
    Plan(PlanId),
    /// One user of the store.
    User(UserNo),
}

impl From<UserNo> for UsageOf {
    fn from(user: UserNo) -> Self {
        Self::User(user)
    }
}

impl UsageOf {
    /// Returns the condition for rows of totals, events and counts that belong to the scope. The scope of all users also
    /// contains requests without a user.
    pub(super) const fn condition(self) -> &'static str {
        match self {
            Self::All => "CAST($1 AS BIGINT) IS NULL",
            Self::Plan(_) => "user_no IN (SELECT no FROM users WHERE plan_id = $1)",
            Self::User(_) => "user_no = $1",
        }
    }

    /// Binds `$1` of [`condition`](Self::condition).
    pub(super) fn bind(self, query: Query<'_>) -> Query<'_> {
        match self {
            Self::All => query.bind(None::<i64>),
            Self::Plan(plan) => query.bind(plan.0),
            Self::User(user) => query.bind(user.0),
        }
    }

    /// Whether the rows of several users are read. Only admins may read them, so such a query may read more rows.
    pub(super) const fn is_wide(self) -> bool {
        !matches!(self, Self::User(_))
    }

    /// One scope of each kind, to build all SQL texts.
    #[cfg(test)]
    pub(super) const KINDS: [Self; 3] = [Self::All, Self::Plan(PlanId::NIL), Self::User(UserNo(0))];
}

//! The user whose usage is requested: the caller's user, or for admins any user.

use std::sync::Arc;

use access::{KeyId, KeyNo, Plan, Refusal, Role, UserId, UserNo};
use store::{Key, KeyRef, UserRef};
use uuid::Uuid;

use crate::caller::Caller;
use crate::problem::{NO_KEY, Problem};
use crate::state::State;

/// A user whose usage is requested.
#[derive(Debug)]
pub(crate) struct UsageScope {
    pub(crate) user: UserId,
    pub(crate) no: UserNo,
    pub(crate) plan: Arc<Plan>,
}

impl UsageScope {
    /// Returns the requested user: the caller's user if `user_id` is `None`.
    ///
    /// # Errors
    /// `not_found` if the user does not exist, or is another user and the caller is not an admin.
    pub(crate) async fn of(state: &State, caller: &Caller, user_id: Option<Uuid>) -> Result<Self, Problem> {
        let user = Self::id(caller, user_id)?;
        if user == caller.user {
            return Ok(Self { user, no: caller.user_no, plan: caller.plan.clone() });
        }
        let found = state.store.find_user(&UserRef::Id(user)).await.map_err(Problem::store)?;
        let user = found.ok_or_else(no_such_user)?;
        Ok(Self { user: user.id, no: user.no, plan: Arc::new(user.plan) })
    }

    /// Returns the id of the requested user without a look-up.
    ///
    /// # Errors
    /// The errors of [`of`](Self::of), except for a user that does not exist.
    pub(crate) fn id(caller: &Caller, user_id: Option<Uuid>) -> Result<UserId, Problem> {
        match user_id.map(UserId) {
            None => Ok(caller.user),
            Some(user) if user == caller.user || caller.role == Role::Admin => Ok(user),
            Some(_) => Err(no_such_user()),
        }
    }

    /// Returns the number of one of the user's keys, including revoked keys.
    ///
    /// # Errors
    /// `not_found`, also for a key of another user, so that its existence stays secret.
    pub(crate) async fn key(&self, state: &State, id: Uuid) -> Result<KeyNo, Problem> {
        self.find_key(state, id).await.map(|key| key.no)
    }

    /// Returns one of the user's keys, including revoked keys.
    ///
    /// # Errors
    /// The errors of [`key`](Self::key).
    pub(crate) async fn find_key(&self, state: &State, id: Uuid) -> Result<Key, Problem> {
        let found = state.store.find_key(KeyRef::of(self.user, KeyId(id))).await.map_err(Problem::store)?;
        found.ok_or_else(|| Problem::new(Refusal::NotFound, NO_KEY))
    }
}

/// The problem of a user that does not exist or that the caller may not see.
pub(crate) fn no_such_user() -> Problem {
    Problem::new(Refusal::NotFound, "no user with this id is visible to you")
}

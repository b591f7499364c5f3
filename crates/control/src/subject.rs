//! Whose usage is told: the caller's own, or, to an admin, anybody's.

use std::sync::Arc;

use access::{KeyId, KeyNo, Plan, Refusal, Role, UserId, UserNo};
use store::{Key, KeyRef, UserRef};
use uuid::Uuid;

use crate::caller::Caller;
use crate::problem::{NO_KEY, Problem};
use crate::state::State;

/// A user whose usage is told.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) user: UserId,
    pub(crate) no: UserNo,
    pub(crate) plan: Arc<Plan>,
}

impl Subject {
    /// Who is asked about: the caller's user where nobody is named.
    ///
    /// # Errors
    /// `not_found` for another user, where the caller is no admin, as for one that is not there.
    pub(crate) async fn of(state: &State, caller: &Caller, user_id: Option<Uuid>) -> Result<Self, Problem> {
        let user = Self::id(caller, user_id)?;
        if user == caller.user {
            return Ok(Self { user, no: caller.user_no, plan: caller.plan.clone() });
        }
        let found = state.store.find_user(&UserRef::Id(user)).await.map_err(Problem::store)?;
        let user = found.ok_or_else(unseen)?;
        Ok(Self { user: user.id, no: user.no, plan: Arc::new(user.plan) })
    }

    /// The same, for who looks it up itself.
    ///
    /// # Errors
    /// As [`of`](Self::of), but for one that is not there.
    pub(crate) fn id(caller: &Caller, user_id: Option<Uuid>) -> Result<UserId, Problem> {
        match user_id.map(UserId) {
            None => Ok(caller.user),
            Some(user) if user == caller.user || caller.role == Role::Admin => Ok(user),
            Some(_) => Err(unseen()),
        }
    }

    /// The number of one of its keys, revoked ones included.
    ///
    /// # Errors
    /// `not_found`, also for a key of another user: whether it exists is not told.
    pub(crate) async fn key(&self, state: &State, id: Uuid) -> Result<KeyNo, Problem> {
        self.find_key(state, id).await.map(|key| key.no)
    }

    /// One of its keys, revoked ones included.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub(crate) async fn find_key(&self, state: &State, id: Uuid) -> Result<Key, Problem> {
        let found = state.store.find_key(KeyRef::of(self.user, KeyId(id))).await.map_err(Problem::store)?;
        found.ok_or_else(|| Problem::new(Refusal::NotFound, NO_KEY))
    }
}

/// What is said of a user that is not there, and of one that the caller may not see.
pub(crate) fn unseen() -> Problem {
    Problem::new(Refusal::NotFound, "you see no user with this id")
}

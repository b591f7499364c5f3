//! The user whose usage is requested: the caller's user, or for admins any user.

use std::sync::Arc;

use ledger::UsageOf;

use access::{KeyId, KeyNo, Plan, Refusal, Role, UserId, UserNo};
use store::{Key, KeyRef, UserRef};
use uuid::Uuid;

use crate::message::problem::{NO_KEY, Problem};
use crate::process::state::State;
use crate::sign_in::caller::Caller;

/// The usage that is requested: of a user, perhaps with one key only, or of several users.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) of: UsageOf,
    /// The user; `None` for several users.
    pub(crate) user: Option<UsageScope>,
    /// The only key whose usage is requested.
    pub(crate) key: Option<Key>,
}

/// The parameters of an endpoint that select usage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection<'a> {
    pub(crate) scope: Option<&'a str>,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) key_id: Option<Uuid>,
}

impl Scope {
    /// Returns the requested usage: for a key that sees only itself, that of this key.
    ///
    /// # Errors
    /// `not_found` for a user, a plan or a key that does not exist, and, for clients without the role admin, for each scope
    /// but `me`, so that no response reveals what exists. `bad_request` for another word, or together with a user.
    pub(crate) async fn resolve(state: &State, caller: &Caller, selection: Selection<'_>) -> Result<Self, Problem> {
        let Selection { scope, user_id, key_id } = selection;
        let key_id = match caller.only_key() {
            Some(own) if key_id.is_some_and(|id| id != own.key.0) => {
                return Err(Problem::new(Refusal::NotFound, NO_KEY));
            }
            Some(own) => Some(own.key.0),
            None => key_id,
        };
        let Some(word) = scope.filter(|word| *word != "me") else {
            let user = UsageScope::resolve(state, caller, user_id).await?;
            let key = match key_id {
                Some(id) => Some(user.find_key(state, id).await?),
                None => None,
            };
            return Ok(Self { of: user.no.into(), user: Some(user), key });
        };
        if caller.role != Role::Admin {
            return Err(no_such_scope());
        }
        if user_id.is_some() {
            return Err(Problem::new(Refusal::BadRequest, "send `scope` or `user_id`, not both"));
        }
        let key = match key_id {
            Some(id) => Some(any_key(state, id).await?),
            None => None,
        };
        let id = |text: &str| Uuid::parse_str(text).map_err(|_| no_such_scope());
        match word.split_once(':') {
            None if word == "all" => Ok(Self { of: UsageOf::All, user: None, key }),
            Some(("plan", name)) => {
                let plan = state.store.find_plan(name).await?.ok_or_else(no_such_scope)?;
                Ok(Self { of: UsageOf::Plan(plan), user: None, key })
            }
            Some(("user", text)) => {
                let user = UsageScope::resolve(state, caller, Some(id(text)?)).await?;
                if key.as_ref().is_some_and(|key| key.user != user.user) {
                    return Err(Problem::new(Refusal::NotFound, NO_KEY));
                }
                Ok(Self { of: user.no.into(), user: Some(user), key })
            }
            Some(("key", text)) => {
                let key = any_key(state, id(text)?).await?;
                let user = UsageScope::resolve(state, caller, Some(key.user.0)).await?;
                Ok(Self { of: user.no.into(), user: Some(user), key: Some(key) })
            }
            None | Some(_) => Err(Problem::new(Refusal::BadRequest, SCOPES)),
        }
    }

    /// Returns the number of the only key.
    pub(crate) fn key_no(&self) -> Option<KeyNo> {
        self.key.as_ref().map(|key| key.no)
    }
}

const SCOPES: &str = "`scope` must be `me`, `all`, `user:ID`, `plan:NAME` or `key:ID`";

async fn any_key(state: &State, id: Uuid) -> Result<Key, Problem> {
    let found = state.store.find_key(KeyId(id)).await?;
    found.ok_or_else(|| Problem::new(Refusal::NotFound, NO_KEY))
}

fn no_such_scope() -> Problem {
    Problem::new(Refusal::NotFound, "no usage with this `scope` is visible to you")
}

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
    pub(crate) async fn resolve(state: &State, caller: &Caller, user_id: Option<Uuid>) -> Result<Self, Problem> {
        let user = Self::id(caller, user_id)?;
        if user == caller.user {
            return Ok(Self { user, no: caller.user_no, plan: caller.plan.clone() });
        }
        let found = state.store.find_user(&UserRef::Id(user)).await?;
        let user = found.ok_or_else(no_such_user)?;
        Ok(Self { user: user.id, no: user.no, plan: Arc::new(user.plan) })
    }

    /// Returns the id of the requested user without a look-up.
    ///
    /// # Errors
    /// The errors of [`resolve`](Self::resolve), except for a user that does not exist.
    pub(crate) fn id(caller: &Caller, user_id: Option<Uuid>) -> Result<UserId, Problem> {
        match user_id.map(UserId) {
            None => Ok(caller.user),
            Some(user) if user == caller.user || caller.role == Role::Admin => Ok(user),
            Some(_) => Err(no_such_user()),
        }
    }

    /// Returns one of the user's keys, including revoked keys.
    ///
    /// # Errors
    /// `not_found`, also for a key of another user, so that its existence stays secret.
    pub(crate) async fn find_key(&self, state: &State, id: Uuid) -> Result<Key, Problem> {
        let found = state.store.find_key(KeyRef::owned_by(self.user, KeyId(id))).await?;
        found.ok_or_else(|| Problem::new(Refusal::NotFound, NO_KEY))
    }
}

/// The problem of a user that does not exist or that the caller may not see.
pub(crate) fn no_such_user() -> Problem {
    Problem::new(Refusal::NotFound, "no user with this id is visible to you")
}

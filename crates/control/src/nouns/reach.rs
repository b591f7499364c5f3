//! Users and keys that a caller may reach beyond the caller's own: those of all users for admins.

use access::{KeyId, Refusal, Role, UserId};
use store::{Key, KeyRef, User, UserRef};
use uuid::Uuid;

use crate::message::problem::{NO_KEY, Problem};
use crate::nouns::usage_scope::{UsageScope, no_such_user};
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// Refuses a key with the scope `admin` for a user with the role `admin`.
///
/// # Errors
/// `forbidden`.
pub(crate) fn require_below(caller: &Caller, role: Role) -> Result<(), Problem> {
    if caller.admin_key().is_none() || role == Role::Member {
        return Ok(());
    }
    Err(Problem::new(
        Refusal::Forbidden,
        "a key cannot change users with the role `admin` or their keys; sign in with your password",
    ))
}

/// Refuses members: labels decide which lead sees the usage, and which team it is attributed to.
///
/// # Errors
/// `forbidden`.
pub(crate) fn require_admin(caller: &Caller) -> Result<(), Problem> {
    if caller.role == Role::Admin {
        return Ok(());
    }
    Err(Problem::new(Refusal::Forbidden, "only admins may change `labels`"))
}

/// Refuses keys with the scope `admin`, for the sessions and the credentials of the caller's user.
///
/// # Errors
/// `forbidden`.
pub(crate) fn refuse_admin_key(caller: &Caller) -> Result<(), Problem> {
    if caller.admin_key().is_some() { caller.require_password() } else { Ok(()) }
}

/// Returns the user whose keys are created: the caller's user, or for admins any user.
///
/// # Errors
/// `not_found` if the user does not exist, or is another user and the caller is not an admin; `forbidden` for an admin if
/// the caller is a key.
pub(crate) async fn user_to_change(app: &App, caller: &Caller, user_id: Option<Uuid>) -> Result<UserId, Problem> {
    let user = user_to_read(caller, user_id)?;
    if user == caller.user && caller.admin_key().is_none() {
        return Ok(user);
    }
    require_below(caller, find_user(app, user).await?.role)?;
    Ok(user)
}

/// Returns the user whose keys are listed: the caller's user, or for admins any user.
///
/// # Errors
/// `not_found` for another user if the caller is not an admin.
pub(crate) fn user_to_read(caller: &Caller, user_id: Option<Uuid>) -> Result<UserId, Problem> {
    UsageScope::id(caller, user_id)
}

/// Returns a user that the caller may read.
///
/// # Errors
/// `not_found`, `unavailable`.
pub(crate) async fn find_user(app: &App, user: UserId) -> Result<User, Problem> {
    app.store.find_user(&UserRef::Id(user)).await?.ok_or_else(no_such_user)
}

/// Returns a key of the caller, or for admins of any user. An invalid id is reported like a key of another user.
///
/// # Errors
/// `not_found`, `unavailable`.
pub(crate) async fn key_to_read(app: &App, caller: &Caller, id: &str) -> Result<Key, Problem> {
    let missing = || Problem::new(Refusal::NotFound, NO_KEY);
    let id = KeyId(id.parse::<Uuid>().map_err(|_| missing())?);
    if caller.only_key().is_some_and(|own| own.key != id) {
        return Err(missing());
    }
    let key = match caller.role {
        Role::Admin => KeyRef::from(id),
        Role::Member => KeyRef::owned_by(caller.user, id),
    };
    app.store.find_key(key).await?.ok_or_else(missing)
}

/// Returns a key that the caller may change, rotate or revoke.
///
/// # Errors
/// The errors of [`key_to_read`]; `forbidden` for keys of admins if the caller is a key.
pub(crate) async fn key_to_change(app: &App, caller: &Caller, id: &str) -> Result<Key, Problem> {
    let key = key_to_read(app, caller, id).await?;
    if caller.admin_key().is_some() {
        require_below(caller, find_user(app, key.user).await?.role)?;
    }
    Ok(key)
}

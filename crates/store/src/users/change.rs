//! What of a user is changed by others: name, plan, status, role.

use access::{Role, UserStatus};
use serde_json::{Map, Value, json};

use super::{User, UserRef, find};
use crate::audit::{Act, Action, Actor};
use crate::dialect::Transaction;
use crate::error::{StoreError, check_text};
use crate::statement::statements;
use crate::store::Store;
use crate::{plans, sessions};

statements! {
    SET = "UPDATE users SET name = $2, plan_id = $3, status = $4, role = $5, updated_at = $6 WHERE id = $1";
    // Who has no password cannot act as an admin: they count only where the user in question is as helpless.
    OTHER_ADMIN = "SELECT EXISTS (SELECT 1 FROM users other WHERE other.id <> $1 AND other.role = 'admin' AND
        other.status = 'active' AND (other.password IS NOT NULL OR
        EXISTS (SELECT 1 FROM users this WHERE this.id = $1 AND this.password IS NULL)))";
    ANY_ADMIN = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND password IS NOT NULL)";
}

/// What shall be another; `None` leaves it. Its name does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Shown to people.
    pub name: Option<String>,
    /// The plan's name.
    pub plan: Option<String>,
    /// Suspended, its keys and sessions open nothing, and its sessions are ended.
    pub status: Option<UserStatus>,
    /// What it may do beside using what is its own.
    pub role: Option<Role>,
}

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserChange")
            .field("plan", &self.plan)
            .field("status", &self.status)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Changes a user; it holds everywhere within a second. Suspended, all of its sessions are ended for good. What is so
    /// already is no change.
    ///
    /// # Errors
    /// [`StoreError::NoUser`], [`StoreError::NoPlan`], [`StoreError::Invalid`], [`StoreError::LastAdmin`], and what the
    /// database meets.
    pub async fn change_user(&self, by: &Actor, user: &UserRef, change: UserChange) -> Result<User, StoreError> {
        if let Some(name) = &change.name {
            check_text("a user's name", name)?;
        }
        // Whoever changes a user waits here for those who do, so that the last two admins do not go at once.
        let mut transaction = self.change().await?;
        let found = find(&mut transaction, user).await?;
        let plan = plans::find_id(&mut transaction, change.plan.as_deref().unwrap_or(&found.plan.name)).await?;
        let (status, role) = (change.status.unwrap_or(found.status), change.role.unwrap_or(found.role));
        let is_admin = |status, role| status == UserStatus::Active && role == Role::Admin;
        if is_admin(found.status, found.role) && !is_admin(status, role) {
            let (other,): (bool,) = transaction.query(OTHER_ADMIN).bind(found.id.0).one().await?;
            if !other {
                return Err(StoreError::LastAdmin);
            }
        }
        let mut detail = told(&found, &change);
        if detail.is_empty() {
            return Ok(found);
        }
        let name = change.name.as_deref().unwrap_or(&found.name);
        let set = transaction
            .query(SET)
            .bind(found.id.0)
            .bind(name)
            .bind(plan.0)
            .bind(status.as_str())
            .bind(role.as_str())
            .bind(self.now());
        set.run().await?;
        if status == UserStatus::Suspended {
            let ended = sessions::end_all(&mut transaction, found.id, None, self.now()).await?;
            detail.insert("sessions_ended".to_owned(), json!(ended));
        }
        let act = Act::of(Action::UserChange, found.id.0, Some(found.id)).with(Value::Object(detail));
        self.note(&mut transaction, by, act).await?;
        let changed = find(&mut transaction, &UserRef::Id(found.id)).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Whether anybody is an admin who can sign in as one: by password.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        let (any,) = self.query(ANY_ADMIN).one::<(bool,)>().await?;
        Ok(any)
    }
}

/// The same, within a transaction.
pub(crate) async fn has_admin(transaction: &mut Transaction) -> Result<bool, StoreError> {
    let (any,): (bool,) = transaction.query(ANY_ADMIN).one().await?;
    Ok(any)
}

/// What is said of a change in the audit log: what is new, and of the name, which may be an address, that it is.
fn told(user: &User, change: &UserChange) -> Map<String, Value> {
    let mut detail = Map::new();
    if change.name.as_ref().is_some_and(|name| *name != user.name) {
        detail.insert("name".to_owned(), json!("changed"));
    }
    if let Some(plan) = change.plan.as_ref().filter(|plan| **plan != user.plan.name) {
        detail.insert("plan".to_owned(), json!(plan));
    }
    if let Some(status) = change.status.filter(|status| *status != user.status) {
        detail.insert("status".to_owned(), json!(status));
    }
    if let Some(role) = change.role.filter(|role| *role != user.role) {
        detail.insert("role".to_owned(), json!(role));
    }
    detail
}

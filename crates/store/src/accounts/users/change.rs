//! Changes of a user by an admin: name, plan, status, role.

use access::{LabelSet, Role, Timestamp, UserId, UserStatus};
use serde_json::{Value, json};

use super::{User, UserError, UserRef, find};
use crate::accounts::grants::{self, RoleGrant};
use crate::accounts::{password_links, session_end};
use crate::audit::{Act, Actor, AuditAction, Difference};
use crate::columns::labels::labels_column;
use crate::error::{DatabaseError, check_text};
use crate::opening::handle::Store;
use crate::plans;
use crate::sql::{Transaction, micros, statements, timestamp};

statements! {
    SET = "UPDATE users SET name = $2, plan_id = $3, status = $4, role = $5, labels = $6, updated_at = $7 WHERE id = $1";
    // A user without a password cannot act as an admin, so such users count only if the changed user has none either.
    OTHER_ADMIN = "SELECT EXISTS (SELECT 1 FROM users other WHERE other.id <> $1 AND other.role = 'admin' AND
        other.status = 'active' AND (other.password IS NOT NULL OR
        EXISTS (SELECT 1 FROM users this WHERE this.id = $1 AND this.password IS NULL)))";
    MOVE = "UPDATE users SET plan_id = $2, hold = $3, updated_at = $4 WHERE id = $1";
    // A quotation mark within a text of the details has a backslash before it: this is the name of a field.
    NEXT_STATUS = "SELECT created_at, detail FROM audit_log WHERE user_id = $1 AND created_at >= $2 AND action = 'user.change'
        AND detail LIKE '%\"status\":%' ORDER BY created_at, id LIMIT 1";
    ANY_ADMIN = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND password IS NOT NULL)";
}

/// What a subscription gives a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserAccess<'a> {
    /// Name of the plan.
    pub plan: &'a str,
    /// Whether keys of the user are refused until open invoices are paid.
    pub is_held: bool,
}

/// Fields of a user to change; `None` keeps a value. `Debug` omits the name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Name that is shown to people.
    pub name: Option<String>,
    /// Name of the plan.
    pub plan: Option<String>,
    /// Status of the user. Suspending a user invalidates the user's keys and ends their sessions.
    pub status: Option<UserStatus>,
    /// Rights of the user beyond the use of their own objects.
    pub role: Option<Role>,
    /// Roles beside admin and member; the given ones replace all.
    pub grants: Option<Vec<RoleGrant>>,
    /// Labels of the user's requests; the given ones replace all.
    pub labels: Option<LabelSet>,
}

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserChange")
            .field("plan", &self.plan)
            .field("status", &self.status)
            .field("role", &self.role)
            .field("grants", &self.grants)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Changes a user. All nodes apply the change within one second. Suspending a user ends all of their sessions
    /// permanently; a user who becomes an admin loses their password links. A change without effect writes nothing.
    ///
    /// # Errors
    /// [`UserError::NoUser`], [`UserError::NoPlan`], [`UserError::Invalid`], [`UserError::LastAdmin`], and database errors.
    pub async fn change_user(&self, by: &Actor, user: &UserRef, change: UserChange) -> Result<User, UserError> {
        if let Some(name) = &change.name {
            check_text("a user's name", name)?;
        }
        // Transactions that change users are serialised here, so that the last two admins cannot be removed at once.
        let mut transaction = self.begin_revision().await?;
        let found = find(&mut transaction, user).await?;
        let plan =
            plans::find_id::<UserError>(&mut transaction, change.plan.as_deref().unwrap_or(&found.plan.name)).await?;
        let status = change.status.unwrap_or(found.status);
        let role = change.role.unwrap_or(found.role);
        let is_admin = |status, role| status == UserStatus::Active && role == Role::Admin;
        if is_admin(found.status, found.role) && !is_admin(status, role) {
            let (other,): (bool,) = transaction.query(OTHER_ADMIN).bind(found.id.0).one().await?;
            if !other {
                return Err(UserError::LastAdmin);
            }
        }
        let grants = grants::of_user(&mut transaction, found.id).await?;
        let mut difference = difference(&found, &change);
        if let Some(granted) = &change.grants {
            difference.field("grants", &grants, granted);
        }
        if difference.is_empty() {
            return Ok(found);
        }
        let mut detail = difference.detail();
        let name = change.name.as_deref().unwrap_or(&found.name);
        let set = transaction
            .query(SET)
            .bind(found.id.0)
            .bind(name)
            .bind(plan.0)
            .bind(status.as_str())
            .bind(role.as_str())
            .bind(labels_column(change.labels.as_ref().unwrap_or(&found.labels)))
            .bind(self.now());
        set.run().await?;
        if let Some(granted) = &change.grants {
            self.replace_grants(&mut transaction, found.id, granted).await?;
        }
        if status == UserStatus::Suspended {
            let ended = session_end::end_all(&mut transaction, found.id, None, self.now()).await?;
            detail.insert("sessions_ended".to_owned(), json!(ended));
        }
        // The creator of a link was allowed to choose the password of a member, not that of an admin.
        let is_raised = role == Role::Admin && found.role != Role::Admin;
        let taken_back =
            if is_raised { password_links::take_back_of(&mut transaction, found.id, self.now()).await? } else { 0 };
        let act = Act::new(AuditAction::UserChange, found.id.0, Some(found.id)).with(Value::Object(detail));
        self.note(&mut transaction, by, act.counting("links_taken_back", taken_back)).await?;
        let changed = find(&mut transaction, &UserRef::Id(found.id)).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Gives a user a plan, or refuses the user's keys, within a transaction of [`begin_revision`](Self::begin_revision) or
    /// [`begin_quiet`](Self::begin_quiet). It raises the revision, so that all nodes apply it within one second. If nothing
    /// changes, nothing is written.
    ///
    /// # Errors
    /// [`UserError::NoUser`], [`UserError::NoPlan`], and database errors.
    pub async fn move_user(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        user: UserId,
        access: UserAccess<'_>,
    ) -> Result<(), UserError> {
        let found = find(transaction, &UserRef::Id(user)).await?;
        let mut difference = Difference::default();
        difference.field("plan", &found.plan.name, &access.plan.to_owned());
        difference.field("hold", &found.is_held, &access.is_held);
        if difference.is_empty() {
            return Ok(());
        }
        self.raise(transaction).await?;
        let id = plans::find_id::<UserError>(transaction, access.plan).await?;
        transaction.query(MOVE).bind(user.0).bind(id.0).bind(access.is_held).bind(self.now()).run().await?;
        let act = Act::new(AuditAction::UserChange, user.0, Some(user)).with(Value::Object(difference.detail()));
        Ok(self.note(transaction, by, act).await?)
    }

    /// Whether an admin with a password exists.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn has_admin(&self) -> Result<bool, DatabaseError> {
        let (any,) = self.query(ANY_ADMIN).one::<(bool,)>().await?;
        Ok(any)
    }
}

/// Returns the end of the suspension in which a user was at `since`; `None` if the user was not suspended, or still is.
///
/// # Errors
/// Database errors of any kind.
pub async fn suspension_end(
    transaction: &mut Transaction,
    user: UserId,
    since: Timestamp,
) -> Result<Option<Timestamp>, DatabaseError> {
    let next = transaction.query(NEXT_STATUS).bind(user.0).bind(micros(since));
    let Some((at, detail)) = next.find::<(i64, String)>().await? else { return Ok(None) };
    let detail: Value = serde_json::from_str(&detail)
        .map_err(|_| DatabaseError::Unreadable { table: "audit_log", column: "detail" })?;
    let is_active = detail.get("status").and_then(Value::as_str) == Some(UserStatus::Active.as_str());
    Ok(is_active.then(|| timestamp(at)))
}

/// Whether an admin with a password exists, within a transaction.
pub(crate) async fn has_admin(transaction: &mut Transaction) -> Result<bool, DatabaseError> {
    let (any,): (bool,) = transaction.query(ANY_ADMIN).one().await?;
    Ok(any)
}

/// Returns the difference for the audit log, without the names, which may be addresses.
fn difference(user: &User, change: &UserChange) -> Difference {
    let mut difference = Difference::default();
    if change.name.as_ref().is_some_and(|name| *name != user.name) {
        difference.unlogged("name");
    }
    if let Some(plan) = &change.plan {
        difference.field("plan", &user.plan.name, plan);
    }
    if let Some(status) = &change.status {
        difference.field("status", &user.status, status);
    }
    if let Some(role) = &change.role {
        difference.field("role", &user.role, role);
    }
    if let Some(labels) = &change.labels {
        difference.field("labels", &user.labels.as_str(), &labels.as_str());
    }
    difference
}

//! Password hashes of users, and their changes.

use access::{LinkId, Secret, SessionId, UserId};
use serde_json::json;
use thiserror::Error;

use super::{Email, NoUser, User, UserRow, user_columns};
use crate::accounts::password_links;
use crate::accounts::session_end::{self, CredentialGone};
use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, statements};

statements! {
    CREDENTIALS = concat!("SELECT u.password, ", user_columns!(), " WHERE u.email = $1");
    SET = "UPDATE users SET password = $2, updated_at = $3 WHERE id = $1";
    CHANGE = "UPDATE users SET password = $2, updated_at = $3 WHERE id = $1 AND password = $4";
}

/// The error of a change of a password.
#[derive(Debug, Error)]
pub enum PasswordChangeError {
    /// The user does not exist.
    #[error(transparent)]
    NoUser(#[from] NoUser),
    /// The password that was checked is not valid any more.
    #[error(transparent)]
    CredentialGone(#[from] CredentialGone),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A new password that replaces one that was checked before.
#[derive(Debug)]
pub struct PasswordChange<'a> {
    /// Hash of the password that was checked. If the stored hash has changed by now, nothing is changed.
    pub from: &'a Secret,
    /// Hash of the new password.
    pub to: &'a Secret,
    /// Session that stays open.
    pub keep: Option<SessionId>,
}

#[derive(sqlx_macros::FromRow)]
struct CredentialsRow {
    password: Option<String>,
    #[sqlx(flatten)]
    user: UserRow,
}

/// A new password hash for a user, the session that continues, and the link with which the password was chosen.
pub(crate) struct PasswordUpdate<'a> {
    pub(crate) user: UserId,
    pub(crate) phc: &'a Secret,
    pub(crate) except: Option<SessionId>,
    pub(crate) link: Option<LinkId>,
}

impl Store {
    /// Returns the user with this address, and the hash of its password; without a hash the user signs in only by key.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn credentials_of(&self, email: &Email) -> Result<Option<(User, Option<Secret>)>, DatabaseError> {
        let row: Option<CredentialsRow> = self.query(CREDENTIALS).bind(email.as_str()).find().await?;
        row.map(|row| Ok((row.user.try_into()?, row.password.map(Secret::new)))).transpose()
    }

    /// Sets a user's password to the hash `phc`. All of the user's sessions except `except` end permanently, and
    /// password links are withdrawn.
    ///
    /// # Errors
    /// [`PasswordChangeError::NoUser`], and database errors.
    pub async fn set_password(
        &self,
        by: &Actor,
        user: UserId,
        phc: &Secret,
        except: Option<SessionId>,
    ) -> Result<(), PasswordChangeError> {
        let mut transaction = self.begin().await?;
        let put = PasswordUpdate { user, phc, except, link: None };
        self.put_password::<PasswordChangeError>(&mut transaction, by, put).await?;
        Ok(transaction.commit().await?)
    }

    /// Changes the password of a user whose previous password was checked, as [`set_password`](Self::set_password)
    /// does.
    ///
    /// # Errors
    /// [`PasswordChangeError::CredentialGone`], and database errors.
    pub async fn change_password(
        &self,
        by: &Actor,
        user: UserId,
        change: PasswordChange<'_>,
    ) -> Result<(), PasswordChangeError> {
        let mut transaction = self.begin().await?;
        let set = transaction.query(CHANGE).bind(user.0).bind(change.to.expose().to_owned()).bind(self.now());
        if set.bind(change.from.expose().to_owned()).run().await? == 0 {
            return Err(CredentialGone.into());
        }
        self.end_with_password(&mut transaction, by, user, change.keep, None).await?;
        Ok(transaction.commit().await?)
    }

    /// Sets a password as [`set_password`](Self::set_password) does, within a transaction.
    pub(crate) async fn put_password<E: From<NoUser> + From<DatabaseError>>(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        put: PasswordUpdate<'_>,
    ) -> Result<(), E> {
        let PasswordUpdate { user, phc, except, link } = put;
        // A sign-in with the previous password waits for this row, and finds the hash changed
        // (`sessions::begin_session`).
        let set = transaction.query(SET).bind(user.0).bind(phc.expose().to_owned()).bind(self.now()).run().await?;
        if set == 0 {
            return Err(NoUser { id: Some(user) }.into());
        }
        Ok(self.end_with_password(transaction, by, user, except, link).await?)
    }

    /// Sets a new hash of the same password: the sessions continue. If the stored hash is not `before` any more, sets the
    /// password as [`set_password`](Self::set_password) does.
    pub(crate) async fn put_same_password<E: From<NoUser> + From<DatabaseError>>(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        put: PasswordUpdate<'_>,
        before: &Secret,
    ) -> Result<(), E> {
        let user = put.user;
        let now = self.now();
        let set = transaction.query(CHANGE).bind(user.0).bind(put.phc.expose().to_owned()).bind(now);
        if set.bind(before.expose().to_owned()).run().await? == 0 {
            return self.put_password(transaction, by, put).await;
        }
        let taken_back = password_links::take_back_of(transaction, user, now).await?;
        let act = Act::new(AuditAction::UserPassword, user.0, Some(user));
        let act = act.with(json!({"sessions_ended": 0, "same_password": true, "link": put.link}));
        Ok(self.note(transaction, by, act.counting("links_taken_back", taken_back)).await?)
    }

    /// Ends the sessions and links that a new password invalidates, and writes the audit line.
    #[expect(clippy::too_many_arguments, reason = "the fields of a PasswordUpdate without the hash")]
    async fn end_with_password(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        user: UserId,
        except: Option<SessionId>,
        link: Option<LinkId>,
    ) -> Result<(), DatabaseError> {
        let now = self.now();
        let ended = session_end::end_all(transaction, user, except, now).await?;
        let taken_back = password_links::take_back_of(transaction, user, now).await?;
        let detail = match link {
            Some(link) => json!({"sessions_ended": ended, "link": link}),
            None => json!({"sessions_ended": ended}),
        };
        let act = Act::new(AuditAction::UserPassword, user.0, Some(user)).with(detail);
        self.note(transaction, by, act.counting("links_taken_back", taken_back)).await
    }
}

//! Users: who owns keys and has a plan.

use std::fmt;

use access::{Plan, Timestamp, UserId, UserNo, UserStatus};
use thiserror::Error;
use uuid::Uuid;

use crate::error::{StoreError, check_text};
use crate::plans;
use crate::statement::{statements, timestamp};
use crate::store::Store;

/// The longest address that mail can reach (RFC 5321, 4.5.3.1.3).
const EMAIL_LEN_MAX: usize = 254;

// `no` is the greatest so far and one: transactions that give numbers come one after the other (`Store::change`), and
// users are never deleted.
statements! {
    ADD = "INSERT INTO users (id, no, email, name, plan_id, status, demo, created_at, updated_at)
        VALUES ($1, (SELECT coalesce(max(no), 0) + 1 FROM users), $2, $3, $4, $5, $6, $7, $7)";
    SET_STATUS = "UPDATE users SET status = $2, updated_at = $3 WHERE id = $1";
    FIND_BY_ID = "SELECT u.id, u.no, u.email, u.name AS user_name, u.status, u.demo, u.created_at,
        p.name, p.credits_per_day, p.requests_per_minute FROM users u JOIN plans p ON p.id = u.plan_id WHERE u.id = $1";
    FIND_BY_EMAIL = "SELECT u.id, u.no, u.email, u.name AS user_name, u.status, u.demo, u.created_at,
        p.name, p.credits_per_day, p.requests_per_minute FROM users u JOIN plans p ON p.id = u.plan_id WHERE u.email = $1";
    LIST = "SELECT u.id, u.no, u.email, u.name AS user_name, u.status, u.demo, u.created_at,
        p.name, p.credits_per_day, p.requests_per_minute FROM users u JOIN plans p ON p.id = u.plan_id ORDER BY u.no";
    ANY_DEMO = "SELECT EXISTS (SELECT 1 FROM users WHERE demo)";
}

/// An e-mail address, without spaces around it and in lowercase. It does not print.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// A text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an e-mail address is a name, an @ and a host, without spaces, at most {EMAIL_LEN_MAX} characters")]
pub struct NotAnEmail;

impl Email {
    /// Reads an address. Only its form is looked at; that mail arrives, only mail can show.
    ///
    /// # Errors
    /// [`NotAnEmail`].
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim();
        let whole = text.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        if !whole || text.len() > EMAIL_LEN_MAX || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(NotAnEmail);
        }
        Ok(Self(text.to_lowercase()))
    }

    /// The address: for answers to its owner and for commands.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An address as the store holds it.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// A user to be made. Its name, which may be the address, does not print.
#[derive(Clone)]
pub struct NewUser {
    /// Unique.
    pub email: Email,
    /// Shown to people.
    pub name: String,
    /// The plan's name.
    pub plan: String,
    /// Whether the user is one of `--demo`, whose keys are shown.
    pub demo: bool,
}

/// A user as stored. Its name, which may be the address, does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its number in events.
    pub no: UserNo,
    /// Its address.
    pub email: Email,
    /// Shown to people.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// Whether its keys work.
    pub status: UserStatus,
    /// Whether it is one of `--demo`.
    pub demo: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("plan", &self.plan).field("demo", &self.demo).finish_non_exhaustive()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("no", &self.no)
            .field("plan", &self.plan)
            .field("status", &self.status)
            .field("demo", &self.demo)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// Which user is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// The one with this id.
    Id(UserId),
    /// The one with this address.
    Email(Email),
}

impl UserRef {
    /// Reads an id or an address, as commands take either.
    ///
    /// # Errors
    /// [`NotAnEmail`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        match Uuid::parse_str(text.trim()) {
            Ok(id) => Ok(Self::Id(UserId(id))),
            Err(_) => Email::parse(text).map(Self::Email),
        }
    }

    fn missing(&self) -> StoreError {
        let id = match self {
            Self::Id(id) => Some(*id),
            Self::Email(_) => None,
        };
        StoreError::NoUser { id }
    }
}

#[derive(sqlx::FromRow)]
struct UserRow {
    id: Uuid,
    no: i64,
    email: String,
    user_name: String,
    status: String,
    demo: bool,
    created_at: i64,
    #[sqlx(flatten)]
    plan: plans::PlanRow,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId(row.id),
            no: UserNo(row.no),
            email: Email::stored(row.email),
            name: row.user_name,
            plan: row.plan.into(),
            status: status(&row.status)?,
            demo: row.demo,
            created_at: timestamp(row.created_at),
        })
    }
}

/// Reads the column `users.status`.
pub(crate) fn status(word: &str) -> Result<UserStatus, StoreError> {
    UserStatus::parse(word).ok_or(StoreError::Unreadable { table: "users", column: "status" })
}

impl Store {
    /// Makes a user, active.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::NoPlan`], [`StoreError::EmailTaken`], [`StoreError::Database`].
    pub async fn create_user(&self, new: NewUser) -> Result<User, StoreError> {
        check_text("a user's name", &new.name)?;
        let mut transaction = self.change().await?;
        let plan = plans::find_id(&mut transaction, &new.plan).await?;
        let id = self.new_id();
        let add = sqlx::query(ADD)
            .bind(id)
            .bind(new.email.as_str())
            .bind(&new.name)
            .bind(plan.0)
            .bind(UserStatus::Active.as_str())
            .bind(new.demo)
            .bind(self.now());
        add.execute(&mut *transaction).await.map_err(|error| {
            // The id is new and the number was given under a lock: only the address can be there already.
            let taken = error.as_database_error().is_some_and(|cause| cause.is_unique_violation());
            if taken { StoreError::EmailTaken } else { StoreError::Database(error) }
        })?;
        let row: UserRow = sqlx::query_as(FIND_BY_ID).bind(id).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        row.try_into()
    }

    /// Suspends a user or lets it in again; it holds everywhere within a second.
    ///
    /// # Errors
    /// [`StoreError::NoUser`], [`StoreError::Database`].
    pub async fn set_user_status(&self, user: &UserRef, status: UserStatus) -> Result<User, StoreError> {
        let mut transaction = self.change().await?;
        let row: Option<UserRow> = match user {
            UserRef::Id(id) => sqlx::query_as(FIND_BY_ID).bind(id.0).fetch_optional(&mut *transaction).await?,
            UserRef::Email(email) => {
                sqlx::query_as(FIND_BY_EMAIL).bind(email.as_str()).fetch_optional(&mut *transaction).await?
            }
        };
        let found = User::try_from(row.ok_or_else(|| user.missing())?)?;
        let set = sqlx::query(SET_STATUS).bind(found.id.0).bind(status.as_str()).bind(self.now());
        set.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(User { status, ..found })
    }

    /// All users, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Database`].
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let rows: Vec<UserRow> = sqlx::query_as(LIST).fetch_all(self.readers()).await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// One user; `None` where there is no such.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Database`].
    pub async fn find_user(&self, user: &UserRef) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = match user {
            UserRef::Id(id) => sqlx::query_as(FIND_BY_ID).bind(id.0).fetch_optional(self.readers()).await?,
            UserRef::Email(email) => {
                sqlx::query_as(FIND_BY_EMAIL).bind(email.as_str()).fetch_optional(self.readers()).await?
            }
        };
        row.map(User::try_from).transpose()
    }

    /// Whether any user is one of `--demo`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn has_demo_users(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(ANY_DEMO).fetch_one(self.readers()).await?)
    }
}

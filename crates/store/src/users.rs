//! Users: who owns keys and has a plan.

pub mod change;
mod email;
pub(crate) mod password;

use std::fmt;

use access::{LinkId, Plan, Role, Secret, Timestamp, UserId, UserNo, UserStatus};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{Act, Action, Actor};
use crate::dialect::Transaction;
use crate::error::{StoreError, check_text};
use crate::plans;
use crate::statement::{statements, timestamp};
use crate::store::Store;

pub use email::{Email, NotAnEmail};

/// The columns of a [`UserRow`], and whence.
macro_rules! user_columns {
    () => {
        "u.id, u.no, u.email, u.name AS user_name, u.status, u.role, u.demo, u.created_at, p.name, p.credits_per_day,
        p.requests_per_minute, p.budgets, p.shared_keys FROM users u JOIN plans p ON p.id = u.plan_id"
    };
}
pub(crate) use user_columns;

// `no` is the greatest so far and one: transactions that give numbers come one after the other (`Store::change`), and
// users are never deleted. `no_floor` speaks of those that a restored backup does not know.
statements! {
    ADD = "INSERT INTO users (id, no, email, name, plan_id, status, role, password, demo, created_at, updated_at)
        VALUES ($1, (SELECT max(given.no) + 1 FROM
        (SELECT max(no) AS no FROM users UNION ALL SELECT no_floor FROM revision) given), $2, $3, $4, $5, $6, $7, $8, $9, $9)";
    FIND_BY_ID = concat!("SELECT ", user_columns!(), " WHERE u.id = $1");
    FIND_BY_EMAIL = concat!("SELECT ", user_columns!(), " WHERE u.email = $1");
    LIST = concat!("SELECT ", user_columns!(), " ORDER BY u.no");
    PAGE = concat!("SELECT ", user_columns!(), " WHERE u.no > $1 ORDER BY u.no LIMIT $2");
    PAGE_OF_STATUS = concat!("SELECT ", user_columns!(), " WHERE u.status = $3 AND u.no > $1 ORDER BY u.no LIMIT $2");
    HOLD = "UPDATE users SET updated_at = updated_at WHERE id = $1";
    ANY_DEMO = "SELECT EXISTS (SELECT 1 FROM users WHERE demo)";
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
    /// What it may do beside using what is its own.
    pub role: Role,
    /// Its password's hash in PHC form; `None` signs in by key alone.
    pub password: Option<Secret>,
    /// Whether the user is one of `--demo`, whose keys are shown.
    pub demo: bool,
}

impl NewUser {
    /// One who uses what is its own, and signs in by key.
    #[must_use]
    pub fn member(email: Email, name: impl Into<String>, plan: impl Into<String>) -> Self {
        let (name, plan) = (name.into(), plan.into());
        Self { email, name, plan, role: Role::Member, password: None, demo: false }
    }
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
    /// What it may do beside using what is its own.
    pub role: Role,
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
            .field("role", &self.role)
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
            Err(_) => Email::sought(text).map(Self::Email),
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
pub(crate) struct UserRow {
    id: Uuid,
    no: i64,
    email: String,
    user_name: String,
    status: String,
    role: String,
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
            plan: row.plan.try_into()?,
            status: status(&row.status)?,
            role: role(&row.role)?,
            demo: row.demo,
            created_at: timestamp(row.created_at),
        })
    }
}

/// Reads the column `users.status`.
pub(crate) fn status(word: &str) -> Result<UserStatus, StoreError> {
    UserStatus::parse(word).ok_or(StoreError::Unreadable { table: "users", column: "status" })
}

/// Reads the column `users.role`.
pub(crate) fn role(word: &str) -> Result<Role, StoreError> {
    Role::parse(word).ok_or(StoreError::Unreadable { table: "users", column: "role" })
}

impl Store {
    /// Makes a user, active.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::NoPlan`], [`StoreError::EmailTaken`], and what the database meets.
    pub async fn create_user(&self, by: &Actor, new: NewUser) -> Result<User, StoreError> {
        let mut transaction = self.addition().await?;
        let user = self.add_user(&mut transaction, by, (new, None)).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// The same within a transaction that [`addition`](Self::addition) began; `link` is what the user came by.
    pub(crate) async fn add_user(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        (new, link): (NewUser, Option<LinkId>),
    ) -> Result<User, StoreError> {
        check_text("a user's name", &new.name)?;
        let plan = plans::find_id(transaction, &new.plan).await?;
        let id = self.new_id();
        let add = transaction
            .query(ADD)
            .bind(id)
            .bind(new.email.as_str())
            .bind(new.name.as_str())
            .bind(plan.0)
            .bind(UserStatus::Active.as_str())
            .bind(new.role.as_str())
            .bind(new.password.as_ref().map(|password| password.expose().to_owned()))
            .bind(new.demo)
            .bind(self.now());
        add.run().await.map_err(|error| {
            // The id is new and the number was given under a lock: only the address can be there already.
            let taken = error.as_database_error().is_some_and(|cause| cause.is_unique_violation());
            if taken { StoreError::EmailTaken } else { error.into() }
        })?;
        let row: UserRow = transaction.query(FIND_BY_ID).bind(id).one().await?;
        let detail = match link {
            Some(link) => json!({"plan": new.plan, "role": new.role, "link": link}),
            None => json!({"plan": new.plan, "role": new.role}),
        };
        self.note(transaction, by, Act::of(Action::UserCreate, id, Some(UserId(id))).with(detail)).await?;
        row.try_into()
    }

    /// All users, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let rows: Vec<UserRow> = self.query(LIST).all().await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// The users that come after one, all or those of one status, in the order in which they were made; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn users_after(
        &self,
        after: Option<UserNo>,
        status: Option<UserStatus>,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        // Numbers begin at 1.
        let (after, limit) = (after.map_or(0, |no| no.0), i64::from(limit));
        let query = match status {
            Some(status) => self.query(PAGE_OF_STATUS).bind(after).bind(limit).bind(status.as_str()),
            None => self.query(PAGE).bind(after).bind(limit),
        };
        let rows: Vec<UserRow> = query.all().await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// One user; `None` where there is no such.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn find_user(&self, user: &UserRef) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = match user {
            UserRef::Id(id) => self.query(FIND_BY_ID).bind(id.0).find().await?,
            UserRef::Email(email) => self.query(FIND_BY_EMAIL).bind(email.as_str()).find().await?,
        };
        row.map(User::try_from).transpose()
    }

    /// Whether any user is one of `--demo`.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn has_demo_users(&self) -> Result<bool, StoreError> {
        let (any,) = self.query(ANY_DEMO).one::<(bool,)>().await?;
        Ok(any)
    }
}

/// Takes the row of a user, whatever its status; whether there is one. Behind it sessions begin and end, and links to choose
/// a password are made and used, one after the other: whoever takes rows of these takes it first, so that no two wait in a
/// ring.
pub(crate) async fn hold(transaction: &mut Transaction, user: UserId) -> Result<bool, StoreError> {
    Ok(transaction.query(HOLD).bind(user.0).run().await? > 0)
}

/// One user, within a transaction.
pub(crate) async fn find(transaction: &mut Transaction, user: &UserRef) -> Result<User, StoreError> {
    let row: Option<UserRow> = match user {
        UserRef::Id(id) => transaction.query(FIND_BY_ID).bind(id.0).find().await?,
        UserRef::Email(email) => transaction.query(FIND_BY_EMAIL).bind(email.as_str()).find().await?,
    };
    row.ok_or_else(|| user.missing())?.try_into()
}

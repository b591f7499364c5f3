//! Users: accounts that own keys and have a plan.

pub mod change;
mod email;
pub(crate) mod password;

use std::fmt;

use access::{LabelSet, LinkId, Plan, Role, Secret, Timestamp, UserId, UserNo, UserStatus};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction};
use crate::columns::labels::stored_labels;
use crate::error::{DatabaseError, InvalidText, check_text};
use crate::opening::handle::Store;
use crate::plans::{self, NoPlan};
use crate::sql::{Transaction, statements, timestamp};

pub use email::{Email, NotAnEmail};

/// Columns and tables of a [`UserRow`](crate::accounts::users::UserRow).
#[macro_export]
macro_rules! user_columns {
    () => {
        "u.id, u.no, u.email, u.name AS user_name, u.status, u.role, u.demo, u.hold, u.labels, u.created_at, p.name, p.credits_per_day,
        p.requests_per_minute, p.budgets, p.shared_keys FROM users u JOIN plans p ON p.id = u.plan_id"
    };
}
pub use user_columns;

// `no` is the greatest number plus one: transactions that assign numbers are serialised (`Store::begin_revision`), and users
// are never deleted. `no_floor` covers users that a restored backup does not contain.
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

/// The user does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the user does not exist")]
pub struct NoUser {
    /// The requested id; `None` if the request named an e-mail address.
    pub id: Option<UserId>,
}

/// The error of a change of users.
#[derive(Debug, Error)]
pub enum UserError {
    /// The user's name is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// The user does not exist.
    #[error(transparent)]
    NoUser(#[from] NoUser),
    /// The requested plan does not exist.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// Another user has this e-mail address.
    #[error("another user has this e-mail address")]
    EmailTaken,
    /// The user is the last admin who can sign in with a password.
    #[error(
        "this is the last admin with active status and a password: create another active admin with a password first"
    )]
    LastAdmin,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A user that is to be created. `Debug` omits the name, which may be the address.
#[derive(Clone)]
pub struct NewUser {
    /// E-mail address, unique in the store; `None` for a service user.
    pub email: Option<Email>,
    /// Name that is shown to people.
    pub name: String,
    /// Name of the plan.
    pub plan: String,
    /// Rights of the user beyond the use of their own objects.
    pub role: Role,
    /// Hash of the password in PHC form; `None` allows sign-in only by key.
    pub password: Option<Secret>,
    /// Whether the user belongs to `--demo`, which shows its keys.
    pub demo: bool,
}

impl NewUser {
    /// Describes a member without a password, who signs in by key.
    #[must_use]
    pub fn member(email: Email, name: impl Into<String>, plan: impl Into<String>) -> Self {
        let name = name.into();
        let plan = plan.into();
        Self { email: Some(email), name, plan, role: Role::Member, password: None, demo: false }
    }

    /// Describes a service user: a member with keys, without an e-mail address and a password.
    #[must_use]
    pub fn service(name: impl Into<String>, plan: impl Into<String>) -> Self {
        let name = name.into();
        let plan = plan.into();
        Self { email: None, name, plan, role: Role::Member, password: None, demo: false }
    }
}

/// A user as it is stored. `Debug` omits the name, which may be the address.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Public id of the user.
    pub id: UserId,
    /// Number that usage events use for the user.
    pub no: UserNo,
    /// E-mail address of the user; `None` for a service user.
    pub email: Option<Email>,
    /// Name that is shown to people.
    pub name: String,
    /// Plan of the user.
    pub plan: Plan,
    /// Whether the user's keys are accepted.
    pub status: UserStatus,
    /// Rights of the user beyond the use of their own objects.
    pub role: Role,
    /// Whether the user belongs to `--demo`.
    pub demo: bool,
    /// Whether the user's keys are refused until open invoices are paid.
    pub is_held: bool,
    /// Labels of the user's requests, unless a key has others.
    pub labels: LabelSet,
    /// Time at which the user was created.
    pub created_at: Timestamp,
}

impl User {
    /// Returns the text that names the user to people: the e-mail address, or the name of a service user.
    #[must_use]
    pub fn address_or_name(&self) -> &str {
        self.email.as_ref().map_or(&self.name, Email::as_str)
    }
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
            .field("labels", &self.labels)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// Reference to a user, by id or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// The user with this id.
    Id(UserId),
    /// The user with this address.
    Email(Email),
}

impl UserRef {
    /// Parses an id or an address; commands accept either.
    ///
    /// # Errors
    /// [`NotAnEmail`] if the text is neither.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        match Uuid::parse_str(text.trim()) {
            Ok(id) => Ok(Self::Id(UserId(id))),
            Err(_) => Email::sought(text).map(Self::Email),
        }
    }

    pub(crate) const fn missing(&self) -> NoUser {
        let id = match self {
            Self::Id(id) => Some(*id),
            Self::Email(_) => None,
        };
        NoUser { id }
    }
}

/// A row of [`user_columns!`](crate::user_columns).
#[derive(sqlx_macros::FromRow)]
pub struct UserRow {
    id: Uuid,
    no: i64,
    email: String,
    user_name: String,
    status: String,
    role: String,
    demo: bool,
    hold: bool,
    labels: Option<String>,
    created_at: i64,
    #[sqlx(flatten)]
    plan: plans::PlanRow,
}

impl TryFrom<UserRow> for User {
    type Error = DatabaseError;

    fn try_from(row: UserRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: UserId(row.id),
            no: UserNo(row.no),
            email: Email::stored(row.email),
            name: row.user_name,
            plan: row.plan.try_into()?,
            status: status(&row.status)?,
            role: role(&row.role)?,
            demo: row.demo,
            is_held: row.hold,
            labels: stored_labels(row.labels.as_deref()),
            created_at: timestamp(row.created_at),
        })
    }
}

/// Parses the column `users.status`.
pub(crate) fn status(word: &str) -> Result<UserStatus, DatabaseError> {
    UserStatus::parse(word).ok_or(DatabaseError::Unreadable { table: "users", column: "status" })
}

/// Parses the column `users.role`.
pub(crate) fn role(word: &str) -> Result<Role, DatabaseError> {
    Role::parse(word).ok_or(DatabaseError::Unreadable { table: "users", column: "role" })
}

impl Store {
    /// Creates a user, whose status is active.
    ///
    /// # Errors
    /// [`UserError::Invalid`], [`UserError::NoPlan`], [`UserError::EmailTaken`], and database errors.
    pub async fn create_user(&self, by: &Actor, new: NewUser) -> Result<User, UserError> {
        let mut transaction = self.begin_quiet().await?;
        let user = self.add_user(&mut transaction, by, new, None).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Creates a user within a transaction that [`begin_quiet`](Self::begin_quiet) began; `link` is the invitation that was
    /// used.
    pub(crate) async fn add_user(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        new: NewUser,
        link: Option<LinkId>,
    ) -> Result<User, UserError> {
        check_text("a user's name", &new.name)?;
        let plan = plans::find_id::<UserError>(transaction, &new.plan).await?;
        let id = self.new_id();
        let add = transaction
            .query(ADD)
            .bind(id)
            // The column is unique and not null: a service user has its id there.
            .bind(new.email.as_ref().map_or_else(|| id.to_string(), |email| email.as_str().to_owned()))
            .bind(new.name.as_str())
            .bind(plan.0)
            .bind(UserStatus::Active.as_str())
            .bind(new.role.as_str())
            .bind(new.password.as_ref().map(|password| password.expose().to_owned()))
            .bind(new.demo)
            .bind(self.now());
        // The id is new and the number was assigned under a lock, so only the address can violate a unique index.
        add.run().await.map_err(|error| error.or_taken(UserError::EmailTaken))?;
        let row: UserRow = transaction.query(FIND_BY_ID).bind(id).one().await?;
        let detail = match link {
            Some(link) => json!({"plan": new.plan, "role": new.role, "link": link}),
            None if new.email.is_none() => json!({"plan": new.plan, "role": new.role, "kind": "service"}),
            None => json!({"plan": new.plan, "role": new.role}),
        };
        self.note(transaction, by, Act::new(AuditAction::UserCreate, id, Some(UserId(id))).with(detail)).await?;
        Ok(row.try_into()?)
    }

    /// Returns all users, in order of creation.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn users(&self) -> Result<Vec<User>, DatabaseError> {
        let rows: Vec<UserRow> = self.query(LIST).all().await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// Returns the users after `after`, all or only those of one status, in order of creation; at most `limit`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn users_after(
        &self,
        after: Option<UserNo>,
        status: Option<UserStatus>,
        limit: u32,
    ) -> Result<Vec<User>, DatabaseError> {
        // The numbers of users begin at 1.
        let after = after.map_or(0, |no| no.0);
        let limit = i64::from(limit);
        let query = match status {
            Some(status) => self.query(PAGE_OF_STATUS).bind(after).bind(limit).bind(status.as_str()),
            None => self.query(PAGE).bind(after).bind(limit),
        };
        let rows: Vec<UserRow> = query.all().await?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// Returns one user; `None` if it does not exist.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_user(&self, user: &UserRef) -> Result<Option<User>, DatabaseError> {
        let row: Option<UserRow> = match user {
            UserRef::Id(id) => self.query(FIND_BY_ID).bind(id.0).find().await?,
            UserRef::Email(email) => self.query(FIND_BY_EMAIL).bind(email.as_str()).find().await?,
        };
        row.map(User::try_from).transpose()
    }

    /// Whether any user belongs to `--demo`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn has_demo_users(&self) -> Result<bool, DatabaseError> {
        let (any,) = self.query(ANY_DEMO).one::<(bool,)>().await?;
        Ok(any)
    }
}

/// Locks the row of a user, whatever its status, and returns whether it exists. This serialises the begin and end of
/// sessions and the creation and use of password links. Every transaction locks this row before rows of those tables,
/// so none can deadlock.
pub(crate) async fn hold(transaction: &mut Transaction, user: UserId) -> Result<bool, DatabaseError> {
    Ok(transaction.query(HOLD).bind(user.0).run().await? > 0)
}

/// Returns one user, within a transaction.
pub(crate) async fn find(transaction: &mut Transaction, user: &UserRef) -> Result<User, UserError> {
    let row: Option<UserRow> = match user {
        UserRef::Id(id) => transaction.query(FIND_BY_ID).bind(id.0).find().await?,
        UserRef::Email(email) => transaction.query(FIND_BY_EMAIL).bind(email.as_str()).find().await?,
    };
    Ok(row.ok_or_else(|| user.missing())?.try_into()?)
}

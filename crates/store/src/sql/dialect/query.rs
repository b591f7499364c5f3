//! A statement with its parameters, for either database.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgPool, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments as _, Encode, FromRow, PgConnection, Postgres, SqlStr, Sqlite, SqliteConnection, SqlitePool, Type,
};

use super::{Patience, StoreKind};
use crate::error::DatabaseError;

/// A type that both databases accept as a parameter.
pub trait SqlValue<'t>: Encode<'t, Sqlite> + Type<Sqlite> + Encode<'t, Postgres> + Type<Postgres> {}
impl<'t, T: Encode<'t, Sqlite> + Type<Sqlite> + Encode<'t, Postgres> + Type<Postgres>> SqlValue<'t> for T {}

/// A type that is read from a row of either database.
pub trait ResultRow: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> ResultRow for T {}

/// Parameters of a statement, in order.
pub enum Arguments {
    /// The parameters of a statement for SQLite.
    Sqlite(SqliteArguments),
    /// The parameters of a statement for PostgreSQL.
    Postgres(PgArguments),
}

impl Arguments {
    /// Creates an empty list with capacity for `values`.
    #[must_use]
    pub fn with_room(kind: StoreKind, values: usize) -> Self {
        match kind {
            StoreKind::Sqlite => {
                let mut arguments = SqliteArguments::default();
                arguments.reserve(values, 0);
                Self::Sqlite(arguments)
            }
            StoreKind::Postgres => {
                let mut arguments = PgArguments::default();
                arguments.reserve(values, values * size_of::<i64>());
                Self::Postgres(arguments)
            }
        }
    }

    /// Adds the next parameter to the list.
    ///
    /// # Errors
    /// The error of a value that cannot be encoded.
    pub fn add<'t>(&mut self, value: impl SqlValue<'t>) -> Result<(), BoxDynError> {
        match self {
            Self::Sqlite(arguments) => arguments.add(value),
            Self::Postgres(arguments) => arguments.add(value),
        }
    }
}

/// A statement; [`run`](Query::run), [`all`](Query::all), [`find`](Query::find) or [`one`](Query::one) sends it.
pub struct Query<'e> {
    on: Executor<'e>,
    sql: SqlStr,
    arguments: Arguments,
    failed: Option<BoxDynError>,
    persistent: bool,
}

enum Executor<'e> {
    Sqlite(&'e SqlitePool),
    InSqlite(&'e mut SqliteConnection),
    Postgres(&'e PgPool),
    InPostgres(&'e mut PgConnection, Patience),
}

/// Sends the statement that `$make` builds from text and parameters to its pool or transaction.
macro_rules! send {
    ($self:ident, $make:expr, $does:ident, $read:expr) => {{
        if let Some(error) = $self.failed {
            return Err(sqlx::Error::Encode(error).into());
        }
        let sql = $self.sql;
        let persistent = $self.persistent;
        let sent = match ($self.on, $self.arguments) {
            (Executor::Sqlite(pool), Arguments::Sqlite(with)) => {
                $make(sql, with).persistent(persistent).$does(pool).await.map($read)
            }
            (Executor::InSqlite(inside), Arguments::Sqlite(with)) => {
                $make(sql, with).persistent(persistent).$does(inside).await.map($read)
            }
            (Executor::Postgres(pool), Arguments::Postgres(with)) => {
                Patience::Bounded.wait($make(sql, with).persistent(persistent).$does(pool)).await.map($read)
            }
            (Executor::InPostgres(inside, patience), Arguments::Postgres(with)) => {
                patience.wait($make(sql, with).persistent(persistent).$does(inside)).await.map($read)
            }
            (Executor::Sqlite(_) | Executor::InSqlite(_), Arguments::Postgres(_))
            | (Executor::Postgres(_) | Executor::InPostgres(..), Arguments::Sqlite(_)) => {
                Err(sqlx::Error::InvalidArgument("parameters of the other database".to_owned()))
            }
        };
        Ok(sent?)
    }};
}

impl<'e> Query<'e> {
    pub(super) fn on_sqlite(pool: &'e SqlitePool, sql: SqlStr) -> Self {
        Self::new(Executor::Sqlite(pool), sql, StoreKind::Sqlite)
    }

    pub(super) fn in_sqlite(inside: &'e mut SqliteConnection, sql: SqlStr) -> Self {
        Self::new(Executor::InSqlite(inside), sql, StoreKind::Sqlite)
    }

    pub(super) fn on_postgres(pool: &'e PgPool, sql: SqlStr) -> Self {
        Self::new(Executor::Postgres(pool), sql, StoreKind::Postgres)
    }

    pub(super) fn in_postgres(inside: &'e mut PgConnection, patience: Patience, sql: SqlStr) -> Self {
        Self::new(Executor::InPostgres(inside, patience), sql, StoreKind::Postgres)
    }

    fn new(on: Executor<'e>, sql: SqlStr, kind: StoreKind) -> Self {
        Self { on, sql, arguments: Arguments::with_room(kind, 0), failed: None, persistent: true }
    }

    /// Binds the next parameter of the statement.
    #[must_use]
    pub fn bind<'t>(mut self, value: impl SqlValue<'t>) -> Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }

    /// Sets all parameters at once; they must be for the same database.
    #[must_use]
    pub fn with(self, arguments: Arguments) -> Self {
        Self { arguments, ..self }
    }

    /// Marks the statement as not worth preparing, because its text is seldom the same.
    #[must_use]
    pub fn once(self) -> Self {
        Self { persistent: false, ..self }
    }

    /// Sends the statement and returns the number of rows that it wrote.
    ///
    /// # Errors
    /// Database errors of any kind, also for values that cannot be encoded or decoded.
    pub async fn run(self) -> Result<u64, DatabaseError> {
        send!(self, sqlx::query_with, execute, |done| done.rows_affected())
    }

    /// Sends the statement and returns every row.
    ///
    /// # Errors
    /// Database errors of any kind, also for values that cannot be encoded or decoded.
    pub async fn all<R: ResultRow>(self) -> Result<Vec<R>, DatabaseError> {
        send!(self, sqlx::query_as_with::<_, R, _>, fetch_all, |rows| rows)
    }

    /// Sends the statement and returns its first row, if there is one.
    ///
    /// # Errors
    /// Database errors of any kind, also for values that cannot be encoded or decoded.
    pub async fn find<R: ResultRow>(self) -> Result<Option<R>, DatabaseError> {
        send!(self, sqlx::query_as_with::<_, R, _>, fetch_optional, |row| row)
    }

    /// Sends the statement and returns its first row; a missing row is an error.
    ///
    /// # Errors
    /// Database errors of any kind, also for values that cannot be encoded or decoded.
    pub async fn one<R: ResultRow>(self) -> Result<R, DatabaseError> {
        Ok(self.find().await?.ok_or(sqlx::Error::RowNotFound)?)
    }
}

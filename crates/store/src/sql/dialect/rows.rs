//! The rows of an `INSERT`. A statement for SQLite has one parameter per value. A statement for PostgreSQL has one array per
//! column: its text does not depend on the number of rows, and the server neither plans nor binds each value.

use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use uuid::Uuid;

use super::{Arguments, StoreKind};

/// The type of a column in both databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// An integer of 64 bits.
    Bigint,
    /// Either true or false.
    Boolean,
    /// A text in UTF-8.
    Text,
    /// A UUID; BLOB on SQLite.
    Uuid,
    /// Bytes; BYTEA on PostgreSQL, BLOB on SQLite.
    Bytes,
}

/// The value of one column of a row.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'r> {
    /// A value of [`SqlType::Bigint`].
    Bigint(Option<i64>),
    /// A value of [`SqlType::Boolean`].
    Boolean(bool),
    /// A value of [`SqlType::Text`].
    Text(Option<&'r str>),
    /// A value of [`SqlType::Uuid`].
    Uuid(Option<Uuid>),
    /// A value of [`SqlType::Bytes`].
    Bytes(&'r [u8]),
}

/// Converts a value, and an optional value, into a [`Cell`].
macro_rules! nullable {
    ($($from:ty => $variant:ident,)*) => {$(
        impl<'r> From<$from> for Cell<'r> {
            fn from(value: $from) -> Self {
                Self::$variant(Some(value))
            }
        }
        impl<'r> From<Option<$from>> for Cell<'r> {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}
nullable! { i64 => Bigint, &'r str => Text, Uuid => Uuid, }

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl<'r> From<&'r [u8]> for Cell<'r> {
    fn from(value: &'r [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl Cell<'_> {
    /// Returns whether the value is NULL.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Bigint(None) | Self::Text(None) | Self::Uuid(None))
    }
}

/// Returns the parameters of a statement that inserts `cells`, the values of whole rows with columns of these types: the
/// time, and an array per column.
///
/// # Errors
/// The error of a value that has another type than its column, or cannot be encoded.
pub(crate) fn arrays_of(now: i64, types: &[SqlType], cells: &[Cell<'_>]) -> Result<Arguments, BoxDynError> {
    let rows = cells.len().checked_div(types.len()).unwrap_or(0);
    let mut arguments = PgArguments::default();
    arguments.reserve(types.len() + 1, cells.len() * size_of::<(i32, i64)>());
    arguments.add(now)?;
    for (column, of) in types.iter().enumerate() {
        let mut array = Array::with_room(*of, rows);
        cells.iter().skip(column).step_by(types.len()).try_for_each(|cell| array.add(*cell))?;
        array.encode(&mut arguments)?;
    }
    Ok(Arguments::Postgres(arguments))
}

/// Returns the parameters of a statement for SQLite that inserts `cells`, the values of whole rows, at a time.
///
/// # Errors
/// The error of a value that cannot be encoded.
pub(crate) fn values_of(now: i64, cells: &[Cell<'_>]) -> Result<Arguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(cells.len() + 1, 0);
    arguments.add(now)?;
    for cell in cells {
        match *cell {
            Cell::Bigint(value) => arguments.add(value),
            Cell::Boolean(value) => arguments.add(value),
            Cell::Text(value) => arguments.add(value),
            Cell::Uuid(value) => arguments.add(value),
            Cell::Bytes(value) => arguments.add(value),
        }?;
    }
    Ok(Arguments::Sqlite(arguments))
}

/// The values of one column.
enum Array<'r> {
    Bigint(Vec<Option<i64>>),
    Boolean(Vec<bool>),
    Text(Vec<Option<&'r str>>),
    Uuid(Vec<Option<Uuid>>),
    Bytes(Vec<&'r [u8]>),
}

impl<'r> Array<'r> {
    fn with_room(of: SqlType, rows: usize) -> Self {
        match of {
            SqlType::Bigint => Self::Bigint(Vec::with_capacity(rows)),
            SqlType::Boolean => Self::Boolean(Vec::with_capacity(rows)),
            SqlType::Text => Self::Text(Vec::with_capacity(rows)),
            SqlType::Uuid => Self::Uuid(Vec::with_capacity(rows)),
            SqlType::Bytes => Self::Bytes(Vec::with_capacity(rows)),
        }
    }

    fn add(&mut self, value: Cell<'r>) -> Result<(), BoxDynError> {
        match (self, value) {
            (Self::Bigint(array), Cell::Bigint(value)) => array.push(value),
            (Self::Boolean(array), Cell::Boolean(value)) => array.push(value),
            (Self::Text(array), Cell::Text(value)) => array.push(value),
            (Self::Uuid(array), Cell::Uuid(value)) => array.push(value),
            (Self::Bytes(array), Cell::Bytes(value)) => array.push(value),
            (_, value) => return Err(format!("{value:?} has another type than its column").into()),
        }
        Ok(())
    }

    fn encode(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Bigint(array) => arguments.add(array),
            Self::Boolean(array) => arguments.add(array),
            Self::Text(array) => arguments.add(array),
            Self::Uuid(array) => arguments.add(array),
            Self::Bytes(array) => arguments.add(array),
        }
    }
}

impl SqlType {
    /// Returns the name of an array of the type on PostgreSQL.
    const fn array(self) -> &'static str {
        match self {
            Self::Bigint => "bigint[]",
            Self::Boolean => "boolean[]",
            Self::Text => "text[]",
            Self::Uuid => "uuid[]",
            Self::Bytes => "bytea[]",
        }
    }
}

impl StoreKind {
    /// Returns the beginning of an `INSERT` in a transaction that is rolled back after an error. With `OR FAIL`, SQLite
    /// does not save each page before a statement's first change of it.
    pub(crate) const fn insert_into(self) -> &'static str {
        match self {
            Self::Sqlite => "INSERT OR FAIL INTO",
            Self::Postgres => "INSERT INTO",
        }
    }
}

/// Appends the source of an `INSERT` on PostgreSQL: columns of these types, and twice the time, which is the first
/// parameter.
pub(crate) fn push_arrays(types: &[SqlType], text: &mut String) {
    let arrays = (2..).zip(types).map(|(n, of)| format!("${n}::{}", of.array()));
    let arrays = arrays.collect::<Vec<String>>().join(", ");
    text.push_str(&format!("SELECT *, $1::bigint, $1::bigint FROM unnest({arrays})"));
}

//! The rows of an `INSERT`. A statement for SQLite has one parameter per value. A statement for PostgreSQL has one array per
//! column: its text does not depend on the number of rows, and the server neither plans nor binds each value.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Encode, Postgres, Type};
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
#[derive(Debug)]
pub enum Cell {
    /// A value of [`SqlType::Bigint`].
    Bigint(Option<i64>),
    /// A value of [`SqlType::Boolean`].
    Boolean(bool),
    /// A value of [`SqlType::Text`].
    Text(Option<Arc<str>>),
    /// A value of [`SqlType::Uuid`].
    Uuid(Option<Uuid>),
    /// A value of [`SqlType::Bytes`].
    Bytes(Vec<u8>),
}

/// Converts a value, and an optional value, into a [`Cell`].
macro_rules! nullable {
    ($($from:ty => $variant:ident,)*) => {$(
        impl From<$from> for Cell {
            fn from(value: $from) -> Self {
                Self::$variant(Some(value))
            }
        }
        impl From<Option<$from>> for Cell {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}
nullable! { i64 => Bigint, Arc<str> => Text, Uuid => Uuid, }

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(Some(value.into()))
    }
}

impl From<Vec<u8>> for Cell {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl Cell {
    /// Returns whether the value is NULL.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Bigint(None) | Self::Text(None) | Self::Uuid(None))
    }
}

/// Returns the parameters of a statement that inserts `cells`, the values of whole rows with columns of these types.
///
/// # Errors
/// The error of a value that has another type than its column, or cannot be encoded.
pub(crate) fn arguments_of(
    kind: StoreKind,
    types: impl Iterator<Item = SqlType>,
    cells: impl ExactSizeIterator<Item = Cell>,
) -> Result<Arguments, BoxDynError> {
    match kind {
        StoreKind::Sqlite => {
            let mut arguments = SqliteArguments::default();
            arguments.reserve(cells.len(), 0);
            for cell in cells {
                match cell {
                    Cell::Bigint(value) => arguments.add(value),
                    Cell::Boolean(value) => arguments.add(value),
                    Cell::Text(value) => arguments.add(value),
                    Cell::Uuid(value) => arguments.add(value),
                    Cell::Bytes(value) => arguments.add(value),
                }?;
            }
            Ok(Arguments::Sqlite(arguments))
        }
        StoreKind::Postgres => {
            let values = cells.len();
            let mut arrays: Vec<Array> = types.map(Array::empty).collect();
            let (columns, mut cells) = (arrays.len(), cells);
            for _ in 0..values.checked_div(columns).unwrap_or(0) {
                arrays.iter_mut().zip(&mut cells).try_for_each(|(array, cell)| array.add(cell))?;
            }
            let mut arguments = PgArguments::default();
            arguments.reserve(columns, values * size_of::<(i32, i64)>());
            arrays.into_iter().try_for_each(|array| array.encode(&mut arguments))?;
            Ok(Arguments::Postgres(arguments))
        }
    }
}

/// The values of one column.
enum Array {
    Bigint(Vec<Option<i64>>),
    Boolean(Vec<bool>),
    Text(Vec<Option<Arc<str>>>),
    Uuid(Vec<Option<Uuid>>),
    Bytes(Vec<Vec<u8>>),
}

impl Array {
    const fn empty(of: SqlType) -> Self {
        match of {
            SqlType::Bigint => Self::Bigint(Vec::new()),
            SqlType::Boolean => Self::Boolean(Vec::new()),
            SqlType::Text => Self::Text(Vec::new()),
            SqlType::Uuid => Self::Uuid(Vec::new()),
            SqlType::Bytes => Self::Bytes(Vec::new()),
        }
    }

    fn add(&mut self, value: Cell) -> Result<(), BoxDynError> {
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
            Self::Bigint(array) => add(arguments, array),
            Self::Boolean(array) => add(arguments, array),
            Self::Text(array) => add(arguments, array.iter().map(Option::as_deref).collect::<Vec<Option<&str>>>()),
            Self::Uuid(array) => add(arguments, array),
            Self::Bytes(array) => add(arguments, array),
        }
    }
}

fn add<'t>(arguments: &mut PgArguments, array: impl Encode<'t, Postgres> + Type<Postgres>) -> Result<(), BoxDynError> {
    arguments.add(array)
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

    /// Appends the source of an `INSERT` of rows with columns of these types.
    pub(crate) fn rows(self, rows: usize, types: &[SqlType], text: &mut String) {
        match self {
            Self::Sqlite => {
                text.push_str("VALUES ");
                for row in 0..rows {
                    text.push_str(if row == 0 { "" } else { ", " });
                    self.placeholders(types.len(), text);
                }
            }
            Self::Postgres => {
                let arrays = (1..).zip(types).map(|(n, of)| format!("${n}::{}", of.array()));
                text.push_str("SELECT * FROM unnest(");
                text.push_str(&arrays.collect::<Vec<String>>().join(", "));
                text.push(')');
            }
        }
    }
}

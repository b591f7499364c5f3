//! One value of any table, read from one database and written to another.

use sha2::{Digest, Sha256};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, TypeInfo, ValueRef};
use uuid::Uuid;

use crate::sql::Arguments;

/// A column and the type of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopiedColumn {
    pub(super) name: String,
    pub(super) holds: ColumnType,
}

/// Type of a column's values on both databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    /// `UUID`; 16 bytes on SQLite.
    Uuid,
    /// The SQL type `BIGINT`.
    Number,
    /// `BOOLEAN`; 0 or 1 on SQLite.
    Flag,
    /// The SQL type `TEXT`.
    Text,
    /// The SQL types `BYTEA` (PostgreSQL) and `BLOB` (SQLite).
    Bytes,
}

/// A value as a database returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CopiedValue {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row, in the order of the requested columns.
#[derive(Debug)]
pub(super) struct CopiedRow(pub(super) Vec<CopiedValue>);

impl From<(String, String)> for CopiedColumn {
    /// Converts a catalogue's name and type.
    fn from(row: (String, String)) -> Self {
        let (name, kind) = row;
        let holds = match kind.as_str() {
            "BIGINT" | "INTEGER" => ColumnType::Number,
            "BOOLEAN" => ColumnType::Flag,
            "TEXT" => ColumnType::Text,
            "UUID" => ColumnType::Uuid,
            // SQLite has no type for ids: id columns are recognised by name.
            _ if name == "id" || name.ends_with("_id") => ColumnType::Uuid,
            _ => ColumnType::Bytes,
        };
        Self { name, holds }
    }
}

impl CopiedColumn {
    /// Whether the column's sum is meaningful: true for amounts and numbers, false for times.
    pub(super) fn is_summed(&self) -> bool {
        self.holds == ColumnType::Number && !self.name.ends_with("_at")
    }
}

impl CopiedValue {
    /// Adds the value as the next parameter.
    pub(super) fn put(&self, column: &CopiedColumn, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        match column.holds {
            ColumnType::Uuid => arguments.add(self.uuid()),
            ColumnType::Number => arguments.add(self.number()),
            ColumnType::Flag => arguments.add(self.number().map(|number| number != 0)),
            ColumnType::Text => arguments.add(if let Self::Text(text) = self { Some(text.clone()) } else { None }),
            ColumnType::Bytes => arguments.add(if let Self::Bytes(bytes) = self { Some(bytes.clone()) } else { None }),
        }
    }

    /// Adds the value to a digest: kind, length and bytes.
    pub(super) fn digest(&self, column: &CopiedColumn, digest: &mut Sha256) {
        let mut add = |kind: u8, bytes: &[u8]| {
            digest.update([kind]);
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        match self {
            Self::Null => add(0, &[]),
            Self::Number(number) => add(1, &number.to_le_bytes()),
            Self::Text(text) => add(2, text.as_bytes()),
            Self::Bytes(bytes) => add(if column.holds == ColumnType::Uuid { 3 } else { 4 }, bytes),
        }
    }

    pub(super) fn uuid(&self) -> Option<Uuid> {
        if let Self::Bytes(bytes) = self { Uuid::from_slice(bytes).ok() } else { None }
    }

    pub(super) const fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

impl FromRow<'_, SqliteRow> for CopiedRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let cell = |at: usize| {
            let value = row.try_get_raw(at)?;
            if value.is_null() {
                return Ok(CopiedValue::Null);
            }
            match value.type_info().name() {
                "TEXT" => row.try_get(at).map(CopiedValue::Text),
                "BLOB" => row.try_get(at).map(CopiedValue::Bytes),
                _ => row.try_get_unchecked(at).map(CopiedValue::Number),
            }
        };
        (0..row.len()).map(cell).collect::<Result<_, _>>().map(Self)
    }
}

impl FromRow<'_, PgRow> for CopiedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let cell = |at: usize| {
            let value = row.try_get_raw(at)?;
            if value.is_null() {
                return Ok(CopiedValue::Null);
            }
            match value.type_info().name() {
                "UUID" => row.try_get::<Uuid, _>(at).map(|id| CopiedValue::Bytes(id.as_bytes().to_vec())),
                "BYTEA" => row.try_get(at).map(CopiedValue::Bytes),
                "BOOL" => row.try_get::<bool, _>(at).map(|flag| CopiedValue::Number(flag.into())),
                "INT8" => row.try_get(at).map(CopiedValue::Number),
                _ => row.try_get(at).map(CopiedValue::Text),
            }
        };
        (0..row.len()).map(cell).collect::<Result<_, _>>().map(Self)
    }
}

//! Statements that write several rows at once.

mod in_file;
mod with_sqlx;

use std::sync::{Arc, OnceLock};

use crate::error::DatabaseError;
use crate::sql::dialect::{BulkSide, push_arrays};
use crate::sql::{BulkTransaction, Cell, SqlType, StoreKind};
use in_file::ROWS_OF_FILE;

/// Number of values of [`Shape`].
const SHAPES: usize = 2;
/// The columns that all rows of a batch have in common: the time of the batch.
const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// An `INSERT` of any number of rows. All rows get the same value in `created_at` and `updated_at`.
#[derive(Debug)]
pub struct Insert {
    table: &'static str,
    /// All columns except [`TIMES`].
    columns: &'static [&'static str],
    /// The columns of other types than BIGINT.
    types: &'static [(&'static str, SqlType)],
    /// The number of the last columns that the table has after [`TIMES`], because a migration added them.
    added: usize,
    /// The columns that have the same value in most rows.
    usual: &'static [(&'static str, UsualValue)],
    conflict: Conflict,
    sqlite: [[OnceLock<Arc<String>>; ROWS_OF_FILE.len()]; SHAPES],
    postgres: OnceLock<Arc<String>>,
}

/// The handling of a row that already exists.
#[derive(Debug)]
enum Conflict {
    /// End of the statement, from `ON CONFLICT` on.
    Text(&'static str),
    /// The values of all other columns than these are added to the existing row with the same values in these columns.
    Add(&'static [&'static str]),
}

/// The value that a column has in most rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsualValue {
    /// The column is NULL.
    Null,
    /// A value of [`SqlType::Bigint`].
    Bigint(i64),
    /// A value of [`SqlType::Text`], without quotes.
    Text(&'static str),
}

impl UsualValue {
    /// Returns whether `cell` has the value.
    fn is(self, cell: &Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Null, cell) => cell.is_null(),
            (Self::Bigint(usual), Cell::Bigint(value)) => *value == Some(usual),
            (Self::Text(usual), Cell::Text(value)) => *value == Some(usual),
            (Self::Bigint(_) | Self::Text(_), _) => false,
        }
    }
}

/// The columns that have parameters in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// All columns of the table.
    Full,
    /// All but the columns with a usual value, which the text contains.
    Usual,
}

/// The values of rows, in the order of the columns. Texts are borrowed from the rows.
#[derive(Debug, Default)]
pub struct Values<'r> {
    cells: Vec<Cell<'r>>,
}

impl<'r> Values<'r> {
    /// Adds the value of the next column.
    pub fn put(&mut self, value: impl Into<Cell<'r>>) -> &mut Self {
        self.cells.push(value.into());
        self
    }
}

impl Insert {
    /// `columns` are those of the table except `created_at` and `updated_at`; `types` lists the columns of other types
    /// than BIGINT; `conflict` is the end of the statement, from `ON CONFLICT` on.
    ///
    /// # Panics
    /// While compiling, if a statement would have more parameters than a database accepts.
    #[must_use]
    pub const fn new(
        table: &'static str,
        columns: &'static [&'static str],
        types: &'static [(&'static str, SqlType)],
        conflict: &'static str,
    ) -> Self {
        Self::with_conflict(table, columns, types, Conflict::Text(conflict))
    }

    /// Like [`new`](Self::new). If a row with the same values in the columns `key` exists, the values of all other columns
    /// are added to it, except `id` and the times. Amounts of money (`…_nano`) stop at the maximum.
    #[must_use]
    pub const fn adding(
        table: &'static str,
        columns: &'static [&'static str],
        types: &'static [(&'static str, SqlType)],
        key: &'static [&'static str],
    ) -> Self {
        Self::with_conflict(table, columns, types, Conflict::Add(key))
    }

    const fn with_conflict(
        table: &'static str,
        columns: &'static [&'static str],
        types: &'static [(&'static str, SqlType)],
        conflict: Conflict,
    ) -> Self {
        assert!(columns.len() * ROWS_OF_FILE[0] < StoreKind::Sqlite.parameters_max());
        let sqlite = [const { [const { OnceLock::new() }; ROWS_OF_FILE.len()] }; SHAPES];
        Self { table, columns, types, added: 0, usual: &[], conflict, sqlite, postgres: OnceLock::new() }
    }

    /// Declares that the table has the last `added` columns after the times. SQLite copies the values of an `INSERT` in
    /// another order than the table's once more.
    #[must_use]
    pub const fn with_added(mut self, added: usize) -> Self {
        self.added = added;
        self
    }

    /// Declares the values that columns have in most rows. On SQLite, rows with all of these values are written by
    /// statements whose texts contain the values: a parameter costs more, also for NULL.
    #[must_use]
    pub const fn with_usual(mut self, usual: &'static [(&'static str, UsualValue)]) -> Self {
        self.usual = usual;
        self
    }

    /// Returns the table and its columns in their order on SQLite, for the test that compares them with the database.
    pub fn columns(&self) -> (&'static str, impl Iterator<Item = &'static str>) {
        let (columns, added) = self.around_times();
        (self.table, columns.iter().chain(&TIMES).chain(added).copied())
    }

    /// Returns the columns that the table has before and after [`TIMES`].
    const fn around_times(&self) -> (&'static [&'static str], &'static [&'static str]) {
        self.columns.split_at(self.columns.len().saturating_sub(self.added))
    }

    /// Writes `rows` as [`run`](Self::run) does. On SQLite, values are bound by reference instead of copied into messages.
    ///
    /// # Errors
    /// Database errors of any kind. Some rows may be written, so the caller rolls the transaction back.
    pub async fn bulk<'r, R>(
        &self,
        transaction: &mut BulkTransaction,
        now: i64,
        rows: &'r [R],
        bind: impl FnMut(&'r R, &mut Values<'r>),
    ) -> Result<u64, DatabaseError> {
        if rows.is_empty() {
            return Ok(0);
        }
        match transaction.side() {
            BulkSide::Sqlite(file) => self.write_to_file(file, now, rows, bind),
            BulkSide::Postgres(transaction) => self.run(transaction, now, rows, bind).await,
        }
    }

    /// Checks the number of values of one row. Without the check, the values of following rows could be written to other
    /// columns.
    fn check_count(&self, values: usize) -> Result<(), DatabaseError> {
        if values == self.columns.len() {
            return Ok(());
        }
        let message = format!("{} gets {values} values for {} columns", self.table, self.columns.len());
        Err(sqlx::Error::Encode(message.into()).into())
    }

    /// Returns the types of the columns.
    fn column_types(&self) -> Vec<SqlType> {
        let of =
            |column: &&str| self.types.iter().find(|(name, _)| name == column).map_or(SqlType::Bigint, |(_, of)| *of);
        self.columns.iter().map(of).collect()
    }

    /// Returns, for each column, the value that the text of a shape contains; `None` for columns with a parameter.
    fn usual_values(&self, shape: Shape) -> Vec<Option<UsualValue>> {
        if shape != Shape::Usual {
            return vec![None; self.columns.len()];
        }
        let usual = |column: &&str| self.usual.iter().find(|(name, _)| name == column).map(|(_, value)| *value);
        self.columns.iter().map(usual).collect()
    }

    fn text(&self, kind: StoreKind, shape: Shape, rows: usize) -> String {
        let names = match kind {
            StoreKind::Sqlite => self.columns().1.collect::<Vec<_>>().join(", "),
            StoreKind::Postgres => format!("{}, {}", self.columns.join(", "), TIMES.join(", ")),
        };
        let mut text = format!("{} {} ({names}) ", kind.insert_into(), self.table);
        match kind {
            StoreKind::Sqlite => {
                let values = self.usual_values(shape);
                let (columns, added) = values.split_at(self.around_times().0.len());
                in_file::push_rows(rows, columns, added, &mut text);
            }
            StoreKind::Postgres => push_arrays(&self.column_types(), &mut text),
        }
        text.push(' ');
        match self.conflict {
            Conflict::Text(end) => text.push_str(end),
            Conflict::Add(key) => {
                let columns = self.columns.iter().chain(&TIMES);
                let sets: Vec<String> = columns.filter_map(|column| self.set(column, key)).collect();
                text.push_str(&format!("ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), sets.join(", ")));
            }
        }
        text
    }

    /// Returns the assignment of [`Conflict::Add`] to a column; `None` if its value stays.
    fn set(&self, column: &str, key: &[&str]) -> Option<String> {
        let table = self.table;
        let max = i64::MAX;
        match column {
            "updated_at" => Some(format!("{column} = excluded.{column}")),
            _ if column == "id" || column == "created_at" || key.contains(&column) => None,
            _ if column.ends_with("_nano") => Some(format!(
                "{column} = CASE WHEN {table}.{column} > {max} - excluded.{column} THEN {max}
                ELSE {table}.{column} + excluded.{column} END"
            )),
            _ => Some(format!("{column} = {table}.{column} + excluded.{column}")),
        }
    }

    /// Returns every text that can be sent; for the test that prepares them.
    #[must_use]
    pub fn all_texts(&self, kind: StoreKind) -> Vec<String> {
        let sizes = |shape| ROWS_OF_FILE.iter().map(move |rows| self.text(kind, shape, *rows));
        match kind {
            StoreKind::Sqlite if self.usual.is_empty() => sizes(Shape::Full).collect(),
            StoreKind::Sqlite => sizes(Shape::Full).chain(sizes(Shape::Usual)).collect(),
            StoreKind::Postgres => vec![self.text(kind, Shape::Full, 1)],
        }
    }
}

#[cfg(test)]
mod tests;

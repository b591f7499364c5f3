//! Statements that write several rows at once.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

use crate::error::DatabaseError;
use crate::sql::dialect::file_writer::{FileTransaction, fault};
use crate::sql::dialect::{BulkSide, arguments_of};
use crate::sql::{Arguments, BulkTransaction, Cell, SqlType, StoreKind, Transaction};

/// Numbers of rows per statement of SQLite, tried in this order. Few texts exist, so that each stays prepared. A statement
/// of several rows saves each page before its first change, and is a message to the thread of the connection. Ingest uses
/// the last one ([`Insert::bulk`]).
const SIZES_OF_SQLITE: [usize; 5] = [256, 64, 16, 4, 1];
/// Maximum number of rows per statement of PostgreSQL, whose text does not depend on it. The server works on one
/// statement while the next is encoded.
const ROWS_OF_POSTGRES: usize = 1_024;

/// Number of values of [`Shape`].
const SHAPES: usize = 2;

/// An `INSERT` of any number of rows.
#[derive(Debug)]
pub struct Insert {
    table: &'static str,
    columns: &'static [&'static str],
    /// The columns of other types than BIGINT.
    types: &'static [(&'static str, SqlType)],
    /// The columns that are NULL in most rows.
    rare: &'static [&'static str],
    conflict: Conflict,
    sqlite: [[OnceLock<Arc<String>>; SIZES_OF_SQLITE.len()]; SHAPES],
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

/// The columns that a statement writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// All columns of the table.
    Full,
    /// All but the rare columns, which remain NULL.
    Usual,
}

/// The values of rows, in the order of the columns.
#[derive(Debug, Default)]
pub struct Values {
    cells: Vec<Cell>,
    /// Words that [`put_word`](Self::put_word) has allocated; bounded by the words of the program.
    words: Vec<(&'static str, Arc<str>)>,
}

impl Values {
    /// Adds the value of the next column.
    pub fn put(&mut self, value: impl Into<Cell>) -> &mut Self {
        self.cells.push(value.into());
        self
    }

    /// Adds a word of a fixed set. sqlx copies borrowed texts twice for SQLite, so each word is allocated only once.
    pub fn put_word(&mut self, word: Option<&'static str>) -> &mut Self {
        let Some(word) = word else { return self.put(None::<Arc<str>>) };
        let known = self.words.iter().find(|(known, _)| std::ptr::eq(*known, word)).map(|(_, text)| text.clone());
        let text = known.unwrap_or_else(|| {
            let text: Arc<str> = Arc::from(word);
            self.words.push((word, text.clone()));
            text
        });
        self.put(text)
    }
}

/// The rows that were not sent yet.
struct Unsent<'r, R> {
    rows: &'r [R],
    values: Values,
    /// Which columns are rare; empty on PostgreSQL, where arrays without values cost little.
    rare: Vec<bool>,
    full: Vec<Cell>,
    usual: Vec<Cell>,
}

impl<R> Unsent<'_, R> {
    /// Collects the values of up to `count` further rows, by their shape.
    fn bind(&mut self, count: usize, bind: &mut impl FnMut(&R, &mut Values)) {
        let (next, rest) = self.rows.split_at_checked(count).unwrap_or((self.rows, &[]));
        self.rows = rest;
        for row in next {
            bind(row, &mut self.values);
            let cells = &mut self.values.cells;
            let is_usual = self.rare.contains(&true)
                && cells.iter().zip(&self.rare).all(|(cell, is_rare)| !is_rare || cell.is_null());
            if is_usual {
                let usual = cells.drain(..).zip(&self.rare).filter(|(_, is_rare)| !**is_rare);
                self.usual.extend(usual.map(|(cell, _)| cell));
            } else {
                self.full.append(cells);
            }
        }
    }
}

impl Insert {
    /// `types` lists the columns of other types than BIGINT; `conflict` is the end of the statement, from `ON CONFLICT`
    /// on.
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
        assert!(columns.len() * SIZES_OF_SQLITE[0] <= StoreKind::Sqlite.parameters_max());
        let sqlite = [const { [const { OnceLock::new() }; SIZES_OF_SQLITE.len()] }; SHAPES];
        Self { table, columns, types, rare: &[], conflict, sqlite, postgres: OnceLock::new() }
    }

    /// Declares columns that are NULL in most rows. On SQLite, rows without a value in any of them are written by
    /// statements without these columns: a NULL parameter costs as much as another value.
    #[must_use]
    pub const fn with_rare(mut self, rare: &'static [&'static str]) -> Self {
        self.rare = rare;
        self
    }

    /// Returns the table and its columns, for the test that compares them with the database.
    #[must_use]
    pub const fn columns(&self) -> (&'static str, &'static [&'static str]) {
        (self.table, self.columns)
    }

    /// Writes `rows`; `bind` adds the values of each. Returns the number of rows that were inserted or updated.
    ///
    /// # Errors
    /// Database errors of any kind. Some rows may be written, so the caller rolls the transaction back.
    pub async fn run<R>(
        &self,
        transaction: &mut Transaction,
        rows: &[R],
        mut bind: impl FnMut(&R, &mut Values),
    ) -> Result<u64, DatabaseError> {
        let (kind, mut written) = (transaction.kind(), 0);
        let rare = match kind {
            StoreKind::Sqlite => self.columns.iter().map(|column| self.rare.contains(column)).collect(),
            StoreKind::Postgres => Vec::new(),
        };
        let mut unsent = Unsent { rows, values: Values::default(), rare, full: Vec::new(), usual: Vec::new() };
        let mut ready = self.statement(kind, &mut unsent, &mut bind)?;
        while let Some((text, arguments)) = ready {
            // The first statement is sent before the second is built: the database works while the next values are
            // collected.
            let running = transaction.query(AssertSqlSafe(text)).with(arguments).run();
            let (done, next) = tokio::join!(biased; running, async { self.statement(kind, &mut unsent, &mut bind) });
            written += done?;
            ready = next?;
        }
        Ok(written)
    }

    /// Writes `rows` as [`run`](Self::run) does. On SQLite, a statement of one row is prepared once and runs for each row:
    /// no value is copied into a message.
    ///
    /// # Errors
    /// Database errors of any kind. Some rows may be written, so the caller rolls the transaction back.
    pub async fn bulk<R>(
        &self,
        transaction: &mut BulkTransaction,
        rows: &[R],
        bind: impl FnMut(&R, &mut Values),
    ) -> Result<u64, DatabaseError> {
        match transaction.side() {
            BulkSide::Sqlite(file) => self.write_each(file, rows, bind),
            BulkSide::Postgres(transaction) => self.run(transaction, rows, bind).await,
        }
    }

    fn write_each<R>(
        &self,
        file: &FileTransaction,
        rows: &[R],
        mut bind: impl FnMut(&R, &mut Values),
    ) -> Result<u64, DatabaseError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let mut full = file.prepare(&self.text_for(StoreKind::Sqlite, Shape::Full, 1).0)?;
        // Without rare columns, the statement would have the text of `full`, and be compiled a second time.
        let mut usual = match self.rare {
            [] => None,
            _ => Some(file.prepare(&self.text_for(StoreKind::Sqlite, Shape::Usual, 1).0)?),
        };
        let rare: Vec<bool> = self.columns.iter().map(|column| self.rare.contains(column)).collect();
        let (mut values, mut written) = (Values::default(), 0);
        for row in rows {
            values.cells.clear();
            bind(row, &mut values);
            let cells = &values.cells;
            if cells.len() != rare.len() {
                return Err(self.miscounted(cells.len(), rare.len()));
            }
            let has_no_rare = cells.iter().zip(&rare).all(|(cell, is_rare)| !is_rare || cell.is_null());
            let usual = usual.as_mut().filter(|_| has_no_rare);
            let is_usual = usual.is_some();
            let statement = usual.unwrap_or(&mut full);
            let bound = cells.iter().zip(&rare).filter(|(_, is_rare)| !(is_usual && **is_rare));
            for (at, (cell, _)) in (1_usize..).zip(bound) {
                statement.raw_bind_parameter(at, cell).map_err(fault)?;
            }
            written += statement.raw_execute().map_err(fault)?;
        }
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    }

    /// The error of a row with too few or too many values. Without it, the values of following rows could be written to
    /// other columns.
    fn miscounted(&self, values: usize, columns: usize) -> DatabaseError {
        let message = format!("{} gets {values} values for {columns} columns", self.table);
        sqlx::Error::Encode(message.into()).into()
    }

    /// Takes the next rows, and returns a statement's text for them and their values.
    fn statement<R>(
        &self,
        kind: StoreKind,
        unsent: &mut Unsent<'_, R>,
        bind: &mut impl FnMut(&R, &mut Values),
    ) -> Result<Option<(Arc<String>, Arguments)>, DatabaseError> {
        let rows_max = match kind {
            StoreKind::Sqlite => SIZES_OF_SQLITE[0],
            StoreKind::Postgres => ROWS_OF_POSTGRES,
        };
        loop {
            let is_last = unsent.rows.is_empty();
            for shape in [Shape::Usual, Shape::Full] {
                let cells = match shape {
                    Shape::Usual => &mut unsent.usual,
                    Shape::Full => &mut unsent.full,
                };
                let columns = self.shaped(shape).count();
                if cells.len() % columns != 0 {
                    return Err(self.miscounted(cells.len(), columns));
                }
                let rows = cells.len() / columns;
                if rows >= rows_max || (is_last && rows > 0) {
                    let (text, size) = self.text_for(kind, shape, rows.min(rows_max));
                    let types = self.shaped(shape).map(|(_, of)| of);
                    let arguments = arguments_of(kind, types, cells.drain(..size * columns));
                    return Ok(Some((text, arguments.map_err(sqlx::Error::Encode)?)));
                }
            }
            if is_last {
                return Ok(None);
            }
            unsent.bind(rows_max, bind);
        }
    }

    /// Returns the text of a statement that writes at most `rows` rows, and the number of its rows.
    fn text_for(&self, kind: StoreKind, shape: Shape, rows: usize) -> (Arc<String>, usize) {
        let sizes = SIZES_OF_SQLITE.iter().enumerate();
        let (nth, size) = match kind {
            StoreKind::Sqlite => sizes.map(|(nth, size)| (nth, *size)).find(|(_, size)| *size <= rows),
            StoreKind::Postgres => None,
        }
        .unwrap_or((0, rows));
        let known = match kind {
            StoreKind::Sqlite => self.sqlite.get(shape as usize).and_then(|texts| texts.get(nth)),
            StoreKind::Postgres => Some(&self.postgres),
        };
        let text = || Arc::new(self.text(kind, shape, size));
        (known.map_or_else(text, |known| known.get_or_init(text).clone()), size)
    }

    /// Returns the columns that statements of a shape write, with their types.
    fn shaped(&self, shape: Shape) -> impl Iterator<Item = (&'static str, SqlType)> {
        let columns = self.columns.iter().filter(move |column| shape == Shape::Full || !self.rare.contains(column));
        columns.map(|column| {
            let other = self.types.iter().find(|(name, _)| name == column);
            (*column, other.map_or(SqlType::Bigint, |(_, of)| *of))
        })
    }

    fn text(&self, kind: StoreKind, shape: Shape, rows: usize) -> String {
        let (names, types): (Vec<&str>, Vec<SqlType>) = self.shaped(shape).unzip();
        let mut text = format!("{} {} ({}) ", kind.insert_into(), self.table, names.join(", "));
        kind.rows(rows, &types, &mut text);
        text.push(' ');
        match self.conflict {
            Conflict::Text(end) => text.push_str(end),
            Conflict::Add(key) => {
                let sets: Vec<String> = self.columns.iter().filter_map(|column| self.set(column, key)).collect();
                text.push_str(&format!("ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), sets.join(", ")));
            }
        }
        text
    }

    /// Returns the assignment of [`Conflict::Add`] to a column; `None` if its value stays.
    fn set(&self, column: &str, key: &[&str]) -> Option<String> {
        let (table, max) = (self.table, i64::MAX);
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
        let sizes = |shape| SIZES_OF_SQLITE.iter().map(move |rows| self.text(kind, shape, *rows));
        match kind {
            StoreKind::Sqlite if self.rare.is_empty() => sizes(Shape::Full).collect(),
            StoreKind::Sqlite => sizes(Shape::Full).chain(sizes(Shape::Usual)).collect(),
            StoreKind::Postgres => vec![self.text(kind, Shape::Full, 1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_add_all_values_but_the_key_and_keep_the_id() {
        static SUMS: Insert = Insert::adding(
            "sums",
            &["id", "day", "requests", "cost_nano", "created_at", "updated_at"],
            &[("id", SqlType::Uuid)],
            &["day"],
        );
        let text = SUMS.text(StoreKind::Postgres, Shape::Full, 1);
        let (_, conflict) = text.split_once(" ON CONFLICT ").unwrap();
        let words: Vec<&str> = conflict.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "(day) DO UPDATE SET requests = sums.requests + excluded.requests, \
             cost_nano = CASE WHEN sums.cost_nano > 9223372036854775807 - excluded.cost_nano THEN 9223372036854775807 \
             ELSE sums.cost_nano + excluded.cost_nano END, updated_at = excluded.updated_at"
        );
    }
}

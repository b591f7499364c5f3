//! Statements that write several rows at once.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

use crate::error::DatabaseError;
use crate::sql::{Arguments, StoreKind, Transaction, Value};

/// Numbers of rows per statement of SQLite, tried in this order. Few texts exist, so that each stays prepared. A statement
/// of several rows saves each page before its first change, and is a message to the thread of the connection.
const SIZES_OF_SQLITE: [usize; 5] = [256, 64, 16, 4, 1];
/// Numbers of rows per statement of PostgreSQL, for which longer statements were not measured.
const SIZES_OF_POSTGRES: [usize; 4] = [64, 16, 4, 1];

/// An `INSERT` of any number of rows.
#[derive(Debug)]
pub struct Insert {
    table: &'static str,
    columns: &'static [&'static str],
    /// End of the statement, from `ON CONFLICT` on.
    conflict: &'static str,
    sqlite: [OnceLock<Arc<String>>; SIZES_OF_SQLITE.len()],
    postgres: [OnceLock<Arc<String>>; SIZES_OF_POSTGRES.len()],
}

/// The values of the rows of one statement, in the order of its columns.
pub struct Values {
    arguments: Arguments,
    failed: Option<sqlx::error::BoxDynError>,
    /// Words that [`put_word`](Self::put_word) has allocated; bounded by the words of the program.
    words: Vec<(&'static str, Arc<str>)>,
}

impl Values {
    /// Adds the value of the next column.
    pub fn put<'t>(&mut self, value: impl Value<'t>) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
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

impl Insert {
    /// `conflict` is the end of the statement, from `ON CONFLICT` on.
    ///
    /// # Panics
    /// While compiling, if a statement would have more parameters than a database accepts.
    #[must_use]
    pub const fn new(table: &'static str, columns: &'static [&'static str], conflict: &'static str) -> Self {
        assert!(columns.len() * SIZES_OF_SQLITE[0] <= StoreKind::Sqlite.parameters_max());
        assert!(columns.len() * SIZES_OF_POSTGRES[0] <= StoreKind::Postgres.parameters_max());
        let sqlite = [const { OnceLock::new() }; SIZES_OF_SQLITE.len()];
        let postgres = [const { OnceLock::new() }; SIZES_OF_POSTGRES.len()];
        Self { table, columns, conflict, sqlite, postgres }
    }

    /// Returns the table and its columns, for the test that compares them with the database.
    #[must_use]
    pub const fn columns(&self) -> (&'static str, &'static [&'static str]) {
        (self.table, self.columns)
    }

    /// Writes `rows`; `bind` adds the values of each. Returns the number of rows that were inserted or updated.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn run<R>(
        &self,
        transaction: &mut Transaction,
        rows: &[R],
        mut bind: impl FnMut(&R, &mut Values),
    ) -> Result<u64, DatabaseError> {
        let (kind, mut written) = (transaction.kind(), 0);
        let mut left = rows;
        let mut values = Values { arguments: Arguments::with_room(kind, 0), failed: None, words: Vec::new() };
        let mut ready = self.statement(kind, &mut left, &mut values, &mut bind)?;
        while let Some((text, arguments)) = ready {
            // The first statement is sent before the second is built: the database works while the next values are
            // collected.
            let running = transaction.query(AssertSqlSafe(text)).with(arguments).run();
            let (done, next) =
                tokio::join!(biased; running, async { self.statement(kind, &mut left, &mut values, &mut bind) });
            written += done?;
            ready = next?;
        }
        Ok(written)
    }

    /// Takes the first of `rows`, and returns a statement's text for them and their values.
    fn statement<R>(
        &self,
        kind: StoreKind,
        rows: &mut &[R],
        values: &mut Values,
        bind: &mut impl FnMut(&R, &mut Values),
    ) -> Result<Option<(Arc<String>, Arguments)>, DatabaseError> {
        let size = sizes(kind).iter().copied().enumerate().find(|(_, size)| *size <= rows.len());
        let Some((nth, (chunk, rest))) = size.and_then(|(nth, size)| Some((nth, rows.split_at_checked(size)?))) else {
            return Ok(None);
        };
        *rows = rest;
        let count = chunk.len() * self.columns.len();
        values.arguments = Arguments::with_room(kind, count);
        for row in chunk {
            bind(row, values);
        }
        if let Some(error) = values.failed.take() {
            return Err(sqlx::Error::Encode(error).into());
        }
        let arguments = std::mem::replace(&mut values.arguments, Arguments::with_room(kind, 0));
        debug_assert_eq!(arguments.len(), count, "one value per column: {}", self.table);
        let texts = match kind {
            StoreKind::Sqlite => self.sqlite.as_slice(),
            StoreKind::Postgres => self.postgres.as_slice(),
        };
        let text = || Arc::new(self.text(kind, chunk.len()));
        let text = texts.get(nth).map_or_else(text, |kept| kept.get_or_init(text).clone());
        Ok(Some((text, arguments)))
    }

    fn text(&self, kind: StoreKind, rows: usize) -> String {
        let mut text = format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns.join(", "));
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns.len() {
                text.push_str(if column == 0 { "" } else { ", " });
                kind.placeholder(row * self.columns.len() + column + 1, &mut text);
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.conflict);
        text
    }

    /// Returns every text that can be sent; for the test that prepares them.
    #[must_use]
    pub fn all_texts(&self, kind: StoreKind) -> Vec<String> {
        sizes(kind).iter().map(|rows| self.text(kind, *rows)).collect()
    }
}

const fn sizes(kind: StoreKind) -> &'static [usize] {
    match kind {
        StoreKind::Sqlite => &SIZES_OF_SQLITE,
        StoreKind::Postgres => &SIZES_OF_POSTGRES,
    }
}

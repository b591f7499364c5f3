//! Statements that write several rows at once.

use std::sync::{Arc, OnceLock};

use sqlx::AssertSqlSafe;

use crate::error::StoreError;
use crate::sql::{Arguments, StoreKind, Transaction, Value};

/// Numbers of rows per statement, tried in this order. Few texts exist, so that each stays prepared.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// An `INSERT` of any number of rows.
#[derive(Debug)]
pub struct Insert {
    table: &'static str,
    columns: &'static [&'static str],
    /// End of the statement, from `ON CONFLICT` on.
    conflict: &'static str,
    texts: [[OnceLock<Arc<String>>; SIZES.len()]; 2],
}

/// The values of the rows of one statement, in the order of its columns.
pub struct Values {
    arguments: Arguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Values {
    /// Adds the value of the next column.
    pub fn put<'t>(&mut self, value: impl Value<'t>) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }
}

impl Insert {
    /// `conflict` is the end of the statement, from `ON CONFLICT` on.
    ///
    /// # Panics
    /// While compiling, if a statement would have more parameters than a database accepts.
    #[must_use]
    pub const fn new(table: &'static str, columns: &'static [&'static str], conflict: &'static str) -> Self {
        assert!(columns.len() * SIZES[0] <= StoreKind::Sqlite.parameters_max());
        assert!(columns.len() * SIZES[0] <= StoreKind::Postgres.parameters_max());
        Self { table, columns, conflict, texts: [const { [const { OnceLock::new() }; SIZES.len()] }; 2] }
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
    ) -> Result<u64, StoreError> {
        let (kind, mut written) = (transaction.kind(), 0);
        let mut left = rows;
        let mut ready = self.statement(kind, &mut left, &mut bind)?;
        while let Some((text, arguments)) = ready {
            // The first statement is sent before the second is built: the database works while the next values are
            // collected.
            let running = transaction.query(AssertSqlSafe(text)).with(arguments).run();
            let (done, next) = tokio::join!(biased; running, async { self.statement(kind, &mut left, &mut bind) });
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
        bind: &mut impl FnMut(&R, &mut Values),
    ) -> Result<Option<(Arc<String>, Arguments)>, StoreError> {
        let size = SIZES.into_iter().enumerate().find(|(_, size)| *size <= rows.len());
        let Some((nth, (chunk, rest))) = size.and_then(|(nth, size)| Some((nth, rows.split_at_checked(size)?))) else {
            return Ok(None);
        };
        *rows = rest;
        let count = chunk.len() * self.columns.len();
        let mut values = Values { arguments: Arguments::with_room(kind, count), failed: None };
        for row in chunk {
            bind(row, &mut values);
        }
        if let Some(error) = values.failed {
            return Err(sqlx::Error::Encode(error).into());
        }
        debug_assert_eq!(values.arguments.len(), count, "one value per column: {}", self.table);
        let [sqlite, postgres] = &self.texts;
        let texts = if kind == StoreKind::Sqlite { sqlite } else { postgres };
        let text = || Arc::new(self.text(kind, chunk.len()));
        let text = texts.get(nth).map_or_else(text, |kept| kept.get_or_init(text).clone());
        Ok(Some((text, values.arguments)))
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
        SIZES.into_iter().map(|rows| self.text(kind, rows)).collect()
    }
}

//! Statements that write many rows at once.

use std::sync::{Arc, OnceLock};

use sqlx::{Arguments as _, AssertSqlSafe, Encode, Type};

use crate::dialect::{self, Arguments, Db, Transaction};
use crate::error::StoreError;

/// Rows a statement, tried in this order: few texts, so that each is prepared once and kept.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// An `INSERT` of any number of rows.
#[derive(Debug)]
pub(crate) struct Insert {
    table: &'static str,
    columns: &'static [&'static str],
    /// The statement's end, from `ON CONFLICT` on.
    conflict: &'static str,
    texts: [OnceLock<Arc<String>>; SIZES.len()],
}

/// The values of the rows of one statement, in the order of its columns.
pub(crate) struct Values {
    arguments: Arguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Values {
    /// The next column's value.
    pub(crate) fn put<'t, T: Encode<'t, Db> + Type<Db>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }
}

impl Insert {
    pub(crate) const fn new(table: &'static str, columns: &'static [&'static str], conflict: &'static str) -> Self {
        assert!(columns.len() * SIZES[0] <= dialect::PARAMETERS_MAX);
        Self { table, columns, conflict, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// Writes `rows`, each as `bind` says. The number of rows that were inserted or updated.
    pub(crate) async fn run<R>(
        &self,
        transaction: &mut Transaction,
        mut rows: &[R],
        mut bind: impl FnMut(&R, &mut Values),
    ) -> Result<u64, StoreError> {
        let mut written = 0;
        for (size, text) in SIZES.into_iter().zip(&self.texts) {
            while let Some((chunk, rest)) = rows.split_at_checked(size) {
                rows = rest;
                let mut values = Values { arguments: Arguments::default(), failed: None };
                values.arguments.reserve(size * self.columns.len(), 0);
                for row in chunk {
                    bind(row, &mut values);
                }
                if let Some(error) = values.failed {
                    return Err(sqlx::Error::Encode(error).into());
                }
                debug_assert_eq!(values.arguments.len(), size * self.columns.len(), "a value a column: {}", self.table);
                let text = text.get_or_init(|| Arc::new(self.text(size))).clone();
                let query = sqlx::query_with(AssertSqlSafe(text), values.arguments);
                written += query.execute(&mut **transaction).await?.rows_affected();
            }
        }
        Ok(written)
    }

    fn text(&self, rows: usize) -> String {
        let mut text = format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns.join(", "));
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns.len() {
                text.push_str(if column == 0 { "" } else { ", " });
                text.push_str(dialect::placeholder(row * self.columns.len() + column + 1));
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.conflict);
        text
    }

    /// Every text that can be sent.
    #[cfg(test)]
    pub(crate) fn all_texts(&self) -> Vec<String> {
        SIZES.into_iter().map(|rows| self.text(rows)).collect()
    }
}

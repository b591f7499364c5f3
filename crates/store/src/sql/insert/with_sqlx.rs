//! Rows that sqlx writes. On PostgreSQL, a statement has one array per column, so its text does not depend on the number of
//! rows. On SQLite, a statement has a parameter per value; few rows are written in this way.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::in_file::ROWS_OF_FILE;
use super::{Insert, Shape, Values};
use crate::error::DatabaseError;
use crate::sql::dialect::{arrays_of, values_of};
use crate::sql::{Arguments, StoreKind, Transaction};

/// Maximum number of rows per statement of PostgreSQL. The server works on one statement while the next is encoded.
const ROWS_OF_SERVER_MAX: usize = 1_024;

impl Insert {
    /// Writes `rows` at the time `now`; `bind` adds the values of each. Returns the number of rows that were inserted or
    /// updated.
    ///
    /// # Errors
    /// Database errors of any kind. Some rows may be written, so the caller rolls the transaction back.
    pub async fn run<'r, R>(
        &self,
        transaction: &mut Transaction,
        now: i64,
        rows: &'r [R],
        mut bind: impl FnMut(&'r R, &mut Values<'r>),
    ) -> Result<u64, DatabaseError> {
        let kind = transaction.kind();
        let mut rest = rows;
        let mut written = 0;
        let mut ready = self.statement(kind, now, &mut rest, &mut bind)?;
        while let Some((text, arguments)) = ready {
            // A statement is sent before the next one is built: the database works while the values are collected.
            let running = transaction.query(AssertSqlSafe(text)).with(arguments).run();
            let next = async { self.statement(kind, now, &mut rest, &mut bind) };
            let (done, next) = tokio::join!(biased; running, next);
            written += done?;
            ready = next?;
        }
        Ok(written)
    }

    /// Takes the next rows, and returns a statement's text for them and their values.
    fn statement<'r, R>(
        &self,
        kind: StoreKind,
        now: i64,
        rest: &mut &'r [R],
        bind: &mut impl FnMut(&'r R, &mut Values<'r>),
    ) -> Result<Option<(Arc<String>, Arguments)>, DatabaseError> {
        let size = match kind {
            StoreKind::Sqlite => ROWS_OF_FILE.into_iter().find(|size| *size <= rest.len()).unwrap_or_default(),
            StoreKind::Postgres => rest.len().min(ROWS_OF_SERVER_MAX),
        };
        let Some((rows, later)) = rest.split_at_checked(size).filter(|(rows, _)| !rows.is_empty()) else {
            return Ok(None);
        };
        *rest = later;
        let mut values = Values { cells: Vec::with_capacity(size * self.columns.len()) };
        for row in rows {
            let before = values.cells.len();
            bind(row, &mut values);
            self.check_count(values.cells.len() - before)?;
        }
        let (text, arguments) = match kind {
            StoreKind::Sqlite => (self.file_text(Shape::Full, size), values_of(now, &values.cells)),
            StoreKind::Postgres => {
                let types = self.column_types();
                let text = || Arc::new(self.text(kind, Shape::Full, 1));
                (self.postgres.get_or_init(text).clone(), arrays_of(now, &types, &values.cells))
            }
        };
        Ok(Some((text, arguments.map_err(sqlx::Error::Encode)?)))
    }
}

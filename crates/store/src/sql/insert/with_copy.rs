//! Rows that PostgreSQL copies from the client.

use super::{Insert, TIMES, Values};
use crate::error::DatabaseError;
use crate::sql::Transaction;

impl Insert {
    /// Copies `rows` to a server. Returns the number of rows, and 0 if one of them exists.
    pub(super) async fn copy<'r, R>(
        &self,
        transaction: &mut Transaction,
        now: i64,
        rows: &'r [R],
        mut bind: impl FnMut(&'r R, &mut Values<'r>),
    ) -> Result<u64, DatabaseError> {
        let (types, statement) = (self.column_types(), self.copy_text());
        let (mut rest, mut values) = (rows.iter(), Values::default());
        let copied = transaction.copy(&statement, |copied| {
            let Some(row) = rest.next() else { return Ok(false) };
            values.cells.clear();
            bind(row, &mut values);
            self.check_count(values.cells.len())?;
            copied.add(now, &types, &values.cells).map_err(sqlx::Error::Encode)?;
            Ok(true)
        });
        Ok(copied.await?.unwrap_or(0))
    }

    /// Returns the statement that copies rows.
    fn copy_text(&self) -> String {
        format!("COPY {} ({}, {}) FROM STDIN (FORMAT binary)", self.table, self.columns.join(", "), TIMES.join(", "))
    }
}

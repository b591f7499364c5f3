//! Rows that PostgreSQL copies from the client (`COPY … FROM STDIN` in the binary format): the server evaluates no query,
//! checks no row for a conflict beforehand, and writes the rows of a page at once.

use sqlx::PgConnection;
use sqlx::error::BoxDynError;

use super::{Cell, OpenTransaction, Patience, SqlType, Transaction};

/// Begins the data: the signature, no flags, and no extension of the header.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of columns that ends the data.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// The length of NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Size of the data from which it is sent. The server works while further rows are collected.
const CHUNK_BYTES: usize = 64 << 10;

impl Transaction {
    /// Copies rows by a statement `COPY … FROM STDIN (FORMAT binary)`; `next` appends rows until it returns `false`. Returns the
    /// number of rows; `None` if a row with the same key exists, after which the transaction must be rolled back.
    pub(crate) async fn copy(
        &mut self,
        statement: &str,
        mut next: impl FnMut(&mut CopiedRows) -> Result<bool, sqlx::Error>,
    ) -> Result<Option<u64>, sqlx::Error> {
        let OpenTransaction::Postgres(transaction, patience) = &mut self.0 else {
            return Err(sqlx::Error::InvalidArgument("SQLite copies no rows".to_owned()));
        };
        let (connection, patience): (&mut PgConnection, Patience) = (transaction, *patience);
        let mut copying = patience.wait(connection.copy_in_raw(statement)).await?;
        let mut rows = CopiedRows { data: Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8) };
        rows.data.extend_from_slice(HEADER);
        loop {
            let more = match next(&mut rows) {
                Ok(more) => more,
                Err(error) => {
                    patience.wait(copying.abort("a value cannot be encoded")).await?;
                    return Err(error);
                }
            };
            if !more {
                break;
            }
            if rows.data.len() >= CHUNK_BYTES {
                patience.wait(copying.send(rows.data.as_slice())).await?;
                rows.data.clear();
            }
        }
        rows.data.extend_from_slice(&TRAILER);
        patience.wait(copying.send(rows.data.as_slice())).await?;
        match patience.wait(copying.finish()).await {
            Ok(copied) => Ok(Some(copied)),
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Rows in the binary format of `COPY`, all integers in network order
/// (<https://www.postgresql.org/docs/current/sql-copy.html>, Binary Format).
#[derive(Debug)]
pub(crate) struct CopiedRows {
    data: Vec<u8>,
}

impl CopiedRows {
    /// Adds a row of columns of these types, and the time `now` in two further columns.
    ///
    /// # Errors
    /// The error of a value that has another type than its column, or cannot be encoded.
    pub(crate) fn add(&mut self, now: i64, types: &[SqlType], cells: &[Cell<'_>]) -> Result<(), BoxDynError> {
        let times = [now; 2];
        let columns = i16::try_from(types.len() + times.len())?;
        self.data.extend_from_slice(&columns.to_be_bytes());
        types.iter().zip(cells).try_for_each(|(of, cell)| self.put(*of, cell))?;
        times.iter().for_each(|time| self.field(Some(time.to_be_bytes())));
        Ok(())
    }

    fn put(&mut self, of: SqlType, cell: &Cell<'_>) -> Result<(), BoxDynError> {
        match (of, cell) {
            (SqlType::Bigint, Cell::Bigint(value)) => self.field(value.map(i64::to_be_bytes)),
            (SqlType::Boolean, Cell::Boolean(value)) => self.field(Some([u8::from(*value)])),
            (SqlType::Uuid, Cell::Uuid(value)) => self.field(value.map(uuid::Uuid::into_bytes)),
            (SqlType::Text, Cell::Text(Some(text))) => self.bytes(text.as_bytes())?,
            (SqlType::Text, Cell::Text(None)) => self.field(None::<[u8; 0]>),
            (SqlType::Bytes, Cell::Bytes(bytes)) => self.bytes(bytes)?,
            (_, cell) => return Err(format!("{cell:?} has another type than its column").into()),
        }
        Ok(())
    }

    /// Adds a value of a constant length.
    fn field<const N: usize>(&mut self, value: Option<[u8; N]>) {
        let Some(value) = value else { return self.data.extend_from_slice(&NULL) };
        // A constant of at most 16.
        #[allow(clippy::cast_possible_truncation, reason = "at most 16")]
        self.data.extend_from_slice(&(N as u32).to_be_bytes());
        self.data.extend_from_slice(&value);
    }

    /// Adds a value of any length.
    fn bytes(&mut self, value: &[u8]) -> Result<(), BoxDynError> {
        self.data.extend_from_slice(&i32::try_from(value.len())?.to_be_bytes());
        self.data.extend_from_slice(value);
        Ok(())
    }
}

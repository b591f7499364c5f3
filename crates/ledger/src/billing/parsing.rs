//! The parsing of rows: a value that this version does not know is an error of its row.

use access::Day;
use store::DatabaseError;

/// Returns a parsed column; a value that this version does not know is an error of its row.
pub(super) fn known<T>(value: Option<T>, table: &'static str, column: &'static str) -> Result<T, DatabaseError> {
    value.ok_or(DatabaseError::Unreadable { table, column })
}

/// Returns a stored day; an impossible one is an error of its row.
pub(super) fn day(stored: i64, table: &'static str, column: &'static str) -> Result<Day, DatabaseError> {
    known(u32::try_from(stored).ok().map(Day), table, column)
}

/// Parses rows, each as a whole.
pub(super) fn read<R, T: TryFrom<R, Error = DatabaseError>>(rows: Vec<R>) -> Result<Vec<T>, DatabaseError> {
    rows.into_iter().map(T::try_from).collect()
}

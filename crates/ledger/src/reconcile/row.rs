//! Rows of numbers with a variable number of columns.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

const BILLION: i128 = 1_000_000_000;

/// A row of whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberRow(pub(super) Vec<Option<i64>>);

/// A row of whole numbers with an id in the last column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberRowWithId {
    pub(super) numbers: NumberRow,
    pub(super) id: Option<Uuid>,
}

macro_rules! read {
    ($row:ty) => {
        impl FromRow<'_, $row> for NumberRow {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                (0..row.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>().map(Self)
            }
        }

        impl FromRow<'_, $row> for NumberRowWithId {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                let last = row.len().saturating_sub(1);
                let numbers = (0..last).map(|at| row.try_get(at)).collect::<Result<_, _>>().map(NumberRow)?;
                Ok(Self { numbers, id: row.try_get(last)? })
            }
        }
    };
}
read!(SqliteRow);
read!(PgRow);

impl NumberRow {
    /// Returns the number in a column; 0 if it is null or missing.
    pub(super) fn number(&self, column: usize) -> i64 {
        self.0.get(column).copied().flatten().unwrap_or(0)
    }

    /// Returns the sums from column `first` on; each has two columns, billions and remainder.
    pub(super) fn sums(&self, first: usize) -> Vec<i128> {
        let parts = self.0.get(first..).unwrap_or_default();
        let number = |part: Option<&Option<i64>>| i128::from(part.copied().flatten().unwrap_or(0));
        parts.chunks(2).map(|pair| number(pair.first()) * BILLION + number(pair.get(1))).collect()
    }
}

/// Returns the two columns of a sum that may overflow although its parts do not.
pub(super) fn summed(of: &str) -> String {
    format!("CAST(sum({of} / 1000000000) AS BIGINT), CAST(sum({of} % 1000000000) AS BIGINT)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_put_together_from_billions_and_the_rest() {
        let row = NumberRow(vec![Some(7), None, Some(2), Some(3), Some(-1), Some(-5), None, None]);
        assert_eq!((row.number(0), row.number(1), row.number(9)), (7, 0, 0));
        assert_eq!(row.sums(2), [2_000_000_003, -1_000_000_005, 0]);
    }
}

//! Number of rows per transaction, adapted to the duration of earlier transactions so that each stays short.

use std::time::Duration;

use store::sql::StoreKind;

/// On SQLite other writers wait for the one writer, but for no second transaction: a queue serves them in turn. A write
/// of the admin API waits for at most about 20 ms: for this transaction, for a slower commit, and for the end of a
/// checkpoint.
const AIM_ALONE: Duration = Duration::from_millis(8);
/// On PostgreSQL no other transaction waits for rows that belong to one writer. Far below the timeout of a statement.
const AIM_BESIDE: Duration = Duration::from_millis(100);
/// Number of rows of the first transaction.
const ROWS_FIRST: usize = 256;
/// Minimum number of rows: fewer would cost more in transactions than they save in waiting.
const ROWS_MIN: usize = 32;
/// Larger numbers of rows are multiples of it.
const ROWS_STEP: usize = 64;

/// The number of rows of the next transaction.
#[derive(Debug)]
pub(crate) struct BatchSizer {
    rows: usize,
    rows_max: usize,
    aim: Duration,
}

impl BatchSizer {
    /// Begins with a small number of rows.
    pub(crate) const fn new(kind: StoreKind, rows_max: usize) -> Self {
        let aim = match kind {
            StoreKind::Sqlite => AIM_ALONE,
            StoreKind::Postgres => AIM_BESIDE,
        };
        Self { rows: if rows_max < ROWS_FIRST { rows_max } else { ROWS_FIRST }, rows_max, aim }
    }

    /// Returns the maximum number of rows for the next transaction.
    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// Adapts to the duration of a transaction: the next one has a quarter fewer rows if it was slow, an eighth or
    /// [`ROWS_STEP`] more if it was fast and full.
    pub(crate) fn note(&mut self, rows: usize, took: Duration) {
        let next = if took > self.aim {
            self.rows * 3 / 4
        } else if rows >= self.rows && took < self.aim * 3 / 4 {
            self.rows + ROWS_STEP.max(self.rows / 8)
        } else {
            self.rows
        };
        let steps = if next > ROWS_STEP { next / ROWS_STEP * ROWS_STEP } else { next };
        self.rows = steps.clamp(ROWS_MIN, self.rows_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_grow_until_they_take_what_they_shall() {
        // A row takes 20 µs first, then 200 µs, then 1 µs.
        let mut batch_sizer = BatchSizer::new(StoreKind::Sqlite, 10_000);
        for (row_us, aim) in [(20, 280..=400), (200, 32..=40), (1, 6_000..=8_000)] {
            let mut rows = 0;
            for _ in 0..100 {
                rows = batch_sizer.rows();
                batch_sizer.note(rows, Duration::from_micros(row_us) * u32::try_from(rows).unwrap());
            }
            assert!(aim.contains(&rows), "{row_us}: {rows}");
        }
    }

    #[test]
    fn rows_that_were_not_there_say_nothing_of_what_more_would_take() {
        let mut batch_sizer = BatchSizer::new(StoreKind::Sqlite, 1_000);
        batch_sizer.note(3, Duration::from_millis(1));
        assert_eq!(batch_sizer.rows(), ROWS_FIRST);
        for _ in 0..10 {
            batch_sizer.note(1, Duration::from_secs(1));
        }
        assert_eq!(batch_sizer.rows(), ROWS_MIN);
    }
}

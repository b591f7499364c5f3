//! How many rows a transaction writes: as many as keep it short, by how long the ones before took.

use std::time::Duration;

use crate::dialect::Kind;

/// On SQLite others wait for the one writer, but for no second transaction: a queue gives it to them in turn. A write of
/// the API may wait for 20 ms: for this, for a commit that takes longer than the ones before, for the end of a checkpoint.
const AIM_ALONE: Duration = Duration::from_millis(8);
/// On PostgreSQL nobody waits for rows that are their own writer's. Well below the bound of a statement.
const AIM_BESIDE: Duration = Duration::from_millis(100);
/// Rows of the first transaction.
const ROWS_FIRST: usize = 250;
/// Fewer rows would cost more in transactions than they save in waiting.
const ROWS_MIN: usize = 32;

/// The number of rows of the next transaction.
#[derive(Debug)]
pub(crate) struct Pace {
    rows: usize,
    rows_max: usize,
    aim: Duration,
}

impl Pace {
    /// Begins with few.
    pub(crate) const fn new(kind: Kind, rows_max: usize) -> Self {
        let aim = match kind {
            Kind::Sqlite => AIM_ALONE,
            Kind::Postgres => AIM_BESIDE,
        };
        Self { rows: if rows_max < ROWS_FIRST { rows_max } else { ROWS_FIRST }, rows_max, aim }
    }

    /// How many the next one may have.
    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// One of so many rows took so long: the next has a quarter less, or an eighth more if this one was full.
    pub(crate) fn note(&mut self, rows: usize, took: Duration) {
        let next = if took > self.aim {
            self.rows * 3 / 4
        } else if rows >= self.rows && took < self.aim * 3 / 4 {
            self.rows + self.rows / 8
        } else {
            self.rows
        };
        self.rows = next.clamp(ROWS_MIN, self.rows_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_grow_until_they_take_what_they_shall() {
        // A row takes 20 µs, and from some moment on 200.
        let mut pace = Pace::new(Kind::Sqlite, 10_000);
        for (row_us, aim) in [(20, 280..=400), (200, 32..=40), (1, 6_000..=8_000)] {
            let mut rows = 0;
            for _ in 0..100 {
                rows = pace.rows();
                pace.note(rows, Duration::from_micros(row_us) * u32::try_from(rows).unwrap());
            }
            assert!(aim.contains(&rows), "{row_us}: {rows}");
        }
    }

    #[test]
    fn rows_that_were_not_there_say_nothing_of_what_more_would_take() {
        let mut pace = Pace::new(Kind::Sqlite, 1_000);
        pace.note(3, Duration::from_millis(1));
        assert_eq!(pace.rows(), ROWS_FIRST);
        for _ in 0..10 {
            pace.note(1, Duration::from_secs(1));
        }
        assert_eq!(pace.rows(), ROWS_MIN);
    }
}

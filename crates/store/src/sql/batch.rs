//! Queries for several rows at once. One SQL text exists per power of two, so few are prepared; each is built once.

use std::sync::OnceLock;

use super::dialect::StoreKind;

/// Maximum number of rows in one query.
pub const ASKED_MAX: usize = 32;

/// The SQL texts of one query, by number of rows.
pub struct Texts {
    make: fn(StoreKind, usize) -> String,
    sqlite: OnceLock<Vec<String>>,
    postgres: OnceLock<Vec<String>>,
}

impl Texts {
    /// `make` builds the SQL text for a number of rows.
    #[must_use]
    pub const fn new(make: fn(StoreKind, usize) -> String) -> Self {
        Self { make, sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    /// Returns the text for `asked` rows, a length that [`padded`] returns for at most [`ASKED_MAX`] values.
    #[must_use]
    pub fn text_for(&'static self, kind: StoreKind, asked: usize) -> &'static str {
        let power = asked.checked_ilog2().and_then(|power| usize::try_from(power).ok());
        power.and_then(|power| self.all(kind).get(power)).map_or("", String::as_str)
    }

    /// Returns all texts, the shortest first.
    #[must_use]
    pub fn all(&self, kind: StoreKind) -> &[String] {
        let texts = match kind {
            StoreKind::Sqlite => &self.sqlite,
            StoreKind::Postgres => &self.postgres,
        };
        texts.get_or_init(|| (0..=ASKED_MAX.ilog2()).map(|power| (self.make)(kind, 1 << power)).collect())
    }
}

/// Repeats the last value until the length is a power of two.
#[must_use]
pub fn padded<T: Copy>(asked: &[T]) -> Vec<T> {
    let repeated = asked.last().into_iter().cycle();
    asked.iter().chain(repeated).take(asked.len().next_power_of_two()).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_text_for_every_number_that_may_be_asked_about() {
        static TEXTS: Texts = Texts::new(|kind, asked| format!("{kind:?} {asked}"));
        for asked in 1..=ASKED_MAX {
            let padded = padded(&(0..asked).collect::<Vec<_>>());
            assert_eq!(
                TEXTS.text_for(StoreKind::Sqlite, padded.len()),
                format!("Sqlite {}", asked.next_power_of_two())
            );
            assert!(padded[asked..].iter().all(|more| *more == asked - 1));
        }
        assert_eq!(TEXTS.text_for(StoreKind::Postgres, 8), "Postgres 8");
    }
}

//! The registry of SQL texts: a test prepares every one of them.

/// Declares SQL texts as constants and lists them in `STATEMENTS`, by name. The list exists only in tests.
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub use statements;

use access::{Amount, Timestamp};

/// Converts a time to its stored form.
#[must_use]
pub fn micros(at: Timestamp) -> i64 {
    signed(at.0)
}

/// Converts a stored time, microseconds since the Unix epoch.
#[must_use]
pub fn timestamp(micros: i64) -> Timestamp {
    Timestamp(unsigned(micros))
}

/// Converts a stored amount.
#[must_use]
pub fn amount(stored: i64) -> Amount {
    Amount(unsigned(stored))
}

/// Converts an amount or a number to its stored form; saturates at the end of `i64`, which no real amount reaches.
#[must_use]
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Converts a stored number, which is never negative.
#[must_use]
pub fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

#[cfg(test)]
mod tests;

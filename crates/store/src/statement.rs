//! The registry of SQL texts: a test prepares every one of them.

/// Declares SQL texts as constants and lists them in `STATEMENTS`, by name.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use statements;

use access::Timestamp;

/// A moment as it is stored.
pub(crate) fn micros(at: Timestamp) -> i64 {
    signed(at.0)
}

/// A stored moment.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp(unsigned(micros))
}

/// An amount as it is stored; `i64` ends where no true amount lies.
pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// A stored amount, which is never negative.
pub(crate) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

#[cfg(test)]
mod tests;

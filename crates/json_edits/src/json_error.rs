//! The reasons why a text is refused.

use thiserror::Error;

/// Maximum nesting of objects and lists.
pub const DEPTH_MAX: usize = 128;

/// The reason why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// The text is not UTF-8.
    #[error("it is not UTF-8 at byte {at}")]
    Utf8 {
        /// The position of the first invalid byte.
        at: usize,
    },
    /// The text breaks the grammar.
    #[error("it is not JSON at byte {at}")]
    Syntax {
        /// The position of the first byte that does not fit.
        at: usize,
    },
    /// Objects and lists are nested too deep.
    #[error("it is nested deeper than {DEPTH_MAX} at byte {at}")]
    Depth {
        /// The position of the innermost object or list.
        at: usize,
    },
    /// The text needs more memory than there is.
    #[error("it has too many values to be changed")]
    Memory,
    /// An object has a name twice: one parser would read the first value, another the last.
    #[error("an object repeats a name at byte {at}")]
    RepeatedName {
        /// The position of the second one.
        at: usize,
    },
}

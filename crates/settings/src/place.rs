//! Positions in a configuration file.

/// A position in the file: line and column count from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the line.
    pub line: u32,
    /// The column of the first character.
    pub column: u32,
    /// The number of characters.
    pub width: u32,
}

impl Place {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1, width: 1 };
}

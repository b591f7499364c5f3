//! Spellings of values: words, units and ranges.

pub mod ascii_spelling;
pub(crate) mod boolean_words;
pub(crate) mod range;
pub mod unit;

//! Days as texts of documents: `2026-11-30`.

use access::Day;
use serde::{Deserialize as _, Deserializer, Serializer, de};

/// Writes a day as a text.
pub(crate) fn serialize<S: Serializer>(day: &Day, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(day)
}

/// Reads a day from a text.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Day, D::Error> {
    let text = String::deserialize(from)?;
    Day::parse(&text).ok_or_else(|| de::Error::custom("a day is written as 2026-11-30"))
}

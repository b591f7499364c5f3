//! JSON objects as lists of fields, whose values are not read.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::text::BorrowedText;

/// The fields of an object in their order.
pub(crate) struct RawFields<'a>(pub(crate) Vec<RawField<'a>>);

/// One field of an object.
pub(crate) struct RawField<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The name as it is written.
    key: &'a RawValue,
    pub(crate) value: &'a RawValue,
}

impl<'a> RawFields<'a> {
    /// Reads an object; `None` for any other JSON.
    pub(crate) fn of_bytes(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Returns the object as JSON, after the field `first` if there is one.
    pub(crate) fn written(&self, first: Option<String>) -> String {
        let field = |field: &RawField<'_>| format!("{}:{}", field.key.get(), field.value.get());
        format!("{{{}}}", first.into_iter().chain(self.0.iter().map(field)).collect::<Vec<_>>().join(","))
    }
}

impl RawField<'_> {
    /// Returns the position in `text`, from which the field borrows: from its name to the end of its value.
    pub(crate) fn position(&self, text: &str) -> Range<usize> {
        let offset = |raw: &RawValue| raw.get().as_ptr().addr() - text.as_ptr().addr();
        offset(self.key)..offset(self.value) + self.value.get().len()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldReader)
    }
}

struct FieldReader;

impl<'de> Visitor<'de> for FieldReader {
    type Value = RawFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<RawFields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, value)) = object.next_entry::<&RawValue, &RawValue>()? {
            let BorrowedText(name) = serde_json::from_str(key.get()).map_err(A::Error::custom)?;
            fields.push(RawField { name, key, value });
        }
        Ok(RawFields(fields))
    }
}

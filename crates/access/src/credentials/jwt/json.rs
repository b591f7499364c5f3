//! A strict reader of JSON objects. Two parsers must not read a token differently, so a repeated name is refused (RFC
//! 7519, 4).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Maximum number of members of an object. Names are compared with one another.
const MEMBERS_MAX: usize = 256;
/// Maximum number of elements of a list, such as the groups of a person.
const ELEMENTS_MAX: usize = 4_096;

/// The reason why bytes are not an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonError {
    /// The bytes are no object, or repeat a name.
    Malformed,
    /// An object has more than [`MEMBERS_MAX`] members, or a list more than [`ELEMENTS_MAX`] elements.
    TooMany,
}

/// A JSON value without repeated names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    List(Vec<Json>),
    Object(Vec<(Box<str>, Json)>),
}

impl Json {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }
}

/// Reads one object. The library bounds the depth to 128.
///
/// # Errors
/// [`JsonError`].
pub(super) fn object(bytes: &[u8]) -> Result<Vec<(Box<str>, Json)>, JsonError> {
    let is_too_large = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = JsonReader { is_too_large: &is_too_large }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(Json::Object(members)) => Ok(members),
        Err(_) if is_too_large.get() => Err(JsonError::TooMany),
        Ok(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_)) | Err(_) => {
            Err(JsonError::Malformed)
        }
    }
}

/// Reads one value of the JSON text of a token.
#[derive(Clone, Copy)]
struct JsonReader<'a> {
    /// Set when an object or a list has too many parts.
    is_too_large: &'a Cell<bool>,
}

impl JsonReader<'_> {
    fn refuse<E: Error>(self) -> E {
        self.is_too_large.set(true);
        E::custom("too many members or elements")
    }
}

impl<'de> DeserializeSeed<'de> for JsonReader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonReader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = access.next_element_seed(self)? {
            if list.len() >= ELEMENTS_MAX {
                return Err(self.refuse());
            }
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        while let Some(name) = access.next_key::<Box<str>>()? {
            if members.len() >= MEMBERS_MAX {
                return Err(self.refuse());
            }
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a repeated name"));
            }
            members.push((name, access.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

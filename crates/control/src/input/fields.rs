//! Named values of a caller's, read into a type; what is wrong with them is told without repeating them.
//!
//! serde's own messages repeat values, and a value may be a key. So the errors here are made from what the type says,
//! and from names.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Value;

/// What of a name is repeated, in characters.
const NAME_LEN_MAX: usize = 64;
/// Letters and digits in a row, with a digit among them: no field is called so, and keys are.
const RANDOM_LEN_MIN: usize = 16;

/// Names and values in the order in which they were sent, repeated ones included.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(String, Value)>);

/// What is wrong with them. It repeats no value.
#[derive(Debug)]
pub(super) struct Wrong(String);

impl Fields {
    /// Reads a `T` from them.
    ///
    /// # Errors
    /// [`Wrong`], which names the field.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Wrong> {
        T::deserialize(self)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(field) = map.next_entry()? {
                    fields.0.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserializer<'de> for Fields {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(Walk { fields: self.0.into_iter(), value: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Walk {
    fields: std::vec::IntoIter<(String, Value)>,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Walk {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        let key: StringDeserializer<Wrong> = name.clone().into_deserializer();
        self.value = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let (name, value) = self.value.take().ok_or_else(|| Wrong("a name has no value".to_owned()))?;
        seed.deserialize(Given(value)).map_err(|Wrong(what)| Wrong(format!("{}: {what}", shown(&name))))
    }
}

/// A value as it was sent.
struct Given(Value);

impl<'de> Deserializer<'de> for Given {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(value) => match (value.as_u64(), value.as_i64(), value.as_f64()) {
                (Some(value), ..) => visitor.visit_u64(value),
                (None, Some(value), _) => visitor.visit_i64(value),
                (None, None, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            Value::String(value) => visitor.visit_string(value),
            // No field of any endpoint is one.
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            Value::Object(_) => Err(Error::invalid_type(Unexpected::Map, &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl Error for Wrong {
    /// What a type's own reader says may repeat the value.
    fn custom<T: Display>(_: T) -> Self {
        Self("this value cannot be read".to_owned())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {expected}"))
    }

    fn missing_field(name: &'static str) -> Self {
        Self(format!("missing field `{name}`"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self(format!("duplicate field `{name}`"))
    }

    fn unknown_field(name: &str, expected: &'static [&'static str]) -> Self {
        let expected: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
        Self(format!("unknown field {}, expected {}", shown(name), expected.join(" or ")))
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// A name that a caller made up, for an answer: on one line, and no key.
fn shown(name: &str) -> String {
    if looks_like_a_key(name) {
        return "(not repeated: it looks like a key)".to_owned();
    }
    let mut text: String = name.chars().take(NAME_LEN_MAX).flat_map(escaped).collect();
    if name.chars().nth(NAME_LEN_MAX).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let (plain, escape) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escape.into_iter().flatten())
}

/// A key of ours, or of anybody's: whoever writes a key where a name belongs did not mean to show it.
fn looks_like_a_key(name: &str) -> bool {
    let random = |word: &str| word.len() >= RANDOM_LEN_MIN && word.bytes().any(|byte| byte.is_ascii_digit());
    name.trim_start().starts_with("sk-") || name.split(|c: char| !c.is_ascii_alphanumeric()).any(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("tokn"), "`tokn`");
        assert_eq!(shown("a\n\u{1b}é"), "`a\\n\\u{1b}é`");
        assert_eq!(shown(&"é".repeat(64)), format!("`{}`", "é".repeat(64)));
        assert_eq!(shown(&"é".repeat(65)), format!("`{}…`", "é".repeat(64)));
        assert_eq!(shown("max_completion_tokens_2"), "`max_completion_tokens_2`");
    }

    #[test]
    fn a_name_that_is_a_key_is_not_shown() {
        let key = access::ApiKey::generate("tollgate").unwrap();
        for name in [key.expose(), "sk-ant-x", "Bearer 0123456789abcdef", "ghp_aBcDeFgHiJkLmNoPqRsT1"] {
            assert_eq!(shown(name), "(not repeated: it looks like a key)", "{name}");
        }
    }
}

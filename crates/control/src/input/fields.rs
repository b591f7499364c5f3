//! Reads a client's named values into a type. Error messages name fields and repeat no values.
//!
//! serde's own messages repeat values, and a value may be a key. So the messages are built from the type's
//! expectations and from field names.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

/// The maximum number of characters of a name that a message repeats.
const NAME_LEN_MAX: usize = 64;
/// The minimum length of letters and digits in a row, with a digit among them, that counts as a key. No field has such
/// a name.
const RANDOM_LEN_MIN: usize = 16;

/// Names and values in the order in which they were sent, including repeated names.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pairs: Vec<(String, FieldValue)>,
    /// Whether all values are texts to be parsed, as in the query `limit=20`.
    spelled: bool,
}

/// A value as the client sent it.
#[derive(Debug)]
enum FieldValue {
    Null,
    Truth(bool),
    Natural(u64),
    Negative(i64),
    Fraction(f64),
    Text(String),
    List(Vec<Self>),
    /// Names and values, including repeated names.
    Object(Vec<(String, Self)>),
}

/// The reason why fields are invalid. It repeats no value.
#[derive(Debug)]
pub(super) struct FieldError(String);

impl Fields {
    /// The fields of a query.
    pub(super) fn spelled(pairs: Vec<(String, String)>) -> Self {
        Self { pairs: pairs.into_iter().map(|(name, value)| (name, FieldValue::Text(value))).collect(), spelled: true }
    }

    /// Reads a `T` from the fields.
    ///
    /// # Errors
    /// [`FieldError`], which names the field.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, FieldError> {
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
                Ok(Fields { pairs: pairs(&mut map)?, spelled: false })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

fn pairs<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<(String, FieldValue)>, A::Error> {
    let mut pairs = Vec::new();
    while let Some(pair) = map.next_entry()? {
        pairs.push(pair);
    }
    Ok(pairs)
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = FieldValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: Error>(self) -> Result<FieldValue, E> {
                Ok(FieldValue::Null)
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<FieldValue, E> {
                Ok(FieldValue::Truth(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<FieldValue, E> {
                Ok(FieldValue::Natural(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<FieldValue, E> {
                Ok(FieldValue::Negative(value))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<FieldValue, E> {
                Ok(FieldValue::Fraction(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<FieldValue, E> {
                Ok(FieldValue::Text(value.to_owned()))
            }

            fn visit_string<E: Error>(self, value: String) -> Result<FieldValue, E> {
                Ok(FieldValue::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FieldValue, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(FieldValue::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldValue, A::Error> {
                pairs(&mut map).map(FieldValue::Object)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserializer<'de> for Fields {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(ObjectAccess::over(self.pairs, self.spelled))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Iterates over the values of an object.
struct ObjectAccess {
    fields: std::vec::IntoIter<(String, FieldValue)>,
    value: Option<(String, FieldValue)>,
    spelled: bool,
}

impl ObjectAccess {
    fn over(pairs: Vec<(String, FieldValue)>, spelled: bool) -> Self {
        Self { fields: pairs.into_iter(), value: None, spelled }
    }
}

impl<'de> MapAccess<'de> for ObjectAccess {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, FieldError> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        let key: StringDeserializer<FieldError> = name.clone().into_deserializer();
        self.value = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FieldError> {
        let (name, value) = self.value.take().ok_or_else(|| FieldError("a name has no value".to_owned()))?;
        let nested = FieldDeserializer { value, spelled: self.spelled };
        seed.deserialize(nested).map_err(|FieldError(what)| FieldError(format!("{}: {what}", quoted(&name))))
    }
}

/// Iterates over the items of a list. Messages count items from 1.
struct ListAccess {
    items: std::vec::IntoIter<FieldValue>,
    nth: usize,
}

impl<'de> SeqAccess<'de> for ListAccess {
    type Error = FieldError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldError> {
        let Some(value) = self.items.next() else { return Ok(None) };
        self.nth += 1;
        let read = seed.deserialize(FieldDeserializer { value, spelled: false });
        read.map(Some).map_err(|FieldError(what)| FieldError(format!("item {}: {what}", self.nth)))
    }
}

/// A value that is to be deserialized.
struct FieldDeserializer {
    value: FieldValue,
    spelled: bool,
}

macro_rules! spelled {
    ($($method:ident)*) => {$(
        /// Parses a text of a query as JSON. If its type differs from the expected one, it is refused as a text.
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            match &self.value {
                FieldValue::Text(text) if self.spelled => match serde_json::from_str(text) {
                    Ok(value @ (FieldValue::Truth(_) | FieldValue::Natural(_) | FieldValue::Negative(_) | FieldValue::Fraction(_))) => {
                        Self { value, spelled: false }.deserialize_any(visitor)
                    }
                    Ok(_) | Err(_) => self.deserialize_any(visitor),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for FieldDeserializer {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.value {
            FieldValue::Null => visitor.visit_unit(),
            FieldValue::Truth(value) => visitor.visit_bool(value),
            FieldValue::Natural(value) => visitor.visit_u64(value),
            FieldValue::Negative(value) => visitor.visit_i64(value),
            FieldValue::Fraction(value) => visitor.visit_f64(value),
            FieldValue::Text(value) => visitor.visit_string(value),
            FieldValue::List(items) => visitor.visit_seq(ListAccess { items: items.into_iter(), nth: 0 }),
            FieldValue::Object(pairs) => visitor.visit_map(ObjectAccess::over(pairs, false)),
        }
    }

    /// Derived types would also accept a list, field by field, so anything but an object is refused.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let FieldValue::Object(pairs) = self.value else { return Err(FieldError("expected an object".to_owned())) };
        visitor.visit_map(ObjectAccess::over(pairs, false))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        if matches!(self.value, FieldValue::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    /// Words of a closed list are texts.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.value {
            FieldValue::Text(word) => visitor.visit_enum(word.into_deserializer()),
            FieldValue::Null
            | FieldValue::Truth(_)
            | FieldValue::Natural(_)
            | FieldValue::Negative(_)
            | FieldValue::Fraction(_)
            | FieldValue::List(_)
            | FieldValue::Object(_) => self.deserialize_any(visitor),
        }
    }

    spelled! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

impl Error for FieldError {
    /// The message of a type's own deserializer may repeat the value, so it is dropped.
    fn custom<T: Display>(_: T) -> Self {
        Self("this value cannot be read".to_owned())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {}", in_json(&expected.to_string())))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {}", in_json(&expected.to_string())))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("expected one of {}", expected.join(", ")))
    }

    fn missing_field(name: &'static str) -> Self {
        Self(format!("missing field `{name}`"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self(format!("duplicate field `{name}`"))
    }

    fn unknown_field(name: &str, expected: &'static [&'static str]) -> Self {
        if expected.is_empty() {
            return Self(format!("unknown field {}, no fields are allowed here", quoted(name)));
        }
        let expected: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
        Self(format!("unknown field {}, expected {}", quoted(name), expected.join(" or ")))
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FieldError {}

/// Returns an expected type in the terms of JSON instead of Rust.
fn in_json(expected: &str) -> String {
    let text = match expected {
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "an integer that is not negative",
        "i8" => "an integer from -128 to 127",
        "i16" => "an integer from -32768 to 32767",
        "i32" => "an integer from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "an integer",
        "f32" | "f64" => "a number",
        "unit" => "null",
        "a borrowed string" | "string or map" | "a character" => "a string",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("tuple ") || other.starts_with("a tuple ") => "an array",
        other => return other.to_owned(),
    };
    text.to_owned()
}

/// Formats a name of the client for a message: on one line, shortened, and without keys.
fn quoted(name: &str) -> String {
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

/// Whether a name looks like a key of Tollgate or of a provider. A client that puts a key in place of a name did so by
/// mistake.
fn looks_like_a_key(name: &str) -> bool {
    let random = |word: &str| word.len() >= RANDOM_LEN_MIN && word.bytes().any(|byte| byte.is_ascii_digit());
    name.trim_start().starts_with("sk-") || name.split(|c: char| !c.is_ascii_alphanumeric()).any(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_on_one_line_and_cut() {
        assert_eq!(quoted("tokn"), "`tokn`");
        assert_eq!(quoted("a\n\u{1b}é"), "`a\\n\\u{1b}é`");
        assert_eq!(quoted(&"é".repeat(64)), format!("`{}`", "é".repeat(64)));
        assert_eq!(quoted(&"é".repeat(65)), format!("`{}…`", "é".repeat(64)));
        assert_eq!(quoted("max_completion_tokens_2"), "`max_completion_tokens_2`");
    }

    #[test]
    fn numbers_are_spelled_in_a_query_alone() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct SampleQuery {
            limit: Option<u32>,
            all: Option<bool>,
            name: Option<String>,
        }
        let read = |name: &str, value: &str| {
            let fields = Fields::spelled(vec![(name.to_owned(), value.to_owned())]);
            fields.read::<SampleQuery>().map_err(|FieldError(what)| what)
        };
        let none = || SampleQuery { limit: None, all: None, name: None };
        assert_eq!(read("limit", "20"), Ok(SampleQuery { limit: Some(20), ..none() }));
        assert_eq!(read("all", "true"), Ok(SampleQuery { all: Some(true), ..none() }));
        assert_eq!(read("name", "20"), Ok(SampleQuery { name: Some("20".to_owned()), ..none() }));
        for value in ["", "x", "-1", "4294967296", "1.5", "0x1", "[1]", "\"1\"", "true", "null", "1 2"] {
            assert_eq!(
                read("limit", value),
                Err("`limit`: expected an integer from 0 to 4294967295".to_owned()),
                "{value}"
            );
        }
        let body: Fields = serde_json::from_str("{\"limit\":\"20\"}").unwrap();
        assert!(body.read::<SampleQuery>().is_err());
    }

    #[test]
    fn an_error_inside_a_value_is_reported_with_its_path() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            inner: Option<Inner>,
            names: Option<Vec<String>>,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Inner {
            names: Vec<String>,
        }
        let read = |body: &str| {
            let fields: Fields = serde_json::from_str(body).unwrap();
            fields.read::<Outer>().map_err(|FieldError(what)| what)
        };
        let names = || vec!["a".to_owned()];
        assert_eq!(
            read(r#"{"inner":{"names":["a"]},"names":["a"]}"#),
            Ok(Outer { inner: Some(Inner { names: names() }), names: Some(names()) })
        );
        for (body, what) in [
            (r#"{"names":["a",7]}"#, "`names`: item 2: expected a string"),
            (r#"{"names":{}}"#, "`names`: expected an array"),
            (r#"{"names":"a"}"#, "`names`: expected an array"),
            (r#"{"inner":{"names":[[]]}}"#, "`inner`: `names`: item 1: expected a string"),
            (r#"{"inner":{"name":[]}}"#, "`inner`: unknown field `name`, expected `names`"),
            (r#"{"inner":{"names":[],"names":[]}}"#, "`inner`: duplicate field `names`"),
            (r#"{"inner":[["a"]]}"#, "`inner`: expected an object"),
            (r#"{"inner":7}"#, "`inner`: expected an object"),
        ] {
            assert_eq!(read(body), Err(what.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_name_that_is_a_key_is_not_shown() {
        let key = access::ApiKey::generate("tollgate").unwrap();
        for name in [key.expose(), "sk-ant-x", "Bearer 0123456789abcdef", "ghp_aBcDeFgHiJkLmNoPqRsT1"] {
            assert_eq!(quoted(name), "(not repeated: it looks like a key)", "{name}");
        }
    }
}

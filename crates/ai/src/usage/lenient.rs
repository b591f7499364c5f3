//! Reads a usage object of any content: a value of the wrong type counts as not reported and affects no other value.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::value::RawValue;

/// Maximum tokens of a class in one response; the sum over a day of such responses does not overflow.
pub(crate) const TOKENS_MAX: u64 = 1 << 30;

/// Maximum length of a recording, in milliseconds.
const MILLISECONDS_MAX: u64 = 1 << 40;

/// Maximum number of objects of a list that are read; Gemini has five modalities.
pub(crate) const LIST_MAX: usize = 32;

/// A count of tokens, if it is valid.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figure(pub(crate) Option<u64>);

/// Whether the field exists and is not `null`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Present(pub(crate) bool);

/// A word; an empty string is `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Word(pub(crate) Option<Box<str>>);

/// A time in milliseconds, read from seconds as a number or as text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seconds(pub(crate) Option<u64>);

/// The first [`LIST_MAX`] objects of a list; other elements are ignored.
#[derive(Debug, Clone)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

/// A nested object; `T`'s default if it is missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lenient<T>(pub(crate) T);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ValueVisitor(PhantomData::<IgnoredAny>))? {
            LenientValue::Number(tokens) => Ok(Self(Some(tokens).filter(|tokens| *tokens <= TOKENS_MAX))),
            LenientValue::Word(_) | LenientValue::Object(_) | LenientValue::Other => Ok(Self(None)),
        }
    }
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|value| Self(value.get() != "null"))
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ValueVisitor(PhantomData::<IgnoredAny>))? {
            LenientValue::Word(word) => Ok(Self(Some(word).filter(|word| !word.is_empty()))),
            LenientValue::Number(_) | LenientValue::Object(_) | LenientValue::Other => Ok(Self(None)),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(milliseconds(raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw))))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ValueVisitor(PhantomData::<T>))? {
            LenientValue::Object(object) => Ok(Self(object)),
            LenientValue::Number(_) | LenientValue::Word(_) | LenientValue::Other => Ok(Self(T::default())),
        }
    }
}

/// Whether every token count in a usage object is `null` or a plausible whole number, so that no unreadable count is
/// treated as missing.
pub(crate) fn all_figures_are_counts(json: &[u8]) -> bool {
    KEY_ENDS.iter().flat_map(|end| end.find_iter(json).map(|at| at + end.needle().len())).all(|at| {
        let value = json.get(at..).unwrap_or_default().trim_ascii_start();
        let Some(value) = value.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { return true };
        match value.first() {
            Some(b'{' | b'[' | b'n') => true,
            Some(b'0'..=b'9') => {
                let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let (number, rest) = value.split_at(digits);
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<u64>().ok());
                number.is_some_and(|number| number <= TOKENS_MAX)
                    && rest.first().is_none_or(|byte| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace())
            }
            _ => false,
        }
    })
}

/// Whether no number in an object is greater than zero; values other than numbers count as zero.
pub(crate) fn all_are_zero(json: &[u8]) -> bool {
    memchr::memchr_iter(b':', json).all(|at| {
        let value = json.get(at + 1..).unwrap_or_default().trim_ascii_start();
        !value.first().is_some_and(|first| (b'1'..=b'9').contains(first)) && !value.starts_with(b"0.")
    })
}

/// The last parts of the keys of counts, in the formats of OpenAI, Anthropic and Google.
static KEY_ENDS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["_tokens\"", "TokenCount\"", "\"tokenCount\""].map(Finder::new));

enum LenientValue<T> {
    Number(u64),
    Word(Box<str>),
    Object(T),
    /// `null`, `true`, a list, a negative or invalid number.
    Other,
}

struct ValueVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ValueVisitor<T> {
    type Value = LenientValue<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E>(self, number: u64) -> Result<LenientValue<T>, E> {
        Ok(LenientValue::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<LenientValue<T>, E> {
        Ok(LenientValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<LenientValue<T>, E> {
        Ok(LenientValue::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<LenientValue<T>, E> {
        Ok(LenientValue::Other)
    }

    fn visit_unit<E>(self) -> Result<LenientValue<T>, E> {
        Ok(LenientValue::Other)
    }

    fn visit_str<E>(self, word: &str) -> Result<LenientValue<T>, E> {
        Ok(LenientValue::Word(word.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LenientValue<T>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(LenientValue::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<LenientValue<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(LenientValue::Object)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E>(self, _: u64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_unit<E>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<List<T>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(List::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
        let mut found = Vec::new();
        while let Some(Lenient(element)) = list.next_element()? {
            if found.len() < LIST_MAX {
                found.push(element);
            }
        }
        Ok(List(found))
    }
}

/// Converts decimal seconds into milliseconds, rounded half up; `None` for a sign, an exponent, or an absurd time.
pub(crate) fn milliseconds(seconds: &str) -> Option<u64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let (thousandths, rest) = fraction.split_at_checked(3).unwrap_or((fraction, ""));
    let thousandths: u64 = format!("{thousandths:0<3}").parse().ok()?;
    let whole: u64 = whole.parse().ok().filter(|whole| *whole <= MILLISECONDS_MAX / 1_000)?;
    Some(whole * 1_000 + thousandths + u64::from(rest.as_bytes().first() >= Some(&b'5')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_are_no_counts_are_found() {
        for fine in [
            r#"{"prompt_tokens":12,"completion_tokens": 0 ,"details":{"cached_tokens":null},"x_tokens":{"a":1.5}}"#,
            r#"{"promptTokenCount":7,"promptTokensDetails":[{"modality":"TEXT","tokenCount":7}]}"#,
            r#"{"input_tokens":1073741824}"#,
            r#"{"note":"the _tokens","service_tier":"x-1.5"}"#,
            "{}",
        ] {
            assert!(all_figures_are_counts(fine.as_bytes()), "{fine}");
        }
        for broken in ["-9", "1200.0", "1e3", "10000000000000000000", "1073741825", "\"12\"", "true", "NaN"] {
            for key in ["prompt_tokens", "promptTokenCount", "tokenCount"] {
                let json = format!(r#"{{"a":[{{"{key}" : {broken}}}]}}"#);
                assert!(!all_figures_are_counts(json.as_bytes()), "{json}");
            }
        }
    }

    #[test]
    fn an_object_of_zeros_is_known() {
        for (json, zeros) in [
            (r#"{"image_gen":{"total_tokens":0},"web_search":{"num_requests": 0 }}"#, true),
            (r#"{"web_search":{"num_requests": 2}}"#, false),
            (r#"{"a":0.5}"#, false),
            (r#"{"a":null,"b":"7","c9":-0}"#, true),
            ("{}", true),
        ] {
            assert_eq!(all_are_zero(json.as_bytes()), zeros, "{json}");
        }
    }

    #[test]
    fn seconds_are_read_exactly() {
        for (text, expected) in [
            ("12", Some(12_000)),
            ("8.47", Some(8_470)),
            ("1.001", Some(1_001)),
            ("0.0", Some(0)),
            ("0.0004", Some(0)),
            ("0.0005", Some(1)),
            ("3.2100000381469727", Some(3_210)),
            ("1099511627", Some(1_099_511_627_000)),
            ("1099511628", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("1e3", None),
            ("NaN", None),
            ("1.", None),
            (".5", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn seconds_of_another_type_are_unknown() {
        for (json, expected) in
            [("7", Some(7_000)), ("\"7.5\"", Some(7_500)), ("null", None), ("[7]", None), ("{}", None)]
        {
            assert_eq!(serde_json::from_str::<Seconds>(json).unwrap().0, expected, "{json}");
        }
    }
}

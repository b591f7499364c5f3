//! Reads the usage objects that OpenAI's formats usually report in one pass: known fields with counts, and no others.
//!
//! Any other object is left to the readers that accept every value, [`chat`](super::chat) and
//! [`responses`](super::responses): both ways give the same usage.

use meter::Usage;

use super::lenient::TOKENS_MAX;
use super::{InclusiveFigures, Media, Writes};
use crate::format::Format;

/// The field names of a format, of which the others are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainNames {
    input: &'static [u8],
    input_details: &'static [u8],
    output: &'static [u8],
    output_details: &'static [u8],
}

impl PlainNames {
    /// Returns the names of a format; `None` if its objects are never plain.
    pub(crate) const fn for_format(format: Format) -> Option<Self> {
        match format {
            Format::Chat | Format::Completions | Format::Embeddings => Some(Self::CHAT),
            Format::Responses => Some(Self::RESPONSES),
            Format::Messages
            | Format::Moderations
            | Format::GenerateContent
            | Format::EmbedContent
            | Format::Images
            | Format::Speech
            | Format::Transcription => None,
        }
    }

    /// Chat completions, legacy completions and embeddings.
    const CHAT: Self = Self {
        input: b"prompt_tokens",
        input_details: b"prompt_tokens_details",
        output: b"completion_tokens",
        output_details: b"completion_tokens_details",
    };
    const RESPONSES: Self = Self {
        input: b"input_tokens",
        input_details: b"input_tokens_details",
        output: b"output_tokens",
        output_details: b"output_tokens_details",
    };

    /// Returns the field of this name in `object`; `None` for a field that this module does not read.
    fn field(&self, object: PlainObject, name: &[u8]) -> Option<PlainField> {
        let is_detail = |names: &[&[u8]]| names.contains(&name).then_some(PlainField::Ignored);
        match object {
            PlainObject::Usage if name == self.input => Some(PlainField::Count(Count::Input)),
            PlainObject::Usage if name == self.output => Some(PlainField::Count(Count::Output)),
            PlainObject::Usage if name == b"total_tokens" => Some(PlainField::Count(Count::Total)),
            PlainObject::Usage if name == self.input_details => Some(PlainField::Object(PlainObject::Input)),
            PlainObject::Usage if name == self.output_details => Some(PlainField::Object(PlainObject::Output)),
            PlainObject::Usage => None,
            PlainObject::Input => match name {
                b"cached_tokens" => Some(PlainField::Count(Count::CachedInput)),
                b"cache_write_tokens" => Some(PlainField::Count(Count::CacheWrite)),
                b"audio_tokens" => Some(PlainField::Count(Count::AudioInput)),
                b"image_tokens" => Some(PlainField::Count(Count::ImageInput)),
                _ => is_detail(&[b"text_tokens"]),
            },
            PlainObject::Output => match name {
                b"reasoning_tokens" => Some(PlainField::Count(Count::Reasoning)),
                b"audio_tokens" => Some(PlainField::Count(Count::AudioOutput)),
                b"image_tokens" => Some(PlainField::Count(Count::ImageOutput)),
                _ => is_detail(&[b"text_tokens", b"accepted_prediction_tokens", b"rejected_prediction_tokens"]),
            },
        }
    }
}

/// The usage object, or one of the objects in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainObject {
    Usage,
    Input,
    Output,
}

/// The meaning of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainField {
    Count(Count),
    Object(PlainObject),
    /// A count that is part of another one.
    Ignored,
}

/// A count that is read; its number is its place in [`Counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Input,
    Output,
    Total,
    CachedInput,
    CacheWrite,
    AudioInput,
    ImageInput,
    Reasoning,
    AudioOutput,
    ImageOutput,
}

/// The counts of an object. A field that occurs twice is not plain, even if it is `null`.
#[derive(Debug, Default)]
struct Counts {
    values: [Option<u64>; Count::ImageOutput as usize + 1],
    seen: u16,
}

impl Counts {
    fn put(&mut self, count: Count, value: Option<u64>) -> Option<()> {
        self.see(count as u8)?;
        *self.values.get_mut(count as usize)? = value;
        Some(())
    }

    /// Notes a field by its number; `None` if it was noted before.
    fn see(&mut self, number: u8) -> Option<()> {
        let bit = 1_u16.checked_shl(number.into())?;
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new.then_some(())
    }

    fn get(&self, count: Count) -> Option<u64> {
        self.values.get(count as usize).copied().flatten()
    }
}

/// The result of [`read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainUsage {
    /// The usage; `None` if the object reports no figure.
    pub(crate) usage: Option<Usage>,
}

/// Reads a usage object; `None` if it is not plain.
pub(crate) fn read(json: &[u8], names: PlainNames) -> Option<PlainUsage> {
    let mut text = PlainText { rest: json };
    let mut counts = Counts::default();
    text.object(PlainObject::Usage, names, &mut counts)?;
    text.skip_whitespace();
    let media = |audio, images| Media { audio: counts.get(audio), images: counts.get(images) };
    let figures = InclusiveFigures {
        input: counts.get(Count::Input),
        cached_input: counts.get(Count::CachedInput),
        writes: Writes { sum: counts.get(Count::CacheWrite), ..Writes::default() },
        heard: media(Count::AudioInput, Count::ImageInput),
        output: counts.get(Count::Output),
        reasoning: counts.get(Count::Reasoning),
        media_output: media(Count::AudioOutput, Count::ImageOutput),
        total: counts.get(Count::Total),
    };
    text.rest.is_empty().then(|| PlainUsage { usage: figures.disjoint() })
}

/// The text that is left.
struct PlainText<'a> {
    rest: &'a [u8],
}

impl<'a> PlainText<'a> {
    /// Reads an object. The depth is that of [`PlainNames::field`], at most two.
    fn object(&mut self, object: PlainObject, names: PlainNames, counts: &mut Counts) -> Option<()> {
        self.take(b"{").then_some(())?;
        if self.take(b"}") {
            return Some(());
        }
        loop {
            let name = self.name()?;
            self.take(b":").then_some(())?;
            match names.field(object, name)? {
                PlainField::Count(count) => counts.put(count, self.count()?)?,
                PlainField::Ignored => _ = self.count()?,
                PlainField::Object(inner) => {
                    counts.see(u8::try_from(counts.values.len()).ok()? + inner as u8)?;
                    if !self.take(b"null") {
                        self.object(inner, names, counts)?;
                    }
                }
            }
            if self.take(b"}") {
                return Some(());
            }
            self.take(b",").then_some(())?;
        }
    }

    /// Reads a name without escapes.
    fn name(&mut self) -> Option<&'a [u8]> {
        self.take(b"\"").then_some(())?;
        let rest = self.rest;
        let end = rest.iter().position(|byte| !matches!(byte, b'a'..=b'z' | b'_'))?;
        let (name, _) = rest.split_at_checked(end)?;
        self.rest = rest.get(end..)?.strip_prefix(b"\"")?;
        Some(name)
    }

    /// Reads a plausible count, or `null`.
    fn count(&mut self) -> Option<Option<u64>> {
        if self.take(b"null") {
            return Some(None);
        }
        let mut value = 0_u64;
        let mut digits = 0_usize;
        while let Some((digit @ b'0'..=b'9', rest)) = self.rest.split_first() {
            value = value * 10 + u64::from(digit - b'0');
            digits += 1;
            self.rest = rest;
            // JSON has no leading zeros.
            if value > TOKENS_MAX || (value < 10 && digits > 1) {
                return None;
            }
        }
        (digits > 0).then_some(Some(value))
    }

    /// Takes this text if it follows, after any whitespace.
    fn take(&mut self, text: &[u8]) -> bool {
        self.skip_whitespace();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_whitespace(&mut self) {
        while let Some((b' ' | b'\t' | b'\r' | b'\n', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::{all_figures_are_counts, chat, fees, responses};

    type Reader = fn(&[u8]) -> Option<Usage>;

    const READERS: [(PlainNames, Reader); 2] =
        [(PlainNames::CHAT, chat::read), (PlainNames::RESPONSES, responses::read)];

    /// If an object is plain, the other readers agree on everything that this one leaves out.
    fn check(json: &str) -> [bool; 2] {
        READERS.map(|(names, reader)| {
            let plain = read(json.as_bytes(), names);
            if let Some(plain) = plain {
                assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
                assert_eq!(plain.usage, reader(json.as_bytes()), "{json}");
                assert!(all_figures_are_counts(json.as_bytes()), "{json}");
                assert_eq!(fees::read(json.as_bytes()), fees::Fees::default(), "{json}");
            }
            plain.is_some()
        })
    }

    #[test]
    fn usual_objects_are_plain() {
        for json in [
            r#"{"prompt_tokens":256,"completion_tokens":2,"total_tokens":258,"prompt_tokens_details":{"cached_tokens":64},
                "completion_tokens_details":{"reasoning_tokens":1}}"#,
            r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,
                "audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,
                "accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
            r#"{ "prompt_tokens" : 1073741824 , "prompt_tokens_details" : null,"total_tokens":null } "#,
        ] {
            assert_eq!(check(json), [true, false], "{json}");
        }
        let responses = r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},
            "output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":16}"#;
        assert_eq!(check(responses), [false, true]);
        assert_eq!(check("{}"), [true, true]);
    }

    #[test]
    fn other_objects_are_left_to_the_other_readers() {
        for json in [
            r#"{"prompt_tokens":1073741825}"#,
            r#"{"prompt_tokens":18446744073709551616}"#,
            r#"{"prompt_tokens":01}"#,
            r#"{"prompt_tokens":00}"#,
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":1.0}"#,
            r#"{"prompt_tokens":1e2}"#,
            r#"{"prompt_tokens":"1"}"#,
            r#"{"prompt_tokens":}"#,
            r#"{"prompt_tokens":1,"prompt_tokens":1}"#,
            r#"{"prompt_tokens":null,"prompt_tokens":1}"#,
            r#"{"prompt_tokens_details":null,"prompt_tokens_details":{}}"#,
            r#"{"prompt_tokens_details":{"cached_tokens":1},"prompt_tokens_details":{}}"#,
            r#"{"prompt_tokens_details":[]}"#,
            r#"{"prompt_tokens":1,}"#,
            r#"{"prompt_tokens":1 "total_tokens":1}"#,
            r#"{"prompt_tokens":1}}"#,
            r#"{"prompt_tokens":1"#,
            r#"{"cached_tokens":1}"#,
            r#"{"num_sources_used":1}"#,
            r#"{"prompt_tokens":1,"prompt_cache_hit_tokens":1}"#,
            r#"{"prompt_tokens":1,"server_tool_use":{"web_search_requests":1}}"#,
            r#"{"prompt_\u0074okens":1}"#,
            r#"[]"#,
            "",
        ] {
            assert_eq!(check(json), [false; 2], "{json}");
        }
    }

    proptest! {
        #[test]
        fn plain_objects_are_read_as_by_the_other_readers(json in object(2)) {
            check(&json);
        }
    }

    const FIELDS: [&str; 19] = [
        "prompt_tokens",
        "prompt_tokens_details",
        "completion_tokens",
        "completion_tokens_details",
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "output_tokens_details",
        "total_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
        "image_tokens",
        "text_tokens",
        "reasoning_tokens",
        "accepted_prediction_tokens",
        "citation_tokens",
        "tool_tokens",
        "prompt_cache_hit_tokens",
    ];

    /// An object of these fields, mostly with counts.
    fn object(depth: u32) -> BoxedStrategy<String> {
        let count = prop_oneof![
            12 => (0_u64..2_000).prop_map(|count| count.to_string()),
            1 => Just("null".to_owned()),
            1 => any::<u64>().prop_map(|count| count.to_string()),
            1 => "[-0-9.e]{1,4}",
        ];
        let value = match depth {
            0 => count.boxed(),
            _ => prop_oneof![2 => count, 3 => object(depth - 1)].boxed(),
        };
        let field = (proptest::sample::select(FIELDS.to_vec()), value, "[ \n]?");
        let field = field.prop_map(|(name, value, space)| format!("\"{name}\":{space}{value}{space}"));
        proptest::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(","))).boxed()
    }
}

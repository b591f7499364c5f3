//! One pass of `serde_json` over a body: all of it is validated, little of it is kept.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Asked, Edit, MODEL_BYTES_MAX, RequestError};
use crate::format::Format;

const MODEL: &str = "model";
const STREAM: &str = "stream";
const STREAM_OPTIONS: &str = "stream_options";
const INCLUDE_USAGE: &str = "include_usage";

/// Reads a request's body: one JSON object and nothing after it.
///
/// `stream_options` is read for [`Format::Chat`] alone; the other formats' own is none of ours.
///
/// # Errors
/// [`RequestError`] says what is wrong and where. A field that we read may not stand twice, however its name is escaped.
pub fn read(format: Format, body: &[u8]) -> Result<Asked, RequestError> {
    let text = std::str::from_utf8(body).map_err(|error| RequestError::NotUtf8 { offset: error.valid_up_to() })?;
    let open = text.bytes().take_while(|byte| b" \t\r\n".contains(byte)).count();
    let [model, stream, options] = match format {
        Format::Chat => fields(text, 0, [MODEL, STREAM, STREAM_OPTIONS])?,
        Format::Responses | Format::Messages => {
            let [model, stream] = fields(text, 0, [MODEL, STREAM])?;
            [model, stream, None]
        }
    };
    let model_at = model.ok_or(RequestError::Missing { field: MODEL })?;
    let model = name(text, &model_at)?;
    let stream = flag(text, STREAM, stream.as_ref())?;
    let (include_usage, usage_edit) = usage(text, open, options)?;
    let usage_edit = usage_edit.filter(|_| format == Format::Chat && stream);
    Ok(Asked { model, stream, include_usage, model_at, usage_edit })
}

/// Whether `include_usage` is set, and the edit that sets it.
fn usage(text: &str, open: usize, options: Option<Range<usize>>) -> Result<(bool, Option<Edit>), RequestError> {
    let inside = |brace: usize| brace + 1..brace + 1;
    let Some(options) = options else {
        let text = r#""stream_options":{"include_usage":true},"#;
        return Ok((false, Some(Edit { at: inside(open), text })));
    };
    match text.get(options.clone()) {
        Some("null") => return Ok((false, Some(Edit { at: options, text: r#"{"include_usage":true}"# }))),
        Some(value) if value.starts_with('{') => {}
        _ => return Err(invalid(STREAM_OPTIONS, "an object or null", &options)),
    }
    let [include] = fields(text.get(options.clone()).unwrap_or_default(), options.start, [INCLUDE_USAGE])?;
    let Some(include) = include else {
        // A comma is wanted unless the object is empty.
        let empty = text.get(options.start + 1..).is_some_and(|rest| rest.trim_start().starts_with('}'));
        let text = if empty { r#""include_usage":true"# } else { r#""include_usage":true,"# };
        return Ok((false, Some(Edit { at: inside(options.start), text })));
    };
    let on = flag(text, INCLUDE_USAGE, Some(&include))?;
    Ok((on, (!on).then_some(Edit { at: include, text: "true" })))
}

fn name(text: &str, at: &Range<usize>) -> Result<String, RequestError> {
    let name: Option<String> = text.get(at.clone()).and_then(|value| serde_json::from_str(value).ok());
    name.filter(|name| (1..=MODEL_BYTES_MAX).contains(&name.len()))
        .ok_or_else(|| invalid(MODEL, "a string of 1 to 256 bytes", at))
}

fn flag(text: &str, field: &'static str, at: Option<&Range<usize>>) -> Result<bool, RequestError> {
    let Some(at) = at else { return Ok(false) };
    match text.get(at.clone()) {
        Some("true") => Ok(true),
        Some("false" | "null") => Ok(false),
        _ => Err(invalid(field, "true, false or null", at)),
    }
}

fn invalid(field: &'static str, expected: &'static str, at: &Range<usize>) -> RequestError {
    RequestError::Invalid { field, expected, offset: at.start }
}

/// Where the values of the fields `names` stand in the object `text`, which stands at `base` of the body.
fn fields<const N: usize>(
    text: &str,
    base: usize,
    names: [&'static str; N],
) -> Result<[Option<Range<usize>>; N], RequestError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = Fields { text, names };
    let read = deserializer.deserialize_map(fields).and_then(|read| deserializer.end().map(|()| read));
    let found = match read {
        Ok(found) => found,
        Err(error) => return Err(unreadable(text, base, &error)),
    };
    let mut ranges = [const { None }; N];
    for ((seen, range), name) in found.into_iter().zip(&mut ranges).zip(names) {
        if let Some(again) = seen.again {
            return Err(RequestError::Duplicate { field: name, offset: base + again });
        }
        *range = seen.at.map(|at| base + at.start..base + at.end);
    }
    Ok(ranges)
}

/// Turns the parser's line and column, which count from 1, into a byte offset.
fn unreadable(text: &str, base: usize, error: &serde_json::Error) -> RequestError {
    if error.is_data() {
        return RequestError::NotAnObject { offset: base + text.len() - text.trim_start().len() };
    }
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = if error.is_eof() { text.len() } else { line_start + error.column().saturating_sub(1) };
    let words = error.to_string();
    let reason = words.rsplit_once(" at line ").map_or(words.as_str(), |(reason, _)| reason);
    RequestError::Syntax { offset: base + at.min(text.len()), reason: reason.to_owned() }
}

/// A field: where it stands, and where it stands once more.
#[derive(Debug, Clone, Default)]
struct Seen {
    at: Option<Range<usize>>,
    again: Option<usize>,
}

/// Notes where the values of `names` stand in `text`.
struct Fields<'a, const N: usize> {
    text: &'a str,
    names: [&'static str; N],
}

impl<'de, const N: usize> Visitor<'de> for Fields<'de, N> {
    type Value = [Seen; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [const { Seen { at: None, again: None } }; N];
        while let Some(Key(key)) = map.next_key()? {
            let Some((_, seen)) = self.names.iter().zip(&mut found).find(|(name, _)| **name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?.get();
            // The value borrows from the text, so the distance of their addresses is its offset.
            let start = value.as_ptr().addr() - self.text.as_ptr().addr();
            match &seen.at {
                None => seen.at = Some(start..start + value.len()),
                Some(_) => seen.again = Some(seen.again.unwrap_or(start)),
            }
        }
        Ok(found)
    }
}

/// A key, copied only where it is escaped.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

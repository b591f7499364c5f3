//! Counts of the tokens of a call: by the provider's counter, otherwise estimates.

mod call;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;

pub use self::call::{counted_call, counted_tokens, counting_body};
use crate::format::Format;

/// Tenths of a byte of text that are one token: of Claude's models, which have more tokens for the same text, and of others.
const CLAUDE_TENTHS: u64 = 35;
const OTHER_TENTHS: u64 = 40;
/// The tokens of an image or a file: about those of a large image.
const MEDIA_TOKENS: u64 = 1_500;
/// Shortest text that may be Base64, in bytes.
const BASE64_BYTES_MIN: usize = 1024;

/// Returns about how many tokens the body of a call has for a model with this name. A body that is no JSON is counted as text.
#[must_use]
pub fn estimated_tokens(known_model: &str, body: &[u8]) -> u64 {
    let mut content = CountedContent::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    if content.deserialize(&mut json).is_err() {
        content = CountedContent { text_bytes: size(body.len()), media: 0 };
    }
    let tenths = if known_model.contains("claude") { CLAUDE_TENTHS } else { OTHER_TENTHS };
    let text = content.text_bytes.saturating_mul(10).div_ceil(tenths);
    text.saturating_add(content.media.saturating_mul(MEDIA_TOKENS)).max(1)
}

/// Returns the body of a count in `format`; `None` for formats without counts.
#[must_use]
pub fn counted_body(format: Format, tokens: u64) -> Option<Vec<u8>> {
    let body = match format {
        Format::Messages => json!({"input_tokens": tokens}),
        Format::GenerateContent => json!({"totalTokens": tokens}),
        Format::Responses => json!({"input_tokens": tokens, "object": "response.input_tokens"}),
        Format::Chat
        | Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => return None,
    };
    serde_json::to_vec(&body).ok()
}

/// The content of a body.
#[derive(Debug, Default)]
struct CountedContent {
    text_bytes: u64,
    /// The number of images and files.
    media: u64,
}

impl CountedContent {
    fn add(&mut self, text: &str) {
        if is_media(text) {
            self.media = self.media.saturating_add(1);
        } else {
            self.text_bytes = self.text_bytes.saturating_add(size(text.len()));
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut CountedContent {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut CountedContent {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.add(text);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<Cow<'_, str>>()? {
            self.add(&key);
            object.next_value_seed(&mut *self)?;
        }
        Ok(())
    }
}

/// Whether a text is the data of an image or a file.
fn is_media(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    text.len() >= BASE64_BYTES_MIN && (text.starts_with("data:") || text.bytes().take(BASE64_BYTES_MIN).all(is_base64))
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_media_are_counted() {
        let text = "word ".repeat(800);
        let image = "A".repeat(200_000);
        let body =
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": text}, {"data": image}]}]});
        let counted = estimated_tokens("gpt-5", body.to_string().as_bytes());
        assert!((2_500..2_550).contains(&counted), "{counted}");
        let claude = estimated_tokens("eu.anthropic.claude-opus-4-8", body.to_string().as_bytes());
        assert!((2_640..2_700).contains(&claude), "{claude}");
    }

    #[test]
    fn any_body_has_a_count() {
        for (body, tokens) in
            [("", 1), ("{}", 1), ("[1,null,true,1e300]", 1), ("{\"abcd\":\"efgh\"}", 2), ("no JSON!", 2)]
        {
            assert_eq!(estimated_tokens("m", body.as_bytes()), tokens, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(estimated_tokens("m", deep.as_bytes()), 500);
    }

    #[test]
    fn a_count_has_the_shape_of_its_format() {
        let shown = |format| counted_body(format, 7).map(|body| String::from_utf8(body).unwrap());
        assert_eq!(shown(Format::Messages).as_deref(), Some(r#"{"input_tokens":7}"#));
        assert_eq!(shown(Format::GenerateContent).as_deref(), Some(r#"{"totalTokens":7}"#));
        let responses = r#"{"input_tokens":7,"object":"response.input_tokens"}"#;
        assert_eq!(shown(Format::Responses).as_deref(), Some(responses));
        assert_eq!(shown(Format::Chat), None);
    }
}

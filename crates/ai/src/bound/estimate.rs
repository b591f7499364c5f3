//! The tokens that a request probably uses: less than its bound, and more or less than its usage. Rate limits reserve them, and
//! are corrected when the usage is known.

use access::Tokens;

use super::{Extent, TokenLimits};
use crate::format::Format;

/// Bytes of a body per token, as providers estimate them. English text has about four.
const BYTES_PER_TOKEN: u64 = 4;
/// Presumed tokens of an image, those of one of about a megapixel, and of another file in addition to those of its bytes.
pub(super) const FILE_TOKENS: u64 = 1_024;
/// Bytes of a document in Base64 per token: a page has some ten thousand bytes, and some hundred tokens or more.
pub(super) const DOCUMENT_BYTES_PER_TOKEN: u64 = 64;
/// Bytes of a recording in Base64 per token: a second has some ten thousand bytes or more, and some ten tokens.
pub(super) const RECORDING_BYTES_PER_TOKEN: u64 = 1_024;
/// Presumed tokens of a response to a request that does not limit them.
const OUTPUT_PRESUMED: u64 = 1_024;

/// The tokens that a request probably uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Input, without content that the provider stores.
    pub input: Tokens,
    /// The requested maximum of output of all responses; without one, a presumed number.
    pub output: Tokens,
}

impl Extent {
    /// Returns the estimate for a model with these `limits`.
    #[must_use]
    pub fn estimate(&self, limits: Option<TokenLimits>) -> Estimate {
        if self.is_free() {
            return Estimate::default();
        }
        let text_bytes = if self.has_unread_files() { 0 } else { self.text_bytes };
        let images = self.images.saturating_mul(FILE_TOKENS);
        let input = text_bytes.div_ceil(BYTES_PER_TOKEN).saturating_add(images).saturating_add(self.file_tokens);
        let of_model =
            |tokens: u64, most: fn(TokenLimits) -> u64| limits.map_or(tokens, |limits| tokens.min(most(limits)));
        let each = match self.limit.requested {
            Some(requested) if !self.limit.odd => requested,
            Some(_) | None if self.has_text() => OUTPUT_PRESUMED,
            Some(_) | None => 0,
        };
        let each = if self.has_output() { of_model(each, |limits| limits.output_tokens_max) } else { 0 };
        let output = each.saturating_mul(self.choices).saturating_mul(self.prompts.max(1));
        Estimate { input: Tokens(of_model(input, |limits| limits.input_tokens_max)), output: Tokens(output) }
    }

    /// Whether responses have tokens of output.
    pub(super) const fn has_output(&self) -> bool {
        !matches!(self.format, Format::Embeddings | Format::EmbedContent | Format::Moderations)
    }

    /// Whether responses are text, whose length is presumed.
    const fn has_text(&self) -> bool {
        matches!(
            self.format,
            Format::Chat | Format::Completions | Format::Responses | Format::Messages | Format::GenerateContent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::extent;

    const CHAT: &str = "/v1/chat/completions";
    const MESSAGES: &str = "/v1/messages";
    const GEMINI: &str = "/v1beta/models/m:generateContent";

    /// Returns the estimated input beyond a quarter of `text_bytes`.
    fn of_files(path: &str, part: &str, data: &str) -> u64 {
        let part = part.replace("DATA", data);
        let body = if path == GEMINI {
            format!(r#"{{"contents":[{{"parts":[{part}]}}]}}"#)
        } else {
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#)
        };
        let extent = extent(path, &body);
        assert!(extent.text_bytes < 400, "{path} {part:.80}: the data are no text");
        extent.estimate(None).input.0 - extent.text_bytes.div_ceil(super::BYTES_PER_TOKEN)
    }

    #[test]
    fn files_count_by_their_kind_and_not_as_text() {
        let data = "A".repeat(640_000);
        for (path, part, expected) in [
            (CHAT, r#"{"type":"text","text":"x"}"#, 0),
            (CHAT, r#"{"type":"image_url","image_url":{"url":"https://x/y"}}"#, 1_024),
            (CHAT, r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA"}}"#, 1_024),
            (CHAT, r#"{"type":"video_url","video_url":{"url":"https://x/y"}}"#, 1_024),
            (CHAT, r#"{"type":"video_url","video_url":{"url":"data:video/mp4;base64,DATA"}}"#, 1_024 + 625),
            (CHAT, r#"{"type":"input_audio","input_audio":{"data":"DATA","format":"wav"}}"#, 1_024 + 625),
            (CHAT, r#"{"type":"file","file":{"file_data":"DATA"}}"#, 1_024 + 10_000),
            (MESSAGES, r#"{"type":"image","source":{"type":"url","url":"https://x/y"}}"#, 1_024),
            (
                MESSAGES,
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"DATA"}}"#,
                1_024 + 10_000,
            ),
            (MESSAGES, r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#, 0),
            (GEMINI, r#"{"fileData":{"fileUri":"https://x/y"}}"#, 1_024),
            (GEMINI, r#"{"inlineData":{"mimeType":"image/png","data":"DATA"}}"#, 1_024),
            (GEMINI, r#"{"inlineData":{"mimeType":"application/pdf","data":"DATA"}}"#, 1_024 + 10_000),
            (GEMINI, r#"{"inlineData":{"mimeType":"video/mp4","data":"DATA"}}"#, 1_024 + 625),
        ] {
            assert_eq!(of_files(path, part, &data), expected, "{path} {part}");
        }
    }
}

//! The framing of a response's bytes.

use crate::format::Format;

/// The structure of a response's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResponseFraming {
    /// One JSON value; a body that turns out to be anything else reports nothing.
    Json,
    /// A stream of server-sent events.
    Events,
    /// Gemini's other stream: one JSON array, whose elements arrive one by one.
    Array,
    /// Audio or text, which is not read.
    Opaque,
}

impl ResponseFraming {
    /// Every framing, in order of declaration.
    pub const ALL: [Self; 4] = [Self::Json, Self::Events, Self::Array, Self::Opaque];

    /// Selects the framing by the response's `content-type`; `streamed` is whether the client requested a stream.
    #[must_use]
    pub fn from_content_type(format: Format, streamed: bool, content_type: Option<&str>) -> Self {
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        let is = |kind: &str| essence.eq_ignore_ascii_case(kind);
        let is_media = matches!(format, Format::Speech | Format::Transcription);
        if is("text/event-stream") {
            Self::Events
        } else if is_media && !is("application/json") {
            Self::Opaque
        } else if streamed && format == Format::GenerateContent {
            Self::Array
        } else {
            Self::Json
        }
    }
}

/// Number of bytes with which a stream is recognized.
const SEEN_BYTES: usize = 8;

/// Whether a body that begins with these bytes is a stream of events, whatever its media type; `None` if more bytes decide that.
#[must_use]
pub fn begins_events(bytes: &[u8]) -> Option<bool> {
    const FIELDS: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    if bytes.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(bytes) {
        return None;
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = text.trim_ascii_start();
    let text = text.get(..SEEN_BYTES).unwrap_or(text);
    if text.starts_with(b":") || FIELDS.iter().any(|field| text.starts_with(field)) {
        return Some(true);
    }
    let may_follow = FIELDS.iter().any(|field| field.starts_with(text));
    if may_follow { None } else { Some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_first_bytes() {
        for (bytes, expected) in [
            ("data: {}", Some(true)),
            ("data:", Some(true)),
            (": ping\n\ndata: {}", Some(true)),
            ("\n\r\n event: a", Some(true)),
            ("\u{feff}event:a", Some(true)),
            ("id: 1", Some(true)),
            ("retry: 1", Some(true)),
            ("", None),
            (" ", None),
            ("da", None),
            ("\u{feff}", None),
            ("event", None),
            ("{\"data: \":1}", Some(false)),
            ("[{", Some(false)),
            ("<html>", Some(false)),
            ("dates", Some(false)),
            ("data2: x", Some(false)),
        ] {
            assert_eq!(begins_events(bytes.as_bytes()), expected, "{bytes:?}");
        }
        assert_eq!(begins_events(b"\xEF\xBB"), None);
    }

    #[test]
    fn the_content_type_decides_the_framing_or_else_the_format() {
        use ResponseFraming::{Array, Events, Json, Opaque};
        const JSON: Option<&str> = Some("application/json; charset=UTF-8");
        for (format, streamed, content_type, framing) in [
            (Format::Chat, true, Some("text/event-stream"), Events),
            (Format::Chat, false, Some("Text/Event-Stream ; charset=utf-8"), Events),
            (Format::Chat, true, JSON, Json),
            (Format::Chat, true, None, Json),
            (Format::GenerateContent, true, Some("text/event-stream"), Events),
            (Format::GenerateContent, true, JSON, Array),
            (Format::GenerateContent, false, JSON, Json),
            (Format::EmbedContent, false, JSON, Json),
            (Format::Speech, false, Some("audio/mpeg"), Opaque),
            (Format::Speech, true, Some("text/event-stream"), Events),
            (Format::Speech, false, JSON, Json),
            (Format::Transcription, false, Some("text/plain"), Opaque),
            (Format::Transcription, false, JSON, Json),
            (Format::Transcription, true, Some("text/event-stream"), Events),
            (Format::Transcription, false, None, Opaque),
        ] {
            assert_eq!(
                ResponseFraming::from_content_type(format, streamed, content_type),
                framing,
                "{format:?} {streamed} {content_type:?}"
            );
        }
    }
}

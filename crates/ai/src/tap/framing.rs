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
    pub fn of(format: Format, streamed: bool, content_type: Option<&str>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

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
                ResponseFraming::of(format, streamed, content_type),
                framing,
                "{format:?} {streamed} {content_type:?}"
            );
        }
    }
}

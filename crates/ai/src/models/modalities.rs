//! The modalities of the input and output of models, by prefix of their names.
//!
//! Sources: the lists of models of OpenAI, Anthropic and Google (read 2026-11-30). Other models are not described.

use serde::Serialize;

/// The modalities of the input and output of a model, in OpenRouter's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Modalities {
    input_modalities: &'static [&'static str],
    output_modalities: &'static [&'static str],
}

const TEXT: &[&str] = &["text"];
const IMAGE: &[&str] = &["image"];
const AUDIO: &[&str] = &["audio"];
const SEEING: Modalities = Modalities { input_modalities: &["text", "image", "file"], output_modalities: TEXT };
const DRAWING: Modalities = Modalities { input_modalities: &["text", "image"], output_modalities: IMAGE };
const SPEAKING: Modalities = Modalities { input_modalities: TEXT, output_modalities: AUDIO };
const LISTENING: Modalities = Modalities { input_modalities: AUDIO, output_modalities: TEXT };
const TALKING: Modalities = Modalities { input_modalities: &["text", "audio"], output_modalities: &["text", "audio"] };
const READING: Modalities = Modalities { input_modalities: TEXT, output_modalities: TEXT };
const EMBEDDING: Modalities = Modalities { input_modalities: TEXT, output_modalities: &["embeddings"] };
const MEDIA: Modalities =
    Modalities { input_modalities: &["text", "image", "file", "audio", "video"], output_modalities: TEXT };
const ILLUSTRATING: Modalities =
    Modalities { input_modalities: &["text", "image"], output_modalities: &["text", "image"] };

/// Parts of names that decide before the beginning does.
const PARTS: [(&str, Modalities); 6] = [
    ("-image", ILLUSTRATING),
    ("nano-banana", ILLUSTRATING),
    ("-tts", SPEAKING),
    ("transcribe", LISTENING),
    ("-audio", TALKING),
    ("embedding", EMBEDDING),
];
/// Beginnings of names. The first row that matches applies.
const PREFIXES: [(&str, Modalities); 12] = [
    ("gpt-image", DRAWING),
    ("chatgpt-image", DRAWING),
    ("dall-e", DRAWING),
    ("tts-", SPEAKING),
    ("whisper", LISTENING),
    ("gpt-oss", READING),
    ("gpt-3.5", READING),
    ("gpt-", SEEING),
    ("o1", SEEING),
    ("o3", SEEING),
    ("o4", SEEING),
    ("gemini-", MEDIA),
];

impl Modalities {
    /// Returns the modalities of the model with this name, which may have a prefix of a cloud or of an intermediary.
    pub(super) fn of_model(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        if name.contains("claude-") {
            return Some(SEEING);
        }
        let begins = |rows: &[(&str, Self)]| {
            rows.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, modalities)| *modalities)
        };
        let of_maker = begins(&PREFIXES);
        let of_part = PARTS.iter().find(|(part, _)| name.contains(part)).map(|(_, modalities)| *modalities);
        match of_maker {
            Some(DRAWING | SPEAKING | LISTENING | READING) => of_maker,
            _ if name.starts_with("nano-banana") || name.starts_with("text-embedding") => of_part,
            Some(_) => of_part.or(of_maker),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_modalities_that_their_makers_list() {
        for (model, expected) in [
            ("gpt-5", Some(SEEING)),
            ("openai/gpt-5-mini", Some(SEEING)),
            ("gpt-oss-120b", Some(READING)),
            ("gpt-image-2", Some(DRAWING)),
            ("gpt-audio-mini", Some(TALKING)),
            ("gpt-4o-mini-tts", Some(SPEAKING)),
            ("gpt-4o-transcribe", Some(LISTENING)),
            ("whisper-1", Some(LISTENING)),
            ("text-embedding-3-small", Some(EMBEDDING)),
            ("eu.anthropic.claude-opus-4-8-v1:0", Some(SEEING)),
            ("gemini-2.5-pro", Some(MEDIA)),
            ("gemini-2.5-flash-image", Some(ILLUSTRATING)),
            ("gemini-embedding-2", Some(EMBEDDING)),
            ("nano-banana-pro-preview", Some(ILLUSTRATING)),
            ("llama3.2", None),
            ("my-image-model", None),
        ] {
            assert_eq!(Modalities::of_model(model), expected, "{model}");
        }
    }
}

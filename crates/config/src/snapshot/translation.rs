//! The formats of calls for text, and the rules of calls that are translated into one of them.

use ai::translate::{DroppedFields, JsonObject};
use ai::{Format, ProviderKind};
use settings::field::default;
use settings::form::Words;
use settings::input::Input;
use settings::section;

use super::origin::Origin;

/// The formats of calls for text, of which a provider may have a part. Others follow from its kind alone.
pub(crate) const TEXT_FORMATS: [(&str, Format); 4] = [
    ("responses", Format::Responses),
    ("chat", Format::Chat),
    ("messages", Format::Messages),
    ("generate_content", Format::GenerateContent),
];

const JSON_OBJECT: Words<JsonObject> =
    Words::new(&[("instruct", JsonObject::Instruct), ("refuse", JsonObject::Refuse)]);
const DROPPED: Words<DroppedFields> =
    Words::new(&[("header", DroppedFields::Header), ("refuse", DroppedFields::Refuse)]);

section! {
    /// The section `ai.translate` of the file.
    TranslateInput => #[derive(Copy, Default, PartialEq, Eq)] pub TranslationRules {
        /// JSON without a schema, which Messages lacks: `instruct` adds a line to the system prompt, `refuse` is 400.
        json_object: Input<JsonObject> = default(JSON_OBJECT, JsonObject::default);
        /// Fields that the provider's format lacks: `header` names them in `x-tollgate-dropped`, `refuse` is 400.
        dropped: Input<DroppedFields> = default(DROPPED, DroppedFields::default);
    }
}

/// Returns the formats of calls for text that an API of this kind may have.
pub(crate) fn text_formats(kind: ProviderKind) -> impl Iterator<Item = (&'static str, Format)> {
    TEXT_FORMATS.into_iter().filter(move |(_, format)| kind.speaks(*format))
}

/// Returns the default of `providers[].formats`. Most servers with OpenAI's API have only its older format. At Bedrock,
/// Claude's own format comes first.
pub(crate) fn default_formats(kind: ProviderKind, origin: Option<&Origin>) -> Vec<Format> {
    let own = kind.descriptor().own.as_ref().map(|own| own.host);
    let is_elsewhere = origin.is_some_and(|origin| own != Some(origin.host.as_str()));
    if kind == ProviderKind::OpenAi && is_elsewhere {
        return vec![Format::Chat];
    }
    if kind == ProviderKind::Bedrock {
        return vec![Format::Messages, Format::Responses, Format::Chat];
    }
    text_formats(kind).map(|(_, format)| format).collect()
}

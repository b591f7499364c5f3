//! Compiles `providers[].formats`.

use ai::{Format, ProviderKind, ProviderPaths};
use settings::field::ValueList;
use settings::input::Input;
use settings::section::SettingsReader;

use super::provider;
use crate::schema::traffic::ProviderInput;
use crate::snapshot::Origin;
use crate::snapshot::translation::{default_formats, text_formats};

/// Returns the input of a provider that has all formats of its kind.
pub(super) fn all(kind: ProviderKind) -> ValueList<Format> {
    ValueList { list: default_formats(kind, None).into_iter().map(Input::default).collect() }
}

/// Returns the formats of a provider, and reports those that its kind does not have. The built-in mock has no `origin`.
pub(super) fn formats(
    reader: &SettingsReader<'_>,
    entry: &mut ProviderInput,
    kind: ProviderKind,
    origin: Option<&Origin>,
) -> Box<[Format]> {
    if !entry.location.has("formats") {
        entry.formats.list = provider::formats(entry, kind, origin).into_iter().map(Input::default).collect();
    }
    let paths = provider::paths(entry);
    let kind_text = format!("kind: {}", kind.as_str());
    let is_served = |format: Format| kind.speaks(format) && !paths.lacks(format);
    let location = &entry.location;
    let formats = &mut entry.formats;
    for (nth, format) in formats.list.iter().enumerate() {
        if !is_served(format.value) {
            let served = text_formats(kind).filter(|(_, format)| is_served(*format));
            let words: Vec<String> = served.map(|(word, _)| format!("`{word}`")).collect();
            let owner = if paths == ProviderPaths::BedrockRuntime { "endpoint: runtime" } else { kind_text.as_str() };
            let expected = format!("{}, which `{owner}` has", words.join(" or "));
            let at = format.value_origin().unwrap_or(location.at);
            reader.bad(at, &location.name(&format!("formats[{nth}]")), expected);
        }
    }
    formats.dedup();
    formats.list.iter().map(|format| format.value).collect()
}

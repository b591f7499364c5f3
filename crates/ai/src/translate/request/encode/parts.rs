//! Parts of messages that the encoders share.

use std::borrow::Cow;

use serde_json::value::RawValue;
use smallvec::smallvec;

use super::super::json::{ObjectWriter, Outcome, refused};
use super::super::notes::Notes;
use crate::format::Format;
use crate::translate::call::{
    CacheMark, Call, Message, OfferedTool, Part, Role, Sampling, Source, TextPart, ToolChoice,
};

/// Most cache marks of one call, at OpenAI and Anthropic.
const MARKS_MAX: u32 = 4;
/// A message of the user before the first one of the assistant, where the first must be the user's.
pub(super) const OPENING: &str = ".";
/// Separates texts that are joined.
pub(super) const BETWEEN: &str = "\n\n";
/// Precedes the text of a tool result that reports an error.
const ERROR: &str = "Error:";

/// The system's messages before the first other message, and the rest.
pub(super) fn split_system<'m, 'a>(messages: &'m [Message<'a>]) -> (&'m [Message<'a>], &'m [Message<'a>]) {
    let at = messages.iter().position(|message| message.role != Role::System).unwrap_or(messages.len());
    messages.split_at(at)
}

/// The texts of messages that are not blank: providers refuse blank ones.
pub(super) fn texts<'m, 'a>(messages: &'m [Message<'a>]) -> impl Iterator<Item = &'m TextPart<'a>> {
    messages.iter().flat_map(|message| &message.parts).filter_map(as_text)
}

pub(super) fn as_text<'m, 'a>(part: &'m Part<'a>) -> Option<&'m TextPart<'a>> {
    match part {
        Part::Text(text) if !text.text.trim().is_empty() => Some(text),
        Part::Text(_)
        | Part::Refusal(_)
        | Part::Image(_)
        | Part::File(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::State(_) => None,
    }
}

/// Joins texts with a blank line between them.
pub(super) fn joined<'m, 'a: 'm>(texts: impl IntoIterator<Item = &'m TextPart<'a>>) -> String {
    texts.into_iter().map(|text| text.text.as_ref()).collect::<Vec<_>>().join(BETWEEN)
}

/// Joins texts with a blank line between them, without a copy of one that is alone.
pub(super) fn joined_texts<'m>(texts: &[&'m TextPart<'_>]) -> Cow<'m, str> {
    if let [text] = texts { Cow::Borrowed(&text.text) } else { joined(texts.iter().copied()).into() }
}

/// The text of a tool's result, which names an error: OpenAI has no field for it.
pub(super) fn error_text(is_error: bool, text: String) -> String {
    if is_error && !text.starts_with(ERROR) { format!("{ERROR} {text}").trim_end().to_owned() } else { text }
}

/// The messages for servers whose templates refuse two of the user in a row, or the system's between others.
pub(super) fn merge_users(messages: &mut Vec<Message<'_>>, notes: &mut Notes<'_>) -> Outcome<()> {
    let moved: usize = messages.iter().skip(1).map(|message| message.parts.len()).sum();
    notes.hold(moved.saturating_mul(size_of::<Part<'_>>()))?;
    messages.dedup_by(|message, last| {
        if message.role == Role::System && last.role != Role::System {
            message.role = Role::User;
            message.parts = smallvec![Part::text(tagged(message))];
        }
        let is_merged = last.role == Role::User && message.role == Role::User;
        if is_merged {
            last.parts.append(&mut message.parts);
        }
        is_merged
    });
    messages.shrink_to_fit();
    Ok(())
}

/// A system's message between others, as text of the user.
pub(super) fn tagged(message: &Message<'_>) -> String {
    in_tags(&joined(message.parts.iter().filter_map(as_text)))
}

/// Text of the system, as text of the user.
pub(in crate::translate::request) fn in_tags(text: &str) -> String {
    format!("<system>\n{text}\n</system>")
}

/// A URL of the data, or the URL itself.
pub(super) fn url<'m>(source: &'m Source<'_>) -> Cow<'m, str> {
    match source {
        Source::Url(url) => Cow::Borrowed(url),
        Source::Base64 { media_type, data } => Cow::Owned(format!("data:{media_type};base64,{data}")),
    }
}

/// The error of a part that does not occur in this place.
pub(super) fn misplaced(part: &Part<'_>, place: &str) -> crate::translate::UntranslatableCall {
    let (path, noun) = match part {
        Part::Image(image) => (image.path.as_str(), "an image"),
        Part::File(file) => (file.path.as_str(), "a file"),
        Part::ToolCall(_) => ("messages", "a call of a tool"),
        Part::ToolResult(result) => (result.path.as_str(), "the result of a tool"),
        Part::Text(_) | Part::Refusal(_) | Part::State(_) => ("messages", "a part"),
    };
    refused(path, &format!("is {noun}, which this model's provider does not take in {place}"))
}

/// The output limit: the client's, at most the model's.
pub(super) fn output_tokens_max(wanted: Option<u64>, most: Option<u64>) -> Option<u64> {
    match (wanted, most) {
        (Some(wanted), Some(most)) => Some(wanted.min(most)),
        (wanted, _) => wanted,
    }
}

/// The tools to send, where the provider has no choice among some of them.
pub(super) fn chosen_tools<'m, 'a>(call: &'m Call<'a>) -> Vec<&'m OfferedTool<'a>> {
    let is_chosen = |tool: &&OfferedTool<'_>| match &call.tool_choice {
        Some(ToolChoice::Among { names, .. }) => names.contains(&tool.name),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool(_)) | None => true,
    };
    call.tools.iter().filter(is_chosen).collect()
}

/// Whether a number is present and not the usual one.
pub(in crate::translate::request) fn differs(value: Option<&RawValue>, usual: f64) -> bool {
    let number = |raw: &RawValue| serde_json::from_str::<f64>(raw.get()).ok();
    value.is_some_and(|raw| number(raw).is_none_or(|number| (number - usual).abs() > f64::EPSILON))
}

/// Notes the fields of Chat Completions that no other format has.
pub(super) fn drop_of_chat(sampling: &Sampling<'_>, notes: &mut Notes<'_>) {
    for (name, is_lost) in [
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", differs(sampling.frequency_penalty, 0.0)),
        ("presence_penalty", differs(sampling.presence_penalty, 0.0)),
    ] {
        if is_lost {
            notes.drop(name);
        }
    }
}

/// Writes the fields that only OpenAI knows, or notes that they are left out.
pub(super) fn openai_fields(call: &Call<'_>, is_openai: bool, notes: &mut Notes<'_>, out: &mut ObjectWriter) {
    for (name, raw) in &call.openai {
        if is_openai {
            out.raw(name, raw.get());
        } else if *name == "service_tier" && !matches!(raw.get(), "\"auto\"" | "\"default\"") {
            notes.drop(*name);
        } else if *name == "user" {
            notes.mention(*name);
        }
    }
}

/// Mentions the marks of a call for a model that does not cache at marks.
pub(super) fn mention_marks(call: &Call<'_>, notes: &mut Notes<'_>) {
    if has_marks(call) {
        notes.mention("cache_control");
    }
}

/// Whether the client marks what the provider caches.
pub(super) fn has_marks(call: &Call<'_>) -> bool {
    let is_marked = |part: &Part<'_>| match part {
        Part::Text(text) => text.cache.is_some(),
        Part::ToolResult(result) => result.cache.is_some(),
        Part::Refusal(_) | Part::Image(_) | Part::File(_) | Part::ToolCall(_) | Part::State(_) => false,
    };
    call.messages.iter().flat_map(|message| &message.parts).any(is_marked)
        || call.tools.iter().any(|tool| tool.cache.is_some())
}

/// The client's field for the texts that end the response.
pub(super) const fn stop_path(call: &Call<'_>) -> &'static str {
    if matches!(call.from, Format::Messages) { "stop_sequences" } else { "stop" }
}

/// The client's field for the format of the response.
pub(super) const fn output_path(call: &Call<'_>) -> &'static str {
    if matches!(call.from, Format::Messages) {
        "output_config.format"
    } else if matches!(call.from, Format::Responses) {
        "text.format"
    } else {
        "response_format"
    }
}

/// The client's field for the length of the response.
pub(super) const fn verbosity_path(call: &Call<'_>) -> &'static str {
    if matches!(call.from, Format::Responses) { "text.verbosity" } else { "verbosity" }
}

/// The cache marks that a call can still have.
#[derive(Debug)]
pub(super) struct Marks {
    left: u32,
}

impl Marks {
    pub(super) const fn new(are_obeyed: bool) -> Self {
        Self { left: if are_obeyed { MARKS_MAX } else { 0 } }
    }

    /// Whether another mark can be written.
    pub(super) const fn are_left(&self) -> bool {
        self.left > 0
    }

    fn take(&mut self, mark: Option<CacheMark>) -> Option<CacheMark> {
        if !self.are_left() {
            return None;
        }
        let mark = mark?;
        self.left -= 1;
        Some(mark)
    }

    /// Writes the mark of OpenAI.
    pub(super) fn breakpoint(&mut self, out: &mut ObjectWriter, mark: Option<CacheMark>) {
        if let Some(mark) = self.take(mark) {
            let ttl = if mark == CacheMark::Long { "12h" } else { "30m" };
            out.raw("prompt_cache_breakpoint", &ObjectWriter::new().text("mode", "explicit").text("ttl", ttl).finish());
        }
    }

    /// Writes the mark of Anthropic.
    pub(super) fn cache_control(&mut self, out: &mut ObjectWriter, mark: Option<CacheMark>) {
        if let Some(mark) = self.take(mark) {
            let mut control = ObjectWriter::of_type("ephemeral");
            if mark == CacheMark::Long {
                control.text("ttl", "1h");
            }
            out.raw("cache_control", &control.finish());
        }
    }
}

/// Refuses an image or file that only a URL names, where the provider needs the data.
pub(super) fn needs_data(path: &str) -> crate::translate::UntranslatableCall {
    refused(path, "must contain the data: this model's provider fetches no URL")
}

/// A shorthand for results of encoders.
pub(super) type Encoded = Outcome<String>;

/// The `type` of an object. A capsule comes from the client, so its items are checked.
pub(super) fn kind(item: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Typed>(item).ok().map(|typed| typed.kind)
}

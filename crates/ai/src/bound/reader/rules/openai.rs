//! The bounds of OpenAI's formats: chat completions, legacy completions and Responses.

use crate::bound::Reference;
use crate::bound::names::Name::{self, *};
use crate::bound::reader::{Reader, Spot, Tool, Value};
use crate::format::Format;

/// Minimum value of `max_output_tokens` (OpenAI's API reference, read 2026-11-20).
pub(super) const RESPONSES_LEAST: u64 = 16;

/// Tools that the client runs. The provider runs all others.
const OWN_TOOLS: [&str; 9] = [
    "function",
    "custom",
    "namespace",
    "local_shell",
    "apply_patch",
    "computer",
    "computer_use",
    "computer_use_preview",
    "grammar",
];
/// The provider's tools that search the web, which are billed per search. The last three are OpenRouter's and xAI's.
const SEARCHES: [&str; 4] = [WEB_SEARCH, "openrouter:web_search", "x_search", LIVE_SEARCH];
const WEB_SEARCH: &str = "web_search";
/// xAI's tool that is billed per source that it reads.
const LIVE_SEARCH: &str = "live_search";
/// Maximum number of sources that xAI's live search reads if the body states none (`max_search_results` is 1 to 50).
const SOURCES_MAX: u64 = 50;
/// The provider's tool that searches stored files, billed per search.
const FILE_SEARCH: &str = "file_search";
/// The provider's tool that creates images, billed at the rates of another model, which the body need not name.
const IMAGES: &str = "image_generation";
/// The provider's tools that run in a container, which is billed.
const CONTAINED: [&str; 2] = ["code_interpreter", "shell"];
/// The provider's tools that add few tokens. Any other tool, such as an MCP server, may add more tokens than a bound
/// counts.
const KNOWN_TOOLS: [&str; 5] = [WEB_SEARCH, FILE_SEARCH, "code_interpreter", "shell", IMAGES];
/// OpenRouter's plugin that searches the web, and those that add neither tokens nor fees
/// (openrouter.ai/docs/guides/features/plugins, 2026-11).
const SEARCH_PLUGIN: &str = "web";
const FREE_PLUGINS: [&str; 4] = ["auto-router", "context-compression", "moderation", "response-healing"];
/// Parts of a message whose bytes bound their tokens, or that are read.
const CHAT_PARTS: [&str; 5] = ["text", "refusal", "image_url", "input_audio", "file"];
const RESPONSES_PARTS: [&str; 9] = [
    "input_text",
    "output_text",
    "text",
    "refusal",
    "summary_text",
    "reasoning_text",
    "input_image",
    "input_file",
    "input_audio",
];

pub(super) fn chat_opens(reader: &mut Reader, path: &[Name], name: Name) {
    match (path, name) {
        ([], WebSearchOptions) => reader.serves(Tool { searches: true, ..Tool::default() }),
        ([], Prediction) => reader.extent.predicted = true,
        ([], Audio) => reader.extent.makes_audio = true,
        ([], SearchParameters) => begin_live_search(reader),
        ([Tools | Plugins], Element) => reader.begin_tool(),
        ([Prompt], Element) => add_prompt(reader),
        _ => {}
    }
}

pub(super) fn chat(reader: &mut Reader, spot: &Spot<'_>, value: Value<'_>) {
    let Spot { path, name, .. } = *spot;
    match (path, name) {
        ([], MaxTokens | MaxCompletionTokens) => reader.limit(value, spot),
        ([], N | BestOf) => reader.choices(value),
        ([], ServiceTier) => reader.tier(value),
        ([Modalities], Element) => reader.extent.makes_audio |= value.says(&["audio"]),
        ([Prompt], Element) if matches!(value, Value::Text(_)) => add_prompt(reader),
        ([Messages, Element, Content, Element], ImageUrl) | ([Messages, Element, Content, Element, ImageUrl], Url) => {
            reader.image(value);
        }
        ([Messages, Element, Content, Element, Other], Url) => unknown_url(reader, value),
        ([Messages, Element, Content, Element, File], FileId) if value.is_text() => reader.refer(Reference::File),
        ([Messages, Element, Content, Element, File], FileData) => document(reader, value),
        ([Messages, Element, Content, Element, InputAudio], _) => audio(reader, name, value),
        ([Messages, Element, Audio], Id) => reader.refer(Reference::Audio),
        ([Messages, Element, Content, Element], Type) if !value.says(&CHAT_PARTS) => reader.refer(Reference::Part),
        ([Tools, Element], Type) => tool(reader, value),
        ([Plugins, Element], Id) => plugin(reader, value),
        ([], EnableSearch) => enable_search(reader, value),
        ([SearchParameters], Mode | MaxSearchResults) => live_search(reader, name, value),
        _ => {}
    }
}

/// Reads a file inside the body.
fn document(reader: &mut Reader, value: Value<'_>) {
    if let Value::Text(data) = value
        && data.bytes() > 0
    {
        reader.add_document(data.bytes());
    }
}

/// Reads the URL of a part of an unknown kind, such as a video.
fn unknown_url(reader: &mut Reader, value: Value<'_>) {
    match value {
        Value::Text(url) if url.begins_with(b"data:") => reader.add_recording(Reference::Document, url.bytes()),
        Value::Text(_) => reader.add_file(0),
        Value::Word(_) => {}
    }
}

/// Reads a field of a recording inside the body.
fn audio(reader: &mut Reader, name: Name, value: Value<'_>) {
    reader.refer(Reference::Audio);
    if let Data = name
        && let Value::Text(data) = value
    {
        reader.add_recording(Reference::Audio, data.bytes());
    }
}

/// Reads the kind of one of OpenRouter's plugins, which run without a tool. What a plugin finds precedes the
/// conversation.
fn plugin(reader: &mut Reader, value: Value<'_>) {
    if let Some(tool) = reader.tool() {
        let is_free = value.says(&FREE_PLUGINS);
        let is_search = value.says(&[SEARCH_PLUGIN]);
        tool.served |= !is_free;
        tool.searches |= is_search;
        tool.unpriced |= !is_free && !is_search;
        tool.adds = true;
    }
}

/// Reads DashScope's switch of a search, whose results precede the conversation.
fn enable_search(reader: &mut Reader, value: Value<'_>) {
    if !value.is_null() && value != Value::Word("false") {
        reader.serves(Tool { searches: true, adds: true, ..Tool::default() });
    }
}

/// Reads xAI's `search_parameters`: the search results precede the conversation, and each source has a fee.
fn begin_live_search(reader: &mut Reader) {
    reader.begin_tool();
    let depth = reader.tool_around().map_or(0, |tool| tool.depth);
    if let Some(tool) = reader.tool_around() {
        *tool = Tool { depth, served: true, searches: true, adds: true, sources: SOURCES_MAX, ..Tool::default() };
    }
}

/// Reads the limits of a live search. Parsers differ in which of two equal keys they use, so a repeated mode counts as
/// on, and of repeated maximums the largest applies.
fn live_search(reader: &mut Reader, name: Name, value: Value<'_>) {
    let Some(tool) = reader.tool() else { return };
    match (name, value.count()) {
        (Mode, _) => {
            tool.is_own = value.says(&["off"]) && !tool.has_mode;
            tool.has_mode = true;
        }
        (_, Some(count)) => {
            let read = tool.cap_of_sources.max(Some(count.max(1)));
            (tool.cap_of_sources, tool.sources) = (read, read.unwrap_or(SOURCES_MAX));
        }
        (_, None) => {}
    }
}

/// Counts one more prompt of a list; each prompt gets a response.
fn add_prompt(reader: &mut Reader) {
    if reader.extent.format == Format::Completions {
        reader.extent.prompts = reader.extent.prompts.saturating_add(1);
    }
}

fn tool(reader: &mut Reader, value: Value<'_>) {
    let served = !value.is_null() && !value.says(&OWN_TOOLS);
    let begins = |starts: &[&str]| matches!(value, Value::Text(kind) if starts.iter().any(|start| kind.resolved().starts_with(start)));
    if let Some(tool) = reader.tool() {
        tool.served |= served;
        tool.searches |= begins(&SEARCHES);
        tool.sources = if begins(&[LIVE_SEARCH]) { SOURCES_MAX } else { tool.sources };
        tool.file_searches |= begins(&[FILE_SEARCH]);
        tool.unpriced |= begins(&[IMAGES]);
        tool.contained |= begins(&CONTAINED);
        tool.adds |= !begins(&KNOWN_TOOLS);
    }
}

/// Reads the memory of a tool's container; an unknown size counts as the largest.
fn memory(reader: &mut Reader, value: Value<'_>) {
    let sizes = [("1g", 1), ("4g", 4), ("16g", 16), ("64g", 64)];
    let size = sizes.iter().find(|(size, _)| value.says(&[size])).map_or(64, |(_, gigabytes)| *gigabytes);
    if !value.is_null()
        && let Some(tool) = reader.tool_around()
    {
        tool.gigabytes = tool.gigabytes.max(Some(size));
    }
}

pub(super) fn responses_opens(reader: &mut Reader, path: &[Name], name: Name) {
    match (path, name) {
        ([], Conversation) => reader.refer(Reference::Conversation),
        ([], Prompt) => reader.refer(Reference::Prompt),
        ([], SearchParameters) => begin_live_search(reader),
        ([.., Tools] | [Plugins], Element) => reader.begin_tool(),
        ([Input, Element], _) => reader.item.other = true,
        ([Input, ..], InputAudio) => reader.refer(Reference::Audio),
        _ => {}
    }
}

pub(super) fn responses(reader: &mut Reader, spot: &Spot<'_>, value: Value<'_>) {
    let Spot { path, name, .. } = *spot;
    if let [Input, Element] = path {
        reader.item.id |= name == Id;
        reader.item.other |= !matches!(name, Id | Type);
    }
    match (path, name) {
        ([], MaxOutputTokens) => reader.limit(value, spot),
        ([], MaxToolCalls) => reader.extent.served.cap = value.count().or(reader.extent.served.cap),
        ([], ServiceTier) => reader.tier(value),
        ([], PreviousResponseId) if !value.is_null() => reader.refer(Reference::PreviousResponse),
        ([], Conversation) if !value.is_null() => reader.refer(Reference::Conversation),
        ([], Prompt) if !value.is_null() => reader.refer(Reference::Prompt),
        ([ContextManagement, Element], Type) if value.says(&["compaction"]) => reader.refer(Reference::Compaction),
        ([.., Tools, Element], Type) => tool(reader, value),
        ([Plugins, Element], Id) => plugin(reader, value),
        ([SearchParameters], Mode | MaxSearchResults) => live_search(reader, name, value),
        ([.., Tools, Element, Container | Environment], MemoryLimit) => memory(reader, value),
        // A shell that the client provides.
        ([.., Tools, Element, Environment], Type) if value.says(&["local"]) => {
            if let Some(tool) = reader.tool_around() {
                tool.is_own = true;
            }
        }
        ([Input, Element], Type) if value.says(&["item_reference"]) => reader.refer(Reference::Item),
        ([Input, Element, Content, Element], Type) if !value.says(&RESPONSES_PARTS) => reader.refer(Reference::Part),
        ([Input, ..], ImageUrl) => reader.image(value),
        ([Input, ..], FileId) if value.is_text() => reader.refer(Reference::File),
        ([Input, ..], FileUrl) if value.is_text() => reader.add_url(),
        ([Input, ..], FileData) => document(reader, value),
        ([Input, .., InputAudio], Data) => audio(reader, name, value),
        _ => {}
    }
}

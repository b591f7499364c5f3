//! The bounds of Anthropic's Messages.

use crate::bound::Reference;
use crate::bound::extent::Writes;
use crate::bound::names::Name::{self, *};
use crate::bound::reader::{Reader, Spot, Tool, Value};
use crate::price::Tier;

/// Prefixes of the types of tools that the client runs. A tool without a type is the client's too; others are the
/// provider's.
const OWN_TOOLS: [&str; 5] = ["custom", "bash_", "text_editor_", "computer_", "memory_"];
/// The provider's tools that search the web, which are billed per search.
const SEARCHES: &str = "web_search";
/// The provider's tools that add few tokens. Any other tool may add more tokens than a bound counts.
const KNOWN_TOOLS: [&str; 3] = [SEARCHES, "web_fetch", "code_execution"];

pub(super) fn opens(reader: &mut Reader, path: &[Name], name: Name) -> bool {
    match (path, name) {
        // The input with which a client's tool was called.
        ([Messages, Element, Content, ..], Input) => return false,
        ([], Container) => reader.refer(Reference::Container),
        ([McpServers], Element) => reader.serves(Tool { adds: true, ..Tool::default() }),
        ([Tools], Element) => reader.begin_tool(),
        (_, CacheControl) => reader.writes(Writes::Short),
        ([Messages | System, ..], Source) => reader.begin_blob(),
        _ => {}
    }
    true
}

pub(super) fn value(reader: &mut Reader, spot: &Spot<'_>, value: Value<'_>) {
    let Spot { path, name, .. } = *spot;
    match (path, name) {
        ([], MaxTokens) => reader.limit(value, spot),
        ([Thinking], BudgetTokens) => {
            // The thinking budget must be less than the limit.
            let thought = value.count().unwrap_or(0);
            reader.extent.limit.least = reader.extent.limit.least.max(thought.saturating_add(1));
        }
        ([], Speed) => speed(reader, value),
        ([], InferenceGeo) => place(reader, value),
        ([], Container) if !value.is_null() => reader.refer(Reference::Container),
        ([ContextManagement, Edits, Element], Type) => {
            if matches!(value, Value::Text(kind) if kind.resolved().starts_with("compact")) {
                reader.refer(Reference::Compaction);
            }
        }
        ([.., CacheControl], Ttl) if !value.says(&["5m"]) => reader.writes(Writes::Long),
        ([Tools, Element], Type) => tool(reader, value),
        ([Tools, Element], MaxUses) => {
            if let Some(tool) = reader.tool() {
                tool.cap = value.count();
            }
        }
        ([Messages, Element, Content, ..], FileId) if path.last() != Some(&Source) && value.is_text() => {
            reader.refer(Reference::File);
        }
        ([Messages | System, .., Source], _) => source(reader, name, value),
        _ => {}
    }
}

fn tool(reader: &mut Reader, value: Value<'_>) {
    let Value::Text(kind) = value else { return };
    let kind = kind.resolved();
    if let Some(tool) = reader.tool() {
        tool.served |= !OWN_TOOLS.iter().any(|own| kind.starts_with(own));
        tool.searches |= kind.starts_with(SEARCHES);
        tool.adds |= !KNOWN_TOOLS.iter().any(|known| kind.starts_with(known));
    }
}

fn speed(reader: &mut Reader, value: Value<'_>) {
    if value.says(&["fast"]) {
        reader.set_tier(Some(Tier::Fast));
    } else if !value.is_null() && !value.says(&["standard"]) {
        reader.set_tier(None);
    }
}

fn place(reader: &mut Reader, value: Value<'_>) {
    if value.says(&["us"]) {
        reader.extent.terms = reader.extent.terms.map(|terms| crate::price::PriceTerms { us: true, ..terms });
    } else if !value.is_null() && !value.says(&["global"]) {
        reader.extent.terms = None;
    }
}

/// Reads the `source` of an image or a document.
fn source(reader: &mut Reader, name: Name, value: Value<'_>) {
    let Some(blob) = reader.blob() else { return };
    match (name, value) {
        (Type, Value::Text(kind)) => match &*kind.resolved() {
            "base64" => blob.encoded = true,
            "text" | "content" => blob.plain = true,
            "url" => blob.referred = Some(Reference::Url),
            "file" => blob.referred = Some(Reference::File),
            _ => blob.referred = Some(Reference::Part),
        },
        (MediaType, Value::Text(media)) => {
            let media = media.resolved();
            blob.image |= media.starts_with("image/");
            blob.other |= !media.starts_with("image/") && !media.starts_with("text/");
        }
        (Data, Value::Text(data)) => blob.data_bytes = data.bytes(),
        (Url, Value::Text(_)) => blob.referred = Some(Reference::Url),
        (FileId, Value::Text(_)) => blob.referred = Some(Reference::File),
        _ => {}
    }
}

//! Anthropic's Messages.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding as _};

use super::super::json::{ObjectWriter, Outcome, TurnWriter, list, quoted, refused};
use super::super::models::{self, ClaudeRules};
use super::super::notes::Notes;
use super::super::{ONE_OBJECT, schema};
use super::parts::{
    BETWEEN, Encoded, Marks, OPENING, as_text, chosen_tools, differs, drop_of_chat, has_marks, in_tags, kind,
    misplaced, openai_fields, split_system, stop_path, tagged, texts, verbosity_path,
};
use super::thinking::{self, Plan};
use crate::translate::JsonObject;
use crate::translate::call::{
    CacheMark, Call, File, Message, OfferedTool, OutputFormat, Part, Role, Source, TextPart, ToolChoice, ToolResult,
};

/// The least `top_p` while the model thinks.
const THINKING_TOP_P: f64 = 0.95;
/// Maximum number of strict tools in a call to Anthropic.
const STRICT_MAX: u32 = 20;

pub(super) fn encode(call: &Call<'_>, notes: &mut Notes<'_>) -> Encoded {
    let options = notes.options;
    let known = models::claude(options.known_model);
    let rules = ClaudeRules { mid_system: known.mid_system && options.surface.takes_system_turns(), ..known };
    let plan = thinking::plan(call, rules, notes);
    let mut out = ObjectWriter::new();
    out.text("model", options.model).count("max_tokens", plan.output_tokens_max);
    let mut marks = Marks::new(true);
    let (system, rest) = split_system(&call.messages);
    let own_mark = own_mark(call, system, notes);
    tools(call, notes, &mut marks, own_mark, &mut out);
    if let Some(choice) = tool_choice(call, rules, plan.thinks)? {
        out.raw("tool_choice", &choice);
    }
    let mut blocks = system_blocks(system, own_mark, &mut marks);
    blocks.extend(json_object(call, options.json_object)?);
    if !rest.is_empty() && !blocks.is_empty() {
        out.raw("system", &list(&blocks));
        blocks.clear();
    }
    let turns = TurnWriter::new(out.list("messages"), "content");
    let mut turns = Turns { turns, system: Vec::new(), system_blocks: Vec::new(), rules, marks };
    blocks.iter().for_each(|block| turns.add("user", block));
    rest.iter().try_for_each(|message| turns.message(message))?;
    turns.end();
    sampling(call, rules, &plan, notes, &mut out);
    // Anthropic refuses blank ones.
    let stop: Vec<String> = call.stop.iter().filter(|text| !text.trim().is_empty()).map(|text| quoted(text)).collect();
    if stop.len() < call.stop.len() {
        notes.drop(stop_path(call));
    }
    if !stop.is_empty() {
        out.raw("stop_sequences", &list(&stop));
    }
    if let Some(thinking) = &plan.thinking {
        out.raw("thinking", thinking);
    }
    output_config(call, &plan, &mut out);
    if own_mark == OwnMark::WholeCall {
        out.raw("cache_control", &ObjectWriter::of_type("ephemeral").finish());
    }
    if call.stream {
        out.flag("stream", true);
    }
    Ok(out.finish())
}

/// Where the gateway marks a prompt of which the client has marked nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnMark {
    Nowhere,
    /// The field of the whole call: Anthropic marks the last block itself.
    WholeCall,
    LastSystemBlock,
    LastTool,
}

/// The least length of a system prompt that is marked without tools, in bytes: about 1,024 tokens, the fewest that a Claude caches.
const SYSTEM_BYTES_MIN: usize = 4 * 1024;

/// Returns where the gateway marks the prompt: a call with tools is one of an agent, which sends the same beginning again, as
/// do calls with a long system prompt.
fn own_mark(call: &Call<'_>, system: &[Message<'_>], notes: &Notes<'_>) -> OwnMark {
    if !notes.options.prompt_cache || has_marks(call) {
        return OwnMark::Nowhere;
    }
    let system_bytes: usize = texts(system).map(|text| text.text.len()).sum();
    if call.tools.is_empty() {
        return if system_bytes >= SYSTEM_BYTES_MIN { OwnMark::LastSystemBlock } else { OwnMark::Nowhere };
    }
    if notes.options.surface.takes_all() {
        OwnMark::WholeCall
    } else if system_bytes > 0 {
        OwnMark::LastSystemBlock
    } else {
        OwnMark::LastTool
    }
}

fn system_blocks(system: &[Message<'_>], own_mark: OwnMark, marks: &mut Marks) -> Vec<String> {
    let mut texts = texts(system).peekable();
    let mut blocks = Vec::new();
    while let Some(text) = texts.next() {
        let is_last = own_mark == OwnMark::LastSystemBlock && texts.peek().is_none();
        blocks.push(marked_block(text, text.cache.or(is_last.then_some(CacheMark::Short)), marks));
    }
    blocks
}

fn json_object(call: &Call<'_>, rule: JsonObject) -> Outcome<Option<String>> {
    match (&call.output, rule) {
        (OutputFormat::JsonObject, JsonObject::Instruct) => {
            Ok(Some(ObjectWriter::of_type("text").text("text", ONE_OBJECT).finish()))
        }
        (OutputFormat::JsonObject, JsonObject::Refuse) => {
            let advice = "must not be json_object for this model: send a JSON schema (`json_schema`)";
            let name =
                if call.from == crate::format::Format::Chat { "response_format.type" } else { "text.format.type" };
            Err(refused(name, advice))
        }
        (OutputFormat::Text | OutputFormat::JsonSchema(_), _) => Ok(None),
    }
}

fn output_config(call: &Call<'_>, plan: &Plan, out: &mut ObjectWriter) {
    let mut config = ObjectWriter::new();
    if let Some(effort) = plan.effort {
        config.text("effort", effort);
    }
    let schema = match &call.output {
        OutputFormat::JsonSchema(output) => Some(schema::for_messages(&output.schema)),
        OutputFormat::Text | OutputFormat::JsonObject => None,
    };
    if let Some(schema) = &schema {
        config.raw("format", &ObjectWriter::of_type("json_schema").raw("schema", schema).finish());
    }
    if plan.effort.is_some() || schema.is_some() {
        out.raw("output_config", &config.finish());
    }
}

fn sampling(call: &Call<'_>, rules: ClaudeRules, plan: &Plan, notes: &mut Notes<'_>, out: &mut ObjectWriter) {
    let sampling = &call.sampling;
    let value = |raw: &serde_json::value::RawValue| serde_json::from_str::<f64>(raw.get()).unwrap_or_default();
    let mut has_temperature = false;
    match sampling.temperature {
        value if (!rules.sampling || plan.thinks) && differs(value, 1.0) => notes.drop("temperature"),
        _ if !rules.sampling || plan.thinks => {}
        // OpenAI's highest is 2.
        Some(raw) if value(raw) > 1.0 => {
            has_temperature = true;
            out.raw("temperature", "1");
        }
        Some(raw) => {
            has_temperature = true;
            out.number("temperature", Some(raw));
        }
        None => {}
    }
    let refuses_top_p = !rules.sampling || (has_temperature && !rules.both);
    match sampling.top_p {
        Some(raw) if refuses_top_p || (plan.thinks && value(raw) < THINKING_TOP_P) => {
            if differs(sampling.top_p, 1.0) {
                notes.drop("top_p");
            }
        }
        top_p => _ = out.number("top_p", top_p),
    }
    match sampling.top_k {
        Some(_) if !rules.sampling || plan.thinks => notes.drop("top_k"),
        top_k => _ = out.number("top_k", top_k),
    }
    drop_of_chat(sampling, notes);
    if call.verbosity.is_some() {
        notes.drop(verbosity_path(call));
    }
    openai_fields(call, false, notes, out);
}

/// Writes the tools. A history with calls needs tools, although the client offers none any more.
fn tools(call: &Call<'_>, notes: &mut Notes<'_>, marks: &mut Marks, own_mark: OwnMark, out: &mut ObjectWriter) {
    let is_known = models::claude(notes.options.known_model).is_adaptive();
    let mut strict_left = STRICT_MAX;
    let mut encoded = Vec::new();
    let chosen = chosen_tools(call);
    for (at, tool) in chosen.iter().enumerate() {
        let is_wanted = tool.strict == Some(true);
        let is_strict = is_wanted && is_known && strict_left > 0 && fits_strict(tool);
        if is_strict {
            strict_left -= 1;
        } else if is_wanted {
            notes.drop("tools.strict");
        }
        let is_marked = own_mark == OwnMark::LastTool && at + 1 == chosen.len();
        let mark = tool.cache.or(is_marked.then_some(CacheMark::Short));
        encoded.push(tool_definition(tool, is_strict, mark, marks));
    }
    if encoded.is_empty() {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for part in call.messages.iter().flat_map(|message| &message.parts) {
            if let Part::ToolCall(call) = part {
                names.insert(&call.name);
            }
        }
        let definition =
            |name: &&str| ObjectWriter::new().text("name", name).raw("input_schema", r#"{"type":"object"}"#).finish();
        encoded = names.iter().map(definition).collect();
    }
    if !encoded.is_empty() {
        out.raw("tools", &list(&encoded));
    }
}

/// Whether Anthropic takes the schema of the arguments as strict. OpenAI's strict schemas may have more keywords.
fn fits_strict(tool: &OfferedTool<'_>) -> bool {
    tool.schema.as_deref().and_then(|text| serde_json::from_str(text).ok()).is_some_and(schema::fits_messages)
}

fn tool_definition(tool: &OfferedTool<'_>, is_strict: bool, mark: Option<CacheMark>, marks: &mut Marks) -> String {
    let mut out = ObjectWriter::new();
    out.text("name", &tool.name);
    if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
        out.text("description", description);
    }
    let arguments = schema::for_arguments(tool.schema.as_deref());
    out.raw("input_schema", &schema::without_alternatives(&arguments));
    if is_strict {
        out.flag("strict", true);
    }
    marks.cache_control(&mut out, mark);
    out.finish()
}

fn tool_choice(call: &Call<'_>, rules: ClaudeRules, thinks: bool) -> Outcome<Option<String>> {
    let has_history = call.messages.iter().any(Message::has_calls);
    if chosen_tools(call).is_empty() {
        return Ok(has_history.then(|| ObjectWriter::of_type("none").finish()));
    }
    let choice = call.tool_choice.as_ref();
    let forces = choice.is_some_and(ToolChoice::is_forced);
    if forces && thinks && !rules.forced_tool {
        let advice =
            "must not force a call of a tool for this model, which always thinks: send auto, and ask for the call";
        return Err(refused("tool_choice", advice));
    }
    let mut out = match choice {
        None if call.parallel_tools != Some(false) => return Ok(None),
        Some(ToolChoice::None) => return Ok(Some(ObjectWriter::of_type("none").finish())),
        None | Some(ToolChoice::Auto | ToolChoice::Among { required: false, .. }) => ObjectWriter::of_type("auto"),
        Some(ToolChoice::Required | ToolChoice::Among { required: true, .. }) => ObjectWriter::of_type("any"),
        Some(ToolChoice::Tool(name)) => {
            let mut out = ObjectWriter::of_type("tool");
            out.text("name", name);
            out
        }
    };
    if call.parallel_tools == Some(false) {
        out.flag("disable_parallel_tool_use", true);
    }
    Ok(Some(out.finish()))
}

fn text_block(text: &TextPart<'_>, marks: &mut Marks) -> String {
    marked_block(text, text.cache, marks)
}

fn marked_block(text: &TextPart<'_>, mark: Option<CacheMark>, marks: &mut Marks) -> String {
    let mut out = ObjectWriter::of_type("text");
    out.text("text", &text.text);
    marks.cache_control(&mut out, mark);
    out.finish()
}

/// The messages, of which two of one role become one.
struct Turns<'o> {
    turns: TurnWriter<'o>,
    /// The texts of the last turn of the system, which is not written yet.
    system: Vec<String>,
    /// The blocks of this turn.
    system_blocks: Vec<String>,
    rules: ClaudeRules,
    marks: Marks,
}

impl Turns<'_> {
    /// Adds a block to the turn of its role.
    fn add(&mut self, role: &'static str, block: &str) {
        let blocks = std::mem::take(&mut self.system_blocks);
        if !blocks.is_empty() {
            // A turn of the system must precede one of the assistant, or be the last (letta-ai/letta-code, issue 3989).
            if role == "user" {
                let text = in_tags(&std::mem::take(&mut self.system).join(BETWEEN));
                self.turns.add("user", &ObjectWriter::of_type("text").text("text", &text).finish());
            } else {
                blocks.iter().for_each(|block| self.turns.add("system", block));
            }
        }
        self.turns.add(role, block);
    }

    /// Returns the role of the last turn.
    fn last(&self) -> Option<&'static str> {
        if self.system_blocks.is_empty() { self.turns.role() } else { Some("system") }
    }

    fn message(&mut self, message: &Message<'_>) -> Outcome<()> {
        match message.role {
            Role::System => {
                let last = self.last();
                if self.rules.mid_system && matches!(last, Some("user" | "system")) {
                    let texts: Vec<&TextPart<'_>> = message.parts.iter().filter_map(as_text).collect();
                    if last == Some("user") {
                        self.system.clear();
                    }
                    self.system.extend(texts.iter().map(|text| text.text.to_string()));
                    self.system_blocks.extend(texts.into_iter().map(|text| text_block(text, &mut self.marks)));
                } else {
                    self.add("user", &ObjectWriter::of_type("text").text("text", &tagged(message)).finish());
                }
            }
            Role::User => {
                for part in &message.parts {
                    if let Some(block) = self.block(part)? {
                        self.add("user", &block);
                    }
                }
            }
            Role::Assistant => self.assistant(message)?,
        }
        Ok(())
    }

    /// The block of a part; `None` for a blank text.
    fn block(&mut self, part: &Part<'_>) -> Outcome<Option<String>> {
        Ok(match part {
            Part::Text(_) => as_text(part).map(|text| text_block(text, &mut self.marks)),
            Part::Image(image) => Some(ObjectWriter::of_type("image").raw("source", &source(&image.source)).finish()),
            Part::File(file) => Some(document(file)?),
            Part::ToolResult(result) => Some(self.result(result)?),
            Part::Refusal(_) | Part::ToolCall(_) | Part::State(_) => {
                return Err(misplaced(part, "a message of the user"));
            }
        })
    }

    fn result(&mut self, result: &ToolResult<'_>) -> Encoded {
        let mut out = ObjectWriter::of_type("tool_result");
        out.text("tool_use_id", &result.call_id);
        let is_content = |part: &Part<'_>| !matches!(part, Part::Text(_)) || as_text(part).is_some();
        if result.content.iter().any(is_content) {
            let mut content = out.list("content");
            for part in &result.content {
                content.extend(self.block(part)?);
            }
            content.end();
        }
        if result.is_error {
            out.flag("is_error", true);
        }
        self.marks.cache_control(&mut out, result.cache);
        Ok(out.finish())
    }

    /// Adds the blocks of the assistant, its calls last: results must follow directly.
    fn assistant(&mut self, message: &Message<'_>) -> Outcome<()> {
        for part in &message.parts {
            match part {
                Part::Text(_) => {
                    if let Some(text) = as_text(part) {
                        let block = text_block(text, &mut self.marks);
                        self.add_of_assistant(&block);
                    }
                }
                Part::Refusal(words) => {
                    self.add_of_assistant(&ObjectWriter::of_type("text").text("text", words).finish());
                }
                Part::ToolCall(_) => {}
                Part::State(state) => {
                    let is_own = |item: &&str| matches!(kind(item).as_deref(), Some("thinking" | "redacted_thinking"));
                    let own = state.items.iter().map(|item| item.get()).filter(is_own);
                    own.for_each(|item| self.add_of_assistant(item));
                }
                Part::Image(_) | Part::File(_) | Part::ToolResult(_) => {
                    return Err(misplaced(part, "a message of the assistant"));
                }
            }
        }
        for part in &message.parts {
            let Part::ToolCall(call) = part else { continue };
            let input = crate::translate::arguments::object(&call.arguments);
            let mut out = ObjectWriter::of_type("tool_use");
            self.add_of_assistant(&out.text("id", &call.id).text("name", &call.name).raw("input", &input).finish());
        }
        Ok(())
    }

    /// Adds a block of the assistant. The first message must be the user's.
    fn add_of_assistant(&mut self, block: &str) {
        if self.last().is_none() {
            self.add("user", &ObjectWriter::of_type("text").text("text", OPENING).finish());
        }
        self.add("assistant", block);
    }

    fn end(mut self) {
        let blocks = std::mem::take(&mut self.system_blocks);
        blocks.iter().for_each(|block| self.turns.add("system", block));
        self.turns.end();
    }
}

fn source(source: &Source<'_>) -> String {
    match source {
        Source::Url(url) => ObjectWriter::of_type("url").text("url", url).finish(),
        Source::Base64 { media_type, data } => {
            ObjectWriter::of_type("base64").text("media_type", media_type).text("data", data).finish()
        }
    }
}

fn document(file: &File<'_>) -> Encoded {
    let inner = match &file.source {
        Source::Base64 { media_type, data } if media_type.starts_with("text/") => {
            let text = Base64::decode_vec(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| refused(&file.path, "must be UTF-8 text in base64"))?;
            ObjectWriter::of_type("text").text("media_type", "text/plain").text("data", &text).finish()
        }
        Source::Base64 { media_type, .. } if media_type != "application/pdf" => {
            let advice = format!("is a file of the type {media_type}, but this model takes only PDF and text");
            return Err(refused(&file.path, &advice));
        }
        Source::Base64 { .. } | Source::Url(_) => source(&file.source),
    };
    let mut out = ObjectWriter::of_type("document");
    out.raw("source", &inner);
    if let Some(name) = &file.name {
        out.text("title", name);
    }
    Ok(out.finish())
}

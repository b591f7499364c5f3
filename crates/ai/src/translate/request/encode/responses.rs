//! The Responses API of OpenAI.

use super::super::json::{ListWriter, ObjectWriter, Outcome, list, push_quoted, quoted, refused};
use super::super::models::{self, is_openai, is_openai_reasoning};
use super::super::notes::Notes;
use super::super::schema;
use super::chat::{SCHEMA_NAME, cache_key, effort, strict, strict_tool};
use super::parts::{
    Encoded, Marks, as_text, differs, drop_of_chat, error_text, joined, joined_texts, kind, mention_marks, misplaced,
    openai_fields, output_tokens_max, split_system, stop_path, texts, url, verbosity_path,
};
use crate::translate::call::{
    Call, Effort, File, Image, Message, OutputFormat, Part, Role, Source, TextPart, ToolCall, ToolChoice, ToolResult,
};

/// The least limit of output that the API accepts, in tokens.
const OUTPUT_TOKENS_MIN: u64 = 16;

pub(super) fn encode(call: &Call<'_>, notes: &mut Notes<'_>) -> Encoded {
    let options = notes.options;
    if !call.stop.is_empty() {
        let advice = "is not available for this model, which is served by the Responses API: leave it out";
        return Err(refused(stop_path(call), advice));
    }
    if !models::caches_at_marks(options.known_model) {
        mention_marks(call, notes);
    }
    let mut out = ObjectWriter::new();
    out.text("model", options.model);
    let marks = Marks::new(models::caches_at_marks(options.known_model));
    let (system, rest) = split_system(&call.messages);
    let system: Vec<&TextPart<'_>> = texts(system).collect();
    // An input without items is refused, and a mark needs an item.
    let is_marked = marks.are_left() && system.iter().any(|text| text.cache.is_some());
    let has_instructions = !rest.is_empty() && !is_marked;
    if has_instructions && !system.is_empty() {
        out.text("instructions", &joined_texts(&system));
    }
    let has_phases = is_openai(options) && models::has_phases(options.known_model);
    let mut input = Input { items: out.list("input"), marks, has_phases };
    if !has_instructions {
        input.message(if rest.is_empty() { "user" } else { "developer" }, &system);
    }
    input.messages(rest)?;
    input.items.end();
    tools(call, &mut out);
    if let Some(max) = output_tokens_max(call.output_tokens_max, options.output_tokens_max) {
        // OpenAI refuses less. Claude Code checks a key with 1.
        out.count("max_output_tokens", max.max(OUTPUT_TOKENS_MIN));
    }
    sampling(call, notes, &mut out);
    if let Some(text) = text(call, notes) {
        out.raw("text", &text);
    }
    let is_reasoning = is_openai_reasoning(options.known_model);
    reasoning(call, effort(call, notes), is_reasoning, &mut out);
    // Nothing is stored: the client keeps the state. Models that do not reason refuse the inclusion.
    out.flag("store", false);
    if is_reasoning {
        out.raw("include", r#"["reasoning.encrypted_content"]"#);
    }
    if let Some(key) = cache_key(call, is_openai(options)) {
        out.text("prompt_cache_key", &key);
    }
    openai_fields(call, is_openai(options), notes, &mut out);
    if call.stream {
        out.flag("stream", true);
    }
    Ok(out.finish())
}

fn sampling(call: &Call<'_>, notes: &mut Notes<'_>, out: &mut ObjectWriter) {
    let sampling = &call.sampling;
    let is_reasoning = is_openai_reasoning(notes.options.known_model);
    for (name, value) in [("temperature", sampling.temperature), ("top_p", sampling.top_p)] {
        if !is_reasoning {
            out.number(name, value);
        } else if differs(value, 1.0) {
            notes.drop(name);
        }
    }
    if sampling.top_k.is_some() {
        notes.drop("top_k");
    }
    drop_of_chat(sampling, notes);
}

fn reasoning(call: &Call<'_>, effort: Option<Effort>, is_reasoning: bool, out: &mut ObjectWriter) {
    let mut fields = ObjectWriter::new();
    if let Some(effort) = effort {
        fields.text("effort", effort.as_str());
    }
    let is_shown = is_reasoning && call.reasoning.shown == Some(true);
    if is_shown {
        fields.text("summary", "auto");
    }
    if effort.is_some() || is_shown {
        out.raw("reasoning", &fields.finish());
    }
}

fn text(call: &Call<'_>, notes: &mut Notes<'_>) -> Option<String> {
    let mut text = ObjectWriter::new();
    let format = format(call);
    if let Some(format) = &format {
        text.raw("format", format);
    }
    let is_known = is_openai_reasoning(notes.options.known_model);
    let verbosity = if is_known { call.verbosity.as_ref() } else { None };
    if let Some(verbosity) = verbosity {
        text.text("verbosity", verbosity);
    } else if call.verbosity.is_some() {
        notes.drop(verbosity_path(call));
    }
    (format.is_some() || verbosity.is_some()).then(|| text.finish())
}

fn format(call: &Call<'_>) -> Option<String> {
    let output = match &call.output {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => return Some(ObjectWriter::of_type("json_object").finish()),
        OutputFormat::JsonSchema(output) => output,
    };
    let mut format = ObjectWriter::of_type("json_schema");
    format.text("name", output.name.as_deref().unwrap_or(SCHEMA_NAME));
    if let Some(description) = &output.description {
        format.text("description", description);
    }
    format.raw("schema", output.schema.get());
    // Without the field OpenAI decides by the schema.
    format.flag("strict", strict(call.from, output.strict, || schema::fits_strict(&output.schema)).unwrap_or(false));
    Some(format.finish())
}

fn tools(call: &Call<'_>, out: &mut ObjectWriter) {
    if call.tools.is_empty() {
        return;
    }
    let tools = call.tools.iter().map(|tool| {
        let mut out = ObjectWriter::of_type("function");
        out.text("name", &tool.name);
        if let Some(description) = &tool.description {
            out.text("description", description);
        }
        out.raw("parameters", &schema::for_openai_arguments(tool.schema.as_deref()));
        // Without the field OpenAI decides by the schema, and could require every property.
        out.flag("strict", strict_tool(call.from, tool).unwrap_or(false));
        out.finish()
    });
    out.raw("tools", &list(&tools.collect::<Vec<_>>()));
    if let Some(choice) = &call.tool_choice {
        out.raw("tool_choice", &tool_choice(choice));
    }
    if call.parallel_tools == Some(false) {
        out.flag("parallel_tool_calls", false);
    }
}

fn tool_choice(choice: &ToolChoice) -> String {
    let one = |name: &str| ObjectWriter::of_type("function").text("name", name).finish();
    match choice {
        ToolChoice::Auto => quoted("auto"),
        ToolChoice::None => quoted("none"),
        ToolChoice::Required => quoted("required"),
        ToolChoice::Tool(name) => one(name),
        ToolChoice::Among { required, names } => {
            let tools = list(&names.iter().map(|name| one(name)).collect::<Vec<_>>());
            let mode = if *required { "required" } else { "auto" };
            ObjectWriter::of_type("allowed_tools").text("mode", mode).raw("tools", &tools).finish()
        }
    }
}

/// The items of the input.
struct Input<'o> {
    items: ListWriter<'o>,
    marks: Marks,
    /// Whether messages of the assistant have a phase.
    has_phases: bool,
}

impl Input<'_> {
    /// Adds the messages of the call.
    fn messages(&mut self, messages: &[Message<'_>]) -> Outcome<()> {
        for message in messages {
            match message.role {
                Role::System => {
                    let texts: Vec<&TextPart<'_>> = message.parts.iter().filter_map(as_text).collect();
                    self.message("developer", &texts);
                }
                Role::User => self.user(message)?,
                Role::Assistant => self.assistant(message)?,
            }
        }
        Ok(())
    }

    /// Adds a message of texts, unless it is empty.
    fn message(&mut self, role: &str, texts: &[&TextPart<'_>]) {
        if texts.is_empty() {
            return;
        }
        let out = begin_message(role, &mut self.items);
        let mut parts = ListWriter::new(out);
        parts.extend(texts.iter().map(|text| text_part(text, &mut self.marks)));
        parts.end();
        out.push('}');
    }

    fn user(&mut self, message: &Message<'_>) -> Outcome<()> {
        let is_content = |part: &&Part<'_>| match part {
            Part::Text(_) => as_text(part).is_some(),
            Part::Image(_) | Part::File(_) | Part::Refusal(_) | Part::ToolCall(_) | Part::State(_) => true,
            Part::ToolResult(_) => false,
        };
        for part in &message.parts {
            if let Part::ToolResult(result) = part {
                let item = self.result(result)?;
                self.items.push(&item);
            }
        }
        let mut content = message.parts.iter().filter(is_content).peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        let out = begin_message("user", &mut self.items);
        let mut parts = ListWriter::new(out);
        for part in content {
            parts.extend(user_part(part, &mut self.marks)?);
        }
        parts.end();
        out.push('}');
        Ok(())
    }

    fn result(&mut self, result: &ToolResult<'_>) -> Encoded {
        let mut out = ObjectWriter::of_type("function_call_output");
        out.text("call_id", &result.call_id);
        if result.content.iter().all(|part| matches!(part, Part::Text(_))) {
            let text = joined(result.content.iter().filter_map(as_text));
            out.text("output", &error_text(result.is_error, text));
        } else {
            let mut parts = out.list("output");
            if result.is_error {
                parts
                    .push(&ObjectWriter::of_type("input_text").text("text", &error_text(true, String::new())).finish());
            }
            for part in &result.content {
                parts.extend(user_part(part, &mut self.marks)?);
            }
            parts.end();
        }
        Ok(out.finish())
    }

    fn assistant(&mut self, message: &Message<'_>) -> Outcome<()> {
        for part in &message.parts {
            match part {
                Part::Text(_) => {
                    if let Some(text) = as_text(part) {
                        let part = ObjectWriter::of_type("output_text").text("text", &text.text).finish();
                        let mut item = ObjectWriter::of_type("message");
                        item.text("role", "assistant").raw("content", &list(&[part]));
                        if self.has_phases {
                            item.text("phase", if message.has_calls() { "commentary" } else { "final_answer" });
                        }
                        self.items.push(&item.finish());
                    }
                }
                Part::Refusal(words) => {
                    let part = ObjectWriter::of_type("refusal").text("refusal", words).finish();
                    let mut item = ObjectWriter::of_type("message");
                    self.items.push(&item.text("role", "assistant").raw("content", &list(&[part])).finish());
                }
                Part::ToolCall(call) => self.items.push(&call_item(call)),
                Part::State(state) => {
                    let is_own = |item: &&str| item.starts_with("{\"") && kind(item).as_deref() == Some("reasoning");
                    self.items.extend(state.items.iter().map(|item| item.get()).filter(is_own));
                }
                Part::Image(_) | Part::File(_) | Part::ToolResult(_) => {
                    return Err(misplaced(part, "a message of the assistant"));
                }
            }
        }
        Ok(())
    }
}

/// Begins a message, and returns the text behind which its content is written.
fn begin_message<'o>(role: &str, items: &'o mut ListWriter<'_>) -> &'o mut String {
    let out = items.value();
    out.push_str(r#"{"type":"message","role":"#);
    push_quoted(out, role);
    out.push_str(r#","content":"#);
    out
}

fn text_part(text: &TextPart<'_>, marks: &mut Marks) -> String {
    let mut out = ObjectWriter::of_type("input_text");
    out.text("text", &text.text);
    marks.breakpoint(&mut out, text.cache);
    out.finish()
}

/// A part of the user; `None` for a blank text.
fn user_part(part: &Part<'_>, marks: &mut Marks) -> Outcome<Option<String>> {
    Ok(match part {
        Part::Text(_) => as_text(part).map(|text| text_part(text, marks)),
        Part::Image(image) => Some(image_part(image)),
        Part::File(file) => Some(file_part(file)?),
        Part::Refusal(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::State(_) => {
            return Err(misplaced(part, "a message of the user"));
        }
    })
}

fn call_item(call: &ToolCall<'_>) -> String {
    let arguments = crate::translate::arguments::text(&call.arguments);
    let mut out = ObjectWriter::of_type("function_call");
    out.text("call_id", &call.id).text("name", &call.name).text("arguments", arguments).finish()
}

fn image_part(image: &Image<'_>) -> String {
    let mut out = ObjectWriter::of_type("input_image");
    out.text("image_url", &url(&image.source));
    if let Some(detail) = &image.detail {
        out.text("detail", detail);
    }
    out.finish()
}

fn file_part(file: &File<'_>) -> Encoded {
    let mut out = ObjectWriter::of_type("input_file");
    match &file.source {
        Source::Url(url) => _ = out.text("file_url", url),
        Source::Base64 { media_type, .. } if media_type.starts_with("audio/") => {
            return Err(refused(&file.path, "is sound, which the Responses API does not take: send its text"));
        }
        Source::Base64 { .. } => {
            let name = file.name.as_deref().unwrap_or("document.pdf");
            out.text("filename", name).text("file_data", &url(&file.source));
        }
    }
    Ok(out.finish())
}

//! The Chat Completions API of OpenAI, and of providers with a part of it.

mod media;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::json::{ListWriter, ObjectWriter, Outcome, list, push_quoted, quoted, refused};
use super::super::models::{self, is_openai, is_openai_reasoning};
use super::super::names;
use super::super::notes::Notes;
use super::super::schema;
use super::super::stops::{OPENAI_STOPS_MAX, check_stops};
use super::parts::{
    BETWEEN, Encoded, Marks, as_text, chosen_tools, differs, error_text, joined, joined_texts, mention_marks,
    misplaced, openai_fields, output_tokens_max, split_system, stop_path, texts, verbosity_path,
};
use crate::format::Format;
use crate::hosts::host;
use crate::translate::call::{
    CacheKey, Call, Effort, Message, OfferedTool, OutputFormat, Part, Role, TextPart, ToolCall, ToolChoice, ToolResult,
};
use crate::translate::call_ids::call_id;
use media::{file_part, image_part};

/// The name of a schema for the response where the client has none.
pub(super) const SCHEMA_NAME: &str = "response";

/// Advice about models that need another format.
const FORMATS: &str = "set `formats: [responses, chat]` of its provider";
/// Mistral's length of the ids of calls, which are letters and digits.
const MISTRAL_ID_LEN: usize = 9;
/// A message of the assistant between a result and files of the user, which may not follow a result directly.
const UNDERSTOOD: &str = "Understood.";
pub(super) fn encode(call: &Call<'_>, notes: &mut Notes<'_>) -> Encoded {
    let options = notes.options;
    let mut target = Target {
        is_openai: is_openai(options),
        is_reasoning: is_openai_reasoning(options.known_model),
        is_mistral: models::is_mistral(options.known_model, options.host),
        marks: Marks::new(models::caches_at_marks(options.known_model)),
    };
    target.check(call, options.known_model)?;
    if !target.marks.are_left() {
        mention_marks(call, notes);
    }
    let mut out = ObjectWriter::new();
    out.text("model", options.model);
    let mut messages = out.list("messages");
    target.messages(&call.messages, &mut messages)?;
    messages.end();
    tools(call, &target, &mut out);
    if let Some(max) = output_tokens_max(call.output_tokens_max, options.output_tokens_max) {
        // OpenAI's models that reason refuse `max_tokens`; other servers may know no other limit.
        let is_new = target.is_openai || target.is_reasoning;
        out.count(if is_new { "max_completion_tokens" } else { "max_tokens" }, max);
    }
    sampling(call, &target, notes, &mut out);
    if !call.stop.is_empty() {
        if target.is_openai {
            check_stops(stop_path(call), call.stop.len(), OPENAI_STOPS_MAX)?;
        }
        out.raw("stop", &list(&call.stop.iter().map(|text| quoted(text)).collect::<Vec<_>>()));
    }
    if let Some(format) = response_format(call) {
        out.raw("response_format", &format);
    }
    if let Some(effort) = effort(call, notes) {
        out.text("reasoning_effort", effort.as_str());
    }
    if let Some(key) = cache_key(call, target.is_openai) {
        out.text("prompt_cache_key", &key);
    }
    openai_fields(call, target.is_openai, notes, &mut out);
    if call.stream {
        out.flag("stream", true);
        if !host::reports_usage_unasked(options.host) {
            out.raw("stream_options", r#"{"include_usage":true}"#);
        }
    }
    Ok(out.finish())
}

fn sampling(call: &Call<'_>, target: &Target, notes: &mut Notes<'_>, out: &mut ObjectWriter) {
    let sampling = &call.sampling;
    for (name, value, usual) in [
        ("temperature", sampling.temperature, 1.0),
        ("top_p", sampling.top_p, 1.0),
        ("frequency_penalty", sampling.frequency_penalty, 0.0),
        ("presence_penalty", sampling.presence_penalty, 0.0),
    ] {
        if !target.is_reasoning {
            out.number(name, value);
        } else if differs(value, usual) {
            notes.drop(name);
        }
    }
    out.number("seed", sampling.seed);
    if sampling.top_k.is_some() {
        notes.drop("top_k");
    }
    match &call.verbosity {
        Some(verbosity) if target.is_reasoning => _ = out.text("verbosity", verbosity),
        Some(_) => notes.drop(verbosity_path(call)),
        None => {}
    }
}

/// The effort of reasoning for a model of OpenAI's; other models have none.
pub(super) fn effort(call: &Call<'_>, notes: &mut Notes<'_>) -> Option<Effort> {
    let wanted = call.reasoning.effort?;
    let efforts = models::efforts(notes.options.known_model);
    if efforts.is_none() && wanted != Effort::None {
        notes.drop(call.reasoning.path);
    }
    efforts.map(|efforts| efforts.nearest(wanted))
}

/// The key of the provider's cache: the client's, or the hash of its session. Other hosts may refuse the field.
pub(super) fn cache_key(call: &Call<'_>, is_openai: bool) -> Option<String> {
    if !is_openai {
        return None;
    }
    match call.cache_key.as_ref()? {
        CacheKey::Key(key) => Some(key.to_string()),
        CacheKey::Session(session) => Some(names::hexadecimal(session, 32)),
    }
}

fn response_format(call: &Call<'_>) -> Option<String> {
    let output = match &call.output {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => return Some(ObjectWriter::of_type("json_object").finish()),
        OutputFormat::JsonSchema(output) => output,
    };
    let mut inner = ObjectWriter::new();
    inner.text("name", output.name.as_deref().unwrap_or(SCHEMA_NAME));
    if let Some(description) = &output.description {
        inner.text("description", description);
    }
    inner.raw("schema", output.schema.get());
    if let Some(strict) = strict(call.from, output.strict, || schema::fits_strict(&output.schema)) {
        inner.flag("strict", strict);
    }
    Some(ObjectWriter::of_type("json_schema").raw("json_schema", &inner.finish()).finish())
}

/// Whether a schema is strict. Anthropic's strict schemas may not be in OpenAI's subset.
pub(super) fn strict(from: Format, wanted: Option<bool>, fits: impl FnOnce() -> bool) -> Option<bool> {
    if from == Format::Messages { wanted.map(|wanted| wanted && fits()) } else { wanted }
}

/// The strictness of a tool's arguments.
pub(super) fn strict_tool(from: Format, tool: &OfferedTool<'_>) -> Option<bool> {
    let fits =
        || tool.schema.as_deref().and_then(|text| serde_json::from_str(text).ok()).is_some_and(schema::fits_strict);
    strict(from, tool.strict, fits)
}

fn tools(call: &Call<'_>, target: &Target, out: &mut ObjectWriter) {
    // Other servers do not know a choice among some of the tools.
    let tools = if target.is_openai { call.tools.iter().collect() } else { chosen_tools(call) };
    if tools.is_empty() {
        return;
    }
    let encoded: Vec<String> = tools
        .into_iter()
        .map(|tool| {
            let mut function = ObjectWriter::new();
            function.text("name", &tool.name);
            if let Some(description) = &tool.description {
                function.text("description", description);
            }
            function.raw("parameters", &schema::for_openai_arguments(tool.schema.as_deref()));
            if strict_tool(call.from, tool) == Some(true) {
                function.flag("strict", true);
            }
            ObjectWriter::of_type("function").raw("function", &function.finish()).finish()
        })
        .collect();
    out.raw("tools", &list(&encoded));
    if let Some(choice) = &call.tool_choice {
        out.raw("tool_choice", &tool_choice(choice, target.is_openai));
    }
    // True is the default, and some servers do not know the field.
    if call.parallel_tools == Some(false) {
        out.flag("parallel_tool_calls", false);
    }
}

fn tool_choice(choice: &ToolChoice, is_openai: bool) -> String {
    let one = |name: &str| {
        ObjectWriter::of_type("function").raw("function", &ObjectWriter::new().text("name", name).finish()).finish()
    };
    match choice {
        ToolChoice::Auto => quoted("auto"),
        ToolChoice::None => quoted("none"),
        ToolChoice::Required => quoted("required"),
        ToolChoice::Tool(name) => one(name),
        ToolChoice::Among { required, names } => {
            let mode = if *required { "required" } else { "auto" };
            if !is_openai {
                return quoted(mode);
            }
            let tools = list(&names.iter().map(|name| one(name)).collect::<Vec<_>>());
            let among = ObjectWriter::new().text("mode", mode).raw("tools", &tools).finish();
            ObjectWriter::of_type("allowed_tools").raw("allowed_tools", &among).finish()
        }
    }
}

/// What the server accepts.
struct Target {
    is_openai: bool,
    is_reasoning: bool,
    is_mistral: bool,
    marks: Marks,
}

impl Target {
    /// Refuses what OpenAI's models do not take by this API.
    fn check(&self, call: &Call<'_>, model: &str) -> Outcome<()> {
        if self.is_openai && !models::speaks_chat(model) {
            return Err(refused("model", &format!("is served only by the Responses API: {FORMATS}")));
        }
        let has_effort = call.reasoning.effort.is_some_and(|effort| effort != Effort::None);
        if self.is_openai && !call.tools.is_empty() && models::refuses_tools_in_chat(model, has_effort) {
            return Err(refused("model", &format!("takes tools only in the Responses API: {FORMATS}")));
        }
        if self.is_openai && self.is_reasoning && !call.stop.is_empty() {
            return Err(refused(stop_path(call), "is not available for this model, which reasons: leave it out"));
        }
        Ok(())
    }

    fn messages(&mut self, messages: &[Message<'_>], out: &mut ListWriter<'_>) -> Outcome<()> {
        let (system, rest) = split_system(messages);
        let texts: Vec<&TextPart<'_>> = texts(system).collect();
        if !texts.is_empty() {
            self.message(self.system_role(), &texts, out);
        }
        for message in rest {
            match message.role {
                // At other hosts these are the user's: see `merge_users`.
                Role::System => {
                    let texts: Vec<&TextPart<'_>> = message.parts.iter().filter_map(as_text).collect();
                    self.message(self.system_role(), &texts, out);
                }
                Role::User => self.user(message, out)?,
                Role::Assistant => out.extend(self.assistant(message)?),
            }
        }
        Ok(())
    }

    const fn system_role(&self) -> &'static str {
        if self.is_openai && self.is_reasoning { "developer" } else { "system" }
    }

    /// Writes a message of texts only: as one string, which every server accepts, or as parts if one has a mark.
    fn message(&mut self, name: &str, texts: &[&TextPart<'_>], out: &mut ListWriter<'_>) {
        let out = begin_message(name, out);
        if self.marks.are_left() && texts.iter().any(|text| text.cache.is_some()) {
            let mut parts = ListWriter::new(out);
            parts.extend(texts.iter().map(|text| self.text(text)));
            parts.end();
        } else {
            push_quoted(out, &joined_texts(texts));
        }
        out.push('}');
    }

    fn text(&mut self, text: &TextPart<'_>) -> String {
        let mut out = ObjectWriter::of_type("text");
        out.text("text", &text.text);
        self.marks.breakpoint(&mut out, text.cache);
        out.finish()
    }

    fn user(&mut self, message: &Message<'_>, out: &mut ListWriter<'_>) -> Outcome<()> {
        let mut content = Vec::new();
        let mut results = Vec::new();
        let mut of_results = Vec::new();
        for part in &message.parts {
            match part {
                Part::ToolResult(result) => results.push((&**result, result_text(result, &mut of_results))),
                Part::Text(_) | Part::Image(_) | Part::File(_) => content.push(part),
                Part::Refusal(_) | Part::ToolCall(_) | Part::State(_) => {
                    return Err(misplaced(part, "a message of the user"));
                }
            }
        }
        let is_text = of_results.is_empty() && content.iter().all(|part| matches!(part, Part::Text(_)));
        let texts: Vec<&TextPart<'_>> = content.iter().filter_map(|part| as_text(part)).collect();
        let follows_result = self.is_mistral && !results.is_empty();
        if follows_result
            && is_text
            && !texts.is_empty()
            && let Some((_, last)) = results.last_mut()
        {
            *last = format!("{last}{BETWEEN}{}", joined(texts.iter().copied()));
            content.clear();
        }
        out.extend(results.into_iter().map(|(result, text)| {
            role("tool").text("tool_call_id", &self.id(&result.call_id)).text("content", &text).finish()
        }));
        if content.is_empty() && of_results.is_empty() {
            return Ok(());
        }
        if follows_result {
            out.push(&role("assistant").text("content", UNDERSTOOD).finish());
        }
        if is_text {
            self.message("user", &texts, out);
            return Ok(());
        }
        let out = begin_message("user", out);
        let mut parts = ListWriter::new(out);
        if !of_results.is_empty() {
            parts.push(&ObjectWriter::of_type("text").text("text", "The tools returned these files:").finish());
        }
        for part in of_results.into_iter().chain(content) {
            parts.extend(self.part(part)?);
        }
        parts.end();
        out.push('}');
        Ok(())
    }

    /// The id of a call in the form that the server takes.
    fn id<'m>(&self, id: &'m str) -> Cow<'m, str> {
        let is_short = id.len() == MISTRAL_ID_LEN && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !self.is_mistral || is_short { Cow::Borrowed(id) } else { names::hexadecimal(id, MISTRAL_ID_LEN).into() }
    }

    fn part(&mut self, part: &Part<'_>) -> Outcome<Option<String>> {
        Ok(match part {
            Part::Text(_) => as_text(part).map(|text| self.text(text)),
            Part::Image(image) => Some(image_part(image)),
            Part::File(file) => Some(file_part(file)?),
            Part::Refusal(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::State(_) => {
                return Err(misplaced(part, "a message of the user"));
            }
        })
    }

    /// A message of the assistant; `None` if nothing of it can be sent.
    fn assistant(&self, message: &Message<'_>) -> Outcome<Option<String>> {
        let mut text = Vec::new();
        let mut refusal = None;
        let mut calls = Vec::new();
        let mut state = BTreeMap::new();
        let mut reasoning = String::new();
        let mut details: Vec<&RawValue> = Vec::new();
        for part in &message.parts {
            match part {
                Part::Text(_) => text.extend(as_text(part).map(|text| text.text.as_ref())),
                Part::Refusal(words) if self.is_openai => refusal = Some(words),
                Part::Refusal(words) => text.push(words),
                Part::ToolCall(call) => calls.push(call),
                Part::State(part) => {
                    state.extend(part.items.iter().filter_map(|item| Extra::read(item.get())).map(Extra::by_id));
                    details.extend(part.items.iter().filter_map(|item| Details::read(item.get())).flatten());
                    reasoning.push_str(part.text.as_deref().unwrap_or_default());
                }
                Part::Image(_) | Part::File(_) | Part::ToolResult(_) => {
                    return Err(misplaced(part, "a message of the assistant"));
                }
            }
        }
        if text.is_empty() && calls.is_empty() && refusal.is_none() {
            return Ok(None);
        }
        let mut out = role("assistant");
        // DeepSeek requires the reasoning of a loop of tools, and refuses or ignores any other.
        if !details.is_empty() {
            out.raw("reasoning_details", &list(&details.into_iter().map(RawValue::get).collect::<Vec<_>>()));
        } else if !calls.is_empty() && !reasoning.is_empty() && !self.is_openai {
            out.text("reasoning_content", &reasoning);
        }
        match text.as_slice() {
            [] => _ = out.raw("content", "null"),
            [text] => _ = out.text("content", text),
            texts => _ = out.text("content", &texts.join("\n")),
        }
        if let Some(refusal) = refusal {
            out.text("refusal", refusal);
        }
        if !calls.is_empty() {
            let calls = calls.iter().map(|call| tool_call(call, &self.id(&call.id), &state));
            out.raw("tool_calls", &list(&calls.collect::<Vec<_>>()));
        }
        Ok(Some(out.finish()))
    }
}

/// The state of reasoning of OpenRouter and MiniMax.
#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    reasoning_details: Vec<&'a RawValue>,
}

impl<'a> Details<'a> {
    fn read(item: &'a str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(item).ok().map(|Self { reasoning_details }| reasoning_details)
    }
}

/// The field with a provider's state of one call.
#[derive(Deserialize)]
struct Extra<'a> {
    call_id: Cow<'a, str>,
    #[serde(borrow)]
    extra_content: &'a RawValue,
}

impl<'a> Extra<'a> {
    fn read(item: &'a str) -> Option<Self> {
        serde_json::from_str(item).ok()
    }

    /// The id of the call as it is sent, and the field.
    fn by_id(self) -> (String, &'a RawValue) {
        (call_id(&self.call_id).into_owned(), self.extra_content)
    }
}

/// Begins a message, and returns the text behind which its content is written.
fn begin_message<'o>(role: &str, out: &'o mut ListWriter<'_>) -> &'o mut String {
    let out = out.value();
    out.push_str(r#"{"role":"#);
    push_quoted(out, role);
    out.push_str(r#","content":"#);
    out
}

fn role(name: &str) -> ObjectWriter {
    let mut out = ObjectWriter::new();
    out.text("role", name);
    out
}

/// The text of a tool's result, which may have nothing else. Its images and files go to `others`.
fn result_text<'m, 'a>(result: &'m ToolResult<'a>, others: &mut Vec<&'m Part<'a>>) -> String {
    let is_file = |part: &&Part<'_>| matches!(part, Part::Image(_) | Part::File(_));
    others.extend(result.content.iter().filter(is_file));
    let mut text = joined(result.content.iter().filter_map(as_text));
    if text.is_empty() && result.content.iter().any(|part| is_file(&part)) {
        "The result is a file in the next message of the user.".clone_into(&mut text);
    }
    error_text(result.is_error, text)
}

fn tool_call(call: &ToolCall<'_>, id: &str, state: &BTreeMap<String, &RawValue>) -> String {
    let arguments = crate::translate::arguments::text(&call.arguments);
    let function = ObjectWriter::new().text("name", &call.name).text("arguments", arguments).finish();
    let mut out = ObjectWriter::new();
    out.text("id", id).text("type", "function").raw("function", &function);
    if let Some(extra) = state.get(&call.id) {
        out.raw("extra_content", extra.get());
    }
    out.finish()
}

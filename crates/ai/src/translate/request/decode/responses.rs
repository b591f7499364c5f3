//! The Responses API of OpenAI.

use std::borrow::Cow;

use serde_json::value::RawValue;
use smallvec::smallvec;

use super::super::json::{Node, Object, Outcome, refused};
use super::super::notes::Notes;
use super::{chat, media, tools};
use crate::format::Format;
use crate::translate::call::{
    CacheKey, Call, Effort, Message, MessagePath, OutputFormat, Part, Parts, Reasoning, Role, Sampling, State,
    TextPart, ToolCall, ToolResult,
};
use crate::translate::call_ids::call_id;
use crate::translate::context::ToolOrigin;

const REFUSED: &[&str] = &["background", "conversation", "prompt", "logprobs"];
/// The advice for a reference that [`conversation`](crate::translate::conversation) did not resolve.
const UNKNOWN: &str = "refers to a response or an item that Tollgate does not know: of models in another format, it remembers the \
                       responses to a key for 10 minutes. Set `store: false`, so that your SDK sends the items themselves";
/// The fields that a response repeats.
const ECHOED: [&str; 15] = [
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_output_tokens",
    "max_tool_calls",
    "text",
    "reasoning",
    "metadata",
    "truncation",
    "user",
    "safety_identifier",
    "prompt_cache_key",
];
/// Longest value that a response repeats, in bytes: a stream has it three times.
const ECHO_BYTES_MAX: usize = 4 * 1024;
/// Calls of tools that OpenAI runs: their results are in the text that follows.
const HOSTED_CALLS: [&str; 5] =
    ["web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_list_tools"];

pub(super) fn decode<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Call<'a>> {
    media::no_fields(body, REFUSED)?;
    if let Some(node) = body.get("previous_response_id") {
        return Err(node.refused(UNKNOWN));
    }
    if body.count("top_logprobs")?.is_some_and(|count| count > 0) {
        return Err(refused("top_logprobs", "must be 0: this model's provider has another format"));
    }
    if body.texts("include")?.iter().any(|word| word == "message.output_text.logprobs") {
        return Err(refused("include", "must be without message.output_text.logprobs for this model"));
    }
    dropped(body, notes)?;
    let mut offered = tools::OfferedTools::default();
    body.list("tools")?.try_for_each(|tool| tools::add(&tool, notes, &mut offered))?;
    let mut input = Input { messages: instructions(body)?, tools: offered, reasoning: body.object("reasoning")? };
    input.read(&body.required("input")?, notes)?;
    let Input { messages, tools: offered, reasoning: effort } = input;
    let offered = offered.into_list();
    let tool_choice = body.get("tool_choice").map(|node| tools::choice(&node, &offered, notes)).transpose()?;
    let text = body.object("text")?;
    Ok(Call {
        from: Format::Responses,
        model: body.required_text("model")?.into_owned(),
        stream: body.flag("stream")?.unwrap_or(false),
        include_usage: true,
        messages,
        tools: offered,
        tool_choice,
        parallel_tools: body.flag("parallel_tool_calls")?,
        output_tokens_max: body.count("max_output_tokens")?,
        sampling: Sampling {
            temperature: body.number("temperature")?,
            top_p: body.number("top_p")?,
            ..Sampling::default()
        },
        stop: Vec::new(),
        output: output(text.as_ref())?,
        verbosity: text.map(|text| text.text("verbosity")).transpose()?.flatten(),
        reasoning: reasoning(effort.as_ref())?,
        cache_key: body.text("prompt_cache_key")?.map(CacheKey::Key),
        openai: chat::openai_fields(body),
        echo: echo(body),
    })
}

fn echo<'a>(body: &Object<'a>) -> Vec<(&'static str, &'a RawValue)> {
    let value = |name| body.get(name).map(|node| (name, node.raw)).filter(|(_, raw)| raw.get().len() <= ECHO_BYTES_MAX);
    ECHOED.into_iter().filter_map(value).collect()
}

/// Notes the fields without a counterpart that change the response.
fn dropped(body: &Object<'_>, notes: &mut Notes<'_>) -> Outcome<()> {
    if body.text("truncation")?.is_some_and(|word| word != "disabled") {
        notes.drop("truncation");
    }
    if body.get("context_management").is_some_and(|node| !node.is_empty()) {
        notes.drop("context_management");
    }
    if body.get("max_tool_calls").is_some() {
        notes.mention("max_tool_calls");
    }
    Ok(())
}

fn instructions<'a>(body: &Object<'a>) -> Outcome<Vec<Message<'a>>> {
    let Some(text) = body.text("instructions")? else { return Ok(Vec::new()) };
    Ok(vec![Message { role: Role::System, parts: smallvec![Part::text(text)], path: MessagePath::new("instructions") }])
}

fn output<'a>(text: Option<&Object<'a>>) -> Outcome<OutputFormat<'a>> {
    let Some(text) = text else { return Ok(OutputFormat::Text) };
    let Some(format) = text.object("format")? else { return Ok(OutputFormat::Text) };
    match format.required_text("type")?.as_ref() {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::JsonObject),
        "json_schema" => chat::schema(&format),
        _ => Err(refused(&format.field_path("type"), "must be text, json_object or json_schema")),
    }
}

fn reasoning(fields: Option<&Object<'_>>) -> Outcome<Reasoning> {
    let path = "reasoning.effort";
    let Some(fields) = fields else { return Ok(Reasoning { path, ..Reasoning::default() }) };
    let effort = fields.get("effort").map(|node| chat::effort(&node)).transpose()?;
    let shown = fields.text("summary")?.is_some_and(|word| word != "none");
    let requested = effort.is_some_and(|effort| effort != Effort::None);
    Ok(Reasoning { effort, requested, shown: shown.then_some(true), path })
}

/// The items of the input: messages, and settings that apply from there on.
struct Input<'a> {
    messages: Vec<Message<'a>>,
    tools: tools::OfferedTools<'a>,
    reasoning: Option<Object<'a>>,
}

impl<'a> Input<'a> {
    fn read(&mut self, node: &Node<'a>, notes: &mut Notes<'_>) -> Outcome<()> {
        if node.is_text() {
            let parts = smallvec![Part::text(node.text()?)];
            self.messages.push(Message { role: Role::User, parts, path: MessagePath::new(&node.path) });
            return Ok(());
        }
        node.list()?.try_for_each(|item| self.item(&item.object()?, notes))
    }

    fn item(&mut self, item: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<()> {
        let kind = item.text("type")?;
        match kind.as_deref() {
            Some("item_reference") => Err(refused(&item.field_path("id"), UNKNOWN)),
            None if item.get("role").is_none() && item.get("id").is_some() => {
                Err(refused(&item.field_path("id"), UNKNOWN))
            }
            None | Some("message") => self.message(item, notes),
            Some("reasoning") => {
                let state = item.text("encrypted_content")?.and_then(|text| notes.state(&text));
                if let Some(items) = state {
                    let text = summary(item)?;
                    let state = notes.part(Part::State(Box::new(State { items, text })))?;
                    self.push(Role::Assistant, item, state);
                }
                Ok(())
            }
            Some("function_call") => {
                let origin = tools::function_origin(item.text("namespace")?.as_deref(), &item.required_text("name")?);
                let arguments = item.text("arguments")?.unwrap_or_default();
                self.call(item, &origin, arguments, notes)
            }
            Some("custom_tool_call") => {
                let namespace = item.text("namespace")?;
                let name = item.required_text("name")?.into_owned();
                let origin = ToolOrigin::Custom { namespace: namespace.map(Cow::into_owned), name };
                let arguments = tools::custom_arguments(&item.text("input")?.unwrap_or_default());
                self.call(item, &origin, arguments.into(), notes)
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                let content = item.get("output").map_or_else(|| Ok(Parts::new()), |node| content(&node, notes))?;
                let call_id = call_id(&item.required_text("call_id")?).into_owned();
                let path = item.path.clone();
                let result = ToolResult { call_id, content, is_error: false, cache: None, path };
                let result = notes.part(Part::ToolResult(Box::new(result)))?;
                self.push(Role::User, item, result);
                Ok(())
            }
            Some("additional_tools") => {
                item.list("tools")?.try_for_each(|tool| tools::add(&tool, notes, &mut self.tools))
            }
            Some("configuration_update") => {
                let update = item.object("reasoning")?;
                self.reasoning = update.or(self.reasoning.take());
                Ok(())
            }
            Some(hosted) if HOSTED_CALLS.contains(&hosted) => {
                notes.drop(item.path.clone());
                Ok(())
            }
            Some(_) => {
                let advice = "is not available for this model, whose provider has another format: leave this item out";
                Err(refused(&item.field_path("type"), advice))
            }
        }
    }

    fn message(&mut self, item: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<()> {
        notes.hold(size_of::<Message<'_>>())?;
        let role = match item.required_text("role")?.as_ref() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return Err(refused(&item.field_path("role"), "must be system, developer, user or assistant")),
        };
        let parts = content(&item.required("content")?, notes)?;
        if role == Role::Assistant {
            parts.into_iter().for_each(|part| self.push(role, item, part));
        } else {
            self.messages.push(Message { role, parts, path: MessagePath::new(&item.path) });
        }
        Ok(())
    }

    fn call(
        &mut self,
        item: &Object<'a>,
        origin: &ToolOrigin,
        arguments: Cow<'a, str>,
        notes: &mut Notes<'_>,
    ) -> Outcome<()> {
        let id = call_id(&item.required_text("call_id")?).into_owned();
        let call = ToolCall { id, name: notes.names.name(origin), arguments };
        let call = notes.part(Part::ToolCall(Box::new(call)))?;
        self.push(Role::Assistant, item, call);
        Ok(())
    }

    /// Adds a part to the last message if it has the same role: the items of one response are one message elsewhere.
    fn push(&mut self, role: Role, item: &Object<'a>, part: Part<'a>) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.parts.push(part),
            _ => self.messages.push(Message { role, parts: smallvec![part], path: MessagePath::new(&item.path) }),
        }
    }
}

/// The readable text of a reasoning item.
fn summary<'a>(item: &Object<'a>) -> Outcome<Option<Cow<'a, str>>> {
    let mut text = String::new();
    for name in ["content", "summary"] {
        for part in item.list(name)? {
            text.push_str(&part.object()?.text("text")?.unwrap_or_default());
        }
        if !text.is_empty() {
            return Ok(Some(text.into()));
        }
    }
    Ok(None)
}

fn content<'a>(node: &Node<'a>, notes: &mut Notes<'_>) -> Outcome<Parts<'a>> {
    if node.is_text() {
        return Ok(smallvec![notes.only_part(Part::text(node.text()?))?]);
    }
    node.list()?.map(|part| notes.part(content_part(&part.object()?)?)).collect()
}

fn content_part<'a>(part: &Object<'a>) -> Outcome<Part<'a>> {
    match part.required_text("type")?.as_ref() {
        "input_text" | "output_text" | "text" => {
            Ok(Part::Text(TextPart { text: part.required_text("text")?, cache: media::breakpoint(part)? }))
        }
        "refusal" => Ok(Part::Refusal(part.required_text("refusal")?)),
        "input_image" => media::image(part),
        "input_file" => media::file(part),
        _ => Err(refused(
            &part.field_path("type"),
            "must be input_text, output_text, refusal, input_image or input_file",
        )),
    }
}

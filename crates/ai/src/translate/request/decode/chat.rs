//! The Chat Completions API of OpenAI.

use std::borrow::Cow;

use serde_json::value::RawValue;
use smallvec::smallvec;

use super::super::json::{Node, Object, Outcome, refused};
use super::super::notes::Notes;
use super::{media, tools};
use crate::format::Format;
use crate::translate::call::{
    CacheKey, Call, Effort, Message, MessagePath, OutputFormat, OutputSchema, Part, Parts, Reasoning, Role, Sampling,
    State, TextPart, ToolCall, ToolResult,
};
use crate::translate::call_ids::call_id;
use crate::translate::context::ToolOrigin;

const REFUSED: &[&str] =
    &["logprobs", "logit_bias", "prediction", "audio", "functions", "function_call", "background", "conversation"];
/// The fields that both formats of OpenAI have, and no other.
const OPENAI_FIELDS: [&str; 3] = ["service_tier", "safety_identifier", "user"];

pub(super) fn decode<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Call<'a>> {
    media::no_fields(body, REFUSED)?;
    for (name, most) in [("n", 1), ("top_logprobs", 0)] {
        if body.count(name)?.is_some_and(|count| count > most) {
            return Err(refused(name, &format!("must be {most}: this model's provider has another format")));
        }
    }
    if let Some(modality) = body.texts("modalities")?.iter().find(|word| *word != "text") {
        return Err(refused("modalities", &format!("must be text alone, without {modality}, for this model")));
    }
    if body.get("web_search_options").is_some() {
        notes.drop("web_search_options");
    }
    let mut offered = tools::OfferedTools::default();
    body.list("tools")?.try_for_each(|tool| tools::add(&tool, notes, &mut offered))?;
    let offered = offered.into_list();
    let tool_choice = body.get("tool_choice").map(|node| tools::choice(&node, &offered, notes)).transpose()?;
    let mut messages = Vec::new();
    for node in body.required("messages")?.list()? {
        notes.hold(size_of::<Message<'_>>())?;
        messages.push(message(&node.object()?, notes)?);
    }
    let output_tokens_max = body.count("max_completion_tokens")?;
    let stream_options = body.object("stream_options")?;
    Ok(Call {
        from: Format::Chat,
        model: body.required_text("model")?.into_owned(),
        stream: body.flag("stream")?.unwrap_or(false),
        include_usage: stream_options
            .map(|options| options.flag("include_usage"))
            .transpose()?
            .flatten()
            .unwrap_or(false),
        messages,
        tools: offered,
        tool_choice,
        parallel_tools: body.flag("parallel_tool_calls")?,
        output_tokens_max: if output_tokens_max.is_some() { output_tokens_max } else { body.count("max_tokens")? },
        sampling: sampling(body)?,
        stop: stop(body)?,
        output: output(body)?,
        verbosity: body.text("verbosity")?,
        reasoning: reasoning(body)?,
        cache_key: body.text("prompt_cache_key")?.map(CacheKey::Key),
        openai: openai_fields(body),
        echo: Vec::new(),
    })
}

/// The fields that only OpenAI knows.
pub(super) fn openai_fields<'a>(body: &Object<'a>) -> Vec<(&'static str, &'a RawValue)> {
    OPENAI_FIELDS.into_iter().filter_map(|name| body.get(name).map(|node| (name, node.raw))).collect()
}

fn sampling<'a>(body: &Object<'a>) -> Outcome<Sampling<'a>> {
    Ok(Sampling {
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.number("top_k")?,
        seed: body.number("seed")?,
        frequency_penalty: body.number("frequency_penalty")?,
        presence_penalty: body.number("presence_penalty")?,
    })
}

fn stop(body: &Object<'_>) -> Outcome<Vec<String>> {
    match body.get("stop") {
        Some(node) if node.is_text() => Ok(vec![node.text()?.into_owned()]),
        _ => body.texts("stop"),
    }
}

fn output<'a>(body: &Object<'a>) -> Outcome<OutputFormat<'a>> {
    let Some(format) = body.object("response_format")? else { return Ok(OutputFormat::Text) };
    match format.required_text("type")?.as_ref() {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::JsonObject),
        "json_schema" => schema(&format.required("json_schema")?.object()?),
        _ => Err(refused(&format.field_path("type"), "must be text, json_object or json_schema")),
    }
}

/// Reads the fields of a schema for the response, which OpenAI's formats share.
pub(super) fn schema<'a>(fields: &Object<'a>) -> Outcome<OutputFormat<'a>> {
    let schema = fields.required("schema")?;
    schema.object()?;
    Ok(OutputFormat::JsonSchema(OutputSchema {
        name: fields.text("name")?,
        description: fields.text("description")?,
        schema: Cow::Borrowed(schema.raw),
        strict: fields.flag("strict")?,
    }))
}

fn reasoning(body: &Object<'_>) -> Outcome<Reasoning> {
    let effort = body.get("reasoning_effort").map(|node| effort(&node)).transpose()?;
    let requested = effort.is_some_and(|effort| effort != Effort::None);
    Ok(Reasoning { effort, requested, shown: None, path: "reasoning_effort" })
}

pub(super) fn effort(node: &Node<'_>) -> Outcome<Effort> {
    let words = "must be none, minimal, low, medium, high, xhigh or max";
    Effort::parse(&node.text()?).ok_or_else(|| node.refused(words))
}

fn message<'a>(message: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Message<'a>> {
    let (role, mut parts) = match message.required_text("role")?.as_ref() {
        "system" | "developer" => (Role::System, content(message, notes)?),
        "user" => (Role::User, content(message, notes)?),
        "assistant" => (Role::Assistant, assistant(message, notes)?),
        "tool" => (Role::User, smallvec![result(message, notes)?]),
        _ => return Err(refused(&message.field_path("role"), "must be system, developer, user, assistant or tool")),
    };
    if message.get("name").is_some() {
        notes.mention(message.field_path("name"));
    }
    if let Some(mark) = media::mark(message)?
        && let Some(Part::Text(last)) = parts.last_mut()
    {
        last.cache = Some(mark);
    }
    Ok(Message { role, parts, path: MessagePath::new(&message.path) })
}

fn content<'a>(message: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Parts<'a>> {
    let Some(node) = message.get("content") else { return Ok(Parts::new()) };
    if node.is_text() {
        return Ok(smallvec![notes.only_part(Part::text(node.text()?))?]);
    }
    node.list()?.map(|part| notes.part(content_part(&part.object()?)?)).collect()
}

fn content_part<'a>(part: &Object<'a>) -> Outcome<Part<'a>> {
    match part.required_text("type")?.as_ref() {
        "text" => Ok(Part::Text(TextPart { text: part.required_text("text")?, cache: media::mark(part)? })),
        "refusal" => Ok(Part::Refusal(part.required_text("refusal")?)),
        "image_url" => media::image(part),
        "file" => media::file(&part.required("file")?.object()?),
        "input_audio" => media::sound(&part.required("input_audio")?.object()?),
        _ => Err(refused(&part.field_path("type"), "must be text, refusal, image_url or file")),
    }
}

fn assistant<'a>(message: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Parts<'a>> {
    let mut parts = Parts::new();
    for call in message.list("tool_calls")? {
        if let Some(items) = signature(&call.object()?)?.and_then(|text| notes.state(&text)) {
            let text = if parts.is_empty() { message.text("reasoning_content")? } else { None };
            parts.push(notes.part(Part::State(Box::new(State { items, text })))?);
        }
    }
    parts.extend(content(message, notes)?);
    // The field of OpenRouter for images that the model has made. Other models do not take images of the assistant.
    for image in message.list("images")? {
        if notes.to == Format::GenerateContent {
            parts.push(notes.part(media::image(&image.object()?)?)?);
        } else {
            notes.mention(message.field_path("images"));
        }
    }
    if let Some(refusal) = message.text("refusal")? {
        parts.push(Part::Refusal(refusal));
    }
    for call in message.list("tool_calls")? {
        let call = tool_call(&call.object()?, notes)?;
        parts.push(notes.part(Part::ToolCall(Box::new(call)))?);
    }
    Ok(parts)
}

/// The field for state of a provider, which Google defines.
fn signature<'a>(call: &Object<'a>) -> Outcome<Option<Cow<'a, str>>> {
    let Some(extra) = call.object("extra_content")? else { return Ok(None) };
    extra.object("google")?.map_or(Ok(None), |google| google.text("thought_signature"))
}

fn tool_call<'a>(call: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<ToolCall<'a>> {
    let id = call_id(&call.required_text("id")?).into_owned();
    if let Some(custom) = call.object("custom")? {
        let origin = ToolOrigin::Custom { namespace: None, name: custom.required_text("name")?.into_owned() };
        let input = custom.text("input")?.unwrap_or_default();
        return Ok(ToolCall { id, name: notes.names.name(&origin), arguments: tools::custom_arguments(&input).into() });
    }
    let function = call.required("function")?.object()?;
    let origin = tools::function_origin(None, &function.required_text("name")?);
    let arguments = match function.get("arguments") {
        // Some clients send the arguments as an object.
        Some(node) if node.is_object() => Cow::Borrowed(node.raw.get()),
        Some(node) => node.text()?,
        None => Cow::Borrowed(""),
    };
    Ok(ToolCall { id, name: notes.names.name(&origin), arguments })
}

fn result<'a>(message: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Part<'a>> {
    let call_id = call_id(&message.required_text("tool_call_id")?).into_owned();
    let mut content = content(message, notes)?;
    // The mark of a part is one of the whole result.
    let take_mark = |part: &mut Part<'_>| if let Part::Text(text) = part { text.cache.take() } else { None };
    let mark_of_parts = content.iter_mut().filter_map(take_mark).last();
    let cache = media::mark(message)?.or(mark_of_parts);
    let result = ToolResult { call_id, content, is_error: false, cache, path: message.path.clone() };
    notes.part(Part::ToolResult(Box::new(result)))
}

//! Anthropic's Messages.

use std::borrow::Cow;

use serde_json::Value;
use smallvec::smallvec;

use super::super::foreign_state::THINKING_EDIT;
use super::super::json::{Node, Object, Outcome, refused};
use super::super::notes::Notes;
use super::{media, thinking_budget, tools};
use crate::format::Format;
use crate::translate::call::{
    CacheKey, Call, Effort, File, Image, Message, MessagePath, OfferedTool, OutputFormat, OutputSchema, Part, Parts,
    Reasoning, Role, Sampling, Source, State, TextPart, ToolCall, ToolChoice, ToolResult,
};
use crate::translate::call_ids::call_id;

const REFUSED: &[&str] = &["container", "mcp_servers", "thread"];
/// Claude Code's first line of the system prompt. It differs from call to call, so that no other provider could cache the
/// prompt behind it.
const ATTRIBUTION: &str = "x-anthropic-billing-header";

pub(super) fn decode<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Call<'a>> {
    media::no_fields(body, REFUSED)?;
    dropped(body, notes)?;
    let mut offered = tools::OfferedTools::default();
    for node in body.list("tools")? {
        match tool(&node.object()?, notes)? {
            Some(tool) => offered.insert(tool, &node.path)?,
            None => notes.drop(node.path),
        }
    }
    let offered = offered.into_list();
    let (tool_choice, parallel_tools) = choice(body, &offered)?;
    let mut messages = system(body, notes)?;
    for node in body.required("messages")?.list()? {
        notes.hold(size_of::<Message<'_>>())?;
        messages.push(message(&node.object()?, notes)?);
    }
    let config = body.object("output_config")?;
    Ok(Call {
        from: Format::Messages,
        model: body.required_text("model")?.into_owned(),
        stream: body.flag("stream")?.unwrap_or(false),
        include_usage: false,
        messages,
        tools: offered,
        tool_choice,
        parallel_tools,
        output_tokens_max: body.count("max_tokens")?,
        sampling: Sampling {
            temperature: body.number("temperature")?,
            top_p: body.number("top_p")?,
            top_k: body.number("top_k")?,
            ..Sampling::default()
        },
        stop: body.texts("stop_sequences")?,
        output: output(body, config.as_ref())?,
        verbosity: None,
        reasoning: reasoning(body, config.as_ref())?,
        cache_key: session(body)?,
        openai: Vec::new(),
        echo: Vec::new(),
    })
}

/// Notes the fields without a counterpart that change the response.
fn dropped(body: &Object<'_>, notes: &mut Notes<'_>) -> Outcome<()> {
    if let Some(management) = body.object("context_management")? {
        for edit in management.list("edits")? {
            if !edit.object()?.required_text("type")?.starts_with(THINKING_EDIT) {
                notes.drop("context_management");
            }
        }
    }
    for (name, usual) in [
        ("service_tier", ["auto", "standard_only"].as_slice()),
        ("speed", &["standard"]),
        ("inference_geo", &["global"]),
    ] {
        if body.text(name)?.is_some_and(|value| !usual.contains(&value.as_ref())) {
            notes.drop(name);
        }
    }
    Ok(())
}

/// The session, as Claude Code writes it: JSON with `session_id`, or the whole id.
fn session<'a>(body: &Object<'a>) -> Outcome<Option<CacheKey<'a>>> {
    let Some(metadata) = body.object("metadata")? else { return Ok(None) };
    let Some(user) = metadata.text("user_id")?.filter(|user| !user.is_empty()) else { return Ok(None) };
    let inner = serde_json::from_str::<Value>(&user).ok();
    let session = inner.as_ref().and_then(|inner| inner.get("session_id")).and_then(Value::as_str);
    Ok(Some(CacheKey::Session(session.unwrap_or(&user).to_owned())))
}

fn system<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Vec<Message<'a>>> {
    let Some(node) = body.get("system") else { return Ok(Vec::new()) };
    let parts = texts_or_blocks(&node, notes)?;
    let is_kept = |part: &Part<'_>| !matches!(part, Part::Text(text) if text.text.starts_with(ATTRIBUTION));
    let parts = parts.into_iter().filter(is_kept).collect();
    Ok(vec![Message { role: Role::System, parts, path: MessagePath::new(&node.path) }])
}

fn message<'a>(message: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Message<'a>> {
    let role = match message.required_text("role")?.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(refused(&message.field_path("role"), "must be user, assistant or system")),
    };
    let parts = texts_or_blocks(&message.required("content")?, notes)?;
    Ok(Message { role, parts, path: MessagePath::new(&message.path) })
}

fn texts_or_blocks<'a>(node: &Node<'a>, notes: &mut Notes<'_>) -> Outcome<Parts<'a>> {
    if node.is_text() {
        return Ok(smallvec![notes.only_part(Part::text(node.text()?))?]);
    }
    let mut parts = Parts::new();
    for node in node.list()? {
        block(&node.object()?, notes, &mut parts)?;
    }
    Ok(parts)
}

fn block<'a>(block: &Object<'a>, notes: &mut Notes<'_>, parts: &mut Parts<'a>) -> Outcome<()> {
    let kind = block.required_text("type")?;
    match kind.as_ref() {
        "text" => {
            let text = TextPart { text: block.required_text("text")?, cache: media::cache_control(block)? };
            parts.push(notes.part(Part::Text(text))?);
        }
        "image" => {
            let source = source(&block.required("source")?.object()?)?;
            let image = Image { source, detail: None, path: block.path.clone() };
            parts.push(notes.part(Part::Image(Box::new(image)))?);
        }
        "document" => document(block, notes, parts)?,
        "search_result" => {
            let title =
                [block.text("title")?, block.text("source")?].into_iter().flatten().collect::<Vec<_>>().join(", ");
            parts.push(notes.part(Part::text(title))?);
            parts.extend(texts_or_blocks(&block.required("content")?, notes)?);
        }
        // The result of a search for tools, all of which the model is offered.
        "tool_reference" => parts.push(notes.part(Part::text(block.required_text("tool_name")?))?),
        "tool_use" => {
            let call = tool_call(block, notes)?;
            parts.push(notes.part(Part::ToolCall(Box::new(call)))?);
        }
        "tool_result" => {
            let result = tool_result(block, notes)?;
            parts.push(notes.part(Part::ToolResult(Box::new(result)))?);
        }
        "thinking" | "redacted_thinking" => {
            let text = block.text(if kind == "thinking" { "signature" } else { "data" })?.unwrap_or_default();
            if let Some(items) = notes.state(&text) {
                let shown = block.text("thinking")?.filter(|text| !text.is_empty());
                parts.push(notes.part(Part::State(Box::new(State { items, text: shown })))?);
            }
        }
        // Calls of the tools that Anthropic runs, and their results.
        "server_tool_use" => notes.drop(block.path.clone()),
        result if result.ends_with("_tool_result") => notes.drop(block.path.clone()),
        _ => return Err(refused(&block.field_path("type"), "is not available for this model: leave this block out")),
    }
    Ok(())
}

fn source<'a>(source: &Object<'a>) -> Outcome<Source<'a>> {
    media::no_id(source)?;
    match source.required_text("type")?.as_ref() {
        "base64" => {
            Ok(Source::Base64 { media_type: source.required_text("media_type")?, data: source.required_text("data")? })
        }
        "url" => Ok(Source::Url(source.required_text("url")?)),
        _ => Err(refused(&source.field_path("type"), "must be base64 or url")),
    }
}

fn document<'a>(block: &Object<'a>, notes: &mut Notes<'_>, parts: &mut Parts<'a>) -> Outcome<()> {
    let node = block.required("source")?.object()?;
    let name = block.text("title")?;
    if block
        .object("citations")?
        .is_some_and(|citations| citations.flag("enabled").is_ok_and(|flag| flag == Some(true)))
    {
        notes.mention(block.field_path("citations"));
    }
    if block.get("context").is_some_and(|context| context.raw.get() != "\"\"") {
        notes.mention(block.field_path("context"));
    }
    match node.required_text("type")?.as_ref() {
        "text" => {
            parts.extend(name.map(Part::text));
            let text = TextPart { text: node.required_text("data")?, cache: media::cache_control(block)? };
            parts.push(notes.part(Part::Text(text))?);
        }
        "content" => {
            parts.extend(name.map(Part::text));
            parts.extend(texts_or_blocks(&node.required("content")?, notes)?);
        }
        _ => {
            let file = File { source: source(&node)?, name, path: block.path.clone() };
            parts.push(notes.part(Part::File(Box::new(file)))?);
        }
    }
    Ok(())
}

fn tool_call<'a>(block: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<ToolCall<'a>> {
    let origin = tools::function_origin(None, &block.required_text("name")?);
    let arguments = block.get("input").map_or("{}", |input| input.raw.get());
    Ok(ToolCall {
        id: call_id(&block.required_text("id")?).into_owned(),
        name: notes.names.name(&origin),
        arguments: Cow::Borrowed(arguments),
    })
}

fn tool_result<'a>(block: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<ToolResult<'a>> {
    let content = block.get("content").map_or_else(|| Ok(Parts::new()), |node| texts_or_blocks(&node, notes))?;
    Ok(ToolResult {
        call_id: call_id(&block.required_text("tool_use_id")?).into_owned(),
        content,
        is_error: block.flag("is_error")?.unwrap_or(false),
        cache: media::cache_control(block)?,
        path: block.path.clone(),
    })
}

/// Reads a tool; `None` if Anthropic runs or defines it.
fn tool<'a>(tool: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Option<OfferedTool<'a>>> {
    if tool.text("type")?.is_some_and(|kind| kind != "custom") {
        return Ok(None);
    }
    let origin = tools::function_origin(None, &tool.required_text("name")?);
    Ok(Some(OfferedTool {
        name: notes.names.name(&origin),
        origin,
        description: tool.text("description")?,
        schema: tool.get("input_schema").map(|node| Cow::Borrowed(node.raw.get())),
        strict: tool.flag("strict")?,
        cache: media::cache_control(tool)?,
    }))
}

fn choice(body: &Object<'_>, tools: &[OfferedTool<'_>]) -> Outcome<(Option<ToolChoice>, Option<bool>)> {
    let Some(choice) = body.object("tool_choice")? else { return Ok((None, None)) };
    let parallel = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    let kind = choice.required_text("type")?;
    let choice = match kind.as_ref() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => {
            let name = tools::function_origin(None, &choice.required_text("name")?);
            let found = tools.iter().find(|tool| tool.origin == name);
            let advice =
                "names no tool that this model's provider can call: choose one of `tools` with an `input_schema`";
            ToolChoice::Tool(found.ok_or_else(|| refused(&choice.field_path("name"), advice))?.name.clone())
        }
        _ => return Err(refused(&choice.field_path("type"), "must be auto, any, tool or none")),
    };
    Ok((Some(choice), parallel))
}

fn output<'a>(body: &Object<'a>, config: Option<&Object<'a>>) -> Outcome<OutputFormat<'a>> {
    // Earlier versions of the API have the format at the top level.
    let format = match config.and_then(|config| config.get("format")) {
        Some(node) => Some(node.object()?),
        None => body.object("output_format")?,
    };
    let Some(format) = format else { return Ok(OutputFormat::Text) };
    if format.required_text("type")? != "json_schema" {
        return Err(refused(&format.field_path("type"), "must be json_schema"));
    }
    let schema = format.required("schema")?;
    schema.object()?;
    let schema = Cow::Borrowed(schema.raw);
    Ok(OutputFormat::JsonSchema(OutputSchema { name: None, description: None, schema, strict: Some(true) }))
}

fn reasoning(body: &Object<'_>, config: Option<&Object<'_>>) -> Outcome<Reasoning> {
    let effort = config.and_then(|config| config.get("effort")).map(|node| super::chat::effort(&node)).transpose()?;
    let path = if effort.is_some() { "output_config.effort" } else { "thinking" };
    let Some(thinking) = body.object("thinking")? else {
        return Ok(Reasoning { effort, requested: false, shown: None, path });
    };
    let display = thinking.text("display")?.map(|display| display != "omitted");
    Ok(match thinking.required_text("type")?.as_ref() {
        "disabled" => Reasoning { effort: Some(Effort::None), requested: false, shown: None, path: "thinking" },
        "enabled" => {
            let budget = thinking.count("budget_tokens")?.map(thinking_budget::effort);
            Reasoning { effort: effort.or(budget), requested: true, shown: Some(display.unwrap_or(true)), path }
        }
        _ => Reasoning { effort, requested: true, shown: display, path },
    })
}

//! Tools of OpenAI's formats. Chat Completions has the fields of a tool in an object named as its type; Responses has them
//! beside the type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::json::{Node, Object, Outcome, quoted, refused};
use super::super::notes::Notes;
use super::media;
use crate::translate::call::{OfferedTool, ToolChoice};
use crate::translate::context::ToolOrigin;

/// The schema of a custom tool as a function.
const CUSTOM_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// Most tools of a call. Providers accept fewer.
const TOOLS_MAX: usize = 1_024;

/// The tools of a call, in order.
#[derive(Debug, Default)]
pub(super) struct OfferedTools<'a> {
    list: Vec<OfferedTool<'a>>,
    /// The place of each name. A body may repeat names without end.
    places: BTreeMap<String, usize>,
}

/// Adds the tool `node` to `tools`; a tool that its provider runs is left out.
pub(super) fn add<'a>(node: &Node<'a>, notes: &mut Notes<'_>, tools: &mut OfferedTools<'a>) -> Outcome<()> {
    let tool = node.object()?;
    if tool.text("type")?.as_deref() != Some("namespace") {
        return add_one(node, None, notes, tools);
    }
    let namespace = tool.required_text("name")?;
    tool.list("tools")?.try_for_each(|inner| add_one(&inner, Some(&namespace), notes, tools))
}

fn add_one<'a>(
    node: &Node<'a>,
    namespace: Option<&str>,
    notes: &mut Notes<'_>,
    tools: &mut OfferedTools<'a>,
) -> Outcome<()> {
    let tool = node.object()?;
    let kind = tool.required_text("type")?;
    let mark = media::cache_control(&tool)?;
    let tool = match kind.as_ref() {
        "function" => function(&inner(tool, "function")?, namespace, notes)?,
        "custom" => custom(&inner(tool, "custom")?, namespace, notes)?,
        _ => {
            notes.drop(node.path.clone());
            return Ok(());
        }
    };
    tools.insert(OfferedTool { cache: mark.or(tool.cache), ..tool }, &node.path)
}

impl<'a> OfferedTools<'a> {
    /// Adds the tool at `path`; a later one of the same name replaces it.
    pub(super) fn insert(&mut self, tool: OfferedTool<'a>, path: &str) -> Outcome<()> {
        let count = self.list.len();
        match self.places.get(&tool.name).and_then(|place| self.list.get_mut(*place)) {
            Some(other) => *other = tool,
            None if count == TOOLS_MAX => {
                return Err(refused(path, "is one tool too many: send at most 1,024"));
            }
            None => {
                self.places.insert(tool.name.clone(), count);
                self.list.push(tool);
            }
        }
        Ok(())
    }

    pub(super) fn into_list(self) -> Vec<OfferedTool<'a>> {
        self.list
    }
}

/// The object with the fields of a tool: the one in the field `name`, or `tool` itself.
fn inner<'a>(tool: Object<'a>, name: &str) -> Outcome<Object<'a>> {
    Ok(tool.object(name)?.unwrap_or(tool))
}

fn function<'a>(tool: &Object<'a>, namespace: Option<&str>, notes: &mut Notes<'_>) -> Outcome<OfferedTool<'a>> {
    let origin = function_origin(namespace, &tool.required_text("name")?);
    Ok(OfferedTool {
        name: notes.names.name(&origin),
        origin,
        description: tool.text("description")?,
        schema: tool.get("parameters").map(|node| Cow::Borrowed(node.raw.get())),
        strict: tool.flag("strict")?,
        cache: media::cache_control(tool)?,
    })
}

fn custom<'a>(tool: &Object<'a>, namespace: Option<&str>, notes: &mut Notes<'_>) -> Outcome<OfferedTool<'a>> {
    let name = tool.required_text("name")?;
    let origin = ToolOrigin::Custom { namespace: namespace.map(str::to_owned), name: name.into_owned() };
    let mut description = tool.text("description")?.unwrap_or_default().into_owned();
    if let Some(format) = tool.object("format")?
        && format.text("type")?.as_deref() == Some("grammar")
    {
        let grammar = inner(format, "grammar")?;
        let syntax = grammar.text("syntax")?.unwrap_or_default();
        let definition = grammar.required_text("definition")?;
        let line = format!("`input` must match this {syntax} grammar:\n{definition}");
        description = if description.is_empty() { line } else { format!("{description}\n\n{line}") };
    }
    Ok(OfferedTool {
        name: notes.names.name(&origin),
        origin,
        description: Some(description).filter(|text| !text.is_empty()).map(Cow::Owned),
        schema: Some(Cow::Borrowed(CUSTOM_SCHEMA)),
        strict: None,
        cache: None,
    })
}

pub(super) fn function_origin(namespace: Option<&str>, name: &str) -> ToolOrigin {
    let name = name.to_owned();
    match namespace {
        None => ToolOrigin::Function { name },
        Some(namespace) => ToolOrigin::Namespaced { namespace: namespace.to_owned(), name },
    }
}

/// The arguments of a custom tool's call.
pub(super) fn custom_arguments(input: &str) -> String {
    format!("{{\"input\":{}}}", quoted(input))
}

/// Reads the value of `tool_choice`.
pub(super) fn choice(node: &Node<'_>, tools: &[OfferedTool<'_>], notes: &mut Notes<'_>) -> Outcome<ToolChoice> {
    if node.is_text() {
        return match node.text()?.as_ref() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(node.refused("must be auto, none, required, or an object")),
        };
    }
    let choice = node.object()?;
    let kind = choice.required_text("type")?;
    if kind != "allowed_tools" {
        let hosted =
            || refused(&choice.path, "names a tool that this model's provider does not run: choose a function");
        return one(&choice, tools)?.map(ToolChoice::Tool).ok_or_else(hosted);
    }
    let among = inner(choice, "allowed_tools")?;
    let required = match among.text("mode")?.as_deref() {
        None | Some("auto") => false,
        Some("required") => true,
        Some(_) => return Err(refused(&among.field_path("mode"), "must be auto or required")),
    };
    let mut names = Vec::new();
    for (at, node) in among.list("tools")?.enumerate() {
        if at == TOOLS_MAX {
            return Err(refused(&among.field_path("tools"), "must have at most 1,024 elements"));
        }
        match one(&node.object()?, tools)? {
            Some(name) => names.push(name),
            None => notes.drop(node.path),
        }
    }
    Ok(ToolChoice::Among { required, names })
}

/// The provider's name of the tool that `choice` names; `None` if a provider runs it.
fn one(choice: &Object<'_>, tools: &[OfferedTool<'_>]) -> Outcome<Option<String>> {
    let kind = choice.required_text("type")?;
    if !matches!(kind.as_ref(), "function" | "custom") {
        return Ok(None);
    }
    let inner = choice.object(&kind)?;
    let fields = inner.as_ref().unwrap_or(choice);
    let name = fields.required_text("name")?;
    let namespace = fields.text("namespace")?;
    let is_it = |tool: &&OfferedTool<'_>| {
        let (tool_namespace, tool_name) = match &tool.origin {
            ToolOrigin::Function { name } => (None, name),
            ToolOrigin::Namespaced { namespace, name } => (Some(namespace.as_str()), name),
            ToolOrigin::Custom { namespace, name } => (namespace.as_deref(), name),
        };
        let is_custom = matches!(tool.origin, ToolOrigin::Custom { .. });
        *tool_name == name && tool_namespace == namespace.as_deref() && is_custom == (kind == "custom")
    };
    let found = tools.iter().find(is_it).map(|tool| tool.name.clone());
    found.map(Some).ok_or_else(|| refused(&fields.field_path("name"), "is not the name of a tool of this call"))
}

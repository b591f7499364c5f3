//! The tools of a Gemini call, and the choice among them.

use std::borrow::Cow;

use super::super::tools::{OfferedTools, function_origin};
use super::fields;
use crate::translate::call::{OfferedTool, ToolChoice};
use crate::translate::request::json::{Object, Outcome, refused};
use crate::translate::request::notes::Notes;
use crate::translate::request::schema;

/// The field of a tool whose functions the client runs. Google runs the tools of all other fields.
const FUNCTIONS: [&str; 2] = ["functionDeclarations", "function_declarations"];

/// Reads the functions; tools that Google runs are left out.
pub(super) fn offered<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Vec<OfferedTool<'a>>> {
    let mut tools = OfferedTools::default();
    for node in fields::elements(body, "tools")? {
        let tool = node.object()?;
        for declaration in fields::elements(&tool, FUNCTIONS[0])? {
            let function = function(&declaration.object()?, notes)?;
            tools.insert(function, &declaration.path)?;
        }
        for (name, raw) in tool.into_fields() {
            if !FUNCTIONS.contains(&name.as_ref()) && raw.get() != "null" {
                notes.drop(format!("{}.{name}", node.path));
            }
        }
    }
    Ok(tools.into_list())
}

fn function<'a>(declaration: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<OfferedTool<'a>> {
    let origin = function_origin(None, &declaration.required_text("name")?);
    let schema = match fields::get(declaration, "parametersJsonSchema") {
        Some(node) => Some(Cow::Borrowed(node.raw.get())),
        None => fields::get(declaration, "parameters").map(|node| Cow::Owned(schema::of_gemini(node.raw))),
    };
    Ok(OfferedTool {
        name: notes.names.name(&origin),
        origin,
        description: declaration.text("description")?,
        schema,
        strict: None,
        cache: None,
    })
}

/// Reads the mode of calls.
pub(super) fn choice(body: &Object<'_>, tools: &[OfferedTool<'_>]) -> Outcome<Option<ToolChoice>> {
    let Some(config) = fields::object(body, "toolConfig")? else { return Ok(None) };
    let Some(config) = fields::object(&config, "functionCallingConfig")? else { return Ok(None) };
    let mode = fields::word(&config, "mode")?;
    let names = || allowed(&config, tools);
    Ok(match mode.as_deref() {
        None | Some("MODE_UNSPECIFIED") => None,
        Some("AUTO") => Some(ToolChoice::Auto),
        Some("NONE") => Some(ToolChoice::None),
        Some("ANY") => Some(match <[String; 1]>::try_from(names()?) {
            Ok([name]) => ToolChoice::Tool(name),
            Err(names) if names.is_empty() => ToolChoice::Required,
            Err(names) => ToolChoice::Among { required: true, names },
        }),
        Some("VALIDATED") => Some(match names()? {
            names if names.is_empty() => ToolChoice::Auto,
            names => ToolChoice::Among { required: false, names },
        }),
        Some(_) => return Err(refused(&config.field_path("mode"), "must be AUTO, ANY, NONE or VALIDATED")),
    })
}

/// The provider's names of the functions that may be called.
fn allowed(config: &Object<'_>, tools: &[OfferedTool<'_>]) -> Outcome<Vec<String>> {
    let Some(node) = fields::get(config, "allowedFunctionNames") else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for element in node.list()? {
        if names.len() == tools.len() {
            return Err(node.refused("must name each function of this call at most once"));
        }
        let origin = function_origin(None, &element.text()?);
        let tool = tools.iter().find(|tool| tool.origin == origin);
        let tool = tool.ok_or_else(|| element.refused("is not the name of a function of this call"))?;
        names.push(tool.name.clone());
    }
    Ok(names)
}

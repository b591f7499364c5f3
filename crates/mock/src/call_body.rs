//! The fields that the mock reads of a request's body. Unknown fields are ignored.

pub(crate) mod form;
pub(crate) mod rules;
mod structured;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::behaviour::Behaviour;
use crate::schema;

/// The top level of the body in any format; the fields of a form are converted to JSON first.
#[derive(Deserialize)]
pub(crate) struct CallBody<'a> {
    /// The model that the body names, replaced by the model of the path if there is one. Empty if both lack it.
    #[serde(borrow, default)]
    pub(crate) model: Cow<'a, str>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contents: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    requests: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "toolConfig")]
    tool_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_config: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "generationConfig")]
    generation_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    modalities: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dimensions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partial_images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    encoding_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream_format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// A function to call, and the arguments of the call as JSON text.
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The kind of content that a response carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Modality {
    #[default]
    Text,
    Sound,
    Picture,
}

/// The number of sounds and of pictures in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MediaCounts {
    pub(crate) sounds: u64,
    pub(crate) pictures: u64,
}

impl<'a> CallBody<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        // Serde would accept an array of the fields in their order.
        match body.trim_ascii_start().first() {
            Some(b'{') => serde_json::from_slice(body),
            _ => Err(serde::de::Error::custom("expected a JSON object")),
        }
    }

    /// The model's name without the provider's prefix.
    pub(crate) fn name(&self) -> &str {
        self.model.strip_prefix("mock/").unwrap_or(&self.model)
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        Behaviour::from_name(self.name())
    }

    pub(crate) fn streamed(&self) -> bool {
        self.stream == Some(true)
    }

    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// Whether the request has an input to embed, to speak or to respond to.
    pub(crate) const fn has_input(&self) -> bool {
        self.input.is_some() || self.contents.is_some() || self.content.is_some() || self.requests.is_some()
    }

    /// The text of the last user message, or the prompt; empty if both are missing.
    pub(crate) fn last_user_text(&self) -> String {
        match self.turns() {
            Value::String(text) => text,
            Value::Array(turns) => {
                // Google allows a user's turn to omit its role.
                let is_user = |turn: &&Value| match field(turn, "role") {
                    Some(role) => role == "user",
                    None => turn.get("parts").is_some(),
                };
                let last = turns.iter().rev().find(is_user);
                last.and_then(|turn| turn.get("content").or_else(|| turn.get("parts"))).map(text_of).unwrap_or_default()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
        }
    }

    /// Whether the conversation ends with a tool's result, in any format.
    pub(crate) fn ends_with_tool_result(&self) -> bool {
        let turns = self.turns();
        let Some(last) = turns.as_array().and_then(|turns| turns.last()) else { return false };
        field(last, "role") == Some("tool")
            || field(last, "type") == Some("function_call_output")
            || parts_of(last)
                .any(|part| field(part, "type") == Some("tool_result") || part.get("functionResponse").is_some())
    }

    /// The first function among the tools. Tools that a provider runs itself are skipped.
    pub(crate) fn first_tool(&self) -> Option<ToolCall> {
        self.tool(|_| true)
    }

    /// The function with this name.
    fn tool_named(&self, name: &str) -> Option<ToolCall> {
        self.tool(|declared| declared == name)
    }

    /// The first function whose name `is_wanted`.
    fn tool(&self, is_wanted: impl Fn(&str) -> bool) -> Option<ToolCall> {
        let tools: Vec<Value> = read(self.tools)?;
        tools.iter().filter(|tool| is_function(tool)).flat_map(functions_of).find_map(|function| {
            let name = field(function, "name").filter(|name| is_wanted(name))?;
            let schema = ["parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema"]
                .iter()
                .find_map(|key| function.get(key));
            Some(ToolCall { name: name.to_owned(), arguments: schema::arguments(schema.unwrap_or(&Value::Null)) })
        })
    }

    /// The sounds and pictures of the conversation.
    pub(crate) fn media(&self) -> MediaCounts {
        let mut media = MediaCounts::default();
        for part in self.turns().as_array().into_iter().flatten().flat_map(parts_of) {
            let data = part.get("inlineData").or_else(|| part.get("inline_data"));
            let mime = data.and_then(|data| field(data, "mimeType").or_else(|| field(data, "mime_type")));
            match (field(part, "type"), mime.and_then(|mime| mime.split('/').next())) {
                (Some("input_audio"), _) | (_, Some("audio")) => media.sounds += 1,
                (Some("image_url" | "input_image" | "image"), _) | (_, Some("image")) => media.pictures += 1,
                _ => {}
            }
        }
        media
    }

    /// The modality that the request asks for in `modalities`, or in Google's `responseModalities`; text otherwise.
    pub(crate) fn modality(&self) -> Modality {
        let config: Option<Value> = read(self.generation_config);
        let modalities = config.as_ref().and_then(|config| config.get("responseModalities")).cloned();
        let modalities = modalities.or_else(|| read(self.modalities)).unwrap_or_default();
        let has = |word: &str| {
            let named = |value: &Value| value.as_str().is_some_and(|found| found.eq_ignore_ascii_case(word));
            modalities.as_array().is_some_and(|words| words.iter().any(named))
        };
        match (has("audio"), has("image")) {
            (true, _) => Modality::Sound,
            (false, true) => Modality::Picture,
            (false, false) => Modality::Text,
        }
    }

    /// The inputs to embed or to moderate, one text each: a string, an array of strings, token ids, or requests.
    pub(crate) fn inputs(&self) -> Vec<String> {
        let raw = self.requests.or(self.input).or(self.content).or(self.contents);
        match read(raw).unwrap_or_default() {
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_number) => {
                vec![Value::Array(items).to_string()]
            }
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map_or(item.to_string(), str::to_owned)).collect()
            }
            Value::String(text) => vec![text],
            Value::Null => Vec::new(),
            other => vec![other.to_string()],
        }
    }

    /// The field `n`, limited to 1 to 10.
    pub(crate) fn count(&self) -> u32 {
        read(self.n).unwrap_or(1_u32).clamp(1, 10)
    }

    /// The field `dimensions`, limited to 1 to 4,096.
    pub(crate) fn dimensions(&self) -> Option<u32> {
        read(self.dimensions).map(|dimensions: u32| dimensions.clamp(1, 4_096))
    }

    /// The field `partial_images`, at most 3.
    pub(crate) fn partial_images(&self) -> u32 {
        read(self.partial_images).unwrap_or(0_u32).min(3)
    }

    pub(crate) fn wants_base64(&self) -> bool {
        read(self.encoding_format).is_some_and(|format: String| format == "base64")
    }

    /// Whether `stream_format` is `sse`: speech as events.
    pub(crate) fn wants_speech_events(&self) -> bool {
        read(self.stream_format).is_some_and(|format: String| format == "sse")
    }

    /// The field `response_format`, if it is a string.
    pub(crate) fn response_format(&self) -> Option<String> {
        read(self.response_format)
    }

    fn turns(&self) -> Value {
        let raw = self.messages.or(self.input).or(self.contents).or(self.prompt);
        read(raw).unwrap_or_default()
    }
}

/// Whether a tool is a function of the client, in any format.
fn is_function(tool: &Value) -> bool {
    match field(tool, "type") {
        None | Some("function") => true,
        // Anthropic calls a function `custom`; OpenAI's custom tools take text instead of a schema.
        Some("custom") => tool.get("input_schema").is_some(),
        Some(_) => false,
    }
}

/// The functions of a tool: Google declares several in one.
fn functions_of(tool: &Value) -> impl Iterator<Item = &Value> {
    let declared = tool.get("functionDeclarations").or_else(|| tool.get("function_declarations"));
    let declared = declared.and_then(Value::as_array);
    let single = declared.is_none().then(|| tool.get("function").unwrap_or(tool));
    declared.into_iter().flatten().chain(single)
}

/// The value, if it has the type `T`.
fn read<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn parts_of(turn: &Value) -> impl Iterator<Item = &Value> {
    turn.get("content").or_else(|| turn.get("parts")).and_then(Value::as_array).into_iter().flatten()
}

fn text_of(content: &Value) -> String {
    match content.as_array() {
        Some(parts) => parts.iter().filter_map(|part| field(part, "text")).collect(),
        None => content.as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_user_text_is_found_in_every_shape() {
        let check =
            |body: &str, text: &str| assert_eq!(CallBody::read(body.as_bytes()).unwrap().last_user_text(), text);
        check(r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b\n"}]}"#, "b\n");
        check(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"é"}]}]}"#, "é");
        check(r#"{"model":"m","input":"plain"}"#, "plain");
        check(r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]}"#, "x");
        check(r#"{"model":"m","prompt":"once"}"#, "once");
        check(r#"{"contents":[{"parts":[{"text":"a"},{"text":"b"}]},{"role":"model","parts":[{"text":"c"}]}]}"#, "ab");
        check(r#"{"model":"m","messages":[{"role":"system","content":"a"}]}"#, "");
        check(r#"{"model":"m"}"#, "");
    }

    #[test]
    fn first_tool_and_tool_results_are_found_in_every_shape() {
        let check = |body: &str, tool: Option<&str>, result: bool| {
            let request = CallBody::read(body.as_bytes()).unwrap();
            assert_eq!(request.first_tool().map(|tool| tool.name).as_deref(), tool, "{body}");
            assert_eq!(request.ends_with_tool_result(), result, "{body}");
        };
        check(r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}}]}"#, Some("f"), false);
        check(r#"{"model":"m","tools":[{"type":"web_search"},{"type":"function","name":"g"}]}"#, Some("g"), false);
        check(
            r#"{"tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"i","input_schema":{}}]}"#,
            Some("i"),
            false,
        );
        check(r#"{"tools":[{"type":"custom","name":"c","input_schema":{}}]}"#, Some("c"), false);
        check(r#"{"tools":[{"type":"namespace","name":"n","tools":[]},{"type":"custom","name":"c"}]}"#, None, false);
        check(r#"{"tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"h"}]}]}"#, Some("h"), false);
        check(r#"{"model":"m","messages":[{"role":"tool","content":"1"}]}"#, None, true);
        check(r#"{"model":"m","input":[{"type":"function_call_output","output":"1"}]}"#, None, true);
        check(r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result"}]}]}"#, None, true);
        check(r#"{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"h"}}]}]}"#, None, true);
    }

    #[test]
    fn arguments_come_from_the_schema_in_every_shape() {
        const SCHEMA: &str = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":2}},"required":["n"]}"#;
        let check = |tool: &str| {
            let body = format!(r#"{{"tools":[{}]}}"#, tool.replace("SCHEMA", SCHEMA));
            let tool = CallBody::read(body.as_bytes()).unwrap().first_tool().unwrap();
            assert_eq!(tool.arguments, r#"{"n": 2}"#, "{body}");
        };
        check(r#"{"type":"function","function":{"name":"f","parameters":SCHEMA}}"#);
        check(r#"{"type":"function","name":"f","parameters":SCHEMA}"#);
        check(r#"{"name":"f","input_schema":SCHEMA}"#);
        check(r#"{"functionDeclarations":[{"name":"f","parameters":SCHEMA}]}"#);
        check(r#"{"functionDeclarations":[{"name":"f","parametersJsonSchema":SCHEMA}]}"#);
        // Google's SDK for Python writes this key in the style of protobuf.
        check(r#"{"functionDeclarations":[{"name":"f","parameters_json_schema":SCHEMA}]}"#);
    }

    #[test]
    fn sounds_and_pictures_are_counted_in_every_shape() {
        let check = |body: &str, sounds: u64, pictures: u64| {
            assert_eq!(CallBody::read(body.as_bytes()).unwrap().media(), MediaCounts { sounds, pictures }, "{body}");
        };
        check(r#"{"messages":[{"role":"user","content":[{"type":"input_audio"},{"type":"image_url"}]}]}"#, 1, 1);
        check(r#"{"messages":[{"content":[{"type":"image"},{"type":"text"}]}]}"#, 0, 1);
        check(r#"{"input":[{"content":[{"type":"input_image"}]},{"content":"a"}]}"#, 0, 1);
        check(
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav"}},{"inline_data":{"mime_type":"image/png"}}]}]}"#,
            1,
            1,
        );
        check(r#"{"input":"text"}"#, 0, 0);
    }

    #[test]
    fn modality_is_text_unless_the_request_names_another() {
        let check = |body: &str, modality: Modality| {
            assert_eq!(CallBody::read(body.as_bytes()).unwrap().modality(), modality, "{body}");
        };
        check(r#"{"modalities":["text","audio"]}"#, Modality::Sound);
        check(r#"{"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}"#, Modality::Picture);
        check(r#"{"generationConfig":{"temperature":0},"modalities":["text"]}"#, Modality::Text);
    }

    #[test]
    fn inputs_are_counted_in_every_shape() {
        let check = |body: &str, count: usize| {
            assert_eq!(CallBody::read(body.as_bytes()).unwrap().inputs().len(), count, "{body}");
        };
        check(r#"{"input":"one"}"#, 1);
        check(r#"{"input":["one","two"]}"#, 2);
        check(r#"{"input":[1,2,3]}"#, 1);
        check(r#"{"input":[[1,2],[3]]}"#, 2);
        check(r#"{"content":{"parts":[]}}"#, 1);
        check(r#"{"requests":[{"content":{}},{"content":{}},{"content":{}}]}"#, 3);
        check(r#"{}"#, 0);
    }

    #[test]
    fn the_name_excludes_the_prefix_of_the_provider() {
        for body in [r#"{"model":"slow"}"#, r#"{"model":"mock/slow"}"#] {
            let request = CallBody::read(body.as_bytes()).unwrap();
            assert_eq!((request.name(), request.behaviour()), ("slow", Behaviour::Slow));
        }
    }

    #[test]
    fn a_body_that_is_not_a_json_object_is_refused() {
        for body in ["", "[]", "{\"model\":", "{\"model\":1}", "{\"stream\":\"yes\"}"] {
            assert!(CallBody::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}

//! Output in the form that a request demands: a JSON document of a schema, or the call of a tool.

use serde_json::{Value, json};

use super::{CallBody, ToolCall, field, read};
use crate::schema;

impl CallBody<'_> {
    /// A document that satisfies the schema of the request, in any format; `{}` if the request demands JSON without a
    /// schema. `None` if it demands no JSON.
    pub(crate) fn document(&self) -> Option<String> {
        let demanded = self.openai_format().or_else(|| self.anthropic_format()).or_else(|| self.google_format())?;
        Some(schema::document(&demanded))
    }

    /// The call of the tool that the request demands in any format; `None` if the model may choose.
    pub(crate) fn demanded_tool(&self) -> Option<ToolCall> {
        let choice: Option<Value> = read(self.tool_choice);
        let google: Option<Value> = read(self.tool_config);
        if let Some(choice) = choice {
            let name = field(&choice, "name").or_else(|| choice.pointer("/function/name").and_then(Value::as_str));
            return match choice.as_str().or_else(|| field(&choice, "type")) {
                Some("required" | "any") => self.first_tool(),
                Some("tool" | "function") => self.tool_named(name?),
                _ => None,
            };
        }
        let calling = google?;
        let calling = calling.get("functionCallingConfig").or_else(|| calling.get("function_calling_config"))?;
        let allowed = calling.get("allowedFunctionNames").or_else(|| calling.get("allowed_function_names"));
        let name = allowed.and_then(|names| names.get(0)).and_then(Value::as_str);
        let is_demanded = field(calling, "mode").is_some_and(|mode| mode.eq_ignore_ascii_case("any"));
        if is_demanded { name.map_or_else(|| self.first_tool(), |name| self.tool_named(name)) } else { None }
    }

    /// `response_format` of chat completions, or `text.format` of Responses.
    fn openai_format(&self) -> Option<Value> {
        let of_responses = read(self.text).and_then(|text: Value| text.get("format").cloned());
        let format = read(self.response_format).or(of_responses)?;
        match field(&format, "type")? {
            "json_object" => Some(json!({"type": "object"})),
            "json_schema" => format.pointer("/json_schema/schema").or_else(|| format.get("schema")).cloned(),
            _ => None,
        }
    }

    /// `output_config.format`, or `output_format` of the beta.
    fn anthropic_format(&self) -> Option<Value> {
        let of_config = read(self.output_config).and_then(|config: Value| config.get("format").cloned());
        let format: Value = of_config.or_else(|| read(self.output_format))?;
        format.get("schema").cloned()
    }

    /// `responseSchema` or `responseJsonSchema`, which require `responseMimeType`.
    fn google_format(&self) -> Option<Value> {
        let config: Value = read(self.generation_config)?;
        let of = |names: [&str; 2]| names.into_iter().find_map(|name| config.get(name));
        let kind = of(["responseMimeType", "response_mime_type"])?.as_str()?;
        let schema = of(["responseSchema", "response_schema"]);
        let schema = schema.or_else(|| of(["responseJsonSchema", "response_json_schema"]));
        (kind == "application/json").then(|| schema.cloned().unwrap_or_else(|| json!({"type": "object"})))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":2}},"required":["n"]}"#;

    fn with_schema(fields: &str) -> String {
        format!("{{{}}}", fields.replace("SCHEMA", SCHEMA))
    }

    #[test]
    fn a_document_satisfies_the_schema_of_each_format() {
        let check = |fields: &str, document: Option<&str>| {
            let body = with_schema(fields);
            assert_eq!(CallBody::read(body.as_bytes()).unwrap().document().as_deref(), document, "{body}");
        };
        let made = Some(r#"{"n": 2}"#);
        check(
            r#""response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":SCHEMA}}"#,
            made,
        );
        check(r#""text":{"format":{"type":"json_schema","name":"a","schema":SCHEMA},"verbosity":"low"}"#, made);
        check(r#""output_format":{"type":"json_schema","schema":SCHEMA}"#, made);
        check(r#""output_config":{"format":{"type":"json_schema","schema":SCHEMA}}"#, made);
        for key in ["responseSchema", "responseJsonSchema", "response_json_schema"] {
            let config = format!(r#""generationConfig":{{"responseMimeType":"application/json","{key}":SCHEMA}}"#);
            check(&config, made);
        }
        check(r#""generationConfig":{"responseMimeType":"application/json"}"#, Some("{}"));
        check(r#""response_format":{"type":"json_object"}"#, Some("{}"));
        for none in [
            r#""response_format":{"type":"text"}"#,
            r#""response_format":"b64_json""#,
            r#""text":{"format":{"type":"text"}}"#,
            r#""generationConfig":{"responseSchema":SCHEMA}"#,
            r#""output_config":{"effort":"low"}"#,
            r#""n":1"#,
        ] {
            check(none, None);
        }
    }

    #[test]
    fn a_demanded_tool_is_called_in_each_format() {
        let check = |fields: &str, tool: Option<&str>| {
            let body = with_schema(fields);
            let called = CallBody::read(body.as_bytes()).unwrap().demanded_tool();
            let called = called.map(|call| format!("{} {}", call.name, call.arguments));
            assert_eq!(called.as_deref(), tool, "{body}");
        };
        let a = Some("a {}");
        let b = Some(r#"b {"n": 2}"#);
        let anthropic = r#""tools":[{"name":"a"},{"name":"b","input_schema":SCHEMA}],"tool_choice":"#;
        check(&format!(r#"{anthropic}{{"type":"tool","name":"b"}}"#), b);
        check(&format!(r#"{anthropic}{{"type":"any"}}"#), a);
        check(&format!(r#"{anthropic}{{"type":"tool","name":"c"}}"#), None);
        check(&format!(r#"{anthropic}{{"type":"auto"}}"#), None);
        let chat = r#""tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b","parameters":SCHEMA}}],"tool_choice":"#;
        check(&format!(r#"{chat}{{"type":"function","function":{{"name":"b"}}}}"#), b);
        check(&format!(r#"{chat}"required""#), a);
        check(&format!(r#"{chat}"auto""#), None);
        let responses = r#""tools":[{"type":"function","name":"b","parameters":SCHEMA}],"tool_choice":"#;
        check(&format!(r#"{responses}{{"type":"function","name":"b"}}"#), b);
        let google =
            r#""tools":[{"functionDeclarations":[{"name":"a"},{"name":"b","parameters":SCHEMA}]}],"toolConfig":"#;
        check(&format!(r#"{google}{{"functionCallingConfig":{{"mode":"ANY","allowedFunctionNames":["b"]}}}}"#), b);
        check(&format!(r#"{google}{{"functionCallingConfig":{{"mode":"ANY"}}}}"#), a);
        check(&format!(r#"{google}{{"functionCallingConfig":{{"mode":"AUTO"}}}}"#), None);
    }
}

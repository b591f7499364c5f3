//! The keywords of arguments that OpenAI requires and JSON Schema does not.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::json::{self, ObjectWriter};
use super::arguments::for_arguments;
use super::work::{DEPTH_MAX, Fields, Work};

/// Returns a schema of arguments as OpenAI takes it. It refuses the whole call for an object without `properties`
/// (spring-ai, issue 4776), and for a list without `items` at any depth (mcp-digitalocean, issue 265).
pub(in crate::translate::request) fn for_openai_arguments(schema: Option<&str>) -> Cow<'_, str> {
    let schema = for_arguments(schema);
    match completed(&schema) {
        Some(completed) => Cow::Owned(completed),
        None => schema,
    }
}

/// Returns the schema with the keywords that it lacks; `None` if it lacks none.
fn completed(schema: &str) -> Option<String> {
    let schema: &RawValue = serde_json::from_str(schema).ok()?;
    let mut completion = Completion { work: Work::new(schema), is_changed: false };
    let out = completion.whole(schema);
    completion.is_changed.then_some(out)
}

struct Completion {
    work: Work,
    is_changed: bool,
}

impl Completion {
    fn whole(&mut self, schema: &RawValue) -> String {
        let Some(fields) = self.work.fields(schema) else { return schema.get().to_owned() };
        let mut out = self.fields(&fields, DEPTH_MAX);
        self.require(&fields, "object", "properties", &mut out);
        out.finish()
    }

    fn inner(&mut self, schema: &RawValue, depth: usize) -> String {
        let Some((fields, depth)) = self.work.fields(schema).zip(depth.checked_sub(1)) else {
            return schema.get().to_owned();
        };
        self.fields(&fields, depth).finish()
    }

    fn fields(&mut self, fields: &Fields<'_>, depth: usize) -> ObjectWriter {
        let mut out = ObjectWriter::new();
        for (key, value) in fields {
            let value = match key.as_ref() {
                "properties" | "patternProperties" | "$defs" | "definitions" => self.each_field(value, depth),
                "items" | "additionalProperties" | "not" => self.inner(value, depth),
                "anyOf" | "allOf" | "oneOf" | "prefixItems" => self.each_element(value, depth),
                _ => value.get().to_owned(),
            };
            out.raw(key, &value);
        }
        self.require(fields, "array", "items", &mut out);
        out
    }

    fn each_field(&mut self, value: &RawValue, depth: usize) -> String {
        let Some(fields) = self.work.fields(value) else { return value.get().to_owned() };
        let mut out = ObjectWriter::new();
        for (key, value) in fields {
            out.raw(&key, &self.inner(value, depth));
        }
        out.finish()
    }

    fn each_element(&mut self, value: &RawValue, depth: usize) -> String {
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else { return value.get().to_owned() };
        json::list(&elements.into_iter().map(|element| self.inner(element, depth)).collect::<Vec<_>>())
    }

    /// Adds the keyword that a schema of a type needs.
    fn require(&mut self, fields: &Fields<'_>, kind: &str, keyword: &str, out: &mut ObjectWriter) {
        let is_of_kind = fields.iter().any(|(key, value)| key == "type" && has_type(value, kind));
        if is_of_kind && !fields.iter().any(|(key, _)| key == keyword) {
            self.is_changed = true;
            out.raw(keyword, "{}");
        }
    }
}

/// Whether the value of `type` is, or contains, this type.
fn has_type(value: &RawValue, kind: &str) -> bool {
    let is_it = |text: &str| serde_json::from_str::<String>(text).is_ok_and(|text| text == kind);
    let list = || serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default();
    is_it(value.get()) || list().into_iter().any(|element| is_it(element.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keywords_that_openai_requires_are_added() {
        for (schema, sent) in [
            (r#"{"type":"object"}"#, r#"{"type":"object","properties":{}}"#),
            ("{}", r#"{"type":"object","properties":{}}"#),
            (
                r#"{"type":"object","properties":{"a":{"type":"array"},"b":{"anyOf":[{"type":["array","null"]},{"type":"object"}]}}}"#,
                r#"{"type":"object","properties":{"a":{"type":"array","items":{}},"b":{"anyOf":[{"type":["array","null"],"items":{}},{"type":"object"}]}}}"#,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"array","title":"x"}}},"$defs":{"d":{"type":"array"}}}"#,
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"array","title":"x","items":{}}}},"$defs":{"d":{"type":"array","items":{}}}}"#,
            ),
        ] {
            assert_eq!(for_openai_arguments(Some(schema)), sent);
        }
        assert_eq!(for_openai_arguments(None), r#"{"type":"object","properties":{}}"#);
        let whole = r#"{ "type": "object", "properties": {"type": {"type": "string"}}, "x": 1.50 }"#;
        assert_eq!(for_openai_arguments(Some(whole)), whole, "its text remains");
    }
}

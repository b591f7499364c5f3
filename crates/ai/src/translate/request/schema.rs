//! JSON schemas in the subsets of providers. Keys keep their order, and values their text.

mod arguments;
mod gemini;
mod openai;
mod references;
mod work;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::json::{self, quoted};
pub(super) use arguments::for_arguments;
pub(super) use gemini::of_gemini;
pub(super) use openai::for_openai_arguments;
pub(super) use references::{inlined, without_alternatives};
use work::{DEPTH_MAX, Fields, Work, fields};

/// The formats of strings that Anthropic's structured outputs accept (`transform_schema` of its SDK for Python, 2.12).
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// The keywords that they accept, besides those with rules below.
const KEPT: [&str; 11] =
    ["type", "title", "enum", "const", "default", "required", "definitions", "$defs", "items", "anyOf", "allOf"];

/// Returns the schema in the subset of Anthropic's structured outputs. The description names the other keywords.
pub(super) fn for_messages(schema: &RawValue) -> String {
    Rewrite::new(schema).changed(schema, DEPTH_MAX)
}

/// Whether Anthropic accepts the schema as strict, as it is.
pub(super) fn fits_messages(schema: &RawValue) -> bool {
    let mut rewrite = Rewrite::new(schema);
    rewrite.changed(schema, DEPTH_MAX);
    !rewrite.is_changed
}

/// The change of a schema into Anthropic's subset.
struct Rewrite {
    work: Work,
    /// Whether anything is outside the subset.
    is_changed: bool,
    /// Whether the schema is within definitions.
    is_defined: bool,
}

impl Rewrite {
    fn new(schema: &RawValue) -> Self {
        Self { work: Work::new(schema), is_changed: false, is_defined: false }
    }

    fn changed(&mut self, schema: &RawValue, depth: usize) -> String {
        let Some((fields, depth)) = self.work.fields(schema).zip(depth.checked_sub(1)) else {
            self.is_changed = true;
            return schema.get().to_owned();
        };
        let mut out = json::ObjectWriter::new();
        let mut words = Vec::new();
        let mut description = None;
        for (key, value) in &fields {
            match key.as_ref() {
                "properties" => {
                    out.raw(key, &self.each_field(value, depth));
                }
                "$defs" | "definitions" => {
                    let was_defined = std::mem::replace(&mut self.is_defined, true);
                    out.raw(key, &self.each_field(value, depth));
                    self.is_defined = was_defined;
                }
                "items" => {
                    out.raw(key, &self.changed(value, depth));
                }
                "anyOf" | "allOf" => {
                    out.raw(key, &self.each_element(value, depth));
                }
                "oneOf" => {
                    self.is_changed = true;
                    out.raw("anyOf", &self.each_element(value, depth));
                }
                "additionalProperties" => self.is_changed |= value.get() != "false",
                // A reference within definitions, or to the whole, can be recursive, which Anthropic refuses.
                "$ref" => {
                    self.is_changed |= self.is_defined || value.get() == "\"#\"";
                    out.raw(key, value.get());
                }
                "description" => description = serde_json::from_str::<String>(value.get()).ok(),
                "format" if FORMATS.iter().any(|format| quoted(format) == value.get()) => {
                    out.raw(key, value.get());
                }
                "minItems" if matches!(value.get(), "0" | "1") => {
                    out.raw(key, value.get());
                }
                key if KEPT.contains(&key) => {
                    out.raw(key, value.get());
                }
                _ => words.push(format!("{key}: {}", value.get())),
            }
        }
        if is_object(&fields) {
            self.is_changed |= !is_closed(&fields);
            out.flag("additionalProperties", false);
        }
        if !words.is_empty() {
            self.is_changed = true;
            let words = format!("{{{}}}", words.join(", "));
            description = Some(description.map_or_else(|| words.clone(), |text| format!("{text}\n\n{words}")));
        }
        if let Some(description) = description {
            out.text("description", &description);
        }
        out.finish()
    }

    fn each_field(&mut self, value: &RawValue, depth: usize) -> String {
        let Some(fields) = self.work.fields(value) else { return value.get().to_owned() };
        let mut out = json::ObjectWriter::new();
        for (key, value) in fields {
            out.raw(&key, &self.changed(value, depth));
        }
        out.finish()
    }

    fn each_element(&mut self, value: &RawValue, depth: usize) -> String {
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else { return value.get().to_owned() };
        json::list(&elements.into_iter().map(|element| self.changed(element, depth)).collect::<Vec<_>>())
    }
}

/// Whether OpenAI accepts the schema as strict: every object lists all its properties as required and allows no other, and
/// there is no keyword outside its subset.
pub(super) fn fits_strict(schema: &RawValue) -> bool {
    fits(schema, DEPTH_MAX, &mut Work::new(schema)) && fields(schema).is_some_and(|fields| is_object(&fields))
}

fn fits(schema: &RawValue, depth: usize, work: &mut Work) -> bool {
    let Some((fields, depth)) = work.fields(schema).zip(depth.checked_sub(1)) else { return false };
    if fields.iter().any(|(key, _)| key == "$ref") {
        return fields.len() == 1;
    }
    let known = fields.iter().all(|(key, value)| match key.as_ref() {
        "properties" | "$defs" | "definitions" | "anyOf" => {
            inner(value).is_some_and(|inner| inner.into_iter().all(|inner| fits(inner, depth, work)))
        }
        "items" => fits(value, depth, work),
        "additionalProperties" => value.get() == "false",
        "type" | "title" | "description" | "enum" | "const" | "required" | "format" | "pattern" | "minimum"
        | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "minItems" | "maxItems" => true,
        _ => false,
    });
    known && (!is_object(&fields) || (is_closed(&fields) && requires_all(&fields)))
}

/// The schemas in a list or in the fields of an object.
fn inner(value: &RawValue) -> Option<Vec<&RawValue>> {
    match fields(value) {
        Some(fields) => Some(fields.into_iter().map(|(_, value)| value).collect()),
        None => serde_json::from_str(value.get()).ok(),
    }
}

fn is_closed(fields: &Fields<'_>) -> bool {
    fields.iter().any(|(key, _)| key == "additionalProperties")
}

fn requires_all(fields: &Fields<'_>) -> bool {
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let names = value("properties").and_then(self::fields).unwrap_or_default();
    let required = value("required").and_then(|value| serde_json::from_str::<BTreeSet<Cow<'_, str>>>(value.get()).ok());
    let required = required.unwrap_or_default();
    names.iter().all(|(name, _)| required.contains(name))
}

fn is_object(fields: &Fields<'_>) -> bool {
    fields.iter().any(|(key, value)| key == "properties" || (key == "type" && value.get() == "\"object\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(schema: &str) -> String {
        for_messages(serde_json::from_str(schema).unwrap())
    }

    fn strict(schema: &str) -> bool {
        fits_strict(serde_json::from_str(schema).unwrap())
    }

    #[test]
    fn a_schema_for_messages_keeps_its_order_and_describes_the_rest() {
        insta::assert_snapshot!(messages(
            r#"{"type":"object","properties":{"z":{"type":"integer","minimum":1,"description":"A size."},
            "a":{"oneOf":[{"type":"string","format":"email"},{"type":"string","format":"ssn"}]},
            "l":{"type":"array","items":{"type":"object","properties":{}},"minItems":2}},"required":["z"],
            "additionalProperties":true}"#
        ));
    }

    #[test]
    fn only_closed_schemas_with_all_properties_required_fit_strict() {
        let closed =
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
        assert!(strict(closed));
        for (from, to) in
            [("[\"a\"]", "[]"), (",\"additionalProperties\":false", ""), ("\"string\"", "\"string\",\"default\":1")]
        {
            assert!(!strict(&closed.replace(from, to)), "{to}");
        }
        assert!(!strict(r#"{"type":"string"}"#));
        assert!(strict(
            r##"{"$defs":{"x":{"type":"string"}},"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"],"additionalProperties":false}"##
        ));
    }

    #[test]
    fn only_closed_schemas_in_anthropics_subset_fit_messages() {
        let fits = |schema: &str| fits_messages(serde_json::from_str(schema).unwrap());
        let closed = r##"{"$defs":{"x":{"type":"integer"}},"type":"object","properties":{"a":{"anyOf":[{"$ref":"#/$defs/x"},{"type":"null"}]}},"required":["a"],"additionalProperties":false}"##;
        assert!(fits(closed));
        for (from, to) in [
            (r#""integer"}"#, r#""integer","minimum":1}"#),
            (",\"additionalProperties\":false", ""),
            ("false", "true"),
            ("anyOf", "oneOf"),
            ("#/$defs/x", "#"),
            (r#"{"type":"integer"}"#, r##"{"type":"array","items":{"$ref":"#/$defs/x"}}"##),
        ] {
            assert!(!fits(&closed.replace(from, to)), "{to}");
        }
    }

    #[test]
    fn a_deep_and_long_schema_stays_as_it_is() {
        let long = format!(r#"{{"pattern":"{}"}}"#, "x".repeat(200_000));
        let deep = (0..30).fold(long, |inner, _| format!(r#"{{"items":{inner}}}"#));
        let out = messages(&deep);
        assert!(out.contains(r#""pattern":"xx"#) && !strict(&deep), "it was changed");
        let short = (0..30).fold(r#"{"pattern":"x"}"#.to_owned(), |inner, _| format!(r#"{{"items":{inner}}}"#));
        assert!(messages(&short).contains("{pattern: "));
    }

    #[test]
    fn arguments_are_an_object() {
        assert_eq!(for_arguments(None), r#"{"type":"object","properties":{}}"#);
        assert_eq!(for_arguments(Some("{}")), r#"{"type":"object"}"#);
        assert_eq!(for_arguments(Some(r#"{"type":"object","x":1.50}"#)), r#"{"type":"object","x":1.50}"#);
    }
}

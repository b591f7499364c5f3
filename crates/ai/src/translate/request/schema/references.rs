//! References within a schema, for Gemini: it refuses other keywords beside them, and references to anything but the root's
//! `$defs`. References are replaced by the schemas that they name; recursive ones become references to `$defs`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memmem;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::super::json::{ObjectWriter, quoted};
use super::work::{DEPTH_MAX, Fields, Work};

/// Most references that are replaced. Further ones refer to `$defs`.
const INLINED_MAX: usize = 1_000;
/// Longest result, in bytes. What exceeds it allows any value.
const BYTES_MAX: usize = 1024 * 1024;
/// Most references that are remembered.
const RESOLVED_MAX: usize = 4_096;
/// Most definitions of the result.
const DEFINED_MAX: usize = 256;
/// Most references to references, and most parts of one.
const HOPS_MAX: usize = 16;

const REF: &str = "$ref";
/// The keywords whose value is a schema, a list of schemas, or an object of schemas.
const ONE: [&str; 9] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedProperties",
];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const MAPS: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Returns the schema without references but recursive ones; unchanged if it has none.
pub(in crate::translate::request) fn inlined(schema: &str) -> Cow<'_, str> {
    if memmem::find(schema.as_bytes(), b"\"$ref\"").is_none() {
        return Cow::Borrowed(schema);
    }
    let Ok(root) = serde_json::from_str::<&RawValue>(schema) else { return Cow::Borrowed(schema) };
    let mut inlining = Inlining {
        root,
        work: Work::new(root),
        open: Vec::new(),
        resolved: BTreeMap::new(),
        defined: BTreeMap::new(),
        inlined: 0,
        bytes: 0,
    };
    let mut written = inlining.schema(root, DEPTH_MAX);
    let mut bodies = ObjectWriter::new();
    let mut done: Vec<String> = Vec::new();
    // A definition may refer to others.
    while let Some((pointer, name)) = inlining.defined.iter().find(|(pointer, _)| !done.contains(pointer)) {
        let pointer = pointer.clone();
        let name = name.clone();
        let target = inlining.resolve(&pointer).unwrap_or(root);
        inlining.open = vec![pointer.clone()];
        let body = inlining.schema(target, DEPTH_MAX);
        bodies.raw(&name, &body);
        done.push(pointer);
    }
    if !done.is_empty() {
        written.truncate(written.len().saturating_sub(1));
        let comma = if written.len() > 1 { "," } else { "" };
        written.push_str(&format!("{comma}\"$defs\":{}}}", bodies.finish()));
    }
    Cow::Owned(written)
}

/// The state of one schema.
struct Inlining<'a> {
    root: &'a RawValue,
    work: Work,
    /// The references whose schemas are being written.
    open: Vec<String>,
    /// The schemas to which references have led; `None` for those that lead nowhere.
    resolved: BTreeMap<String, Option<&'a RawValue>>,
    /// The names of definitions, by the references to them.
    defined: BTreeMap<String, String>,
    inlined: usize,
    bytes: usize,
}

impl<'a> Inlining<'a> {
    fn schema(&mut self, schema: &'a RawValue, depth: usize) -> String {
        const ANY: &str = "{}";
        if !schema.get().starts_with('{') {
            // `true` and `false` are schemas.
            return schema.get().to_owned();
        }
        let fields = if self.bytes < BYTES_MAX { self.work.fields(schema) } else { None };
        let Some((fields, depth)) = fields.zip(depth.checked_sub(1)) else { return ANY.to_owned() };
        let reference = fields.iter().rev().find(|(key, _)| key == REF);
        let reference = reference.and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok());
        let Some(reference) = reference else { return self.object(&fields, depth) };
        let Some(target) = self.resolve(&reference) else {
            return self.object(&without(&fields, REF), depth);
        };
        if self.open.contains(&reference) || self.inlined >= INLINED_MAX || self.open.len() >= HOPS_MAX {
            return self.referring(&reference, &fields);
        }
        self.inlined += 1;
        let own = without(&fields, REF);
        let Some(of_target) = self.work.fields(target) else { return ANY.to_owned() };
        let is_own = |key: &str| own.iter().any(|(name, _)| name == key);
        let mut merged: Fields<'a> = of_target.into_iter().filter(|(key, _)| !is_own(key)).collect();
        // A definition may be the root, whose definitions no reference needs.
        merged.extend(own);
        self.open.push(reference);
        let written = match merged.iter().any(|(key, _)| key == REF) {
            true => self.chained(&merged, depth),
            false => self.object(&merged, depth),
        };
        self.open.pop();
        written
    }

    /// Writes a schema that a reference has led to, and which is one again.
    fn chained(&mut self, merged: &Fields<'a>, depth: usize) -> String {
        let reference = merged.iter().find(|(key, _)| key == REF).map(|(_, value)| *value);
        let Some(raw) = reference else { return self.object(merged, depth) };
        let reference: String = serde_json::from_str(raw.get()).unwrap_or_default();
        let target = match self.resolve(&reference) {
            Some(target) if !self.open.contains(&reference) => target,
            Some(_) | None => return self.referring(&reference, merged),
        };
        let own = without(merged, REF);
        let of_target = self.work.fields(target).unwrap_or_default();
        let mut next: Fields<'a> =
            of_target.into_iter().filter(|(key, _)| own.iter().all(|(name, _)| name != key)).collect();
        next.extend(own);
        if self.open.len() >= HOPS_MAX || next.iter().any(|(key, _)| key == REF) {
            return self.referring(&reference, merged);
        }
        self.open.push(reference);
        let written = self.object(&next, depth);
        self.open.pop();
        written
    }

    /// Writes a reference to a definition of the result, with what Gemini takes beside it.
    fn referring(&mut self, reference: &str, fields: &Fields<'a>) -> String {
        let Some(name) = self.define(reference) else { return "{}".to_owned() };
        let mut out = ObjectWriter::new();
        out.text(REF, &format!("#/$defs/{name}"));
        for (key, value) in fields.iter().filter(|(key, _)| matches!(key.as_ref(), "description" | "default")) {
            out.raw(key, value.get());
        }
        self.counted(out.finish())
    }

    /// Returns the name of the definition for a reference. Names have letters and digits alone.
    fn define(&mut self, reference: &str) -> Option<String> {
        if let Some(name) = self.defined.get(reference) {
            return Some(name.clone());
        }
        if self.defined.len() >= DEFINED_MAX || self.resolve(reference).is_none() {
            return None;
        }
        let last = reference.rsplit('/').next().unwrap_or_default();
        let mut name: String = last.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        if name.is_empty() {
            name.push_str("whole");
        }
        while self.defined.values().any(|taken| *taken == name) {
            name.push_str(&self.defined.len().to_string());
        }
        self.defined.insert(reference.to_owned(), name.clone());
        Some(name)
    }

    fn object(&mut self, fields: &Fields<'a>, depth: usize) -> String {
        let mut out = ObjectWriter::new();
        for (key, value) in fields {
            let name = key.as_ref();
            if DEFINITIONS.contains(&name) {
                continue;
            }
            let written = if ONE.contains(&name) && value.get().starts_with('{') {
                self.schema(value, depth)
            } else if LISTS.contains(&name) || (name == "items" && value.get().starts_with('[')) {
                let elements = serde_json::from_str::<Vec<&'a RawValue>>(value.get()).unwrap_or_default();
                super::super::json::list(&elements.into_iter().map(|each| self.schema(each, depth)).collect::<Vec<_>>())
            } else if MAPS.contains(&name) {
                let mut map = ObjectWriter::new();
                for (name, value) in self.work.fields(value).unwrap_or_default() {
                    map.raw(&name, &self.schema(value, depth));
                }
                map.finish()
            } else {
                value.get().to_owned()
            };
            out.raw(name, &written);
        }
        self.counted(out.finish())
    }

    fn counted(&mut self, written: String) -> String {
        self.bytes = self.bytes.saturating_add(written.len());
        written
    }

    /// Returns the schema to which a reference within the document refers (RFC 6901).
    fn resolve(&mut self, reference: &str) -> Option<&'a RawValue> {
        if let Some(known) = self.resolved.get(reference) {
            return *known;
        }
        let found = self.find(reference);
        if self.resolved.len() < RESOLVED_MAX {
            self.resolved.insert(reference.to_owned(), found);
        }
        found
    }

    fn find(&mut self, reference: &str) -> Option<&'a RawValue> {
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        let mut at = self.root;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            at = if at.get().starts_with('[') {
                *serde_json::from_str::<Vec<&'a RawValue>>(at.get()).ok()?.get(part.parse::<usize>().ok()?)?
            } else {
                self.work.fields(at)?.into_iter().rev().find(|(key, _)| *key == part)?.1
            };
        }
        (pointer.is_empty() || pointer.starts_with('/')).then_some(at).filter(|at| at.get().starts_with('{'))
    }
}

fn without<'a>(fields: &Fields<'a>, name: &str) -> Fields<'a> {
    fields.iter().filter(|(key, _)| key != name).cloned().collect()
}

/// Returns a schema of arguments without alternatives at its top, which Anthropic refuses: the properties of all of them.
pub(in crate::translate::request) fn without_alternatives(schema: &str) -> Cow<'_, str> {
    let Some(fields) = serde_json::from_str(schema).ok().and_then(super::work::fields) else {
        return Cow::Borrowed(schema);
    };
    let is_choice = |key: &str| matches!(key, "anyOf" | "oneOf" | "allOf");
    if !fields.iter().any(|(key, _)| is_choice(key)) {
        return Cow::Borrowed(schema);
    }
    let mut properties: Vec<(String, String)> = Vec::new();
    let mut required: Option<Vec<String>> = None;
    let mut always: Vec<String> = Vec::new();
    let add = |object: &Fields<'_>, properties: &mut Vec<(String, String)>| {
        let of = |name: &str| object.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        for (name, value) in of("properties").and_then(super::work::fields).unwrap_or_default() {
            if properties.iter().all(|(known, _)| *known != name) {
                properties.push((name.into_owned(), value.get().to_owned()));
            }
        }
        of("required").and_then(|list| serde_json::from_str::<Vec<String>>(list.get()).ok()).unwrap_or_default()
    };
    always.extend(add(&fields, &mut properties));
    for (key, list) in fields.iter().filter(|(key, _)| is_choice(key)) {
        for branch in serde_json::from_str::<Vec<&RawValue>>(list.get()).unwrap_or_default() {
            let needed = add(&super::work::fields(branch).unwrap_or_default(), &mut properties);
            if key == "allOf" {
                always.extend(needed);
            } else {
                required = Some(match required {
                    Some(common) => common.into_iter().filter(|name| needed.contains(name)).collect(),
                    None => needed,
                });
            }
        }
    }
    always.extend(required.unwrap_or_default());
    always.sort();
    always.dedup();
    let mut out = ObjectWriter::of_type("object");
    let mut written = ObjectWriter::new();
    properties.iter().for_each(|(name, value)| _ = written.raw(name, value));
    out.raw("properties", &written.finish());
    if !always.is_empty() {
        out.raw("required", &super::super::json::list(&always.iter().map(|name| quoted(name)).collect::<Vec<_>>()));
    }
    for (key, value) in fields {
        if !is_choice(&key) && !matches!(key.as_ref(), "type" | "properties" | "required") {
            out.raw(&key, value.get());
        }
    }
    Cow::Owned(out.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value(schema: &Value) -> Value {
        serde_json::from_str(&inlined(&schema.to_string())).unwrap()
    }

    #[test]
    fn references_are_replaced_wherever_they_lead() {
        let object = json!({"type": "object"});
        for (schema, expected) in [
            (
                json!({"type": "object", "properties": {"o": {"$ref": "#/$defs/Q", "title": "O", "type": "object"}}, "$defs": {"Q": object}}),
                json!({"type": "object", "properties": {"o": {"title": "O", "type": "object"}}}),
            ),
            (
                json!({"type": "object", "properties": {"o": {"$ref": "#/definitions/Q"}}, "definitions": {"Q": object}}),
                json!({"type": "object", "properties": {"o": object}}),
            ),
            (
                json!({"type": "object", "properties": {"h": object, "o": {"type": "array", "items": {"$ref": "#/properties/h"}}}}),
                json!({"type": "object", "properties": {"h": object, "o": {"type": "array", "items": object}}}),
            ),
            (
                json!({"properties": {"a": {"$defs": {"n/x": {"type": "string"}}, "anyOf": [{"$ref": "#/properties/a/$defs/n~1x"}, {"type": "null"}]}}}),
                json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}),
            ),
            (
                json!({"properties": {"a": {"$ref": "#/$defs/A", "description": "d"}}, "$defs": {"A": {"$ref": "#/$defs/B", "title": "t"}, "B": {"type": "integer"}}}),
                json!({"properties": {"a": {"type": "integer", "title": "t", "description": "d"}}}),
            ),
            (
                json!({"properties": {"$ref": {"type": "string"}, "x": {"$ref": "https://a.example/s.json", "description": "d"}, "y": {"$ref": "#/none"}}}),
                json!({"properties": {"$ref": {"type": "string"}, "x": {"description": "d"}, "y": {}}}),
            ),
            (
                json!({"properties": {"a": {"enum": [{"$ref": "#/$defs/A"}], "default": {"$ref": "x"}}}}),
                json!({"properties": {"a": {"enum": [{"$ref": "#/$defs/A"}], "default": {"$ref": "x"}}}}),
            ),
        ] {
            assert_eq!(value(&schema), expected, "{schema}");
        }
        let plain = r#"{"type":"object","$defs":{"Q":{}}}"#;
        assert_eq!(inlined(plain), plain);
    }

    #[test]
    fn recursive_references_lead_to_definitions_of_the_root() {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#/definitions/Node", "title": "N", "description": "d"}}});
        let schema = json!({"type": "object", "properties": {"first": {"$ref": "#/definitions/Node"}}, "definitions": {"Node": node}});
        let inner = json!({"$ref": "#/$defs/Node", "description": "d"});
        let of_node = json!({"type": "object", "properties": {"next": inner}});
        assert_eq!(
            value(&schema),
            json!({"type": "object", "properties": {"first": of_node}, "$defs": {"Node": of_node}})
        );
        let whole = json!({"type": "object", "properties": {"child": {"$ref": "#"}}});
        let written = value(&whole);
        assert_eq!(written["$defs"]["whole"]["properties"]["child"], json!({"$ref": "#/$defs/whole"}));
        assert_eq!(
            value(&json!({"properties": {"a": {"$ref": "#/properties/a"}}}))["$defs"]["a"],
            json!({"$ref": "#/$defs/a"})
        );
    }

    #[test]
    fn the_result_is_bounded() {
        let doubled = |to: usize| json!({"properties": {"a": {"$ref": format!("#/$defs/d{to}")}, "b": {"$ref": format!("#/$defs/d{to}")}}});
        let mut defs: serde_json::Map<String, Value> = (0..30).map(|at| (format!("d{at}"), doubled(at + 1))).collect();
        defs.insert("d30".to_owned(), json!({"type": "string"}));
        let text =
            inlined(&json!({"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": defs}).to_string()).into_owned();
        assert!(text.len() < 4 * BYTES_MAX && serde_json::from_str::<Value>(&text).is_ok(), "{}", text.len());
        let many: serde_json::Map<String, Value> =
            (0..10_000).map(|at| (format!("p{at}"), json!({"$ref": "#/$defs/A"}))).collect();
        let text = inlined(&json!({"properties": many, "$defs": {"A": {"type": "string"}}}).to_string()).into_owned();
        let written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&written["properties"]["p0"], written["$defs"].is_null()), (&json!({"type": "string"}), false));
        assert_eq!(written["properties"].as_object().unwrap().len(), 10_000);
    }

    #[test]
    fn alternatives_at_the_top_become_the_properties_of_all() {
        let schema = json!({"description": "d", "anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "k": {"type": "string"}}, "required": ["a", "k"]},
            {"type": "object", "properties": {"b": {"type": "string"}, "k": {"type": "integer"}}, "required": ["b", "k"]},
        ]});
        let written: Value = serde_json::from_str(&without_alternatives(&schema.to_string())).unwrap();
        let expected = json!({"type": "object", "properties": {"a": {"type": "string"}, "k": {"type": "string"}, "b": {"type": "string"}},
            "required": ["k"], "description": "d"});
        assert_eq!(written, expected);
        let plain = r#"{"type":"object","properties":{"a":{"anyOf":[]}}}"#;
        assert_eq!(without_alternatives(plain), plain);
    }
}

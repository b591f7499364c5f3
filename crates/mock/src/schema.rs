//! A document derived from a JSON Schema, and the arguments for a tool call, derived from that of its parameters: the
//! required properties, each with a value that its schema allows. `pattern`, `not` and `if` are ignored, because no
//! value can be derived from them.

use serde_json::{Map, Value};

/// The nesting of objects and arrays; deeper ones are empty.
const DEPTH_MAX: u32 = 16;
/// The number of values in all.
const VALUES_MAX: u32 = 1_000;
const ITEMS_MAX: u64 = 64;
const TEXT_CHARS_MAX: usize = 1_000;
const TEXT: &str = "mock";

/// Arguments that satisfy `schema`, as the text of a JSON object with a space after each comma and colon. The object is
/// empty if the schema asks for another type.
pub(crate) fn arguments(schema: &Value) -> String {
    let document = document(schema);
    if document.starts_with('{') { document } else { "{}".to_owned() }
}

/// A document that satisfies `schema`, as JSON text with a space after each comma and colon.
pub(crate) fn document(schema: &Value) -> String {
    let mut writer = DocumentWriter { root: schema, out: String::new(), values_left: VALUES_MAX };
    writer.fill(&PropertySchema { name: "", schema }, DEPTH_MAX);
    writer.out
}

/// A schema, and the name of its property.
struct PropertySchema<'a> {
    name: &'a str,
    schema: &'a Value,
}

struct DocumentWriter<'a> {
    /// The schema that `$ref` pointers start from.
    root: &'a Value,
    out: String,
    values_left: u32,
}

impl DocumentWriter<'_> {
    fn fill(&mut self, named: &PropertySchema<'_>, depth: u32) {
        let PropertySchema { name, schema } = *named;
        let below = depth.saturating_sub(1);
        self.values_left = self.values_left.saturating_sub(1);
        if depth == 0 || self.values_left == 0 {
            self.out.push_str(empty(schema));
            return;
        }
        if let Some(given) = given(schema) {
            self.out.push_str(&given.to_string());
        } else if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|at| self.referred(at)) {
            self.fill(&PropertySchema { name, schema: &target }, below);
        } else if let Some(choice) = choice(schema) {
            self.fill(&PropertySchema { name, schema: choice }, below);
        } else if let Some(parts) = list(schema, "allOf") {
            self.fill(&PropertySchema { name, schema: &merged(schema, parts) }, below);
        } else {
            match kind(schema) {
                JsonType::Object => self.object(schema, below),
                JsonType::Array => self.array(named, below),
                JsonType::Integer | JsonType::Number => self.out.push_str(&number(schema)),
                JsonType::Boolean => self.out.push_str("false"),
                JsonType::Null => self.out.push_str("null"),
                JsonType::Text => self.out.push_str(&Value::String(text(named)).to_string()),
            }
        }
    }

    fn object(&mut self, schema: &Value, depth: u32) {
        self.out.push('{');
        let required = list(schema, "required").into_iter().flatten().filter_map(Value::as_str);
        for (at, name) in required.enumerate() {
            if self.values_left == 0 {
                break;
            }
            if at > 0 {
                self.out.push_str(", ");
            }
            self.out.push_str(&Value::from(name).to_string());
            self.out.push_str(": ");
            let property = schema.get("properties").and_then(|properties| properties.get(name));
            self.fill(&PropertySchema { name, schema: property.unwrap_or(&Value::Null) }, depth);
        }
        self.out.push('}');
    }

    /// The values of a tuple, then as many items as the schema requires; by default one.
    fn array(&mut self, named: &PropertySchema<'_>, depth: u32) {
        let schema = named.schema;
        let tuple = list(schema, "prefixItems").or_else(|| list(schema, "items"));
        let tuple: &[Value] = tuple.map(Vec::as_slice).unwrap_or_default();
        let items = schema.get("items").filter(|items| items.is_object()).unwrap_or(&Value::Null);
        // Gemini writes numbers as strings.
        let bound = |key| schema.get(key).and_then(whole);
        let default = u64::from(tuple.is_empty()).min(bound("maxItems").unwrap_or(u64::MAX));
        let min = bound("minItems").unwrap_or(default).min(ITEMS_MAX);
        let values = usize::try_from(min).unwrap_or_default().max(tuple.len());
        self.out.push('[');
        for at in 0..values {
            if self.values_left == 0 {
                break;
            }
            if at > 0 {
                self.out.push_str(", ");
            }
            self.fill(&PropertySchema { name: named.name, schema: tuple.get(at).unwrap_or(items) }, depth);
        }
        self.out.push(']');
    }

    /// The target of a reference within the schema.
    fn referred(&self, at: &str) -> Option<Value> {
        self.root.pointer(at.strip_prefix('#')?).cloned()
    }
}

#[derive(Clone, Copy)]
enum JsonType {
    Object,
    Array,
    Text,
    Integer,
    Number,
    Boolean,
    Null,
}

/// The type, in lowercase (JSON Schema) or uppercase (Gemini); of a list the first that is not null.
fn kind(schema: &Value) -> JsonType {
    let word = match schema.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        Some(kind) => kind.as_str().unwrap_or_default(),
        None if schema.get("properties").is_some() || schema.get("required").is_some() => "object",
        None if schema.get("items").is_some() => "array",
        None => "",
    };
    match word.to_ascii_lowercase().as_str() {
        "object" => JsonType::Object,
        "array" => JsonType::Array,
        "integer" => JsonType::Integer,
        "number" => JsonType::Number,
        "boolean" => JsonType::Boolean,
        "null" => JsonType::Null,
        _ => JsonType::Text,
    }
}

/// A value that the schema itself contains.
fn given(schema: &Value) -> Option<&Value> {
    let first = |key| list(schema, key).and_then(|values| values.first());
    schema.get("const").or_else(|| first("enum")).or_else(|| schema.get("default")).or_else(|| first("examples"))
}

/// The first alternative that is not null.
fn choice(schema: &Value) -> Option<&Value> {
    let alternatives = list(schema, "anyOf").or_else(|| list(schema, "oneOf"))?;
    alternatives.iter().find(|alternative| !matches!(kind(alternative), JsonType::Null))
}

/// One schema for all `parts`: the union of properties and required names, and the first value of any other key.
fn merged(schema: &Value, parts: &[Value]) -> Value {
    let mut all = Map::new();
    let mut properties = Map::new();
    let mut required = Vec::new();
    for part in std::iter::once(schema).chain(parts).filter_map(Value::as_object) {
        for (key, value) in part {
            match (key.as_str(), value) {
                ("properties", Value::Object(more)) => properties.extend(more.clone()),
                ("required", Value::Array(more)) => required.extend(more.iter().cloned()),
                ("allOf", _) => {}
                _ => {
                    all.entry(key.as_str()).or_insert_with(|| value.clone());
                }
            }
        }
    }
    if !properties.is_empty() {
        all.insert("properties".to_owned(), Value::Object(properties));
        all.insert("required".to_owned(), Value::Array(required));
    }
    Value::Object(all)
}

fn list<'v>(schema: &'v Value, key: &str) -> Option<&'v Vec<Value>> {
    schema.get(key).and_then(Value::as_array).filter(|list| !list.is_empty())
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The smallest allowed number; without a minimum 1, or the maximum if it is smaller.
fn number(schema: &Value) -> String {
    let bound = |key| schema.get(key).filter(|bound| bound.is_number());
    if matches!(kind(schema), JsonType::Integer) {
        return integer(schema).to_string();
    }
    let real = |key| bound(key).and_then(Value::as_f64);
    let most = real("maximum").or_else(|| real("exclusiveMaximum").map(|below| below - 1.0));
    let least = bound("minimum");
    let above = real("exclusiveMinimum");
    let step = real("multipleOf").filter(|step| *step > 0.0);
    match (least, above, step) {
        (None, None, None) => {}
        (Some(least), None, None) => return least.to_string(),
        (_, None, Some(step)) => {
            let least = least.and_then(Value::as_f64).unwrap_or(step);
            return Value::from((least / step).ceil() * step).to_string();
        }
        (_, Some(above), step) => {
            let end = real("maximum").or_else(|| real("exclusiveMaximum")).unwrap_or(f64::INFINITY);
            let next = step.map_or(above + 1.0, |step| ((above / step).floor() + 1.0) * step);
            return Value::from(if next < end { next } else { f64::midpoint(above, end) }).to_string();
        }
    }
    match most {
        Some(most) if most < 1.0 => bound("maximum").map_or_else(|| Value::from(most).to_string(), Value::to_string),
        _ => "1".to_owned(),
    }
}

/// The smallest allowed integer; without a minimum 1, or the maximum if it is smaller.
fn integer(schema: &Value) -> i64 {
    let bound = |key| schema.get(key).and_then(|bound| bound.as_i64().or_else(|| floor(bound.as_f64()?)));
    let least = bound("minimum").max(bound("exclusiveMinimum").map(|above| above.saturating_add(1)));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|below| below.saturating_sub(1)));
    let step = bound("multipleOf").filter(|step| *step > 0);
    let first = least.unwrap_or_else(|| most.unwrap_or(1).min(1));
    let Some(step) = step else { return first };
    // Without a minimum, zero is a multiple of every number; the number itself is more visible.
    let first = if least.is_none() && most.is_none_or(|most| most >= step) { step } else { first };
    first.div_euclid(step).saturating_add(i64::from(first.rem_euclid(step) > 0)).saturating_mul(step)
}

/// The integer below a number that has a fraction.
fn floor(number: f64) -> Option<i64> {
    let text = format!("{:.0}", number.floor());
    text.parse().ok()
}

/// Text of the format and length that the schema requires.
fn text(named: &PropertySchema<'_>) -> String {
    let text = match (named.schema.get("format").and_then(Value::as_str), named.name) {
        (Some("date"), _) => "2026-01-01",
        (Some("date-time"), _) => "2026-01-01T00:00:00Z",
        (Some("time"), _) => "00:00:00Z",
        (Some("email"), _) => "mock@example.com",
        (Some("uri" | "url"), _) => "https://example.com/",
        (Some("duration"), _) => "P1D",
        (Some("hostname"), _) => "example.com",
        (Some("ipv4"), _) => "192.0.2.1",
        (Some("ipv6"), _) => "2001:db8::1",
        (Some("uuid"), _) => "00000000-0000-4000-8000-000000000000",
        (_, "city" | "location") => "Jakarta",
        _ => TEXT,
    };
    let length = |key| named.schema.get(key).and_then(whole).and_then(|chars| usize::try_from(chars).ok());
    let least = length("minLength").unwrap_or(0).min(TEXT_CHARS_MAX);
    let most = length("maxLength").unwrap_or(usize::MAX);
    text.chars().chain(std::iter::repeat('x')).take(text.chars().count().max(least).min(most)).collect()
}

/// The shortest value of the schema's type.
fn empty(schema: &Value) -> &'static str {
    match kind(schema) {
        JsonType::Object => "{}",
        JsonType::Array => "[]",
        JsonType::Text => "\"\"",
        JsonType::Integer | JsonType::Number => "0",
        JsonType::Boolean => "false",
        JsonType::Null => "null",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, expected: &str) {
        let filled = arguments(schema);
        assert_eq!(filled, expected);
        assert!(serde_json::from_str::<Map<String, Value>>(&filled).is_ok(), "{filled}");
    }

    #[test]
    fn required_properties_have_values_of_their_type() {
        let properties = json!({
            "city": {"type": "string"}, "days": {"type": "integer"}, "ratio": {"type": "number"},
            "metric": {"type": "boolean"}, "nothing": {"type": "null"}, "other": {"type": ["null", "string"]},
            "optional": {"type": "string"}
        });
        let required = ["city", "days", "ratio", "metric", "nothing", "other", "undeclared"];
        check(
            &json!({"type": "object", "properties": properties, "required": required}),
            r#"{"city": "Jakarta", "days": 1, "ratio": 1, "metric": false, "nothing": null, "other": "mock", "undeclared": "mock"}"#,
        );
    }

    #[test]
    fn values_of_the_schema_take_precedence() {
        let properties = json!({
            "unit": {"enum": ["celsius", "kelvin"]}, "kind": {"const": 7}, "depth": {"type": "integer", "default": 3},
            "like": {"type": "string", "examples": ["this"]}
        });
        check(
            &json!({"properties": properties, "required": ["unit", "kind", "depth", "like"]}),
            r#"{"unit": "celsius", "kind": 7, "depth": 3, "like": "this"}"#,
        );
    }

    #[test]
    fn objects_and_arrays_are_nested() {
        let place = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let properties = json!({
            "place": place, "places": {"type": "array", "items": {"$ref": "#/$defs/place"}},
            "pair": {"type": "array", "minItems": 2, "items": {"type": "integer"}}, "any": {"type": "array"}
        });
        let required = ["place", "places", "pair", "any"];
        check(
            &json!({"$defs": {"place": place}, "type": "object", "properties": properties, "required": required}),
            r#"{"place": {"city": "Jakarta"}, "places": [{"city": "Jakarta"}], "pair": [1, 1], "any": ["mock"]}"#,
        );
    }

    #[test]
    fn references_alternatives_and_parts_are_resolved() {
        let properties = json!({
            "a": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 4}]},
            "b": {"oneOf": [{"const": "first"}, {"const": "second"}]},
            "c": {"allOf": [
                {"properties": {"x": {"type": "integer"}}, "required": ["x"]},
                {"properties": {"y": {"type": "boolean"}}, "required": ["y"]}
            ]}
        });
        check(
            &json!({"type": "object", "properties": properties, "required": ["a", "b", "c"]}),
            r#"{"a": 4, "b": "first", "c": {"x": 1, "y": false}}"#,
        );
    }

    #[test]
    fn uppercase_types_of_gemini_are_accepted() {
        let properties = json!({"city": {"type": "STRING"}, "days": {"type": "INTEGER"}, "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "2"}});
        check(
            &json!({"type": "OBJECT", "properties": properties, "required": ["city", "days", "tags"]}),
            r#"{"city": "Jakarta", "days": 1, "tags": ["mock", "mock"]}"#,
        );
    }

    #[test]
    fn bounds_and_formats_are_respected() {
        for (schema, expected) in [
            (json!({"type": "integer", "minimum": -5}), "-5"),
            (json!({"type": "integer", "exclusiveMinimum": 0}), "1"),
            (json!({"type": "number", "exclusiveMinimum": 0.5}), "1.5"),
            (json!({"type": "integer", "multipleOf": 5}), "5"),
            (json!({"type": "number", "maximum": 0.25}), "0.25"),
            (json!({"type": "integer", "maximum": 100}), "1"),
            (json!({"type": "integer", "minimum": 7, "multipleOf": 5}), "10"),
            (json!({"type": "integer", "exclusiveMaximum": 0}), "-1"),
            (json!({"type": "integer", "exclusiveMinimum": 2.5}), "3"),
            (json!({"type": "number", "minimum": 0.25, "multipleOf": 0.5}), "0.5"),
            (json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}), "0.5"),
            (json!({"type": "number", "exclusiveMaximum": 0}), "-1.0"),
            (json!({"type": "array", "maxItems": 0}), "[]"),
            (json!({"type": "array", "minItems": 9, "items": {"const": 1}}), "[1, 1, 1, 1, 1, 1, 1, 1, 1]"),
            (json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}), "[1, false]"),
            (json!({"type": "string", "minLength": 6}), "\"mockxx\""),
            (json!({"type": "string", "maxLength": 2}), "\"mo\""),
            (json!({"type": "string", "format": "date"}), "\"2026-01-01\""),
            (json!({"type": "string", "format": "uri"}), "\"https://example.com/\""),
            (json!({"type": "string", "minLength": 1_000_000_000}), &format!("\"mock{}\"", "x".repeat(996))),
        ] {
            let expected = format!("{{\"p\": {expected}}}");
            check(&json!({"type": "object", "properties": {"p": schema}, "required": ["p"]}), &expected);
        }
    }

    #[test]
    fn schemas_of_other_types_give_an_empty_object() {
        for schema in
            [json!(null), json!({}), json!(true), json!({"type": "object"}), json!({"type": "string"}), json!([1])]
        {
            check(&schema, "{}");
        }
    }

    #[test]
    fn a_document_may_have_any_type() {
        for (schema, expected) in [
            (json!({"type": "array", "items": {"type": "string"}}), r#"["mock"]"#),
            (json!({"type": "STRING", "enum": ["yes", "no"]}), r#""yes""#),
            (json!({"type": "integer"}), "1"),
        ] {
            assert_eq!(document(&schema), expected);
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        let filled = arguments(&node);
        assert!(filled.len() < 1_000 && serde_json::from_str::<Value>(&filled).is_ok(), "{filled}");
        let tree = json!({
            "type": "object", "required": ["l", "r", "m"],
            "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}, "m": {"type": "array", "items": {"$ref": "#"}, "minItems": 8}}
        });
        let filled = arguments(&tree);
        assert!(filled.len() < 100_000 && serde_json::from_str::<Value>(&filled).is_ok(), "{}", filled.len());
        let names: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
        let filled = arguments(&json!({"type": "object", "required": names}));
        assert!(filled.len() < 100_000 && serde_json::from_str::<Value>(&filled).is_ok(), "{}", filled.len());
    }
}

//! Google's schemas as JSON schemas: their types have upper case, and fields of Protocol Buffers have two spellings.

use serde_json::value::RawValue;

use super::super::json;
use super::work::{DEPTH_MAX, Work};

/// The fields that contain a schema, a list of schemas, or an object of schemas, in both spellings.
const ITEMS: [&str; 1] = ["items"];
const LISTS: [&str; 2] = ["anyOf", "any_of"];
const OBJECTS: [&str; 1] = ["properties"];
/// The other fields, and their names in JSON Schema.
const PLAIN: [(&str, &str); 19] = [
    ("title", "title"),
    ("description", "description"),
    ("required", "required"),
    ("enum", "enum"),
    ("default", "default"),
    ("pattern", "pattern"),
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("minItems", "minItems"),
    ("min_items", "minItems"),
    ("maxItems", "maxItems"),
    ("max_items", "maxItems"),
    ("minLength", "minLength"),
    ("min_length", "minLength"),
    ("maxLength", "maxLength"),
    ("max_length", "maxLength"),
    ("additionalProperties", "additionalProperties"),
    ("additional_properties", "additionalProperties"),
    ("format", "format"),
];
/// The formats that only Google has: a type says as much.
const FORMATS: [&str; 6] = ["\"enum\"", "\"int32\"", "\"int64\"", "\"float\"", "\"double\"", "\"\""];

/// Returns the JSON schema. Fields that JSON Schema lacks, such as `propertyOrdering`, are left out.
pub(in crate::translate::request) fn of_gemini(schema: &RawValue) -> String {
    changed(schema, DEPTH_MAX, &mut Work::new(schema))
}

fn changed(schema: &RawValue, depth: usize, work: &mut Work) -> String {
    let Some((fields, depth)) = work.fields(schema).zip(depth.checked_sub(1)) else { return schema.get().to_owned() };
    let is_nullable = fields.iter().any(|(key, value)| key == "nullable" && value.get() == "true");
    let mut out = json::ObjectWriter::new();
    for (key, value) in &fields {
        let key = key.as_ref();
        if value.get() == "null" && key != "default" {
            continue;
        }
        if key == "type" {
            if let Some(json) = type_of(value, is_nullable) {
                out.raw(key, &json);
            }
        } else if key == "enum" && is_nullable {
            let values = serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default();
            let values = values.into_iter().map(RawValue::get).filter(|value| *value != "null");
            out.raw(key, &json::list(&values.chain(["null"]).collect::<Vec<_>>()));
        } else if ITEMS.contains(&key) {
            out.raw(key, &changed(value, depth, work));
        } else if LISTS.contains(&key) {
            let elements = serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default();
            let mut elements: Vec<String> = elements.into_iter().map(|element| changed(element, depth, work)).collect();
            if is_nullable {
                elements.push(r#"{"type":"null"}"#.to_owned());
            }
            out.raw("anyOf", &json::list(&elements));
        } else if OBJECTS.contains(&key) {
            let Some(inner) = work.fields(value) else { continue };
            let mut properties = json::ObjectWriter::new();
            for (name, value) in inner {
                properties.raw(&name, &changed(value, depth, work));
            }
            out.raw(key, &properties.finish());
        } else if let Some((_, name)) = PLAIN.iter().find(|(written, _)| *written == key)
            && !(*name == "format" && FORMATS.contains(&value.get()))
        {
            out.raw(name, plain(name, value));
        }
    }
    out.finish()
}

/// The type in lower case, with `null` if it may be that.
fn type_of(value: &RawValue, is_nullable: bool) -> Option<String> {
    let word = serde_json::from_str::<String>(value.get()).ok()?.to_ascii_lowercase();
    if word == "type_unspecified" {
        return None;
    }
    let word = json::quoted(&word);
    Some(if is_nullable { json::list(&[word.as_str(), "\"null\""]) } else { word })
}

/// A value in JSON. Protocol Buffers write 64-bit numbers as strings.
fn plain<'a>(name: &str, value: &'a RawValue) -> &'a str {
    let text = value.get();
    let digits = text.trim_matches('"');
    let is_number = name.starts_with("min") || name.starts_with("max");
    if is_number && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_of_google_becomes_one_of_json_in_its_order() {
        for (google, json) in [
            (r#"{"type":"STRING","enum":["A"],"nullable":true}"#, r#"{"type":["string","null"],"enum":["A",null]}"#),
            (
                r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},"n":{"type":"ARRAY","minItems":"2","items":{"type":"INTEGER","format":"int32"}}},"required":["n"],"propertyOrdering":["n","type"]}"#,
                r#"{"type":"object","properties":{"type":{"type":["string","null"]},"n":{"type":"array","minItems":2,"items":{"type":"integer"}}},"required":["n"]}"#,
            ),
            (
                r#"{"any_of":[{"type":"number","maximum":1.50},{"type":"STRING","format":"date-time","enum":["A"]}],"nullable":true}"#,
                r#"{"anyOf":[{"type":"number","maximum":1.50},{"type":"string","format":"date-time","enum":["A"]},{"type":"null"}]}"#,
            ),
            (r#"{"type":"TYPE_UNSPECIFIED","description":"x","example":7}"#, r#"{"description":"x"}"#),
        ] {
            assert_eq!(of_gemini(serde_json::from_str(google).unwrap()), json);
        }
    }
}

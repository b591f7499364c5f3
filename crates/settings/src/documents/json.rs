//! The JSON Schema of declared sections (draft 2020-12), with which editors check and complete a file.

use serde_json::{Value as Json, json};

use crate::spec::{KeySpec, Rule, SectionSpec};
use crate::spelling::boolean_words;

/// A text that refers to variables or to a file.
const REFERENCE: &str = r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}|^file:";

/// Returns the JSON Schema of a file with the keys of `root`.
#[must_use]
pub fn document(root: &'static SectionSpec, title: &str) -> Json {
    let reference = json!({
        "type": "string",
        "pattern": REFERENCE,
        "description": "${NAME}, ${NAME:-default} or file:/path",
    });
    let mut schema = section(root);
    for (key, value) in [
        // An empty file has the defaults.
        ("type", json!(["object", "null"])),
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!(title)),
        ("$defs", json!({"reference": reference})),
    ] {
        schema = with(schema, key, value);
    }
    schema
}

/// Returns the schema of a mapping with these keys, which may be empty.
pub fn section(spec: &'static SectionSpec) -> Json {
    let keys = spec.keys();
    let properties: serde_json::Map<String, Json> = keys
        .iter()
        .map(|key| {
            let schema = key.field.schema();
            let schema = if key.field.is_required() { schema } else { or_null(schema) };
            let schema = with(schema, "title", json!(key.name));
            (key.name, with(schema, "description", json!(description(key))))
        })
        .flat_map(|(name, schema)| {
            // Readers of YAML 1.1 turn the key `on` into `true`.
            let spelling = boolean_words::boolean(name).map(|value| (value.to_string(), schema.clone()));
            spelling.into_iter().chain([(name.to_owned(), schema)])
        })
        .collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.field.is_required()).map(|key| key.name).collect();
    let section = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let twice = keys.iter().filter_map(|key| Some((key.name, boolean_words::boolean(key.name)?.to_string())));
    let twice = twice.map(|(name, spelling)| json!({"not": {"required": [name, spelling]}}));
    let rules: Vec<Json> = spec.rules().into_iter().map(rule).chain(twice).collect();
    if rules.is_empty() { section } else { with(section, "allOf", json!(rules)) }
}

/// Returns the schema of a condition on several keys.
fn rule(rule: &Rule) -> Json {
    let each = |keys: &[&str]| keys.iter().map(|key| given(key)).collect::<Vec<_>>();
    match rule {
        Rule::Required(key) => given(key),
        Rule::RequiredUnless(key, others) => json!({"anyOf": each(&[&[*key], *others].concat())}),
        Rule::Requires(key, other) => json!({"anyOf": [{"not": given(key)}, given(other)]}),
        Rule::ExactlyOne(keys) => json!({"oneOf": each(keys)}),
        Rule::NotAll(keys) => json!({"not": {"allOf": each(keys)}}),
        Rule::Values(schema) => schema(),
    }
}

/// Returns the schema of a mapping in which `key` has a value; `null` counts as absent.
pub fn given(key: &str) -> Json {
    json!({"required": [key], "properties": {key: {"not": {"type": "null"}}}})
}

/// Returns the meaning of a key, its values and its default.
fn description(key: &KeySpec) -> String {
    let meaning = key.doc.trim();
    let values = key.field.cell();
    let default = key.field.default_cell();
    let default = match default.as_str() {
        "" => String::new(),
        text if text.starts_with("required") => format!("; {text}"),
        text => format!("; default: {text}"),
    };
    format!("{meaning} ({values}{default})")
}

/// Returns the schema of a value that may be absent.
fn or_null(schema: Json) -> Json {
    any_of(vec![schema, json!({"type": "null"})])
}

/// Returns the schema of a single value that may also refer to variables or to a file.
pub fn reference_or(schema: Json) -> Json {
    any_of(vec![schema, json!({"$ref": "#/$defs/reference"})])
}

/// Returns a schema of alternatives; alternatives among them are not nested. Other members of these are kept.
pub fn any_of(schemas: Vec<Json>) -> Json {
    let mut alternatives = Vec::new();
    let mut whole = serde_json::Map::new();
    for schema in schemas {
        let Some(nested) = schema.get("anyOf").and_then(Json::as_array).cloned() else {
            alternatives.push(schema);
            continue;
        };
        alternatives.extend(nested);
        if let Json::Object(members) = schema {
            whole.extend(members.into_iter().filter(|(member, _)| member != "anyOf"));
        }
    }
    let mut unique: Vec<Json> = Vec::new();
    for alternative in alternatives {
        if !unique.contains(&alternative) {
            unique.push(alternative);
        }
    }
    whole.insert("anyOf".to_owned(), Json::Array(unique));
    Json::Object(whole)
}

/// Returns the schema with one more member.
pub fn with(mut schema: Json, key: &str, value: Json) -> Json {
    if let Json::Object(members) = &mut schema {
        members.insert(key.to_owned(), value);
    }
    schema
}

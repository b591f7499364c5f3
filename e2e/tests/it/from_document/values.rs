//! Values generated from a schema: valid values, values at bounds, and invalid ones.

use std::collections::BTreeMap;

use e2e::Document;
use e2e::document::schema::resolved;
use serde_json::{Map, Value, json};

use super::PASSWORD;
use super::chance::Chance;

/// A field that no operation has.
pub(crate) const UNKNOWN: &str = "no_such_field";
/// Maximum nesting depth, more than any schema of the document has.
const DEPTH_MAX: usize = 6;
/// Number of remembered ids per collection; newer ones are more likely to exist still.
const IDS_MAX: usize = 12;

/// The change that makes a valid body invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Leaves the body unchanged.
    None,
    /// Adds a field that the schema does not name.
    Unknown,
    /// Removes one of the body's fields.
    Missing,
    /// Replaces the value of a field by one of another type.
    WrongType,
    /// Replaces the value of a field by a text that programs often mishandle.
    HostileText,
    /// Replaces the value of a field by an extreme number.
    Extreme,
}

pub(crate) const TWISTS: [Twist; 6] =
    [Twist::None, Twist::Unknown, Twist::Missing, Twist::WrongType, Twist::HostileText, Twist::Extreme];

/// Returns a text that programs often mishandle.
pub(crate) fn hostile(chance: &mut Chance) -> String {
    let texts = [
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "\u{202e}gnp.exe\u{202c}",
        "مرحبا \u{200f}עולם",
        "👩‍👩‍👧‍👦🔑\u{fffd}\u{feff}",
        "e\u{301}\u{301}\u{301}\u{301}",
        "' OR '1'='1' --",
        "\"; DROP TABLE users; --",
        "$1 ${x} %s %n {{7*7}}",
        "../../etc/passwd\\..\\",
        "line\r\nSet-Cookie: a=b\r\n\r\n<html>",
        "<script>alert(1)</script>",
        "\u{1b}[2J\u{7}",
        "null",
        "-1",
        "1e999",
        "9223372036854775808",
        "0199aa00-0000-7000-8000-000000000000",
        "tgl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "*",
        "a@b",
        "2026-13-45T99:99:99Z",
        "::ffff:0.0.0.0/999",
    ];
    match chance.below(texts.len() + 3) {
        n if n < texts.len() => texts[n].to_owned(),
        n if n == texts.len() => "ÿ".repeat(1 + chance.below(300)),
        n if n == texts.len() + 1 => "x".repeat(100_000),
        _ => char::from_u32(u32::try_from(chance.below(0xd800)).unwrap()).unwrap_or('x').to_string().repeat(5),
    }
}

const EXTREMES: [&str; 9] = [
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1.5",
    "1e308",
    "4294967296",
    "1e-9",
];

fn extreme(chance: &mut Chance) -> Value {
    serde_json::from_str(chance.one::<&str>(&EXTREMES)).unwrap()
}

fn wrong_type(chance: &mut Chance, value: &Value) -> Value {
    let others = [
        json!(true),
        json!(7),
        json!("7"),
        json!([]),
        json!({}),
        json!([[1]]),
        json!({"a": null}),
        json!(1.5),
        json!(null),
    ];
    let kind = |value: &Value| std::mem::discriminant(value);
    let others: Vec<&Value> = others.iter().filter(|other| kind(other) != kind(value)).collect();
    (*chance.one(&others)).clone()
}

/// Generates request bodies and parameters.
pub(crate) struct ValueGenerator<'a> {
    pub(crate) document: &'a Document,
    pub(crate) chance: Chance,
    /// Ids that responses contained, by the path of their collection, such as `/api/keys`.
    pub(crate) ids: BTreeMap<String, Vec<String>>,
    /// The path template of the current request, such as `/api/keys/{id}`.
    pub(crate) path: String,
    /// A key, for fields that accept one.
    pub(crate) key: String,
}

impl ValueGenerator<'_> {
    /// Returns a valid value for the schema.
    pub(crate) fn fitting(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let schema = resolved(self.document.value(), schema).clone();
        if let Some(words) = schema["enum"].as_array() {
            return self.chance.one(words).clone();
        }
        for several in ["oneOf", "anyOf"] {
            if let Some(either) = schema[several].as_array() {
                let one = self.chance.one(either).clone();
                return self.fitting(&one, name, depth + 1);
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            let parts: Vec<Value> = all.iter().map(|one| self.fitting(one, name, depth + 1)).collect();
            return parts
                .iter()
                .filter_map(Value::as_object)
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
        }
        let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        match self.chance.one(&kinds).as_str().unwrap_or_default() {
            "object" => self.object(&schema, depth),
            "array" => {
                let items = if depth > DEPTH_MAX { 0 } else { self.chance.below(4) };
                (0..items).map(|_| self.fitting(&schema["items"], name, depth + 1)).collect()
            }
            "string" => Value::from(self.text(&schema, name)),
            "integer" | "number" => Value::from(self.number(&schema)),
            "boolean" => Value::from(self.chance.once_in(2)),
            _ => Value::Null,
        }
    }

    /// Returns an object with the required fields and some of the optional ones.
    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut created = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth <= DEPTH_MAX && self.chance.once_in(2)) {
                created.insert(name.clone(), self.fitting(field, name, depth + 1));
            }
        }
        Value::Object(created)
    }

    fn number(&mut self, schema: &Value) -> i64 {
        let least = schema["minimum"].as_i64().unwrap_or(-1_000);
        let most = schema["maximum"].as_i64().unwrap_or(1_000_000).max(least);
        match self.chance.below(4) {
            0 => least,
            1 => most,
            _ => least + i64::try_from(self.chance.next() % (most.abs_diff(least).min(1_000) + 1)).unwrap(),
        }
    }

    /// Returns a text that is likely valid, chosen by the name of the field.
    fn text(&mut self, schema: &Value, name: &str) -> String {
        if schema["format"] == "uuid" {
            return self.id();
        }
        if schema["format"] == "date-time" {
            return ["2026-11-20T08:03:52Z", "1999-12-31T23:59:59.999999+07:00", "2999-01-01T00:00:00Z"]
                [self.chance.below(3)]
            .to_owned();
        }
        if schema["format"] == "ip" {
            return self.chance.one(&["192.0.2.7", "2001:db8::7"]).to_string();
        }
        let number = self.chance.next();
        match name {
            "email" => format!("u{number:x}@example.com"),
            "plan" => self.chance.one(&["starter", "pro", "business"]).to_string(),
            "name" if self.path == "/api/plans/{name}" => self.chance.one(&["starter", "pro", "business"]).to_string(),
            "id" if collection(&self.path) == "/api/budgets" => match self.chance.below(3) {
                0 => "-".to_owned(),
                1 => self.chance.one(&["starter", "pro", "business"]).to_string(),
                _ => self.id(),
            },
            "dimension" => self.chance.one(&["key", "user", "plan", "global"]).to_string(),
            "measure" => self.chance.one(&["money", "credits", "tokens"]).to_string(),
            "per" => self.chance.one(&["day", "month"]).to_string(),
            "money" => format!("{}.5 USD", number % 10_000_000_000),
            "token" | "key" => self.key.clone(),
            "current" => PASSWORD.to_owned(),
            "password" | "new" => format!("a long password {number:x}"),
            "provider" => "up".to_owned(),
            "secret" => format!("sk-{number:016x}"),
            "grace" => self.chance.one(&["1h", "7d", "0s", "8d"]).to_string(),
            "action" => self.chance.one(&["key.create", "user.change", "session.create"]).to_string(),
            "cursor" => "AZmqAAAAcACAAAAAAAAAAA".to_owned(),
            "addresses" => self.chance.one(&["203.0.113.0/24", "::/0", "10.0.0.1"]).to_string(),
            _ => {
                let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap();
                let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(60)).unwrap();
                let length = [least.max(1), most, (least + 12).min(most)][self.chance.below(3)];
                format!("{number:016x}").chars().cycle().take(length.max(1)).collect()
            }
        }
    }

    /// Returns an id of the requested collection, of another one, or of no resource.
    pub(crate) fn id(&mut self) -> String {
        let of = collection(&self.path).to_owned();
        let known = self.ids.get(&of).filter(|known| !known.is_empty());
        let any: Vec<&String> = self.ids.values().flatten().collect();
        match (self.chance.below(10), known) {
            (0..=6, Some(known)) => self.chance.one(known).clone(),
            (7..=8, _) if !any.is_empty() => (*self.chance.one(&any)).clone(),
            _ => format!("0199aa00-0000-7000-8000-{:012x}", self.chance.next() & 0xffff_ffff_ffff),
        }
    }

    /// Returns a body that is valid except for the twist, and the name of the changed field.
    pub(crate) fn body(&mut self, schema: &Value, twist: Twist) -> (Value, String) {
        let mut body = self.fitting(schema, "", 0);
        // An optional body may be null, which has no fields to change.
        for _ in 0..20 {
            if body.is_object() {
                break;
            }
            body = self.fitting(schema, "", 0);
        }
        let Value::Object(fields) = &mut body else { return (body, String::new()) };
        if twist == Twist::Unknown {
            let value = extreme(&mut self.chance);
            fields.insert(UNKNOWN.to_owned(), value);
            return (body, UNKNOWN.to_owned());
        }
        let names: Vec<String> = fields.keys().cloned().collect();
        if names.is_empty() || twist == Twist::None {
            return (body, String::new());
        }
        let name = self.chance.one(&names).clone();
        let value = fields[&name].clone();
        match twist {
            Twist::Missing => {
                fields.remove(&name);
            }
            Twist::WrongType => {
                fields.insert(name.clone(), wrong_type(&mut self.chance, &value));
            }
            Twist::HostileText => {
                fields.insert(name.clone(), Value::from(hostile(&mut self.chance)));
            }
            Twist::Extreme => {
                fields.insert(name.clone(), extreme(&mut self.chance));
            }
            Twist::None | Twist::Unknown => {}
        }
        (body, name)
    }

    /// Remembers the ids in a response: of the resource itself, its items and its nested resources.
    pub(crate) fn learn(&mut self, answer: &Value) {
        let known = self.ids.entry(collection(&self.path).to_owned()).or_default();
        let items = answer["items"].as_array().into_iter().flatten();
        let named = answer.as_object().into_iter().flatten().map(|(_, field)| field);
        for one in items.chain(named).chain([answer]) {
            if let Some(id) = one["id"].as_str().filter(|id| !known.iter().any(|known| known == id)) {
                known.push(id.to_owned());
            }
        }
        let spare = known.len().saturating_sub(IDS_MAX);
        known.drain(..spare);
    }
}

/// Returns the path before the first parameter.
fn collection(path: &str) -> &str {
    path.split("/{").next().unwrap_or_default()
}

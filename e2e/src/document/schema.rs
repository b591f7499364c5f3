//! Validation of a JSON value against a schema.
//!
//! Supports the part of JSON Schema (2020-12) that the document uses. It is stricter in one point: an object may only
//! have fields that the schema names.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that describe a value and restrict nothing.
const WORDS: [&str; 8] =
    ["description", "title", "example", "examples", "default", "deprecated", "readOnly", "writeOnly"];

/// Checks `value` against `schema`, whose references point into `document`.
///
/// # Errors
/// The place and kind of the first difference.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let checking = SchemaValidator { document };
    checking.whole(schema, value, "$")
}

/// Returns `schema`, or the schema to which its `$ref` points.
///
/// # Panics
/// The reference has no target.
#[must_use]
pub fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(at) => match document.pointer(at.trim_start_matches('#')) {
            Some(found) => resolved(document, found),
            None => panic!("no schema at {at}"),
        },
        None => schema,
    }
}

struct SchemaValidator<'a> {
    document: &'a Value,
}

/// One keyword of a schema, its value, and the whole schema.
struct Keyword<'a> {
    word: &'a str,
    what: &'a Value,
    says: &'a Map<String, Value>,
}

impl SchemaValidator<'_> {
    /// Checks every keyword of the schema, and that the value has no field that the schema does not name.
    fn whole(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        self.check_schema(schema, value, at)?;
        let Value::Object(fields) = value else { return Ok(()) };
        let Some(known) = self.known(schema) else { return Ok(()) };
        match fields.keys().find(|name| !known.contains(name.as_str())) {
            Some(name) => Err(format!("{at} has a field that the schema does not name, {name}")),
            None => Ok(()),
        }
    }

    /// Returns the allowed field names; `None` if any name is allowed.
    fn known<'s>(&'s self, schema: &'s Value) -> Option<BTreeSet<&'s str>> {
        let schema = resolved(self.document, schema);
        let mut known: BTreeSet<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let mut any = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
        let mut says = schema.get("properties").is_some();
        for several in ["allOf", "oneOf", "anyOf"] {
            for one in schema.get(several).and_then(Value::as_array).into_iter().flatten() {
                says = true;
                match self.known(one) {
                    Some(names) => known.extend(names),
                    // `null` as an alternative to an object does not restrict field names.
                    None if resolved(self.document, one)["type"] == "null" => {}
                    None => any = true,
                }
            }
        }
        (says && !any).then_some(known)
    }

    fn check_schema(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = resolved(self.document, schema);
        if *schema == Value::Bool(true) {
            return Ok(());
        }
        let Value::Object(says) = schema else { return Err(format!("{at} has no schema but {schema}")) };
        says.iter().try_for_each(|(word, what)| {
            self.one(&Keyword { word, what, says }, value).map_err(|wrong| match wrong.strip_prefix('$') {
                Some(place) => format!("{at}{place}"),
                None => format!("{at} {wrong}"),
            })
        })
    }

    /// Checks one keyword. The text of an error that begins with `$` contains its own place.
    fn one(&self, keyword: &Keyword<'_>, value: &Value) -> Result<(), String> {
        let Keyword { word, what, says } = *keyword;
        let fails = |fine: bool, why: &str| if fine { Ok(()) } else { Err(format!("{why} {what}")) };
        let number = value.as_f64();
        let length = || value.as_str().map(|text| text.chars().count() as u64);
        let least = |found: Option<u64>| found.is_none_or(|found| found >= what.as_u64().unwrap_or(0));
        let most = |found: Option<u64>| found.is_none_or(|found| found <= what.as_u64().unwrap_or(u64::MAX));
        match word {
            _ if WORDS.contains(&word) || word.starts_with("x-") => Ok(()),
            "type" => match what.as_array() {
                Some(types) => fails(types.iter().any(|kind| is(kind, value)), "is none of"),
                None => fails(is(what, value), "is no"),
            },
            "enum" => fails(what.as_array().is_some_and(|all| all.contains(value)), "is none of"),
            "const" => fails(what == value, "is not"),
            "format" => fails(value.as_str().is_none_or(|text| has_format(what, text)), "has not the format"),
            "minimum" => fails(number.is_none_or(|number| number >= what.as_f64().unwrap_or(number)), "is less than"),
            "maximum" => fails(number.is_none_or(|number| number <= what.as_f64().unwrap_or(number)), "is more than"),
            "minLength" => fails(least(length()), "is shorter than"),
            "maxLength" => fails(most(length()), "is longer than"),
            "minItems" => fails(least(value.as_array().map(|items| items.len() as u64)), "has fewer items than"),
            "maxItems" => fails(most(value.as_array().map(|items| items.len() as u64)), "has more items than"),
            "minProperties" => {
                fails(least(value.as_object().map(|fields| fields.len() as u64)), "has fewer fields than")
            }
            "maxProperties" => fails(most(value.as_object().map(|fields| fields.len() as u64)), "has more fields than"),
            "required" => self.required(what, value),
            "properties" => self.properties(what, value),
            "additionalProperties" => self.additional(what, says, value),
            "propertyNames" => Ok(()),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .try_for_each(|(nth, item)| self.whole(what, item, &format!("$[{nth}]"))),
            "allOf" => each(what).try_for_each(|one| self.check_schema(one, value, "$")),
            "anyOf" => fails(each(what).any(|one| self.whole(one, value, "$").is_ok()), "is none of"),
            "oneOf" => {
                let wrong: Vec<String> = each(what).filter_map(|one| self.whole(one, value, "$").err()).collect();
                let fitting = each(what).count() - wrong.len();
                if fitting == 1 {
                    Ok(())
                } else {
                    Err(format!("is {fitting} of its schemas and not one: {}", wrong.join("; ")))
                }
            }
            _ => Err(format!("is described by {word}, which this checker does not know")),
        }
    }

    fn required(&self, names: &Value, value: &Value) -> Result<(), String> {
        let Value::Object(fields) = value else { return Ok(()) };
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        match names.into_iter().find(|name| !fields.contains_key(*name)) {
            Some(name) => Err(format!("lacks {name}")),
            None => Ok(()),
        }
    }

    fn properties(&self, properties: &Value, value: &Value) -> Result<(), String> {
        let Value::Object(fields) = value else { return Ok(()) };
        fields.iter().try_for_each(|(name, field)| match properties.get(name) {
            Some(schema) => self.whole(schema, field, &format!("$.{name}")),
            None => Ok(()),
        })
    }

    /// Checks values of fields that `properties` does not name; [`Self::whole`] refuses such fields where required.
    fn additional(&self, schema: &Value, says: &Map<String, Value>, value: &Value) -> Result<(), String> {
        let Value::Object(fields) = value else { return Ok(()) };
        let Value::Object(_) = schema else { return Ok(()) };
        let named = |name: &str| says.get("properties").is_some_and(|properties| properties.get(name).is_some());
        let mut fields = fields.iter().filter(|(name, _)| !named(name));
        fields.try_for_each(|(name, field)| self.whole(schema, field, &format!("$.{name}")))
    }
}

fn each(several: &Value) -> impl Iterator<Item = &Value> {
    several.as_array().into_iter().flatten()
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

/// Returns whether `text` has the format; unknown formats accept every text.
fn has_format(format: &Value, text: &str) -> bool {
    let shaped = |shape: &str, text: &str| {
        text.len() == shape.len()
            && shape.bytes().zip(text.bytes()).all(|(shape, byte)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'f' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                _ => byte == shape,
            })
    };
    match format.as_str().unwrap_or_default() {
        "uuid" => shaped("ffffffff-ffff-ffff-ffff-ffffffffffff", text),
        "date" => shaped("0000-00-00", text),
        "ip" => text.parse::<std::net::IpAddr>().is_ok(),
        "date-time" => {
            // A time in UTC, with any number of fraction digits.
            let whole = shaped("0000-00-00T00:00:00Z", text);
            let (second, fraction) = text.split_once('.').unwrap_or_default();
            let exact = shaped("0000-00-00T00:00:00", second)
                && fraction.strip_suffix('Z').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            whole || exact
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "Cost": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer", "minimum": 0}}},
            "Used": {"allOf": [
                {"$ref": "#/components/schemas/Cost"},
                {"type": "object", "required": ["at"], "properties": {"at": {"type": ["string", "null"], "format": "date-time"}}}
            ]},
            "Many": {"type": "object", "required": ["items", "next"], "additionalProperties": false, "properties": {
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Used"}},
                "next": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Cost"}]},
                "word": {"type": "string", "enum": ["a", "b"], "maxLength": 1},
                "more": {"type": "object", "additionalProperties": {"type": "integer"}}
            }}
        }}})
    }

    fn checked(value: &Value) -> Result<(), String> {
        check(&document(), &json!({"$ref": "#/components/schemas/Many"}), value)
    }

    #[test]
    fn values_that_match_the_schema_pass() {
        for value in [
            json!({"items": [], "next": null}),
            json!({"items": [{"amount": 1, "at": null}, {"amount": 0, "at": "2026-11-20T08:03:52Z"}], "next": {"amount": 2}}),
            json!({"items": [{"amount": 1, "at": "2026-11-20T08:03:52.000120Z"}], "next": null, "word": "a", "more": {"x": 1}}),
        ] {
            assert_eq!(checked(&value), Ok(()), "{value}");
        }
    }

    #[test]
    fn values_that_do_not_match_are_reported_with_their_path() {
        for (value, reported) in [
            (json!([]), "$ is no \"object\""),
            (json!({"next": null}), "$ lacks items"),
            (json!({"items": [], "next": null, "extra": 1}), "$ has a field that the schema does not name, extra"),
            (json!({"items": [{"amount": "1", "at": null}], "next": null}), "$.items[0].amount is no \"integer\""),
            (json!({"items": [{"amount": -1, "at": null}], "next": null}), "$.items[0].amount is less than 0"),
            (json!({"items": [{"amount": 1}], "next": null}), "$.items[0] lacks at"),
            (json!({"items": [{"amount": 1, "at": null, "b": 1}], "next": null}), "$.items[0] has a field that"),
            (json!({"items": [{"amount": 1, "at": "today"}], "next": null}), "$.items[0].at has not the format"),
            (json!({"items": [], "next": {"amount": 1, "b": 1}}), "$.next is 0 of its schemas"),
            (json!({"items": [], "next": null, "word": "c"}), "$.word is none of"),
            (json!({"items": [], "next": null, "more": {"x": "1"}}), "$.more.x is no"),
        ] {
            let wrong = checked(&value).unwrap_err();
            assert!(wrong.starts_with(reported), "{wrong} (expected: {reported})");
        }
    }

    #[test]
    fn an_unknown_schema_keyword_is_an_error() {
        assert!(check(&json!({}), &json!({"contains": {}}), &json!(1)).unwrap_err().contains("does not know"));
    }
}

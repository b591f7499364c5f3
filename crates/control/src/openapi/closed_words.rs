//! Closed sets of values in the document: the words that a field's description lists become its `enum`, and fields of
//! which exactly one is given are bounded.

use std::collections::BTreeSet;

use access::Refusal;
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, SchemaType, Type};
use utoipa::openapi::{Components, RefOr, Schema};

/// The sentence with which fields with an error code are described.
const CODE: &str = "The error code, one of a closed list.";
/// Schemas of which exactly one of several fields is given, and the least and greatest number of fields that they then have.
const EXCLUSIVE: [(&str, [usize; 2]); 2] = [("ApiKeyLookup", [1, 1]), ("PlanBudget", [2, 3])];

/// Closes the parameters of an operation.
pub(super) fn close_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema {
            close(object, parameter.description.as_deref());
        }
    }
}

/// Closes the fields of all schemas, and bounds those of which one is given.
pub(super) fn close_schemas(components: &mut Components) {
    components.schemas.values_mut().for_each(close_fields);
    bound(components);
}

fn bound(components: &mut Components) {
    for (name, [least, most]) in EXCLUSIVE {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            object.min_properties = Some(least);
            object.max_properties = Some(most);
        }
    }
}

/// Closes the fields of a schema and of those inside it.
fn close_fields(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    if let Schema::Object(object) = schema {
        for (_, property) in &mut object.properties {
            if let RefOr::T(Schema::Object(field)) = property {
                close(field, None);
            }
            close_fields(property);
        }
    } else if let Schema::OneOf(one_of) = schema {
        one_of.items.iter_mut().for_each(close_fields);
    } else if let Schema::AllOf(all_of) = schema {
        all_of.items.iter_mut().for_each(close_fields);
    } else if let Schema::AnyOf(any_of) = schema {
        any_of.items.iter_mut().for_each(close_fields);
    }
}

/// Sets the words of a text, which its own description lists, or that of its parameter.
fn close(object: &mut Object, parameter_description: Option<&str>) {
    let is_nullable = match &object.schema_type {
        SchemaType::Type(Type::String) => false,
        SchemaType::Array(types) if types.contains(&Type::String) && types.contains(&Type::Null) => true,
        SchemaType::Type(_) | SchemaType::Array(_) | SchemaType::AnyValue => return,
    };
    if object.enum_values.is_some() || object.format.is_some() {
        return;
    }
    let Some(description) = object.description.as_deref().or(parameter_description) else { return };
    let description = description.replace('\n', " ");
    let words: Vec<Value> = if description.starts_with(CODE) {
        let codes: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        codes.into_iter().map(Value::from).collect()
    } else {
        match listed(&description) {
            Some(words) => words.into_iter().map(Value::from).collect(),
            None => return,
        }
    };
    object.enum_values = Some(words.into_iter().chain(is_nullable.then_some(Value::Null)).collect());
}

/// Returns the words of a description whose first sentence is a list of them, such as "The state: `open` or `paid`."; parts in
/// parentheses are explanations.
fn listed(description: &str) -> Option<Vec<&str>> {
    let sentence = first_sentence(description);
    let (prefix, list) = sentence.split_at(sentence.find('`')?);
    if !(prefix.is_empty() || prefix.ends_with(": ")) {
        return None;
    }
    let mut words = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (word, behind) = rest.strip_prefix('`')?.split_once('`')?;
        if word.is_empty()
            || !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            return None;
        }
        words.push(word);
        let behind = match behind.trim_start().strip_prefix('(') {
            Some(explained) => explained.split_once(')')?.1,
            None => behind,
        };
        let separators = [", or ", ", ", " or "];
        rest = separators.iter().find_map(|separator| behind.strip_prefix(separator)).unwrap_or(behind);
        if rest.len() == behind.len() && !rest.is_empty() {
            return None;
        }
    }
    (words.len() > 1).then_some(words)
}

/// Returns the first sentence of a description on one line, without its full stop.
fn first_sentence(description: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in description.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '.' | ';' if depth == 0 => return description.get(..at).unwrap_or(description),
            _ => {}
        }
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_sentence_that_lists_nothing_else() {
        for (description, words) in [
            ("The state: `open`, `paid` or `void`.", Some(vec!["open", "paid", "void"])),
            (
                "`user` (signed in), `key`, or `system` (the server itself, or an unknown client).",
                Some(vec!["user", "key", "system"]),
            ),
            ("The source: `reported` by the provider or `counted`.", None),
            ("The name of the model, such as `a` or `b`.", None),
            ("`file`; `api` for a configuration.", None),
            ("The use: `none`, `offered` or `called`; null with `count`.", Some(vec!["none", "offered", "called"])),
            ("The kind: `llm`.", None),
            ("A text without words.", None),
        ] {
            assert_eq!(listed(description), words, "{description}");
        }
    }
}

//! Reads the JSON of Protocol Buffers: a name has two spellings, `topK` and `top_k`, and a list with one element may be the
//! element alone.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::translate::request::json::{Elements, Node, Object, Outcome};

/// Returns the value of the field with this name in camel case.
pub(super) fn get<'a>(object: &Object<'a>, name: &str) -> Option<Node<'a>> {
    object.get(name).or_else(|| object.get(&snake_case(name)))
}

pub(super) fn text<'a>(object: &Object<'a>, name: &str) -> Outcome<Option<Cow<'a, str>>> {
    get(object, name).map(|node| node.text()).transpose()
}

/// Returns a word of an enumeration, which Google's clients write in any case.
pub(super) fn word(object: &Object<'_>, name: &str) -> Outcome<Option<String>> {
    Ok(text(object, name)?.map(|word| word.to_ascii_uppercase()))
}

pub(super) fn flag(object: &Object<'_>, name: &str) -> Outcome<bool> {
    Ok(get(object, name).map(|node| node.flag()).transpose()?.unwrap_or(false))
}

pub(super) fn count(object: &Object<'_>, name: &str) -> Outcome<Option<u64>> {
    get(object, name).map(|node| whole(&node)?.count()).transpose()
}

pub(super) fn number<'a>(object: &Object<'a>, name: &str) -> Outcome<Option<&'a RawValue>> {
    get(object, name).map(|node| node.number()).transpose()
}

/// Returns a number that other formats write without a fraction, as a client's floating-point type has one.
pub(super) fn integer<'a>(object: &Object<'a>, name: &str) -> Outcome<Option<&'a RawValue>> {
    get(object, name).map(|node| whole(&node)?.number()).transpose()
}

pub(super) fn object<'a>(object: &Object<'a>, name: &str) -> Outcome<Option<Object<'a>>> {
    get(object, name).map(|node| node.object()).transpose()
}

/// Returns the elements of a list, or its only one.
pub(super) fn elements<'a>(object: &Object<'a>, name: &str) -> Outcome<Elements<'a>> {
    match get(object, name) {
        Some(node) if node.is_object() => Ok(Elements::one(node)),
        Some(node) => node.list(),
        None => Ok(Elements::none()),
    }
}

pub(super) fn texts(object: &Object<'_>, name: &str) -> Outcome<Vec<String>> {
    let Some(node) = get(object, name) else { return Ok(Vec::new()) };
    node.list()?.map(|node| node.text().map(Cow::into_owned)).collect()
}

/// The number without a fraction that is zero.
fn whole<'a>(node: &Node<'a>) -> Outcome<Node<'a>> {
    let raw = node.number()?;
    let without = raw.get().split_once('.').filter(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'));
    let raw = without.and_then(|(whole, _)| serde_json::from_str(whole).ok()).unwrap_or(raw);
    Ok(node.with(raw))
}

/// Returns the other spelling of a name.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_whole_numbers_have_no_fraction() {
        let body =
            Object::body(br#"{"top_k":40.0,"topP":0.50,"max_output_tokens":8.0,"tools":{"a":1},"seed":-7}"#).unwrap();
        let raw = |raw: Outcome<Option<&RawValue>>| raw.unwrap().map(|raw| raw.get().to_owned());
        assert_eq!(raw(integer(&body, "topK")).as_deref(), Some("40"));
        assert_eq!(raw(number(&body, "topP")).as_deref(), Some("0.50"));
        assert_eq!(raw(integer(&body, "seed")).as_deref(), Some("-7"));
        assert_eq!(count(&body, "maxOutputTokens"), Ok(Some(8)));
        assert_eq!(elements(&body, "tools").unwrap().next().unwrap().path, "tools");
        assert_eq!(count(&body, "seed").unwrap_err().param, "seed");
    }
}

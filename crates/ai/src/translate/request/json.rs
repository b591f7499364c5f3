//! Reads the client's JSON with the path of each value.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::UntranslatableCall;
pub(super) use super::super::object_writer::{ListWriter, ObjectWriter, TurnWriter, list, push_quoted, quoted};
use crate::scan::text::BorrowedText;

pub(super) type Outcome<T> = Result<T, UntranslatableCall>;

/// A value of the client's body.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    /// The path, such as `messages[2].content`.
    pub(super) path: String,
    pub(super) raw: &'a RawValue,
    /// The number of objects and lists around the value.
    depth: u8,
}

/// An object of the client's body.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) path: String,
    depth: u8,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Most fields of an object that a decoder reads. Schemas and arguments are not read; a tool's result may be a map.
const FIELDS_MAX: usize = 65_536;
/// Deepest value that a decoder reads. Schemas and arguments are not read; `messages[0].content[0].content[0]` has six.
const DEPTH_MAX: u8 = 24;

impl<'a> Node<'a> {
    /// A value without a path.
    pub(super) const fn root(raw: &'a RawValue) -> Self {
        Self { path: String::new(), raw, depth: 0 }
    }

    /// A value at this path.
    pub(super) const fn named(path: String, raw: &'a RawValue) -> Self {
        Self { path, raw, depth: 0 }
    }

    /// The same place with another value.
    pub(super) fn with(&self, raw: &'a RawValue) -> Self {
        Self { path: self.path.clone(), raw, depth: self.depth }
    }

    fn deeper(&self) -> Outcome<u8> {
        if self.depth < DEPTH_MAX { Ok(self.depth + 1) } else { Err(self.refused("is nested too deeply")) }
    }

    pub(super) fn is_text(&self) -> bool {
        self.raw.get().starts_with('"')
    }

    pub(super) fn is_object(&self) -> bool {
        self.raw.get().starts_with('{')
    }

    /// Whether the value is an empty list or object.
    pub(super) fn is_empty(&self) -> bool {
        let inside = self.raw.get().strip_prefix(['[', '{']);
        inside.is_some_and(|rest| rest.trim_start().starts_with([']', '}']))
    }

    pub(super) fn text(&self) -> Outcome<Cow<'a, str>> {
        let read = serde_json::from_str::<BorrowedText<'a>>(self.raw.get());
        read.map(|BorrowedText(text)| text).map_err(|_| self.refused("must be a string"))
    }

    pub(super) fn flag(&self) -> Outcome<bool> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.refused("must be true or false"))
    }

    /// A number as the client wrote it.
    pub(super) fn number(&self) -> Outcome<&'a RawValue> {
        let is_number = self.raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if is_number { Ok(self.raw) } else { Err(self.refused("must be a number")) }
    }

    pub(super) fn count(&self) -> Outcome<u64> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.refused("must be a whole number of 0 or more"))
    }

    /// The elements of the list, one after the other: a list may have millions of them.
    pub(super) fn list(&self) -> Outcome<Elements<'a>> {
        let depth = self.deeper()?;
        let rest = self.raw.get().strip_prefix('[').ok_or_else(|| self.refused("must be a list"))?;
        Ok(Elements { path: self.path.clone(), depth, rest, at: 0, only: None })
    }

    pub(super) fn object(&self) -> Outcome<Object<'a>> {
        let depth = self.deeper()?;
        let mut deserializer = serde_json::Deserializer::from_str(self.raw.get());
        let fields = deserializer.deserialize_map(Fields).map_err(|_| {
            let is_large = self.is_object();
            self.refused(if is_large { "must have at most 65,536 fields" } else { "must be an object" })
        })?;
        Ok(Object { path: self.path.clone(), depth, fields })
    }

    /// The error that the value is not possible, with `message` after its path.
    pub(super) fn refused(&self, message: &str) -> UntranslatableCall {
        refused(&self.path, message)
    }
}

/// The error that the value at `path` is not possible, with `message` after its path.
pub(super) fn refused(path: &str, message: &str) -> UntranslatableCall {
    UntranslatableCall { param: path.to_owned(), message: format!("`{path}` {message}") }
}

impl<'a> Object<'a> {
    /// The whole body as an object.
    pub(super) fn body(body: &'a [u8]) -> Outcome<Self> {
        let raw = serde_json::from_slice::<&'a RawValue>(body).map_err(|_| refused("body", "must be JSON"))?;
        Node::root(raw).object().map_err(|_| refused("body", "must be an object"))
    }

    /// An object without fields at this path.
    pub(super) fn empty(path: &str) -> Self {
        Self { path: path.to_owned(), depth: 0, fields: Vec::new() }
    }

    /// The number of fields.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The value of a field; `None` if it is missing or null. Of two fields with the same name, the last one counts.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let (_, raw) = self.fields.iter().rev().find(|(key, _)| key == name)?;
        (raw.get() != "null").then(|| Node { path: self.field_path(name), raw, depth: self.depth })
    }

    /// The fields in order.
    pub(super) fn into_fields(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.fields
    }

    pub(super) fn field_path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn required(&self, name: &str) -> Outcome<Node<'a>> {
        self.get(name).ok_or_else(|| refused(&self.field_path(name), "is missing"))
    }

    pub(super) fn text(&self, name: &str) -> Outcome<Option<Cow<'a, str>>> {
        self.get(name).map(|node| node.text()).transpose()
    }

    pub(super) fn required_text(&self, name: &str) -> Outcome<Cow<'a, str>> {
        self.required(name)?.text()
    }

    pub(super) fn flag(&self, name: &str) -> Outcome<Option<bool>> {
        self.get(name).map(|node| node.flag()).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Outcome<Option<&'a RawValue>> {
        self.get(name).map(|node| node.number()).transpose()
    }

    pub(super) fn count(&self, name: &str) -> Outcome<Option<u64>> {
        self.get(name).map(|node| node.count()).transpose()
    }

    /// The elements of a list; none if it is missing.
    pub(super) fn list(&self, name: &str) -> Outcome<Elements<'a>> {
        self.get(name).map_or_else(|| Ok(Elements::none()), |node| node.list())
    }

    pub(super) fn object(&self, name: &str) -> Outcome<Option<Self>> {
        self.get(name).map(|node| node.object()).transpose()
    }

    pub(super) fn texts(&self, name: &str) -> Outcome<Vec<String>> {
        self.list(name)?.map(|node| node.text().map(Cow::into_owned)).collect()
    }
}

/// The elements of a list, which are read when they are needed.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    /// The path of the list.
    path: String,
    depth: u8,
    /// The text of the list from the next element, or from the comma before it.
    rest: &'a str,
    at: usize,
    /// The element of a list that is written as its only element.
    only: Option<Node<'a>>,
}

impl<'a> Elements<'a> {
    /// Returns the elements of an empty list.
    pub(super) const fn none() -> Self {
        Self { path: String::new(), depth: 0, rest: "]", at: 0, only: None }
    }

    /// The only element of a list, which is written without the list.
    pub(super) const fn one(node: Node<'a>) -> Self {
        Self { path: String::new(), depth: 0, rest: "]", at: 0, only: Some(node) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if let Some(only) = self.only.take() {
            return Some(only);
        }
        // The body is valid JSON, so a comma or the end follows an element.
        let rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', ',']);
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&'a RawValue>();
        let raw = values.next()?.ok()?;
        self.rest = rest.get(values.byte_offset()..)?;
        let path = format!("{}[{}]", self.path, self.at);
        self.at += 1;
        Some(Node { path, raw, depth: self.depth })
    }
}

/// The fields of an object, in order.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(BorrowedText(key)) = map.next_key()? {
            if fields.len() == FIELDS_MAX {
                return Err(serde::de::Error::custom("too many fields"));
            }
            fields.push((key, map.next_value()?));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(json: &str) -> Vec<(String, String)> {
        let node = Node { path: "l".to_owned(), raw: serde_json::from_str(json).unwrap(), depth: 0 };
        node.list().unwrap().map(|element| (element.path, element.raw.get().to_owned())).collect()
    }

    #[test]
    fn elements_are_read_one_after_the_other() {
        let expected = ["{\"a\": [1, 2]}", "-1.50", "\"],\\\"\"", "null", "[]", "[[3]]", "true"];
        let list = format!(" [ {} ] ", expected.join(" ,\n"));
        let read = elements(list.trim());
        assert_eq!(read.iter().map(|(_, raw)| raw.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(read.last().unwrap().0, "l[6]");
        assert_eq!(elements(&format!("[{}]", expected.join(","))).len(), 7);
        assert_eq!((elements("[]"), elements("[ \n]")), (Vec::new(), Vec::new()));
        let object = Node::root(serde_json::from_str("{}").unwrap()).list();
        assert_eq!(object.unwrap_err().message, "`` must be a list");
    }

    #[test]
    fn an_object_has_a_maximum_of_fields() {
        let object = |fields: usize| format!("{{{}}}", vec!["\"a\":1"; fields].join(","));
        assert_eq!(Object::body(object(FIELDS_MAX).as_bytes()).unwrap().len(), FIELDS_MAX);
        let large = object(FIELDS_MAX + 1);
        let refused = Node::root(serde_json::from_str(&large).unwrap()).object().unwrap_err();
        assert!(refused.message.contains("at most 65,536 fields"), "{}", refused.message);
    }
}

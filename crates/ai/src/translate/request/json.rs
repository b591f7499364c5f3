//! Reads the client's JSON with the path of each value.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::UntranslatableCall;
pub(super) use super::super::object_writer::{ObjectWriter, list, quoted};
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

    pub(super) fn list(&self) -> Outcome<Vec<Self>> {
        let depth = self.deeper()?;
        let read = serde_json::from_str::<Vec<&'a RawValue>>(self.raw.get());
        let elements = read.map_err(|_| self.refused("must be a list"))?;
        Ok(elements
            .into_iter()
            .enumerate()
            .map(|(at, raw)| Self { path: format!("{}[{at}]", self.path), raw, depth })
            .collect())
    }

    pub(super) fn object(&self) -> Outcome<Object<'a>> {
        let depth = self.deeper()?;
        let mut deserializer = serde_json::Deserializer::from_str(self.raw.get());
        let fields = deserializer.deserialize_map(Fields).map_err(|_| self.refused("must be an object"))?;
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
        (raw.get() != "null").then(|| Node { path: self.at(name), raw, depth: self.depth })
    }

    /// The fields in order.
    pub(super) fn into_fields(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.fields
    }

    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn required(&self, name: &str) -> Outcome<Node<'a>> {
        self.get(name).ok_or_else(|| refused(&self.at(name), "is missing"))
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
    pub(super) fn list(&self, name: &str) -> Outcome<Vec<Node<'a>>> {
        self.get(name).map_or_else(|| Ok(Vec::new()), |node| node.list())
    }

    pub(super) fn object(&self, name: &str) -> Outcome<Option<Self>> {
        self.get(name).map(|node| node.object()).transpose()
    }

    pub(super) fn texts(&self, name: &str) -> Outcome<Vec<String>> {
        self.list(name)?.iter().map(|node| node.text().map(Cow::into_owned)).collect()
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
            fields.push((key, map.next_value()?));
        }
        Ok(fields)
    }
}

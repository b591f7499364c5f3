//! Mappings with arbitrary keys, each with a single value or a section.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::super::form::Form;
use super::super::{SectionInput, json};
use super::{Either, Field};
use crate::error::At;
use crate::section::Section;
use crate::settings::{Listing, Value};
use crate::spec::{Describe, Shape};
use crate::yaml::Kind;

/// One key of a mapping, with its value.
#[derive(Debug, Clone)]
pub(crate) struct MapEntry<T, S> {
    pub(crate) name: String,
    /// The position of the key.
    pub(crate) at: At,
    pub(crate) value: Either<T, S>,
}

/// The valid keys of a mapping.
#[derive(Clone, Copy)]
pub(crate) struct MapKeys {
    pub(crate) is_key: fn(&str) -> bool,
    /// A description of valid keys.
    pub(crate) expected: &'static str,
    /// A regular expression of valid keys.
    pub(crate) pattern: &'static str,
}

/// A mapping whose values are single values or sections.
pub(crate) struct MapOf<F, S> {
    form: F,
    keys: MapKeys,
    entries_max: usize,
    section: PhantomData<fn() -> S>,
}

pub(crate) const fn map_of<F: Form, S: SectionInput>(form: F, keys: MapKeys, entries_max: usize) -> MapOf<F, S> {
    MapOf { form, keys, entries_max, section: PhantomData }
}

impl<F: Form, S: SectionInput> Describe for MapOf<F, S> {
    fn shape(&self) -> Shape {
        Shape::Map
    }

    fn cell(&self) -> String {
        format!("mapping of at most {}", self.entries_max)
    }

    fn default_cell(&self) -> String {
        "none".to_owned()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object",
            "maxProperties": self.entries_max,
            "propertyNames": {"pattern": self.keys.pattern},
            "additionalProperties": json::any_of(vec![json::reference_or(self.form.schema()), json::section(S::SPEC)]),
        })
    }
}

impl<F: Form, S: SectionInput> Field for MapOf<F, S> {
    type Input = Vec<MapEntry<F::Value, S>>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let (reader, name) = (section.reader(), section.name(key));
        let entries = section.entries(key);
        if let Some((entry, _)) = entries.get(self.entries_max) {
            reader.bad(entry.at, &name, format!("at most {} entries", self.entries_max));
        }
        let mut values = Vec::new();
        for (entry, node) in entries.iter().take(self.entries_max) {
            if !(self.keys.is_key)(&entry.name) {
                reader.bad(entry.at, &name, self.keys.expected);
            }
            // The text of a variable may be a secret on either side of a colon.
            let path = match entry.at {
                At::File(_) => format!("{name}.{}", entry.name),
                At::Variable(_) => name.clone(),
            };
            let value = match node.kind {
                Kind::Map(_) => reader.section(node, path, S::SPEC).map(|section| Either::Nested(S::read(&section))),
                Kind::Scalar(_) | Kind::Null | Kind::List(_) => {
                    self.form.read_node(reader, node, &path).map(Either::Single)
                }
            };
            values.extend(value.map(|value| MapEntry { name: entry.name.clone(), at: entry.at, value }));
        }
        values
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        for MapEntry { name, value, .. } in input {
            match value {
                Either::Single(single) => {
                    listing.put(&format!("{key}.{name}"), self.form.shown(&single.value), &single.source);
                }
                Either::Nested(section) => section.show(listing),
            }
        }
        if input.is_empty() {
            listing.put(key, Value::Empty([]), &crate::input::Source::Default);
        }
    }
}

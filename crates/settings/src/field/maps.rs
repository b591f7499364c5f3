//! Mappings with arbitrary keys, each with a single value or a section.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::{Either, KeyField};
use crate::documents::json;
use crate::error::ValueOrigin;
use crate::form::Form;
use crate::section::Section;
use crate::section::section_input::SectionInput;
use crate::section::setting::{Listing, Value};
use crate::spec::{Describe, ValueShape};
use crate::yaml::Kind;

/// One key of a mapping, with its value.
#[derive(Debug, Clone)]
pub struct MapEntry<T, S> {
    /// The name of the key.
    pub name: String,
    /// The position of the key.
    pub at: ValueOrigin,
    /// The value of the key.
    pub value: Either<T, S>,
}

/// The valid keys of a mapping.
#[derive(Clone, Copy)]
pub struct MapKeys {
    /// Whether a key is valid.
    pub is_key: fn(&str) -> bool,
    /// A description of valid keys.
    pub expected: &'static str,
    /// A regular expression of valid keys.
    pub pattern: &'static str,
}

/// A mapping whose values are single values or sections.
pub struct MapOf<F, S> {
    form: F,
    keys: MapKeys,
    entries_max: usize,
    section: PhantomData<fn() -> S>,
}

/// A key with a mapping whose values are single values or sections.
pub const fn map_of<F: Form, S: SectionInput>(form: F, keys: MapKeys, entries_max: usize) -> MapOf<F, S> {
    MapOf { form, keys, entries_max, section: PhantomData }
}

impl<F: Form, S: SectionInput> Describe for MapOf<F, S> {
    fn shape(&self) -> ValueShape {
        ValueShape::Map
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

impl<F: Form, S: SectionInput> KeyField for MapOf<F, S> {
    type Input = Vec<MapEntry<F::Value, S>>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let reader = section.reader();
        let name = section.name(key);
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
                ValueOrigin::File(_) => format!("{name}.{}", entry.name),
                ValueOrigin::Variable(_) => name.clone(),
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
            listing.put(key, Value::Empty([]), &crate::input::ValueSource::Default);
        }
    }
}

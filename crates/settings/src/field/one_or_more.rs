//! Keys that hold single values and mappings: one of them, or a list.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::{Either, KeyField};
use crate::documents::json;
use crate::form::Form;
use crate::section::Section;
use crate::section::section_input::SectionInput;
use crate::section::setting::Listing;
use crate::spec::{Describe, ValueShape};
use crate::yaml::{Kind, YamlNode};

/// A key that holds a single value, a mapping, or a list of them, which is not empty.
pub struct OneOrMore<F, S> {
    form: F,
    /// A description of valid values.
    expected: &'static str,
    entries_max: usize,
    /// The value without the key, for documents; `None` if the key is required.
    absent: Option<&'static str>,
    section: PhantomData<fn() -> S>,
}

/// Describes a key that is required.
pub const fn one_or_more<F: Form, S: SectionInput>(
    form: F,
    expected: &'static str,
    entries_max: usize,
) -> OneOrMore<F, S> {
    OneOrMore { form, expected, entries_max, absent: None, section: PhantomData }
}

/// Describes a key that may be absent; `absent` is its value then, for documents.
pub const fn optional_one_or_more<F: Form, S: SectionInput>(
    form: F,
    expected: &'static str,
    entries_max: usize,
    absent: &'static str,
) -> OneOrMore<F, S> {
    OneOrMore { form, expected, entries_max, absent: Some(absent), section: PhantomData }
}

impl<F: Form, S: SectionInput> OneOrMore<F, S> {
    fn one(&self, section: &Section<'_>, node: &YamlNode, name: String) -> Option<Either<F::Value, S>> {
        let reader = section.reader();
        match node.kind {
            Kind::Map(_) => reader.section(node, name, S::SPEC).map(|section| Either::Nested(S::read(&section))),
            Kind::Scalar(_) | Kind::Null | Kind::List(_) => {
                self.form.read_node(reader, node, &name).map(Either::Single)
            }
        }
    }
}

impl<F: Form, S: SectionInput> Describe for OneOrMore<F, S> {
    fn shape(&self) -> ValueShape {
        ValueShape::Sections(S::SPEC)
    }

    fn takes_single(&self) -> bool {
        true
    }

    fn cell(&self) -> String {
        format!("{}, section, or list of at most {}", self.form.cell(), self.entries_max)
    }

    fn default_cell(&self) -> String {
        self.absent.unwrap_or("required").to_owned()
    }

    fn is_required(&self) -> bool {
        self.absent.is_none()
    }

    fn schema(&self) -> Json {
        let one = json::any_of(vec![json::reference_or(self.form.schema()), json::section(S::SPEC)]);
        let list = json!({"type": "array", "items": one, "minItems": 1, "maxItems": self.entries_max});
        json::any_of(vec![one, list])
    }
}

impl<F: Form, S: SectionInput> KeyField for OneOrMore<F, S> {
    type Input = Vec<Either<F::Value, S>>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let reader = section.reader();
        let name = section.name(key);
        match section.get(key) {
            None if self.absent.is_some() => Vec::new(),
            None => {
                section.location().missing(reader, &[key]);
                Vec::new()
            }
            Some(YamlNode { at, kind: Kind::List(items) }) => {
                if items.is_empty() {
                    reader.bad(*at, &name, self.expected);
                }
                if let Some(first) = items.get(self.entries_max) {
                    reader.bad(first.at, &name, format!("at most {} entries", self.entries_max));
                }
                section.list(key).filter_map(|(node, name)| self.one(section, node, name)).collect()
            }
            Some(node) => self.one(section, node, name).into_iter().collect(),
        }
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        let is_one = input.len() == 1;
        for (nth, entry) in input.iter().enumerate() {
            match entry {
                Either::Single(single) => {
                    let key = if is_one { key.to_owned() } else { format!("{key}[{nth}]") };
                    listing.put(&key, self.form.shown(&single.value), &single.source);
                }
                Either::Nested(section) => section.show(listing),
            }
        }
    }
}

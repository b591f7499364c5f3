//! The fields of sections: each reads, shows and describes the value of one key.

mod lists;
mod maps;
mod one_or_more;
mod short;

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use crate::documents::json;
use crate::form::Form;
use crate::input::{Input, ValueSource};
use crate::section::Section;
use crate::section::section_input::SectionInput;
use crate::section::setting::{Listing, Value};
use crate::spec::{Describe, ValueShape};
use crate::yaml::Kind;

pub use lists::{Entries, Map, Sections, ValueList, entries, list, sections};
pub use maps::{MapEntry, MapKeys, MapOf, map_of};
pub use one_or_more::{OneOrMore, one_or_more, optional_one_or_more};
pub use short::short;

/// One key of a section.
pub trait KeyField: Describe {
    /// The checked value, with its source.
    type Input;

    /// Reads the value of the key, and reports an invalid one.
    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input;

    /// Adds the value to the listing under the full name of its key.
    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>);
}

/// A single value with a default.
pub struct Defaulted<F: Form> {
    form: F,
    default: fn() -> F::Value,
}

/// A key with a default.
pub const fn default<F: Form>(form: F, default: fn() -> F::Value) -> Defaulted<F> {
    Defaulted { form, default }
}

impl<F: Form> Describe for Defaulted<F> {
    fn shape(&self) -> ValueShape {
        ValueShape::Single
    }

    fn cell(&self) -> String {
        self.form.cell()
    }

    fn default_cell(&self) -> String {
        format!("`{}`", self.form.shown(&(self.default)()))
    }

    fn schema(&self) -> Json {
        json::with(json::reference_or(self.form.schema()), "default", json!(self.form.shown(&(self.default)())))
    }
}

impl<F: Form> KeyField for Defaulted<F> {
    type Input = Input<F::Value>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let input = section.get(key).and_then(|node| self.form.read_node(section.reader(), node, &section.name(key)));
        input.unwrap_or_else(|| Input::default((self.default)()))
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        listing.put(key, self.form.shown(&input.value), &input.source);
    }
}

/// A single value that may be absent.
pub struct Optional<F> {
    form: F,
    /// The effect of its absence, in Markdown; empty if an absent key has no effect and is not listed.
    absent: &'static str,
    /// Whether the section is invalid without the key.
    is_required: bool,
    /// Whether an empty text counts as absent.
    may_be_empty: bool,
}

/// A key without which its section is invalid.
pub const fn required<F: Form>(form: F) -> Optional<F> {
    Optional { form, absent: "required", is_required: true, may_be_empty: false }
}

/// A key that may be absent, with the effect of its absence.
pub const fn optional<F: Form>(form: F, absent: &'static str) -> Optional<F> {
    Optional { form, absent, is_required: false, may_be_empty: false }
}

/// A key that may be absent or empty.
pub const fn or_empty<F: Form>(form: F, absent: &'static str) -> Optional<F> {
    Optional { form, absent, is_required: false, may_be_empty: true }
}

impl<F: Form> Describe for Optional<F> {
    fn shape(&self) -> ValueShape {
        ValueShape::Single
    }

    fn cell(&self) -> String {
        self.form.cell()
    }

    fn default_cell(&self) -> String {
        self.absent.to_owned()
    }

    fn is_required(&self) -> bool {
        self.is_required
    }

    fn schema(&self) -> Json {
        let schema = json::reference_or(self.form.schema());
        if self.may_be_empty { json::any_of(vec![json!({"const": ""}), schema]) } else { schema }
    }
}

impl<F: Form> KeyField for Optional<F> {
    type Input = Option<Input<F::Value>>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let Some(node) = section.get(key) else {
            if self.is_required {
                section.location().missing(section.reader(), &[key]);
            }
            return None;
        };
        let reader = section.reader();
        let name = section.name(key);
        if !self.may_be_empty {
            return self.form.read_node(reader, node, &name);
        }
        let text = reader.text(node, &name).filter(|text| !text.value.is_empty())?;
        self.form.read_text(reader, &text, &name)
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        match input {
            Some(input) => listing.put(key, self.form.shown(&input.value), &input.source),
            None if self.absent.is_empty() => {}
            None => listing.put(key, Value::None(()), &ValueSource::Default),
        }
    }
}

/// A mapping with its own keys; without it, they have their defaults.
pub struct Nested<S>(PhantomData<fn() -> S>);

/// A key with a mapping, which has its defaults if it is absent.
pub const fn nested<S: SectionInput>() -> Nested<S> {
    Nested(PhantomData)
}

impl<S: SectionInput> Describe for Nested<S> {
    fn shape(&self) -> ValueShape {
        ValueShape::Section(S::SPEC)
    }

    fn cell(&self) -> String {
        "section".to_owned()
    }

    fn default_cell(&self) -> String {
        String::new()
    }

    fn schema(&self) -> Json {
        json::section(S::SPEC)
    }
}

impl<S: SectionInput> KeyField for Nested<S> {
    type Input = S;

    fn read(&self, section: &Section<'_>, key: &str) -> S {
        let given = section.section(key, S::SPEC);
        S::read(&given.unwrap_or_else(|| section.absent(key, S::SPEC)))
    }

    fn show(&self, input: &S, _: &str, listing: &mut Listing<'_>) {
        input.show(listing);
    }
}

/// A mapping that may be absent as a whole.
pub struct MaybeNested<S>(Nested<S>);

/// A key with a mapping that may be absent.
pub const fn maybe_nested<S: SectionInput>() -> MaybeNested<S> {
    MaybeNested(nested())
}

impl<S: SectionInput> Describe for MaybeNested<S> {
    fn shape(&self) -> ValueShape {
        self.0.shape()
    }

    fn cell(&self) -> String {
        self.0.cell()
    }

    fn default_cell(&self) -> String {
        self.0.default_cell()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

impl<S: SectionInput> KeyField for MaybeNested<S> {
    type Input = Option<S>;

    fn read(&self, section: &Section<'_>, key: &str) -> Option<S> {
        section.section(key, S::SPEC).map(|section| S::read(&section))
    }

    fn show(&self, input: &Option<S>, _: &str, listing: &mut Listing<'_>) {
        if let Some(input) = input {
            input.show(listing);
        }
    }
}

/// A single value, or the structure of another field.
#[derive(Debug, Clone)]
pub enum Either<A, B> {
    /// The form of a single value.
    Single(Input<A>),
    /// The structure of another field.
    Nested(B),
}

/// A key that accepts a single value or the structure of `other`.
pub struct SingleOr<F: Form, G> {
    form: F,
    other: G,
    /// `None` if the key is required, or if its absence has no effect.
    default: Option<fn() -> F::Value>,
    is_optional: bool,
}

/// A key that accepts a single value or the structure of `other`; without a default, it is required.
pub const fn single_or<F: Form, G: KeyField>(form: F, other: G, default: Option<fn() -> F::Value>) -> SingleOr<F, G> {
    SingleOr { form, other, default, is_optional: false }
}

/// A key that accepts a single value or the structure of `other`, and may be absent.
pub const fn single_or_absent<F: Form, G: KeyField>(form: F, other: G) -> SingleOr<F, G> {
    SingleOr { form, other, default: None, is_optional: true }
}

impl<F: Form, G: KeyField> Describe for SingleOr<F, G> {
    fn shape(&self) -> ValueShape {
        self.other.shape()
    }

    fn takes_single(&self) -> bool {
        true
    }

    fn cell(&self) -> String {
        format!("{}, or {}", self.form.cell(), self.other.cell())
    }

    fn default_cell(&self) -> String {
        let absent = || if self.is_optional { String::new() } else { "required".to_owned() };
        self.default.map_or_else(absent, |default| format!("`{}`", self.form.shown(&default())))
    }

    fn is_required(&self) -> bool {
        self.default.is_none() && !self.is_optional
    }

    fn schema(&self) -> Json {
        let single = json::reference_or(self.form.schema());
        let schema = json::any_of(vec![single, self.other.schema()]);
        match self.default {
            Some(default) => json::with(schema, "default", json!(self.form.shown(&default()))),
            None => schema,
        }
    }
}

impl<F: Form, G: KeyField> KeyField for SingleOr<F, G> {
    type Input = Option<Either<F::Value, G::Input>>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let default = || self.default.map(|default| Either::Single(Input::default(default())));
        let Some(node) = section.get(key) else {
            if self.is_required() {
                section.location().missing(section.reader(), &[key]);
            }
            return default();
        };
        let is_nested = match self.other.shape() {
            ValueShape::Section(_) | ValueShape::Map => matches!(node.kind, Kind::Map(_)),
            ValueShape::Sections(_) | ValueShape::List => matches!(node.kind, Kind::List(_)),
            ValueShape::Single | ValueShape::Later => false,
        };
        if is_nested {
            return Some(Either::Nested(self.other.read(section, key)));
        }
        let single = self.form.read_node(section.reader(), node, &section.name(key));
        single.map(Either::Single).or_else(default)
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        match input {
            Some(Either::Single(input)) => listing.put(key, self.form.shown(&input.value), &input.source),
            Some(Either::Nested(nested)) => self.other.show(nested, key, listing),
            None => {}
        }
    }
}

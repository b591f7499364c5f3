//! Keys that hold a list, or a mapping with arbitrary keys.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};

use super::{Either, KeyField};
use crate::documents::json;
use crate::error::ValueOrigin;
use crate::form::Form;
use crate::input::{Input, ValueSource};
use crate::section::Section;
use crate::section::section_input::SectionInput;
use crate::section::setting::{Listing, Value};
use crate::spec::{Describe, ValueShape};
use crate::yaml::{Kind, YamlNode};

/// The mappings of one list.
#[derive(Debug, Clone)]
pub struct Entries<S> {
    /// Whether the list is given; it may be empty.
    pub is_given: bool,
    /// The mappings of the list.
    pub list: Vec<S>,
}

/// A list of mappings.
pub struct Sections<S> {
    absent: &'static str,
    /// Describes a valid list, if an empty one is invalid.
    empty_expected: Option<&'static str>,
    entries_max: Option<usize>,
    /// Whether the list is required, and a key of a later version that replaces it.
    required_unless: Option<&'static str>,
    /// The schema of entries that are single values, which are replaced by sections before they are read.
    single: Option<fn() -> Json>,
    section: PhantomData<fn() -> S>,
}

/// A key with a list of mappings; `absent` describes an absent list.
pub const fn sections<S: SectionInput>(absent: &'static str) -> Sections<S> {
    Sections {
        absent,
        empty_expected: None,
        entries_max: None,
        required_unless: None,
        single: None,
        section: PhantomData,
    }
}

impl<S> Sections<S> {
    /// The list has at least one entry.
    pub const fn not_empty(mut self, expected: &'static str) -> Self {
        self.empty_expected = Some(expected);
        self
    }

    /// The list has at most this number of entries.
    pub const fn at_most(mut self, entries_max: usize) -> Self {
        self.entries_max = Some(entries_max);
        self
    }

    /// The list is required.
    pub const fn required(self) -> Self {
        self.required_unless("")
    }

    /// Entries may be single values of this schema.
    pub const fn or_singles(mut self, single: fn() -> Json) -> Self {
        self.single = Some(single);
        self
    }

    /// The list is required, unless `key`, which belongs to a later version, is given.
    pub const fn required_unless(mut self, key: &'static str) -> Self {
        self.required_unless = Some(key);
        self
    }
}

impl<S: SectionInput> Describe for Sections<S> {
    fn shape(&self) -> ValueShape {
        ValueShape::Sections(S::SPEC)
    }

    fn cell(&self) -> String {
        self.entries_max.map_or("list".to_owned(), |max| format!("list of at most {max}"))
    }

    fn default_cell(&self) -> String {
        self.absent.to_owned()
    }

    fn is_required(&self) -> bool {
        self.required_unless == Some("")
    }

    fn schema(&self) -> Json {
        let min = u8::from(self.empty_expected.is_some());
        let section = json::section(S::SPEC);
        let items = match self.single {
            Some(single) => json::any_of(vec![json::reference_or(single()), section]),
            None => section,
        };
        let schema = json!({"type": "array", "items": items, "minItems": min});
        match self.entries_max {
            Some(max) => json::with(schema, "maxItems", json!(max)),
            None => schema,
        }
    }
}

impl<S: SectionInput> KeyField for Sections<S> {
    type Input = Entries<S>;

    fn read(&self, section: &Section<'_>, key: &str) -> Entries<S> {
        let given = section.get(key);
        if let Some(YamlNode { at, kind: Kind::List(items) }) = given
            && let Some(expected) = self.empty_expected
            && items.is_empty()
        {
            section.reader().bad(*at, &section.name(key), expected);
        }
        if let Some(YamlNode { kind: Kind::List(items), .. }) = given
            && let Some(max) = self.entries_max
            && let Some(first) = items.get(max)
        {
            section.reader().bad(first.at, &section.name(key), format!("at most {max} entries"));
        }
        let is_given = given.is_some();
        if !is_given && self.required_unless.is_some_and(|other| !section.location().has(other)) {
            section.location().missing(section.reader(), &[key]);
        }
        Entries { is_given, list: section.sections(key, S::SPEC).map(|section| S::read(&section)).collect() }
    }

    fn show(&self, input: &Entries<S>, key: &str, listing: &mut Listing<'_>) {
        input.list.iter().for_each(|entry| entry.show(listing));
        if input.list.is_empty() {
            listing.put(key, Value::Empty([]), &ValueSource::Default);
        }
    }
}

/// A list, not empty, of single values and of mappings.
pub struct SinglesOrSections<F, S> {
    form: F,
    /// A description of a list that is not empty.
    expected: &'static str,
    section: PhantomData<fn() -> S>,
}

/// A key with a list, not empty, of single values and of mappings.
pub const fn entries<F: Form, S: SectionInput>(form: F, expected: &'static str) -> SinglesOrSections<F, S> {
    SinglesOrSections { form, expected, section: PhantomData }
}

impl<F: Form, S: SectionInput> Describe for SinglesOrSections<F, S> {
    fn shape(&self) -> ValueShape {
        ValueShape::Sections(S::SPEC)
    }

    fn cell(&self) -> String {
        "list".to_owned()
    }

    fn default_cell(&self) -> String {
        String::new()
    }

    fn schema(&self) -> Json {
        let item = json::any_of(vec![json::reference_or(self.form.schema()), json::section(S::SPEC)]);
        json!({"type": "array", "items": item, "minItems": 1})
    }
}

impl<F: Form, S: SectionInput> KeyField for SinglesOrSections<F, S> {
    type Input = Vec<Either<F::Value, S>>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let reader = section.reader();
        if let Some(YamlNode { at, kind: Kind::List(items) }) = section.get(key)
            && items.is_empty()
        {
            reader.bad(*at, &section.name(key), self.expected);
        }
        let read = section.list(key).map(|(node, name)| match node.kind {
            Kind::Scalar(_) => self.form.read_node(reader, node, &name).map(Either::Single),
            Kind::Null | Kind::Map(_) | Kind::List(_) => {
                reader.section(node, name, S::SPEC).map(|section| Either::Nested(S::read(&section)))
            }
        });
        read.flatten().collect()
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        for (nth, entry) in input.iter().enumerate() {
            match entry {
                Either::Single(single) => {
                    listing.put(&format!("{key}[{nth}]"), self.form.shown(&single.value), &single.source);
                }
                Either::Nested(section) => section.show(listing),
            }
        }
    }
}

/// The single values of one list.
#[derive(Debug, Clone)]
pub struct ValueList<T> {
    /// The values of the list.
    pub list: Vec<Input<T>>,
}

impl<T: PartialEq> ValueList<T> {
    /// Removes each value that an earlier one equals.
    pub fn dedup(&mut self) {
        let mut unique: Vec<Input<T>> = Vec::new();
        for input in std::mem::take(&mut self.list) {
            if unique.iter().all(|known| known.value != input.value) {
                unique.push(input);
            }
        }
        self.list = unique;
    }
}

/// A list of single values.
pub struct List<F: Form> {
    form: F,
    entries_max: usize,
    absent: &'static str,
    /// Describes a valid list, if an empty one is invalid.
    empty_expected: Option<&'static str>,
    /// Whether a single value is accepted as a list of one entry.
    takes_single: bool,
    /// The values of an absent list.
    default: fn() -> Vec<F::Value>,
}

/// A key with a list of single values; `absent` describes an absent list.
pub const fn list<F: Form>(form: F, entries_max: usize, absent: &'static str) -> List<F> {
    List { form, entries_max, absent, empty_expected: None, takes_single: false, default: Vec::new }
}

impl<F: Form> List<F> {
    /// The list has at least one value.
    pub const fn not_empty(mut self, expected: &'static str) -> Self {
        self.empty_expected = Some(expected);
        self
    }

    /// An absent list has these values; an empty one has none.
    pub const fn or(mut self, default: fn() -> Vec<F::Value>) -> Self {
        self.default = default;
        self
    }

    /// A single value is a list of one value.
    pub const fn or_single(mut self) -> Self {
        self.takes_single = true;
        self
    }
}

impl<F: Form> Describe for List<F> {
    fn shape(&self) -> ValueShape {
        ValueShape::List
    }

    fn takes_single(&self) -> bool {
        self.takes_single
    }

    fn cell(&self) -> String {
        let single = if self.takes_single { format!("{}, or ", self.form.cell()) } else { String::new() };
        let of = if self.takes_single { String::new() } else { format!(": {}", self.form.cell()) };
        format!("{single}list of at most {}{of}", self.entries_max)
    }

    fn default_cell(&self) -> String {
        self.absent.to_owned()
    }

    fn schema(&self) -> Json {
        let item = json::reference_or(self.form.schema());
        let min = u8::from(self.empty_expected.is_some());
        let list = json!({"type": "array", "items": item, "minItems": min, "maxItems": self.entries_max});
        if self.takes_single { json::any_of(vec![list, item]) } else { list }
    }
}

impl<F: Form> KeyField for List<F> {
    type Input = ValueList<F::Value>;

    fn read(&self, section: &Section<'_>, key: &str) -> ValueList<F::Value> {
        let reader = section.reader();
        let name = section.name(key);
        if section.get(key).is_none() {
            return ValueList { list: (self.default)().into_iter().map(Input::default).collect() };
        }
        let nodes: Vec<(&YamlNode, String)> = match section.get(key) {
            Some(node) if self.takes_single && matches!(node.kind, Kind::Scalar(_)) => vec![(node, name.clone())],
            Some(YamlNode { at, kind: Kind::List(items) }) if items.is_empty() => {
                if let Some(expected) = self.empty_expected {
                    reader.bad(*at, &name, expected);
                }
                Vec::new()
            }
            Some(_) | None => section.list(key).collect(),
        };
        if let Some((node, _)) = nodes.get(self.entries_max) {
            reader.bad(node.at, &name, format!("at most {} entries", self.entries_max));
        }
        let nodes = nodes.into_iter().take(self.entries_max);
        ValueList { list: nodes.filter_map(|(node, name)| self.form.read_node(reader, node, &name)).collect() }
    }

    fn show(&self, input: &ValueList<F::Value>, key: &str, listing: &mut Listing<'_>) {
        for (nth, input) in input.list.iter().enumerate() {
            listing.put(&format!("{key}[{nth}]"), self.form.shown(&input.value), &input.source);
        }
        if input.list.is_empty() {
            listing.put(key, Value::Empty([]), &ValueSource::Default);
        }
    }
}

/// A mapping with arbitrary keys.
pub struct Map<F> {
    form: F,
    is_key: fn(&str) -> bool,
    /// A description of valid keys.
    key_expected: &'static str,
    /// A regular expression of valid keys.
    key_pattern: &'static str,
}

impl<F: Form> Map<F> {
    /// A mapping with the keys that `is_key` accepts.
    pub const fn new(form: F, is_key: fn(&str) -> bool, key_expected: &'static str, key_pattern: &'static str) -> Self {
        Self { form, is_key, key_expected, key_pattern }
    }
}

impl<F: Form> Describe for Map<F> {
    fn shape(&self) -> ValueShape {
        ValueShape::Map
    }

    fn cell(&self) -> String {
        "mapping".to_owned()
    }

    fn default_cell(&self) -> String {
        "none".to_owned()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object",
            "propertyNames": {"pattern": self.key_pattern},
            "additionalProperties": json::reference_or(self.form.schema()),
        })
    }
}

impl<F: Form> KeyField for Map<F> {
    type Input = Vec<(String, Input<F::Value>)>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let reader = section.reader();
        let name = section.name(key);
        let mut values = Vec::new();
        for (entry, node) in section.entries(key) {
            if !(self.is_key)(&entry.name) {
                reader.bad(entry.at, &name, self.key_expected);
            }
            // The text of a variable may be a secret on either side of a colon.
            let path = match entry.at {
                ValueOrigin::File(_) => format!("{name}.{}", entry.name),
                ValueOrigin::Variable(_) => name.clone(),
            };
            values.extend(self.form.read_node(reader, node, &path).map(|input| (entry.name.clone(), input)));
        }
        values
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        for (name, input) in input {
            listing.put(&format!("{key}.{name}"), self.form.shown(&input.value), &input.source);
        }
        if input.is_empty() {
            listing.put(key, Value::Empty([]), &ValueSource::Default);
        }
    }
}

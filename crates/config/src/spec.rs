//! The description of each key, from which errors, variables and documents are derived.

use serde_json::Value as Json;

/// The keys of one section.
#[derive(Debug)]
pub(crate) struct SectionSpec {
    pub(crate) own: &'static [KeySpec],
    /// Sections whose keys follow the own keys in the same mapping.
    pub(crate) flat: &'static [&'static SectionSpec],
    /// Keys that only a later version supports.
    pub(crate) later: &'static [&'static str],
}

/// The declaration of one key.
pub(crate) struct KeySpec {
    pub(crate) name: &'static str,
    /// The meaning of the key, in Markdown.
    pub(crate) doc: &'static str,
    pub(crate) field: &'static dyn Describe,
}

impl std::fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl SectionSpec {
    /// Returns the keys of this version; own keys come first, each part in order of declaration.
    pub(crate) fn keys(&self) -> Vec<&'static KeySpec> {
        self.own.iter().chain(self.flat.iter().flat_map(|flat| flat.keys())).collect()
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static KeySpec> {
        let in_flat = || self.flat.iter().find_map(|flat| flat.key(name));
        self.own.iter().find(|key| key.name == name).or_else(in_flat)
    }

    /// Whether only a later version supports the key.
    pub(crate) fn is_later(&self, name: &str) -> bool {
        self.later.contains(&name) || self.flat.iter().any(|flat| flat.is_later(name))
    }

    /// Returns the names of all keys, including those of later versions.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let own = self.own.iter().map(|key| key.name).chain(self.later.iter().copied());
        own.chain(self.flat.iter().flat_map(|flat| flat.names())).collect()
    }
}

/// The structure of a key's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A text, a number or a boolean.
    Single,
    /// A mapping with these keys.
    Section(&'static SectionSpec),
    /// A list of such mappings.
    Sections(&'static SectionSpec),
    /// A list of single values.
    List,
    /// A mapping with arbitrary keys.
    Map,
    /// A value that only a later version defines.
    Later,
}

/// The description of a key's value.
pub(crate) trait Describe: Sync {
    fn shape(&self) -> Shape;

    /// Whether the key accepts a single value, besides the structure that [`shape`](Describe::shape) returns.
    fn takes_single(&self) -> bool {
        matches!(self.shape(), Shape::Single)
    }

    /// Returns the value's description in the documentation's tables, in Markdown.
    fn cell(&self) -> String;

    /// Returns the default's description, in Markdown: a value in backticks, `required`, or a sentence.
    fn default_cell(&self) -> String;

    /// Whether the section is invalid without the key.
    fn is_required(&self) -> bool {
        false
    }

    /// Returns the JSON Schema of the value, with its default.
    fn schema(&self) -> Json;
}

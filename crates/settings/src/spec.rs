//! The description of each key, from which errors, variables and documents are derived.

use serde_json::Value as Json;

/// The keys of one section.
#[derive(Debug)]
pub struct SectionSpec {
    /// The keys that the section declares.
    pub own: &'static [KeySpec],
    /// Sections whose keys follow the own keys in the same mapping.
    pub flat: &'static [&'static SectionSpec],
    /// Keys that only a later version supports.
    pub later: &'static [&'static str],
    /// Conditions on several keys.
    pub rules: &'static [Rule],
    /// The own keys whose change needs a restart, with all keys below them.
    pub restart: RestartKeys,
}

/// The keys of a section that a reload cannot change.
#[derive(Debug, Clone, Copy)]
pub enum RestartKeys {
    /// All keys of the section.
    All,
    /// Only the listed keys of the section.
    Only(&'static [&'static str]),
}

/// A condition on several keys of one mapping. The JSON Schema states it; the code that uses the values checks it.
#[derive(Debug)]
pub enum Rule {
    /// The key is required in a mapping that exists.
    Required(&'static str),
    /// The first key is required unless one of the others is given.
    RequiredUnless(&'static str, &'static [&'static str]),
    /// The first key requires the second one.
    Requires(&'static str, &'static str),
    /// Exactly one of the keys is given.
    ExactlyOne(&'static [&'static str]),
    /// Not all of the keys are given.
    NotAll(&'static [&'static str]),
    /// A condition on values, as JSON Schema.
    Values(fn() -> Json),
}

/// The declaration of one key.
pub struct KeySpec {
    /// The name of the key.
    pub name: &'static str,
    /// The meaning of the key, in Markdown.
    pub doc: &'static str,
    /// The description of the value.
    pub field: &'static dyn Describe,
}

impl std::fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl SectionSpec {
    /// Returns the keys of this version; own keys come first, each part in order of declaration.
    pub fn keys(&self) -> Vec<&'static KeySpec> {
        self.own.iter().chain(self.flat.iter().flat_map(|flat| flat.keys())).collect()
    }

    /// Returns the key of this name.
    pub fn key(&self, name: &str) -> Option<&'static KeySpec> {
        let in_flat = || self.flat.iter().find_map(|flat| flat.key(name));
        self.own.iter().find(|key| key.name == name).or_else(in_flat)
    }

    /// Whether a change of the setting at `path`, such as `control.listen` or `plans[0].name`, needs a restart.
    pub fn needs_restart(&self, path: &str) -> bool {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let name = first.split_once('[').map_or(first, |(name, _)| name);
        let Some(key) = self.own.iter().find(|key| key.name == name) else {
            return self.flat.iter().any(|flat| flat.needs_restart(path));
        };
        let own = match self.restart {
            RestartKeys::All => true,
            RestartKeys::Only(keys) => keys.contains(&name),
        };
        own || match key.field.shape() {
            ValueShape::Section(nested) | ValueShape::Sections(nested) => nested.needs_restart(rest),
            ValueShape::Single | ValueShape::List | ValueShape::Map | ValueShape::Later => false,
        }
    }

    /// Returns the conditions of the whole mapping.
    pub fn rules(&self) -> Vec<&'static Rule> {
        self.rules.iter().chain(self.flat.iter().flat_map(|flat| flat.rules())).collect()
    }

    /// Whether each name is declared once in the mapping, including the keys of its flat sections.
    pub const fn is_unique(&self) -> bool {
        self.names_once(self)
    }

    /// Whether `whole` has each name of this section once.
    const fn names_once(&self, whole: &Self) -> bool {
        let mut own = self.own;
        let mut later = self.later;
        let mut flat = self.flat;
        while let [key, rest @ ..] = own {
            if whole.count(key.name) != 1 {
                return false;
            }
            own = rest;
        }
        while let [name, rest @ ..] = later {
            if whole.count(name) != 1 {
                return false;
            }
            later = rest;
        }
        while let [part, rest @ ..] = flat {
            if !part.names_once(whole) {
                return false;
            }
            flat = rest;
        }
        true
    }

    /// Returns the number of declarations of `name`.
    const fn count(&self, name: &str) -> usize {
        let mut own = self.own;
        let mut later = self.later;
        let mut flat = self.flat;
        let mut count = 0;
        while let [key, rest @ ..] = own {
            if is_same(key.name, name) {
                count += 1;
            }
            own = rest;
        }
        while let [other, rest @ ..] = later {
            if is_same(other, name) {
                count += 1;
            }
            later = rest;
        }
        while let [part, rest @ ..] = flat {
            count += part.count(name);
            flat = rest;
        }
        count
    }

    /// Whether only a later version supports the key.
    pub fn is_later(&self, name: &str) -> bool {
        self.later.contains(&name) || self.flat.iter().any(|flat| flat.is_later(name))
    }

    /// Returns the names of all keys, including those of later versions.
    pub fn names(&self) -> Vec<&'static str> {
        let own = self.own.iter().map(|key| key.name).chain(self.later.iter().copied());
        own.chain(self.flat.iter().flat_map(|flat| flat.names())).collect()
    }
}

/// Compares two texts: constant functions cannot use `==` for them.
const fn is_same(a: &str, b: &str) -> bool {
    let mut a = a.as_bytes();
    let mut b = b.as_bytes();
    while let [first, a_rest @ ..] = a
        && let [second, b_rest @ ..] = b
    {
        if *first != *second {
            return false;
        }
        (a, b) = (a_rest, b_rest);
    }
    a.is_empty() && b.is_empty()
}

/// The structure of a key's value.
#[derive(Debug, Clone, Copy)]
pub enum ValueShape {
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
pub trait Describe: Sync {
    /// Returns the structure of the value.
    fn shape(&self) -> ValueShape;

    /// Whether the key accepts a single value, besides the structure that [`shape`](Describe::shape) returns.
    fn takes_single(&self) -> bool {
        matches!(self.shape(), ValueShape::Single)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::optional;
    use crate::form::FILE;
    use crate::input::Input;
    use crate::section::section_input::SectionInput;

    crate::section! {
        /// A section with one key.
        TypedInput {
            /// A key whose name is a word of Rust.
            r#type: Option<Input<std::path::PathBuf>> = optional(FILE, "");
        }
    }

    /// Each `section!` asserts this at compile time.
    #[test]
    fn a_key_that_is_declared_twice_is_found_in_the_section_and_across_flat_sections() {
        const OWN: &SectionSpec = <TypedInput as SectionInput>::SPEC;
        const LATER: &SectionSpec =
            &SectionSpec { own: &[], flat: &[], later: &["type"], rules: &[], restart: RestartKeys::Only(&[]) };
        const OTHER: &SectionSpec =
            &SectionSpec { own: &[], flat: &[], later: &["types"], rules: &[], restart: RestartKeys::Only(&[]) };
        const NESTED: &SectionSpec =
            &SectionSpec { own: &[], flat: &[LATER], later: &[], rules: &[], restart: RestartKeys::Only(&[]) };
        const fn merged(flat: &'static [&'static SectionSpec]) -> SectionSpec {
            SectionSpec { own: OWN.own, flat, later: OWN.later, rules: &[], restart: RestartKeys::Only(&[]) }
        }
        for (spec, is_unique) in [
            (merged(&[]), true),
            (merged(&[OTHER]), true),
            (merged(&[LATER]), false),
            (merged(&[OTHER, NESTED]), false),
            (merged(&[OTHER, OTHER]), false),
            (
                SectionSpec {
                    own: &[],
                    flat: &[],
                    later: &["a", "b", "a"],
                    rules: &[],
                    restart: RestartKeys::Only(&[]),
                },
                false,
            ),
        ] {
            assert_eq!(spec.is_unique(), is_unique, "{:?}", spec.names());
        }
    }
}

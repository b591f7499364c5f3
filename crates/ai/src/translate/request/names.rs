//! Names of tools in a form that every provider takes: OpenAI allows `[A-Za-z0-9_-]{1,64}`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::super::context::ToolOrigin;
use crate::format::Format;

const NAME_BYTES_MAX: usize = 64;
/// Maximum length of the part of a long name that is kept, before `_` and eight digits of its hash.
const NAME_BYTES_KEPT: usize = 55;

/// The names of tools at the provider.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: BTreeMap<String, ToolOrigin>,
    /// Whether a name must begin with a letter or `_`, as Gemini requires.
    is_word: bool,
}

impl Names {
    pub(super) const fn new(to: Format) -> Self {
        Self { names: BTreeMap::new(), is_word: matches!(to, Format::GenerateContent) }
    }

    /// Returns the provider's name of a tool. The same tool always has the same name.
    pub(super) fn name(&mut self, origin: &ToolOrigin) -> String {
        let plain = plain_name(origin);
        let begins = !self.is_word || plain.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
        let fits = begins && (1..=NAME_BYTES_MAX).contains(&plain.len()) && plain.bytes().all(is_plain);
        let is_free = |name: &str| self.names.get(name).is_none_or(|other| other == origin);
        let name = if fits && is_free(&plain) { plain } else { shortened(&plain, origin, begins) };
        self.names.entry(name.clone()).or_insert_with(|| origin.clone());
        name
    }

    /// Returns the tools whose name at the provider differs from the client's.
    pub(super) fn renamed(self) -> BTreeMap<String, ToolOrigin> {
        let is_same =
            |name: &str, origin: &ToolOrigin| matches!(origin, ToolOrigin::Function { name: own } if own == name);
        self.names.into_iter().filter(|(name, origin)| !is_same(name, origin)).collect()
    }
}

fn plain_name(origin: &ToolOrigin) -> String {
    match origin {
        ToolOrigin::Function { name } | ToolOrigin::Custom { namespace: None, name } => name.clone(),
        ToolOrigin::Namespaced { namespace, name } | ToolOrigin::Custom { namespace: Some(namespace), name } => {
            format!("{namespace}__{name}")
        }
    }
}

fn shortened(plain: &str, origin: &ToolOrigin, begins: bool) -> String {
    let mut name = if begins { String::new() } else { "_".to_owned() };
    let kept = plain.chars().take(NAME_BYTES_KEPT - name.len());
    name.extend(kept.map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }));
    // Two tools may have the same plain name: their kind and namespace belong to the hash.
    let hashed = match origin {
        ToolOrigin::Function { name } => name.clone(),
        ToolOrigin::Namespaced { namespace, name } => format!("{namespace}\0{name}"),
        ToolOrigin::Custom { namespace, name } => format!("\0{}\0{name}", namespace.as_deref().unwrap_or_default()),
    };
    name.push('_');
    name.push_str(&hexadecimal(&hashed, 8));
    name
}

/// Returns the first `digits` hexadecimal digits of the SHA-256 of a text.
pub(super) fn hexadecimal(text: &str, digits: usize) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let mut hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> ToolOrigin {
        ToolOrigin::Function { name: name.to_owned() }
    }

    fn namespaced(namespace: &str, name: &str) -> ToolOrigin {
        ToolOrigin::Namespaced { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn names_that_fit_are_kept_and_others_have_64_characters() {
        let mut names = Names::default();
        assert_eq!(names.name(&function("get_weather")), "get_weather");
        let long = "a".repeat(70);
        let name = names.name(&function(&long));
        assert_eq!(name, format!("{}_{}", "a".repeat(55), hexadecimal(&long, 8)));
        assert_eq!(names.name(&function(&long)), name);
        assert_eq!(names.name(&function("é.b")), format!("__b_{}", hexadecimal("é.b", 8)));
        assert_eq!(names.renamed().len(), 2);
    }

    #[test]
    fn a_name_for_gemini_begins_with_a_letter() {
        let mut names = Names::new(Format::GenerateContent);
        assert_eq!(names.name(&function("_a-1")), "_a-1");
        let name = names.name(&function("7zip"));
        assert_eq!(name, format!("_7zip_{}", hexadecimal("7zip", 8)));
        assert_eq!(Names::default().name(&function("7zip")), "7zip");
    }

    #[test]
    fn two_tools_with_one_name_stay_two_tools() {
        let mut names = Names::default();
        let first = names.name(&function("a__b"));
        let second = names.name(&namespaced("a", "b"));
        let custom = names.name(&ToolOrigin::Custom { namespace: None, name: "a__b".to_owned() });
        assert_eq!(first, "a__b");
        assert!(first != second && second != custom && first != custom);
        let long = "x".repeat(64);
        let left = namespaced("a", &format!("b__{long}"));
        let right = namespaced("a__b", &long);
        assert_ne!(names.name(&left), names.name(&right));
        let renamed = names.renamed();
        assert_eq!(renamed.get(&second), Some(&namespaced("a", "b")));
    }
}

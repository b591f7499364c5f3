//! Names of tools in a form that every provider takes: OpenAI allows `[A-Za-z0-9_-]{1,64}`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::super::context::ToolOrigin;

const NAME_BYTES_MAX: usize = 64;
/// The kept part of a name that does not fit; `_` and eight digits follow.
const NAME_BYTES_KEPT: usize = 55;

/// The names of tools at the provider.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: BTreeMap<String, ToolOrigin>,
}

impl Names {
    /// Returns the provider's name of a tool. The same tool always has the same name.
    pub(super) fn name(&mut self, origin: &ToolOrigin) -> String {
        let plain = plain_name(origin);
        let fits = (1..=NAME_BYTES_MAX).contains(&plain.len()) && plain.bytes().all(is_plain);
        let is_free = |name: &str| self.names.get(name).is_none_or(|other| other == origin);
        let name = if fits && is_free(&plain) { plain } else { shortened(&plain, origin) };
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

fn shortened(plain: &str, origin: &ToolOrigin) -> String {
    let mut name: String =
        plain.chars().take(NAME_BYTES_KEPT).map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' }).collect();
    // The kind belongs to the hash: a function and a custom tool may have the same name.
    let kind = match origin {
        ToolOrigin::Function { .. } => "",
        ToolOrigin::Namespaced { .. } => "namespaced:",
        ToolOrigin::Custom { .. } => "custom:",
    };
    name.push('_');
    name.push_str(&hexadecimal(&format!("{kind}{plain}"), 8));
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
    fn two_tools_with_one_name_stay_two_tools() {
        let mut names = Names::default();
        let first = names.name(&function("a__b"));
        let second = names.name(&namespaced("a", "b"));
        let custom = names.name(&ToolOrigin::Custom { namespace: None, name: "a__b".to_owned() });
        assert_eq!(first, "a__b");
        assert!(first != second && second != custom && first != custom);
        let renamed = names.renamed();
        assert_eq!(renamed.get(&second), Some(&namespaced("a", "b")));
    }
}

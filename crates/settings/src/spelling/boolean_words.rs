//! The words of YAML 1.1 that other readers, such as Helm and PyYAML, turn into booleans: `on`, `off`, `yes`, `no`.
//!
//! Such a reader writes `true:` for the key `on:`, and `false` for the value `off`. Both spellings have the same meaning.

use access::only;
use serde_json::{Value as Json, json};

use crate::spec::SectionSpec;

/// Returns the boolean that YAML 1.1 reads in a word.
pub(crate) const fn boolean(word: &str) -> Option<bool> {
    match word.as_bytes() {
        b"on" | b"yes" | b"y" => Some(true),
        b"off" | b"no" | b"n" => Some(false),
        _ => None,
    }
}

/// Whether `text` is the boolean that YAML 1.1 reads in `word`.
pub(crate) fn is_spelling(text: &str, word: &str) -> bool {
    text.parse::<bool>().is_ok_and(|value| boolean(word) == Some(value))
}

/// Returns the word of which `text` is the boolean, if it is one word only.
pub(crate) fn written<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    only(words.filter(|word| is_spelling(text, word)))
}

/// Returns the values of JSON that mean `word`.
pub(crate) fn values(word: &str) -> Vec<Json> {
    let spellings = boolean(word).map(|value| [json!(value), json!(value.to_string())]);
    [json!(word)].into_iter().chain(spellings.into_iter().flatten()).collect()
}

impl SectionSpec {
    /// Returns the key that a name of the file means.
    pub fn meant<'n>(&self, name: &'n str) -> &'n str
    where
        Self: 'n,
    {
        let is_boolean = name.parse::<bool>().is_ok() && self.key(name).is_none();
        if is_boolean { written(name, self.names().into_iter()).unwrap_or(name) } else { name }
    }
}

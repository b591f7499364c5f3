//! The reasons why a form does not accept a text, and their reports.

use crate::error::{Code, Problem};
use crate::section::{SettingsReader, Text, one_of};
use crate::suggestion::near::near;

/// The reason why a form does not accept a text.
pub enum FormRefusal {
    /// The text is invalid; the field describes valid texts.
    Bad(String),
    /// The text is not one of these words.
    Word(Vec<&'static str>),
    /// The text is invalid, but probably means one of the `known` texts.
    Near {
        /// A description of valid texts.
        expected: &'static str,
        /// The texts that may be meant.
        known: &'static [&'static str],
    },
    /// The text is invalid, but probably means `meant`.
    Meant {
        /// A description of valid texts.
        expected: String,
        /// The text that is valid instead.
        meant: String,
    },
    /// Only a later version supports the text; the function names the value by the full name of its key and the text.
    NotYet(fn(name: &str, text: &str) -> String),
}

impl FormRefusal {
    pub(super) fn report(self, reader: &SettingsReader<'_>, text: &Text, name: &str) {
        match self {
            Self::Bad(expected) => reader.bad(text.at, name, expected),
            Self::Word(words) => {
                near_or(reader, text, name, one_of(words.iter().copied()), near(&text.value, words));
            }
            Self::Near { expected, known } => {
                near_or(reader, text, name, expected.to_owned(), near(&text.value, known.iter().copied()));
            }
            Self::Meant { expected, meant } => near_or(reader, text, name, expected, Some(&meant)),
            Self::NotYet(subject) => reader.not_yet(text.at, &subject(name, &text.value)),
        }
    }
}

/// Reports an invalid text and the text that was probably meant, unless that repeats a secret.
fn near_or(reader: &SettingsReader<'_>, text: &Text, name: &str, expected: String, near: Option<&str>) {
    let near = if text.foreign { None } else { near };
    let message = format!("`{name}` has an invalid value");
    reader.report(Problem::new(Code::BadValue, text.at, message).expected(expected).near(near));
}

/// Returns the refusal of an invalid text.
pub fn bad(expected: &str) -> FormRefusal {
    FormRefusal::Bad(expected.to_owned())
}

/// Returns the text if it is valid.
///
/// # Errors
/// Returns the refusal with the description of valid texts.
pub fn accept(text: &str, is_valid: bool, expected: &str) -> Result<String, FormRefusal> {
    if is_valid { Ok(text.to_owned()) } else { Err(bad(expected)) }
}

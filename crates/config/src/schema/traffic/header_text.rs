//! Values of headers that may have values of the request: `${latency}`, `${claim.sub}`.

use std::fmt;

use super::forms::{FIELD_NAME_PATTERN, is_label};
use access::Secret;
use http::HeaderValue;
use serde_json::{Value as Json, json};
use settings::field::{KeyField, Map};
use settings::form::{Form, FormRefusal, bad};
use settings::input::Input;
use settings::secret_text::is_secret_header;
use settings::section::setting::{Listing, Value};
use settings::section::{Section, SettingsReader};
use settings::spec::{Describe, ValueShape};
use settings::substitute::split_reference;
use settings::yaml::{Kind, YamlNode};

/// Longest value, in bytes.
const LEN_MAX: usize = 4_096;
/// Enclose the name of a value of the request while variables are substituted: no field value has these characters.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';
/// Begins a value with a credential of the vault, while variables are substituted.
const VAULT: char = '\u{3}';
/// The text between the scheme of a credential, if there is one, and its label.
const REFERENCE: &str = "vault:";
/// The names of values without a dot, which are no names of variables here.
const WORDS: [&str; 3] = ["latency", "request_id", "client_address"];

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderText {
    pub(crate) pieces: Vec<HeaderPiece>,
    /// Whether it is the content of a file, which may be a secret.
    is_of_file: bool,
}

/// A part of the value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderPiece {
    Literal(String),
    /// The name of a value of the request.
    Name(String),
    /// The label of a credential of the vault.
    Credential(String),
}

impl fmt::Display for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            HeaderPiece::Literal(text) => f.write_str(text),
            HeaderPiece::Name(name) => write!(f, "${{{name}}}"),
            HeaderPiece::Credential(label) => write!(f, "{REFERENCE}{label}"),
        })
    }
}

impl HeaderText {
    /// Whether the value has a credential of the vault.
    pub(crate) fn has_credential(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, HeaderPiece::Credential(_)))
    }
}

/// The form of the value of a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderTextForm;

impl Form for HeaderTextForm {
    type Value = HeaderText;

    fn parse(&self, text: &str) -> Result<HeaderText, FormRefusal> {
        if let Some(reference) = text.strip_prefix(VAULT) {
            let pieces = credential(reference).ok_or_else(|| bad(EXPECTED_LABEL))?;
            return Ok(HeaderText { pieces, is_of_file: false });
        }
        let mut pieces = Vec::new();
        let literal = |text: &str| HeaderValue::from_str(text).map(|_| HeaderPiece::Literal(text.to_owned()));
        for (nth, part) in text.split(OPEN).enumerate() {
            let (name, rest) = if nth == 0 { (None, part) } else { split(part).ok_or_else(|| bad(EXPECTED))? };
            pieces.extend(name.map(|name| HeaderPiece::Name(name.to_owned())));
            if !rest.is_empty() {
                pieces.push(literal(rest).map_err(|_| bad(EXPECTED))?);
            }
        }
        if text.len() > LEN_MAX { Err(bad(EXPECTED)) } else { Ok(HeaderText { pieces, is_of_file: false }) }
    }

    fn shown(&self, value: &HeaderText) -> Value {
        if value.is_of_file { Value::secret(&Secret::new(value.to_string())) } else { Value::text(value) }
    }

    fn cell(&self) -> String {
        "text".to_owned()
    }

    fn schema(&self) -> Json {
        let text = json!({"type": "string", "pattern": r"^[^\x00-\x08\x0A-\x1F\x7F]*$"});
        json!({"anyOf": [text, {"type": ["number", "boolean"]}]})
    }

    fn read_node(&self, reader: &SettingsReader<'_>, node: &YamlNode, name: &str) -> Option<Input<HeaderText>> {
        let Kind::Scalar(text) = &node.kind else {
            return self.read_text(reader, &reader.text(node, name)?, name);
        };
        let is_of_file = text.starts_with("file:");
        let text = match (is_of_file, scheme(text)) {
            (true, _) => text.clone(),
            (false, None) => marked(text),
            (false, Some(_)) => format!("{VAULT}{}", marked(text)),
        };
        let marked = YamlNode { at: node.at, kind: Kind::Scalar(text) };
        let input = self.read_text(reader, &reader.text(&marked, name)?, name)?;
        Some(Input { value: HeaderText { is_of_file, ..input.value }, source: input.source, foreign: input.foreign })
    }
}

const EXPECTED: &str = "a field value of at most 4,096 bytes without control characters";

const EXPECTED_LABEL: &str = "`vault:LABEL` or `SCHEME vault:LABEL`, with a label of 1 to 200 characters";

/// Returns the text before the label of a credential of the vault, such as `Bearer `; `None` if the value is no reference.
/// The text of a variable or a file never is one.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(REFERENCE)?;
    let is_scheme =
        |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    (scheme.is_empty() || scheme.strip_suffix(' ').is_some_and(is_scheme)).then_some(scheme)
}

/// Returns the parts of a value with a credential of the vault; `None` if its label is invalid.
fn credential(text: &str) -> Option<Vec<HeaderPiece>> {
    let (scheme, label) = text.split_at_checked(scheme(text)?.len())?;
    let label = label.strip_prefix(REFERENCE).filter(|label| is_label(label))?;
    let scheme = Some(scheme).filter(|scheme| !scheme.is_empty()).map(|text| HeaderPiece::Literal(text.to_owned()));
    Some(scheme.into_iter().chain([HeaderPiece::Credential(label.to_owned())]).collect())
}

/// Splits a part after [`OPEN`] into the name and the rest; `None` without the end of the name.
fn split(part: &str) -> Option<(Option<&str>, &str)> {
    part.split_once(CLOSE).map(|(name, rest)| (Some(name), rest))
}

/// Returns the text with the names of values of the request in marks in place of `${}`.
fn marked(text: &str) -> String {
    let mut marked = String::new();
    let mut rest = text;
    while let Some((before, after)) = split_reference(rest) {
        let Some((inner, behind)) = after.split_once('}') else { break };
        marked.push_str(before);
        let name = inner.split(":-").next().unwrap_or(inner);
        if WORDS.contains(&name) || name.contains('.') {
            marked.extend([OPEN]);
            marked.push_str(inner);
            marked.extend([CLOSE]);
        } else {
            marked.push_str("${");
            marked.push_str(inner);
            marked.push('}');
        }
        rest = behind;
    }
    marked.push_str(rest);
    marked
}

/// A mapping of names of headers to their values. Values of headers that contain secrets are not shown.
pub(super) struct HeaderTexts(Map<HeaderTextForm>);

impl HeaderTexts {
    /// `expected` describes valid names.
    pub(super) const fn new(is_name: fn(&str) -> bool, expected: &'static str) -> Self {
        Self(Map::new(HeaderTextForm, is_name, expected, FIELD_NAME_PATTERN))
    }
}

impl Describe for HeaderTexts {
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

impl KeyField for HeaderTexts {
    type Input = Vec<(String, Input<HeaderText>)>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        self.0.read(section, key)
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        let hidden = input.iter().map(|(name, input)| {
            let is_hidden = input.value.is_of_file || (is_secret_header(name) && !input.value.has_credential());
            let value = HeaderText { is_of_file: is_hidden, ..input.value.clone() };
            (name.clone(), Input { value, source: input.source.clone(), foreign: input.foreign })
        });
        self.0.show(&hidden.collect(), key, listing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_request_are_not_read_as_variables() {
        for (text, expected) in [
            ("${latency}", "<latency>"),
            ("a ${claim.sub} ${NAME:-x} ${request_id}", "a <claim.sub> ${NAME:-x} <request_id>"),
            ("${HOME}/${header.X-A:-b}", "${HOME}/<header.X-A:-b>"),
            ("${LATENCY} ${latency", "${LATENCY} ${latency"),
            ("$${latency} ${latency}", "$${latency} <latency>"),
            ("${A:-1.5}", "${A:-1.5}"),
            ("${client_address}", "<client_address>"),
        ] {
            assert_eq!(marked(text).replace(OPEN, "<").replace(CLOSE, ">"), expected, "{text}");
        }
        let parsed = HeaderTextForm.parse(&marked("a${latency}b${path.id}")).ok().unwrap();
        assert_eq!((parsed.to_string().as_str(), parsed.pieces.len()), ("a${latency}b${path.id}", 4));
        for (text, expected) in [
            ("vault:team", Some(["", "team"])),
            ("vault:the team's: 1", Some(["", "the team's: 1"])),
            ("Bearer vault:team", Some(["Bearer ", "team"])),
            ("bearer  vault:team", None),
            ("a b vault:team", None),
            (" vault:team", None),
            ("vault:", None),
            ("vault:a\nb", None),
        ] {
            let pieces = scheme(text).and_then(|_| credential(text));
            let named = HeaderText { pieces: pieces.clone().unwrap_or_default(), is_of_file: false };
            assert_eq!(named.has_credential(), expected.is_some(), "{text}");
            let expected = expected.map(|[scheme, label]| format!("{scheme}{REFERENCE}{label}"));
            assert_eq!(pieces.map(|_| named.to_string()), expected, "{text}");
        }
        for text in ["a\nb", "\u{1}latency", &"x".repeat(4_097)] {
            assert!(HeaderTextForm.parse(text).is_err(), "{text:?}");
        }
    }
}

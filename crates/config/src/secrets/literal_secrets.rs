//! Finds secrets that a text contains, in place of a reference to a variable or a file.

use std::collections::{BTreeMap, HashSet};

use settings::environment::Environment;
use settings::error::{Code, Problem, ValueOrigin};
use settings::place::Place;
use settings::secret_text::secret_comment;
use settings::section::SettingsReader;
use settings::section::section_input::SectionInput;
use settings::section::setting::{Listing, Setting, Value};
use settings::yaml::{Kind, YamlNode};

use crate::schema::RootInput;

const EXPECTED: &str = "`${NAME}`, `file:/path`, or `vault:LABEL` for the credential of a provider";

/// The keys of the secrets that a text contains, with their positions.
pub(crate) type LiteralSecrets = BTreeMap<String, ValueOrigin>;

/// Returns the secrets of a text whose tree is `root`, to which no setting of a variable was added. The settings in
/// effect may lack them: a variable or the mock may replace the values of the text.
pub(crate) fn of_text(source: &str, root: &YamlNode) -> LiteralSecrets {
    literals(root, declared(source, root).iter().map(String::as_str))
}

/// Returns whether the text of `root` contains a secret: one of `found`, or one of the settings in effect. If it
/// `is_refused`, each one is reported.
pub(crate) fn check(
    reader: &SettingsReader<'_>,
    root: &YamlNode,
    settings: &[Setting],
    mut found: LiteralSecrets,
    is_refused: bool,
) -> bool {
    found.extend(literals(root, secret_keys(settings)));
    if is_refused {
        for (key, at) in &found {
            let message = format!("`{key}` contains a secret: a configuration that is stored must refer to it");
            reader.report(Problem::new(Code::LiteralSecret, *at, message).expected(EXPECTED));
        }
    }
    !found.is_empty()
}

/// Returns the keys of secrets: those of `settings`, and those that the text itself sets.
pub(crate) fn keys(source: &str, root: &YamlNode, settings: &[Setting]) -> HashSet<String> {
    let in_effect = secret_keys(settings).map(str::to_owned);
    declared(source, root).into_iter().chain(in_effect).collect()
}

/// Returns those of the `keys` whose value in the tree is a secret in place of a reference.
pub(crate) fn literals<'k>(root: &YamlNode, keys: impl Iterator<Item = &'k str>) -> LiteralSecrets {
    let literal = |key: &'k str| {
        let node = root.find(key).filter(|node| node.at.place().is_some())?;
        let Kind::Scalar(text) = &node.kind else { return None };
        (!is_reference(text) && !is_url_with_references(text)).then(|| (key.to_owned(), node.at))
    };
    keys.filter_map(literal).collect()
}

/// Returns the keys of the text that have secrets. No value is replaced, so that no file is read.
fn declared(source: &str, root: &YamlNode) -> Vec<String> {
    let environment = Environment::default();
    let reader = SettingsReader::verbatim(String::new(), source, &environment);
    let Some(section) = reader.section(root, String::new(), RootInput::SPEC) else { return Vec::new() };
    let mut listing = Listing::new(&reader);
    RootInput::read(&section).show(&mut listing);
    secret_keys(&listing.settings).map(str::to_owned).collect()
}

fn secret_keys(settings: &[Setting]) -> impl Iterator<Item = &str> {
    settings.iter().filter(|setting| matches!(setting.value, Value::Secret(_))).map(|setting| setting.key.as_str())
}

/// Returns whether a comment of the text contains a secret. If it `is_refused`, each one is reported.
pub(crate) fn check_comments(reader: &SettingsReader<'_>, text: &str, is_refused: bool) -> bool {
    let mut is_found = false;
    for (line, number) in text.split('\n').zip(1..) {
        let Some((before, comment)) = secret_comment(line).and_then(|at| line.split_at_checked(at)) else { continue };
        is_found = true;
        if is_refused {
            let chars = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            let place =
                Place { line: number, column: chars(before).saturating_add(1), width: chars(comment.trim_end()) };
            let message = "a comment contains a secret: a configuration is stored with its comments";
            reader.report(
                Problem::new(Code::LiteralSecret, ValueOrigin::File(place), message).expected("a comment without it"),
            );
        }
    }
    is_found
}

/// Whether the whole text, or that after the scheme of `Authorization`, is one reference, whose default is empty.
fn is_reference(text: &str) -> bool {
    let text = ["Bearer ", "Basic "].into_iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let is_variable = variable.is_some_and(|name| {
        let name = name.strip_suffix(":-").unwrap_or(name);
        !name.contains(['{', '}', ':', '$'])
    });
    text.is_empty() || text.starts_with("file:") || is_variable
}

/// Whether the text is a URL whose password is a reference or absent.
fn is_url_with_references(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    // A reference may contain the characters that end the authority.
    let Some((before, _)) = rest.rsplit_once('@') else { return !rest.contains("password") };
    let has_parameter = rest.contains("password=");
    let password = before.split_once(':').map_or("", |(_, password)| password);
    !has_parameter && is_reference(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_refer_to_its_password_only() {
        for (text, is) in [
            ("postgres://u@db/t", true),
            ("postgres://u:${PASSWORD}@db/t", true),
            ("postgres://u:secret@db/t", false),
            ("postgres://db/t?password=secret", false),
            ("redis://:${PASSWORD:-}@db", true),
            ("redis://:${PASSWORD:-x}@db", false),
            ("secret", false),
        ] {
            assert_eq!(is_url_with_references(text), is, "{text}");
        }
    }
}

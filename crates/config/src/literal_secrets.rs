//! Finds secrets that a text contains, in place of a reference to a variable or a file.

use settings::error::{At, Code, Problem};
use settings::place::Place;
use settings::secret_text::secret_comment;
use settings::section::SettingsReader;
use settings::setting::{Setting, Value};
use settings::yaml::{Kind, YamlNode};

const EXPECTED: &str = "`${NAME}`, `file:/path`, or `vault:LABEL` for the credential of a provider";

/// Returns whether the text of `root` contains a secret. If it `is_refused`, each one is reported.
pub(crate) fn check(reader: &SettingsReader<'_>, root: &YamlNode, settings: &[Setting], is_refused: bool) -> bool {
    let mut is_found = false;
    for setting in settings.iter().filter(|setting| matches!(setting.value, Value::Secret(_))) {
        let Some(node) = root.find(&setting.key).filter(|node| node.at.place().is_some()) else { continue };
        let Kind::Scalar(text) = &node.kind else { continue };
        if is_reference(text) || is_url_with_references(text) {
            continue;
        }
        is_found = true;
        if is_refused {
            let message =
                format!("`{}` contains a secret: a configuration that is stored must refer to it", setting.key);
            reader.report(Problem::new(Code::LiteralSecret, node.at, message).expected(EXPECTED));
        }
    }
    is_found
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
            reader.report(Problem::new(Code::LiteralSecret, At::File(place), message).expected("a comment without it"));
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

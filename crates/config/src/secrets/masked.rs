//! Writes a configuration as YAML in which secrets are masked.

use std::collections::HashSet;
use std::fmt::Write as _;

use settings::environment::Environment;
use settings::section::SettingsReader;
use settings::section::setting::Setting;
use settings::yaml::{self, Kind, YamlNode};

use crate::secrets::literal_secrets;

const MASK: &str = "***";

/// Returns `text` if it contains no secrets, and otherwise the same configuration without comments and with its secrets
/// masked. `settings` are those that were read from the text; text that is not YAML becomes empty.
#[must_use]
pub fn masked(text: &str, settings: &[Setting]) -> String {
    let environment = Environment::default();
    let Ok(root) = yaml::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) else { return String::new() };
    let reader = SettingsReader::new(String::new(), text, &environment);
    let in_comments = literal_secrets::check_comments(&reader, text, false);
    let secrets = literal_secrets::keys(text, &root, settings);
    let has_literals = !literal_secrets::literals(&root, secrets.iter().map(String::as_str)).is_empty();
    if !(in_comments || has_literals) {
        return text.to_owned();
    }
    let mut out = String::new();
    write(&mut out, &root, "", 0, &secrets);
    out
}

/// Writes the value at `path`, whose lines have this indentation.
fn write(out: &mut String, node: &YamlNode, path: &str, indent: usize, secrets: &HashSet<String>) {
    let margin = " ".repeat(indent);
    match &node.kind {
        Kind::Null => out.push_str(" null\n"),
        Kind::Scalar(text) => {
            let text = if secrets.contains(path) { MASK } else { text };
            // Each JSON string is a double-quoted scalar of YAML (YAML 1.2, 1.3). Writing to a string cannot fail.
            let _ = writeln!(out, " {}", serde_json::Value::from(text));
        }
        Kind::List(items) if items.is_empty() => out.push_str(" []\n"),
        Kind::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Kind::List(items) => {
            out.push('\n');
            for (index, item) in items.iter().enumerate() {
                let _ = write!(out, "{margin}-");
                write(out, item, &format!("{path}[{index}]"), indent + 2, secrets);
            }
        }
        Kind::Map(entries) => {
            if !path.is_empty() {
                out.push('\n');
            }
            for (key, value) in entries {
                let path = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                let _ = write!(out, "{margin}{}:", serde_json::Value::from(key.name.as_str()));
                write(out, value, &path, indent + 2, secrets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Sources, load_text};
    use crate::sources::flags::Flags;

    #[test]
    fn a_text_with_secrets_is_written_without_them_and_means_the_same() {
        let text = "# credential: sk-S3CRET\nmetrics: {token: S3CRET}\nsizes: {body: 1MiB}\nproviders:\n  - name: o\n    kind: \
             openai\n    credential: >-\n      sk-S3CRET\nplans: []\n";
        let environment = Environment::default();
        let sources = || Sources { file: None, environment: &environment, flags: Flags::default() };
        let loaded = load_text("", text, sources()).unwrap();
        let shown = masked(text, loaded.settings());
        assert!(!shown.contains("S3CRET") && shown.contains("\"***\""), "{shown}");
        let again = load_text("", &shown, sources()).unwrap();
        let (changed, _) = crate::reload::changes(loaded.settings(), again.settings());
        let keys: Vec<&str> = changed.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(keys, ["metrics.token", "providers[o].credential"]);
    }

    #[test]
    fn a_text_with_a_secret_in_a_comment_is_written_without_comments() {
        let text = "sizes: {body: 1MiB} # before: sk-proj-S3CRETS3CRET\n";
        let environment = Environment::default();
        let loaded = load_text("", text, Sources { file: None, environment: &environment, flags: Flags::default() });
        let loaded = loaded.unwrap();
        assert!(loaded.has_literal_secrets);
        assert_eq!(masked(text, loaded.settings()), "\"sizes\":\n  \"body\": \"1MiB\"\n");
    }

    #[test]
    fn a_text_without_secrets_is_returned_as_it_is() {
        let text = "# a comment\nmetrics: {token: \"${TOKEN:-}\"}\n";
        let environment = Environment::default();
        let loaded = load_text("", text, Sources { file: None, environment: &environment, flags: Flags::default() });
        assert_eq!(masked(text, loaded.unwrap().settings()), text);
    }
}

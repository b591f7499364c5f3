//! `.env.example`: every key as a variable with its default, and the variables that are not keys.

use super::super::{RootInput, SectionInput};
use crate::spec::{KeySpec, SectionSpec, Shape};

const BEGIN: &str = "\
# Every setting of Tollgate as a variable, with its default. Generated from the declarations of the settings, and from
# docs/configuration.md and docs/deployment.md, by `cargo run -p xtask -- config-docs`; `make check` fails if it is out of date.
#
# Copy it to .env, uncomment the settings that you change, and keep that file secret. Flags take precedence over environment
# variables, then .env, then the configuration file. Lists and mappings are YAML: [{name: a}, {name: b}].
";
/// The longest line of a comment.
const WIDTH: usize = 120;
/// Endings of the names of secrets, which have no value in the file.
const SECRETS: [&str; 5] = ["PASSWORD", "TOKEN", "SECRET", "API_KEY", "ENCRYPTION_KEY"];

/// Returns the content of `.env.example`; the pages list the variables that are not keys.
pub(super) fn text(configuration: &str, deployment: &str) -> String {
    let mut example = Example { text: BEGIN.to_owned(), comment: String::new() };
    example.title("The whole file");
    let keys = RootInput::SPEC.keys();
    keys.iter().filter(|key| is_assigned(key)).for_each(|key| example.key(key, "TOLLGATE_"));
    for key in keys {
        let name = format!("TOLLGATE_{}", key.name.to_ascii_uppercase());
        match key.field.shape() {
            Shape::Section(spec) => {
                example.title(key.name);
                example.section(spec, &format!("{name}__"));
            }
            Shape::Sections(spec) => {
                example.title(&format!("{}[]", key.name));
                example.section(spec, &format!("{name}__0__"));
            }
            Shape::Single | Shape::List | Shape::Map | Shape::Later => {}
        }
    }
    example.table("Variables that are not settings", configuration, "The environment");
    example.table("The compose file in infrastructure/docker", deployment, "The compose file");
    example.text
}

/// Whether the key has a variable: a mapping has only those of its keys.
fn is_assigned(key: &KeySpec) -> bool {
    !matches!(key.field.shape(), Shape::Section(_)) || key.field.takes_single()
}

struct Example {
    text: String,
    /// The comment that was added last.
    comment: String,
}

impl Example {
    fn title(&mut self, title: &str) {
        let line = format!("\n# ---- {title} ");
        self.text.push_str(&line);
        self.text.push_str(&"-".repeat(WIDTH.saturating_sub(line.chars().count())));
        self.text.push('\n');
        self.comment.clear();
    }

    fn section(&mut self, spec: &'static SectionSpec, prefix: &str) {
        for key in spec.keys() {
            if is_assigned(key) {
                self.key(key, prefix);
            }
            let name = format!("{prefix}{}", key.name.to_ascii_uppercase());
            match key.field.shape() {
                Shape::Section(spec) => self.section(spec, &format!("{name}__")),
                Shape::Sections(spec) => self.section(spec, &format!("{name}__0__")),
                Shape::Single | Shape::List | Shape::Map | Shape::Later => {}
            }
        }
    }

    /// Adds a key: its meaning, and behind it the values and the default.
    fn key(&mut self, key: &KeySpec, prefix: &str) {
        let default = match key.field.default_cell() {
            text if text.is_empty() || text.starts_with("required") => text,
            text => format!("default {text}"),
        };
        let values: Vec<String> = [key.field.cell(), default].into_iter().filter(|part| !part.is_empty()).collect();
        self.say(&format!("{} ({})", key.doc.trim().trim_end_matches('.'), values.join("; ")));
        let default = key.field.default_cell();
        let code = default.strip_prefix('`').and_then(|code| code.strip_suffix('`'));
        let value = code.filter(|code| !code.contains('`')).unwrap_or_default();
        self.text.push_str(&format!("#{prefix}{}={value}\n", key.name.to_ascii_uppercase()));
    }

    /// Adds the variables of a page's table: `| names | meaning |` below a heading.
    fn table(&mut self, title: &str, page: &str, heading: &str) {
        self.title(title);
        let part = page.split("\n## ").find(|part| part.starts_with(heading)).unwrap();
        for line in part.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [names, meaning] = cells[..] else { continue };
            self.say(meaning);
            let default = meaning.split_once("default `").and_then(|(_, after)| after.split('`').next());
            for name in names.trim_matches('`').split("`, `") {
                let is_number = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit());
                let is_secret = SECRETS.iter().any(|secret| name.ends_with(secret));
                let value = default.filter(|default| is_number(default) || !is_secret).unwrap_or_default();
                self.text.push_str(&format!("#{name}={value}\n"));
            }
        }
    }

    /// Adds a comment in lines of at most [`WIDTH`] characters, unless the comment above is the same.
    fn say(&mut self, comment: &str) {
        if self.comment == comment {
            return;
        }
        comment.clone_into(&mut self.comment);
        let mut line = "#".to_owned();
        for word in plain(comment).split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text.push_str(&line);
                self.text.push('\n');
                line = "#  ".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

/// Returns Markdown without links and backticks.
fn plain(meaning: &str) -> String {
    let mut plain = String::new();
    let mut rest = meaning;
    while let Some((before, after)) = rest.split_once("](") {
        let (title, after) = (before.rfind('['), after.split_once(')'));
        let (Some(title), Some((_, after))) = (title, after) else { break };
        plain.push_str(&before[..title]);
        plain.push_str(&before[title + 1..]);
        rest = after;
    }
    plain.push_str(rest);
    plain.replace('`', "")
}

#[test]
fn markdown_becomes_plain_text() {
    assert_eq!(plain("one [of `two`](x.md#y), as [three](z)"), "one of two, as three");
    assert_eq!(plain("an array[0](a); `b`"), "an array0; b");
}

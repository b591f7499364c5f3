//! `.env.example`: every setting as a variable, generated from the pages that describe the settings.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

const FILE: &str = ".env.example";
const SETTINGS: &str = "docs/configuration.md";
const DEPLOYMENT: &str = "docs/deployment.md";
const BEGIN: &str = "\
# Every setting of Tollgate as a variable, with its default. Generated from docs/configuration.md and docs/deployment.md by
# `cargo run -p xtask -- env-example`; a test fails when it is out of date.
#
# Copy it to .env, uncomment the settings that you change, and keep that file secret. Flags take precedence over environment
# variables, then .env, then the configuration file. Lists and mappings are YAML: [{name: a}, {name: b}].
";
/// The longest line of a comment.
const WIDTH: usize = 120;
/// Endings of the names of secrets, which have no value in the file. `KEY` alone is not one: `TOLLGATE_PRICES_KEY` is a public key.
const SECRETS: [&str; 5] = ["PASSWORD", "TOKEN", "SECRET", "API_KEY", "ENCRYPTION_KEY"];
/// Keys of a list or a section that may hold a single value instead.
const SINGLE_TOO: [&str; 3] = ["listen", "on_hangup", "routes[].path"];

/// Writes the file `.env.example`.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    std::fs::write(root.join(FILE), text(root)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The content of `.env.example`.
fn text(root: &Path) -> anyhow::Result<String> {
    let read = |page: &str| std::fs::read_to_string(root.join(page)).with_context(|| format!("cannot read {page}"));
    let (settings, deployment) = (read(SETTINGS)?, read(DEPLOYMENT)?);
    let sections = sections(&settings);
    let mut text = BEGIN.to_owned();
    let mut lists =
        sections.iter().filter_map(|section| section_of(section.heading)).map(str::to_owned).collect::<Vec<_>>();
    for PageSection { heading, rows } in &sections {
        let Some(section) = section_of(heading) else { continue };
        lists.extend(rows.iter().flat_map(|row| &row.names).map(|name| path(section, name)));
    }
    let is_list = |key: &str| lists.iter().any(|path| path.starts_with(&format!("{key}[]")));
    for PageSection { heading, rows } in &sections {
        // Tables that are not about keys have other headings.
        let Some(section) = section_of(heading) else { continue };
        title(&mut text, if section.is_empty() { "The process" } else { section });
        for row in rows {
            comment(&mut text, &row.comment());
            for name in &row.names {
                let key = path(section, name);
                let shows_default = !is_list(&key) || SINGLE_TOO.contains(&key.as_str());
                assign(&mut text, &variable(&key), row.default_value().filter(|_| shows_default));
            }
        }
    }
    table(&mut text, &sections, "The environment", "Variables that are not settings");
    table(&mut text, &self::sections(&deployment), "The compose file", "The compose file in infrastructure/docker");
    Ok(text)
}

/// A heading of the second level, and the rows of its tables.
struct PageSection<'a> {
    heading: &'a str,
    rows: Vec<SettingRow<'a>>,
}

/// A row of a table: `| names | value | default | meaning |` of a key, or `| names | meaning |` of a variable.
struct SettingRow<'a> {
    names: Vec<&'a str>,
    value: &'a str,
    default: &'a str,
    meaning: &'a str,
}

impl<'a> SettingRow<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let names = |cell: &'a str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.split("`, `").collect());
        match *cells {
            [cell, meaning] => Some(Self { names: names(cell)?, value: "", default: "", meaning }),
            [cell, value, default, meaning] => Some(Self { names: names(cell)?, value, default, meaning }),
            _ => None,
        }
    }

    /// What the comment says: the meaning, and behind it the values and the default.
    fn comment(&self) -> String {
        let default = match self.default {
            "" => String::new(),
            required if required.starts_with("required") => required.to_owned(),
            default => format!("default {default}"),
        };
        let values = [self.value, &default].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        match (self.meaning, values.as_str()) {
            ("", values) => values.to_owned(),
            (meaning, "") => meaning.to_owned(),
            (meaning, values) => format!("{meaning} ({values})"),
        }
    }

    /// The default where it is one value: its cell is code and nothing else, or the meaning of a variable says it.
    fn default_value(&self) -> Option<&'a str> {
        let code = self.default.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
        code.filter(|code| !code.contains('`')).or_else(|| default(self.meaning))
    }
}

fn sections(page: &str) -> Vec<PageSection<'_>> {
    let parts = page.split("\n## ").skip(1);
    parts
        .map(|part| {
            let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
            PageSection { heading, rows: body.lines().filter_map(SettingRow::read).collect() }
        })
        .collect()
}

/// The configuration section that a heading names: empty for the whole file.
fn section_of(heading: &str) -> Option<&str> {
    if heading == "The whole file" {
        return Some("");
    }
    heading.strip_prefix('`')?.strip_suffix('`')
}

/// The path of a key that a row names.
fn path(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// The variable of a key: `plans[].name` is `TOLLGATE_PLANS__0__NAME`.
fn variable(key: &str) -> String {
    format!("TOLLGATE_{}", key.replace("[]", ".0").replace('.', "__")).to_ascii_uppercase()
}

/// The default that a meaning gives after the word `default`.
fn default(meaning: &str) -> Option<&str> {
    let (_, after) = meaning.split_once("default `")?;
    Some(after.split_once('`')?.0)
}

fn title(text: &mut String, title: &str) {
    let line = format!("\n# ---- {title} ");
    text.push_str(&line);
    text.push_str(&"-".repeat(WIDTH.saturating_sub(line.chars().count())));
    text.push('\n');
}

fn table(text: &mut String, sections: &[PageSection<'_>], heading: &str, shown: &str) {
    title(text, shown);
    for row in sections.iter().filter(|section| section.heading == heading).flat_map(|section| &section.rows) {
        comment(text, &row.comment());
        for name in &row.names {
            assign(text, name, row.default_value());
        }
    }
}

/// What a row says, in lines of at most [`WIDTH`] characters.
fn comment(text: &mut String, comment: &str) {
    let mut line = "#".to_owned();
    for word in plain(comment).split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = "#  ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// The variable, with its default unless that may be a secret. A number never is.
fn assign(text: &mut String, name: &str, default: Option<&str>) {
    let is_number = |default: &str| default.bytes().all(|byte| byte.is_ascii_digit());
    let default = default.filter(|default| is_number(default) || !SECRETS.iter().any(|secret| name.ends_with(secret)));
    text.push_str(&format!("#{name}={}\n", default.unwrap_or_default()));
}

/// The Markdown without links and backticks.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_matches_the_pages() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let there = std::fs::read_to_string(root.join(FILE)).unwrap_or_default();
        assert!(there == text(root).unwrap(), "{FILE} is out of date: run `cargo run -p xtask -- env-example`");
    }

    #[test]
    fn rows_become_variables_with_their_defaults() {
        fn check(line: &str, comment: &str, default: Option<&str>) {
            let row = SettingRow::read(line).unwrap();
            assert_eq!((plain(&row.comment()).as_str(), row.default_value()), (comment, default), "{line}");
        }
        let link = "| `a` | integer, may be `0` | `7` | one [of `two`](x.md#y), as [three](z) |";
        check(link, "one of two, as three (integer, may be 0; default 7)", Some("7"));
        check("| `a`, `b` | list | required | |", "list; required", None);
        check("| `a` | list | `x` and `y` | c |", "c (list; default x and y)", None);
        check("| `A` | an array[0](a); default `1` |", "an array0; default 1", Some("1"));
        assert!(SettingRow::read("| key | value | default | meaning |").is_none());
        assert_eq!(SettingRow::read("| `a`, `b` | c |").unwrap().names, ["a", "b"]);
        assert_eq!(variable("models[].targets[].model"), "TOLLGATE_MODELS__0__TARGETS__0__MODEL");
    }

    #[test]
    fn secrets_have_no_value() {
        let mut text = String::new();
        assign(&mut text, "A_TOKEN", Some("x"));
        assign(&mut text, "CALLS_PER_KEY", Some("7"));
        assign(&mut text, "A", Some("x"));
        assert_eq!(text, "#A_TOKEN=\n#CALLS_PER_KEY=7\n#A=x\n");
    }
}

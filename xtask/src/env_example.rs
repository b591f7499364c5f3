//! `.env.example`: every setting as a variable, generated from the pages that describe the settings.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

const FILE: &str = ".env.example";
const SETTINGS: &str = "docs/configuration.md";
const DEPLOYMENT: &str = "docs/deployment.md";
const BEGIN: &str = "\
# Every setting of Tollgate as a variable, with its default. Generated from docs/configuration.md and docs/deployment.md
# by `cargo run -p xtask -- env-example`; a test fails if it is out of date.
#
# Copy it to .env, remove the `#` before each variable that you set, and protect that file: it contains secrets. Flags
# override the environment, the environment overrides .env, and .env overrides the configuration file. Lists and mappings
# are YAML: [{name: a}, {name: b}].
";
/// The longest line of a comment.
const WIDTH: usize = 120;
/// Name endings of secrets, which get no default value in the file.
const SECRETS: [&str; 4] = ["PASSWORD", "TOKEN", "SECRET", "KEY"];
/// Keys of a list or a section that may also contain a single value.
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
    for PageSection { heading, rows } in &sections {
        // Tables under other headings do not describe keys.
        let Some(section) = section_of(heading) else { continue };
        let keys: Vec<&SettingRow> = rows.iter().filter(|row| !is_section(&sections, section, row.name)).collect();
        if keys.is_empty() {
            continue;
        }
        title(&mut text, if section.is_empty() { "The process" } else { section });
        for row in keys {
            let key = if section.is_empty() { row.name.to_owned() } else { format!("{section}.{}", row.name) };
            let is_list = sections.iter().any(|other| section_of(other.heading) == Some(&format!("{key}[]")));
            let shows_default = !is_list || SINGLE_TOO.contains(&key.as_str());
            entry(&mut text, &variable(&key), row.meaning, default(row.meaning).filter(|_| shows_default));
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

/// A table row of the form `| `name` | meaning |`.
struct SettingRow<'a> {
    name: &'a str,
    meaning: &'a str,
}

fn sections(page: &str) -> Vec<PageSection<'_>> {
    let parts = page.split("\n## ").skip(1);
    parts
        .map(|part| {
            let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
            let rows = body.lines().filter_map(|line| {
                let (name, meaning) = line.strip_prefix("| `")?.split_once("` | ")?;
                Some(SettingRow { name, meaning: meaning.strip_suffix(" |")? })
            });
            PageSection { heading, rows: rows.collect() }
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

/// Whether the page has a section for the key and the key is not a list.
fn is_section(sections: &[PageSection<'_>], section: &str, key: &str) -> bool {
    let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    !SINGLE_TOO.contains(&path.as_str()) && sections.iter().any(|other| section_of(other.heading) == Some(&path))
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
        entry(text, row.name, row.meaning, default(row.meaning));
    }
}

/// Appends the meaning as a comment, and the variable after a `#`.
fn entry(text: &mut String, name: &str, meaning: &str, default: Option<&str>) {
    let mut line = "#".to_owned();
    for word in plain(meaning).split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = "#  ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    let default = default.filter(|_| !SECRETS.iter().any(|secret| name.ends_with(secret)));
    text.push_str(&format!("{line}\n#{name}={}\n", default.unwrap_or_default()));
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
        let mut text = String::new();
        entry(&mut text, "A", "one [of `two`](x.md#y), as [three](z); default `7`, may be `0`", Some("7"));
        assert_eq!(text, "# one of two, as three; default 7, may be 0\n#A=7\n");
        assert_eq!(default("Default `x`"), None);
        assert_eq!(default("an array[0](a); default `1`"), Some("1"));
        assert_eq!(variable("models[].targets[].model"), "TOLLGATE_MODELS__0__TARGETS__0__MODEL");
    }
}

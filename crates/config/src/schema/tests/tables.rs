//! The lists of keys in `docs/configuration.md`: each is between a comment that names its section and a final comment.

use settings::section::section_input::SectionInput;
use settings::spec::{KeySpec, SectionSpec, ValueShape};

use super::super::RootInput;

const BEGIN: &str = "<!-- keys: ";
const END: &str = "<!-- end of keys -->";
/// The name of the file's own keys in a comment.
const FILE: &str = "file";

/// Returns the page with new tables.
pub(super) fn page(old: &str) -> String {
    let mut page = String::new();
    let mut rest = old;
    let mut tables = 0;
    let headings: Vec<&str> = old.split(BEGIN).skip(1).filter_map(|part| part.split(" -->").next()).collect();
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (section, after) = after.split_once(" -->\n").unwrap();
        let (_, behind) = after.split_once(END).unwrap();
        page.push_str(&format!("{before}{BEGIN}{section} -->\n{}{END}", table(section, &headings)));
        rest = behind;
        tables += 1;
    }
    assert!(tables > 15, "{tables} tables");
    page.push_str(rest);
    page
}

/// One or several keys with one meaning.
#[derive(PartialEq)]
struct KeyRow {
    names: Vec<String>,
    value: String,
    default: String,
    meaning: String,
}

fn table(section: &str, headings: &[&str]) -> String {
    let path = if section == FILE { "" } else { section };
    let mut rows = rows(find(path), path, "", headings);
    if let Some((parent, _)) = path.rsplit_once('.').filter(|(parent, _)| headings.contains(parent)) {
        // The text above such a table refers to the keys of the parent.
        let of_parent = self::rows(find(parent), parent, "", headings);
        rows.retain(|row| !of_parent.contains(row));
    }
    assert!(!rows.is_empty(), "{section} has no keys");
    let mut merged: Vec<KeyRow> = Vec::new();
    for row in rows {
        match merged.last_mut() {
            Some(last) if (&last.value, &last.default, &last.meaning) == (&row.value, &row.default, &row.meaning) => {
                last.names.extend(row.names);
            }
            _ => merged.push(row),
        }
    }
    let rows = merged.iter().map(|row| {
        let KeyRow { names, value, default, meaning } = row;
        let default = if default.is_empty() { String::new() } else { format!("; {default}") };
        format!("- {} ({value}{default}): {meaning}\n", names.join(", "))
    });
    rows.collect()
}

/// Returns the section at a path such as `prices[].tiers[]`.
fn find(path: &str) -> &'static SectionSpec {
    let parts = path.split('.').filter(|part| !part.is_empty());
    parts.fold(RootInput::SPEC, |spec, part| {
        let key = spec.key(part.trim_end_matches("[]")).unwrap_or_else(|| panic!("{path} is not a section"));
        match key.field.shape() {
            ValueShape::Section(spec) | ValueShape::Sections(spec) => spec,
            ValueShape::Single | ValueShape::List | ValueShape::Map | ValueShape::Later => {
                panic!("{path} is not a section")
            }
        }
    })
}

/// Returns the rows of a section, and of those below it that have no table.
fn rows(spec: &'static SectionSpec, path: &str, prefix: &str, headings: &[&str]) -> Vec<KeyRow> {
    // The sections of the file need no row, as each has a heading.
    let is_below = !path.is_empty();
    let mut all = Vec::new();
    for key in spec.keys() {
        let path = joined(path, key.name);
        let name = format!("{prefix}{}", key.name);
        let (nested, suffix) = match key.field.shape() {
            ValueShape::Section(nested) => (Some(nested), ""),
            ValueShape::Sections(nested) => (Some(nested), "[]"),
            ValueShape::Single | ValueShape::List | ValueShape::Map | ValueShape::Later => (None, ""),
        };
        let own = format!("{path}{suffix}");
        let same = |heading: &&&str| nested.is_some_and(|nested| covers(find_or_root(heading), nested));
        let heading = headings.iter().find(|heading| **heading == own).or_else(|| headings.iter().find(same));
        let is_section = matches!(key.field.shape(), ValueShape::Section(_)) && !key.field.takes_single();
        let is_row = !is_section || heading.is_some() && is_below;
        if is_row {
            let mark = if RootInput::SPEC.needs_restart(&path.replace("[]", "")) { "†" } else { "" };
            all.push(row(key, format!("`{name}`{mark}"), heading.copied()));
        }
        if let Some(nested) = nested
            && let None = heading
        {
            all.extend(rows(nested, &own, &format!("{name}{suffix}."), headings));
        }
    }
    all
}

/// Whether the table of `spec` has all keys of `nested`.
fn covers(spec: &SectionSpec, nested: &SectionSpec) -> bool {
    let texts = |key: &KeySpec| (key.doc, key.field.cell(), key.field.default_cell());
    let is_in = |key: &KeySpec| spec.key(key.name).is_some_and(|same| texts(same) == texts(key));
    std::ptr::eq(spec, nested) || nested.keys().len() > 1 && nested.keys().into_iter().all(is_in)
}

fn find_or_root(heading: &str) -> &'static SectionSpec {
    if heading == FILE { RootInput::SPEC } else { find(heading) }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn row(key: &KeySpec, name: String, heading: Option<&str>) -> KeyRow {
    let value = with_dashes(&without_bounds(&key.field.cell()));
    let value = match heading {
        // GitHub makes the anchor of a heading from its letters.
        Some(heading) => {
            let anchor: String = heading.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let linked = |word: &str| value.replacen(word, &format!("[{word}](#{anchor})"), 1);
            if value.contains("section") { linked("section") } else { linked("list") }
        }
        None => value,
    };
    // A key without a default is unset, which the page says once.
    let default = Some(key.field.default_cell()).filter(|default| default != "none").unwrap_or_default();
    KeyRow { names: vec![name], value, default, meaning: key.doc.trim().to_owned() }
}

/// Returns the values with each range as `1–256`.
fn with_dashes(values: &str) -> String {
    let mut parts = values.split(" to ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_bound = part.starts_with(|first: char| first == '`' || first.is_ascii_digit());
        text.push_str(if is_bound { "–" } else { " to " });
        text.push_str(part);
    }
    text
}

/// Returns the values without the maximum length of lists, mappings and paths, which `tollgate check` reports.
fn without_bounds(values: &str) -> String {
    let (first, rest) = values.split_once(" of at most ").unwrap_or((values, ""));
    let bounded = rest.split(" of at most ").filter(|part| !part.is_empty()).map(|part| {
        let number = part.split([' ', ':']).next().unwrap_or_default().trim_end_matches(',');
        let after = part.strip_prefix(number).unwrap_or(part);
        [" bytes", " KiB"].iter().find_map(|unit| after.strip_prefix(unit)).unwrap_or(after)
    });
    std::iter::once(first).chain(bounded).collect()
}

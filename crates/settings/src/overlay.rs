//! Settings from variables: `TOLLGATE_` and the path of a key with `__` between its parts. They are merged into the
//! file's tree before it is compiled, so that an invalid variable is reported like an invalid line of the file. A list
//! is set as a whole: an index would set another entry after the file is changed.

mod opentelemetry;

use crate::environment::Environment;
use crate::error::{At, Code, Problem};
use crate::near::near;
use crate::note::Note;
use crate::schema::{RootInput, SectionInput};
use crate::section::Reader;
use crate::spec::{SectionSpec, Shape};
use crate::substitute::substitute;
use crate::yaml::{self, Key, Kind, Node};

const PREFIX: &str = "TOLLGATE_";
/// Variables with other names, their keys, and the unit that their numbers lack.
const NAMED: [(&str, &[&str], &str); 9] = [
    ("ADDR", &["control", "listen"], ""),
    ("DATABASE_URL", &["store", "url"], ""),
    ("EXAMPLES_DIR", &["examples_dir"], ""),
    ("MAX_CONNECTIONS", &["control", "connections", "max"], ""),
    ("MIDTRANS_CLIENT_KEY", &["midtrans", "client_key"], ""),
    ("MIDTRANS_SERVER_KEY", &["midtrans", "server_key"], ""),
    ("MOCK", &["mock"], ""),
    ("REDIS_URL", &["redis"], ""),
    ("TIMEOUT_SECONDS", &["control", "timeout"], "s"),
];
/// Names that begin like settings but have another use: `TOLLGATE_KEY` is a client's API key,
/// `TOLLGATE_TEST_*` are parameters of tests.
const OTHERS: [&str; 2] = ["KEY", "TEST_*"];
/// Maximum depth of a key, as in YAML.
const DEPTH_MAX: usize = 16;
/// Maximum number of unknown variables, and of those of entries, that are reported.
const UNKNOWN_MAX: usize = 20;

/// A key that a variable sets.
struct VariableSetting<'a> {
    /// The names of the key and of the mappings that contain it, the outermost first.
    path: Vec<String>,
    shape: Shape,
    /// Whether the setting may be a single value.
    single_too: bool,
    variable: &'a str,
    value: Option<&'a str>,
    /// The unit that follows the value.
    unit: &'static str,
}

/// The variables whose names begin like those of settings.
#[derive(Default)]
struct Overlay<'a> {
    /// Settings that are not empty.
    settings: Vec<VariableSetting<'a>>,
    /// Variables that name an entry of a list by its number, with the path of the list.
    entries: Vec<(&'a str, Vec<String>)>,
    /// Variables that match no setting.
    unknown: Vec<&'a str>,
}

/// What the rest of a variable's name refers to.
enum Named {
    /// A key, the structure of its value, and whether that may be a single value.
    Key { path: Vec<String>, shape: Shape, single_too: bool },
    /// A part of an entry of this list, which no variable can set.
    EntryOf { list: Vec<String> },
}

/// Merges the variables into `root`. Reports their problems and adds notes.
pub(crate) fn lay(reader: &Reader<'_>, root: &mut Node, environment: &Environment, notes: &mut Vec<Note>) {
    if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
        return;
    }
    let Overlay { mut settings, entries, .. } = Overlay::of(environment);
    for (name, list) in entries.into_iter().take(UNKNOWN_MAX) {
        let Some(variable) = environment.variable(name) else { continue };
        let message = format!("a variable cannot set a part of the list `{}`", shown(&list));
        let expected = format!(
            "the whole list as YAML in {PREFIX}{}, or `${{NAME}}` in the configuration file",
            list.join("__").to_ascii_uppercase()
        );
        reader.report(Problem::new(Code::Environment, reader.at_variable(variable, true), message).expected(expected));
    }
    // A whole mapping comes before its keys.
    settings.sort_by(|a, b| a.path.cmp(&b.path));
    let mut last: Option<(&VariableSetting<'_>, At)> = None;
    for setting in &settings {
        let Some(variable) = environment.variable(setting.variable) else {
            continue;
        };
        let single = is_single(setting);
        let at = reader.at_variable(variable, single);
        if let Some((first, first_at)) = last.filter(|(first, _)| first.path == setting.path) {
            if (first.value, first.unit) != (setting.value, setting.unit) {
                let message = format!("two environment variables set `{}` to different values", shown(&setting.path));
                let problem = Problem::new(Code::Duplicate, at, message).expected("one of them");
                reader.report(problem.first(Some(first_at)));
            }
            continue;
        }
        last = Some((setting, at));
        let Some(value) = value(reader, setting, at, single) else {
            continue;
        };
        // A text of the API has no note, and its references are not checked yet.
        if shown(&setting.path) == "store.url" && !reader.is_of_api() && overrules(reader, root, setting) {
            notes.push(Note::StoreFromEnvironment { variable: setting.variable.to_owned() });
        }
        set(root, &setting.path, at, value);
    }
    for (path, value) in opentelemetry::settings(reader, root, environment) {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        set(root, &path, value.at, value);
    }
}

/// Returns notes for variables that are named like settings but are neither settings nor named by a value. Call it
/// after all values were read.
pub(crate) fn unknown(reader: &Reader<'_>, environment: &Environment) -> impl Iterator<Item = Note> {
    let unknown = Overlay::of(environment).unknown.into_iter().filter(|name| !reader.names(name)).take(UNKNOWN_MAX);
    unknown.map(|name| Note::UnknownVariable { near: meant(name), variable: name.to_owned() })
}

impl<'a> Overlay<'a> {
    fn of(environment: &'a Environment) -> Self {
        let mut overlay = Self::default();
        for (variable, value) in environment.beginning(PREFIX).filter(|(_, value)| *value != Some("")) {
            let name = variable.strip_prefix(PREFIX).unwrap_or_default();
            match resolve(name) {
                Some(Named::Key { path, shape, single_too }) => {
                    overlay.settings.push(VariableSetting { path, shape, single_too, variable, value, unit: "" });
                }
                Some(Named::EntryOf { list }) => overlay.entries.push((variable, list)),
                None if is_anothers(name) => {}
                None => overlay.unknown.push(variable),
            }
        }
        for (variable, keys, unit) in NAMED {
            let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            let path = keys.iter().map(|key| (*key).to_owned()).collect();
            let (shape, single_too) = (Shape::Single, true);
            overlay.settings.push(VariableSetting { path, shape, single_too, variable, value: Some(value), unit });
        }
        overlay
    }
}

/// Returns what the rest of a variable's name refers to; `None` if it refers to no key.
fn resolve(name: &str) -> Option<Named> {
    let mut path = Vec::new();
    let mut shape = Shape::Section(RootInput::SPEC);
    let mut single_too = false;
    for part in name.split("__") {
        if path.len() == DEPTH_MAX || part.is_empty() || part.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let key = part.to_ascii_lowercase();
        shape = match shape {
            Shape::Single => return None,
            Shape::Section(spec) => {
                let known = spec.key(&key);
                single_too = known.is_none_or(|known| known.field.takes_single());
                let later = || spec.is_later(&key).then_some(Shape::Later);
                known.map(|known| known.field.shape()).or_else(later)?
            }
            Shape::Sections(_) | Shape::List => {
                let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
                return is_number.then_some(Named::EntryOf { list: path });
            }
            Shape::Map => Shape::Single,
            Shape::Later => Shape::Later,
        };
        path.push(key);
    }
    let single_too = single_too || matches!(shape, Shape::Single | Shape::Later);
    Some(Named::Key { path, shape, single_too })
}

/// Whether the variable has another owner: for a service of Tollgate's name Kubernetes sets `TOLLGATE_PORT` and similar
/// names.
fn is_anothers(name: &str) -> bool {
    let others = OTHERS.iter().any(|other| match other.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *other,
    });
    let is_service = |word: &str| {
        let (before, behind) = name.split_once(word)?;
        let begins = before.is_empty() || before.ends_with('_') && !before.ends_with("__");
        Some(begins && (behind.is_empty() || behind.starts_with('_') && !behind.starts_with("__")))
    };
    others || ["SERVICE_HOST", "PORT"].into_iter().any(|word| is_service(word) == Some(true))
}

fn is_single(setting: &VariableSetting<'_>) -> bool {
    let looks_nested = setting.value.is_some_and(|value| value.trim_start().starts_with(['{', '[']));
    match setting.shape {
        Shape::Single | Shape::Later => true,
        Shape::Section(_) | Shape::Sections(_) | Shape::List | Shape::Map => setting.single_too && !looks_nested,
    }
}

/// Returns the value of the variable, as a tree.
fn value(reader: &Reader<'_>, setting: &VariableSetting<'_>, at: At, single: bool) -> Option<Node> {
    let key = shown(&setting.path);
    let Some(text) = setting.value else {
        reader.report(Problem::new(Code::Environment, at, format!("the value for `{key}` is not UTF-8")));
        return None;
    };
    if single {
        return Some(Node { at, kind: Kind::Scalar(format!("{text}{}", setting.unit)) });
    }
    let expected = match setting.shape {
        Shape::Sections(_) => "a list: [{…}, {…}]",
        Shape::List => "a list: [a, b]",
        Shape::Section(_) | Shape::Map | Shape::Single | Shape::Later => "a mapping: {a: b}",
    };
    match yaml::parse(text) {
        Ok(node) => Some(node.moved(at)),
        Err(broken) => {
            // The parser's message may repeat a word of the value, which may be secret.
            let behind = match broken.at.filter(|place| place.line == 1) {
                Some(place) => format!(" from its character {} on", place.column),
                None => String::new(),
            };
            let message = format!("the value for `{key}` is not YAML{behind}");
            reader.report(Problem::new(Code::Yaml, at, message).expected(expected));
            None
        }
    }
}

/// Whether the file sets this setting to a value other than the variable's.
fn overrules(reader: &Reader<'_>, root: &Node, setting: &VariableSetting<'_>) -> bool {
    let in_file = setting.path.iter().try_fold(root, |node, name| {
        let Kind::Map(entries) = &node.kind else { return None };
        entries.iter().find(|(key, _)| key.name == *name).map(|(_, value)| value)
    });
    let Some(Node { kind: Kind::Scalar(text), .. }) = in_file else {
        return false;
    };
    let env = |name: &str| reader.environment().get(name).map(str::to_owned);
    match substitute(text, &env, reader.folder()) {
        Ok(there) => !there.text.is_empty() && Some(there.text.as_str()) != setting.value,
        Err(_) => true,
    }
}

/// Stores `value` at `path`, and creates missing mappings.
fn set(node: &mut Node, path: &[String], at: At, value: Node) {
    let Some((name, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    if !matches!(node.kind, Kind::Map(_)) {
        *node = Node { at: if matches!(node.kind, Kind::Null) { node.at } else { at }, kind: Kind::Map(Vec::new()) };
    }
    let Kind::Map(entries) = &mut node.kind else { return };
    let found = entries.iter().position(|(key, _)| key.name == *name).unwrap_or_else(|| {
        entries.push((Key { at, name: name.clone() }, Node { at, kind: Kind::Null }));
        entries.len() - 1
    });
    if let Some((_, entry)) = entries.get_mut(found) {
        set(entry, rest, at, value);
    }
}

/// Returns the path as it is shown: `store.url`.
fn shown(path: &[String]) -> String {
    path.join(".")
}

/// Returns the setting that an unknown variable was probably meant for.
fn meant(variable: &str) -> Option<String> {
    let asked = variable.strip_prefix(PREFIX)?;
    let names = names(RootInput::SPEC, "");
    near(asked, names.iter().map(String::as_str)).map(|name| format!("{PREFIX}{name}"))
}

/// Returns the variable names of the keys of a section and of the mappings in it, without the prefix. Entries of lists
/// have none.
fn names(spec: &'static SectionSpec, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for key in spec.keys() {
        let name = format!("{path}{}", key.name.to_ascii_uppercase());
        let nested = match key.field.shape() {
            Shape::Section(spec) => names(spec, &format!("{name}__")),
            Shape::Sections(_) | Shape::Single | Shape::List | Shape::Map | Shape::Later => Vec::new(),
        };
        all.push(name);
        all.extend(nested);
    }
    all
}

#[cfg(test)]
mod tests;

//! Settings from variables: `TOLLGATE_` and the path of a key with `__` between its parts. They are merged into the
//! file's tree before it is compiled, so that an invalid variable is reported like an invalid line of the file.

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
/// Variables with other names, and their keys.
const NAMED: [(&str, &[&str]); 2] = [("DATABASE_URL", &["store", "url"]), ("REDIS_URL", &["redis"])];
/// Names that begin like settings but have another use: `TOLLGATE_KEY` is a client's API key,
/// `TOLLGATE_TEST_*` are parameters of tests.
const OTHERS: [&str; 2] = ["KEY", "TEST_*"];
/// Maximum number of digits of an index in a name.
const DIGITS_MAX: usize = 6;
/// Maximum depth of a key, as in YAML.
const STEPS_MAX: usize = 16;
/// Maximum number of unknown variables that are reported.
const UNKNOWN_MAX: usize = 20;

/// One part of a key's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum KeyPathStep {
    Key(String),
    Index(usize),
}

/// A key that a variable sets.
struct VariableSetting<'a> {
    steps: Vec<KeyPathStep>,
    shape: Shape,
    /// Whether the setting may be a single value.
    single_too: bool,
    variable: &'a str,
    value: Option<&'a str>,
}

/// Merges the variables into `root`. Reports their problems and adds notes.
pub(crate) fn lay(reader: &Reader<'_>, root: &mut Node, environment: &Environment, notes: &mut Vec<Note>) {
    if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
        return;
    }
    let (mut settings, _) = settings(environment);
    // A whole list comes before its entries, and entries come in their order.
    settings.sort_by(|a, b| a.steps.cmp(&b.steps));
    let mut last: Option<(&VariableSetting<'_>, At)> = None;
    for setting in &settings {
        let Some(variable) = environment.variable(setting.variable) else {
            continue;
        };
        let single = is_single(setting);
        let at = reader.at_variable(variable, single);
        if let Some((first, first_at)) = last.filter(|(first, _)| first.steps == setting.steps) {
            if first.value != setting.value {
                let message = format!("two environment variables set `{}` to different values", shown(&setting.steps));
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
        if shown(&setting.steps) == "store.url" && !reader.is_of_api() && overrules(reader, root, setting) {
            notes.push(Note::StoreFromEnvironment { variable: setting.variable.to_owned() });
        }
        if let Err(len) = set(root, &setting.steps, at, value) {
            let message = format!("the index of `{}` is too large: the list has {len} entries", shown(&setting.steps));
            reader.report(Problem::new(Code::BadValue, at, message).expected(format!("an index of at most {len}")));
        }
    }
}

/// Returns notes for variables that are named like settings but are neither settings nor named by a value. Call it
/// after all values were read.
pub(crate) fn unknown(reader: &Reader<'_>, environment: &Environment) -> impl Iterator<Item = Note> {
    let (_, unknown) = settings(environment);
    let unknown = unknown.into_iter().filter(|name| !reader.names(name)).take(UNKNOWN_MAX);
    unknown.map(|name| Note::UnknownVariable { near: meant(name), variable: name.to_owned() })
}

/// Returns settings that are set and not empty, and variables that match no setting.
fn settings(environment: &Environment) -> (Vec<VariableSetting<'_>>, Vec<&str>) {
    let mut settings = Vec::new();
    let mut unknown = Vec::new();
    for (variable, value) in environment.beginning(PREFIX).filter(|(_, value)| *value != Some("")) {
        let name = variable.strip_prefix(PREFIX).unwrap_or_default();
        match resolve(name) {
            Some((steps, shape, single_too)) => {
                settings.push(VariableSetting { steps, shape, single_too, variable, value });
            }
            None if is_anothers(name) => {}
            None => unknown.push(variable),
        }
    }
    for (variable, keys) in NAMED {
        let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let steps = keys.iter().map(|key| KeyPathStep::Key((*key).to_owned())).collect();
        settings.push(VariableSetting { steps, shape: Shape::Single, single_too: true, variable, value: Some(value) });
    }
    (settings, unknown)
}

/// Returns the key that the rest of a variable's name refers to, the structure of its value, and whether that may be a
/// single value.
fn resolve(name: &str) -> Option<(Vec<KeyPathStep>, Shape, bool)> {
    let mut steps = Vec::new();
    let mut shape = Shape::Section(RootInput::SPEC);
    let mut single_too = false;
    for part in name.split("__") {
        if steps.len() == STEPS_MAX || part.is_empty() || part.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let index = || (part.len() <= DIGITS_MAX).then(|| part.parse().ok()).flatten();
        let key = part.to_ascii_lowercase();
        let (step, next) = match shape {
            Shape::Single => return None,
            Shape::Section(spec) => {
                let known = spec.key(&key);
                single_too = known.is_none_or(|known| known.field.takes_single());
                let later = || spec.is_later(&key).then_some(Shape::Later);
                let next = known.map(|known| known.field.shape()).or_else(later)?;
                (KeyPathStep::Key(key), next)
            }
            Shape::Sections(spec) => {
                single_too = false;
                (KeyPathStep::Index(index()?), Shape::Section(spec))
            }
            Shape::List => (KeyPathStep::Index(index()?), Shape::Single),
            Shape::Map => (KeyPathStep::Key(key), Shape::Single),
            Shape::Later => (index().map_or(KeyPathStep::Key(key), KeyPathStep::Index), Shape::Later),
        };
        steps.push(step);
        shape = next;
    }
    let single_too = single_too || matches!(shape, Shape::Single | Shape::Later);
    Some((steps, shape, single_too))
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
    let key = shown(&setting.steps);
    let Some(text) = setting.value else {
        reader.report(Problem::new(Code::Environment, at, format!("the value for `{key}` is not UTF-8")));
        return None;
    };
    if single {
        return Some(Node { at, kind: Kind::Scalar(text.to_owned()) });
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
    let in_file = setting.steps.iter().try_fold(root, |node, step| match (&node.kind, step) {
        (Kind::Map(entries), KeyPathStep::Key(name)) => {
            entries.iter().find(|(key, _)| key.name == *name).map(|(_, value)| value)
        }
        _ => None,
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

/// Stores `value` at `steps` and creates missing mappings and lists. If an
/// index is beyond the end of a list, `Err` is the length of that list.
fn set(node: &mut Node, steps: &[KeyPathStep], at: At, value: Node) -> Result<(), usize> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    let empty = || Node { at, kind: Kind::Null };
    match step {
        KeyPathStep::Key(name) => {
            if !matches!(node.kind, Kind::Map(_)) {
                *node = Node {
                    at: if matches!(node.kind, Kind::Null) { node.at } else { at },
                    kind: Kind::Map(Vec::new()),
                };
            }
            let Kind::Map(entries) = &mut node.kind else { return Ok(()) };
            let found = entries.iter().position(|(key, _)| key.name == *name);
            let entry = match found.and_then(|found| entries.get_mut(found)) {
                Some((_, entry)) => entry,
                None => {
                    entries.push((Key { at, name: name.clone() }, empty()));
                    let Some((_, entry)) = entries.last_mut() else { return Ok(()) };
                    entry
                }
            };
            set(entry, rest, at, value)
        }
        KeyPathStep::Index(index) => {
            if !matches!(node.kind, Kind::List(_)) {
                *node = Node { at, kind: Kind::List(Vec::new()) };
            }
            let Kind::List(items) = &mut node.kind else { return Ok(()) };
            if *index > items.len() {
                return Err(items.len());
            }
            if *index == items.len() {
                items.push(empty());
            }
            items.get_mut(*index).map_or(Ok(()), |item| set(item, rest, at, value))
        }
    }
}

/// Returns the path as it is shown: `models[0].targets`.
fn shown(steps: &[KeyPathStep]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            KeyPathStep::Key(name) if path.is_empty() => path.push_str(name),
            KeyPathStep::Key(name) => path.extend([".", name]),
            KeyPathStep::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// Returns the setting that an unknown variable was probably meant for.
fn meant(variable: &str) -> Option<String> {
    let asked = variable.strip_prefix(PREFIX)?;
    let indices: Vec<&str> = asked.split('_').filter(|part| part.parse::<usize>().is_ok()).collect();
    let names = names(RootInput::SPEC, "", &indices);
    near(asked, names.iter().map(String::as_str)).map(|name| format!("{PREFIX}{name}"))
}

/// Returns the variable names of the keys of a section and of the sections in it, without the prefix. The `indices`
/// are the numbers of list entries; 0 for lists beyond them.
fn names(spec: &'static SectionSpec, path: &str, indices: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for key in spec.keys() {
        let name = format!("{path}{}", key.name.to_ascii_uppercase());
        let nested = match key.field.shape() {
            Shape::Section(spec) => names(spec, &format!("{name}__"), indices),
            Shape::Sections(spec) => {
                let (index, rest) = indices.split_first().map_or(("0", [].as_slice()), |(index, rest)| (*index, rest));
                names(spec, &format!("{name}__{index}__"), rest)
            }
            Shape::Single | Shape::List | Shape::Map | Shape::Later => Vec::new(),
        };
        all.push(name);
        all.extend(nested);
    }
    all
}

#[cfg(test)]
mod tests;

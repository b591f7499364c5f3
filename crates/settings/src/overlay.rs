//! Settings from variables: a prefix, such as `TOLLGATE_`, and the path of a key with `__` between its parts. They are
//! merged into the file's tree before it is read, so that an invalid variable is reported like an invalid line of the
//! file. A list is set as a whole: an index would set another entry after the file is changed.

use crate::environment::Environment;
use crate::error::{Code, Problem, ValueOrigin};
use crate::section::SettingsReader;
use crate::spec::{SectionSpec, ValueShape};
use crate::substitute::substitute;
use crate::suggestion::near::near;
use crate::yaml::{self, Kind, YamlNode};

/// Maximum depth of a key, as in YAML.
const DEPTH_MAX: usize = 16;
/// Maximum number of unknown variables, and of those of entries, that are reported.
pub const UNKNOWN_MAX: usize = 20;

/// The names of the variables that are settings.
#[derive(Debug)]
pub struct SettingNames {
    /// The beginning of each name that is derived from a key.
    pub prefix: &'static str,
    /// Variables with other names, their keys, and the unit that their numbers lack.
    pub named: &'static [(&'static str, &'static [&'static str], &'static str)],
    /// Names, without the prefix, that begin like settings but have another use. `TEST_*` is each name that begins with
    /// `TEST_`. A name without `*` is no setting, even if a section has it.
    pub others: &'static [&'static str],
    /// The keys of the file.
    pub root: &'static SectionSpec,
}

/// A variable that is named like a setting, although no key has this name.
#[derive(Debug)]
pub struct UnknownSetting {
    /// The name of the variable.
    pub variable: String,
    /// The variable that was probably meant.
    pub near: Option<String>,
}

/// A key that a variable sets.
struct VariableSetting<'a> {
    /// The names of the key and of the mappings that contain it, the outermost first.
    path: Vec<String>,
    shape: ValueShape,
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
    Key { path: Vec<String>, shape: ValueShape, single_too: bool },
    /// A part of an entry of this list, which no variable can set.
    EntryOf { list: Vec<String> },
}

impl SettingNames {
    /// Merges the variables into `root`, which is a mapping or empty, and reports their problems. Returns the keys of
    /// `watched` for which a variable overrules another value of the file, each with its variable.
    pub fn lay(
        &self,
        reader: &SettingsReader<'_>,
        root: &mut YamlNode,
        environment: &Environment,
        watched: &[&'static str],
    ) -> Vec<(&'static str, String)> {
        let Overlay { mut settings, entries, .. } = self.overlay(environment);
        for (name, list) in entries.into_iter().take(UNKNOWN_MAX) {
            let Some(variable) = environment.variable(name) else { continue };
            let message = format!("a variable cannot set a part of the list `{}`", shown(&list));
            let expected = format!(
                "the whole list as YAML in {}{}, or `${{NAME}}` in the configuration file",
                self.prefix,
                list.join("__").to_ascii_uppercase()
            );
            let problem = Problem::new(Code::Environment, reader.at_variable(variable, true), message);
            reader.report(problem.expected(expected));
        }
        // A whole mapping comes before its keys.
        settings.sort_by(|a, b| a.path.cmp(&b.path));
        let mut overruling = Vec::new();
        let mut last: Option<(&VariableSetting<'_>, ValueOrigin)> = None;
        for setting in &settings {
            let Some(variable) = environment.variable(setting.variable) else {
                continue;
            };
            let single = is_single(setting);
            let at = reader.at_variable(variable, single);
            if let Some((first, first_at)) = last.filter(|(first, _)| first.path == setting.path) {
                if (first.value, first.unit) != (setting.value, setting.unit) {
                    report_second(reader, setting, at, first_at);
                }
                continue;
            }
            last = Some((setting, at));
            let Some(value) = value(reader, setting, at, single) else {
                continue;
            };
            if let Some(key) = watched.iter().find(|key| shown(&setting.path) == **key)
                && overrules(reader, root, setting)
            {
                overruling.push((*key, setting.variable.to_owned()));
            }
            root.set(&setting.path, at, value);
        }
        overruling
    }

    /// Returns the variables that are named like settings but are neither settings nor named by a value. Call it after
    /// all values were read.
    pub fn unknown(
        &self,
        reader: &SettingsReader<'_>,
        environment: &Environment,
    ) -> impl Iterator<Item = UnknownSetting> {
        let unknown = self.overlay(environment).unknown.into_iter().filter(|name| !reader.names(name));
        unknown.take(UNKNOWN_MAX).map(|name| UnknownSetting { near: self.meant(name), variable: name.to_owned() })
    }

    /// Returns the variable names of all keys, without the prefix. Entries of lists have none.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        names(self.root, "")
    }

    fn overlay<'a>(&self, environment: &'a Environment) -> Overlay<'a> {
        let mut overlay = Overlay::default();
        for (variable, value) in environment.beginning(self.prefix).filter(|(_, value)| *value != Some("")) {
            let name = variable.strip_prefix(self.prefix).unwrap_or_default();
            if self.others.contains(&name) {
                continue;
            }
            match resolve(self.root, name) {
                Some(Named::Key { path, shape, single_too }) => {
                    overlay.settings.push(VariableSetting { path, shape, single_too, variable, value, unit: "" });
                }
                Some(Named::EntryOf { list }) => overlay.entries.push((variable, list)),
                None if is_anothers(self.others, name) => {}
                None => overlay.unknown.push(variable),
            }
        }
        for &(variable, keys, unit) in self.named {
            let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            let path = keys.iter().map(|key| (*key).to_owned()).collect();
            let shape = ValueShape::Single;
            let single_too = true;
            overlay.settings.push(VariableSetting { path, shape, single_too, variable, value: Some(value), unit });
        }
        overlay
    }

    /// Returns the setting that an unknown variable was probably meant for.
    fn meant(&self, variable: &str) -> Option<String> {
        let asked = variable.strip_prefix(self.prefix)?;
        let names = self.all();
        near(asked, names.iter().map(String::as_str)).map(|name| format!("{}{name}", self.prefix))
    }
}

/// Reports that a second variable sets the key of another one to another value.
fn report_second(reader: &SettingsReader<'_>, setting: &VariableSetting<'_>, at: ValueOrigin, first_at: ValueOrigin) {
    let message = format!("two environment variables set `{}` to different values", shown(&setting.path));
    reader.report(Problem::new(Code::Duplicate, at, message).expected("one of them").first(Some(first_at)));
}

/// Returns what the rest of a variable's name refers to; `None` if it refers to no key.
fn resolve(root: &'static SectionSpec, name: &str) -> Option<Named> {
    let mut path = Vec::new();
    let mut shape = ValueShape::Section(root);
    let mut single_too = false;
    for part in name.split("__") {
        if path.len() == DEPTH_MAX || part.is_empty() || part.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let key = part.to_ascii_lowercase();
        shape = match shape {
            ValueShape::Single => return None,
            ValueShape::Section(spec) => {
                let known = spec.key(&key);
                single_too = known.is_none_or(|known| known.field.takes_single());
                let later = || spec.is_later(&key).then_some(ValueShape::Later);
                known.map(|known| known.field.shape()).or_else(later)?
            }
            ValueShape::Sections(_) | ValueShape::List => {
                let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
                return is_number.then_some(Named::EntryOf { list: path });
            }
            ValueShape::Map => ValueShape::Single,
            ValueShape::Later => ValueShape::Later,
        };
        path.push(key);
    }
    let single_too = single_too || matches!(shape, ValueShape::Single | ValueShape::Later);
    Some(Named::Key { path, shape, single_too })
}

/// Whether the variable has another owner: for a service of the name `tollgate` Kubernetes sets `TOLLGATE_PORT` and
/// similar names.
fn is_anothers(others: &[&str], name: &str) -> bool {
    let others = others.iter().any(|other| match other.strip_suffix('*') {
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
        ValueShape::Single | ValueShape::Later => true,
        ValueShape::Section(_) | ValueShape::Sections(_) | ValueShape::List | ValueShape::Map => {
            setting.single_too && !looks_nested
        }
    }
}

/// Returns the value of the variable, as a tree.
fn value(
    reader: &SettingsReader<'_>,
    setting: &VariableSetting<'_>,
    at: ValueOrigin,
    single: bool,
) -> Option<YamlNode> {
    let key = shown(&setting.path);
    let Some(text) = setting.value else {
        reader.report(Problem::new(Code::Environment, at, format!("the value for `{key}` is not UTF-8")));
        return None;
    };
    if single {
        return Some(YamlNode { at, kind: Kind::Scalar(format!("{text}{}", setting.unit)) });
    }
    let expected = match setting.shape {
        ValueShape::Sections(_) => "a list: [{…}, {…}]",
        ValueShape::List => "a list: [a, b]",
        ValueShape::Section(_) | ValueShape::Map | ValueShape::Single | ValueShape::Later => "a mapping: {a: b}",
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
fn overrules(reader: &SettingsReader<'_>, root: &YamlNode, setting: &VariableSetting<'_>) -> bool {
    let in_file = setting.path.iter().try_fold(root, |node, name| {
        let Kind::Map(entries) = &node.kind else { return None };
        entries.iter().find(|(key, _)| key.name == *name).map(|(_, value)| value)
    });
    let text = match in_file.map(|value| &value.kind) {
        Some(Kind::Scalar(text)) => text,
        None | Some(Kind::Null) => return false,
        Some(_) => return true,
    };
    let env = |name: &str| reader.environment().get(name).map(str::to_owned);
    match substitute(text, &env, reader.folder()) {
        Ok(there) => !there.text.is_empty() && Some(there.text.as_str()) != setting.value,
        Err(_) => true,
    }
}

/// Returns the path as it is shown: `store.url`.
fn shown(path: &[String]) -> String {
    path.join(".")
}

/// Returns the variable names of the keys of a section and of the mappings in it, without the prefix. Entries of lists
/// have none.
fn names(spec: &'static SectionSpec, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for key in spec.keys() {
        let name = format!("{path}{}", key.name.to_ascii_uppercase());
        let nested = match key.field.shape() {
            ValueShape::Section(spec) => names(spec, &format!("{name}__")),
            ValueShape::Sections(_) | ValueShape::Single | ValueShape::List | ValueShape::Map | ValueShape::Later => {
                Vec::new()
            }
        };
        all.push(name);
        all.extend(nested);
    }
    all
}

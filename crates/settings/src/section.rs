//! Reads one section of the file: each getter returns a checked value, or reports a problem and returns `None`.
//!
//! The first problem does not stop the compiler: it continues with defaults and fails at the end, so that one start
//! reports all problems.

mod location;
mod references;
pub mod section_input;
pub mod setting;

pub use references::ReferenceRule;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::ops::Bound;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::error::{Code, PROBLEMS_MAX, Problem, ValueOrigin};
use crate::excerpt::Lines;
use crate::input::Input;
use crate::place::Place;
use crate::secret_text::names_secret;
use crate::spec::SectionSpec;
use crate::substitute::{resolve_file, substitute};
use crate::suggestion::near::near;
use crate::suggestion::near_key::near_key;
use crate::variables::variable::Variable;
use crate::yaml::{Kind, YamlKey, YamlNode};

/// The number of the last problems among which a repeated one is found.
const REPEATED_MAX: usize = 64;

/// The file that is being read, and its problems so far.
pub struct SettingsReader<'a> {
    file: String,
    lines: Lines<'a>,
    environment: &'a Environment,
    /// Variables that values refer to.
    named: RefCell<HashSet<String>>,
    /// Variables that are settings themselves; [`ValueOrigin::Variable`] is an index of this list.
    variables: RefCell<Vec<SettingVariable>>,
    /// Keys whose values are secrets, or may be and are not read.
    hidden: RefCell<BTreeSet<Place>>,
    /// The keys of the whole file, when they are read.
    root: Cell<Option<&'static SectionSpec>>,
    /// Keys of the whole file that do not exist.
    unknown_lists: RefCell<Vec<String>>,
    problems: RefCell<Vec<Problem>>,
    /// Problems of another file, in its order.
    elsewhere: RefCell<Vec<Problem>>,
    /// Whether values are taken literally: a file that others publish must not refer to variables or files.
    verbatim: bool,
    /// A value for the code that reads the sections.
    carried: Option<Box<dyn Any>>,
    /// The files that values name.
    files: RefCell<BTreeSet<PathBuf>>,
    /// The positions of values that refer to variables or files.
    references: RefCell<BTreeSet<ValueOrigin>>,
    /// The folder at which relative paths begin: that of the configuration file.
    folder: PathBuf,
    /// Whether the text is one of the API.
    is_of_api: bool,
    /// The rule for the references of the text.
    rule: Option<Box<dyn ReferenceRule>>,
}

/// A variable that is a setting.
struct SettingVariable {
    variable: Variable,
    /// Whether it is a single value, which is taken literally; otherwise it is YAML.
    single: bool,
}

/// One mapping of the file.
pub struct Section<'a> {
    reader: &'a SettingsReader<'a>,
    location: Location,
    entries: &'a [(YamlKey, YamlNode)],
}

/// The position and the keys of one mapping.
#[derive(Debug, Clone)]
pub struct Location {
    /// The position of the mapping, or of the mapping that lacks it.
    pub at: ValueOrigin,
    /// The name of the mapping in errors: `routes[2].auth`; empty for the whole file.
    pub path: String,
    spec: &'static SectionSpec,
    /// The keys that have a value; `None` if the mapping is absent.
    given: Option<Vec<String>>,
    /// The keys that do not exist.
    unknown: Vec<String>,
}

/// A single value after substitution; it may be a credential, so it does not print.
pub struct Text {
    /// The position of the value.
    pub at: ValueOrigin,
    /// The text of the value.
    pub value: String,
    /// Whether it came from a variable or a file: errors then do not repeat it.
    pub foreign: bool,
}

impl<'a> SettingsReader<'a> {
    /// Returns the reader of a text; `file` is its name in errors.
    pub fn new(file: String, source: &'a str, environment: &'a Environment) -> Self {
        Self {
            file,
            lines: Lines::new(source),
            environment,
            named: RefCell::default(),
            variables: RefCell::default(),
            hidden: RefCell::default(),
            root: Cell::default(),
            unknown_lists: RefCell::default(),
            problems: RefCell::default(),
            elsewhere: RefCell::default(),
            verbatim: false,
            carried: None,
            files: RefCell::default(),
            references: RefCell::default(),
            folder: PathBuf::new(),
            is_of_api: false,
            rule: None,
        }
    }

    /// Returns the reader with a value for the code that reads the sections.
    pub fn carrying(self, value: impl Any) -> Self {
        Self { carried: Some(Box::new(value)), ..self }
    }

    /// Returns the value that the reader carries, if it has this type.
    pub fn carried<T: Any>(&self) -> Option<&T> {
        self.carried.as_ref()?.downcast_ref()
    }

    /// Returns a reader of another file, whose values refer to no variables and no files.
    pub fn verbatim(file: String, source: &'a str, environment: &'a Environment) -> Self {
        Self { verbatim: true, ..Self::new(file, source, environment) }
    }

    /// Adds the problems of another file, which follow those of this one.
    pub fn report_elsewhere(&self, problems: Vec<Problem>) {
        self.elsewhere.borrow_mut().extend(problems);
    }

    /// Returns the environment that values may refer to.
    pub fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// Adds a problem with its position and line.
    pub fn report(&self, mut problem: Problem) {
        let of = |at: Option<ValueOrigin>| (at.and_then(ValueOrigin::place), at.and_then(|at| self.variable_at(at)));
        (problem.place, problem.variable) = of(problem.at);
        (problem.first, problem.first_variable) = of(problem.first_at);
        if problem.place.is_some() || problem.first.is_some() {
            problem.file.clone_from(&self.file);
        }
        // A value that several entries share is reported by each of them.
        let mut problems = self.problems.borrow_mut();
        let is_same = |known: &Problem| known.at == problem.at && known.message == problem.message;
        if problem.at.is_none() || !problems.iter().rev().take(REPEATED_MAX).any(is_same) {
            problems.push(problem);
        }
    }

    /// Whether no problem was reported.
    pub fn is_valid(&self) -> bool {
        self.problems.borrow().is_empty() && self.elsewhere.borrow().is_empty()
    }

    /// Returns the file's name as it was given; empty without a file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns all problems in the order of the file, each listed one with its line. Of `root`, no value is shown that
    /// is hidden.
    pub fn problems(self, root: Option<&YamlNode>) -> Vec<Problem> {
        let mut lines = self.lines;
        let hidden = self.hidden.into_inner();
        let mut places = BTreeSet::new();
        if let Some(root) = root {
            root.places(&|key| key.at.place().is_some_and(|at| hidden.contains(&at)), &mut places);
        }
        for key in hidden {
            let next = places.range((Bound::Excluded(key), Bound::Unbounded)).next();
            lines.hide(key, next.copied());
        }
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.at);
        for problem in problems.iter_mut().take(PROBLEMS_MAX) {
            problem.line = problem.place.and_then(|place| lines.line_at(place));
        }
        problems.extend(self.elsewhere.into_inner());
        problems
    }

    /// Hides the values of these keys of `root` in the lines of problems.
    pub fn hide<'k>(&self, root: &YamlNode, keys: impl Iterator<Item = &'k str>) {
        let places = keys.filter_map(|key| root.find_entry(key)?.0.at.place());
        self.hidden.borrow_mut().extend(places);
    }

    /// Returns an environment variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Returns the origin of a value from the variable: a single literal value, or YAML.
    pub fn at_variable(&self, variable: Variable, single: bool) -> ValueOrigin {
        let mut variables = self.variables.borrow_mut();
        variables.push(SettingVariable { variable, single });
        ValueOrigin::Variable(variables.len() - 1)
    }

    /// Returns the variable that `at` refers to.
    pub fn variable_at(&self, at: ValueOrigin) -> Option<Variable> {
        let ValueOrigin::Variable(number) = at else { return None };
        self.variables.borrow().get(number).map(|setting| setting.variable.clone())
    }

    /// Whether a variable holds exactly this value.
    fn is_single(&self, at: ValueOrigin) -> bool {
        let ValueOrigin::Variable(number) = at else { return false };
        self.variables.borrow().get(number).is_some_and(|setting| setting.single)
    }

    /// Whether a value refers to this variable.
    pub fn names(&self, variable: &str) -> bool {
        self.named.borrow().contains(variable)
    }

    /// Returns `node` as a mapping; reports every key that `spec` does not have.
    pub fn section(&'a self, node: &'a YamlNode, path: String, spec: &'static SectionSpec) -> Option<Section<'a>> {
        let entries: &[(YamlKey, YamlNode)] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            Kind::Scalar(_) | Kind::List(_) => {
                self.wrong_type(node, &path, "a mapping");
                return None;
            }
        };
        let given = entries.iter().filter(|(_, value)| !matches!(value.kind, Kind::Null));
        let given = Some(given.map(|(key, _)| spec.meant(&key.name).to_owned()).collect());
        let names = spec.names();
        let unknown = entries.iter().map(|(key, _)| spec.meant(&key.name).to_owned());
        let unknown = unknown.filter(|name| !names.contains(&name.as_str())).collect();
        if path.is_empty() {
            self.root.set(Some(spec));
        }
        let location = Location { at: node.at, path, spec, given, unknown };
        let section = Section { reader: self, location, entries };
        for (key, value) in entries {
            section.check_key(key, value);
        }
        Some(section)
    }

    /// Returns `node` as a single value.
    pub fn text(&self, node: &YamlNode, path: &str) -> Option<Text> {
        let Kind::Scalar(text) = &node.kind else {
            self.wrong_type(node, path, "a single value");
            return None;
        };
        if self.verbatim {
            return Some(Text { at: node.at, value: text.clone(), foreign: false });
        }
        let env = |name: &str| {
            self.named.borrow_mut().insert(name.to_owned());
            self.environment.get(name).map(str::to_owned)
        };
        if let Some(refused) = self.rule.as_ref().and_then(|rule| rule.check_text(node.at, path, text, &self.folder)) {
            // A file that may be named, and cannot be read, is one whose change may make the text valid.
            if refused.code == Code::File {
                self.record_references(node.at, text, Some(&env));
            }
            self.report(refused);
            return None;
        }
        let is_single = self.is_single(node.at);
        self.record_references(node.at, text, (!is_single).then_some(&env));
        let substituted =
            if is_single { resolve_file(text, &self.folder) } else { substitute(text, &env, &self.folder) };
        match substituted {
            Ok(done) => Some(Text { at: node.at, value: done.text, foreign: done.foreign || is_foreign(node.at) }),
            Err(failed) => {
                self.report(failed.problem(node.at, path));
                None
            }
        }
    }

    /// Hides the value of a key that is not read, or the parts of it that may be secrets.
    fn hide_secrets(&self, key: &YamlKey, value: &YamlNode) {
        if names_secret(&key.name) {
            self.hidden.borrow_mut().extend(key.at.place());
            return;
        }
        let mut nodes = vec![value];
        while let Some(node) = nodes.pop() {
            match &node.kind {
                Kind::Null | Kind::Scalar(_) => {}
                Kind::List(items) => nodes.extend(items),
                Kind::Map(entries) => entries.iter().for_each(|(key, value)| self.hide_secrets(key, value)),
            }
        }
    }

    fn wrong_type(&self, node: &YamlNode, path: &str, expected: &str) {
        let subject = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        let message = format!("{subject} is {}", node.kind.name());
        self.report(Problem::new(Code::WrongType, node.at, message).expected(expected));
    }
}

/// Whether errors must not repeat the value at this position.
const fn is_foreign(at: ValueOrigin) -> bool {
    matches!(at, ValueOrigin::Variable(_))
}

impl SettingsReader<'_> {
    /// Reports a key or value that only a later version supports.
    pub fn not_yet(&self, at: ValueOrigin, subject: &str) {
        self.report(Problem::new(Code::NotYet, at, format!("{subject} is not supported by this version yet")));
    }

    /// Reports that the key with this full name does not accept the value at `at`.
    pub fn bad(&self, at: ValueOrigin, name: &str, expected: impl Display) {
        let message = format!("`{name}` has an invalid value");
        self.report(Problem::new(Code::BadValue, at, message).expected(expected.to_string()));
    }

    /// Reports a name that does not exist; `kind` is the kind of entry that it should name.
    pub fn unknown_name<'n>(&self, name: &Input<String>, kind: &str, known: impl Iterator<Item = &'n str> + Clone) {
        let list = match kind.strip_prefix("entry of ") {
            Some(list) => list.trim_matches('`').to_owned(),
            None => format!("{kind}s"),
        };
        // The list has probably a misspelled name, which has been reported.
        let is_meant = |unknown: &String| near(unknown, [list.as_str()]).is_some();
        if known.clone().next().is_none() && self.unknown_lists.borrow().iter().any(is_meant) {
            return;
        }
        let near = if name.foreign { None } else { near(&name.value, known.clone()) };
        let message = match name.foreign {
            true => format!("no {kind} has this name"),
            false => format!("no {kind} is named `{}`", name.value),
        };
        let expected = match known.clone().next() {
            None => format!("an entry of `{list}`, which is empty"),
            Some(_) => one_of(known),
        };
        self.report(Problem::new(Code::UnknownName, name.value_origin(), message).expected(expected).near(near));
    }
}

impl<'a> Section<'a> {
    /// Returns the full name of `key`.
    pub fn name(&self, key: &str) -> String {
        self.location.name(key)
    }

    /// Returns the reader of the file.
    pub fn reader(&self) -> &'a SettingsReader<'a> {
        self.reader
    }

    /// Returns the position and the keys of the mapping.
    pub fn location(&self) -> &Location {
        &self.location
    }

    fn check_key(&self, key: &YamlKey, value: &YamlNode) {
        let Location { path, spec, .. } = &self.location;
        let name = spec.meant(&key.name);
        if spec.key(name).is_some() {
            if name != key.name {
                self.check_spelling(name, key);
            }
            return;
        }
        self.reader.hide_secrets(key, value);
        if path.is_empty() {
            self.reader.unknown_lists.borrow_mut().push(name.to_owned());
        }
        if spec.is_later(name) {
            return self.reader.not_yet(key.at, &format!("`{}`", self.name(name)));
        }
        let whole = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
        // The text of a variable may be a secret on either side of a colon.
        let unknown = if is_foreign(key.at) { "unknown key".to_owned() } else { format!("unknown key `{name}`") };
        self.reader.report(
            Problem::new(Code::UnknownKey, key.at, format!("{unknown}{whole}"))
                .expected(one_of(spec.keys().iter().map(|key| key.name)))
                .near(near_key(name, spec, self.reader.root.get()).as_deref()),
        );
    }

    /// Reports a key that is also given in the spelling of YAML 1.1.
    fn check_spelling(&self, name: &str, key: &YamlKey) {
        if let Some((first, _)) = self.entries.iter().find(|(entry, _)| entry.name == name) {
            let message = format!("the key `{name}` occurs twice: YAML 1.1 reads it as `{}`", key.name);
            self.reader.report(Problem::new(Code::Duplicate, key.at, message).first(Some(first.at)));
        }
    }

    /// Returns the value of `key`; an empty value or `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a YamlNode> {
        let (_, node) = self.entries.iter().find(|(entry, _)| self.location.spec.meant(&entry.name) == key)?;
        (!matches!(node.kind, Kind::Null)).then_some(node)
    }

    /// Returns the mapping under `key`.
    pub fn section(&self, key: &str, spec: &'static SectionSpec) -> Option<Section<'a>> {
        self.reader.section(self.get(key)?, self.name(key), spec)
    }

    /// Returns the absent mapping under `key`.
    pub fn absent(&self, key: &str, spec: &'static SectionSpec) -> Section<'a> {
        let location = Location { at: self.location.at, path: self.name(key), spec, given: None, unknown: Vec::new() };
        Section { reader: self.reader, location, entries: &[] }
    }

    /// Returns the items of the list under `key`, each with its name; empty if the key is absent.
    pub fn list(&self, key: &str) -> impl Iterator<Item = (&'a YamlNode, String)> + use<'a> {
        let name = self.name(key);
        let items: &'a [YamlNode] = match self.get(key) {
            Some(YamlNode { kind: Kind::List(items), .. }) => items,
            Some(node) => {
                self.reader.wrong_type(node, &name, "a list");
                &[]
            }
            None => &[],
        };
        items.iter().enumerate().map(move |(index, node)| (node, format!("{name}[{index}]")))
    }

    /// Returns the mappings in the list under `key`.
    pub fn sections(&self, key: &str, spec: &'static SectionSpec) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let reader = self.reader;
        self.list(key).filter_map(move |(node, name)| reader.section(node, name, spec))
    }

    /// Returns all entries of a mapping with arbitrary keys.
    pub fn entries(&self, key: &str) -> &'a [(YamlKey, YamlNode)] {
        match self.get(key) {
            Some(YamlNode { kind: Kind::Map(entries), .. }) => entries,
            Some(node) => {
                self.reader.wrong_type(node, &self.name(key), "a mapping");
                &[]
            }
            None => &[],
        }
    }
}

/// Maximum number of names that a list in an error shows.
const LISTED_MAX: usize = 20;

/// Joins names for an error: `` `a`, `b` or `c` ``.
pub fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.len() > LISTED_MAX {
        let more = names.len() - LISTED_MAX;
        names.truncate(LISTED_MAX);
        names.push(format!("{more} more"));
    }
    match names.pop() {
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} or {last}", names.join(", ")),
        None => "nothing".to_owned(),
    }
}

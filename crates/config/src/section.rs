//! Reading one section of the file: each getter gives a checked value, or reports what is wrong and gives `None`.
//!
//! Nothing stops at the first problem: the compiler goes on with defaults and fails at the end, so that one start names all.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

use crate::environment::{Environment, Variable};
use crate::error::{At, Code, PROBLEMS_MAX, Place, Problem};
use crate::excerpt::Lines;
use crate::grammar::Grammar;
use crate::near::near;
use crate::substitute::{Failed, resolve_file, substitute};
use crate::unit;
use crate::yaml::{Key, Kind, Node};

/// The file as it is read, and what was wrong so far.
pub(crate) struct Reader<'a> {
    file: String,
    lines: Lines<'a>,
    environment: &'a Environment,
    /// Variables that values name.
    named: RefCell<HashSet<String>>,
    /// Variables that are settings themselves; [`At::Variable`] counts them.
    variables: RefCell<Vec<SettingVariable>>,
    /// Keys that are not read.
    unread: RefCell<BTreeSet<Place>>,
    problems: RefCell<Vec<Problem>>,
    /// Problems of another file, in its order.
    elsewhere: RefCell<Vec<Problem>>,
    /// Whether values are taken as they are: a file that others publish names no variables and no files.
    verbatim: bool,
}

/// A variable that is a setting.
struct SettingVariable {
    variable: Variable,
    /// Whether it is one value, which is taken as it is; else it is YAML.
    single: bool,
}

/// One mapping of the file.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    /// Where it stands.
    pub(crate) at: At,
    /// As errors call it: `routes[2].auth`; empty for the whole file.
    path: String,
    grammar: &'static Grammar,
    entries: &'a [(Key, Node)],
}

/// A single value after substitution; it may be a credential, so it does not print.
pub(crate) struct Text {
    pub(crate) at: At,
    pub(crate) value: String,
    /// Whether it came from a variable or a file: it is then not repeated.
    pub(crate) foreign: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: String, source: &'a str, environment: &'a Environment) -> Self {
        Self {
            file,
            lines: Lines::new(source),
            environment,
            named: RefCell::default(),
            variables: RefCell::default(),
            unread: RefCell::default(),
            problems: RefCell::default(),
            elsewhere: RefCell::default(),
            verbatim: false,
        }
    }

    /// A reader of another file, whose values name no variables and no files.
    pub(crate) fn verbatim(file: String, source: &'a str, environment: &'a Environment) -> Self {
        Self { verbatim: true, ..Self::new(file, source, environment) }
    }

    /// Remembers the problems of another file, which follow those of this one.
    pub(crate) fn report_elsewhere(&self, problems: Vec<Problem>) {
        self.elsewhere.borrow_mut().extend(problems);
    }

    /// The environment that values may name.
    pub(crate) fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// Remembers a problem.
    pub(crate) fn report(&self, mut problem: Problem) {
        let of = |at: Option<At>| (at.and_then(At::place), at.and_then(|at| self.variable_at(at)));
        (problem.place, problem.variable) = of(problem.at);
        (problem.first, problem.first_variable) = of(problem.first_at);
        if problem.place.is_some() || problem.first.is_some() {
            problem.file.clone_from(&self.file);
        }
        self.problems.borrow_mut().push(problem);
    }

    /// Whether something is wrong so far.
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty() || !self.elsewhere.borrow().is_empty()
    }

    /// The file as it was named; empty where there is none.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// All problems in the order of the file, each that will be listed with its line; of `root` that shows no value whose
    /// key is not read.
    pub(crate) fn problems(self, root: Option<&Node>) -> Vec<Problem> {
        let (mut lines, unread) = (self.lines, self.unread.into_inner());
        let mut places = BTreeSet::new();
        if let Some(root) = root {
            root.places(&|key| key.at.place().is_some_and(|at| unread.contains(&at)), &mut places);
        }
        for key in unread {
            let next = places.range((Bound::Excluded(key), Bound::Unbounded)).next();
            lines.hide(key, next.copied());
        }
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.at);
        for problem in problems.iter_mut().take(PROBLEMS_MAX) {
            problem.line = problem.place.and_then(|place| lines.at(place));
        }
        problems.extend(self.elsewhere.into_inner());
        problems
    }

    /// An environment variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Where that stands which the variable holds: one value as it is, or YAML.
    pub(crate) fn at_variable(&self, variable: Variable, single: bool) -> At {
        let mut variables = self.variables.borrow_mut();
        variables.push(SettingVariable { variable, single });
        At::Variable(variables.len() - 1)
    }

    /// The variable that `at` stands in.
    pub(crate) fn variable_at(&self, at: At) -> Option<Variable> {
        let At::Variable(number) = at else { return None };
        self.variables.borrow().get(number).map(|setting| setting.variable.clone())
    }

    /// Whether a variable holds this and nothing else.
    fn is_single(&self, at: At) -> bool {
        let At::Variable(number) = at else { return false };
        self.variables.borrow().get(number).is_some_and(|setting| setting.single)
    }

    /// Whether a value names this variable.
    pub(crate) fn names(&self, variable: &str) -> bool {
        self.named.borrow().contains(variable)
    }

    /// `node` as a mapping whose keys are all of `grammar`.
    pub(crate) fn section(&'a self, node: &'a Node, path: String, grammar: &'static Grammar) -> Option<Section<'a>> {
        let entries: &[(Key, Node)] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            Kind::Scalar(_) | Kind::List(_) => {
                self.wrong_type(node, &path, "a mapping");
                return None;
            }
        };
        let section = Section { reader: self, at: node.at, path, grammar, entries };
        for (key, _) in entries {
            section.check_key(key);
        }
        Some(section)
    }

    /// `node` as a single value.
    pub(crate) fn text(&self, node: &Node, path: &str) -> Option<Text> {
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
        let substituted = if self.is_single(node.at) { resolve_file(text) } else { substitute(text, &env) };
        match substituted {
            Ok(done) => Some(Text { at: node.at, value: done.text, foreign: done.foreign || is_foreign(node.at) }),
            Err(failed) => {
                self.report(failure(failed, node.at, path));
                None
            }
        }
    }

    fn wrong_type(&self, node: &Node, path: &str, expected: &str) {
        let subject = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        let message = format!("{subject} is {}", node.kind.name());
        self.report(Problem::new(Code::WrongType, node.at, message).expected(expected));
    }
}

/// Whether what stands there is not repeated in errors.
const fn is_foreign(at: At) -> bool {
    matches!(at, At::Variable(_))
}

fn failure(failed: Failed, at: At, path: &str) -> Problem {
    let expected = "${NAME}, ${NAME:-default} or file:/path";
    match failed {
        Failed::NotSet(name) => Problem::new(
            Code::Environment,
            at,
            format!("`{path}` needs the environment variable {name}, which is not set"),
        )
        .expected(format!("{name} to be set, or a default: ${{{name}:-default}}")),
        Failed::Form => Problem::new(Code::Environment, at, format!("`{path}` has a `${{` that names no variable"))
            .expected(expected),
        Failed::Relative => {
            Problem::new(Code::File, at, format!("`{path}` names a file without its whole path")).expected("file:/path")
        }
        Failed::File { reason, .. } if is_foreign(at) => {
            Problem::new(Code::File, at, format!("`{path}` names a file that cannot be read: {reason}"))
                .expected("a readable text file of at most 64 KiB")
        }
        Failed::File { path: named, reason } => {
            Problem::new(Code::File, at, format!("`{path}` names {named}, which cannot be read: {reason}"))
                .expected("a readable text file of at most 64 KiB")
        }
    }
}

impl<'a> Section<'a> {
    /// The whole name of `key`.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The reader that reports.
    pub(crate) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    fn check_key(&self, key: &Key) {
        let (name, grammar) = (key.name.as_str(), self.grammar);
        if grammar.now.contains(&name) {
            return;
        }
        self.reader.unread.borrow_mut().extend(key.at.place());
        if grammar.later.contains(&name) {
            return self.not_yet(key.at, &format!("`{}`", self.name(name)));
        }
        let whole = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
        let names = grammar.now.iter().chain(grammar.later).copied();
        // What a variable holds may be a secret on either side of a colon.
        let unknown = if is_foreign(key.at) { "unknown key".to_owned() } else { format!("unknown key `{name}`") };
        self.reader.report(
            Problem::new(Code::UnknownKey, key.at, format!("{unknown}{whole}"))
                .expected(one_of(grammar.now.iter().copied()))
                .near(near(name, names)),
        );
    }

    /// Refuses what a later version brings.
    pub(crate) fn not_yet(&self, at: At, subject: &str) {
        self.reader.report(Problem::new(Code::NotYet, at, format!("{subject} is not supported by this version yet")));
    }

    /// The value of `key`; nothing and `null` are absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(entry, _)| entry.name == key)?;
        (!matches!(node.kind, Kind::Null)).then_some(node)
    }

    /// The mapping under `key`.
    pub(crate) fn section(&self, key: &str, grammar: &'static Grammar) -> Option<Section<'a>> {
        self.reader.section(self.get(key)?, self.name(key), grammar)
    }

    /// The list under `key`, each with its name; empty where there is none.
    pub(crate) fn list(&self, key: &str) -> impl Iterator<Item = (&'a Node, String)> + use<'a> {
        let name = self.name(key);
        let items: &'a [Node] = match self.get(key) {
            Some(Node { kind: Kind::List(items), .. }) => items,
            Some(node) => {
                self.reader.wrong_type(node, &name, "a list");
                &[]
            }
            None => &[],
        };
        items.iter().enumerate().map(move |(index, node)| (node, format!("{name}[{index}]")))
    }

    /// The mappings in the list under `key`.
    pub(crate) fn sections(&self, key: &str, grammar: &'static Grammar) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let reader = self.reader;
        self.list(key).filter_map(move |(node, name)| reader.section(node, name, grammar))
    }

    /// All entries of a mapping whose keys are free.
    pub(crate) fn entries(&self, key: &str) -> &'a [(Key, Node)] {
        match self.get(key) {
            Some(Node { kind: Kind::Map(entries), .. }) => entries,
            Some(node) => {
                self.reader.wrong_type(node, &self.name(key), "a mapping");
                &[]
            }
            None => &[],
        }
    }

    /// The text under `key`.
    pub(crate) fn text(&self, key: &str) -> Option<Text> {
        self.reader.text(self.get(key)?, &self.name(key))
    }

    /// The text under a key that must be there.
    pub(crate) fn required(&self, key: &str) -> Option<Text> {
        if self.get(key).is_none() {
            self.missing(key);
        }
        self.text(key)
    }

    /// Reports that `key` must be there, unless an unknown key was reported that looks meant for it.
    pub(crate) fn missing(&self, key: &str) {
        self.missing_one_of(&[key]);
    }

    /// The same of several keys, of which one must be there.
    pub(crate) fn missing_one_of(&self, keys: &[&str]) {
        let mut unknown = self.entries.iter().filter(|(entry, _)| !self.grammar.has(&entry.name));
        if unknown.any(|(entry, _)| near(&entry.name, keys.iter().copied()).is_some()) {
            return;
        }
        let keys = one_of(keys.iter().copied());
        let subject = if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) };
        let message = format!("{subject} needs {keys}");
        self.reader.report(Problem::new(Code::Missing, self.at, message).expected(format!("{keys} here")));
    }

    /// Reports that the value at `at` is not what `key` takes.
    pub(crate) fn bad(&self, at: At, key: &str, expected: impl Display) {
        let message = format!("`{}` has a value that it does not take", self.name(key));
        self.reader.report(Problem::new(Code::BadValue, at, message).expected(expected.to_string()));
    }

    /// The text under `key`, as `read` understands it.
    pub(crate) fn parsed<T>(&self, key: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let value = read(&text.value);
        if value.is_none() {
            self.bad(text.at, key, expected);
        }
        value
    }

    /// A whole number within `range`.
    pub(crate) fn whole(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(key, &expected, |text| unit::digits(text).filter(|value| range.contains(value)))
    }

    /// A whole number of 32 bits, from `min`.
    pub(crate) fn whole_u32(&self, key: &str, min: u32) -> Option<u32> {
        self.whole(key, u64::from(min)..=u64::from(u32::MAX)).and_then(|value| u32::try_from(value).ok())
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        self.parsed(key, "true or false", |text| text.parse().ok())
    }

    /// A duration; zero is one.
    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        self.parsed(key, unit::DURATION, unit::duration)
    }

    /// A duration above zero.
    pub(crate) fn deadline(&self, key: &str) -> Option<Duration> {
        let expected = format!("{}, and more than nothing", unit::DURATION);
        self.parsed(key, &expected, |text| unit::duration(text).filter(|duration| !duration.is_zero()))
    }

    /// A size within `range` (bytes), which `bounds` says in words.
    pub(crate) fn size(&self, key: &str, range: &RangeInclusive<u64>, bounds: &str) -> Option<u64> {
        let expected = format!("{}, {bounds}", unit::SIZE);
        self.parsed(key, &expected, |text| unit::size(text).filter(|bytes| range.contains(bytes)))
    }

    /// One word of a closed list.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.word_or_later(key, words, &[])
    }

    /// One word of a closed list; those of `later` are refused as `not_yet`.
    pub(crate) fn word_or_later<T: Copy>(&self, key: &str, words: &[(&str, T)], later: &[&str]) -> Option<T> {
        let text = self.text(key)?;
        if later.contains(&text.value.as_str()) {
            self.not_yet(text.at, &format!("`{}: {}`", self.name(key), text.value));
            return None;
        }
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let known = || words.iter().map(|(word, _)| *word);
            let message = format!("`{}` has a value that it does not take", self.name(key));
            let near = if text.foreign { None } else { near(&text.value, known()) };
            self.reader.report(Problem::new(Code::BadValue, text.at, message).expected(one_of(known())).near(near));
        }
        found
    }

    /// Reports a name that nothing has; `kind` is what it should name.
    pub(crate) fn unknown_name<'n>(&self, text: &Text, kind: &str, known: impl Iterator<Item = &'n str> + Clone) {
        let near = if text.foreign { None } else { near(&text.value, known.clone()) };
        let message = match text.foreign {
            true => format!("no {kind} has this name"),
            false => format!("no {kind} is named `{}`", text.value),
        };
        let expected = match known.clone().next() {
            None => format!("a name from `{kind}s`, which is empty"),
            Some(_) => one_of(known),
        };
        self.reader.report(Problem::new(Code::UnknownName, text.at, message).expected(expected).near(near));
    }
}

/// Names that a list in an error shows.
const LISTED_MAX: usize = 20;

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
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

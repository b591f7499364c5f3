//! Compiles the keys of `routes[]` that select requests, and finds routes that no request reaches.
//!
//! Two routes of the same host and path are reported if one request can match both with the same precedence: they accept
//! a common method under equal conditions. A regular expression is reported if it cannot match a path, and if a prefix
//! or a template with `{*name}` of the same host takes each path that it matches, or any other path the only one. Not reported are routes that only
//! several others hide together, expressions that match the same paths with different texts, and expressions whose paths
//! do not all begin with one literal text.

use std::collections::HashMap;

use crate::schema::traffic::{ConditionInput, PathInput, RouteInput, is_secret_parameter};
use crate::snapshot::trusted_headers::FieldSource;
use crate::snapshot::{
    Condition, Conditions, HostMatch, ListenerMatch, PathMatch, Pattern, RouteMatches, ValueMatch, decoded,
};
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::{Either, MapEntry};
use settings::input::Input;
use settings::secret_text::is_secret_header;
use settings::section::SettingsReader;

/// Maximum number of regular expressions of all routes: each search keeps memory per thread.
const EXPRESSIONS_MAX: usize = 256;

/// The matches of one route, with the position of its path.
#[derive(Debug, Clone)]
pub(super) struct PlacedMatches {
    pub(super) at: Option<ValueOrigin>,
    pub(super) matches: RouteMatches,
}

/// The matches of all routes so far.
#[derive(Default)]
pub(super) struct KnownMatches {
    by_path: HashMap<HostAndPath, Vec<PlacedMatches>>,
    expressions: Vec<PlacedMatches>,
    /// The routes whose template ends with `{*name}`.
    rests: Vec<PlacedMatches>,
    expressions_count: usize,
}

/// A host, and a text that is equal for equal sets of paths only.
type HostAndPath = (Option<HostMatch>, String);

/// The matches of a route, which has several hosts and paths.
#[derive(Debug)]
pub(super) struct RouteSelectors {
    /// The hosts; `None` means all.
    hosts: Vec<Option<HostMatch>>,
    /// The paths with their positions.
    pub(super) paths: Vec<(Option<ValueOrigin>, PathMatch)>,
    listeners: Box<[ListenerMatch]>,
    methods: Vec<String>,
    conditions: Option<Box<Conditions>>,
}

impl RouteSelectors {
    /// Returns the matches of one path of the route: one for each host.
    pub(super) fn matches_for<'a>(
        &'a self,
        path: &'a (Option<ValueOrigin>, PathMatch),
    ) -> impl Iterator<Item = PlacedMatches> + 'a {
        self.hosts.iter().map(move |host| {
            let listeners = self.listeners.clone();
            let methods = self.methods.clone();
            let conditions = self.conditions.clone();
            PlacedMatches {
                at: path.0,
                matches: RouteMatches { host: host.clone(), path: path.1.clone(), listeners, methods, conditions },
            }
        })
    }

    /// Returns the name of a route that has none: its first host and path.
    pub(super) fn own_name(&self) -> String {
        let path = self.paths.first().map_or_else(String::new, |(_, path)| path.to_string());
        self.hosts.iter().flatten().next().map_or_else(|| path.clone(), |host| format!("{host}{path}"))
    }

    /// Returns a text that differs from that of another route.
    pub(super) fn scope(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(|(_, path)| format!("{path:?}")).collect();
        let listeners: String = self.listeners.iter().map(|listener| format!("{} ", listener.name)).collect();
        format!("{} {listeners}{} {:?}", paths.join(" "), self.methods.join(" "), self.conditions)
    }
}

/// Compiles the matches of a route. Only claims and services set `claim_headers`, after the route is chosen.
pub(super) fn selectors(
    reader: &SettingsReader<'_>,
    route: &mut RouteInput,
    listeners: &[Option<&str>],
    claim_headers: &[Box<str>],
) -> RouteSelectors {
    route.host.dedup();
    let paths = route.path.iter_mut().filter_map(|rule| path(reader, rule));
    // Rewrites count octets of received paths, which have this form.
    let paths = paths.map(|(at, path)| (at, path.in_normal_form())).collect();
    let allowed = route.allow_headers.list.iter().map(|name| name.value.as_str());
    let source = |name: &str| FieldSource::before_claims(name, claim_headers, allowed.clone());
    let headers = conditions(reader, &route.headers, NameCase::Insensitive, source);
    let query = conditions(reader, &route.query, NameCase::Sensitive, |_| FieldSource::Client);
    let has_any = !(headers.is_empty() && query.is_empty());
    let hosts: Vec<_> = route.host.list.iter().map(|host| Some(host.value.clone())).collect();
    RouteSelectors {
        hosts: if hosts.is_empty() { vec![None] } else { hosts },
        paths,
        listeners: of_listeners(reader, route, listeners),
        methods: route.methods.list.iter().map(|method| method.value.clone()).collect(),
        conditions: has_any.then(|| Box::new(Conditions { headers, query })),
    }
}

/// Returns the listeners of a route. Unknown names are reported; `names` are those of all listeners.
fn of_listeners(reader: &SettingsReader<'_>, route: &mut RouteInput, names: &[Option<&str>]) -> Box<[ListenerMatch]> {
    route.listen.dedup();
    let mut listeners = Vec::new();
    for name in &route.listen.list {
        match names.iter().position(|known| *known == Some(name.value.as_str())) {
            Some(position) => listeners.push(ListenerMatch { position, name: name.value.as_str().into() }),
            None => reader.unknown_name(name, "listener", names.iter().copied().flatten()),
        }
    }
    listeners.into()
}

/// Returns the path of a route with its position. A final slash of a prefix is removed.
fn path(
    reader: &SettingsReader<'_>,
    path: &mut Either<PathMatch, PathInput>,
) -> Option<(Option<ValueOrigin>, PathMatch)> {
    let rule = match path {
        Either::Single(path) => {
            check_sendable(reader, path, &path.value.to_string());
            return Some((path.value_origin(), path.value.clone()));
        }
        Either::Nested(rule) => rule,
    };
    if !exactly_one(reader, &rule.location, &["prefix", "regex"]) {
        return None;
    }
    if let Some(regex) = &rule.regex {
        return Some((regex.value_origin(), PathMatch::Regex(regex.value.clone())));
    }
    let prefix = rule.prefix.as_mut()?;
    check_sendable(reader, prefix, &prefix.value);
    let path = prefix.value.trim_end_matches('/').to_owned();
    prefix.value = if path.is_empty() { "/".to_owned() } else { path.clone() };
    Some((prefix.value_origin(), PathMatch::Prefix(path)))
}

/// Reports a path that no server accepts: it has a dot segment or an invalid escape.
pub(super) fn check_sendable<T>(reader: &SettingsReader<'_>, input: &Input<T>, path: &str) {
    let is_dots = |segment: &str| matches!(&*decoded(segment), b"." | b"..");
    let is_escape = |escape: &str| escape.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if path.split('/').any(is_dots) || !path.split('%').skip(1).all(is_escape) {
        let problem = Problem::new(Code::BadValue, input.value_origin(), "the path cannot be sent");
        reader.report(problem.expected("a path without the segments `.` and `..`, and with two hex digits after `%`"));
    }
}

/// Reports a section that does not have exactly one of these keys.
pub(super) fn exactly_one(reader: &SettingsReader<'_>, location: &settings::section::Location, keys: &[&str]) -> bool {
    let given: Vec<&str> = keys.iter().copied().filter(|key| location.has(key)).collect();
    match given.as_slice() {
        [] => location.missing(reader, keys),
        [first, second, ..] => {
            let message = format!("`{}` has `{first}` and `{second}`", location.path);
            reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of them"));
        }
        [_] => return true,
    }
    false
}

/// Whether names that differ in the case of letters are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameCase {
    Sensitive,
    Insensitive,
}

impl NameCase {
    /// Whether the value of a parameter or header with this name may be a secret.
    fn may_be_secret(self, name: &str) -> bool {
        match self {
            Self::Sensitive => is_secret_parameter(name),
            Self::Insensitive => is_secret_header(name),
        }
    }
}

fn conditions(
    reader: &SettingsReader<'_>,
    entries: &[MapEntry<String, ConditionInput>],
    case: NameCase,
    source: impl Fn(&str) -> FieldSource,
) -> Vec<Condition> {
    let mut conditions: Vec<(ValueOrigin, Condition)> = Vec::new();
    for MapEntry { name, at, value } in entries {
        let refers = |at: Option<ValueOrigin>| at.is_some_and(|at| reader.is_reference(at));
        let mut is_hidden = false;
        let value = match value {
            Either::Single(text) => {
                is_hidden = refers(text.value_origin()) || case.may_be_secret(name);
                ValueMatch::Exact(text.value.as_str().into())
            }
            Either::Nested(rule) => {
                if !exactly_one(reader, &rule.location, &["present", "regex"]) {
                    continue;
                }
                match (&rule.present, &rule.regex) {
                    (Some(present), _) if present.value => ValueMatch::Present,
                    (Some(_), _) => ValueMatch::Absent,
                    (None, Some(regex)) => {
                        is_hidden = refers(regex.value_origin());
                        ValueMatch::Regex(regex.value.clone())
                    }
                    (None, None) => continue,
                }
            }
        };
        let name = if case == NameCase::Insensitive { name.to_ascii_lowercase() } else { name.clone() };
        if let Some((first, _)) = conditions.iter().find(|(_, known)| *known.name == *name) {
            let problem = Problem::new(Code::Duplicate, *at, "a second condition on this header");
            reader.report(problem.expected("one condition per name").first(Some(*first)));
            continue;
        }
        let source = source(&name);
        conditions.push((*at, Condition { name: name.into(), value, source, is_hidden }));
    }
    let mut conditions: Vec<Condition> = conditions.into_iter().map(|(_, condition)| condition).collect();
    conditions.sort_by(|a, b| a.name.cmp(&b.name));
    conditions
}

impl KnownMatches {
    /// Records the matches of a route. Reports it, and returns false, if another route takes some of its requests with
    /// the same precedence.
    pub(super) fn take(&mut self, reader: &SettingsReader<'_>, matches: &PlacedMatches) -> bool {
        self.count_expressions(reader, matches);
        let same = self.by_path.entry((matches.matches.host.clone(), paths_text(&matches.matches.path))).or_default();
        let is_equal = |other: &&PlacedMatches| {
            other.matches.conditions == matches.matches.conditions
                && overlap(&other.matches.methods, &matches.matches.methods)
                && overlap(&other.matches.listeners, &matches.matches.listeners)
        };
        if let Some(first) = same.iter().find(is_equal) {
            let message = "a second route takes this path and method";
            let expected = "another `host`, path, `headers` or `query`, or `methods` that the first does not take";
            reader.report(Problem::new(Code::Duplicate, matches.at, message).expected(expected).first(first.at));
            return false;
        }
        same.push(matches.clone());
        match &matches.matches.path {
            PathMatch::Regex(_) => self.expressions.push(matches.clone()),
            PathMatch::Template(template) if template.ends_with_rest() => self.rests.push(matches.clone()),
            PathMatch::Template(_) | PathMatch::Exact(_) | PathMatch::Prefix(_) => {}
        }
        true
    }

    fn count_expressions(&mut self, reader: &SettingsReader<'_>, matches: &PlacedMatches) {
        let before = self.expressions_count;
        let of = |conditions: &[Condition]| {
            conditions.iter().filter(|condition| matches!(condition.value, ValueMatch::Regex(_))).count()
        };
        let conditions = matches.matches.conditions.as_ref().map_or(0, |all| of(&all.headers) + of(&all.query));
        self.expressions_count += conditions + usize::from(matches!(matches.matches.path, PathMatch::Regex(_)));
        if before <= EXPRESSIONS_MAX && self.expressions_count > EXPRESSIONS_MAX {
            let message = "the routes have more than 256 regular expressions";
            let expected = "paths with parameters (/users/{id}) or exact values in place of some";
            reader.report(Problem::new(Code::BadValue, matches.at, message).expected(expected));
        }
    }

    /// Reports the regular expressions that match no path, or only paths that a prefix or a rest takes first. It needs all
    /// routes, because prefixes and templates come before expressions, wherever they are in the file.
    pub(super) fn check_expressions(&self, reader: &SettingsReader<'_>) {
        for matches in &self.expressions {
            let PathMatch::Regex(pattern) = &matches.matches.path else { continue };
            if pattern.literal_start().is_some_and(|start| !start.is_empty() && !start.starts_with('/')) {
                let problem = Problem::new(Code::Unreachable, matches.at, "no path matches this regular expression");
                reader.report(problem.expected("`^/`: each path begins with a slash"));
                continue;
            }
            let (first, of) = match (self.prefix_before(matches, pattern), self.path_before(matches, pattern)) {
                (Some(prefix), _) => (prefix, "a prefix"),
                (None, Some(other)) => (other, "the path of another route"),
                (None, None) => continue,
            };
            let message = format!("no request reaches this route: {of} takes all its paths first");
            let problem = Problem::new(Code::Unreachable, matches.at, message);
            let expected = "a path with parameters, or a narrower path or condition on the other route";
            reader.report(problem.expected(expected).first(first.at));
        }
    }

    /// Returns a route with a prefix that takes every request of a regular expression.
    fn prefix_before(&self, matches: &PlacedMatches, pattern: &Pattern) -> Option<&PlacedMatches> {
        let start = pattern.literal_start()?;
        let ends = start.char_indices().filter(|(at, octet)| *at > 0 && *octet == '/').map(|(at, _)| at);
        ends.filter_map(|end| start.get(..end)).find_map(|prefix| {
            let key = (matches.matches.host.clone(), paths_text(&PathMatch::Prefix(prefix.to_owned())));
            self.by_path.get(&key)?.iter().find(|other| other.takes_all_of(matches))
        })
    }

    /// Returns the first route that takes every request of a regular expression: one with `{*name}`, or any if the
    /// expression matches only one path.
    fn path_before(&self, matches: &PlacedMatches, pattern: &Pattern) -> Option<&PlacedMatches> {
        let start = pattern.literal_start()?;
        if let Some(path) = pattern.only_match() {
            let of_host =
                self.by_path.iter().filter(|((host, _), _)| *host == matches.matches.host).flat_map(|(_, same)| same);
            let takes = |other: &&PlacedMatches| {
                other.matches.path.precedes_expressions()
                    && other.matches.path.is_match(path)
                    && other.takes_all_of(matches)
            };
            return of_host.filter(takes).min_by_key(|other| other.at);
        }
        let takes_start = |other: &&PlacedMatches| match &other.matches.path {
            PathMatch::Template(template) => template.takes_all_below(start),
            PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::Regex(_) => false,
        };
        let mut of_host = self.rests.iter().filter(|other| other.matches.host == matches.matches.host);
        of_host.find(|other| takes_start(other) && other.takes_all_of(matches))
    }
}

impl PlacedMatches {
    /// Whether each request that meets the conditions of `other` meets those of this route too.
    fn takes_all_of(&self, other: &Self) -> bool {
        let is_met = self.matches.conditions.is_none() || self.matches.conditions == other.matches.conditions;
        let own = &self.matches;
        let other = &other.matches;
        is_met && covers(&own.methods, &other.methods) && covers(&own.listeners, &other.listeners)
    }
}

/// Returns a text that is equal for paths that match the same requests.
fn paths_text(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) => format!("*{path}"),
        PathMatch::Template(template) => format!("={}", template.shape()),
        PathMatch::Regex(pattern) => format!("~{pattern}"),
    }
}

/// Whether two routes have a common method and the same rank: one with `methods` comes before one without. The same applies
/// to listeners.
fn overlap<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    (a.is_empty() && b.is_empty()) || a.iter().any(|method| b.contains(method))
}

/// Whether every method of `other` is one of `all`; no methods are all methods. The same applies to listeners.
fn covers<T: PartialEq>(all: &[T], other: &[T]) -> bool {
    all.is_empty() || (!other.is_empty() && other.iter().all(|method| all.contains(method)))
}

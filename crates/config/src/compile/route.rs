//! Compiles `upstreams` and `routes`.

use std::collections::HashMap;
use std::sync::Arc;

use access::Credits;

use super::{NAME, UsedNames, is_name, name};
use crate::error::{At, Code, Problem};
use crate::grammar;
use crate::section::{Section, Text};
use crate::snapshot::{Auth, Events, Origin, PathMatch, Route, Upstream};
use crate::yaml::{Kind, Node};

/// Longest path of a route, in bytes.
const PATH_LEN_MAX: usize = 2_048;
const PATH: &str = "a path: /users, or {prefix: /users}";
/// Longest name of a header.
const HEADER_NAME_LEN_MAX: usize = 64;
/// Longest method, in bytes.
const METHOD_LEN_MAX: usize = 32;
const METHODS_KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// The upstreams, and every name in the file, so that one invalid upstream is not reported again for each route.
pub(super) struct Upstreams {
    pub(super) list: Vec<Arc<Upstream>>,
    names: Vec<String>,
}

pub(super) fn upstreams(root: &Section<'_>) -> Upstreams {
    let mut taken = UsedNames::default();
    let mut upstreams = Upstreams { list: Vec::new(), names: Vec::new() };
    for section in root.sections("upstreams", &grammar::UPSTREAM) {
        let name = name(&section, &mut taken, "upstream");
        if let Some(name) = &name {
            upstreams.names.push(name.value.clone());
        }
        // An upstream with `discover` was refused already.
        let origin = if section.get("discover").is_some() { None } else { backend(&section) };
        if let (Some(name), Some(origin)) = (name, origin) {
            upstreams.list.push(Arc::new(Upstream { name: name.value.into(), origin }));
        }
    }
    upstreams
}

fn backend(section: &Section<'_>) -> Option<Origin> {
    if section.get("backends").is_none() {
        section.missing("backends");
        return None;
    }
    let mut backends = section.list("backends");
    let Some((first, path)) = backends.next() else {
        let at = section.get("backends").map_or(section.at, |node| node.at);
        section.bad(at, "backends", "one {url: http://HOST:PORT}");
        return None;
    };
    if let Some((second, _)) = backends.next() {
        section.not_yet(second.at, &format!("a second entry of `{}`", section.name("backends")));
    }
    let backend = section.reader().section(first, path, &grammar::BACKEND)?;
    if let Some(weight) = backend.whole("weight", 1..=1_000)
        && weight != 1
        && let Some(node) = backend.get("weight")
    {
        backend.not_yet(node.at, &format!("a `{}` other than 1", backend.name("weight")));
    }
    let url = backend.required("url")?;
    Origin::parse(&url.value).map_err(|error| backend.bad(url.at, "url", error)).ok()
}

pub(super) fn routes(root: &Section<'_>, upstreams: &Upstreams) -> Vec<Arc<Route>> {
    let mut names = UsedNames::default();
    let mut paths = Paths::default();
    let mut routes = Vec::new();
    for section in root.sections("routes", &grammar::ROUTE) {
        let name = route_name(&section, &mut names);
        let path = path(&section);
        let methods = methods(&section);
        let upstream = upstream(&section, upstreams);
        let auth = auth(&section);
        let credits = Credits(section.whole_u32("credits", 0).unwrap_or(1));
        let events = section.word("events", &[("rows", Events::Rows), ("folded", Events::Folded)]);
        let allow_headers = allow_headers(&section);
        let Some((at, path)) = path else {
            continue;
        };
        if let Some(first) = paths.take(at, &path, &methods) {
            let message = "a second route takes this path and method";
            let expected = "another path, or `methods` that the first does not take";
            section.reader().report(Problem::new(Code::Duplicate, at, message).expected(expected).first(Some(first)));
            continue;
        }
        let Some(upstream) = upstream else {
            continue;
        };
        let name = name.unwrap_or_else(|| match &path {
            PathMatch::Prefix(path) if path.is_empty() => "/".to_owned(),
            PathMatch::Exact(path) | PathMatch::Prefix(path) => path.clone(),
        });
        let events = events.unwrap_or(Events::Folded);
        let name = name.into();
        routes.push(Arc::new(Route { name, path, methods, upstream, auth, credits, events, allow_headers }));
    }
    routes
}

/// A path that a route matches, its position, and the methods.
type RoutedPath = (At, Vec<String>);

/// The paths of routes; exact paths and prefixes are separate.
#[derive(Default)]
struct Paths(HashMap<(bool, String), Vec<RoutedPath>>);

impl Paths {
    /// Records a path for these methods. Returns the position of another route that matches them already.
    fn take(&mut self, at: At, path: &PathMatch, methods: &[String]) -> Option<At> {
        let key = match path {
            PathMatch::Exact(path) => (true, path.clone()),
            PathMatch::Prefix(path) => (false, path.clone()),
        };
        let same = self.0.entry(key).or_default();
        let first = same.iter().find(|(_, taken)| overlap(taken, methods)).map(|(first, _)| *first);
        if first.is_none() {
            same.push((at, methods.to_vec()));
        }
        first
    }
}

fn overlap(a: &[String], b: &[String]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|method| b.contains(method))
}

fn route_name(section: &Section<'_>, taken: &mut UsedNames) -> Option<String> {
    let name = section.text("name")?;
    if !is_name(&name.value) {
        section.bad(name.at, "name", NAME);
        return None;
    }
    taken.take(section, &name, "route").then_some(name.value)
}

fn path(section: &Section<'_>) -> Option<(At, PathMatch)> {
    let Some(node) = section.get("path") else {
        section.missing("path");
        return None;
    };
    if matches!(node.kind, Kind::Map(_)) {
        let by_rule = section.section("path", &grammar::PATH)?;
        if by_rule.get("regex").is_some() {
            return None;
        }
        let prefix = checked_path(&by_rule, "prefix", by_rule.required("prefix")?)?;
        return Some((prefix.at, PathMatch::Prefix(prefix.value.trim_end_matches('/').to_owned())));
    }
    let path = checked_path(section, "path", section.text("path")?)?;
    Some((path.at, PathMatch::Exact(path.value)))
}

fn checked_path(section: &Section<'_>, key: &str, path: Text) -> Option<Text> {
    if path.value.starts_with('/') && path.value.contains(['{', '}', '*']) {
        section.not_yet(path.at, &format!("a pattern in `{}`", section.name(key)));
        return None;
    }
    if !is_path(&path.value) {
        section.bad(path.at, key, PATH);
        return None;
    }
    Some(path)
}

/// Whether `path` can be the path of a request: it begins with a slash, is encoded as it is sent, and has no query.
pub(super) fn is_path(path: &str) -> bool {
    path.len() <= PATH_LEN_MAX
        && path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'{' | b'}' | b'*'))
}

fn methods(section: &Section<'_>) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    let Some(node) = section.get("methods") else {
        return methods;
    };
    if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
        section.bad(node.at, "methods", "at least one method, or no `methods` for all");
    }
    for (node, path) in section.list("methods") {
        let Some(method) = section.reader().text(node, &path) else {
            continue;
        };
        if is_method(&method.value) {
            if !methods.contains(&method.value) {
                methods.push(method.value);
            }
        } else {
            let message = format!("`{path}` is not a method");
            let near = if method.foreign { None } else { crate::near::near(&method.value, METHODS_KNOWN) };
            let problem = Problem::new(Code::BadValue, method.at, message).expected("a method in capitals: GET, POST");
            section.reader().report(problem.near(near));
        }
    }
    methods
}

/// Whether this is a method other than `CONNECT`, which requests a tunnel.
fn is_method(method: &str) -> bool {
    (1..=METHOD_LEN_MAX).contains(&method.len())
        && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        && method != "CONNECT"
}

/// Returns the names of headers, in lowercase, without duplicates.
fn allow_headers(section: &Section<'_>) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    for (node, path) in section.list("allow_headers") {
        let Some(name) = section.reader().text(node, &path) else {
            continue;
        };
        if !is_header_name(&name.value) {
            let message = format!("`{path}` is not the name of a header");
            let problem = Problem::new(Code::BadValue, name.at, message);
            section.reader().report(problem.expected("a name such as X-HTTP-Method-Override"));
            continue;
        }
        let name = name.value.to_ascii_lowercase().into_boxed_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn is_header_name(name: &str) -> bool {
    (1..=HEADER_NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn upstream(section: &Section<'_>, upstreams: &Upstreams) -> Option<Arc<Upstream>> {
    let node: &Node = match section.get("upstreams") {
        Some(node) => node,
        None => {
            section.missing("upstreams");
            return None;
        }
    };
    if matches!(node.kind, Kind::List(_)) {
        section.not_yet(node.at, &format!("a list in `{}`", section.name("upstreams")));
        return None;
    }
    let name = section.text("upstreams")?;
    if !upstreams.names.contains(&name.value) {
        section.unknown_name(&name, "upstream", upstreams.names.iter().map(String::as_str));
    }
    upstreams.list.iter().find(|upstream| *upstream.name == *name.value).cloned()
}

fn auth(section: &Section<'_>) -> Auth {
    let Some(auth) = section.section("auth", &grammar::AUTH) else {
        return Auth::Key;
    };
    if auth.get("type").is_none() {
        auth.missing("type");
    }
    let types = [("key", Auth::Key), ("none", Auth::None)];
    auth.word_or_later("type", &types, &["jwt", "basic", "any"]).unwrap_or(Auth::Key)
}

//! The paths of routes as a tree of segments. Without templates, a look-up costs one hash per segment that the path shares
//! with a route, independent of the number of routes and of the length of the rest of the path. Where a literal segment
//! and a parameter both fit, the look-up may follow both: at most one node of the tree is visited per combination of
//! literals and parameters that routes have.
//!
//! Paths are compared segment by segment from the left. Precedence at the first differing segment: literal, `{name}`,
//! `{*rest}`, end of a prefix. Regular expressions follow in the order of the file. Routes of every path (`/{*rest}` and
//! the prefix `/`) are last, so that they hide no other route.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::conditions::Fit;
use super::super::pattern::Pattern;
use super::super::route::{PathMatch, Route};
use super::super::template::Segment;
use super::{MethodMatch, PassedRoutes, RouteRequest};

/// The routes of one host.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The first node is the root, whose segment is empty: each path begins with a slash.
    nodes: Vec<Node>,
    /// Whether all paths are exact or prefixes.
    is_literal: bool,
    expressions: Vec<ExpressionRoutes>,
}

/// The routes of one path, split at slashes; the most specific ones are first.
#[derive(Debug, Clone, Default)]
struct Node {
    exact: Vec<Arc<Route>>,
    prefix: Vec<Arc<Route>>,
    /// The routes whose template has `{*name}` after this path.
    rest: Vec<Arc<Route>>,
    above: Option<usize>,
    below: FxHashMap<Box<str>, usize>,
    /// The node of any segment that is not empty.
    parameter: Option<usize>,
}

/// The routes of one regular expression; the most specific ones are first.
#[derive(Debug, Clone)]
struct ExpressionRoutes {
    pattern: Pattern,
    routes: Vec<Arc<Route>>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], is_literal: true, expressions: Vec::new() }
    }
}

impl Paths {
    /// Adds a route at this path, after those of the same rank that were added before.
    pub(super) fn add(&mut self, route: &Arc<Route>, path: &PathMatch) {
        match path {
            PathMatch::Exact(path) => {
                let at = self.literal(path);
                self.insert(at, route, |node| &mut node.exact);
            }
            PathMatch::Prefix(path) => {
                let at = self.literal(path.trim_end_matches('/'));
                self.insert(at, route, |node| &mut node.prefix);
            }
            PathMatch::Template(template) => {
                self.is_literal = false;
                let mut at = 0;
                for segment in template.segments() {
                    at = match segment {
                        Segment::Literal(text) => self.below(at, text),
                        Segment::Parameter(_) => self.parameter(at),
                        Segment::Rest(_) => return self.insert(at, route, |node| &mut node.rest),
                    };
                }
                self.insert(at, route, |node| &mut node.exact);
            }
            PathMatch::Regex(pattern) => {
                self.is_literal = false;
                match self.expressions.iter_mut().find(|known| known.pattern == *pattern) {
                    Some(known) => insert(&mut known.routes, route),
                    None => {
                        let routes = vec![Arc::clone(route)];
                        self.expressions.push(ExpressionRoutes { pattern: pattern.clone(), routes });
                    }
                }
            }
        }
    }

    fn insert(&mut self, at: usize, route: &Arc<Route>, list: fn(&mut Node) -> &mut Vec<Arc<Route>>) {
        if let Some(node) = self.nodes.get_mut(at) {
            insert(list(node), route);
        }
    }

    /// Returns the index of the node of a path without parameters, which is created if it is missing.
    fn literal(&mut self, path: &str) -> usize {
        path.split('/').skip(1).fold(0, |at, segment| self.below(at, segment))
    }

    /// Returns the index of the node below `at`, which is created if it is missing.
    fn below(&mut self, at: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some(known) = node.below.get(segment) {
            return *known;
        }
        node.below.insert(segment.into(), next);
        self.nodes.push(Node { above: Some(at), ..Node::default() });
        next
    }

    /// Returns the index of the node of a parameter below `at`, which is created if it is missing.
    fn parameter(&mut self, at: usize) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some(known) = node.parameter {
            return known;
        }
        node.parameter = Some(next);
        self.nodes.push(Node { above: Some(at), ..Node::default() });
        next
    }

    /// Returns the first result of `pick` for the routes at a path, in the order of precedence.
    pub(super) fn find<'a, P: Pick<'a>>(&'a self, path: &str, pick: &mut P) -> Option<&'a Arc<Route>> {
        if self.is_literal { self.find_literal(path, pick) } else { self.find_any(path, pick) }
    }

    /// Finds the route of a path if all paths are exact or prefixes.
    fn find_literal<'a, P: Pick<'a>>(&'a self, path: &str, pick: &mut P) -> Option<&'a Arc<Route>> {
        let (mut node, is_whole) = self.deepest(path)?;
        let exact: &[Arc<Route>] = if is_whole { &node.exact } else { &[] };
        let mut found = pick(exact);
        loop {
            found = found.or_else(|| pick(&node.prefix));
            if found.is_some() {
                return found;
            }
            node = self.nodes.get(node.above?)?;
        }
    }

    /// Returns the last node on the way of `path`, and whether it is the node of the whole path.
    fn deepest(&self, path: &str) -> Option<(&Node, bool)> {
        let mut node = self.nodes.first()?;
        let Some(mut rest) = path.strip_prefix('/') else { return path.is_empty().then_some((node, true)) };
        loop {
            let (segment, after) = split(rest);
            let Some(below) = node.below.get(segment).and_then(|below| self.nodes.get(*below)) else {
                return Some((node, false));
            };
            node = below;
            match after {
                Some(after) => rest = after,
                None => return Some((node, true)),
            }
        }
    }

    /// Finds the route of a path among all kinds of paths.
    fn find_any<'a, P: Pick<'a>>(&'a self, path: &str, pick: &mut P) -> Option<&'a Arc<Route>> {
        let root = self.nodes.first()?;
        let rest = match path.strip_prefix('/') {
            None if path.is_empty() => "",
            rest => rest?,
        };
        let mut found = self.walk(root, rest, pick);
        for expression in &self.expressions {
            if found.is_some() {
                break;
            }
            if expression.pattern.is_match(path.as_bytes()) {
                found = pick(&expression.routes);
            }
        }
        let rest = if rest.is_empty() { &[][..] } else { &root.rest };
        found.or_else(|| pick(rest)).or_else(|| pick(&root.prefix))
    }

    /// Finds a route below `node`, or one that has ended at it; `rest` follows the slash after it. A node is visited at
    /// most once, as its depth is the number of the segment. Routes that end at the root are not found.
    fn walk<'a, P: Pick<'a>>(&'a self, node: &'a Node, rest: &str, pick: &mut P) -> Option<&'a Arc<Route>> {
        let (segment, after) = split(rest);
        let literal = node.below.get(segment).copied();
        let parameter = if segment.is_empty() { None } else { node.parameter };
        for next in [literal, parameter].into_iter().flatten().filter_map(|next| self.nodes.get(next)) {
            let found = match after {
                Some(after) => self.walk(next, after, pick),
                None => pick(&next.exact).or_else(|| pick(&next.prefix)),
            };
            if found.is_some() {
                return found;
            }
        }
        node.above?;
        let routes = if rest.is_empty() { &[][..] } else { &node.rest };
        pick(routes).or_else(|| pick(&node.prefix))
    }
}

/// Chooses a route among those of one path, of which the most specific ones are first.
pub(super) trait Pick<'a>: FnMut(&'a [Arc<Route>]) -> Option<&'a Arc<Route>> {}

impl<'a, F: FnMut(&'a [Arc<Route>]) -> Option<&'a Arc<Route>>> Pick<'a> for F {}

/// Splits a path into its first segment and the rest after the slash.
fn split(path: &str) -> (&str, Option<&str>) {
    // Segments are short: this costs less than a vectorised search.
    let end = path.bytes().position(|octet| octet == b'/');
    match end.and_then(|end| path.split_at_checked(end)) {
        Some((segment, after)) => (segment, after.get(1..)),
        None => (path, None),
    }
}

/// Adds a route to those of the same path, after those that are as specific.
fn insert(routes: &mut Vec<Arc<Route>>, route: &Arc<Route>) {
    let specificity = route.specificity();
    let at = routes.partition_point(|other| other.specificity() >= specificity);
    routes.insert(at, Arc::clone(route));
}

/// Returns the first route that accepts the request. Also records routes that match except for the method, or for a part whose
/// values disagree. A HEAD request uses a route for GET only if no route for HEAD accepts it.
pub(super) fn first<'a>(
    routes: impl IntoIterator<Item = &'a Arc<Route>>,
    requested: RouteRequest<'_>,
    passed: &mut PassedRoutes<'a>,
) -> Option<&'a Arc<Route>> {
    let mut implied = None;
    let mut implied_dispute = None;
    for route in routes {
        let accepts = route.accepts(requested.method);
        match route.fit(requested) {
            Fit::Met => {}
            Fit::Unmet => continue,
            Fit::Disputed(part) => {
                match accepts {
                    Some(MethodMatch::Listed) => _ = passed.disputed.get_or_insert((part, route)),
                    Some(MethodMatch::AsGet | MethodMatch::All) if implied.is_none() => {
                        implied_dispute.get_or_insert((part, route));
                    }
                    Some(MethodMatch::AsGet | MethodMatch::All) | None => {}
                }
                continue;
            }
        }
        match accepts {
            Some(MethodMatch::Listed) => return Some(route),
            Some(MethodMatch::All) => {
                implied = implied.or(Some(route));
                break;
            }
            Some(MethodMatch::AsGet) => implied = implied.or(Some(route)),
            None => {
                for method in route.accepted_methods() {
                    if !passed.allow.contains(&method) {
                        passed.allow.push(method);
                    }
                }
            }
        }
    }
    passed.disputed = passed.disputed.or(implied_dispute);
    implied
}

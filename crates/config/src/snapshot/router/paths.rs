//! The paths of routes as a tree of segments. A look-up costs one hash per segment that the path shares with a route,
//! independent of the number of routes and of the length of the rest of the path.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::route::{PathMatch, Route};
use super::Requested;

/// The routes of one host.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The first node is the root, whose segment is empty: each path begins with a slash.
    nodes: Vec<Node>,
}

/// The routes of one path, split at slashes.
#[derive(Debug, Clone, Default)]
struct Node {
    exact: Vec<Arc<Route>>,
    prefix: Vec<Arc<Route>>,
    above: Option<usize>,
    below: FxHashMap<Box<str>, usize>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Paths {
    /// Adds a route after those that were added before.
    pub(super) fn add(&mut self, route: &Arc<Route>) {
        let path = match &route.path {
            PathMatch::Exact(path) => path.as_str(),
            PathMatch::Prefix(path) => path.trim_end_matches('/'),
        };
        let mut at = 0;
        for segment in path.split('/').skip(1) {
            at = self.below(at, segment);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            let routes = match &route.path {
                PathMatch::Exact(_) => &mut node.exact,
                PathMatch::Prefix(_) => &mut node.prefix,
            };
            routes.push(Arc::clone(route));
        }
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

    /// Finds the route of a request. Adds the methods of matching routes that do not accept its method to `allow`.
    pub(super) fn find<'a>(&'a self, requested: Requested<'_>, allow: &mut Vec<&'a str>) -> Option<&'a Arc<Route>> {
        let (mut node, is_whole) = self.deepest(requested.path)?;
        let exact: &[Arc<Route>] = if is_whole { &node.exact } else { &[] };
        let mut routes = exact.iter().chain(&node.prefix);
        loop {
            for route in routes {
                if route.takes(requested.method) {
                    return Some(route);
                }
                for method in &route.methods {
                    if !allow.contains(&method.as_str()) {
                        allow.push(method);
                    }
                }
            }
            node = self.nodes.get(node.above?)?;
            routes = [].iter().chain(&node.prefix);
        }
    }

    /// Returns the last node on the way of `path`, and whether it is the node of the whole path.
    fn deepest(&self, path: &str) -> Option<(&Node, bool)> {
        let mut node = self.nodes.first()?;
        let Some(mut rest) = path.strip_prefix('/') else { return path.is_empty().then_some((node, true)) };
        loop {
            let (segment, after) = match rest.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (rest, None),
            };
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
}

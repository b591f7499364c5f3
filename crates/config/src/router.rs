//! Selects the route of a request: exact paths before prefixes, longer prefixes before shorter ones.
//!
//! `methods` is part of a match: if a route does not accept the method, the next matching route that does is used.
//! Paths are compared byte for byte, as they were sent.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::snapshot::{PathMatch, Route};

/// The compiled routes of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Router {
    exact: FxHashMap<String, Vec<Arc<Route>>>,
    prefix: FxHashMap<String, Vec<Arc<Route>>>,
    /// Lengths of prefixes, longest first: a request costs one look-up for each, independent of the length of its path.
    prefix_lens: Vec<usize>,
    routes: Vec<Arc<Route>>,
}

/// The result of looking up a method and a path.
#[derive(Debug, Clone)]
pub enum Match<'a> {
    /// The route of the request.
    Route(&'a Arc<Route>),
    /// Routes match the path, but none accepts the method.
    WrongMethod {
        /// The accepted methods for the `Allow` header, without duplicates.
        allow: Vec<&'a str>,
    },
    /// No route matches the path.
    None,
}

impl Router {
    /// Compiles `routes`. If two match the same request, the first is used.
    #[must_use]
    pub fn new(routes: Vec<Arc<Route>>) -> Self {
        let mut router = Self::default();
        for route in &routes {
            let (map, path) = match &route.path {
                PathMatch::Exact(path) => (&mut router.exact, path.clone()),
                PathMatch::Prefix(path) => (&mut router.prefix, path.trim_end_matches('/').to_owned()),
            };
            map.entry(path).or_default().push(Arc::clone(route));
        }
        router.prefix_lens = router.prefix.keys().map(String::len).collect();
        router.prefix_lens.sort_unstable_by(|a, b| b.cmp(a));
        router.prefix_lens.dedup();
        router.routes = routes;
        router
    }

    /// Finds the route of a request; `path` has no query.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Match<'_> {
        let mut allow: Vec<&str> = Vec::new();
        let exact = self.exact.get(path).into_iter();
        for route in exact.chain(self.prefixes(path)).flatten() {
            if route.takes(method) {
                return Match::Route(route);
            }
            for method in &route.methods {
                if !allow.contains(&method.as_str()) {
                    allow.push(method);
                }
            }
        }
        if allow.is_empty() { Match::None } else { Match::WrongMethod { allow } }
    }

    /// Returns every route, in the order of the file.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    fn prefixes(&self, path: &str) -> impl Iterator<Item = &Vec<Arc<Route>>> {
        self.prefix_lens.iter().filter_map(move |len| {
            let (prefix, rest) = path.split_at_checked(*len)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| self.prefix.get(prefix)).flatten()
        })
    }
}

impl Route {
    /// Whether the route accepts `method`.
    #[must_use]
    pub fn takes(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|taken| taken == method)
    }
}

impl Match<'_> {
    /// Whether a matching route has priority over an LLM endpoint at `endpoint_path` (whole, with `ai.prefix`) that
    /// matches the same request. It has priority if it is as specific as the endpoint: an exact path or a prefix at
    /// least as long.
    #[must_use]
    pub fn precedes(&self, endpoint_path: &str) -> bool {
        match self {
            Self::Route(route) => route.path.precedes(endpoint_path),
            Self::WrongMethod { .. } | Self::None => false,
        }
    }
}

impl PathMatch {
    fn precedes(&self, endpoint_path: &str) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Prefix(prefix) => prefix.len() >= endpoint_path.trim_end_matches('/').len(),
        }
    }
}

#[cfg(test)]
mod tests;

//! The choice of a route by path and method.

use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{
    Action, Backend, BuiltInPolicies, Origin, PathMatch, Route, RouteMatches, RoutePolicy, Timeouts, Upstream,
};
use config::{Match, RouteRequest, Router, WrittenParts};

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "=/api",
    "*/api",
    "*/",
    "*",
    "\n",
    "\n\n",
    " ",
    "/",
    "//",
    "GET",
    "POST",
    "get",
    "/a",
    "/api/v1/users",
    "..",
    "/..",
    "%2F",
    "é",
    "?",
];

/// The input has lines of routes (`=PATH` or `*PREFIX`, then methods), an empty line, and requests. The router finds
/// the same route as a search of all routes.
pub fn route(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (routes, requests) = text.split_once("\n\n").unwrap_or(("", text));
    let routes: Vec<Arc<Route>> = routes.lines().filter_map(parse).map(Arc::new).collect();
    let router = Router::new(routes.clone());
    for request in requests.lines().take(50) {
        let (method, path) = request.split_once(' ').unwrap_or(("GET", request));
        routed(&routes, &router, method, path);
    }
}

fn parse(line: &str) -> Option<Route> {
    let mut words = line.split(' ');
    let path = words.next()?;
    let path = match path.split_at_checked(1)? {
        // Paths of the configuration begin with a slash.
        (_, path) if !(path.starts_with('/') || path.is_empty()) => return None,
        ("=", "") => return None,
        ("=", path) => PathMatch::Exact(path.to_owned()),
        // The configuration compiles prefixes without a slash at the end.
        ("*", path) => PathMatch::Prefix(path.trim_end_matches('/').to_owned()),
        _ => return None,
    };
    let origin = Origin::parse("http://x").unwrap();
    let timeout = Duration::from_secs(1);
    let timeouts = Timeouts {
        connect: timeout,
        first_byte: timeout,
        idle: timeout,
        client_idle: timeout,
        total: Some(timeout),
        bounds_streams: false,
    };
    let policy = BuiltInPolicies::new(timeouts, timeouts).unmatched;
    let methods = words.filter(|method| !method.is_empty()).map(str::to_owned).collect();
    Some(Route {
        matches: RouteMatches { host: None, path, listeners: Box::default(), methods, conditions: None },
        policy: Arc::new(RoutePolicy { name: Arc::from(line), ..(*policy).clone() }),
        action: Action::Forward(Arc::new(Upstream::plain("x", vec![Backend { origin, weight: 1 }]))),
        rewrite: None,
        websocket: false,
        place: None,
        entry: 0,
    })
}

/// The rank of a route for a path: exact before any prefix, longer prefixes first.
fn rank(route: &Route, path: &str) -> Option<usize> {
    match &route.matches.path {
        PathMatch::Exact(exact) => (exact == path).then_some(usize::MAX),
        PathMatch::Prefix(prefix) => {
            let rest = path.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
        }
        // The lines have neither.
        PathMatch::Template(_) | PathMatch::Regex(_) => None,
    }
}

fn routed(routes: &[Arc<Route>], router: &Router, method: &str, path: &str) {
    // Only routes that list TRACE accept it; the others name the usual methods.
    if method == "TRACE" {
        return;
    }
    let lists = |route: &Route, method: &str| route.matches.methods.iter().any(|taken| taken == method);
    // GET includes HEAD, but a route that lists HEAD comes first.
    let takes = |route: &Route| {
        route.matches.methods.is_empty() || lists(route, method) || (method == "HEAD" && lists(route, "GET"))
    };
    let fitting = || routes.iter().filter_map(|route| Some((rank(route, path)?, route)));
    // The first of the best routes.
    let best = fitting()
        .filter(|(_, route)| takes(route))
        .rev()
        .max_by_key(|(rank, route)| (*rank, lists(route, method) && method == "HEAD"));
    match (router.find(RouteRequest { method, host: b"", path, listener: 0, parts: &WrittenParts::default() }), best) {
        (Match::Route(found), Some((_, best))) => assert!(Arc::ptr_eq(found, best), "{method} {path:?}: {found:?}"),
        (Match::WrongMethod { allow }, None) => {
            assert!(fitting().next().is_some() && !allow.contains(&method), "{method} {path:?}");
            let all = fitting().flat_map(|(_, route)| &route.matches.methods);
            assert!(all.clone().all(|method| allow.contains(&method.as_str())), "{method} {path:?}");
            let is_listed =
                |allowed: &&str| all.clone().any(|method| method == allowed || (method == "GET" && *allowed == "HEAD"));
            assert!(allow.iter().all(is_listed), "{method} {path:?}");
        }
        (Match::None, None) => assert!(fitting().next().is_none(), "{method} {path:?}"),
        (found, best) => panic!("{method} {path:?}: {found:?}, expected {best:?}"),
    }
}

//! The routes at the paths that backends may read in place of received ones. The paths of routes are decoded and folded as
//! those of requests are, so a look-up finds each route that a spelling of its path may mean.

use std::sync::Arc;

use super::super::ambiguous::PathRefusal;
use super::super::path_forms::PathSteps;
use super::super::route::{PathMatch, Route};
use super::table::RouteTable;
use super::{PassedRoutes, RouteRequest, first};

/// Longest path whose forms are compared, in bytes: each form costs as much as its length.
const PATH_LEN_MAX: usize = 8 * 1024;
/// The refusal of a longer one.
const TOO_LONG: &str = "a path this long is accepted only without escapes, capitals, semicolons and repeated slashes";

/// The routes by the text in which forms of paths are compared.
#[derive(Debug, Clone)]
pub(super) struct OtherReadings {
    steps: PathSteps,
    /// The maximum body of requests of routes without their own.
    body_bytes_max: u64,
    table: RouteTable,
    /// Whether the path of a route has another text than its own: then plain paths may mean it.
    has_spelled_routes: bool,
}

impl OtherReadings {
    /// Compiles the routes; `None` if all treat requests alike, so that no reading matters.
    pub(super) fn new(routes: &[Arc<Route>], steps: PathSteps, body_bytes_max: u64) -> Option<Box<Self>> {
        let one = routes.first()?;
        if !routes.iter().any(|route| route.is_treated_otherwise_than(one, body_bytes_max)) {
            return None;
        }
        let mut readings = Self { steps, body_bytes_max, table: RouteTable::default(), has_spelled_routes: false };
        for route in routes {
            let path = route.matches.path.read_with(steps);
            readings.has_spelled_routes |= path != route.matches.path || has_capitals(&path, steps);
            readings.table.add(route, &path);
        }
        Some(Box::new(readings))
    }

    /// Returns the refusal of a request for `route`, whose path may reach another route that asks more.
    pub(super) fn refusal<'a>(&'a self, requested: RouteRequest<'_>, route: &Arc<Route>) -> Option<PathRefusal<'a>> {
        let path = requested.path;
        let may_change = self.steps.may_change(path);
        if !(route.is_forwarded() && (may_change || self.has_spelled_routes)) {
            return None;
        }
        if path.len() > PATH_LEN_MAX {
            return may_change.then_some(PathRefusal::Form(TOO_LONG));
        }
        for form in self.steps.forms(path) {
            let text = self.steps.text(&form);
            let mut passed = PassedRoutes::default();
            let found = self.table.find(requested, &text, |routes| {
                // A plain path selects its own route, even if other routes have it in another spelling.
                let own = routes.iter().find(|other| !may_change && Arc::ptr_eq(other, route));
                own.or_else(|| self.strictest(routes, requested, route, &mut passed))
            });
            let other = passed.disputed.map(|(_, route)| route).or(found);
            let is_refused = match other {
                Some(other) => other.asks_more_than(route, self.body_bytes_max),
                None => form.is_resolved,
            };
            if is_refused {
                return Some(PathRefusal::OtherReading { form: text, route: other });
            }
        }
        None
    }

    /// Returns the route of the request among those of one place, which may have several paths: one that asks more than
    /// `route`, if there is one.
    fn strictest<'a>(
        &self,
        routes: &'a [Arc<Route>],
        requested: RouteRequest<'_>,
        route: &Arc<Route>,
        passed: &mut PassedRoutes<'a>,
    ) -> Option<&'a Arc<Route>> {
        let mut found: Option<&Arc<Route>> = None;
        for (number, one) in routes.iter().enumerate() {
            let has_path = |other: &&Arc<Route>| other.matches.path == one.matches.path;
            if routes.iter().take(number).any(|earlier| has_path(&earlier)) {
                continue;
            }
            let of_path = first(routes.iter().filter(has_path), requested, passed);
            if of_path.is_some_and(|other| other.asks_more_than(route, self.body_bytes_max)) {
                return of_path;
            }
            found = found.or(of_path);
        }
        found
    }
}

/// Whether a path is an expression that has capitals, which plain paths may mean.
fn has_capitals(path: &PathMatch, steps: PathSteps) -> bool {
    let PathMatch::Regex(pattern) = path else { return false };
    steps.letter_case && pattern.as_str().bytes().any(|octet| octet.is_ascii_uppercase())
}

impl PathMatch {
    /// Returns the path with its literal parts in the text in which forms are compared.
    fn read_with(&self, steps: PathSteps) -> Self {
        match self {
            Self::Exact(path) => Self::Exact(steps.literal(path)),
            Self::Prefix(path) => Self::Prefix(steps.literal(path)),
            Self::Template(template) => Self::Template(template.with_literals(|text| steps.literal(text))),
            Self::Regex(pattern) if steps.letter_case => Self::Regex(pattern.without_case()),
            Self::Regex(pattern) => Self::Regex(pattern.clone()),
        }
    }
}

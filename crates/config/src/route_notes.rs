//! Notes about routes and rate limits that match other requests than the operator may expect.

use crate::note::Note;
use crate::snapshot::trusted_headers::FieldSource;
use crate::snapshot::{LimitDimension, PathMatch, Route, Snapshot};

/// Returns the notes about the routes and rate limits of a configuration.
pub(crate) fn of_routes(snapshot: &Snapshot) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut last = None;
    for route in snapshot.traffic.router.routes() {
        notes.extend(colon(snapshot, route));
        // An entry with several hosts and paths is noted once.
        if last.replace(route.entry) != Some(route.entry) && snapshot.traffic.trusted_proxies.is_empty() {
            notes.extend(of_conditions(snapshot, route));
        }
    }
    if snapshot.traffic.trusted_proxies.is_empty() {
        notes.extend(of_limits(snapshot));
    }
    notes
}

fn of_conditions(snapshot: &Snapshot, route: &Route) -> impl Iterator<Item = Note> {
    let headers = route.matches.conditions.iter().flat_map(|conditions| &conditions.headers);
    headers.filter(|condition| condition.source == FieldSource::TrustedProxy).map(|condition| Note::HeaderOfNobody {
        place: snapshot.place_text(route.place),
        reader: format!("the route {}", route.policy.name),
        header: condition.name.to_string(),
    })
}

/// Returns a note for each limit by a header that no route gets.
fn of_limits(snapshot: &Snapshot) -> impl Iterator<Item = Note> {
    let routes = snapshot.traffic.router.routes();
    let allowed = || routes.iter().flat_map(|route| &route.policy.allow_headers).map(|name| &**name);
    let is_of_nobody = move |name: &str| {
        matches!(FieldSource::from_name(name, allowed()), FieldSource::TrustedProxy | FieldSource::Scheme)
    };
    snapshot.traffic.rate_limits.all().iter().flat_map(move |rule| {
        let headers = rule.dimensions.iter().filter_map(header).filter(move |name| is_of_nobody(name));
        headers.map(|name| Note::HeaderOfNobody {
            place: snapshot.place_text(rule.place),
            reader: format!("the rate limit {}", rule.name),
            header: name.to_string(),
        })
    })
}

/// Returns a note for a path with a segment that other gateways would read as a parameter.
fn colon(snapshot: &Snapshot, route: &Route) -> Option<Note> {
    let path = match &route.matches.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path.clone(),
        PathMatch::Template(template) => template.to_string(),
        PathMatch::Regex(_) => return None,
    };
    let is_parameter = |segment: &str| segment.len() > 1 && segment.starts_with(':');
    path.split('/').any(is_parameter).then(|| Note::ColonInPath { place: snapshot.place_text(route.place), path })
}

const fn header(dimension: &LimitDimension) -> Option<&str> {
    if let LimitDimension::Header(name) = dimension { Some(name) } else { None }
}

//! Compiles `paths`: which routes refuse paths that backends may read differently.
//!
//! Without a setting, a route refuses them if its upstream has routes that are protected otherwise: a backend that merges
//! slashes serves `/admin` for `//admin`, which only the route of `/` matches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use settings::place::Place;
use settings::section::SettingsReader;

use crate::note::Note;
use crate::schema::traffic::{Ambiguity, PathsInput};
use crate::snapshot::{Action, Auth, HostMatch, PathMatch, RefusedPaths, Route, RoutePolicy, Segment};

/// Sets the paths that each route refuses. Open routes that take all paths of a protected route, in another spelling, are
/// noted.
pub(super) fn bound(reader: &SettingsReader<'_>, input: &PathsInput, routes: &mut [Arc<Route>], notes: &mut Vec<Note>) {
    let mut protected: HashMap<&str, Vec<Vec<&Arc<Route>>>> = HashMap::new();
    for route in routes.iter().filter(|route| is_protected(&route.policy)) {
        for name in upstreams(route) {
            // Most routes of an upstream are protected in the same way, and are compared once.
            let groups = protected.entry(name).or_default();
            let is_same = |group: &&mut Vec<&Arc<Route>>| {
                group.first().is_some_and(|first| is_same_access(&first.policy, &route.policy))
            };
            match groups.iter_mut().find(is_same) {
                Some(group) => group.push(route),
                None => groups.push(vec![route]),
            }
        }
    }
    let (mut beside, mut noted) = (vec![false; routes.len()], HashSet::new());
    let is_silent = [&input.encoded_slashes, &input.semicolons].iter().all(|key| key.is_some());
    let is_silent = is_silent && input.merge_slashes.is_some();
    for (route, is_beside) in routes.iter().zip(&mut beside) {
        if matches!(route.matches.path, PathMatch::Exact(_)) {
            continue;
        }
        let others = upstreams(route).filter_map(|name| protected.get(name)).flatten();
        let others =
            others.filter(|group| group.first().is_some_and(|first| protects_otherwise(&first.policy, &route.policy)));
        let others = others.flatten();
        let mut others =
            others.filter(|other| may_share(route.matches.host.as_ref(), other.matches.host.as_ref())).peekable();
        *is_beside = others.peek().is_some();
        let is_noted = !is_silent && is_open(&route.policy.auth);
        let covered = others.find(|other| covers(&route.matches.path, &other.matches.path)).filter(|_| is_noted);
        notes.extend(covered.filter(|_| noted.insert(route.entry)).map(|other| Note::OpenBesideProtected {
            place: at(reader, route.place),
            route: route.policy.name.to_string(),
            protected: other.policy.name.to_string(),
            protected_place: at(reader, other.place),
        }));
    }
    let refuses = |setting: Option<Ambiguity>, is_beside| setting.map_or(is_beside, |it| it == Ambiguity::Refuse);
    for (route, is_beside) in routes.iter_mut().zip(beside) {
        let refused = RefusedPaths {
            repeated_slashes: input.merge_slashes.is_none() && is_beside,
            encoded_slashes: refuses(input.encoded_slashes.as_ref().map(|input| input.value), is_beside),
            semicolons: refuses(input.semicolons.as_ref().map(|input| input.value), is_beside),
        };
        // Nothing else has the routes yet.
        if let Some(route) = Arc::get_mut(route) {
            route.refused_paths = refused;
        }
    }
}

/// Whether some requests are not admitted.
fn is_protected(policy: &RoutePolicy) -> bool {
    policy.addresses.is_some() || !is_open(&policy.auth)
}

/// Whether a route refuses requests that one with the policy `other` may admit.
fn protects_otherwise(policy: &RoutePolicy, other: &RoutePolicy) -> bool {
    let has_addresses = policy.addresses.is_some() && policy.addresses != other.addresses;
    has_addresses || (!is_open(&policy.auth) && !is_same_auth(&policy.auth, &other.auth))
}

fn is_same_access(one: &RoutePolicy, other: &RoutePolicy) -> bool {
    one.addresses == other.addresses && is_same_auth(&one.auth, &other.auth)
}

/// Whether both require the same credentials.
fn is_same_auth(one: &Auth, other: &Auth) -> bool {
    match (one, other) {
        (Auth::Key, Auth::Key) | (Auth::None, Auth::None) => true,
        (Auth::Jwt(one), Auth::Jwt(other)) => Arc::ptr_eq(&one.entry, &other.entry) && one.require == other.require,
        (Auth::Listed(one), Auth::Listed(other)) => Arc::ptr_eq(one, other),
        (Auth::Redis(one), Auth::Redis(other)) => Arc::ptr_eq(one, other),
        (Auth::Basic(one), Auth::Basic(other)) => Arc::ptr_eq(one, other),
        (Auth::Forward(one), Auth::Forward(other)) => Arc::ptr_eq(one, other),
        (Auth::Any(one), Auth::Any(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same_auth(one, other))
        }
        _ => false,
    }
}

/// Whether requests without a credential are admitted.
fn is_open(auth: &Auth) -> bool {
    match auth {
        Auth::None => true,
        Auth::Any(list) => list.iter().any(is_open),
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) | Auth::Jwt(_) | Auth::Basic(_) | Auth::Forward(_) => false,
    }
}

/// Returns the names of the upstreams of a route.
fn upstreams(route: &Route) -> impl Iterator<Item = &str> {
    let (one, several) = match &route.action {
        Action::Forward(upstream) => (Some(&*upstream.name), None),
        Action::Split(split) => (None, Some(split.upstreams.iter())),
        Action::Respond(_) | Action::Redirect(_) => (None, None),
    };
    one.into_iter().chain(several.into_iter().flatten().map(|weighted| &*weighted.upstream.name))
}

/// Whether a host may match both.
fn may_share(one: Option<&HostMatch>, other: Option<&HostMatch>) -> bool {
    match (one, other) {
        (Some(HostMatch::Exact(one)), Some(HostMatch::Exact(other))) => one == other,
        _ => true,
    }
}

/// Whether the open path takes the paths of the protected one if they are written otherwise, such as in capitals.
fn covers(open: &PathMatch, protected: &PathMatch) -> bool {
    let Some(open) = start(open) else { return false };
    let protected = match protected {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path.as_str(),
        PathMatch::Template(_) | PathMatch::Regex(_) => return open == "/",
    };
    protected.len() > open.len() && protected.starts_with(&open)
}

/// Returns the text with which all paths below an open path begin, with a final slash; `None` if it is no prefix.
fn start(path: &PathMatch) -> Option<String> {
    match path {
        PathMatch::Prefix(prefix) => Some(format!("{}/", prefix.trim_end_matches('/'))),
        PathMatch::Template(template) => {
            let (last, before) = template.segments().split_last()?;
            let literals = before.iter().map(|segment| match segment {
                Segment::Literal(text) => Some(format!("/{text}")),
                Segment::Parameter(_) | Segment::Rest(_) => None,
            });
            let start: String = literals.collect::<Option<_>>()?;
            matches!(last, Segment::Rest(_)).then(|| format!("{start}/"))
        }
        PathMatch::Exact(_) | PathMatch::Regex(_) => None,
    }
}

fn at(reader: &SettingsReader<'_>, place: Option<Place>) -> String {
    place.map_or_else(|| reader.file().to_owned(), |at| format!("{}:{}:{}", reader.file(), at.line, at.column))
}

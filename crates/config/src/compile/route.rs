//! Compiles `upstreams` and `routes`.

use std::collections::HashMap;
use std::sync::Arc;

use access::Credits;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::UsedNames;
use crate::error::{At, Code, Problem};
use crate::input::Input;
use crate::schema::field::{Either, Entries};
use crate::schema::traffic::{AuthInput, BackendInput, PathInput, RespondInput, RouteInput, UpstreamInput};
use crate::section::Reader;
use crate::snapshot::{Action, Backend, FixedResponse, HostMatch, Origin, PathMatch, Redirect, Route, Upstream};

/// The upstreams, and every name in the file, so that one invalid upstream is not reported again for each route.
pub(super) struct Upstreams {
    pub(super) list: Vec<Arc<Upstream>>,
    names: Vec<String>,
    by_name: HashMap<String, Option<Arc<Upstream>>>,
}

pub(super) fn upstreams(reader: &Reader<'_>, entries: &Entries<UpstreamInput>) -> Upstreams {
    let mut taken = UsedNames::default();
    let mut upstreams = Upstreams { list: Vec::new(), names: Vec::new(), by_name: HashMap::new() };
    for UpstreamInput { name, backends, strategy, .. } in &entries.list {
        let Some(name) = name.as_ref().filter(|name| taken.take(reader, name, "upstream")) else { continue };
        let backends = self::backends(reader, backends);
        let upstream = Upstream { name: name.value.as_str().into(), backends, strategy: strategy.value };
        // An upstream without a valid backend has been reported; its name exists.
        let upstream = (!upstream.backends.is_empty()).then(|| Arc::new(upstream));
        upstreams.list.extend(upstream.clone());
        upstreams.names.push(name.value.clone());
        upstreams.by_name.insert(name.value.clone(), upstream);
    }
    upstreams
}

/// Returns the backends of one upstream. Two with the same URL are reported: `weight` gives a backend more requests.
fn backends(reader: &Reader<'_>, entries: &Entries<BackendInput>) -> Vec<Backend> {
    let mut taken: HashMap<&Origin, Option<At>> = HashMap::new();
    let mut backends = Vec::new();
    for BackendInput { url, weight, .. } in &entries.list {
        let Some(url) = url else { continue };
        if let Some(first) = taken.get(&url.value) {
            let problem = Problem::new(Code::Duplicate, url.at(), "a second backend of the upstream has this URL");
            reader.report(problem.expected("another URL, or a higher `weight` of the first").first(*first));
            continue;
        }
        taken.insert(&url.value, url.at());
        backends.push(Backend { origin: url.value.clone(), weight: weight.value });
    }
    backends
}

pub(super) fn routes(reader: &Reader<'_>, entries: &mut Entries<RouteInput>, upstreams: &Upstreams) -> Vec<Arc<Route>> {
    let mut names = UsedNames::default();
    let mut paths = Paths::default();
    let mut routes = Vec::new();
    for route in &mut entries.list {
        route.name.take_if(|name| !names.take(reader, name, "route"));
        route.methods.dedup();
        route.allow_headers.dedup();
        let action = action(reader, route, upstreams);
        check_auth(reader, &route.auth);
        let Some((at, path)) = path(route.path.as_mut()) else {
            continue;
        };
        let methods: Vec<String> = route.methods.list.iter().map(|method| method.value.clone()).collect();
        let host = route.host.as_ref().map(|host| host.value.clone());
        if let Some(first) = paths.take(at, (host.clone(), path.clone()), &methods) {
            let message = "a second route takes this path and method";
            let expected = "another path or `host`, or `methods` that the first does not take";
            reader.report(Problem::new(Code::Duplicate, at, message).expected(expected).first(first));
            continue;
        }
        let Some(action) = action else {
            continue;
        };
        let name = route.name.get_or_insert_with(|| Input::default(own_name(host.as_ref(), &path)));
        routes.push(Arc::new(Route {
            name: name.value.as_str().into(),
            host,
            path,
            methods,
            action,
            auth: route.auth.r#type.value,
            credits: Credits(route.credits.value.into()),
            events: route.events.value,
            websocket: !route.upgrades.list.is_empty(),
            allow_headers: route.allow_headers.list.iter().map(|name| name.value.as_str().into()).collect(),
        }));
    }
    routes
}

/// Returns the action of a route, which has exactly one. The keys that only upstreams need are refused beside another.
fn action(reader: &Reader<'_>, route: &RouteInput, upstreams: &Upstreams) -> Option<Action> {
    const KEYS: [&str; 3] = ["upstreams", "respond", "redirect"];
    let location = &route.location;
    let given: Vec<&str> = KEYS.into_iter().filter(|key| location.has(key)).collect();
    match given.as_slice() {
        [] => {
            location.missing(reader, &KEYS);
            return None;
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!("`{}` has `{first}` and `{second}`", location.path);
            let problem = Problem::new(Code::BadValue, location.at, message);
            reader.report(problem.expected("one of `upstreams`, `respond` and `redirect`"));
            return None;
        }
    }
    if let Some(name) = &route.upstreams {
        return upstream(reader, name, upstreams).map(Action::Forward);
    }
    let of_upstreams = ["credits", "events", "allow_headers", "upgrades"].into_iter().filter(|key| location.has(key));
    for key in of_upstreams {
        let message = format!("`{}` has no upstream, so `{key}` has no effect", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected(format!("no `{key}`")));
    }
    match (&route.respond, &route.redirect) {
        (Some(respond), _) => Some(Action::Respond(fixed_response(reader, respond))),
        (None, Some(redirect)) => {
            let to = redirect.to.as_ref()?.value.clone();
            Some(Action::Redirect(Redirect { to, status: redirect.status.value }))
        }
        (None, None) => None,
    }
}

fn fixed_response(reader: &Reader<'_>, input: &RespondInput) -> FixedResponse {
    let status = u16::try_from(input.status.value).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::OK);
    let body = Bytes::copy_from_slice(input.body.value.as_bytes());
    if matches!(status.as_u16(), 204 | 205 | 304) && !body.is_empty() {
        let message = format!("a response with the status {} has no content", status.as_u16());
        let problem = Problem::new(Code::BadValue, input.body.at(), message);
        reader.report(problem.expected("no `body`, or another `status`"));
    }
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    for (name, value) in &input.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, value.value.clone());
        }
    }
    FixedResponse { status, headers, body }
}

/// Returns the name of a route that has none.
fn own_name(host: Option<&HostMatch>, path: &PathMatch) -> String {
    let path = match path {
        PathMatch::Prefix(path) if path.is_empty() => "/",
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
    };
    host.map_or(path.to_owned(), |host| format!("{host}{path}"))
}

/// A path that a route matches: its position, and the methods.
type RoutedPath = (Option<At>, Vec<String>);

/// The hosts and paths of routes; exact ones and others are separate.
#[derive(Default)]
struct Paths(HashMap<HostAndPath, Vec<RoutedPath>>);

type HostAndPath = (Option<HostMatch>, PathMatch);

impl Paths {
    /// Records a path for these methods. Returns the position of another route that matches them already.
    fn take(&mut self, at: Option<At>, key: HostAndPath, methods: &[String]) -> Option<Option<At>> {
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

/// Returns the path of a route with its position. A final slash of a prefix is removed.
fn path(path: Option<&mut Either<String, PathInput>>) -> Option<(Option<At>, PathMatch)> {
    match path? {
        Either::Single(path) => Some((path.at(), PathMatch::Exact(path.value.clone()))),
        Either::Nested(by_rule) => {
            let prefix = by_rule.prefix.as_mut()?;
            let path = prefix.value.trim_end_matches('/').to_owned();
            prefix.value = if path.is_empty() { "/".to_owned() } else { path.clone() };
            Some((prefix.at(), PathMatch::Prefix(path)))
        }
    }
}

fn upstream(reader: &Reader<'_>, name: &Input<String>, upstreams: &Upstreams) -> Option<Arc<Upstream>> {
    let Some(upstream) = upstreams.by_name.get(&name.value) else {
        reader.unknown_name(name, "upstream", upstreams.names.iter().map(String::as_str));
        return None;
    };
    upstream.clone()
}

/// Reports a section without its `type`.
fn check_auth(reader: &Reader<'_>, auth: &AuthInput) {
    if !auth.location.has("type") {
        auth.location.missing(reader, &["type"]);
    }
}

//! Compiles `routes`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Credits;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use settings::error::{Code, Problem};
use settings::field::{Either, Entries};
use settings::input::Input;
use settings::section::SettingsReader;

use super::UsedNames;
use super::addresses::addresses;
use super::auth::{self, AuthEntries};
use super::cache::{self, SharedCaches};
use super::change_inputs::ChangeInputs;
use super::changes::{changed, of_upstream};
use super::cors::cors;
use super::header_rules::ValueSources;
use super::matches::{KnownMatches, selectors};
use super::rate_limit::RateLimitList;
use super::redirect::redirect;
use super::retry;
use super::upstream::Upstreams;
use super::weighted::forward;
use crate::note::Note;
use crate::schema::traffic::{FallbackInput, RespondInput, RouteInput};
use crate::snapshot::{
    Action, Auth, FixedResponse, MemberPart, PolicyLabels, Redirect, RedirectTarget, Route, RoutePolicy, Scheme,
    Timeouts, Upstream, UpstreamHost,
};

/// The parts of the file that routes refer to.
pub(super) struct RouteParts<'a> {
    pub(super) upstreams: &'a Upstreams,
    pub(super) auth: &'a AuthEntries,
    pub(super) timeouts: Timeouts,
    /// Gets the limits of the routes.
    pub(super) rate_limits: &'a mut RateLimitList,
    pub(super) notes: &'a mut Vec<Note>,
}

/// Compiles all routes; `listeners` are the names of the listeners in their order.
pub(super) fn routes(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<RouteInput>,
    listeners: &[Option<&str>],
    parts: RouteParts<'_>,
    caches: SharedCaches,
) -> Vec<Arc<Route>> {
    let mut names = UsedNames::default();
    let known = KnownMatches::default();
    let labels = LabelNames::default();
    let claim_headers = parts.auth.claim_headers();
    let mut compiled =
        CompiledRoutes { reader, listeners, claim_headers, parts, caches, known, labels, routes: Vec::new() };
    for (number, route) in entries.list.iter_mut().enumerate() {
        route.name.take_if(|name| !names.take(reader, name, "route"));
        route.methods.dedup();
        route.allow_headers.dedup();
        route.compression.dedup();
        compiled.add(route, number);
    }
    compiled.known.check_expressions(reader);
    compiled.routes
}

/// The routes so far.
struct CompiledRoutes<'a, 'p> {
    reader: &'a SettingsReader<'a>,
    listeners: &'a [Option<&'a str>],
    claim_headers: Arc<[Box<str>]>,
    parts: RouteParts<'p>,
    caches: SharedCaches,
    known: KnownMatches,
    labels: LabelNames,
    routes: Vec<Arc<Route>>,
}

impl CompiledRoutes<'_, '_> {
    /// Adds the routes of one entry: one for each of its hosts and paths.
    fn add(&mut self, route: &mut RouteInput, entry: usize) {
        let reader = self.reader;
        let action = action(reader, route, self.parts.upstreams);
        check_upgrades(reader, route, action.as_ref());
        cache::check_changes(reader, route);
        let selectors = selectors(reader, route, self.listeners, &self.claim_headers);
        // Counts of a named route remain if its selectors change.
        let counted = match &route.name {
            Some(name) => name.value.clone(),
            None => format!("{} {}", selectors.own_name(), selectors.scope()),
        };
        let name = route.name.get_or_insert_with(|| Input::default(selectors.own_name())).value.clone();
        let policy = self.policy(route, entry, &name, &counted);
        let credits = unused_credits(reader, route, &policy.auth);
        self.parts.notes.extend(credits.map(|place| Note::CreditsUnused { place, route: name }));
        for path in &selectors.paths {
            let from = ValueSources { path: &path.1, has_claims: auth::may_have_claims(&route.auth) };
            let inputs = ChangeInputs { upstream: None, route: route.transformations.as_ref() };
            let (policy, rewrite) = changed(reader, &policy, inputs, from);
            let policy = Arc::new(policy);
            let action = action.as_ref().and_then(|action| at_path(reader, action, (route, &policy), from));
            for placed in selectors.matches_for(path) {
                if !self.known.take(reader, &placed) {
                    continue;
                }
                let Some(action) = action.clone() else { continue };
                self.routes.push(Arc::new(Route {
                    matches: placed.matches,
                    policy: policy.clone(),
                    action,
                    rewrite: rewrite.clone(),
                    websocket: !route.upgrades.list.is_empty(),
                    place: route.location.at.place(),
                    entry,
                }));
            }
        }
    }

    /// Returns the policy of all routes of an entry, without the changes that depend on the path. `counted` identifies the
    /// route for its rate limits.
    fn policy(&mut self, route: &RouteInput, entry: usize, name: &str, counted: &str) -> RoutePolicy {
        let reader = self.reader;
        let auth = auth::of_route(reader, &route.auth, self.parts.auth);
        RoutePolicy {
            name: name.into(),
            key_places: auth::key_places(&route.auth),
            is_restrictable: true,
            rate_limits: self.parts.rate_limits.of_route(reader, route, counted),
            events: route.events.value,
            credits: Credits::whole(route.credits.value.into()),
            timeouts: retry::of_route(route.timeouts.as_ref(), self.parts.timeouts),
            labels: self.labels.route_labels(reader, route),
            fallback: route.fallback.as_ref().map(|fallback| Box::new(self::fallback(reader, fallback))),
            upstream_host: UpstreamHost::ByScheme,
            request_headers: None,
            response: None,
            request_body: None,
            response_body: None,
            addresses: route.addresses.as_ref().and_then(|input| addresses(reader, input)),
            body_bytes_max: route.sizes.as_ref().and_then(|sizes| Some(sizes.body.as_ref()?.value)),
            cors: route.cors.as_ref().and_then(|input| cors(reader, input, &auth)),
            auth,
            cache: route.cache.as_ref().map(|input| self.caches.rules(reader, input, entry)),
            compression: route.compression.list.iter().map(|coding| coding.value).collect(),
            allow_headers: route.allow_headers.list.iter().map(|name| name.value.as_str().into()).collect(),
        }
    }
}

/// The names of the labels of all routes.
#[derive(Default)]
struct LabelNames(BTreeSet<String>);

impl LabelNames {
    /// Maximum number of names: each is a label of the metric of every route.
    const MAX: usize = 4;

    /// Returns the labels of a route. A name beyond the maximum is reported.
    fn route_labels(&mut self, reader: &SettingsReader<'_>, route: &RouteInput) -> PolicyLabels {
        for (name, value) in &route.labels {
            self.0.insert(name.clone());
            if self.0.len() > Self::MAX {
                let problem =
                    Problem::new(Code::BadValue, value.value_origin(), "the routes have too many names of labels");
                reader.report(problem.expected("at most 4 names in all routes together"));
                self.0.remove(name);
            }
        }
        let pairs = route.labels.iter().map(|(name, value)| (name.as_str().into(), value.value.as_str().into()));
        PolicyLabels::new(pairs.collect())
    }
}

/// Returns the shortest timeout of all routes; `general` are those of requests without one.
pub(super) fn shortest_timeout(routes: &[Arc<Route>], general: Timeouts) -> Duration {
    routes.iter().map(|route| route.policy.timeouts.shortest()).fold(general.shortest(), Ord::min)
}

/// Returns the position of credits that no request uses: no client of the route has a quota.
fn unused_credits(reader: &SettingsReader<'_>, route: &RouteInput, auth: &Auth) -> Option<String> {
    let is_unused = route.location.has("credits") && route.credits.value > 0 && !auth.may_have_plan();
    if !is_unused {
        return None;
    }
    let place = route.credits.value_origin()?.place()?;
    Some(format!("{}:{}:{}", reader.file(), place.line, place.column))
}

/// Returns the action of a route, which has exactly one. The keys that only upstreams need are refused beside another.
fn action(reader: &SettingsReader<'_>, route: &RouteInput, upstreams: &Upstreams) -> Option<Action> {
    const KEYS: [&str; 3] = ["upstreams", "respond", "redirect"];
    const OF_UPSTREAMS: [&str; 9] =
        ["credits", "events", "allow_headers", "upgrades", "strategy", "timeouts", "fallback", "sizes", "cache"];
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
    if let Some(input) = &route.upstreams {
        return forward(reader, input, route.strategy.as_ref(), upstreams);
    }
    let of_upstreams = OF_UPSTREAMS.into_iter().filter(|key| location.has(key));
    for key in of_upstreams.chain(transformations_of_upstreams(route)) {
        let message = format!("`{}` has no upstream, so `{key}` has no effect", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected(format!("no `{key}`")));
    }
    match (&route.respond, &route.redirect) {
        (Some(respond), _) => Some(Action::Respond(fixed_response(reader, respond))),
        (None, Some(redirect)) => {
            // Its target depends on the path.
            let target = RedirectTarget::Parts(Box::default());
            Some(Action::Redirect(Redirect { target, status: redirect.status.value }))
        }
        (None, None) => None,
    }
}

/// Reports `upgrades` of a route to an upstream with `h2c`, over which no WebSocket is opened.
fn check_upgrades(reader: &SettingsReader<'_>, route: &RouteInput, action: Option<&Action>) {
    let Some(upgrade) = route.upgrades.list.first() else { return };
    let found = match action {
        Some(Action::Forward(upstream)) => Some(upstream).filter(|upstream| has_h2c(upstream)),
        Some(Action::Split(split)) => split.upstreams.iter().map(|part| &part.upstream).find(|found| has_h2c(found)),
        Some(Action::Respond(_) | Action::Redirect(_)) | None => None,
    };
    if let Some(upstream) = found {
        let message = format!("the upstream `{}` speaks `h2c`, over which no WebSocket is opened", upstream.name);
        let problem = Problem::new(Code::BadValue, upgrade.value_origin(), message);
        reader.report(problem.expected("no `upgrades`, or only `http` and `https`"));
    }
}

/// Returns whether the configuration names a member with `h2c`. The values of etcd may name others.
fn has_h2c(upstream: &Upstream) -> bool {
    let parts = upstream.discovery.iter().flat_map(|discovery| discovery.parts.iter());
    let found = parts.filter_map(|part| match part {
        MemberPart::Found { template, .. } => Some(template),
        // The backends include it.
        MemberPart::Fixed(_) => None,
    });
    upstream.configured.iter().map(|backend| &backend.origin).chain(found).any(|origin| origin.scheme == Scheme::H2c)
}

/// Returns the given keys of `transformations` that only an upstream needs.
fn transformations_of_upstreams(route: &RouteInput) -> impl Iterator<Item = &'static str> {
    let transformations = route.transformations.as_ref();
    let request = transformations.and_then(|both| both.request.as_ref());
    let has_request = request.is_some_and(|request| {
        ["rewrite", "remove_headers", "add_headers", "append_headers", "body", "body_max"]
            .iter()
            .any(|key| request.location.has(key))
    });
    let response = transformations.and_then(|both| both.response.as_ref());
    let has_status = response.is_some_and(|response| !response.status.is_empty());
    let has_body = response.is_some_and(|response| response.body.is_some());
    let keys = [
        (has_request, "transformations.request"),
        (has_status, "transformations.response.status"),
        (has_body, "transformations.response.body"),
    ];
    keys.into_iter().filter(|(has, _)| *has).map(|(_, key)| key)
}

/// Returns the action at one path, on which redirects and the changes of single upstreams depend.
fn at_path(
    reader: &SettingsReader<'_>,
    action: &Action,
    of: (&RouteInput, &RoutePolicy),
    from: ValueSources<'_>,
) -> Option<Action> {
    let (route, policy) = of;
    match (action, &route.redirect, &route.upstreams) {
        (Action::Redirect(_), Some(input), _) => redirect(reader, input, from.path).map(Action::Redirect),
        (Action::Split(split), _, Some(Either::Nested(entries))) => {
            let mut split = split.clone();
            for part in &mut split.upstreams {
                let is_of = |name: &Input<String>| *name.value == *part.upstream.name;
                let entry = entries.list.iter().find(|entry| entry.name.as_ref().is_some_and(is_of));
                let upstream = entry.and_then(|entry| entry.transformations.as_ref());
                let inputs = ChangeInputs { upstream, route: route.transformations.as_ref() };
                part.changes = of_upstream(reader, policy, inputs, from);
            }
            Some(Action::Split(split))
        }
        _ => Some(action.clone()),
    }
}

fn fixed_response(reader: &SettingsReader<'_>, input: &RespondInput) -> FixedResponse {
    let RespondInput { status, body, headers, .. } = input;
    of_parts(reader, status.value, body, headers)
}

fn fallback(reader: &SettingsReader<'_>, input: &FallbackInput) -> FixedResponse {
    let FallbackInput { status, body, headers, .. } = input;
    of_parts(reader, status.value, body, headers)
}

/// Returns a response of the configuration.
fn of_parts(
    reader: &SettingsReader<'_>,
    status: u32,
    content: &Input<String>,
    fields: &[(String, Input<HeaderValue>)],
) -> FixedResponse {
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::OK);
    let body = Bytes::copy_from_slice(content.value.as_bytes());
    if matches!(status.as_u16(), 204 | 205 | 304) && !body.is_empty() {
        let message = format!("a response with the status {} has no content", status.as_u16());
        let problem = Problem::new(Code::BadValue, content.value_origin(), message);
        reader.report(problem.expected("no `body`, or another `status`"));
    }
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    for (name, value) in fields {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, value.value.clone());
        }
    }
    FixedResponse { status, headers, body }
}

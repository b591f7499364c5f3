//! The choice of the route: the reasons for it, and the other routes of the same path.

use std::sync::Arc;

use access::Refusal;

use super::{ExplainedRefusal, ExplainedRoute, OtherRoute, WrittenRequest};
use crate::snapshot::trusted_headers::FieldSource;
use crate::snapshot::{
    ConditionOn, DisputedPart, HostName, PathMatch, PathRefusal, Route, Selection, Snapshot, normalized,
};

/// Maximum number of other routes that are listed.
const OTHERS_MAX: usize = 20;

/// Returns the selected route, with the reasons for it.
pub(super) fn selected(snapshot: &Snapshot, selection: &Selection<'_, '_>) -> Option<ExplainedRoute> {
    match selection {
        Selection::Route(route) => Some(ExplainedRoute {
            name: route.policy.name.to_string(),
            is_endpoint: false,
            place: snapshot.place_text(route.place),
            because: reasons(route),
        }),
        Selection::Endpoint(called) => Some(ExplainedRoute {
            name: called.endpoint.path().to_owned(),
            is_endpoint: true,
            place: None,
            because: vec!["an LLM endpoint has this path and method".to_owned()],
        }),
        Selection::Quotas(form) => Some(ExplainedRoute {
            name: form.path().to_owned(),
            is_endpoint: true,
            place: None,
            because: vec!["a key reads its quotas at this path".to_owned()],
        }),
        Selection::Health => Some(ExplainedRoute {
            name: "healthz".to_owned(),
            is_endpoint: false,
            place: None,
            because: vec!["the gateway's own health check has this path".to_owned()],
        }),
        Selection::WrongMethod { .. } | Selection::Disputed { .. } | Selection::None => None,
    }
}

/// Returns the parts of a request that match the route, in the order of precedence.
pub(super) fn reasons(route: &Route) -> Vec<String> {
    let host = route.matches.host.as_ref().map(|host| {
        let port = host.port.map(|port| format!(", and the port {port}")).unwrap_or_default();
        match &host.name {
            HostName::Exact(host) => format!("the host is {host}{port}"),
            HostName::Below(domain) => format!("the host is below {domain}{port}"),
        }
    });
    let path = match &route.matches.path {
        PathMatch::Exact(path) => format!("the path is {path}"),
        PathMatch::Prefix(_) => format!("the path begins with {}", route.matches.path),
        PathMatch::Template(template) => format!("the path matches {template}"),
        PathMatch::Regex(pattern) => format!("the path matches the expression {pattern}"),
    };
    let listeners =
        (!route.matches.listeners.is_empty()).then(|| format!("the listener is one of {}", listeners(route)));
    let methods = (!route.matches.methods.is_empty()).then(|| format!("the method is one of {}", methods(route)));
    let conditions = route.matches.conditions.iter().flat_map(|conditions| conditions.all());
    host.into_iter()
        .chain([path])
        .chain(listeners)
        .chain(methods)
        .chain(conditions.map(|condition| format!("the {condition}{}", sender(condition))))
        .collect()
}

/// Returns where the values of a condition are, unless the client's request has them.
fn sender(condition: ConditionOn<'_>) -> &'static str {
    match condition {
        ConditionOn::Query(_) => "",
        ConditionOn::Header(condition) => match condition.source {
            FieldSource::Client | FieldSource::Scheme => "",
            FieldSource::TrustedProxy => " (only trusted proxies may send it)",
            FieldSource::Certificate => " (the client's certificate, which explanations do not have)",
        },
    }
}

/// Returns routes of the host and the path of the request that are not used. Without a route, those of other hosts are
/// among them.
pub(super) fn others(snapshot: &Snapshot, selection: &Selection<'_, '_>, request: &WrittenRequest) -> Vec<OtherRoute> {
    let path = normalized(&request.path);
    let mut last = match selection {
        Selection::Route(used) => Some(used.entry),
        Selection::Endpoint(_)
        | Selection::Health
        | Selection::Quotas(_)
        | Selection::WrongMethod { .. }
        | Selection::Disputed { .. }
        | Selection::None => None,
    };
    let used = last;
    let routes = snapshot.traffic.router.routes().iter();
    let has_none = matches!(selection, Selection::None);
    let is_at = |route: &Route| route.is_at(request.scheme, request.host.as_bytes(), &path);
    let is_near = |route: &Route| is_at(route) || has_none && route.matches.path.is_match(&path);
    // An entry with several hosts and paths is listed once.
    let others = routes
        .filter(|route| used != Some(route.entry) && is_near(route))
        .filter(|route| last.replace(route.entry) != Some(route.entry));
    let other = |route: &Arc<Route>| OtherRoute {
        name: route.policy.name.to_string(),
        place: snapshot.place_text(route.place),
        because: unused(snapshot, route, request),
    };
    others.take(OTHERS_MAX).map(other).collect()
}

fn listeners(route: &Route) -> String {
    route.matches.listeners.iter().map(|listener| &*listener.name).collect::<Vec<_>>().join(", ")
}

fn methods(route: &Route) -> String {
    route.accepted_methods().collect::<Vec<_>>().join(", ")
}

/// Returns the reason why a route of the same path is not used.
fn unused(snapshot: &Snapshot, route: &Route, request: &WrittenRequest) -> String {
    if let Some(host) = &route.matches.host
        && !route.is_at(request.scheme, request.host.as_bytes(), &normalized(&request.path))
    {
        return format!("the host is not {host}");
    }
    if !route.is_of(snapshot.process.listener_of(request.scheme, &request.host)) {
        return format!("the listener is not one of {}", listeners(route));
    }
    if route.accepts(&request.method).is_none() {
        return format!("the method is not one of {}", methods(route));
    }
    match route.matches.conditions.as_ref().and_then(|conditions| conditions.first_unmet(&request.arriving(snapshot))) {
        Some(unmet) => format!("it needs: {unmet}{}", sender(unmet)),
        None => "another route comes first in the order of precedence".to_owned(),
    }
}

/// Returns the refusal of a request that has no route, or whose route does not accept its path.
pub(super) fn refused(
    snapshot: &Snapshot,
    selection: &Selection<'_, '_>,
    request: &WrittenRequest,
) -> Option<ExplainedRefusal> {
    let (refusal, message) = match selection {
        Selection::Route(route) if !route.websocket && request.requests_websocket => {
            (Refusal::UpgradeRequired, "the route does not support WebSockets".to_owned())
        }
        Selection::Route(route) => {
            let arriving = request.arriving(snapshot);
            let refusal = snapshot.traffic.path_refusal(arriving.requested(&snapshot.process), route)?;
            (Refusal::BadRequest, refused_path(&refusal))
        }
        Selection::WrongMethod { endpoint: Some(_), .. } if request.names_websocket => {
            (Refusal::UpgradeRequired, "LLM endpoints do not support WebSockets".to_owned())
        }
        Selection::WrongMethod { allow, .. } => (Refusal::MethodNotAllowed, format!("this path is served for {allow}")),
        Selection::Disputed { part } => (Refusal::BadRequest, disputed(*part)),
        Selection::None => (Refusal::RouteNotFound, "no route has this path".to_owned()),
        Selection::Endpoint(_) | Selection::Quotas(_) | Selection::Health => return None,
    };
    Some(ExplainedRefusal { status: refusal.status(), code: refusal.code(), message })
}

/// Returns the reason for which a path is refused, with the other path and its route.
fn refused_path(refusal: &PathRefusal<'_>) -> String {
    match refusal {
        PathRefusal::Form(message) => (*message).to_owned(),
        PathRefusal::OtherReading { form, route: Some(route) } => format!(
            "a backend may read this path as {form}, whose route {} treats requests otherwise: see `paths`",
            route.policy.name
        ),
        PathRefusal::OtherReading { form, route: None } => {
            format!("a backend may read this path as {form}, which no route has: see `paths`")
        }
    }
}

/// Returns the refusal of a client whose address the route does not accept.
pub(super) fn refused_address(selection: &Selection<'_, '_>, request: &WrittenRequest) -> Option<ExplainedRefusal> {
    let Selection::Route(route) = selection else { return None };
    let rules = route.policy.addresses.as_ref()?;
    let from = request.address?;
    (!rules.accepts(from)).then(|| ExplainedRefusal {
        status: Refusal::Forbidden.status(),
        code: Refusal::Forbidden.code(),
        message: format!("the route does not accept requests from {from}"),
    })
}

/// Returns the reason for which a request is refused that has several values of this part.
#[must_use]
pub fn disputed(part: DisputedPart<'_>) -> String {
    format!("{part} has several values, and routes are chosen by it: send it once")
}

//! What happens to an admitted request.

use std::sync::Arc;

use access::Refusal;
use ai::Endpoint;

use super::{ExplainedAction, ExplainedBackend, ExplainedRefusal, ExplainedUpstream, WrittenRequest};
use crate::snapshot::{Action, ReceivedTarget, Route, Selection, Snapshot, Upstream, normalized};

/// An action without any detail.
const fn plain(kind: &'static str) -> ExplainedAction {
    ExplainedAction { kind, target: None, location: None, upstreams: Vec::new(), format: None }
}

/// Returns the action, and the status if the gateway itself responds.
pub(super) fn action(
    snapshot: &Snapshot,
    selection: &Selection<'_, '_>,
    request: &WrittenRequest,
) -> Result<(ExplainedAction, Option<u16>), ExplainedRefusal> {
    match selection {
        Selection::Route(route) => of_route(snapshot, route, request),
        Selection::Health => Ok((plain("status"), Some(200))),
        Selection::Endpoint(called) if called.endpoint == Endpoint::Root => Ok((plain("status"), Some(200))),
        Selection::Endpoint(called) => Ok(match called.endpoint.format() {
            Some(format) => (ExplainedAction { format: Some(format.name()), ..plain("inference") }, None),
            None => (plain("models"), None),
        }),
        Selection::WrongMethod { .. } | Selection::Disputed { .. } | Selection::None => Ok((plain("refuse"), None)),
    }
}

fn of_route(
    snapshot: &Snapshot,
    route: &Route,
    request: &WrittenRequest,
) -> Result<(ExplainedAction, Option<u16>), ExplainedRefusal> {
    let path = normalized(&request.path);
    let received = ReceivedTarget { path: &path, query: request.query.as_deref() };
    let upstreams: Vec<(&Arc<Upstream>, u32)> = match &route.action {
        Action::Respond(fixed) => return Ok((plain("respond"), Some(fixed.status.as_u16()))),
        Action::Redirect(redirect) => {
            let location = String::from_utf8_lossy(redirect.location(received).as_bytes()).into_owned();
            let action = ExplainedAction { location: Some(location), ..plain("redirect") };
            return Ok((action, Some(redirect.status.as_u16())));
        }
        Action::Forward(upstream) => vec![(upstream, 1)],
        Action::Split(split) => split.upstreams.iter().map(|part| (&part.upstream, part.weight)).collect(),
    };
    let target = match &route.rewrite {
        Some(rewrite) => rewrite.target(received).ok_or_else(invalid_target)?,
        None => {
            let query = request.query.as_ref().map(|query| format!("?{query}"));
            format!("{}{}", request.path, query.unwrap_or_default())
        }
    };
    let upstreams = upstreams.into_iter().map(|(upstream, weight)| ExplainedUpstream {
        name: upstream.name.to_string(),
        weight,
        strategy: upstream.strategy.name(),
        backends: backends(upstream, &target),
        place: snapshot.at(upstream.place),
    });
    let upstreams = upstreams.collect();
    Ok((ExplainedAction { target: Some(target), upstreams, ..plain("forward") }, None))
}

fn backends(upstream: &Upstream, target: &str) -> Vec<ExplainedBackend> {
    let backend = |backend: &crate::snapshot::Backend| ExplainedBackend {
        url: format!("{}{target}", backend.origin),
        weight: backend.weight,
    };
    upstream.backends.iter().map(backend).collect()
}

fn invalid_target() -> ExplainedRefusal {
    let refusal = Refusal::BadRequest;
    let message = "this path has no valid form for the upstream of its route".to_owned();
    ExplainedRefusal { status: refusal.status(), code: refusal.code(), message }
}

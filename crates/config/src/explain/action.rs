//! What happens to an admitted request.

use std::sync::Arc;

use access::Refusal;
use ai::Endpoint;

use super::targets::{ModelTargets, targets};
use super::{ExplainedAction, ExplainedBackend, ExplainedRefusal, ExplainedUpstream, WrittenRequest};
use crate::snapshot::{
    Action, ReceivedTarget, RequestedOrigin, Rewrite, Route, Selection, Snapshot, Upstream, WeightedUpstream,
    unreserved,
};

/// An action without any detail.
pub(super) const fn plain(kind: &'static str) -> ExplainedAction {
    ExplainedAction {
        kind,
        target: None,
        location: None,
        upstreams: Vec::new(),
        format: None,
        strategy: None,
        targets: Vec::new(),
    }
}

/// Returns the action, and the status if the gateway itself responds.
pub(super) fn action(
    snapshot: &Snapshot,
    selection: &Selection<'_, '_>,
    request: &WrittenRequest,
) -> Result<(ExplainedAction, Option<u16>), ExplainedRefusal> {
    match selection {
        Selection::Route(route) => of_route(snapshot, route, request),
        Selection::Quotas(_) => Ok((plain("quotas"), Some(200))),
        Selection::Health => Ok((plain("status"), Some(200))),
        Selection::Endpoint(called) if called.endpoint == Endpoint::Root => Ok((plain("status"), Some(200))),
        Selection::Endpoint(called) => Ok(match called.endpoint.format() {
            Some(format) => {
                let ModelTargets { strategy, targets } = targets(snapshot, called, request)?;
                let format = Some(format.name());
                (ExplainedAction { format, strategy, targets, ..plain("inference") }, None)
            }
            None => (plain("models"), None),
        }),
        Selection::WrongMethod { .. } | Selection::Disputed { .. } | Selection::None => Ok((plain("refuse"), None)),
    }
}

fn of_route<'a>(
    snapshot: &Snapshot,
    route: &'a Route,
    request: &WrittenRequest,
) -> Result<(ExplainedAction, Option<u16>), ExplainedRefusal> {
    let path = unreserved(&request.path);
    let received = ReceivedTarget { path: &path, query: request.query.as_deref() };
    let rewrite = route.rewrite.as_deref();
    let upstreams: Vec<(&Arc<Upstream>, u32, Option<&Rewrite>)> = match &route.action {
        Action::Respond(fixed) => return Ok((plain("respond"), Some(fixed.status.as_u16()))),
        Action::Redirect(redirect) => {
            let from = RequestedOrigin { scheme: request.scheme, host: &request.host };
            let location = redirect.location(received, from).ok_or_else(no_location)?;
            let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
            let action = ExplainedAction { location: Some(location), ..plain("redirect") };
            return Ok((action, Some(redirect.status.as_u16())));
        }
        Action::Forward(upstream) => vec![(upstream, 1, rewrite)],
        Action::Split(split) => {
            let rewrite = |part: &'a WeightedUpstream| match &part.changes {
                Some(changes) => changes.rewrite.as_deref(),
                None => rewrite,
            };
            split.upstreams.iter().map(|part| (&part.upstream, part.weight, rewrite(part))).collect()
        }
    };
    let target = |rewrite: Option<&Rewrite>| match rewrite {
        Some(rewrite) => rewrite.shown_target(received).ok_or_else(invalid_target),
        None => {
            let query = request.query.as_ref().map(|query| format!("?{query}"));
            Ok(format!("{}{}", request.path, query.unwrap_or_default()))
        }
    };
    let upstreams = upstreams.into_iter().map(|(upstream, weight, rewrite)| {
        let target = target(rewrite)?;
        Ok(ExplainedUpstream {
            name: upstream.name.to_string(),
            weight,
            strategy: upstream.strategy.name(),
            backends: backends(upstream, &target),
            sent_target: match rewrite {
                Some(rewrite) => rewrite.target(received),
                None => Some(target.clone()),
            },
            target,
            sources: upstream.discovery.iter().flat_map(|discovery| discovery.sources()).collect(),
            place: snapshot.place_text(upstream.place),
        })
    });
    let upstreams = upstreams.collect::<Result<Vec<_>, _>>()?;
    let mut targets = upstreams.iter().map(|upstream| &upstream.target);
    let target = targets.next().filter(|first| targets.all(|other| other == *first)).cloned();
    Ok((ExplainedAction { target, upstreams, ..plain("forward") }, None))
}

fn backends(upstream: &Upstream, target: &str) -> Vec<ExplainedBackend> {
    let backend = |backend: &crate::snapshot::Backend| ExplainedBackend {
        url: format!("{}{target}", backend.origin),
        name: backend.origin.name().map(str::to_owned),
        weight: backend.weight,
    };
    upstream.backends().iter().map(backend).collect()
}

fn no_location() -> ExplainedRefusal {
    let refusal = Refusal::BadRequest;
    let message = "this request has no valid address to which its route redirects it".to_owned();
    ExplainedRefusal { status: refusal.status(), code: refusal.code(), message }
}

fn invalid_target() -> ExplainedRefusal {
    let refusal = Refusal::BadRequest;
    let message = "this path has no valid form for the upstream of its route".to_owned();
    ExplainedRefusal { status: refusal.status(), code: refusal.code(), message }
}

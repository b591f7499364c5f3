//! The changes that apply to the requests of an upstream of a route: its own keys of `transformations`, and those of the route.

use std::sync::Arc;

use settings::section::SettingsReader;

use super::body_changes;
use super::change_inputs::ChangeInputs;
use super::header_rules::{self, ValueSources};
use super::rewrite::{self, rewrite};
use crate::snapshot::{Rewrite, RoutePolicy, UpstreamChanges};

/// Returns the policy with these changes, and the rewrite.
pub(super) fn changed(
    reader: &SettingsReader<'_>,
    policy: &RoutePolicy,
    inputs: ChangeInputs<'_>,
    from: ValueSources<'_>,
) -> (RoutePolicy, Option<Box<Rewrite>>) {
    let policy = RoutePolicy {
        upstream_host: rewrite::upstream_host(inputs),
        request_headers: header_rules::of_requests(reader, inputs, from),
        response: header_rules::of_responses(reader, inputs, from),
        request_body: body_changes::of_requests(reader, inputs),
        response_body: body_changes::of_responses(reader, inputs),
        ..policy.clone()
    };
    (policy, rewrite(reader, inputs, from.path))
}

/// Returns the changes of an upstream of a list; `None` if it has no own `transformations`.
pub(super) fn of_upstream(
    reader: &SettingsReader<'_>,
    policy: &RoutePolicy,
    inputs: ChangeInputs<'_>,
    from: ValueSources<'_>,
) -> Option<Arc<UpstreamChanges>> {
    inputs.upstream?;
    let (policy, rewrite) = changed(reader, policy, inputs, from);
    Some(Arc::new(UpstreamChanges { policy: Arc::new(policy), rewrite }))
}

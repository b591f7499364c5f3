//! CORS preflight requests: the gateway responds to them before authentication and limits, on the route of the call that
//! they announce.

use access::only;

use super::action::plain;
use super::{Explanation, WrittenRequest};
use crate::snapshot::{Selection, Snapshot, is_announced_method};

/// Returns the call that a preflight request announces, if its route has `cors`.
pub(super) fn announced(snapshot: &Snapshot, request: &WrittenRequest) -> Option<WrittenRequest> {
    if request.method != "OPTIONS" || only(request.field("origin")).is_none() {
        return None;
    }
    let method = request.field("access-control-request-method").next()?;
    if !is_announced_method(method.as_bytes()) {
        return None;
    }
    let call = request.with_method(method);
    let has_cors = match snapshot.traffic.select(call.arriving(snapshot).requested(&snapshot.process)) {
        Selection::Route(route) => route.policy.cors.is_some(),
        Selection::Endpoint(_)
        | Selection::Health
        | Selection::Quotas(_)
        | Selection::WrongMethod { .. }
        | Selection::Disputed { .. }
        | Selection::None => false,
    };
    has_cors.then_some(call)
}

/// Adds the response to the preflight request of this call.
pub(super) fn explain(call: &WrittenRequest, to: &mut Explanation) {
    if let Some(route) = &mut to.route {
        route.because.push(format!("it has `cors`, and the request is the preflight request of {}", call.method));
    }
    to.action = Some(plain("respond"));
    to.status = Some(204);
}

//! The target of a request to an upstream whose route rewrites it.

use access::Refusal;
use config::snapshot::{ReceivedTarget, Rewrite, unreserved};

use crate::client::head::Head;
use crate::refusal::problem::Problem;
use crate::upstream::outgoing::OutgoingTarget;

/// Returns the rewritten target. One that no client could send is refused.
pub(super) fn rewritten(rewrite: &Rewrite, head: &Head) -> Result<OutgoingTarget, Problem> {
    let target = rewrite.target(ReceivedTarget { path: &unreserved(head.path()), query: head.query() });
    let message = "this path has no valid form for the upstream of its route";
    target.map(OutgoingTarget::Written).ok_or_else(|| Problem::new(Refusal::BadRequest, message))
}

//! The target of a request to an upstream whose route rewrites it.

use access::Refusal;
use config::snapshot::{ReceivedTarget, Rewrite, normalized};

use crate::answer::Problem;
use crate::head::{Head, is_origin_target};
use crate::upstream::outgoing::OutgoingTarget;

/// Returns the rewritten target. One that no client could send is refused: an expression can join parts of a path to a
/// dot segment.
pub(super) fn rewritten(rewrite: &Rewrite, head: &Head) -> Result<OutgoingTarget, Problem> {
    let target = rewrite.target(ReceivedTarget { path: &normalized(head.path()), query: head.query() });
    if rewrite.may_be_invalid() && !is_origin_target(&target) {
        let message = "this path has no valid form for the upstream of its route";
        return Err(Problem::new(Refusal::BadRequest, message));
    }
    Ok(OutgoingTarget::Written(target))
}

//! Interim responses (RFC 9110, 15.2) of an upstream that are relayed before the response, such as 103 Early Hints.

use std::cell::RefCell;

use http1::{Field, KnownName};

use crate::upstream::response_head::{RelayedHead, UpstreamHead, is_sharing};

/// Known fields that are not relayed, because the gateway decides about them in the response: its request id, its limits,
/// cookies, and the origins that may read it. Fields of the connection are not relayed either.
const WITHHELD: [KnownName; 9] = [
    KnownName::RateLimit,
    KnownName::RateLimitPolicy,
    KnownName::RequestId,
    KnownName::RetryAfter,
    KnownName::SetCookie,
    KnownName::XRatelimitLimit,
    KnownName::XRatelimitRemaining,
    KnownName::XRatelimitReset,
    KnownName::XRequestId,
];

/// The interim responses that the client has not been sent yet. The calls to upstreams limit their number and size.
#[derive(Debug, Default)]
pub(crate) struct InterimResponses {
    heads: RefCell<Vec<RelayedHead>>,
}

impl InterimResponses {
    /// Adds an interim response of an upstream. `100 Continue` is not relayed, because the gateway itself sends it.
    pub(crate) fn relay(&self, head: UpstreamHead) {
        if head.status() == 100 {
            return;
        }
        let mut head = *RelayedHead::new(head);
        let is_withheld = |field: Field<'_>| match field.known {
            Some(known) => WITHHELD.contains(&known),
            None => is_sharing(field.name),
        };
        head.edits.remove_fields(head.head.fields(), is_withheld);
        self.heads.borrow_mut().push(head);
    }

    /// Moves the interim responses to the end of `to`, in order.
    pub(crate) fn move_to(&self, to: &mut Vec<RelayedHead>) {
        let mut heads = self.heads.borrow_mut();
        if !heads.is_empty() {
            to.append(&mut heads);
        }
    }
}

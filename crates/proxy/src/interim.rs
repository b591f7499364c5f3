//! Interim responses (RFC 9110, 15.2) of an upstream that are relayed before the response, such as 103 Early Hints.

use std::cell::RefCell;

use http1::KnownName;

use crate::upstream::response_head::{RelayedHead, UpstreamHead};

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
        for name in [KnownName::XRequestId, KnownName::RequestId] {
            head.edits.remove(name);
        }
        self.heads.borrow_mut().push(head);
    }

    /// Moves the interim responses to the end of `to`, in order.
    pub(crate) fn move_to(&self, to: &mut Vec<RelayedHead>) {
        to.append(&mut self.heads.borrow_mut());
    }
}

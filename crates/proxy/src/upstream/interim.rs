//! Interim responses (RFC 9110, 15.2) of an upstream that are relayed before the response, such as 103 Early Hints.

use std::cell::RefCell;

use crate::upstream::response_head::{RelayedHead, UpstreamHead};

/// The fields of interim responses that are relayed. All others may contradict what the gateway says in the response: its
/// request id, its limits, the origins that may read it (RFC 8297; resumable uploads: draft-ietf-httpbis-resumable-upload).
const RELAYED: [&str; 8] = [
    "link",
    "content-security-policy",
    "referrer-policy",
    "server-timing",
    "location",
    "upload-complete",
    "upload-limit",
    "upload-offset",
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
        let is_relayed = |name: &[u8]| RELAYED.iter().any(|relayed| name.eq_ignore_ascii_case(relayed.as_bytes()));
        head.edits.remove_fields(head.head.fields(), |field| !is_relayed(field.name));
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

//! The head of a request as an upstream gets it: the client's head, and the changes to it. Nothing is applied before it is
//! written, so a further attempt starts from the same head.

use std::rc::Rc;

use http::uri;
use http_body::Body as _;
use http1::{AnnouncedContent, HeadEdits};

use crate::body::upload::Upload;
use crate::client::head::Head;

/// A request head on its way to a destination.
pub(crate) struct OutgoingHead {
    pub(crate) head: Rc<Head>,
    pub(crate) edits: HeadEdits,
    pub(crate) target: OutgoingTarget,
    pub(crate) origin: Rc<TargetOrigin>,
    /// Whether the upstream may change to another protocol (RFC 9110, 7.8).
    pub(crate) upgrades: bool,
}

/// The parts of an origin that heads of requests have.
pub(crate) struct TargetOrigin {
    /// The path before that of each request.
    pub(crate) path: String,
    /// `:authority` and `:scheme` of HTTP/2.
    pub(crate) authority: uri::Authority,
    pub(crate) scheme: uri::Scheme,
}

/// The path and query that follow the path of the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutgoingTarget {
    /// The path and query that the client sent, without the first `prefix_len` bytes, which are `ai.prefix`.
    Received { prefix_len: usize },
    /// A path and query that the gateway wrote.
    Written(String),
}

impl OutgoingHead {
    /// The target in parts of ASCII, which are joined.
    pub(crate) fn target(&self) -> [&[u8]; 3] {
        let base = self.origin.path.as_bytes();
        match &self.target {
            OutgoingTarget::Written(target) => [base, target.as_bytes(), b""],
            OutgoingTarget::Received { prefix_len } => {
                let [root, rest] = self.head.path_and_query();
                [base, root, rest.get(*prefix_len..).unwrap_or_default()]
            }
        }
    }

    /// Returns the announcement of the length of `upload`. A length of 0 is announced only if the client announced a
    /// length, because a server may expect it.
    pub(crate) fn announced(&self, upload: &Upload) -> AnnouncedContent {
        let bytes = if upload.is_end_stream() { Some(0) } else { upload.size_hint().exact() };
        match bytes {
            Some(0) if !matches!(self.head.announced(), AnnouncedContent::Length(_)) => AnnouncedContent::Nothing,
            Some(bytes) => AnnouncedContent::Length(bytes),
            None => AnnouncedContent::Chunked,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::client::head::tests::head;

    /// The head of a request to an origin with the path `base`, without other edits than those of forwarding.
    pub(crate) fn outgoing(head: Head, base: &str, target: OutgoingTarget) -> OutgoingHead {
        let authority = uri::Authority::from_static("up.example");
        let origin = Rc::new(TargetOrigin { path: base.to_owned(), authority, scheme: uri::Scheme::HTTP });
        OutgoingHead { head: Rc::new(head), edits: HeadEdits::for_forwarding(), target, origin, upgrades: false }
    }

    #[test]
    fn path_and_query_are_passed_on_as_they_were_received() {
        let check = |line: &str, base, prefix_len, expected: &str| {
            let outgoing = outgoing(head(line, &[]), base, OutgoingTarget::Received { prefix_len });
            assert_eq!(outgoing.target().concat(), expected.as_bytes(), "{line}");
        };
        check("GET /v1/messages?beta=true&x=%2F", "", 0, "/v1/messages?beta=true&x=%2F");
        check("GET /v1/messages?beta=true&x=%2F", "/base", 0, "/base/v1/messages?beta=true&x=%2F");
        check("GET /llm/v1/messages?x", "/base", 4, "/base/v1/messages?x");
        check("GET http://absolute.example/a%20b?", "", 0, "/a%20b?");
        check("GET http://absolute.example?b", "/base", 0, "/base/?b");
        check("OPTIONS http://absolute.example", "", 0, "/");
        let written = outgoing(head("GET /a", &[]), "/base", OutgoingTarget::Written("/b?c".to_owned()));
        assert_eq!(written.target().concat(), b"/base/b?c");
    }

    #[test]
    fn a_length_of_zero_is_announced_if_the_client_announced_a_length() {
        let check = |fields: &[(&str, &str)], content: &'static str, announced| {
            let outgoing = outgoing(head("POST /", fields), "", OutgoingTarget::Received { prefix_len: 0 });
            let upload = Upload::segments([Bytes::from_static(content.as_bytes())], Instant::now()).0;
            assert_eq!(outgoing.announced(&upload), announced, "{fields:?} {content}");
        };
        check(&[], "", AnnouncedContent::Nothing);
        check(&[("Content-Length", "0")], "", AnnouncedContent::Length(0));
        check(&[("Content-Length", "9")], "abc", AnnouncedContent::Length(3));
        check(&[], "abc", AnnouncedContent::Length(3));
    }
}

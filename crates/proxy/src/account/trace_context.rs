//! The trace to which a request belongs (W3C Trace Context).

use access::RequestId;
use http1::{HeadEdits, InvalidPart, KnownName};

use crate::client::head::{Head, text};

/// The trace of a request, as upstreams learn it. It is parsed once.
#[derive(Debug)]
pub(crate) struct TraceContext {
    traceparent: [u8; 55],
    /// Whether the client began the trace, so that its `tracestate` is forwarded.
    is_of_client: bool,
}

impl TraceContext {
    /// Continues the client's trace under its trace id; without a valid one, a trace begins with the request's own id (W3C
    /// Trace Context, 3.2). The span's id is the random half of the request's id.
    pub(crate) fn of(head: &Head, id: RequestId) -> Self {
        let mut own = [0; 32];
        let own: &str = id.0.simple().encode_lower(&mut own);
        let received = head.get(KnownName::Traceparent).and_then(text).and_then(parse);
        let (trace_id, flags) = received.unwrap_or((own, "00"));
        let mut traceparent = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let parts = [(3, trace_id), (36, own.get(16..).unwrap_or_default()), (53, flags)];
        for (start, part) in parts {
            if let Some(place) = traceparent.get_mut(start..start + part.len()) {
                place.copy_from_slice(part.as_bytes());
            }
        }
        Self { traceparent, is_of_client: received.is_some() }
    }

    /// Writes the trace for an upstream.
    ///
    /// # Errors
    /// The value is always valid.
    pub(crate) fn write(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        if !self.is_of_client {
            edits.remove(KnownName::Tracestate);
        }
        edits.append(KnownName::Traceparent, &self.traceparent)
    }
}

/// Trace id and flags of a valid `traceparent`.
fn parse(value: &str) -> Option<(&str, &str)> {
    let hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let mut parts = value.split('-');
    let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = version != "00" || parts.next().is_none();
    let valid = hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(parent, 16) && hex(flags, 2);
    (whole && valid && !zero(trace_id) && !zero(parent)).then_some((trace_id, flags))
}

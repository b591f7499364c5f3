//! The fields with which a response is shared with pages of other origins (Fetch, 3.2.3).

use http1::{HeadEdits, InvalidPart, KnownName};

use crate::transform::is_sharing;
use crate::upstream::response_head::UpstreamHead;

/// The gateway's fields that a page of another origin may read.
pub(super) const EXPOSED: &[u8] =
    b"X-Request-Id, Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
    RateLimit, RateLimit-Policy, Retry-After";

const ALLOW_ORIGIN: &[u8] = b"access-control-allow-origin";
const ALLOW_CREDENTIALS: &[u8] = b"access-control-allow-credentials";
const EXPOSE_HEADERS: &[u8] = b"access-control-expose-headers";
/// Room for the fields.
const BYTES_USUAL: usize = 384;

/// The pages with which a response is shared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sharing<'a> {
    /// The origin whose pages may read the response, or `*`; `None` if no page of another origin may.
    pub(crate) origin: Option<&'a [u8]>,
    /// Whether the request may have had cookies.
    pub(crate) credentials: bool,
    /// The fields that pages may read besides those of the gateway.
    pub(crate) exposed: Option<&'a [u8]>,
    /// Whether the response to another origin may be different.
    pub(crate) varies: bool,
}

impl Sharing<'_> {
    /// Replaces the sharing of a response. `received` is the head of the upstream, if it sent one.
    pub(super) fn apply(&self, edits: &mut HeadEdits, received: Option<&UpstreamHead>) -> Result<(), InvalidPart> {
        match received {
            Some(received) => edits.remove_fields(received.fields(), |field| is_sharing(field.name)),
            None => {
                for name in [ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE_HEADERS] {
                    edits.remove_named(name)?;
                }
            }
        }
        edits.reserve(BYTES_USUAL);
        if let Some(origin) = self.origin {
            edits.append_named(ALLOW_ORIGIN, origin)?;
            if self.credentials {
                edits.append_named(ALLOW_CREDENTIALS, b"true")?;
            }
            edits.append_named(EXPOSE_HEADERS, EXPOSED)?;
            if let Some(exposed) = self.exposed {
                edits.append_named(EXPOSE_HEADERS, exposed)?;
            }
        }
        if self.varies { edits.append(KnownName::Vary, b"Origin") } else { Ok(()) }
    }
}

//! The fields with which a response is shared with pages of other origins (Fetch, 3.2.3).

use http1::{HeadEdits, InvalidPart, KnownName};

use crate::upstream::response_head::{UpstreamHead, is_sharing};

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
    /// The fields that pages may read, in place of those of the gateway.
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
            edits.append_named(EXPOSE_HEADERS, self.exposed.unwrap_or(EXPOSED))?;
        }
        let is_named = |field: http1::Field<'_>| field.known == Some(KnownName::Vary) && names_origin(field.value);
        let is_known = || received.is_some_and(|received| edits.kept(received.fields()).any(is_named));
        if self.varies && !is_known() && !edits.added().any(is_named) {
            edits.append(KnownName::Vary, b"Origin")?;
        }
        Ok(())
    }
}

/// Whether a value of `Vary` has the origin, or everything (RFC 9110, 12.5.5).
fn names_origin(vary: &[u8]) -> bool {
    let mut names = vary.split(|octet| *octet == b',').map(<[u8]>::trim_ascii);
    names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::*;

    fn applied(fields: &[(&'static str, &'static str)], exposed: Option<&[u8]>) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let head = UpstreamHead::of_http2(StatusCode::OK, &headers).unwrap();
        let mut edits = HeadEdits::for_forwarding();
        let sharing = Sharing { origin: Some(b"https://a.example"), credentials: false, exposed, varies: true };
        sharing.apply(&mut edits, Some(&head)).unwrap();
        let text = |text: &[u8]| String::from_utf8(text.to_ascii_lowercase()).unwrap();
        edits.kept(head.fields()).chain(edits.added()).map(|field| (text(field.name), text(field.value))).collect()
    }

    #[test]
    fn the_origin_is_named_once_in_vary() {
        for (received, expected) in [
            (&[][..], vec!["origin"]),
            (&[("vary", "Accept-Encoding")], vec!["accept-encoding", "origin"]),
            (&[("vary", "Origin")], vec!["origin"]),
            (&[("vary", "accept, ORIGIN ,x")], vec!["accept, origin ,x"]),
            (&[("vary", "accept"), ("vary", "origin")], vec!["accept", "origin"]),
            (&[("vary", "*")], vec!["*"]),
            (&[("vary", "x-origin")], vec!["x-origin", "origin"]),
        ] {
            let fields = applied(received, None);
            let vary: Vec<&str> = fields.iter().filter(|(name, _)| name == "vary").map(|(_, value)| &**value).collect();
            assert_eq!(vary, expected);
        }
    }

    #[test]
    fn configured_exposed_headers_replace_those_of_the_gateway() {
        let exposed = |exposed: Option<&[u8]>| {
            let fields = applied(&[("access-control-expose-headers", "x-upstream")], exposed);
            fields
                .into_iter()
                .filter(|(name, _)| name == "access-control-expose-headers")
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        assert_eq!(exposed(Some(b"X-A, X-B")), ["x-a, x-b"]);
        assert_eq!(exposed(None), [String::from_utf8(EXPOSED.to_ascii_lowercase()).unwrap()]);
    }
}

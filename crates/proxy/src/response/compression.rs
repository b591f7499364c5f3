//! The compression of responses by the rules of a route (`compression`): whether a response is compressed, and its head.

mod accepted;
pub(crate) mod body;
pub(crate) mod encoder;

use config::snapshot::{Auth, ContentCoding, RoutePolicy};
use http::StatusCode;
use http1::{AnnouncedContent, InvalidPart, KnownName};

use crate::account::RequestAccount;
use crate::capacity::MemoryPermit;
use crate::client::head::Head;
use crate::response::compression::accepted::preferred;
use crate::response::compression::encoder::Encoder;
use crate::response::head::ClientHead;

/// Smaller content is sent as it is: the coding would save less than one packet.
const CONTENT_BYTES_MIN: u64 = 1024;
/// Fields whose values are those of the unchanged content.
pub(crate) const OF_CONTENT: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// The compression that a route and a request allow.
pub(crate) struct Compression {
    /// The coding; `None` if the client accepts none of the route's.
    coding: Option<ContentCoding>,
    /// Whether a client has authenticated, so that a cookie may be a secret beside content that the client controls.
    is_authenticated: bool,
    is_head: bool,
    /// The entity tags of `If-None-Match`.
    known_tags: Vec<u8>,
    held: MemoryPermit,
}

impl Compression {
    /// Returns the compression of the responses to a request; `None` if its route has none.
    pub(crate) fn for_request(account: &RequestAccount) -> Option<Box<Self>> {
        let policy = account.policy();
        if policy.compression.is_empty() {
            return None;
        }
        // Boxed and apart, because most routes have no compression.
        Some(Box::new(Self::of_route(account, policy)))
    }

    fn of_route(account: &RequestAccount, policy: &RoutePolicy) -> Self {
        let head = &account.request.head;
        Self {
            coding: preferred(&policy.compression, &head.fields().all(KnownName::AcceptEncoding).collect::<Vec<_>>()),
            is_authenticated: !matches!(policy.auth, Auth::None),
            is_head: head.method_bytes() == b"HEAD",
            known_tags: known_tags(head),
            held: account.request.worker().shared.capacity.hold(&account.identity.subject),
        }
    }

    /// Edits the head of a response, and returns the encoder of its content if that is to be compressed. `length` is that
    /// of the content, if it is known.
    pub(crate) fn begin(mut self, head: &mut ClientHead, length: Option<u64>) -> Option<Box<Encoder>> {
        if head.status() == StatusCode::NOT_MODIFIED {
            report(self.edit_not_modified(head));
            return None;
        }
        // It varies as the whole response does (RFC 9110, 15.3.7).
        if head.status() == StatusCode::PARTIAL_CONTENT
            && is_text(head)
            && head.values(KnownName::ContentEncoding).next().is_none()
        {
            report(add_vary(head));
        }
        if !self.is_compressible(head, length) {
            return None;
        }
        report(add_vary(head));
        let coding = self.coding?;
        let encoder = if self.is_head {
            None
        } else {
            // Without memory for it, the content is sent as it is.
            self.held.grow(Encoder::BYTES).ok()?;
            Some(Box::new(Encoder::new(coding, self.held).ok()?))
        };
        report(edit(head, coding));
        head.changes_content();
        encoder
    }

    /// Whether the content may be compressed, for clients that accept a coding.
    fn is_compressible(&self, head: &ClientHead, length: Option<u64>) -> bool {
        let status = head.status().as_u16();
        if matches!(status, 100..=199 | 204 | 205 | 206 | 226) {
            return false;
        }
        let length = if self.is_head { announced(head) } else { length };
        if length.is_some_and(|bytes| bytes < CONTENT_BYTES_MIN) {
            return false;
        }
        let is_present = |name: KnownName| head.values(name).next().is_some();
        if is_present(KnownName::ContentEncoding) || is_present(KnownName::ContentRange) {
            return false;
        }
        // Content that a client influences, beside a secret, reveals the secret by its compressed length (BREACH).
        if self.is_authenticated && is_present(KnownName::SetCookie) {
            return false;
        }
        let is_fixed = head.values(KnownName::CacheControl).any(|value| has_item(value, b"no-transform"));
        !is_fixed && is_text(head)
    }

    /// Edits the head of 304 as that of the response would be whose tag the client knows. It varies as that response does
    /// (RFC 9110, 15.4.5), of which it need not have the type.
    fn edit_not_modified(&self, head: &mut ClientHead) -> Result<(), InvalidPart> {
        let has_type = head.values(KnownName::ContentType).next().is_some();
        if !has_type || self.is_compressible(head, None) {
            add_vary(head)?;
        }
        let Some(tag) = head.values(KnownName::Etag).next().map(<[u8]>::to_vec) else { return Ok(()) };
        let weak = [b"W/", tag.as_slice()].concat();
        // A tag is quoted, and may contain what separates other items.
        if !tag.starts_with(b"W/") && self.known_tags.windows(weak.len()).any(|known| *known == *weak) {
            add_vary(head)?;
            head.edits_mut().set(KnownName::Etag, &weak)?;
            // Both would be those of the content without the coding.
            head.edits_mut().remove_named(b"accept-ranges")?;
            head.changes_content();
        }
        Ok(())
    }
}

/// Returns the length of the content that the response to GET would have.
fn announced(head: &ClientHead) -> Option<u64> {
    match head.announced(None) {
        AnnouncedContent::Length(bytes) => Some(bytes),
        AnnouncedContent::Chunked | AnnouncedContent::Nothing => None,
    }
}

/// Corrects the fields that describe the content.
fn edit(head: &mut ClientHead, coding: ContentCoding) -> Result<(), InvalidPart> {
    let tag = head.values(KnownName::Etag).next().filter(|tag| !tag.starts_with(b"W/"));
    let weak = tag.map(|tag| [b"W/", tag].concat());
    let edits = head.edits_mut();
    edits.set(KnownName::ContentEncoding, coding.as_str().as_bytes())?;
    if let Some(weak) = weak {
        edits.set(KnownName::Etag, &weak)?;
    }
    // Ranges would be those of the content without the coding.
    edits.remove_named(b"accept-ranges")?;
    OF_CONTENT.iter().try_for_each(|name| edits.remove_named(name))
}

/// Lets caches store the response for each `Accept-Encoding`.
fn add_vary(head: &mut ClientHead) -> Result<(), InvalidPart> {
    let varies = head.values(KnownName::Vary).any(|value| has_item(value, b"accept-encoding") || has_item(value, b"*"));
    if varies { Ok(()) } else { head.edits_mut().append(KnownName::Vary, b"Accept-Encoding") }
}

fn report(edited: Result<(), InvalidPart>) {
    if let Err(part) = edited {
        tracing::error!(%part, "a field of a compressed response cannot be written");
    }
}

/// Returns the list of tags in `If-None-Match`.
fn known_tags(head: &Head) -> Vec<u8> {
    head.fields().named(b"if-none-match").collect::<Vec<_>>().join(&b","[..])
}

/// Whether a list has this item, in any case, without regard to parameters.
fn has_item(list: &[u8], item: &[u8]) -> bool {
    list.split(|octet| *octet == b',').any(|listed| {
        let name = listed.split(|octet| matches!(octet, b';' | b'=')).next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(item)
    })
}

/// Whether the content is text, other than a stream of events, which its client reads as they arrive.
fn is_text(head: &ClientHead) -> bool {
    const TYPES: [&[u8]; 9] = [
        b"application/json",
        b"application/javascript",
        b"application/x-javascript",
        b"application/ld+json",
        b"application/x-ndjson",
        b"application/xml",
        b"application/wasm",
        b"application/graphql",
        b"image/svg+xml",
    ];
    let Some(value) = head.values(KnownName::ContentType).next() else { return false };
    let of = value.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    // Its trailers must remain.
    if of.starts_with(b"application/grpc") {
        return false;
    }
    let is_other_text = of.starts_with(b"text/") && of != b"text/event-stream";
    is_other_text || TYPES.contains(&of.as_slice()) || of.ends_with(b"+json") || of.ends_with(b"+xml")
}

#[cfg(test)]
mod tests;

//! A stored response.

mod encoded;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use access::Timestamp;
use bytes::Bytes;
use http1::{Field, Fields, KnownName};

use super::freshness::Freshness;
use crate::bytes::shared_content::SharedContent;
use crate::client::head::Head;
use crate::upstream::response_head::{InvalidHead, RelayedHead, UpstreamHead};

/// Maximum number of tags of a response. A response with more is not stored, because no tag would be forgotten.
const TAGS_MAX: usize = 128;

/// A response in the cache. Another one replaces it; it changes only by a purge that marks it stale.
#[derive(Debug)]
pub(crate) struct StoredResponse {
    /// The head as the upstream sent it, without fields of the connection, with `Date`, and with `Content-Length` if the
    /// content is complete.
    pub(crate) head: UpstreamHead,
    /// The content; empty while it arrives.
    pub(crate) content: Bytes,
    freshness: Freshness,
    /// The fields that `Vary` names, with their values in the request.
    varies: Box<[VaryingField]>,
    /// The tags by which it may be purged.
    tags: Box<[Box<[u8]>]>,
    /// When a purge has marked it stale, in microseconds; 0 if none has.
    stale_at: AtomicU64,
    /// Whether it was used since the memory last looked for room.
    was_used: AtomicBool,
}

/// A tag of a response.
type Tag = Box<[u8]>;

/// A response whose content still arrives.
#[derive(Debug)]
pub(crate) struct ArrivingResponse {
    /// The response without its content.
    pub(crate) response: StoredResponse,
    pub(crate) content: Arc<SharedContent>,
}

/// A field of requests that `Vary` names.
#[derive(Debug, PartialEq, Eq)]
struct VaryingField {
    /// The name in lowercase.
    name: Box<[u8]>,
    /// All values as one list.
    values: Box<[u8]>,
}

impl StoredResponse {
    /// Returns a response to `request`, with its tags.
    pub(crate) fn new(
        head: UpstreamHead,
        content: Bytes,
        freshness: Freshness,
        request: &Head,
        tags: Box<[Box<[u8]>]>,
    ) -> Self {
        let names = head.fields().all(KnownName::Vary).flat_map(|value| value.split(|octet| *octet == b','));
        let names = names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        let varies = names
            .map(|name| VaryingField { name: name.to_ascii_lowercase().into(), values: values_of(request, name) })
            .collect();
        Self::of_parts(head, content, freshness, varies, tags)
    }

    fn of_parts(
        head: UpstreamHead,
        content: Bytes,
        freshness: Freshness,
        varies: Box<[VaryingField]>,
        tags: Box<[Tag]>,
    ) -> Self {
        let stale_at = AtomicU64::new(0);
        let was_used = AtomicBool::new(false);
        Self { head, content, freshness, varies, tags, stale_at, was_used }
    }

    /// Returns the fields that `Vary` names, in lowercase, with their values in the request.
    pub(super) fn varying(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.varies.iter().map(|field| (&*field.name, &*field.values))
    }

    /// Returns how long the response may be used.
    pub(crate) fn freshness(&self) -> Freshness {
        match self.stale_at.load(Ordering::Relaxed) {
            0 => self.freshness,
            at => self.freshness.until(Timestamp(at)),
        }
    }

    /// Marks the response stale, as if its lifetime ended now.
    pub(super) fn mark_stale(&self, now: Timestamp) {
        let _ = self.stale_at.compare_exchange(0, now.0.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the response has this tag.
    pub(super) fn has_tag(&self, tag: &[u8]) -> bool {
        self.tags.iter().any(|own| **own == *tag)
    }

    /// Whether the response may be used for this request: the fields that `Vary` names are equal.
    pub(crate) fn matches(&self, request: &Head) -> bool {
        self.varies.iter().all(|field| values_of(request, &field.name) == field.values)
    }

    /// Whether both responses are used for the same requests.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.varies == other.varies
    }

    /// The bytes that the response needs in memory, at least.
    pub(super) fn bytes(&self) -> u64 {
        let varies: usize = self.varies.iter().map(|field| field.name.len() + field.values.len()).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<Box<[u8]>>()).sum();
        u64::try_from(self.head.len() + self.content.len() + varies + tags).unwrap_or(u64::MAX)
    }

    pub(crate) fn use_it(&self) {
        self.was_used.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_used(&self) -> bool {
        self.was_used.swap(false, Ordering::Relaxed)
    }

    /// Returns the first value of a field.
    pub(crate) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.head.fields().named(name).next()
    }

    /// Whether the upstream can be asked whether the response is still the current one.
    pub(crate) fn has_validator(&self) -> bool {
        self.value(b"etag").is_some() || self.value(b"last-modified").is_some()
    }
}

/// Returns the tags of a response, which the field `name` lists with spaces or commas between them; `None` if there are too many.
pub(crate) fn tags_of(fields: Fields<'_>, name: &str) -> Option<Box<[Box<[u8]>]>> {
    let is_between = |octet: &u8| matches!(octet, b' ' | b'\t' | b',');
    let tags = fields.named(name.as_bytes()).flat_map(|value| value.split(is_between));
    let tags: Vec<Box<[u8]>> = tags.filter(|tag| !tag.is_empty()).take(TAGS_MAX + 1).map(Box::from).collect();
    (tags.len() <= TAGS_MAX).then(|| tags.into())
}

/// Returns all values of a field of a request as one list, without differences in white space.
pub(super) fn values_of(request: &Head, name: &[u8]) -> Box<[u8]> {
    let values = request.fields().named(name).flat_map(|value| value.split(|octet| *octet == b','));
    values.map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b","[..]).into()
}

/// Returns the head of a response as it is stored. `length` is that of the content, if it is known.
pub(crate) fn stored_head(
    relayed: &RelayedHead,
    length: Option<u64>,
    received_at: Timestamp,
) -> Result<UpstreamHead, InvalidHead> {
    let received = relayed.edits.kept(relayed.head.fields()).chain(relayed.edits.added());
    written(relayed.head.status(), received.filter(|field| !is_of_hop(field.name)), length, received_at)
}

/// Returns the head of a stored response that `relayed`, which has status 304, updates (RFC 9111, 3.2).
pub(crate) fn updated_head(
    stored: &StoredResponse,
    relayed: &RelayedHead,
    received_at: Timestamp,
) -> Result<UpstreamHead, InvalidHead> {
    let new = relayed.edits.kept(relayed.head.fields()).chain(relayed.edits.added());
    let new: Vec<Field<'_>> = new.filter(|field| !is_of_hop(field.name) && !is_of_content(field.name)).collect();
    let is_updated = |name: &[u8]| new.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    let before = stored.head.fields();
    // The date is that of the confirmation, also if the upstream sends none (RFC 9110, 6.6.1).
    let kept = before.iter().filter(|field| field.known != Some(KnownName::Date) && !is_updated(field.name));
    let length = u64::try_from(stored.content.len()).ok();
    written(stored.head.status(), kept.chain(new.iter().copied()), length, received_at)
}

/// Whether a field is that of a proxy or a connection, which is not stored (RFC 9111, 3.1).
fn is_of_hop(name: &[u8]) -> bool {
    const FIELDS: [&[u8]; 7] = [
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"keep-alive",
        b"te",
        b"cache-status",
    ];
    FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Whether a field describes the stored content, so that a response without content cannot update it.
fn is_of_content(name: &[u8]) -> bool {
    const FIELDS: [&[u8]; 5] = [b"content-encoding", b"content-range", b"content-md5", b"content-digest", b"etag"];
    FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Returns a head with these fields, with `Date`, without `Age`.
fn written<'a>(
    status: u16,
    fields: impl Iterator<Item = Field<'a>>,
    length: Option<u64>,
    received_at: Timestamp,
) -> Result<UpstreamHead, InvalidHead> {
    let mut lines = Vec::with_capacity(1024);
    http1::write_status_line(&mut lines, status, b"")?;
    let mut has_date = false;
    for field in fields {
        if ["age", "content-length"].iter().any(|own| field.name.eq_ignore_ascii_case(own.as_bytes())) {
            continue;
        }
        has_date |= field.known == Some(KnownName::Date);
        http1::write_field(&mut lines, field.name, field.value)?;
    }
    if !has_date {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(received_at.0);
        http1::write_field(&mut lines, b"date", httpdate::fmt_http_date(at).as_bytes())?;
    }
    if status != 204
        && let Some(length) = length
    {
        http1::write_field(&mut lines, b"content-length", length.to_string().as_bytes())?;
    }
    lines.extend_from_slice(b"\r\n");
    Ok(UpstreamHead::written(lines)?)
}

//! The part of a stored response that a request gets: all of it, a range, or the confirmation that its client has it
//! (RFC 9110, 13 and 14).

use bytes::Bytes;
use http1::KnownName;

use super::freshness::seconds_of_date;
use super::stored::StoredResponse;
use crate::client::head::Head;

/// The part of a stored response that a request gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) status: u16,
    pub(crate) content: Bytes,
    /// The value of `Content-Range`.
    pub(crate) range: Option<String>,
}

/// Returns the part that `request` gets.
pub(crate) fn selected(stored: &StoredResponse, request: &Head) -> Selection {
    let status = stored.head.status();
    if is_unmodified(stored, request) {
        return Selection { status: 304, content: Bytes::new(), range: None };
    }
    let whole = || Selection { status, content: stored.content.clone(), range: None };
    if request.method_bytes() == b"HEAD" {
        return Selection { content: Bytes::new(), ..whole() };
    }
    let mut ranges = request.fields().all(KnownName::Range);
    let Some(range) = ranges.next() else { return whole() };
    if status != 200 || ranges.next().is_some() || !applies_to(stored, request) {
        return whole();
    }
    let length = stored.content.len();
    match byte_range(range, length) {
        None => whole(),
        Some(None) => Selection { status: 416, content: Bytes::new(), range: Some(format!("bytes */{length}")) },
        Some(Some((first, end))) => Selection {
            status: 206,
            content: stored.content.slice(first..end),
            range: Some(format!("bytes {first}-{}/{length}", end - 1)),
        },
    }
}

/// Whether the client has the response already.
pub(crate) fn is_unmodified(stored: &StoredResponse, request: &Head) -> bool {
    if stored.head.status() != 200 {
        return false;
    }
    let mut tags = request.fields().named(b"if-none-match").peekable();
    if tags.peek().is_some() {
        let Some(own) = stored.value(b"etag") else { return false };
        let opaque = |tag: &'_ [u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
        let own = opaque(own);
        return tags.flat_map(tags_of).any(|tag| tag == b"*" || opaque(tag) == own);
    }
    let since = request.fields().named(b"if-modified-since").next().and_then(seconds_of_date);
    let modified = stored.value(b"last-modified").and_then(seconds_of_date);
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// Returns the tags of a list. A tag may contain a comma.
fn tags_of(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    let mut is_quoted = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|octet| {
            is_quoted ^= *octet == b'"';
            *octet == b',' && !is_quoted
        });
        let (tag, after) = end.and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, b""));
        (rest, is_quoted) = (after.strip_prefix(b",").unwrap_or_default(), false);
        Some(tag.trim_ascii())
    })
}

/// Whether the condition of `If-Range` holds, which compares strongly.
fn applies_to(stored: &StoredResponse, request: &Head) -> bool {
    let Some(condition) = request.fields().named(b"if-range").next() else { return true };
    if condition.starts_with(b"\"") {
        return stored.value(b"etag") == Some(condition);
    }
    // A date is no strong validator if the content may have changed within its second, which a cache does not know.
    !condition.starts_with(b"W/") && stored.value(b"last-modified") == Some(condition)
}

/// Returns the range of one `bytes` range, or the fact that no byte is in it; `None` if the field is ignored.
fn byte_range(range: &[u8], length: usize) -> Option<Option<(usize, usize)>> {
    let text = std::str::from_utf8(range).ok()?;
    let (unit, spec) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        // A number beyond the address space is beyond every content.
        is_number.then(|| text.parse().unwrap_or(usize::MAX))
    };
    if first.is_empty() {
        let suffix = number(last)?;
        return Some((suffix > 0 && length > 0).then(|| (length.saturating_sub(suffix), length)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { usize::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < length).then(|| (first, last.saturating_add(1).min(length))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_read() {
        for (range, expected) in [
            ("bytes=0-3", Some(Some((0, 4)))),
            ("bytes=4-", Some(Some((4, 10)))),
            ("Bytes=-3", Some(Some((7, 10)))),
            ("bytes=-30", Some(Some((0, 10)))),
            ("bytes=9-99999999999999999999999", Some(Some((9, 10)))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("items=0-1", None),
            ("bytes", None),
        ] {
            assert_eq!(byte_range(range.as_bytes(), 10), expected, "{range}");
        }
        assert_eq!(byte_range(b"bytes=-5", 0), Some(None));
    }

    #[test]
    fn tags_may_contain_commas() {
        let tags: Vec<&[u8]> = tags_of(b"\"a,b\" , W/\"c\",*").collect();
        assert_eq!(tags, [&b"\"a,b\""[..], b"W/\"c\"", b"*"]);
    }
}

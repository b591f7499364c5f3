//! A second decoder of content, written from RFC 9112 and the rules of `http1` without its code. It has the whole input at
//! once, so no split can mislead it.

use http1::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX, NAME_BYTES_MAX, TRAILERS_BYTES_MAX, TRAILERS_MAX};
use http1::{Framing, KnownName, ResponseTo};

/// Names of fields that a trailer section may have although `http1` knows them.
const KNOWN: &[&str] = &[
    "date",
    "etag",
    "openai-organization",
    "openai-project",
    "request-id",
    "server",
    "traceparent",
    "tracestate",
    "user-agent",
    "vary",
    "via",
    "x-correlation-id",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
];
/// Those of them that are not dropped.
const TRAILERS: [&str; 4] = ["date", "etag", "server", "via"];
/// Beginnings of other names that must not be trailers.
const NO_TRAILER_PREFIXES: [&str; 7] =
    ["accept-", "access-control-", "content-", "if-", "proxy-", "sec-", "x-forwarded-"];
/// Other names that must not be trailers.
const NO_TRAILERS: [&str; 12] = [
    "age",
    "allow",
    "alt-svc",
    "clear-site-data",
    "cookie2",
    "expires",
    "pragma",
    "priority",
    "refresh",
    "set-cookie2",
    "strict-transport-security",
    "warning",
];

/// The name and the value of a field.
pub(super) type FieldPair = (Vec<u8>, Vec<u8>);

/// Decoded content with its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// The data as far as it arrived.
    pub(super) data: Vec<u8>,
    /// The number of encoded bytes, if the content is complete.
    pub(super) end: Option<usize>,
    /// The fields of the trailer section of complete content, without those that must not be there.
    pub(super) trailers: Vec<FieldPair>,
    pub(super) is_invalid: bool,
    /// Whether the bytes end in the trailer section, of which only complete lines are checked.
    pub(super) is_in_trailers: bool,
}

/// The framing of a request with these fields, which must be unambiguous.
pub(super) fn request_framing(fields: &[FieldPair]) -> Framing {
    announced(fields).unwrap_or(Framing::Empty)
}

/// The framing of a response with these fields, which must be unambiguous.
pub(super) fn response_framing(status: u16, to: ResponseTo, fields: &[FieldPair]) -> Framing {
    let announced = announced(fields);
    match status {
        101 => Framing::Tunnel,
        200..=299 if to == ResponseTo::Connect => Framing::Tunnel,
        100..=199 | 204 | 304 => Framing::Empty,
        _ if to == ResponseTo::Head => Framing::Empty,
        _ => announced.unwrap_or(Framing::UntilClose),
    }
}

fn announced(fields: &[FieldPair]) -> Option<Framing> {
    let values = |name: &str| -> Vec<String> {
        let same = fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        same.map(|(_, value)| String::from_utf8(value.clone()).unwrap().to_ascii_lowercase()).collect()
    };
    match (values("transfer-encoding").as_slice(), values("content-length").as_slice()) {
        ([], []) => None,
        ([], [length]) => Some(Framing::Length(length.parse().unwrap())),
        ([coding], []) if coding == "chunked" => Some(Framing::Chunked),
        (codings, lengths) => panic!("ambiguous framing was accepted: {codings:?} {lengths:?}"),
    }
}

/// Decodes content that begins with `bytes`.
pub(super) fn decode(framing: Framing, bytes: &[u8]) -> Content {
    match framing {
        Framing::Empty => Content { end: Some(0), ..Content::default() },
        Framing::UntilClose | Framing::Tunnel => Content { data: bytes.to_vec(), ..Content::default() },
        Framing::Chunked => chunked(bytes),
        Framing::Length(length) => {
            let length = usize::try_from(length).unwrap();
            let data = bytes[..length.min(bytes.len())].to_vec();
            Content { end: (data.len() == length).then_some(length), data, ..Content::default() }
        }
    }
}

/// What the beginning of some bytes is.
enum Part<T> {
    Complete(T, usize),
    Incomplete,
    Invalid,
}

fn chunked(bytes: &[u8]) -> Content {
    let mut content = Content::default();
    let mut rest = bytes;
    let mut extensions = 0;
    loop {
        match size_line(rest, &mut extensions) {
            Part::Complete(0, len) => {
                rest = &rest[len..];
                break;
            }
            Part::Complete(size, len) => {
                let data = &rest[len..];
                let data = &data[..usize::try_from(size).unwrap().min(data.len())];
                content.data.extend_from_slice(data);
                rest = &rest[len + data.len()..];
                if (data.len() as u64) < size {
                    return content;
                }
            }
            Part::Incomplete => return content,
            Part::Invalid => return Content { is_invalid: true, ..content },
        }
        rest = match rest {
            [b'\r', b'\n', after @ ..] => after,
            [] | [b'\r'] => return content,
            _ => return Content { is_invalid: true, ..content },
        };
    }
    match trailers(rest) {
        Part::Complete(trailers, len) => Content { trailers, end: Some(bytes.len() - rest.len() + len), ..content },
        Part::Incomplete => Content { is_in_trailers: true, ..content },
        Part::Invalid => Content { is_invalid: true, ..content },
    }
}

fn size_line(bytes: &[u8], extensions: &mut usize) -> Part<u64> {
    let end = bytes.iter().position(|octet| *octet == b'\r').unwrap_or(bytes.len());
    let line = &bytes[..end];
    let semicolon = line.iter().position(|octet| *octet == b';');
    let digits = &line[..semicolon.unwrap_or(end)];
    let extension = semicolon.map_or(&[][..], |at| &line[at + 1..]);
    *extensions += extension.len();
    let is_size_over = semicolon.is_some() || end < bytes.len();
    let is_invalid = digits.len() > CHUNK_DIGITS_MAX
        || !digits.iter().all(u8::is_ascii_hexdigit)
        || (is_size_over && digits.is_empty())
        || match extensions_of(extension) {
            _ if semicolon.is_none() => false,
            Part::Complete(..) => false,
            Part::Incomplete => end < bytes.len(),
            Part::Invalid => true,
        }
        || *extensions > CHUNK_EXTENSIONS_BYTES_MAX;
    match bytes.get(end + 1) {
        _ if is_invalid => Part::Invalid,
        None => Part::Incomplete,
        Some(b'\n') => Part::Complete(u64::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap(), end + 2),
        Some(_) => Part::Invalid,
    }
}

/// Reads the extensions after the first semicolon, or the beginning of them.
fn extensions_of(bytes: &[u8]) -> Part<()> {
    let mut rest = bytes;
    loop {
        rest = without_blanks(rest);
        let name = rest.iter().take_while(|octet| is_token(**octet)).count();
        if name == 0 {
            return if rest.is_empty() { Part::Incomplete } else { Part::Invalid };
        }
        let mut after = without_blanks(&rest[name..]);
        let mut is_blank = after.len() < rest.len() - name;
        if let [b'=', value @ ..] = after {
            let value = without_blanks(value);
            let len = match value {
                [] => return Part::Incomplete,
                [b'"', quoted @ ..] => match quoted_len(quoted) {
                    Part::Complete((), len) => len + 1,
                    Part::Incomplete => return Part::Incomplete,
                    Part::Invalid => return Part::Invalid,
                },
                _ => value.iter().take_while(|octet| is_token(**octet)).count(),
            };
            if len == 0 {
                return Part::Invalid;
            }
            after = without_blanks(&value[len..]);
            is_blank = after.len() < value.len() - len;
        }
        match after {
            [] if is_blank => return Part::Incomplete,
            [] => return Part::Complete((), bytes.len()),
            [b';', next @ ..] => rest = next,
            _ => return Part::Invalid,
        }
    }
}

/// The length of a quoted string after its first quote.
fn quoted_len(bytes: &[u8]) -> Part<()> {
    let mut is_escaped = false;
    for (at, octet) in bytes.iter().enumerate() {
        match octet {
            b'"' if !is_escaped => return Part::Complete((), at + 1),
            b'\t' | b' '..=b'~' => is_escaped = *octet == b'\\' && !is_escaped,
            _ => return Part::Invalid,
        }
    }
    Part::Incomplete
}

fn without_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    &bytes[blanks..]
}

fn trailers(bytes: &[u8]) -> Part<Vec<FieldPair>> {
    let mut fields = Vec::<FieldPair>::new();
    let mut at = 0;
    loop {
        let Some(len) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Part::Incomplete };
        let line = &bytes[at..at + len];
        at += len + 2;
        if line.is_empty() {
            fields.retain(|(name, _)| is_trailer(name));
            return if at > TRAILERS_BYTES_MAX { Part::Invalid } else { Part::Complete(fields, at) };
        }
        match field(line) {
            Some(field) if fields.len() < TRAILERS_MAX => fields.push(field),
            _ => return Part::Invalid,
        }
    }
}

fn field(line: &[u8]) -> Option<FieldPair> {
    let (name, value) = line.split_at(line.iter().position(|octet| *octet == b':')?);
    let value = trim(&value[1..]);
    let is_token = !name.is_empty() && name.iter().all(|octet| is_token(*octet));
    let is_value = value.iter().all(|octet| *octet == b'\t' || (*octet >= 0x20 && *octet != 0x7f));
    let hyphenated = normal(name);
    let is_known = KnownName::ALL.iter().any(|known| known.as_str() == hyphenated);
    let is_accepted =
        if is_known { KNOWN.contains(&hyphenated.as_str()) } else { !hyphenated.starts_with("x-forwarded-") };
    (is_token && is_value && is_accepted && name.len() <= NAME_BYTES_MAX).then(|| (name.to_vec(), value.to_vec()))
}

/// Whether a field of this name may be a trailer.
fn is_trailer(name: &[u8]) -> bool {
    let name = normal(name);
    if KnownName::ALL.iter().any(|known| known.as_str() == name) {
        return TRAILERS.contains(&name.as_str());
    }
    let is_forbidden = NO_TRAILER_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    name == "content-digest" || !(is_forbidden || NO_TRAILERS.contains(&name.as_str()))
}

fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// A name as servers read it that convert names to variables: in lower case, with hyphens for underscores.
pub(super) fn normal(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-")
}

/// A value without spaces and tabs at its ends.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let start = value.iter().take_while(|octet| is_blank(octet)).count();
    let end = value.iter().rev().take_while(|octet| is_blank(octet)).count();
    &value[start..value.len().max(start + end) - end]
}

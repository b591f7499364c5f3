//! How the end of a message is found (RFC 9112, 6), as pure functions over a head.

use crate::fields::Fields;
use crate::known_name::KnownName;
use crate::limits::LENGTH_DIGITS_MAX;
use crate::violation::Violation;

/// The version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// The version HTTP/1.0 (RFC 9112).
    Http10,
    /// The version HTTP/1.1 (RFC 9112).
    #[default]
    Http11,
}

impl Version {
    /// Returns the version with this minor digit. A higher one than 1 is read as 1 (RFC 9110, 2.5).
    pub(crate) const fn of_minor(digit: u8) -> Result<Self, Violation> {
        match digit {
            b'0' => Ok(Self::Http10),
            b'1'..=b'9' => Ok(Self::Http11),
            _ => Err(Violation::Version),
        }
    }
}

/// What the fields of a head announce about the content. A response to HEAD announces content that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnnouncedContent {
    /// Neither `Content-Length` nor `Transfer-Encoding`.
    #[default]
    Nothing,
    /// `Content-Length` with its number of bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`, without a length.
    Chunked,
}

/// How the content of a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no content: the next message follows the head.
    Empty,
    /// Exactly this number of bytes.
    Length(u64),
    /// Chunks and a trailer section.
    Chunked,
    /// The content ends when the connection closes.
    UntilClose,
    /// No message follows: the connection belongs to another protocol (status 101, or 2xx to CONNECT).
    Tunnel,
}

/// What decides, besides the response itself, whether a response has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseTo {
    /// HEAD: responses have no content.
    Head,
    /// CONNECT: a response of status 2xx begins a tunnel.
    Connect,
    /// A request with any other method.
    Other,
}

impl ResponseTo {
    /// For a method, which is case-sensitive (RFC 9110, 9.1).
    #[must_use]
    pub fn method(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

impl AnnouncedContent {
    /// Reads the framing fields.
    pub(crate) fn read(fields: Fields<'_>, version: Version) -> Result<Self, Violation> {
        if fields.is_repeated(KnownName::ContentLength) {
            return Err(Violation::TwoLengths);
        }
        let coding = fields.get(KnownName::TransferEncoding);
        let is_chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        if coding.is_some() && (!is_chunked || fields.is_repeated(KnownName::TransferEncoding)) {
            return Err(Violation::Coding);
        }
        let length = fields.get(KnownName::ContentLength).map(length).transpose()?;
        match (coding, length) {
            (None, None) => Ok(Self::Nothing),
            (None, Some(length)) => Ok(Self::Length(length)),
            (Some(_), _) if version == Version::Http10 => Err(Violation::CodingInHttp10),
            (Some(_), Some(_)) => Err(Violation::LengthAndCoding),
            (Some(_), None) => Ok(Self::Chunked),
        }
    }

    /// The framing of a request (RFC 9112, 6.3, items 5 to 7).
    #[must_use]
    pub const fn of_request(self) -> Framing {
        match self {
            Self::Nothing => Framing::Empty,
            Self::Length(length) => Framing::Length(length),
            Self::Chunked => Framing::Chunked,
        }
    }

    /// The framing of a response with this status (RFC 9112, 6.3). Responses of status 1xx except 101 are followed by
    /// another response.
    #[must_use]
    pub const fn of_response(self, status: u16, request: ResponseTo) -> Framing {
        match (status, request) {
            (101, _) | (200..=299, ResponseTo::Connect) => Framing::Tunnel,
            (100..=199 | 204 | 304, _) | (_, ResponseTo::Head) => Framing::Empty,
            (_, ResponseTo::Connect | ResponseTo::Other) => match self {
                Self::Nothing => Framing::UntilClose,
                Self::Length(length) => Framing::Length(length),
                Self::Chunked => Framing::Chunked,
            },
        }
    }
}

/// A decimal number without sign, which is less than 2^64.
fn length(digits: &[u8]) -> Result<u64, Violation> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Violation::Length);
    }
    Ok(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_without_content_are_known_by_status_and_method() {
        let announced = [AnnouncedContent::Nothing, AnnouncedContent::Length(5), AnnouncedContent::Chunked];
        for one in announced {
            for status in [100, 102, 103, 199, 204, 304] {
                assert_eq!(one.of_response(status, ResponseTo::Other), Framing::Empty, "{status}");
            }
            for status in [200, 204, 301, 404, 500, 999] {
                assert_eq!(one.of_response(status, ResponseTo::method(b"HEAD")), Framing::Empty);
            }
            assert_eq!(one.of_response(101, ResponseTo::Other), Framing::Tunnel);
            assert_eq!(one.of_response(200, ResponseTo::method(b"CONNECT")), Framing::Tunnel);
        }
        let framings = [Framing::UntilClose, Framing::Length(5), Framing::Chunked];
        for (one, framing) in announced.into_iter().zip(framings) {
            assert_eq!(one.of_response(200, ResponseTo::method(b"head")), framing);
            assert_eq!(one.of_response(205, ResponseTo::Other), framing);
            assert_eq!(one.of_response(407, ResponseTo::Connect), framing);
        }
    }

    #[test]
    fn requests_never_end_at_the_close_of_a_connection() {
        let framings = [AnnouncedContent::Nothing, AnnouncedContent::Length(0), AnnouncedContent::Chunked]
            .map(AnnouncedContent::of_request);
        assert_eq!(framings, [Framing::Empty, Framing::Length(0), Framing::Chunked]);
    }
}

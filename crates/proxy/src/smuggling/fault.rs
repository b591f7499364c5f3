//! What is wrong with a message: every way in which two readers could understand it differently.

use access::Refusal;
use thiserror::Error;

use super::{
    BLANK_LINES_MAX, CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX, FIELDS_MAX, NAME_BYTES_MAX, TARGET_BYTES_MAX,
};

/// Why a message is refused. The text is for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// RFC 9112, 2.2: a recipient may take a bare LF for a line's end, and need not.
    #[error("a line ends in LF alone: lines end in CR LF")]
    BareLf,
    /// RFC 9112, 2.2.
    #[error("a CR stands without LF")]
    BareCr,
    /// RFC 9110, 5.5; RFC 9112, 3.
    #[error("the head has a control byte")]
    Control,
    /// RFC 9112, 2.2.
    #[error("more than {BLANK_LINES_MAX} blank line stands before the request")]
    BlankLines,
    /// RFC 9112, 3.1.
    #[error("the request does not begin with a method")]
    Method,
    /// RFC 9112, 3: recipients that split at any whitespace find other words than those that do not.
    #[error("the request line has blanks other than one space after the method and one before the version")]
    Spaces,
    /// RFC 9112, 2.3.
    #[error("the request line does not end in HTTP/1.1 or HTTP/1.0")]
    Version,
    /// RFC 9112, 3.2.
    #[error("the request's target has a byte that must be percent-encoded")]
    Target,
    /// RFC 9110, 7.1.
    #[error("the request's target contains a fragment (#…)")]
    Fragment,
    /// RFC 3986, 2.1.
    #[error("the path has a % without two hex digits, or an encoded NUL")]
    Escape,
    /// RFC 3629, 3: lenient readers take `%c0%af` for a slash.
    #[error("the path escapes a character in more bytes than UTF-8 has for it")]
    Overlong,
    /// RFC 3986, 5.2.4: who resolves it comes to another route's path.
    #[error("the path has a segment . or .., which upstreams read differently")]
    DotSegment,
    /// RFC 9112, 3.2.
    #[error("the request's target is no path, no http URL, and no * of OPTIONS")]
    Form,
    /// RFC 9112, 3.2.3; RFC 9110, 9.3.6: tunnels are not served.
    #[error("CONNECT is not served here")]
    Connect,
    /// RFC 9110, 5.1.
    #[error("a field's name is empty or has a byte that no name has")]
    Name,
    /// RFC 9112, 5.1.
    #[error("a blank stands between a field's name and its colon")]
    SpaceBeforeColon,
    /// RFC 9112, 5.
    #[error("a field has no colon")]
    NoColon,
    /// RFC 9112, 5.2 (obs-fold), and 2.2 for the first field.
    #[error("a field's line begins with a blank")]
    Fold,
    /// RFC 9112, 3.2.
    #[error("a request needs one Host header")]
    NoHost,
    /// RFC 9112, 3.2.
    #[error("a request needs one Host header, and has two")]
    TwoHosts,
    /// RFC 9112, 3.2; RFC 9110, 4.2.1 for an empty one.
    #[error("the Host header is not a host with or without a port")]
    Host,
    /// RFC 9112, 3.2.2.
    #[error("the host in the request's target differs from the Host header")]
    OtherHost,
    /// RFC 9112, 6.3.
    #[error("Content-Length is not one decimal number")]
    Length,
    /// RFC 9112, 6.3; also where both say the same.
    #[error("Content-Length is there twice")]
    TwoLengths,
    /// RFC 9112, 6.1.
    #[error("of the transfer codings only chunked is understood, once")]
    Coding,
    /// RFC 9112, 6.1 and 6.3.
    #[error("Content-Length and Transfer-Encoding are both there")]
    LengthAndCoding,
    /// RFC 9112, 6.1.
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    CodingInHttp10,
    /// Gateways that turn names into variables (RFC 3875, 4.1.18) read it as the field with a hyphen.
    #[error("a field's name is Content-Length or Transfer-Encoding with an underscore")]
    Underscore,
    /// RFC 9110, 6.5.1.
    #[error("a trailer contains Host, Content-Length or Transfer-Encoding")]
    Trailer,
    /// RFC 9112, 7.1.
    #[error("a chunk's size is not 1 to {CHUNK_DIGITS_MAX} hex digits")]
    ChunkSize,
    /// RFC 9112, 7.1.1.
    #[error("a chunk's extensions have a control byte")]
    ChunkExtension,
    /// RFC 9112, 7.1.
    #[error("a chunk's size or data does not end in CR LF")]
    ChunkEnd,
    /// RFC 9112, 7.1.1.
    #[error("the body's chunk extensions are longer than {CHUNK_EXTENSIONS_BYTES_MAX} bytes")]
    ChunkExtensionsTooLarge,
    /// RFC 6585, 5.
    #[error("the request's head is too large")]
    TooLarge,
    /// RFC 6585, 5.
    #[error("more than {FIELDS_MAX} fields are there")]
    TooManyFields,
    /// RFC 6585, 5.
    #[error("a field's name has more than {NAME_BYTES_MAX} bytes")]
    NameTooLarge,
    /// RFC 9112, 3.
    #[error("the request's target has more than {TARGET_BYTES_MAX} bytes")]
    TargetTooLarge,
}

impl Fault {
    /// The code that its sender is told.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge | Self::TooManyFields | Self::NameTooLarge | Self::TargetTooLarge => Refusal::HeaderTooLarge,
            Self::Connect => Refusal::MethodNotAllowed,
            Self::BareLf
            | Self::BareCr
            | Self::Control
            | Self::BlankLines
            | Self::Method
            | Self::Spaces
            | Self::Version
            | Self::Target
            | Self::Fragment
            | Self::Escape
            | Self::Overlong
            | Self::DotSegment
            | Self::Form
            | Self::Name
            | Self::SpaceBeforeColon
            | Self::NoColon
            | Self::Fold
            | Self::NoHost
            | Self::TwoHosts
            | Self::Host
            | Self::OtherHost
            | Self::Length
            | Self::TwoLengths
            | Self::Coding
            | Self::LengthAndCoding
            | Self::CodingInHttp10
            | Self::Underscore
            | Self::Trailer
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkEnd
            | Self::ChunkExtensionsTooLarge => Refusal::BadRequest,
        }
    }
}

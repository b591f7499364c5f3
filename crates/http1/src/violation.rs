//! The closed list of reasons for which a message is refused.

use thiserror::Error;

use crate::limits::{
    BLANK_LINES_MAX, CHUNK_DIGITS_MAX, CHUNK_EXTENSIONS_BYTES_MAX, CONNECTION_OPTIONS_MAX, NAME_BYTES_MAX,
    TARGET_BYTES_MAX,
};

macro_rules! violations {
    ($($(#[doc = $reason:literal])+ $variant:ident = $code:literal, $message:literal;)+) => {
        /// Why a message is refused: a rule that it breaks, with the section of the RFC.
        ///
        /// `Display` prints a message for the sender of the message. It never repeats bytes of the message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
        #[non_exhaustive]
        pub enum Violation {
            $($(#[doc = $reason])+ #[error($message)] $variant,)+
        }

        impl Violation {
            /// All violations in a fixed order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// A stable name in snake case, for logs, metrics and tests.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

violations! {
    /// RFC 9112, 2.2: a recipient may accept a bare LF, so two recipients can differ.
    BareLf = "bare_lf", "a line ends in LF without CR";
    /// See RFC 9112, section 2.2.
    BareCr = "bare_cr", "a CR is not followed by LF";
    /// RFC 9110, 5.5; RFC 9112, 3.
    ControlOctet = "control_octet", "the head contains a control octet";
    /// See RFC 9112, section 2.2.
    BlankLines = "blank_lines", "the request is preceded by more than {BLANK_LINES_MAX} empty line";
    /// See RFC 9112, section 3.1.
    Method = "method", "the request does not begin with a method";
    /// RFC 9112, 3: recipients that split at any whitespace find other words than those that do not.
    Spaces = "spaces", "the request line has whitespace other than one space after the method and one before the version";
    /// See RFC 9112, section 2.3.
    Version = "version", "the version is not HTTP/1.0 or a later HTTP/1";
    /// See RFC 9112, section 3.2.
    Target = "target", "the request target has an octet that must be percent-encoded";
    /// See RFC 9110, section 7.1.
    Fragment = "fragment", "the request target has a fragment";
    /// See RFC 3986, section 2.1.
    Escape = "escape", "the path has an invalid percent-encoding, or encodes NUL";
    /// RFC 3629, 3: lenient servers decode `%c0%af` as a slash.
    Overlong = "overlong", "the path encodes a character in more octets than UTF-8 has for it";
    /// RFC 3986, 5.2.4: a server that removes dot segments serves the path of another route.
    DotSegment = "dot_segment", "the path has a segment . or .., which servers resolve differently";
    /// See RFC 9112, section 3.2.
    TargetForm = "target_form", "the request target is not a path, an http URL, * of OPTIONS, or host:port of CONNECT";
    /// RFC 9110, 9.3.6: the meaning of bytes after a CONNECT head is not defined by a length.
    ConnectContent = "connect_content", "a CONNECT request has Content-Length or Transfer-Encoding";
    /// See RFC 9112, section 4.
    StatusLine = "status_line", "the response does not begin with a version, a status of three digits and a reason";
    /// See RFC 9110, section 5.1.
    FieldName = "field_name", "a field name is empty or has an octet that no name has";
    /// See RFC 9112, section 5.1.
    SpaceBeforeColon = "space_before_colon", "whitespace precedes the colon of a field";
    /// See RFC 9112, section 5.
    NoColon = "no_colon", "a field has no colon";
    /// RFC 9112, 5.2 (obs-fold), and 2.2 for the first field.
    Fold = "fold", "a field line begins with whitespace";
    /// See RFC 9112, section 3.2.
    NoHost = "no_host", "the Host header is missing";
    /// See RFC 9112, section 3.2.
    TwoHosts = "two_hosts", "the request has more than one Host header";
    /// RFC 9112, 3.2; RFC 9110, 4.2.1 for an empty one.
    Host = "host", "the Host header is not a host with an optional port";
    /// RFC 9112, 3.2.3; RFC 9113, 8.3.1.
    OtherHost = "other_host", "the host of the request target differs from the Host header";
    /// See RFC 9112, section 6.3.
    Length = "length", "Content-Length is not one decimal number of at most 19 digits";
    /// RFC 9112, 6.3; also if both are equal.
    TwoLengths = "two_lengths", "the message has more than one Content-Length";
    /// See RFC 9112, section 6.1.
    Coding = "coding", "Transfer-Encoding is not chunked alone, once";
    /// RFC 9112, 6.1 and 6.3.
    LengthAndCoding = "length_and_coding", "the message has both Content-Length and Transfer-Encoding";
    /// See RFC 9112, section 6.1.
    CodingInHttp10 = "coding_in_http10", "an HTTP/1.0 message has Transfer-Encoding";
    /// Servers that convert names to variables (RFC 3875, 4.1.18) read it as the name with hyphens.
    Underscore = "underscore", "a field name is Content-Length or Transfer-Encoding with an underscore";
    /// Each option is compared with each field name.
    ConnectionOptions = "connection_options", "the message has more than {CONNECTION_OPTIONS_MAX} connection options";
    /// See RFC 9110, section 6.5.1.
    Trailer = "trailer", "a trailer field is one for framing, routing, authentication or content format";
    /// See RFC 9112, section 7.1.
    ChunkSize = "chunk_size", "a chunk size is not 1 to {CHUNK_DIGITS_MAX} hexadecimal digits";
    /// See RFC 9112, section 7.1.1.
    ChunkExtension = "chunk_extension", "a chunk extension is not a name with an optional token or quoted string";
    /// See RFC 9112, section 7.1.
    ChunkEnd = "chunk_end", "a chunk size or chunk data is not followed by CR LF";
    /// See RFC 9112, section 8.
    Truncated = "truncated", "the connection closed before the end of the message";
    /// See RFC 9112, section 7.1.1.
    ChunkExtensionsTooLarge = "chunk_extensions_too_large", "the chunk extensions of the body exceed {CHUNK_EXTENSIONS_BYTES_MAX} bytes";
    /// See RFC 6585, section 5.
    HeadTooLarge = "head_too_large", "the head or trailer section is too large";
    /// See RFC 9112, section 3.
    LineTooLarge = "line_too_large", "the request line or status line is too large";
    /// See RFC 9112, section 3.
    TargetTooLarge = "target_too_large", "the request target has more than {TARGET_BYTES_MAX} bytes";
    /// See RFC 6585, section 5.
    TooManyFields = "too_many_fields", "the head or trailer section has too many fields";
    /// See RFC 6585, section 5.
    NameTooLarge = "name_too_large", "a field name has more than {NAME_BYTES_MAX} bytes";
}

impl Violation {
    /// Whether a bound of a head is exceeded (for a request: status 431), not the grammar (400).
    #[must_use]
    pub const fn is_head_too_large(self) -> bool {
        matches!(
            self,
            Self::HeadTooLarge | Self::LineTooLarge | Self::TargetTooLarge | Self::TooManyFields | Self::NameTooLarge
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_in_snake_case() {
        let codes: BTreeSet<&str> = Violation::ALL.iter().map(|violation| violation.code()).collect();
        assert_eq!(codes.len(), Violation::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{code}");
        }
    }

    #[test]
    fn messages_are_one_line_in_lower_case_with_their_bounds() {
        for violation in Violation::ALL {
            let message = violation.to_string();
            assert!(!message.contains(['\n', '{', '}']) && !message.ends_with('.'), "{message}");
        }
        assert!(Violation::NameTooLarge.to_string().contains("256"));
    }

    #[test]
    fn only_bounds_of_heads_are_too_large() {
        let large = Violation::ALL.iter().filter(|violation| violation.is_head_too_large());
        let codes: Vec<&str> = large.map(|violation| violation.code()).collect();
        assert_eq!(
            codes,
            ["head_too_large", "line_too_large", "target_too_large", "too_many_fields", "name_too_large"]
        );
    }
}

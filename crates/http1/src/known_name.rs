//! Field names that a gateway reads or removes, each with an id of one byte.
//!
//! A name is found by one look-up in a table without collisions, which the compiler builds, and one comparison.

use crate::octets::token_is;

/// The prefix of every [`KnownName::XForwardedOther`].
const X_FORWARDED: &[u8] = b"x-forwarded-";

macro_rules! known_names {
    ($($variant:ident = $text:literal,)+) => {
        /// A well-known field name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum KnownName {
            $(#[doc = concat!("`", $text, "`.")] $variant,)+
            /// Every other name that begins with `x-forwarded-`. It includes several names and cannot be written.
            XForwardedOther,
        }

        impl KnownName {
            /// Every name; its position is its id.
            pub const ALL: &[Self] = &[$(Self::$variant,)+ Self::XForwardedOther];
            const TEXTS: &[&str] = &[$($text,)+ "x-forwarded-"];
            const LINE_STARTS: &[&str] = &[$(concat!($text, ": "),)+ "x-forwarded-"];
        }
    };
}

known_names! {
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    ApiKey = "api-key",
    Authorization = "authorization",
    CacheControl = "cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentRange = "content-range",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Etag = "etag",
    Expect = "expect",
    Forwarded = "forwarded",
    Host = "host",
    Http2Settings = "http2-settings",
    KeepAlive = "keep-alive",
    Location = "location",
    MaxForwards = "max-forwards",
    OpenaiOrganization = "openai-organization",
    OpenaiProject = "openai-project",
    Origin = "origin",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Range = "range",
    RateLimit = "ratelimit",
    RateLimitPolicy = "ratelimit-policy",
    RequestId = "request-id",
    RetryAfter = "retry-after",
    SecWebsocketAccept = "sec-websocket-accept",
    SecWebsocketKey = "sec-websocket-key",
    Server = "server",
    SetCookie = "set-cookie",
    Te = "te",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    WwwAuthenticate = "www-authenticate",
    XAccelBuffering = "x-accel-buffering",
    XApiKey = "x-api-key",
    XCorrelationId = "x-correlation-id",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedPrefix = "x-forwarded-prefix",
    XForwardedProto = "x-forwarded-proto",
    XGoogApiKey = "x-goog-api-key",
    XGoogFieldmask = "x-goog-fieldmask",
    XGoogUserProject = "x-goog-user-project",
    XRatelimitLimit = "x-ratelimit-limit",
    XRatelimitRemaining = "x-ratelimit-remaining",
    XRatelimitReset = "x-ratelimit-reset",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
    XTollgateAttempts = "x-tollgate-attempts",
    XTollgateModel = "x-tollgate-model",
}

/// The number of known names; ids are less.
pub(crate) const KNOWN_NAMES: usize = KnownName::ALL.len();

/// How a received name matches a known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameMatch {
    /// The same name, in any case.
    Exact(KnownName),
    /// The name with underscores in place of hyphens. Servers that convert names to variables read both as one.
    Lookalike(KnownName),
    /// The name is not well-known.
    Unknown,
}

impl KnownName {
    /// The name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::TEXTS.get(usize::from(self as u8)).copied().unwrap_or_default()
    }

    /// The name with the colon and the space that precede its value.
    pub(crate) fn line_start(self) -> &'static [u8] {
        Self::LINE_STARTS.get(usize::from(self as u8)).copied().unwrap_or_default().as_bytes()
    }

    /// The known name that equals `name` in any case.
    #[must_use]
    pub fn find(name: &[u8]) -> Option<Self> {
        match NameMatch::from_name(name) {
            NameMatch::Exact(Self::XForwardedOther) | NameMatch::Lookalike(_) | NameMatch::Unknown => None,
            // The look-up takes names to be tokens.
            NameMatch::Exact(known) => name.eq_ignore_ascii_case(known.as_str().as_bytes()).then_some(known),
        }
    }

    /// Whether a trailer section of a request with a field of this name is refused: framing, routing, request modifiers, authentication and
    /// content format (RFC 9110, 6.5.1), and the fields of one connection.
    pub(crate) const fn is_refused_as_trailer(self) -> bool {
        !matches!(
            self,
            Self::Date
                | Self::Etag
                | Self::OpenaiOrganization
                | Self::OpenaiProject
                | Self::RateLimit
                | Self::RateLimitPolicy
                | Self::RequestId
                | Self::Server
                | Self::Traceparent
                | Self::Tracestate
                | Self::UserAgent
                | Self::Vary
                | Self::Via
                | Self::XCorrelationId
                | Self::XRatelimitLimit
                | Self::XRatelimitRemaining
                | Self::XRatelimitReset
                | Self::XRequestId
                | Self::XTollgateAttempts
                | Self::XTollgateModel
        )
    }
}

impl NameMatch {
    /// The known name, in either spelling.
    pub(crate) const fn known(self) -> Option<KnownName> {
        match self {
            Self::Exact(known) | Self::Lookalike(known) => Some(known),
            Self::Unknown => None,
        }
    }

    /// Compares a token with the well-known names.
    #[inline]
    pub(crate) fn from_name(name: &[u8]) -> Self {
        let candidate = slot(name).and_then(|slot| SLOTS.get(slot)).and_then(|id| KnownName::ALL.get(usize::from(*id)));
        if let Some(known) = candidate.copied() {
            let text = known.as_str().as_bytes();
            if token_is(name, text) {
                return Self::Exact(known);
            }
            if name.len() == text.len() && begins_like(name, text) {
                return Self::Lookalike(known);
            }
        }
        if matches!(name.first(), Some(b'x' | b'X')) && begins_like(name, X_FORWARDED) {
            return Self::Exact(KnownName::XForwardedOther);
        }
        Self::Unknown
    }
}

/// Whether `name` begins with `known`, in any case and with underscores for hyphens.
pub(crate) fn begins_like(name: &[u8], known: &[u8]) -> bool {
    let is_like = |(octet, known): (&u8, &u8)| octet.eq_ignore_ascii_case(known) || (*octet == b'_' && *known == b'-');
    name.len() >= known.len() && name.iter().zip(known).all(is_like)
}

/// The table's value for no name.
const NONE: u8 = u8::MAX;
/// The ids of well-known names, by [`slot`].
const SLOTS: [u8; 256] = slots();

const fn slots() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut id = 0;
    // The last name is a prefix and has no slot.
    while id + 1 < KNOWN_NAMES {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        let text = KnownName::TEXTS[id].as_bytes();
        assert!(text.len() > 1, "a known name has at least two bytes");
        let Some(slot) = slot(text) else { break };
        #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
        {
            assert!(table[slot] == NONE, "two known names have one slot: choose other factors in `slot`");
            table[slot] = id as u8;
        }
        id += 1;
    }
    table
}

/// A hash of length, first and last two octets, without collisions among the known names: the factors were searched for.
/// Bit 5 makes letters lower case.
#[inline]
const fn slot(name: &[u8]) -> Option<usize> {
    let [first, .., before, last] = name else {
        // A name of two bytes: its first octet is the one before the last.
        return match name {
            [before, last] => Some(mix(2, *before, *before, *last)),
            _ => None,
        };
    };
    Some(mix(name.len(), *first, *before, *last))
}

#[inline]
const fn mix(len: usize, first: u8, before: u8, last: u8) -> usize {
    let letters = 75 * (first | 0x20) as usize + 42 * (before | 0x20) as usize + 56 * (last | 0x20) as usize;
    (48 * len + letters) & 0xff
}

/// A set of known names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KnownNames(u64);

const _: () = assert!(KNOWN_NAMES <= 64, "a set of known names is one word");

impl KnownNames {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) const fn with(self, name: KnownName) -> Self {
        Self(self.0 | 1 << name as u8)
    }

    pub(crate) const fn without(self, name: KnownName) -> Self {
        Self(self.0 & !(1 << name as u8))
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names of this set that `other` lacks.
    pub(crate) const fn except(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the sets have a common name.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn contains(self, name: KnownName) -> bool {
        self.0 & (1 << name as u8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (id, known) in KnownName::ALL.iter().enumerate() {
            assert_eq!(usize::from(*known as u8), id);
            if *known == KnownName::XForwardedOther {
                continue;
            }
            let text = known.as_str();
            assert_eq!(text, text.to_ascii_lowercase());
            for name in [text.to_owned(), text.to_ascii_uppercase()] {
                assert_eq!(KnownName::find(name.as_bytes()), Some(*known), "{name}");
            }
            let underscored = text.replace('-', "_");
            if underscored != text {
                assert_eq!(NameMatch::from_name(underscored.as_bytes()), NameMatch::Lookalike(*known), "{underscored}");
                assert_eq!(KnownName::find(underscored.as_bytes()), None);
            }
            // One octet more, fewer or different is another name.
            for name in [format!("{text}s"), text[1..].to_owned(), format!("{}z", &text[..text.len() - 1])] {
                assert_ne!(KnownName::find(name.as_bytes()), Some(*known), "{name}");
            }
        }
    }

    #[test]
    fn names_that_begin_like_x_forwarded_are_one_known_name() {
        for name in ["x-forwarded-", "X-Forwarded-Anything", "x_forwarded_for", "X-Forwarded_Proto", "x-forwarded-f"] {
            let known = match NameMatch::from_name(name.as_bytes()) {
                NameMatch::Exact(known) | NameMatch::Lookalike(known) => known,
                NameMatch::Unknown => panic!("{name} is unknown"),
            };
            assert!(known.as_str().starts_with("x-forwarded-"), "{name}");
        }
        for name in ["x-forwarded", "y-forwarded-for", "x.forwarded-for", "", "x", "ab"] {
            assert_eq!(NameMatch::from_name(name.as_bytes()), NameMatch::Unknown, "{name}");
        }
        assert_eq!(KnownName::find(b"x-forwarded-anything"), None);
    }

    #[test]
    fn sets_contain_the_added_names() {
        let set = KnownNames::EMPTY.with(KnownName::Host).union(KnownNames::EMPTY.with(KnownName::XRequestId));
        assert!(set.contains(KnownName::Host) && set.contains(KnownName::XRequestId));
        assert!(!set.contains(KnownName::Via) && !set.without(KnownName::Host).contains(KnownName::Host));
        let host = KnownNames::EMPTY.with(KnownName::Host);
        assert_eq!(set.except(host), KnownNames::EMPTY.with(KnownName::XRequestId));
        assert!(set.overlaps(host) && !set.except(host).overlaps(host));
    }
}

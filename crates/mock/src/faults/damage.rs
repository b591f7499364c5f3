//! Responses that are valid HTTP with damaged values, JSON or events.

pub(crate) mod values;

use hyper::body::Bytes;

const DEEP: u32 = 10_000;
const DEEP_MAX: u32 = 1_000_000;
const EVENT_BYTES_MAX: usize = 1_000_000_000;
/// One kind of damage to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyDamage {
    /// Replace each token count by these bytes.
    Count(&'static str),
    /// Send each token count twice.
    Duplicates,
    /// Report token counts that decrease.
    Backwards,
    Deep(u32),
    NotUtf8,
    BrokenJson,
    ErrorEvent,
    Unfinished,
    OpenEvent,
    /// Send one event with this many bytes of text.
    Event(usize),
    CrLf,
    Comments,
    Bytewise,
    Joined,
}

impl BodyDamage {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "usage-negative" => Self::Count("-5"),
            "usage-huge" => Self::Count("10000000000000000000"),
            "usage-nan" => Self::Count("NaN"),
            "usage-text" => Self::Count("\"12\""),
            "usage-fraction" => Self::Count("12.5"),
            "usage-backwards" => Self::Backwards,
            "duplicate-keys" => Self::Duplicates,
            "deep" => Self::Deep(DEEP),
            "invalid-utf8" => Self::NotUtf8,
            "broken-json" => Self::BrokenJson,
            "error-event" => Self::ErrorEvent,
            "unfinished" => Self::Unfinished,
            "open-event" => Self::OpenEvent,
            "crlf" => Self::CrLf,
            "comments" => Self::Comments,
            "bytewise" => Self::Bytewise,
            "joined" => Self::Joined,
            _ => match name.split_once('-')? {
                ("deep", depth) => Self::Deep(depth.parse::<u32>().ok()?.min(DEEP_MAX)),
                ("event", bytes) => Self::Event(bytes.parse::<usize>().ok()?.min(EVENT_BYTES_MAX)),
                _ => return None,
            },
        })
    }

    /// Whether the damage makes too many pieces for a pause between them.
    pub(crate) const fn is_in_haste(self) -> bool {
        matches!(self, Self::Bytewise | Self::Event(_))
    }

    /// Damages a body that is not streamed.
    pub(crate) fn whole(self, body: &Bytes) -> Bytes {
        match self {
            Self::Event(bytes) => values::lengthened(body, bytes),
            Self::Backwards => values::damaged(Self::Duplicates, body),
            _ => values::damaged(self, body),
        }
    }
}

//! The metadata of a request for explanations of usage: labels, program, tools, session, the part of the cache, the trace, and
//! the targets that were skipped, and the limit that refused the request.

use std::fmt;

use access::{ClientProgram, LabelSet};

use crate::admission::refused_limit::RefusedLimit;
use crate::skipped::SkippedTarget;

/// The metadata of a request that no limit and no price depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The labels of the key, the user and the route at the time of the request.
    pub labels: LabelSet,
    /// The program that sent the request, by its `User-Agent`.
    pub client: ClientProgram,
    /// Whether the model could call tools of the client, and has.
    pub tools: ToolUse,
    /// The session that the request names; `None` if it names none.
    pub session: Option<SessionHash>,
    /// The stored response that the request got, if it got one.
    pub cache: CacheUse,
    /// The trace of the request; `None` if traces are not exported and the client has not begun one.
    pub trace: Option<TraceId>,
    /// The targets of the model that an LLM call skipped, in the order in which it skipped them: at most
    /// [`SKIPPED_TARGETS_MAX`](crate::skipped::SKIPPED_TARGETS_MAX).
    pub skipped: Vec<SkippedTarget>,
    /// The limit that refused the request; `None` if no limit has.
    pub refused_limit: Option<Box<RefusedLimit>>,
}

/// The id of a trace (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    /// Writes 32 lowercase hexadecimal digits, as `traceparent` has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The use of a stored response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheUse {
    /// The response is that of the upstream.
    #[default]
    None,
    /// The response was stored and fresh.
    Hit,
    /// The response was stored and no longer fresh.
    Stale,
    /// Another request has caused the response.
    Collapsed,
    /// The response was stored, and the upstream has confirmed it.
    Revalidated,
}

impl CacheUse {
    /// All values in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Hit, Self::Stale, Self::Collapsed, Self::Revalidated];

    /// Returns the number in records and in the store, which never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Hit => 1,
            Self::Stale => 2,
            Self::Collapsed => 3,
            Self::Revalidated => 4,
        }
    }

    /// Returns the value with this number; a number of a later release means a hit.
    #[must_use]
    pub fn of_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|used| used.number() == number).unwrap_or(Self::Hit)
    }

    /// Whether no request was sent to the upstream.
    #[must_use]
    pub const fn is_free(self) -> bool {
        matches!(self, Self::Hit | Self::Stale | Self::Collapsed)
    }
}

/// The use of the client's tools in an LLM call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ToolUse {
    /// The request offered no tools.
    #[default]
    None,
    /// The request offered tools; as far as is known, the model called none.
    Offered,
    /// The model called a tool.
    Called,
}

/// A hash of a session's id and of the subject that sent it. It identifies requests of one session, and nothing else: nodes
/// of other releases may compute another hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash(pub [u8; 16]);

impl ToolUse {
    /// All values in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::None, Self::Offered, Self::Called];

    /// Returns the number in records and in the store, which never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Offered => 1,
            Self::Called => 2,
        }
    }

    /// Returns the value with this number; a number of a later release means that tools were offered.
    #[must_use]
    pub fn of_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|tools| tools.number() == number).unwrap_or(Self::Offered)
    }

    /// Returns the word in rules and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Offered => "offered",
            Self::Called => "called",
        }
    }
}

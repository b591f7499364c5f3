//! The part of the cache in a response.

use meter::CacheUse;

/// The part of the cache in the response to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheResult {
    /// The response was stored and fresh.
    Hit,
    /// The response was stored and no longer fresh, and its rules allowed its use.
    Stale,
    /// The upstream has confirmed the stored response.
    Revalidated,
    /// The response is that of the upstream: none was stored.
    Miss,
    /// The response is that of the upstream: the stored one was no longer fresh.
    Expired,
    /// The response is that of the upstream, which another request has caused.
    Collapsed,
    /// The gateway has requested the response itself, to replace a stale one.
    Refresh,
    /// The request or its response cannot be stored, so the cache had no part.
    Bypass,
}

impl CacheResult {
    /// Returns the result as logs and metrics have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Collapsed => "collapsed",
            Self::Refresh => "refresh",
            Self::Bypass => "bypass",
        }
    }

    /// Returns the use of a stored response as usage events have it.
    pub(crate) const fn recorded(self) -> CacheUse {
        match self {
            Self::Hit => CacheUse::Hit,
            Self::Stale => CacheUse::Stale,
            Self::Collapsed => CacheUse::Collapsed,
            Self::Revalidated => CacheUse::Revalidated,
            Self::Miss | Self::Expired | Self::Refresh | Self::Bypass => CacheUse::None,
        }
    }

    /// Returns the parameters of `Cache-Status` (RFC 9211, 2).
    pub(crate) const fn parameters(self) -> &'static str {
        match self {
            Self::Hit | Self::Stale => "hit",
            Self::Revalidated => "fwd=stale; fwd-status=304",
            Self::Miss => "fwd=miss",
            Self::Expired | Self::Refresh => "fwd=stale",
            Self::Collapsed => "fwd=miss; collapsed",
            Self::Bypass => "fwd=bypass",
        }
    }
}

//! Why a request was not served: one closed list of codes, each with a page in `docs/errors/`.

/// Whose doing a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller can mend it.
    Caller,
    /// Tollgate, or who runs it.
    Us,
    /// What stands behind Tollgate.
    Upstream,
}

/// Whether the same request may succeed when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change.
    Never,
    /// Later, as it is.
    Later,
}

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:literal, $side:ident, $retry:ident;)*) => {
        /// The closed list of codes that a caller can meet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Refusal {
            /// Every refusal, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code, as written in answers, logs, metrics and documents.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What happened, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// The HTTP status (RFC 9110, 15; RFC 6585).
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whose doing it is.
            #[must_use]
            pub const fn side(self) -> Side {
                match self { $(Self::$name => Side::$side,)* }
            }

            /// Whether sending it again may help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }
        }
    };
}

refusals! {
    /// The request cannot be read: its JSON, a field, a header.
    BadRequest = "bad_request", 400, Caller, Never;
    /// Two different credentials were sent.
    AmbiguousCredentials = "ambiguous_credentials", 400, Caller, Never;
    /// The model speaks another format than the path.
    FormatMismatch = "format_mismatch", 400, Caller, Never;
    /// The model has no price, and a budget of money holds the caller.
    PriceUnknown = "price_unknown", 400, Caller, Never;
    /// Nothing bounds what the call may cost, and a budget holds the caller.
    CostUnbounded = "cost_unbounded", 400, Caller, Never;
    /// No credential was sent.
    Unauthorized = "unauthorized", 401, Caller, Never;
    /// The credential has not a key's form.
    KeyMalformed = "key_malformed", 401, Caller, Never;
    /// No such key.
    KeyUnknown = "key_unknown", 401, Caller, Never;
    /// The key was revoked.
    KeyRevoked = "key_revoked", 401, Caller, Never;
    /// The key's time is over.
    KeyExpired = "key_expired", 401, Caller, Never;
    /// The access token's time is over, or its session has ended.
    TokenExpired = "token_expired", 401, Caller, Never;
    /// The caller is known, and may not do this.
    Forbidden = "forbidden", 403, Caller, Never;
    /// Nobody signs up here, or not without an invitation.
    SignupClosed = "signup_closed", 403, Caller, Never;
    /// The key's user is suspended.
    UserSuspended = "user_suspended", 403, Caller, Never;
    /// Control: no such thing, or not the caller's.
    NotFound = "not_found", 404, Caller, Never;
    /// No route has this host and path.
    RouteNotFound = "route_not_found", 404, Caller, Never;
    /// No model or provider answers to this name.
    ModelNotFound = "model_not_found", 404, Caller, Never;
    /// The path exists, with other methods.
    MethodNotAllowed = "method_not_allowed", 405, Caller, Never;
    /// The head or the body did not arrive in time.
    RequestTimeout = "request_timeout", 408, Caller, Later;
    /// It cannot be done as things stand: the name is taken, the thing is in use.
    Conflict = "conflict", 409, Caller, Never;
    /// The body is larger than its bound.
    PayloadTooLarge = "payload_too_large", 413, Caller, Never;
    /// A body that must be read is compressed or of another media type.
    UnsupportedMediaType = "unsupported_media_type", 415, Caller, Never;
    /// Every field can be read, and one has a value that cannot be taken.
    Unprocessable = "unprocessable", 422, Caller, Never;
    /// A WebSocket was asked for where only HTTP is spoken.
    UpgradeRequired = "upgrade_required", 426, Caller, Never;
    /// A rate limit is full.
    RateLimited = "rate_limited", 429, Caller, Later;
    /// The day's quota is used up.
    QuotaExceeded = "quota_exceeded", 429, Caller, Never;
    /// A budget does not hold what the call may cost.
    BudgetExceeded = "budget_exceeded", 429, Caller, Never;
    /// The head is larger than its bound.
    HeaderTooLarge = "header_too_large", 431, Caller, Never;
    /// A fault of ours.
    Internal = "internal", 500, Us, Later;
    /// The upstream could not be reached; it received nothing.
    UpstreamConnect = "upstream_connect", 502, Upstream, Later;
    /// The upstream closed the connection before its answer was whole.
    UpstreamReset = "upstream_reset", 502, Upstream, Later;
    /// The upstream answered something that is not HTTP.
    UpstreamProtocol = "upstream_protocol", 502, Upstream, Later;
    /// The store cannot be reached.
    Unavailable = "unavailable", 503, Us, Later;
    /// Too many keys are being looked up.
    DirectoryBusy = "directory_busy", 503, Us, Later;
    /// Usage cannot be recorded, so nothing that is counted is served.
    SpoolFull = "spool_full", 503, Us, Later;
    /// What is left of a quota or budget is lent to other nodes, or nobody could say in time whether anything is.
    QuotaWithheld = "quota_withheld", 503, Us, Later;
    /// Memory, connections or requests in flight are at their bound.
    Overloaded = "overloaded", 503, Us, Later;
    /// This instance is shutting down.
    Draining = "draining", 503, Us, Later;
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504, Upstream, Later;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_at_most_40_and_errors() {
        let codes: HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        assert!(Refusal::ALL.len() <= 40);
        assert!(Refusal::ALL.iter().all(|refusal| (400..600).contains(&refusal.status())));
    }
}

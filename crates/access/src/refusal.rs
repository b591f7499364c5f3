//! Refusals: the closed list of error codes, each with a section in `docs/errors.md`.

/// Who can correct the cause of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client, by changing the request.
    Client,
    /// Tollgate itself, or its operator.
    Gateway,
    /// The upstream that received the request.
    Upstream,
}

/// Whether the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The request must be changed first.
    Never,
    /// The unchanged request may succeed later.
    Later,
}

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:literal, $side:ident, $retry:ident;)*) => {
        /// The closed list of error codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Refusal {
            /// Every refusal, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the code, as responses, logs, metrics and documents spell it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Returns one sentence that describes the error.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// Returns the HTTP status (RFC 9110, 15; RFC 6585).
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Returns who can correct the cause.
            #[must_use]
            pub const fn side(self) -> Side {
                match self { $(Self::$name => Side::$side,)* }
            }

            /// Returns whether the same request may succeed later.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }
        }
    };
}

refusals! {
    /// The request is malformed: its JSON, a field or a header is invalid.
    BadRequest = "bad_request", 400, Client, Never;
    /// The request contains two different credentials.
    AmbiguousCredentials = "ambiguous_credentials", 400, Client, Never;
    /// The provider of the model does not support the API format of this path.
    FormatMismatch = "format_mismatch", 400, Client, Never;
    /// A budget of money applies, and the model has no price.
    PriceUnknown = "price_unknown", 400, Client, Never;
    /// A budget of tokens or money applies, and the request does not limit its usage.
    CostUnbounded = "cost_unbounded", 400, Client, Never;
    /// The request contains no credential.
    Unauthorized = "unauthorized", 401, Client, Never;
    /// The credential does not have the form of a key.
    KeyMalformed = "key_malformed", 401, Client, Never;
    /// The key does not exist.
    KeyUnknown = "key_unknown", 401, Client, Never;
    /// The key was revoked.
    KeyRevoked = "key_revoked", 401, Client, Never;
    /// The key has expired.
    KeyExpired = "key_expired", 401, Client, Never;
    /// The access token is invalid, or was not issued for this route.
    TokenInvalid = "token_invalid", 401, Client, Never;
    /// The access token has expired, or its session has ended.
    TokenExpired = "token_expired", 401, Client, Never;
    /// The user name or the password is wrong.
    PasswordInvalid = "password_invalid", 401, Client, Never;
    /// Invoices of the user who owns the key are not paid.
    PaymentRequired = "payment_required", 402, Client, Never;
    /// The authenticated user does not have permission to do this.
    Forbidden = "forbidden", 403, Client, Never;
    /// Registration is disabled, or requires an invitation.
    SignupClosed = "signup_closed", 403, Client, Never;
    /// The user who owns the key is suspended.
    UserSuspended = "user_suspended", 403, Client, Never;
    /// The object does not exist, or belongs to another user.
    NotFound = "not_found", 404, Client, Never;
    /// No route matches the host and path.
    RouteNotFound = "route_not_found", 404, Client, Never;
    /// No model or provider has this name.
    ModelNotFound = "model_not_found", 404, Client, Never;
    /// The path does not support this method.
    MethodNotAllowed = "method_not_allowed", 405, Client, Never;
    /// The head or the body of the request did not arrive in time.
    RequestTimeout = "request_timeout", 408, Client, Later;
    /// The current state does not allow the change: for example, the name is taken or the object is in use.
    Conflict = "conflict", 409, Client, Never;
    /// The request body is larger than its limit.
    PayloadTooLarge = "payload_too_large", 413, Client, Never;
    /// The encoding or the media type of the request body is not supported.
    UnsupportedMediaType = "unsupported_media_type", 415, Client, Never;
    /// The request belongs to another host than the TLS connection on which it was sent.
    MisdirectedRequest = "misdirected_request", 421, Client, Never;
    /// The request is well-formed, but the value of a field is invalid.
    Unprocessable = "unprocessable", 422, Client, Never;
    /// A WebSocket was requested from an endpoint that supports only HTTP, or in an unsupported version.
    UpgradeRequired = "upgrade_required", 426, Client, Never;
    /// A rate limit is exceeded.
    RateLimited = "rate_limited", 429, Client, Later;
    /// A quota is used up.
    QuotaExceeded = "quota_exceeded", 429, Client, Never;
    /// A budget does not cover what the request may cost.
    BudgetExceeded = "budget_exceeded", 429, Client, Never;
    /// The request head is larger than its limit.
    HeaderTooLarge = "header_too_large", 431, Client, Never;
    /// An internal error occurred.
    Internal = "internal", 500, Gateway, Later;
    /// No connection to the upstream could be established; it received nothing.
    UpstreamConnect = "upstream_connect", 502, Upstream, Later;
    /// The upstream closed the connection before its response was complete.
    UpstreamReset = "upstream_reset", 502, Upstream, Later;
    /// The response of the upstream is not valid HTTP, or the provider refuses a shared credential.
    UpstreamProtocol = "upstream_protocol", 502, Upstream, Later;
    /// The store is not available.
    Unavailable = "unavailable", 503, Gateway, Later;
    /// The keys that verify the access tokens of an issuer are not loaded yet.
    IssuerUnavailable = "issuer_unavailable", 503, Gateway, Later;
    /// The service that decides about requests of a route did not respond.
    AuthUnavailable = "auth_unavailable", 503, Gateway, Later;
    /// The payment provider does not respond, or refused the payment.
    PaymentUnavailable = "payment_unavailable", 503, Upstream, Later;
    /// No backend of the upstream accepted a connection; none received anything.
    NoHealthyUpstream = "no_healthy_upstream", 503, Upstream, Later;
    /// Too many keys are being looked up, or too many passwords are being checked.
    DirectoryBusy = "directory_busy", 503, Gateway, Later;
    /// Usage cannot be recorded, so requests that are metered are refused.
    SpoolFull = "spool_full", 503, Gateway, Later;
    /// The remaining quota or budget is leased to other nodes, or the store did not respond in time.
    QuotaWithheld = "quota_withheld", 503, Gateway, Later;
    /// Memory, connections or requests in flight have reached their limit.
    Overloaded = "overloaded", 503, Gateway, Later;
    /// The server is shutting down.
    Draining = "draining", 503, Gateway, Later;
    /// The upstream did not respond in time.
    UpstreamTimeout = "upstream_timeout", 504, Upstream, Later;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_at_most_48_and_errors() {
        let codes: HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        assert!(Refusal::ALL.len() <= 48);
        assert!(Refusal::ALL.iter().all(|refusal| (400..600).contains(&refusal.status())));
    }
}

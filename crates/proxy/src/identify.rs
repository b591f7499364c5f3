//! The credential becomes a [`Principal`].

use std::sync::Arc;
use std::time::Duration;

use access::{ApiKey, NotFound, Principal, Refusal, Subject};
use http::{HeaderMap, HeaderName, header};

use crate::address;
use crate::answer::Problem;
use crate::exchange::Exchange;

/// The store's loop answers at once or not at all; a caller waits no longer than this.
const LOOKUP_MAX: Duration = Duration::from_secs(2);

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// Google's.
pub(crate) const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Headers in which a key may come, besides `Authorization: Bearer`.
static KEY_HEADERS: [HeaderName; 3] = [X_API_KEY, API_KEY, X_GOOG_API_KEY];

/// Finds out who the caller is.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) async fn identify(exchange: &Exchange, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
    let text = credential(headers)?;
    let key = ApiKey::parse(text).map_err(|_| malformed(&exchange.snapshot.process.brand.key_prefix))?;
    let found = tokio::time::timeout(LOOKUP_MAX, exchange.worker().directory.find(key.hash())).await;
    found.unwrap_or(Err(NotFound::Unavailable)).map_err(refuse)
}

/// Returns the subject of a request without a valid credential.
pub(crate) fn anonymous(exchange: &Exchange, headers: &HeaderMap) -> Subject {
    Subject::Anonymous { address: Some(address::of(exchange, headers)) }
}

/// The one credential that the caller sent.
fn credential(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut found: Option<&str> = None;
    let bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.to_str().ok()?));
    let keys = KEY_HEADERS.iter().flat_map(|name| headers.get_all(name)).filter_map(|value| value.to_str().ok());
    for text in bearers.chain(keys.map(str::trim)) {
        if found.is_some_and(|other| other != text) {
            return Err(Problem::new(
                Refusal::AmbiguousCredentials,
                "two different credentials were sent: send one, as Authorization: Bearer, x-api-key, api-key or x-goog-api-key",
            ));
        }
        found = Some(text);
    }
    found.filter(|text| !text.is_empty()).ok_or_else(|| {
        Problem::new(Refusal::Unauthorized, "a key is needed: send it as Authorization: Bearer KEY or x-api-key: KEY")
    })
}

/// The token of a `Bearer` credential (RFC 6750, 2.1; the scheme's case does not matter).
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn malformed(prefix: &str) -> Problem {
    let message = format!("this is not a key of this gateway: a key is {prefix}_ and 32 lowercase hex digits");
    Problem::new(Refusal::KeyMalformed, message)
}

fn refuse(not_found: NotFound) -> Problem {
    let (refusal, message) = match not_found {
        NotFound::Unknown => (Refusal::KeyUnknown, "this key is not known: check it, or ask for a new one"),
        NotFound::Revoked => (Refusal::KeyRevoked, "this key was revoked: ask for a new one"),
        NotFound::Rotated => {
            (Refusal::KeyRevoked, "this secret was replaced when its key was rotated: use the new one")
        }
        NotFound::Expired => (Refusal::KeyExpired, "this key has expired: ask for a new one"),
        NotFound::Suspended => {
            (Refusal::UserSuspended, "this account is suspended; contact the operator of this server")
        }
        NotFound::Busy => (Refusal::DirectoryBusy, "too many keys are being looked up: try again in a moment"),
        NotFound::Unavailable => (Refusal::Unavailable, "keys cannot be checked at the moment: try again in a moment"),
    };
    Problem::new(refusal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<String, Refusal> {
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        credential(&headers).map(str::to_owned).map_err(|problem| problem.refusal)
    }

    #[test]
    fn a_key_comes_in_any_of_four_headers() {
        for pair in [
            ("authorization", "Bearer k"),
            ("authorization", "bearer  k "),
            ("x-api-key", "k"),
            ("api-key", "k"),
            ("x-goog-api-key", "k"),
        ] {
            assert_eq!(check(&[pair]), Ok("k".to_owned()));
        }
        assert_eq!(check(&[("authorization", "Bearer k"), ("api-key", "k")]), Ok("k".to_owned()));
    }

    #[test]
    fn none_and_two_different_are_refused() {
        assert_eq!(check(&[]), Err(Refusal::Unauthorized));
        assert_eq!(check(&[("authorization", "Basic abc")]), Err(Refusal::Unauthorized));
        assert_eq!(check(&[("x-api-key", "")]), Err(Refusal::Unauthorized));
        assert_eq!(check(&[("authorization", "Bearer k"), ("x-api-key", "l")]), Err(Refusal::AmbiguousCredentials));
    }
}

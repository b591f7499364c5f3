//! Who asks: a key as `Authorization: Bearer` or `X-API-Key`.

use std::sync::Arc;

use access::{ApiKey, KeyHash, Principal, Refusal};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::problem::Problem;
use crate::state::{App, State};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const BEARER: &str = "bearer";

/// A caller whose key is in force. As a handler's argument it is the permission to see one's own.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) hash: KeyHash,
    pub(crate) principal: Arc<Principal>,
}

impl Caller {
    /// Finds who holds `key`.
    ///
    /// # Errors
    /// `key_malformed`, or why the key opens nothing.
    pub(crate) async fn find(state: &State, key: &str) -> Result<Self, Problem> {
        let hash = ApiKey::parse(key).map_err(|_| malformed())?.hash();
        let principal = state.directory.find(hash).await?;
        Ok(Self { hash, principal })
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match presented(&parts.headers)? {
            Some(key) => Self::find(app, key).await,
            None => Err(missing("send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`")),
        }
    }
}

/// The one credential in these headers.
///
/// # Errors
/// `ambiguous_credentials` where there are two different ones, `key_malformed` and `unauthorized` for what is no key.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let bearers = headers.get_all(header::AUTHORIZATION).into_iter().map(bearer);
    let keys = headers.get_all(X_API_KEY).into_iter().map(plain);
    let mut found = None;
    for credential in bearers.chain(keys) {
        found = one(found, Some(credential?))?;
    }
    Ok(found)
}

/// Whichever of two there is.
///
/// # Errors
/// `ambiguous_credentials` where both are there and differ.
pub(crate) fn one<'a>(a: Option<&'a str>, b: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => {
            Err(Problem::new(Refusal::AmbiguousCredentials, "two different credentials were sent; send one"))
        }
        (a, b) => Ok(a.or(b)),
    }
}

/// No credential was sent; `hint` says where one is looked for.
pub(crate) fn missing(hint: &'static str) -> Problem {
    Problem::new(Refusal::Unauthorized, hint)
}

fn malformed() -> Problem {
    Problem::new(Refusal::KeyMalformed, "a key is a prefix, an underscore and 32 lowercase hex digits")
}

fn plain(value: &HeaderValue) -> Result<&str, Problem> {
    value.to_str().map(str::trim).map_err(|_| malformed())
}

/// RFC 6750, 2.1; the scheme's name has no case (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Result<&str, Problem> {
    let text = plain(value)?;
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(BEARER) => Ok(key.trim()),
        _ => Err(Problem::new(Refusal::Unauthorized, "the `Authorization` header must be `Bearer KEY`")),
    }
}

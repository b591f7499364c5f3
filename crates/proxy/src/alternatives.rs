//! The choice among the credentials that a route accepts: the first that the request has, in its form, decides.
//!
//! The form of a key of users is that of the brand, and a token has three parts. The form of a listed key is that its
//! entry lists it, and that of a key in Redis any other. If several entries verify tokens, the token's `iss` selects one.

use access::{jwt, key_list};
use config::snapshot::Auth;
use http::{HeaderValue, Response, StatusCode, header};
use http1::KnownName;

use crate::answer::Problem;
use crate::head::{Head, bearer};
use crate::{basic, challenge, identify};

/// Returns the alternative that decides about a request; `None` if the request has no credential of any.
pub(crate) fn choose<'a>(head: &Head, alternatives: &'a [Auth]) -> Option<&'a Auth> {
    alternatives
        .iter()
        .find(|alternative| has_exactly(head, alternative))
        .or_else(|| alternatives.iter().find(|alternative| has_similar(head, alternative)))
}

/// Whether the request has a credential that only this alternative can verify.
fn has_exactly(head: &Head, alternative: &Auth) -> bool {
    match alternative {
        Auth::Key => identify::presented(head).any(access::is_key),
        Auth::Redis(_) => identify::presented(head).any(may_be_in_redis),
        Auth::Listed(entry) => identify::presented(head).any(|key| entry.keys.find(key).is_some()),
        Auth::Jwt(rule) => tokens(head).any(|token| match &rule.entry.terms.issuer {
            Some(issuer) => jwt::claimed_issuer(token).as_ref() == Some(issuer),
            None => true,
        }),
        Auth::Basic(_) => basic::is_present(head),
        Auth::None => head.get(KnownName::Authorization).is_none() && identify::presented(head).next().is_none(),
        // The service decides also about requests without a credential, so it is the last alternative.
        Auth::Forward(_) => true,
        // No alternative has alternatives.
        Auth::Any(_) => false,
    }
}

/// Whether the request has a credential that this alternative refuses with a more precise reason than its absence.
fn has_similar(head: &Head, alternative: &Auth) -> bool {
    match alternative {
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) => identify::presented(head).any(|key| !jwt::has_form(key)),
        Auth::Jwt(_) => tokens(head).next().is_some(),
        Auth::Basic(_) | Auth::Forward(_) | Auth::None | Auth::Any(_) => false,
    }
}

/// Whether a value may be a key in Redis: it is neither a token nor a key of users.
fn may_be_in_redis(value: &[u8]) -> bool {
    key_list::is_listable(value) && !jwt::has_form(value) && !access::is_key(value)
}

fn tokens(head: &Head) -> impl Iterator<Item = &[u8]> {
    head.fields().all(KnownName::Authorization).filter_map(bearer).filter(|token| jwt::has_form(token))
}

/// Adds the challenge of each alternative to a response with the status 401.
pub(crate) fn challenged(problem: Problem, alternatives: &[Auth]) -> Problem {
    alternatives.iter().filter_map(challenge).fold(problem, Problem::challenge)
}

/// Adds the challenge of each alternative to the response of a service with the status 401, unless it has one with the
/// same scheme.
pub(crate) fn challenge_response<B>(response: &mut Response<B>, alternatives: &[Auth]) {
    if response.status() != StatusCode::UNAUTHORIZED {
        return;
    }
    for value in alternatives.iter().filter_map(challenge) {
        if !challenge::has_scheme_of(response.headers().get_all(header::WWW_AUTHENTICATE).iter(), &value) {
            response.headers_mut().append(header::WWW_AUTHENTICATE, value);
        }
    }
}

/// Returns the challenge of one credential; `None` if it has none.
pub(crate) fn challenge(auth: &Auth) -> Option<HeaderValue> {
    match auth {
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) | Auth::Jwt(_) => Some(HeaderValue::from_static("Bearer")),
        Auth::Basic(entry) => basic::challenge(entry),
        Auth::Forward(_) | Auth::None | Auth::Any(_) => None,
    }
}

//! The choice among the credentials that a route accepts: the first that the request has, in its form, decides.
//!
//! The form of a key of users is that of the brand, and a token has three parts. The form of a listed key is that its
//! entry lists it, and that of a key in Redis any other. If several entries verify tokens, the token's `iss` selects one.
//! The proxy and explanations use the same choice.

use access::credentials::{jwt, key_list};

use super::auth::Auth;

/// The credentials of a request in their form; none is verified.
pub trait PresentedCredentials {
    /// Whether the request has `Authorization`, with any scheme.
    fn has_authorization(&self) -> bool;
    /// Returns the bearer tokens of `Authorization`.
    fn bearers(&self) -> impl Iterator<Item = &[u8]>;
    /// Whether `Authorization` has the scheme `Basic`.
    fn has_basic(&self) -> bool;
    /// Returns the values that may be keys: bearer tokens, and those of the headers of keys.
    fn keys(&self) -> impl Iterator<Item = &[u8]>;
    /// Whether the request is made with a key of users, also if no header contains one.
    fn has_key_of_user(&self) -> bool {
        self.keys().any(access::is_key)
    }
    /// Returns the name of the entry of `auth` whose credential the request is made with, also if no header contains one.
    fn entry(&self) -> Option<&str> {
        None
    }
}

/// Returns the alternative that decides about a request; `None` if the request has no credential of any.
pub fn choose<'a>(request: &impl PresentedCredentials, alternatives: &'a [Auth]) -> Option<&'a Auth> {
    position(request, alternatives).and_then(|position| alternatives.get(position))
}

/// Returns the position of the alternative that decides about a request.
pub(crate) fn position(request: &impl PresentedCredentials, alternatives: &[Auth]) -> Option<usize> {
    alternatives
        .iter()
        .position(|alternative| has_exactly(request, alternative))
        .or_else(|| alternatives.iter().position(|alternative| has_similar(request, alternative)))
}

/// Whether the request has a credential that only this alternative can verify.
fn has_exactly(request: &impl PresentedCredentials, alternative: &Auth) -> bool {
    match alternative {
        Auth::Key => request.has_key_of_user(),
        Auth::Redis(_) => request.keys().any(may_be_in_redis),
        Auth::Listed(entry) => {
            request.entry() == Some(entry.name.as_str()) || request.keys().any(|key| entry.keys.find(key).is_some())
        }
        Auth::Jwt(rule) => tokens(request).any(|token| match &rule.entry.terms.issuer {
            Some(issuer) => jwt::claimed_issuer(token).as_ref() == Some(issuer),
            None => true,
        }),
        Auth::Basic(entry) => request.entry() == Some(entry.name.as_str()) || request.has_basic(),
        Auth::None if request.entry().is_some() => false,
        Auth::None => !request.has_authorization() && request.keys().next().is_none() && !request.has_key_of_user(),
        // The service decides also about requests without a credential, so it is the last alternative.
        Auth::Forward(_) => true,
        // No alternative has alternatives.
        Auth::Any(_) => false,
    }
}

/// Whether the request has a credential that this alternative refuses with a more precise reason than its absence.
fn has_similar(request: &impl PresentedCredentials, alternative: &Auth) -> bool {
    match alternative {
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) => {
            request.has_key_of_user() || request.keys().any(|key| !jwt::has_form(key))
        }
        Auth::Jwt(_) => tokens(request).next().is_some(),
        Auth::Basic(_) | Auth::Forward(_) | Auth::None | Auth::Any(_) => false,
    }
}

/// Whether a value may be a key in Redis: it is neither a token nor a key of users.
fn may_be_in_redis(value: &[u8]) -> bool {
    key_list::is_listable(value) && !jwt::has_form(value) && !access::is_key(value)
}

fn tokens(request: &impl PresentedCredentials) -> impl Iterator<Item = &[u8]> {
    request.bearers().filter(|token| jwt::has_form(token))
}

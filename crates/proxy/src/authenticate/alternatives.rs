//! The challenges of a route that accepts several credentials, and the credentials of a request among which
//! `config::snapshot::choose` decides.

use config::snapshot::credentials::bearer;
use config::snapshot::{Auth, PresentedCredentials};
use http::{HeaderValue, Response, StatusCode, header};
use http1::KnownName;

use crate::authenticate::{basic, identify};
use crate::client::head::Head;
use crate::refusal::challenge;
use crate::refusal::problem::Problem;

impl PresentedCredentials for Head {
    fn has_authorization(&self) -> bool {
        self.get(KnownName::Authorization).is_some()
    }

    fn bearers(&self) -> impl Iterator<Item = &[u8]> {
        self.fields().all(KnownName::Authorization).filter_map(bearer)
    }

    fn has_basic(&self) -> bool {
        basic::is_present(self)
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        identify::presented(self)
    }
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

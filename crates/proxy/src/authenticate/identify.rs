//! The identification of the client: its credential names a [`Principal`].

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use access::{NotFound, Principal, Refusal, Subject};
use config::snapshot::KeyEntry;
use config::snapshot::credentials::{KEY_HEADERS, bearer};
use http::{HeaderValue, header};
use http1::KnownName;
use meter::rate::RateLevel;
use tokio::time::timeout;

use crate::account::RequestAccount;
use crate::account::request::RequestContext;
use crate::client::head::Head;
use crate::client::moved_keys::MovedKeys;
use crate::limits::grants;
use crate::refusal::limit_fields::limit_headers;
use crate::refusal::problem::Problem;
use crate::refusal::seconds::{in_words, seconds_up};
use crate::worker::unauthenticated;

/// A request waits at most this long for the look-up of its key, and for one that began before a change: each takes at most
/// 1.5 s.
const LOOKUP_MAX: Duration = Duration::from_secs(4);

/// Looks the client's credential up.
pub(crate) async fn identify(request: &RequestContext) -> Result<Arc<Principal>, Problem> {
    let credential = credential(&request.head)?;
    let mut look_up = pin!(request.worker().directory.find_key(credential, request.mono()));
    // A cached key needs no timer, which would read the clock.
    let found = match poll_fn(|cx| Poll::Ready(look_up.as_mut().poll(cx))).await {
        Poll::Ready(found) => found,
        Poll::Pending => {
            let found = timeout(LOOKUP_MAX, look_up).await;
            request.read_clock();
            found.unwrap_or(Ok(Err(NotFound::Unavailable)))
        }
    };
    found.map_err(|_| malformed(&request.snapshot.process.brand.key_prefix))?.map_err(refuse)
}

/// Returns the subject of a request with a key that the configuration lists: the name of the key, with that of its entry
/// as the issuer.
pub(crate) fn listed(request: &RequestContext, entry: &KeyEntry) -> Result<Subject, Problem> {
    let name = entry.keys.find(credential(&request.head)?).ok_or_else(|| refuse(NotFound::Unknown))?;
    Ok(Subject::Token { issuer: entry.name.clone(), sub: name.clone() })
}

/// Returns the subject of a request without a valid credential.
pub(crate) fn anonymous(request: &RequestContext) -> Subject {
    Subject::Anonymous { address: Some(request.client_address()) }
}

/// Returns the subject of a request on a route that needs no credential: the certificate of its connection, or anonymous.
pub(crate) fn without_credential(request: &RequestContext) -> Subject {
    match &request.at.peer.certificate {
        // The certificate of a trusted proxy is not that of its client.
        Some(subject) if !request.is_peer_trusted() => Subject::Certificate { subject: subject.clone() },
        _ => anonymous(request),
    }
}

/// Returns the one credential of a request. A value that is not ASCII is no credential.
pub(crate) fn credential(head: &Head) -> Result<&[u8], Problem> {
    let mut found: Option<&[u8]> = None;
    presented(head).try_for_each(|credential| {
        if found.is_some_and(|other| other != credential) {
            return Err(Problem::new(
                Refusal::AmbiguousCredentials,
                "two different credentials were sent: send one, as Authorization: Bearer, x-api-key, api-key or x-goog-api-key",
            ));
        }
        found = Some(credential);
        Ok(())
    })?;
    found.filter(|credential| !credential.is_empty()).ok_or_else(|| {
        Problem::new(Refusal::Unauthorized, "a key is needed: send it as Authorization: Bearer KEY or x-api-key: KEY")
    })
}

/// Returns the values that may be keys: in the order of their headers, then those that the head does not contain.
pub(crate) fn presented(head: &Head) -> impl Iterator<Item = &[u8]> {
    let fields = head.fields();
    let bearers = fields.all(KnownName::Authorization).filter_map(bearer);
    let keys = KEY_HEADERS.into_iter().flat_map(move |name| fields.all(name)).map(<[u8]>::trim_ascii);
    let counts = !head.keys().is_some_and(MovedKeys::ignores_headers);
    let moved = head.keys().into_iter().flat_map(MovedKeys::iter);
    bearers.chain(keys).filter(move |_| counts).chain(moved).filter(|value| value.is_ascii())
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
        NotFound::Unpaid => {
            (Refusal::PaymentRequired, "this account has unpaid invoices: sign in with your password and pay them")
        }
        NotFound::Busy => (Refusal::DirectoryBusy, "too many keys are being looked up: try again in a moment"),
        NotFound::Unavailable => (Refusal::Unavailable, "keys cannot be checked at the moment: try again in a moment"),
    };
    Problem::new(refusal, message)
}

/// Returns how long the address of a request must wait before a credential of it is checked; `None` if it need not. Nothing
/// is counted.
pub(crate) fn wait_before_check(request: &RequestContext) -> Option<Duration> {
    let shared = &request.worker().shared;
    let limit = request.snapshot.traffic.unauthenticated?;
    shared.unauthenticated.wait_here(request.client_address(), limit, &shared.clock)
}

/// Returns the refusal of a request whose address must wait.
pub(crate) fn too_many_calls(request: &RequestContext, wait: Duration) -> Problem {
    let shared = &request.worker().shared;
    shared.metrics.limits.refuse(unauthenticated::NAME);
    let seconds = seconds_up(wait).max(1);
    let message = format!("too many calls without a valid key: try again in {}", in_words(seconds));
    let problem = Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds));
    let Some(limit) = request.snapshot.traffic.unauthenticated else { return problem };
    // No requests remain before the wait is over.
    let level = RateLevel { limit: limit.limit.get(), remaining: 0, reset: wait };
    let headers = limit_headers(level, shared.clock.now());
    headers.into_iter().fold(problem, |problem, (name, value)| problem.header(name, value))
}

/// Returns the refusal of a credential, or `rate_limited` instead if the address is over its limit. Failures that the
/// client did not cause are not counted. The request has no subject then.
pub(crate) async fn refuse_unauthenticated(account: &mut RequestAccount, problem: Problem) -> Problem {
    account.identity.subject = anonymous(&account.request);
    let request = &account.request;
    let limit = if is_of_the_credential(problem.refusal) { request.snapshot.traffic.unauthenticated } else { None };
    let Some(limit) = limit else { return problem };
    let shared = &request.worker().shared;
    let time_left = grants::time_left(account);
    match shared.unauthenticated.wait(request.client_address(), limit, &shared.clock, time_left).await {
        None => problem,
        Some(wait) => too_many_calls(request, wait),
    }
}

fn is_of_the_credential(refusal: Refusal) -> bool {
    use Refusal::{
        AmbiguousCredentials, KeyExpired, KeyMalformed, KeyRevoked, KeyUnknown, PasswordInvalid, PaymentRequired,
        TokenExpired, TokenInvalid, Unauthorized, UserSuspended,
    };
    matches!(
        refusal,
        Unauthorized
            | KeyMalformed
            | KeyUnknown
            | KeyRevoked
            | KeyExpired
            | UserSuspended
            | PaymentRequired
            | AmbiguousCredentials
            | PasswordInvalid
            | TokenInvalid
            | TokenExpired
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::get;

    fn check(pairs: &[(&str, &str)]) -> Result<String, Refusal> {
        let head = get(pairs);
        let found = credential(&head).map_err(|problem| problem.refusal)?;
        Ok(String::from_utf8(found.to_vec()).unwrap())
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

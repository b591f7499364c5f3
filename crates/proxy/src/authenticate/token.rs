//! The identification of clients with access tokens of other issuers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::IssuerKeys;
use access::credentials::jwt::{self, JwtError, Requirement, VerifiedToken};
use access::{Plan, Refusal, Timestamp};
use config::snapshot::credentials::bearer;
use config::snapshot::{JwtEntry, JwtKeys, JwtRule, TokenPlan};
use http::{HeaderValue, header};
use http1::KnownName;
use tokio::time::timeout;

use crate::account::request::RequestContext;
use crate::authenticate::identify;
use crate::client::head::Head;
use crate::refusal::problem::Problem;
use crate::worker::token_client::{TokenClient, TokenKey};

/// The challenge of a response to an invalid token (RFC 6750, 3.1).
const INVALID_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");
/// Time after which a client may try again while no keys are loaded, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
const INSUFFICIENT_SCOPE: HeaderValue = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");

/// Maximum time for which a request with an unknown key waits for the keys of its issuer.
const REFETCH_MAX: Duration = Duration::from_secs(5);

/// The reason why a token has no client.
enum TokenRefusal<'a> {
    Problem(Problem),
    /// The issuer may have published the key since its keys were fetched.
    UnknownKey(&'a IssuerKeys),
}

impl From<Problem> for TokenRefusal<'_> {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Returns the client of a request whose token is valid. A token with an unknown key waits for one fetch of the keys.
pub(crate) async fn identify(request: &RequestContext, rule: &JwtRule) -> Result<Rc<TokenClient>, Problem> {
    let issuer = match find(request, rule, false) {
        Ok(client) => return Ok(client),
        Err(TokenRefusal::Problem(problem)) => return Err(problem),
        Err(TokenRefusal::UnknownKey(issuer)) => issuer,
    };
    // Clients choose the names of keys: requests of one address must not use all places of an issuer.
    let Ok(_permit) = request.worker().shared.capacity.await_keys(request.client_address()) else {
        return Err(unavailable(&rule.entry));
    };
    // Boxed, because the future is large and other requests do not need it.
    let fetched = Box::pin(timeout(REFETCH_MAX, issuer.refetched())).await;
    request.read_clock();
    // Too many requests wait for the fetch, it takes longer, or it failed: the key may be valid.
    if fetched != Ok(true) {
        return Err(unavailable(&rule.entry));
    }
    find(request, rule, true).map_err(|refusal| match refusal {
        TokenRefusal::Problem(problem) => problem,
        TokenRefusal::UnknownKey(_) => refuse(JwtError::UnknownKey, &rule.entry),
    })
}

/// Verified tokens are cached, and refused ones for a short time. No other token of an address over its limit is verified.
/// `is_last` means that the keys were fetched since the request has arrived.
fn find<'a>(request: &'a RequestContext, rule: &JwtRule, is_last: bool) -> Result<Rc<TokenClient>, TokenRefusal<'a>> {
    let token = token(&request.head)?;
    let entry = &rule.entry;
    let cache = &request.snapshot.tokens;
    let issuer = issuer(request, entry)?;
    let key = TokenKey::new(entry, issuer.map_or(0, IssuerKeys::generation), token);
    if let Some(client) = cache.get(&key, request.started_at) {
        return Ok(client);
    }
    if let Some(error) = cache.refusal(&key, request.started_at) {
        return Err(refuse(error, entry).into());
    }
    if let Some(wait) = identify::wait_before_check(request) {
        return Err(identify::too_many_calls(request, wait).into());
    }
    let verified = match (verify(token, entry, issuer, request.started_at)?, issuer) {
        (Ok(verified), _) => verified,
        (Err(JwtError::UnknownKey), Some(issuer)) if !is_last => return Err(TokenRefusal::UnknownKey(issuer)),
        (Err(error), _) => {
            cache.refuse(key, error, request.wall_at());
            return Err(refuse(error, entry).into());
        }
    };
    let plan = plan(entry, &verified, &request.snapshot.traffic.plans)?;
    let mut client = TokenClient::new(entry, verified);
    client.plan = plan;
    let client = Rc::new(client);
    cache.insert(key, client.clone(), token.len());
    Ok(client)
}

/// Returns the name of the subject's plan. A token without a known plan is refused, because no limit would apply to it.
fn plan(entry: &JwtEntry, verified: &VerifiedToken, plans: &[Plan]) -> Result<Option<Arc<str>>, Problem> {
    let claim = match &entry.plan {
        None => return Ok(None),
        Some(TokenPlan::Named(name)) => return Ok(Some(name.clone())),
        Some(TokenPlan::Claim(claim)) => claim,
    };
    let named = verified.claims.field_value(claim).ok().flatten();
    match named.filter(|name| plans.iter().any(|plan| plan.name == **name)) {
        Some(name) => Ok(Some(name.as_ref().into())),
        None => {
            let message = format!("the claim `{claim}` of the access token must name a plan of this gateway");
            Err(Problem::new(Refusal::Forbidden, message))
        }
    }
}

/// Returns the published keys of an entry; `None` if its key is configured. Without keys, no token can be judged.
fn issuer<'a>(request: &'a RequestContext, entry: &JwtEntry) -> Result<Option<&'a IssuerKeys>, Problem> {
    let JwtKeys::Published { position, .. } = entry.keys else { return Ok(None) };
    let keys = request.snapshot.issuers.get(position).filter(|keys| keys.generation() != 0);
    keys.map(|keys| Some(&**keys)).ok_or_else(|| unavailable(entry))
}

/// Verifies a token with the keys of its entry; the outer error means that no keys are loaded yet.
fn verify(
    token: &[u8],
    entry: &JwtEntry,
    issuer: Option<&IssuerKeys>,
    now: Timestamp,
) -> Result<Result<VerifiedToken, JwtError>, Problem> {
    let verified = match (&entry.keys, issuer) {
        (JwtKeys::Configured(keys), _) => jwt::verify(token, &entry.terms, keys, now),
        (JwtKeys::Published { .. }, issuer) => {
            let keys = issuer.and_then(IssuerKeys::load).ok_or_else(|| unavailable(entry))?;
            jwt::verify(token, &entry.terms, &keys, now)
        }
    };
    Ok(verified)
}

/// Refuses a token that does not satisfy the conditions of the route.
pub(crate) fn check(client: &TokenClient, rule: &JwtRule) -> Result<(), Problem> {
    match rule.require.iter().find(|requirement| !client.verified.claims.meets(requirement)) {
        None => Ok(()),
        Some(unmet) => Err(insufficient(unmet)),
    }
}

/// Returns the one token of a request.
fn token(head: &Head) -> Result<&[u8], Problem> {
    let mut tokens = head.fields().all(KnownName::Authorization).filter_map(bearer);
    let first = tokens.next().filter(|token| !token.is_empty());
    let token = first.ok_or_else(|| {
        Problem::new(Refusal::Unauthorized, "an access token is needed: send it as Authorization: Bearer TOKEN")
    })?;
    if tokens.any(|other| other != token) {
        let message = "two different access tokens were sent: send one, as Authorization: Bearer TOKEN";
        return Err(Problem::new(Refusal::AmbiguousCredentials, message));
    }
    Ok(token)
}

fn refuse(error: JwtError, entry: &JwtEntry) -> Problem {
    let refusal = match error {
        JwtError::Expired => Refusal::TokenExpired,
        JwtError::TooLong
        | JwtError::Malformed
        | JwtError::TooMany
        | JwtError::Unsupported
        | JwtError::Algorithm
        | JwtError::Signature
        | JwtError::UnknownKey
        | JwtError::KeyUnnamed
        | JwtError::Claim(_)
        | JwtError::Issuer
        | JwtError::Audience
        | JwtError::NotYet => Refusal::TokenInvalid,
    };
    let mut problem = Problem::new(refusal, error.to_string()).header(header::WWW_AUTHENTICATE, INVALID_TOKEN);
    problem.source = Some(format!("auth entry {:?}", entry.name));
    problem
}

/// The refusal of a request while no keys of the issuer are loaded.
fn unavailable(entry: &JwtEntry) -> Problem {
    let message = "the keys that verify access tokens are not available yet: try again in a moment";
    let mut problem = Problem::new(Refusal::IssuerUnavailable, message).header(header::RETRY_AFTER, RETRY_AFTER);
    problem.source = Some(format!("auth entry {:?}", entry.name));
    problem
}

fn insufficient(unmet: &Requirement) -> Problem {
    let Requirement { claim, value } = unmet;
    let message = format!("this route needs an access token whose claim `{claim}` has `{value}`");
    Problem::new(Refusal::Forbidden, message).header(header::WWW_AUTHENTICATE, INSUFFICIENT_SCOPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::get;

    #[test]
    fn one_token_is_read_from_one_field() {
        let check = |pairs: &[(&str, &str)]| token(&get(pairs)).map(<[u8]>::to_vec).map_err(|problem| problem.refusal);
        for (pairs, expected) in [
            (&[("authorization", "Bearer a.b.c")] as &[_], Ok(b"a.b.c".to_vec())),
            (&[("Authorization", "bEARER  a.b.c ")], Ok(b"a.b.c".to_vec())),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer a")], Ok(b"a".to_vec())),
            (&[("authorization", "Basic x"), ("authorization", "Bearer a")], Ok(b"a".to_vec())),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Err(Refusal::AmbiguousCredentials)),
            (&[("x-api-key", "a.b.c")], Err(Refusal::Unauthorized)),
            (&[("authorization", "Bearer")], Err(Refusal::Unauthorized)),
            (&[("authorization", "Bearera")], Err(Refusal::Unauthorized)),
            (&[("authorization", "a.b.c")], Err(Refusal::Unauthorized)),
            (&[], Err(Refusal::Unauthorized)),
        ] {
            assert_eq!(check(pairs), expected, "{pairs:?}");
        }
    }
}

//! The identification of clients with access tokens of other issuers.

use std::rc::Rc;

use access::Refusal;
use access::jwt::{self, JwtError, Requirement};
use config::snapshot::{JwtEntry, JwtRule};
use http::{HeaderValue, header};
use http1::KnownName;

use crate::answer::Problem;
use crate::head::{Head, bearer};
use crate::request::RequestContext;
use crate::token_client::{InvalidClaim, TokenClient, TokenKey};

/// The challenge of a response to an invalid token (RFC 6750, 3.1).
const INVALID_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");
const INSUFFICIENT_SCOPE: HeaderValue = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");

/// Returns the client of a request whose token is valid. Verified tokens are cached.
pub(crate) fn identify(request: &RequestContext, rule: &JwtRule) -> Result<Rc<TokenClient>, Problem> {
    let (token, entry, cache) = (token(&request.head)?, &rule.entry, &request.snapshot.tokens);
    let key = TokenKey::new(entry, token);
    if let Some(client) = cache.get(&key, request.started_at) {
        return Ok(client);
    }
    let verified =
        jwt::verify(token, &entry.terms, &entry.key, request.started_at).map_err(|error| refuse(error, entry))?;
    let client = Rc::new(TokenClient::new(entry, verified).map_err(invalid_claim)?);
    cache.insert(key, client.clone(), token.len());
    Ok(client)
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
        | JwtError::Unsupported
        | JwtError::Algorithm
        | JwtError::Signature
        | JwtError::Claim(_)
        | JwtError::Issuer
        | JwtError::Audience
        | JwtError::NotYet => Refusal::TokenInvalid,
    };
    let mut problem = Problem::new(refusal, error.to_string()).header(header::WWW_AUTHENTICATE, INVALID_TOKEN);
    problem.source = Some(format!("auth entry {:?}", entry.name));
    problem
}

fn invalid_claim(InvalidClaim { claim, error }: InvalidClaim) -> Problem {
    let message = format!("the claim `{claim}` of the access token {error}");
    Problem::new(Refusal::TokenInvalid, message).header(header::WWW_AUTHENTICATE, INVALID_TOKEN)
}

fn insufficient(unmet: &Requirement) -> Problem {
    let Requirement { claim, value } = unmet;
    let message = format!("this route needs an access token whose claim `{claim}` has `{value}`");
    Problem::new(Refusal::Forbidden, message).header(header::WWW_AUTHENTICATE, INSUFFICIENT_SCOPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::get;

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

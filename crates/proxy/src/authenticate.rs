//! The phase in which the client of a request is identified, counted and checked against the bounds of its key.

pub(crate) mod alternatives;
pub(crate) mod basic;
pub(crate) mod forward_auth;
pub(crate) mod identify;
pub(crate) mod redis_keys;
pub(crate) mod scope;
pub(crate) mod token;

use std::rc::Rc;
use std::sync::Arc;

use access::exchange::key_clients::KeyClient;
use access::{Principal, Refusal, Subject};
use config::snapshot::{Auth, JwtRule, choose};
use http::{HeaderValue, StatusCode, header};
use http1::KnownName;

use crate::account::RequestAccount;
use crate::account::client::Client;
use crate::account::request::RequestContext;
use crate::capacity::CallBound;
use crate::limits::budget;
use crate::refusal::phase::{EarlyResponse, Phase};
use crate::refusal::problem::Problem;
use crate::worker::token_client::TokenClient;

/// Identifies the client as [`authenticate`] does, and records the span of that.
pub(crate) async fn authenticate_in_span(account: &mut RequestAccount, auth: &Auth) -> Phase<Option<Client>> {
    let since = account.request.phase_begins();
    let client = authenticate(account, auth).await;
    account.request.phase_ends("authenticate", since);
    client
}

/// Identifies the client, if the route requires it, counts the request for its subject, and checks its address. An
/// unidentified client is subject to the limits of unauthenticated clients.
async fn authenticate(account: &mut RequestAccount, auth: &Auth) -> Phase<Option<Client>> {
    let problem = match auth {
        Auth::None => {
            account.identity.subject = identify::without_credential(&account.request);
            if matches!(account.identity.subject, Subject::Certificate { .. }) {
                enter(account)?;
            }
            return Ok(None);
        }
        Auth::Key => match identify::identify(&account.request).await {
            Ok(principal) => {
                account.identified(&principal);
                note_client(&account.request, &principal);
                enter(account)?;
                scope::check_address(&account.request, &principal)?;
                let limits = budget::limits(&account.request, &principal);
                account.identity.limits = Some(limits.clone());
                return Ok(Some(Client { principal, limits }));
            }
            Err(problem) => problem,
        },
        Auth::Listed(entry) => match identify::listed(&account.request, entry) {
            Ok(subject) => return Ok(enter_as(account, subject, entry.plan.as_ref())?),
            Err(problem) => problem,
        },
        // Boxed, because the future is large and other requests do not need it.
        Auth::Redis(entry) => match Box::pin(redis_keys::identify(&account.request, entry)).await {
            Ok(client) => return Ok(enter_as(account, client.subject, client.plan.as_ref())?),
            Err(problem) => problem,
        },
        Auth::Jwt(rule) => match token::identify(&account.request, rule).await {
            Ok(client) => return Ok(enter_with_token(account, rule, client)?),
            Err(problem) => problem,
        },
        // Boxed, because the futures are large and other requests do not need them.
        Auth::Basic(entry) => match Box::pin(basic::identify(&account.request, entry)).await {
            Ok(subject) => return Ok(enter_as(account, subject, entry.plan.as_ref())?),
            Err(problem) => alternatives::challenged(problem, std::slice::from_ref(auth)),
        },
        Auth::Forward(entry) => match Box::pin(forward_auth::identify(&account.request, entry)).await {
            Ok(client) => {
                enter_as(account, client.subject.clone(), client.plan.as_ref())?;
                account.identity.service = Some(client);
                return Ok(None);
            }
            Err(early) => return Err(refused_by_service(account, early).await),
        },
        Auth::Any(list) => return Box::pin(authenticate_any(account, list)).await,
    };
    Err(identify::refuse_unauthenticated(account, problem).await.into())
}

/// Identifies the client with the first alternative whose credential the request has.
async fn authenticate_any(account: &mut RequestAccount, list: &[Auth]) -> Phase<Option<Client>> {
    let problem = match choose(&*account.request.head, list) {
        Some(chosen) => match Box::pin(authenticate(account, chosen)).await {
            Ok(client) => return Ok(client),
            Err(EarlyResponse::Refuse(problem)) => return Err(alternatives::challenged(problem, list).into()),
            Err(EarlyResponse::Respond(mut response)) => {
                alternatives::challenge_response(&mut response, list);
                return Err(EarlyResponse::Respond(response));
            }
        },
        None => Problem::new(Refusal::Unauthorized, "the request has no credential that this route accepts"),
    };
    let problem = alternatives::challenged(problem, list);
    Err(identify::refuse_unauthenticated(account, problem).await.into())
}

/// Returns the response of a service. One with the status 401 counts in the limits of unauthenticated clients.
async fn refused_by_service(account: &mut RequestAccount, early: EarlyResponse) -> EarlyResponse {
    account.identity.subject = identify::anonymous(&account.request);
    match early {
        EarlyResponse::Respond(response) if response.status() == StatusCode::UNAUTHORIZED => {
            let problem = Problem::new(Refusal::Unauthorized, "a service has refused the request");
            let problem = identify::refuse_unauthenticated(account, problem).await;
            let is_limited = problem.refusal == Refusal::RateLimited;
            if is_limited { problem.into() } else { EarlyResponse::Respond(response) }
        }
        early @ (EarlyResponse::Respond(_) | EarlyResponse::Refuse(_)) => early,
    }
}

/// Counts a request of a client without a user for its subject, with the name of its plan.
fn enter_as(
    account: &mut RequestAccount,
    subject: Subject,
    plan: Option<&Arc<str>>,
) -> Result<Option<Client>, Problem> {
    account.identity.subject = subject;
    account.identity.plan = plan.cloned();
    enter(account)?;
    Ok(None)
}

/// Counts a request with a valid token for its subject, with the name of its plan.
fn enter_with_token(
    account: &mut RequestAccount,
    rule: &JwtRule,
    client: Rc<TokenClient>,
) -> Result<Option<Client>, Problem> {
    account.identity.subject = client.verified.subject.clone();
    account.identity.plan = client.plan.clone();
    token::check(&client, rule)?;
    enter(account)?;
    account.identity.token = Some(client);
    Ok(None)
}

/// Returns the client of a request that requires authentication.
pub(crate) fn required(client: Option<&Client>) -> Result<&Client, Problem> {
    client.ok_or_else(|| Problem::new(Refusal::Unauthorized, "this endpoint needs a key"))
}

/// Records the address and the product of the client for the page of its key.
fn note_client(request: &RequestContext, principal: &Principal) {
    let address = request.client_address();
    request.worker().directory.note_client(principal.key_no, address, request.mono(), || {
        KeyClient::new(address, request.head.fields().all(KnownName::UserAgent).next())
    });
}

/// Counts the request among the requests in flight of its subject and, for a key, of its user.
fn enter(account: &mut RequestAccount) -> Result<(), Problem> {
    let entered = account.request.worker().shared.capacity.call(&account.identity.subject);
    account.permits.subject = Some(entered.map_err(|bound| {
        let (calls_max, whose) = match bound {
            CallBound::Key(calls_max) => (calls_max, "of this key"),
            CallBound::User(calls_max) => (calls_max, "of this user, over all keys,"),
        };
        let message = format!("{calls_max} calls {whose} are in flight, and no more may be: wait until one has ended");
        Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(1))
    })?);
    Ok(())
}

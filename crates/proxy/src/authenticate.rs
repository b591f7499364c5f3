//! The phase in which the client of a request is identified, counted and checked against the bounds of its key.

use std::rc::Rc;
use std::sync::Arc;

use access::{Principal, Refusal, Subject};
use config::snapshot::{Auth, JwtRule};
use http::{HeaderValue, header};
use meter::Limits;

use crate::account::RequestAccount;
use crate::answer::Problem;
use crate::capacity::CallBound;
use crate::token_client::TokenClient;
use crate::{basic, budget, identify, scope, token};

/// A client whose credential is valid.
pub(crate) struct Client {
    pub(crate) principal: Arc<Principal>,
    /// The limits and budgets that apply to it.
    pub(crate) limits: Arc<Limits>,
}

/// Identifies the client, if the route requires it, counts the request for its subject, and checks its address. An
/// unidentified client is subject to the limits of unauthenticated clients.
pub(crate) async fn authenticate(account: &mut RequestAccount, auth: &Auth) -> Result<Option<Client>, Problem> {
    let problem = match auth {
        Auth::None => {
            account.subject = identify::without_credential(&account.request);
            return Ok(None);
        }
        Auth::Key => match identify::identify(&account.request).await {
            Ok(principal) => {
                account.identified(&principal);
                enter(account)?;
                scope::check_address(&account.request, &principal)?;
                let limits = budget::limits(&account.request, &principal);
                return Ok(Some(Client { principal, limits }));
            }
            Err(problem) => problem,
        },
        Auth::Listed(entry) => match identify::listed(&account.request, entry) {
            Ok(subject) => return enter_as(account, subject, entry.plan.as_ref()),
            Err(problem) => problem,
        },
        Auth::Basic(entry) => match Box::pin(basic::identify(&account.request, entry)).await {
            Ok(subject) => return enter_as(account, subject, entry.plan.as_ref()),
            Err(problem) => basic::challenge(entry).into_iter().fold(problem, challenged),
        },
        Auth::Jwt(rule) => match token::identify(&account.request, rule) {
            Ok(client) => return enter_with_token(account, rule, client),
            Err(problem) => problem,
        },
    };
    account.subject = identify::anonymous(&account.request);
    Err(identify::refuse_unauthenticated(&account.request, &account.subject, problem).await)
}

/// Adds a challenge to the response, if its status is 401.
fn challenged(problem: Problem, challenge: HeaderValue) -> Problem {
    if problem.refusal.status() == 401 { problem.header(header::WWW_AUTHENTICATE, challenge) } else { problem }
}

/// Counts a request of a client without a user for its subject, with the name of its plan.
fn enter_as(
    account: &mut RequestAccount,
    subject: Subject,
    plan: Option<&Arc<str>>,
) -> Result<Option<Client>, Problem> {
    account.subject = subject;
    account.plan = plan.cloned();
    enter(account)?;
    Ok(None)
}

/// Counts a request with a valid token for its subject, which has no user, plan or budgets.
fn enter_with_token(
    account: &mut RequestAccount,
    rule: &JwtRule,
    client: Rc<TokenClient>,
) -> Result<Option<Client>, Problem> {
    account.subject = client.verified.subject.clone();
    account.plan = client.plan.clone();
    token::check(&client, rule)?;
    enter(account)?;
    account.token = Some(client);
    Ok(None)
}

/// Returns the client of a request that requires authentication.
pub(crate) fn required(client: Option<&Client>) -> Result<&Client, Problem> {
    client.ok_or_else(|| Problem::new(Refusal::Unauthorized, "this endpoint needs a key"))
}

/// Counts the request among the requests in flight of its subject and, for a key, of its user.
fn enter(account: &mut RequestAccount) -> Result<(), Problem> {
    let entered = account.request.worker().shared.capacity.call(&account.subject);
    account.key_permit = Some(entered.map_err(|bound| {
        let (calls_max, whose) = match bound {
            CallBound::Key(calls_max) => (calls_max, "of this key"),
            CallBound::User(calls_max) => (calls_max, "of this user, over all keys,"),
        };
        let message = format!("{calls_max} calls {whose} are in flight, and no more may be: wait until one has ended");
        Problem::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(1))
    })?);
    Ok(())
}

//! Rate limits of control, and the header fields that report them in every response.
//!
//! [`limit`] authenticates each request once and passes the result to the handler. Every request counts in the limits
//! of all clients at its address. A request with a valid key also counts for the key, a request of a session for the
//! session, and any other request for the unauthenticated clients at the address. After an internal
//! error of authentication, the request counts for none of these.

use std::sync::{Arc, OnceLock};

use access::network::address;
use access::{KeyId, Refusal, SessionId};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cluster::windows::{WindowCheck, WindowVerdict};
use config::snapshot::{Dimension, LimitSubject, WindowLimit};
use http::Method;
use http::request::Parts;
use serde_json::json;
use store::{Act, AuditAction};

use crate::message::limit_fields::{self, X_RATELIMIT_LIMIT};
use crate::message::problem::Problem;
use crate::pages;
use crate::pages::static_file;
use crate::process::state::App;
use crate::sign_in::address::Address;
use crate::sign_in::caller::{Authentication, Caller, SignInMethod};

/// Paths without limits: probes, pages that a browser or a shell opens, and notifications, which have their own limits. The OpenAPI document lists no rate limits for
/// these paths.
const FREE: [&str; 17] = [
    "/",
    "/api/site",
    "/dashboard",
    "/dashboard/",
    static_file::DASHBOARD,
    "/docs",
    "/docs/api",
    pages::MANUAL_PATH,
    pages::SEARCH_PATH,
    "/health",
    "/install.sh",
    "/link",
    "/livez",
    "/metrics",
    "/midtrans/notification",
    "/openapi.json",
    "/readyz",
];
/// Paths without limits on a server with example files, whose clients have no credential.
const OF_EXAMPLES: [&str; 9] = [
    "/assets/generate",
    "/brief/{id}",
    "/classify/today",
    "/config",
    "/export/{id}",
    "/ingest/status",
    "/review/signoff",
    "/review/status",
    "/roi/today",
];
/// The endpoint that accepts a key in its body. Its handler counts the request for that key ([`BodyKeyVerdict::take`]).
pub(crate) const VALIDATE: &str = "/api/auth/validate";

/// A request extension in which the handler stores the verdict of counting the request for the key in its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyKeyVerdict(Arc<OnceLock<WindowVerdict>>);

/// The party for which a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LimitParty {
    Key(KeyId),
    Session(SessionId),
    Unauthenticated,
    /// Unknown because of an internal error: the credential may be valid.
    Unknown,
}

impl LimitParty {
    fn from_authentication(judged: &Result<Caller, Problem>) -> Self {
        match judged {
            Ok(Caller { via: SignInMethod::Key(principal), .. }) => Self::Key(principal.key),
            Ok(Caller { via: SignInMethod::Session { id, .. }, .. }) => Self::Session(*id),
            Err(problem) if problem.is_ours() => Self::Unknown,
            Err(_) => Self::Unauthenticated,
        }
    }
}

impl BodyKeyVerdict {
    /// Counts the request for the key that was found in its body. The handler calls this before other work.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) async fn take(&self, app: &App, key: KeyId, address: Address) -> Result<(), Problem> {
        let verdict = take(app, LimitParty::Key(key), address).await;
        // A request has one handler, so the cell is empty.
        let _ = self.0.set(verdict);
        if verdict.allowed { Ok(()) } else { Err(refusal(app, &verdict)) }
    }
}

/// Refuses requests over a limit. Responses on limited paths report one limit: the refusing one, or the one with the
/// fewest remaining requests.
///
/// If the limit of all clients at an address is exceeded, its requests are refused before their credentials are looked
/// up. If only the limit of unauthenticated clients is exceeded, the look-up is necessary: a request with a valid
/// credential is exempt.
pub(crate) async fn limit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    let is_example = |path: &str| app.examples.is_some() && OF_EXAMPLES.contains(&path);
    if path.is_some_and(|path| is_free(path) || is_example(path)) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let address = Address::from_parts(&parts, &app);
    let crowd = crowd(&app, address);
    if !crowd.allowed {
        return with_limit_fields(refusal(&app, &crowd).into_response(), &crowd);
    }
    let judging = tokio::time::timeout(app.limits.call, Caller::authenticate(&parts, &app)).await;
    let judged = judging.unwrap_or_else(|_| Err(Problem::late()));
    let party = LimitParty::from_authentication(&judged);
    parts.extensions.insert(Authentication(Arc::new(judged)));
    if party == LimitParty::Unauthenticated && parts.method == Method::POST && path == Some(VALIDATE) {
        return validated(&app, address, Request::from_parts(parts, body), next).await;
    }
    let verdict = take(&app, party, address).await;
    if !verdict.allowed {
        return with_limit_fields(refusal(&app, &verdict).into_response(), &verdict);
    }
    if let Err(problem) = note_judged(&app, &parts, path).await {
        return with_limit_fields(problem.into_response(), &verdict);
    }
    with_limit_fields(next.run(Request::from_parts(parts, body)).await, &verdict)
}

async fn note_judged(app: &App, parts: &Parts, path: Option<&str>) -> Result<(), Problem> {
    let Some(Authentication(judged)) = parts.extensions.get() else { return Ok(()) };
    let Ok(caller) = judged.as_ref() else { return Ok(()) };
    note_admin_key(app, caller, &parts.method, path.unwrap_or("unknown")).await
}

/// Writes the line of the audit log for each request with a key with the scope `admin`. Without the line, the request is
/// refused. The line has the path as the document writes it, without ids and the query.
///
/// # Errors
/// Errors of the store.
pub(crate) async fn note_admin_key(app: &App, caller: &Caller, method: &Method, path: &str) -> Result<(), Problem> {
    let Some(key) = caller.admin_key() else { return Ok(()) };
    let detail = json!({"method": method.as_str(), "path": path});
    let act = Act::new(AuditAction::KeyUse, key.key.0, Some(caller.user)).with(detail);
    Ok(app.store.note_alone(&caller.actor(), act).await?)
}

/// Serves a request whose key may be in the body. If the key is valid, the handler counts the request for it. Otherwise
/// this function counts the request after the handler, which did at most one look-up, and discards the response if a
/// limit is exceeded.
async fn validated(app: &App, address: Address, mut request: Request, next: Next) -> Response {
    let in_body = BodyKeyVerdict::default();
    request.extensions_mut().insert(in_body.clone());
    let response = next.run(request).await;
    if let Some(verdict) = in_body.0.get() {
        return with_limit_fields(response, verdict);
    }
    let party = if response.status().is_server_error() { LimitParty::Unknown } else { LimitParty::Unauthenticated };
    let verdict = take(app, party, address).await;
    with_limit_fields(if verdict.allowed { response } else { refusal(app, &verdict).into_response() }, &verdict)
}

/// Whether no limit applies to this path.
pub(crate) fn is_free(path: &str) -> bool {
    FREE.contains(&path)
}

/// Counts a request in all limits that apply to it, or in none of them if one refuses it.
async fn take(app: &App, party: LimitParty, address: Address) -> WindowVerdict {
    let counted_requests = counted_limits(app, party, address);
    app.windows.take(&window_checks(&counted_requests)).await
}

/// The state of the limit of all clients at this address, as far as this process knows. The request is not counted.
fn crowd(app: &App, address: Address) -> WindowVerdict {
    let counted_requests = counted_limits(app, LimitParty::Unknown, address);
    app.windows.peek(&window_checks(&counted_requests))
}

/// A limit, its name in metrics, and the text that identifies its counter: the id of an API key or a session, or a network.
type CountedLimit = (&'static str, WindowLimit, String);

fn counted_limits(app: &App, party: LimitParty, address: Address) -> Vec<CountedLimit> {
    let snapshot = app.live.load();
    let limits = snapshot.process.control.rate_limits.iter().filter_map(|limit| {
        let counted = match (limit.dimension, party) {
            (Dimension::Key, LimitParty::Key(key)) => key.to_string(),
            (Dimension::Key, _) => return None,
            // Signed-in callers behind one address have a share each.
            (Dimension::Address, LimitParty::Session(id)) if limit.whose == LimitSubject::WithSession => id.to_string(),
            (Dimension::Address, _) => address::network(address.0).to_string(),
        };
        Some((name(party, *limit)?, *limit, counted))
    });
    limits.collect()
}

fn window_checks(counted_requests: &[CountedLimit]) -> Vec<WindowCheck<'_>> {
    counted_requests
        .iter()
        .map(|(name, rule, key)| WindowCheck { name, key, limit: rule.limit, window: rule.window })
        .collect()
}

/// The limit's name in metrics, if the limit applies to this party.
fn name(party: LimitParty, limit: WindowLimit) -> Option<&'static str> {
    match (limit.dimension, limit.whose, party) {
        (Dimension::Key, _, LimitParty::Key(_)) => Some("key"),
        (Dimension::Address, LimitSubject::Everybodys, _) => Some("address"),
        (Dimension::Address, LimitSubject::WithoutKey, LimitParty::Unauthenticated) => Some("address_without_key"),
        (Dimension::Address, LimitSubject::WithSession, LimitParty::Session(_)) => Some("address_with_session"),
        _ => None,
    }
}

fn refusal(app: &App, verdict: &WindowVerdict) -> Problem {
    app.metrics.limits.refuse(verdict.name);
    let message = format!("more than {} requests within the limit's window; wait and try again", verdict.limit);
    Problem::new(Refusal::RateLimited, message).retry_after(verdict.retry_after)
}

fn with_limit_fields(mut response: Response, verdict: &WindowVerdict) -> Response {
    // A handler may have refused the request by another limit.
    if !verdict.name.is_empty() && !response.headers().contains_key(X_RATELIMIT_LIMIT) {
        limit_fields::write(response.headers_mut(), verdict);
    }
    response
}

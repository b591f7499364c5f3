//! Rate limits of control, and the header fields that report them in every response.
//!
//! A request is authenticated here, once, and the result is passed on to the handler. A request with a valid key
//! counts for the key, a request of a session for its address, and any other request for the address of
//! unauthenticated clients. If an internal error prevents authentication, only the limit of all clients at the address
//! counts.

use std::sync::{Arc, OnceLock};

use access::{KeyId, Refusal, address};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use config::snapshot::{Dimension, LimitSubject, WindowLimit};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use store::windows::{Verdict, WindowCheck};

use crate::address::Address;
use crate::caller::{Caller, Via};
use crate::problem::Problem;
use crate::state::App;

pub(crate) const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(crate) const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(crate) const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Paths without limits: probes, and pages that a browser or a shell opens. The OpenAPI document shows them without
/// limits.
const FREE: [&str; 9] =
    ["/", "/health", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/link", "/install.sh"];
/// The endpoint that accepts a key in its body. Its handler reports which key was found.
const VALIDATE: &str = "/api/auth/validate";

/// The result of authentication: the caller, or the reason why the request has none.
#[derive(Debug, Clone)]
pub(crate) struct Judged(pub(crate) Arc<Result<Caller, Problem>>);

/// A request extension for a key in the body: the verdict of counting the request for that key.
#[derive(Debug, Clone, Default)]
pub(crate) struct InBody(Arc<OnceLock<Verdict>>);

/// The party for which a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Key(KeyId),
    SignedIn,
    Stranger,
    /// Unknown because of an internal error: the credential may be valid.
    Unknown,
}

impl Who {
    fn of(judged: &Result<Caller, Problem>) -> Self {
        match judged {
            Ok(Caller { via: Via::Key(principal), .. }) => Self::Key(principal.key),
            Ok(Caller { via: Via::Session { .. }, .. }) => Self::SignedIn,
            Err(problem) if problem.is_ours() => Self::Unknown,
            Err(_) => Self::Stranger,
        }
    }
}

impl InBody {
    /// Counts the request for the key that was found in its body, before further work.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) async fn take(&self, app: &App, key: KeyId, address: Address) -> Result<(), Problem> {
        let verdict = take(app, Who::Key(key), address).await;
        // A request has one handler, so the cell is empty.
        let _ = self.0.set(verdict);
        if verdict.allowed { Ok(()) } else { Err(refusal(app, &verdict)) }
    }
}

/// Refuses requests over a limit. Every response reports the limit's state.
///
/// An address over the limit of all its clients is refused before its credential is looked up. An address over the
/// limit of unauthenticated clients is not, because only the look-up shows whether the credential is valid and the
/// request exempt.
pub(crate) async fn limit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map(MatchedPath::as_str);
    if path.is_some_and(is_free) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let address = Address::of(&parts, &app);
    let crowd = crowd(&app, address);
    if !crowd.allowed {
        return told(refusal(&app, &crowd).into_response(), &crowd);
    }
    let judging = tokio::time::timeout(app.limits.call, Caller::of(&parts, &app)).await;
    let judged = judging.unwrap_or_else(|_| Err(Problem::late()));
    let who = Who::of(&judged);
    parts.extensions.insert(Judged(Arc::new(judged)));
    if who == Who::Stranger && parts.method == Method::POST && path == Some(VALIDATE) {
        return validated(&app, address, Request::from_parts(parts, body), next).await;
    }
    let verdict = take(&app, who, address).await;
    if !verdict.allowed {
        return told(refusal(&app, &verdict).into_response(), &verdict);
    }
    told(next.run(Request::from_parts(parts, body)).await, &verdict)
}

/// Serves a request whose key may be in the body. The handler counts it for a valid key. Without a valid key, the
/// request cost at most one look-up, so its response may be discarded.
async fn validated(app: &App, address: Address, mut request: Request, next: Next) -> Response {
    let in_body = InBody::default();
    request.extensions_mut().insert(in_body.clone());
    let response = next.run(request).await;
    if let Some(verdict) = in_body.0.get() {
        return told(response, verdict);
    }
    let who = if response.status().is_server_error() { Who::Unknown } else { Who::Stranger };
    let verdict = take(app, who, address).await;
    told(if verdict.allowed { response } else { refusal(app, &verdict).into_response() }, &verdict)
}

/// Whether no limit applies to this path.
pub(crate) fn is_free(path: &str) -> bool {
    FREE.contains(&path)
}

/// Counts a request in all limits that apply to it, or in none of them if one refuses it.
async fn take(app: &App, who: Who, address: Address) -> Verdict {
    let asked = asked(app, who, address);
    app.windows.take(&asks(&asked)).await
}

/// The state of the limit of all clients at this address, as far as this process knows. Counts nothing.
fn crowd(app: &App, address: Address) -> Verdict {
    let asked = asked(app, Who::Unknown, address);
    app.windows.peek(&asks(&asked))
}

/// A limit, its name in metrics, and the key of its counter.
type Asked = (&'static str, WindowLimit, String);

fn asked(app: &App, who: Who, address: Address) -> Vec<Asked> {
    let snapshot = app.live.load();
    let limits = snapshot.control.rate_limits.iter().filter_map(|limit| {
        let counted = match (limit.dimension, who) {
            (Dimension::Key, Who::Key(key)) => key.to_string(),
            (Dimension::Key, _) => return None,
            (Dimension::Address, _) => address::network(address.0).to_string(),
        };
        Some((name(who, *limit)?, *limit, counted))
    });
    limits.collect()
}

fn asks(asked: &[Asked]) -> Vec<WindowCheck<'_>> {
    asked.iter().map(|(name, rule, key)| WindowCheck { name, key, limit: rule.limit, window: rule.window }).collect()
}

/// The limit's name in metrics, if the limit applies to this party.
fn name(who: Who, limit: WindowLimit) -> Option<&'static str> {
    match (limit.dimension, limit.whose, who) {
        (Dimension::Key, _, Who::Key(_)) => Some("key"),
        (Dimension::Address, LimitSubject::Everybodys, _) => Some("address"),
        (Dimension::Address, LimitSubject::WithoutKey, Who::Stranger) => Some("address_without_key"),
        (Dimension::Address, LimitSubject::WithSession, Who::SignedIn) => Some("address_with_session"),
        _ => None,
    }
}

fn refusal(app: &App, verdict: &Verdict) -> Problem {
    app.metrics.limits.refuse(verdict.name);
    let message = format!("more than {} requests within the limit's window; wait and try again", verdict.limit);
    Problem::new(Refusal::RateLimited, message).retry_after(verdict.retry_after)
}

fn told(mut response: Response, verdict: &Verdict) -> Response {
    if !verdict.name.is_empty() {
        write(response.headers_mut(), verdict);
    }
    response
}

/// Writes the `X-RateLimit-*` fields; `-Reset` is in Unix seconds, rounded up (CX-7).
fn write(headers: &mut HeaderMap, verdict: &Verdict) {
    headers.insert(X_RATELIMIT_LIMIT, HeaderValue::from(verdict.limit));
    headers.insert(X_RATELIMIT_REMAINING, HeaderValue::from(verdict.remaining));
    headers.insert(X_RATELIMIT_RESET, HeaderValue::from(verdict.reset_at.0.div_ceil(1_000_000)));
}

//! How often callers may call, and what every answer says of it.
//!
//! The credential is judged here, once: what comes of it goes to the handler with the request. A valid key counts for itself,
//! whoever is signed in for its address, and everybody else, whose credential opens nothing too, for theirs. Where nobody can say
//! whether it opens anything, only what holds for everybody is counted.

use std::sync::{Arc, OnceLock};

use access::{KeyId, Refusal, address};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use config::snapshot::{Dimension, Whose, WindowLimit};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use store::windows::{Verdict, WindowCheck};

use crate::address::Address;
use crate::caller::{Caller, Via};
use crate::problem::Problem;
use crate::state::App;

pub(crate) const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(crate) const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(crate) const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What machines ask every few seconds, and what a browser or a shell opens: not limited, and described so in the OpenAPI document.
const FREE: [&str; 9] =
    ["/", "/health", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/link", "/install.sh"];
/// Here the key may stand in the body, so that the handler says whose call it was.
const VALIDATE: &str = "/api/auth/validate";

/// Who calls, or why nobody known does.
#[derive(Debug, Clone)]
pub(crate) struct Judged(pub(crate) Arc<Result<Caller, Problem>>);

/// In a request's extensions where the key may stand in its body: what came of counting the call against it.
#[derive(Debug, Clone, Default)]
pub(crate) struct InBody(Arc<OnceLock<Verdict>>);

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Key(KeyId),
    SignedIn,
    Stranger,
    /// Nobody could say: the credential may be a good one, and the fault is ours.
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
    /// Counts the call against the key that was found in its body, before that costs more.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) async fn take(&self, app: &App, key: KeyId, address: Address) -> Result<(), Problem> {
        let verdict = take(app, Who::Key(key), address).await;
        // One call has one handler.
        let _ = self.0.set(verdict);
        if verdict.allowed { Ok(()) } else { Err(refusal(app, &verdict)) }
    }
}

/// Lets a call through while its limits do; each answer says what is left.
///
/// An address that is over what everybody there may call is refused before its credential is looked up. One that is over what callers
/// without a valid credential may is not: a valid one does not count for it, and only the look-up tells.
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

/// A call whose key may stand in its body: the handler counts it where there is a valid one. Where there is none it has cost one look-up
/// at the most, so that its answer may be thrown away.
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

/// Whether no limit counts calls of this path.
pub(crate) fn is_free(path: &str) -> bool {
    FREE.contains(&path)
}

/// Counts a call against all limits that are its caller's, or against none.
async fn take(app: &App, who: Who, address: Address) -> Verdict {
    let asked = asked(app, who, address);
    app.windows.take(&asks(&asked)).await
}

/// What of the limits of everybody at this address is left, as far as this process knows; counts nothing.
fn crowd(app: &App, address: Address) -> Verdict {
    let asked = asked(app, Who::Unknown, address);
    app.windows.peek(&asks(&asked))
}

/// A limit, its name in metrics, and who is counted against it.
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

/// The limit's name in metrics, where it is this caller's.
fn name(who: Who, limit: WindowLimit) -> Option<&'static str> {
    match (limit.dimension, limit.whose, who) {
        (Dimension::Key, _, Who::Key(_)) => Some("key"),
        (Dimension::Address, Whose::Everybodys, _) => Some("address"),
        (Dimension::Address, Whose::WithoutKey, Who::Stranger) => Some("address_without_key"),
        (Dimension::Address, Whose::WithSession, Who::SignedIn) => Some("address_with_session"),
        _ => None,
    }
}

fn refusal(app: &App, verdict: &Verdict) -> Problem {
    app.metrics.limits.refuse(verdict.name);
    let message = format!("more than {} calls within the limit's window; wait and try again", verdict.limit);
    Problem::new(Refusal::RateLimited, message).retry_after(verdict.retry_after)
}

fn told(mut response: Response, verdict: &Verdict) -> Response {
    if !verdict.name.is_empty() {
        write(response.headers_mut(), verdict);
    }
    response
}

/// CX-7: `-Reset` in Unix seconds, rounded up.
fn write(headers: &mut HeaderMap, verdict: &Verdict) {
    headers.insert(X_RATELIMIT_LIMIT, HeaderValue::from(verdict.limit));
    headers.insert(X_RATELIMIT_REMAINING, HeaderValue::from(verdict.remaining));
    headers.insert(X_RATELIMIT_RESET, HeaderValue::from(verdict.reset_at.0.div_ceil(1_000_000)));
}

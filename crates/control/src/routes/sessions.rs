//! `GET /api/sessions`, `DELETE /api/sessions/{id}`: the sessions of a user.

use std::sync::Arc;

use access::{KeyId, Refusal, SessionId};
use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{self, Segment};
use crate::message::listing::{self, PageQuery};
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::nouns::reach;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Owner, SignInMethod};

/// A page of valid sessions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sessions {
    items: Vec<Session>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// One valid session of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignIn)]
struct Session {
    /// The id of the session.
    #[schema(value_type = Uuid)]
    id: SessionId,
    /// Whether this request belongs to the session.
    current: bool,
    /// The key that the session began with; null for a password.
    #[schema(value_type = Option<Uuid>)]
    key_id: Option<KeyId>,
    /// The IP address that the session began from.
    address: Option<String>,
    /// The client that began the session: the first 200 characters of its `User-Agent`.
    agent: Option<String>,
    /// The time of the sign-in.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the sign-in or of the last renewal.
    #[schema(format = DateTime)]
    seen_at: String,
    /// The expiry, unless the session is renewed.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Lists the valid sessions of the authenticated user.
#[utoipa::path(get, path = "/api/sessions", tag = "account", params(PageQuery), security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Sessions, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000002", "current": true, "key_id": null, "address": "203.0.113.9",
            "agent": "Mozilla/5.0", "created_at": "2026-11-20T08:03:52Z", "seen_at": "2026-11-20T08:03:52Z",
            "expires_at": "2026-11-27T08:03:52Z"}],
        "next": null
    }))))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<Sessions>, Problem> {
    reach::refuse_admin_key(&caller)?;
    let PageQuery { limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.map(SessionId);
    let mut found = app.store.sessions_of(caller.user, before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |session| session.id.0);
    let current = current(&caller);
    let items = found.into_iter().map(|session| Session {
        id: session.id,
        current: current == Some(session.id),
        key_id: session.key,
        address: session.address.map(|address| address.to_string()),
        agent: session.agent,
        created_at: rfc3339(session.created_at),
        seen_at: rfc3339(session.seen_at),
        expires_at: rfc3339(session.expires_at),
    });
    Ok(Json(Sessions { items: items.collect(), next }))
}

/// Ends a session of the authenticated user permanently, including the current one.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "account", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The session")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "The session has ended")))]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    // An invalid id gets the same response as a session of another user.
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let is_own = app.store.end_session(&caller.actor(), caller.user, SessionId(id)).await?;
    if !is_own {
        return Err(missing());
    }
    app.sessions.forget(SessionId(id));
    Ok(StatusCode::NO_CONTENT)
}

fn current(caller: &Caller) -> Option<SessionId> {
    match caller.via {
        SignInMethod::Session { id, .. } => Some(id),
        SignInMethod::Key(_) => None,
    }
}

fn missing() -> Problem {
    Problem::new(Refusal::NotFound, "you have no session with this id")
}

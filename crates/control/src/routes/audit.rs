//! `GET /api/audit`: who changed what, when, from where.

use std::sync::Arc;

use access::{Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Action, Actor, AuditFilter, AuditLine, AuditPlace, By};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::caller::Admin;
use crate::listing::Place;
use crate::moment::{self, rfc3339};
use crate::problem::Problem;
use crate::state::App;
use crate::{input, listing};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only what was done to this user's things.
    user_id: Option<Uuid>,
    /// Only this, as `key.create`.
    action: Option<String>,
    /// Only what was done then or later (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only what was done before (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    /// Items on a page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before; without it the first.
    cursor: Option<String>,
}

/// Changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLog)]
pub(super) struct Page {
    items: Vec<Line>,
    /// The next page's cursor; null at the log's end. A page may hold fewer items than were asked for, or none, and be followed
    /// by another.
    next: Option<String>,
}

/// A change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct Line {
    /// Its id.
    id: Uuid,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    actor: Doer,
    /// What was done, as `key.create`.
    action: String,
    /// What it was done to.
    target_id: Uuid,
    /// Whose that is; null is nobody's.
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    /// What that user is called today.
    user_name: Option<String>,
    /// What is new about it; never a secret.
    #[schema(value_type = Object)]
    detail: Value,
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct Doer {
    /// `user` (signed in), `key`, `command` (at the command line), or `system` (tollgate itself, or somebody unknown).
    kind: &'static str,
    /// Whose; null for `command` and `system`.
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    /// What that user is called today.
    user_name: Option<String>,
    /// The session; null for all but `user`, and while somebody signs in.
    session_id: Option<Uuid>,
    /// The key; null for all but `key`.
    key_id: Option<Uuid>,
    /// From where; null for what did not come over the network.
    address: Option<String>,
}

impl Doer {
    fn of(actor: Actor, user_name: Option<String>) -> Self {
        let (kind, user_id, session_id, key_id) = match actor.by {
            By::Command => ("command", None, None, None),
            By::System => ("system", None, None, None),
            By::User { user, session } => ("user", Some(user), session.map(|session| session.0), None),
            By::Key { user, key } => ("key", Some(user), None, Some(key.0)),
        };
        let address = actor.address.map(|address| address.to_string());
        Self { kind, user_id, user_name, session_id, key_id, address }
    }
}

impl From<AuditLine> for Line {
    fn from(line: AuditLine) -> Self {
        Self {
            id: line.place.id,
            at: rfc3339(line.place.at),
            actor: Doer::of(line.actor, line.actor_name),
            action: line.action,
            target_id: line.target,
            user_id: line.owner,
            user_name: line.owner_name,
            detail: line.detail,
        }
    }
}

/// The audit log: every change of users, keys, plans, sessions, links and provider keys, and who made it.
#[utoipa::path(get, path = "/api/audit", tag = "admin", params(Asked), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = Page, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000009", "at": "2026-11-20T08:03:52.000120Z",
            "actor": {"kind": "user", "user_id": "0199aa00-0000-7000-8000-000000000000", "user_name": "Ada",
                "session_id": "0199aa00-0000-7000-8000-000000000002", "key_id": null, "address": "203.0.113.9"},
            "action": "user.change", "target_id": "0199aa00-0000-7000-8000-000000000004",
            "user_id": "0199aa00-0000-7000-8000-000000000004", "user_name": "Bob", "detail": {"plan": "pro"}}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Admin, request: Request) -> Result<Json<Page>, Problem> {
    let asked: Asked = input::query(request.uri())?;
    let limit = usize::try_from(listing::limit(asked.limit)?).unwrap_or(usize::MAX);
    let filter = AuditFilter {
        user: asked.user_id.map(UserId),
        action: asked.action.as_deref().map(action).transpose()?,
        since: moment::asked("since", asked.since.as_deref())?,
        until: moment::asked("until", asked.until.as_deref())?,
    };
    let after = asked.cursor.as_deref().map(Place::read).transpose()?.map(|Place { at, id }| AuditPlace { at, id });
    let page = app.store.audit_page(&filter, after, limit).await.map_err(Problem::store)?;
    let next = page.next.map(|AuditPlace { at, id }| Place { at, id }.cursor());
    Ok(Json(Page { items: page.lines.into_iter().map(Line::from).collect(), next }))
}

fn action(word: &str) -> Result<Action, Problem> {
    let found = Action::ALL.iter().copied().find(|action| action.as_str() == word);
    found.ok_or_else(|| {
        let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        Problem::new(Refusal::BadRequest, format!("`action` is one of {}", all.join(", ")))
    })
}

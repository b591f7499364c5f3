//! `GET /api/audit`: changes with their time, their actor and the client's address.

use std::sync::Arc;

use access::{Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Actor, ActorKind, AuditAction, AuditFilter, AuditLine, AuditPlace};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input;
use crate::message::csv::{self, Table};
use crate::message::listing;
use crate::message::listing::Place;
use crate::message::moment::{self, rfc3339};
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Returns only changes that concern this user.
    user_id: Option<Uuid>,
    /// Returns only changes that this user made, signed in or with a key.
    actor_user_id: Option<Uuid>,
    /// Returns only changes with this action, such as `key.create`.
    action: Option<String>,
    /// Returns only changes at or after this time (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Returns only changes before this time (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    /// The maximum number of items on the page: at most 200, default 50; of a table at most 10,000, which is also the
    /// default.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
    /// The format of the response: `json` (the default) or `csv`.
    format: Option<String>,
}

/// A page of changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLog)]
pub(super) struct AuditLogPage {
    items: Vec<AuditEntry>,
    /// The cursor of the next page; null at the end of the log. A page can contain fewer items than requested, or no
    /// items, and still be followed by another page.
    next: Option<String>,
}

/// One change in the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct AuditEntry {
    /// The id of the log entry.
    id: Uuid,
    /// The time of the change.
    #[schema(format = DateTime)]
    at: String,
    actor: AuditActor,
    /// The action, such as `key.create`.
    action: String,
    /// The id of the changed object; of a refused sign-in, the user, or zeros if none has the address or the key.
    target_id: Uuid,
    /// The owner of the changed object; null if no user owns it.
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    /// The owner's current name.
    user_name: Option<String>,
    /// The new values; never a secret. `before` has the old values of those fields whose value is logged. In
    /// `key.change`, `before` and `after` have all bounds of the key.
    #[schema(value_type = Object)]
    detail: Value,
}

/// The actor of a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct AuditActor {
    /// `user` (signed in), `key`, `command` (at the command line), or `system` (the server itself, or an unknown
    /// client).
    kind: &'static str,
    /// The actor's user; null for `command` and `system`.
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    /// The current name of the actor's user.
    user_name: Option<String>,
    /// The actor's session; null except for `user`, and null during a sign-in.
    session_id: Option<Uuid>,
    /// The actor's key; null except for `key`.
    key_id: Option<Uuid>,
    /// The IP address of the client; null if the change did not come over the network.
    address: Option<String>,
}

impl AuditActor {
    fn from_actor(actor: Actor, user_name: Option<String>) -> Self {
        let (kind, user_id, session_id, key_id) = match actor.by {
            ActorKind::Command => ("command", None, None, None),
            ActorKind::System => ("system", None, None, None),
            ActorKind::User { user, session } => ("user", Some(user), session.map(|session| session.0), None),
            ActorKind::Key { user, key } => ("key", Some(user), None, Some(key.0)),
        };
        let address = actor.address.map(|address| address.to_string());
        Self { kind, user_id, user_name, session_id, key_id, address }
    }
}

impl From<AuditLine> for AuditEntry {
    fn from(line: AuditLine) -> Self {
        Self {
            id: line.place.id,
            at: rfc3339(line.place.at),
            actor: AuditActor::from_actor(line.actor, line.actor_name),
            action: line.action,
            target_id: line.target,
            user_id: line.owner,
            user_name: line.owner_name,
            detail: line.detail,
        }
    }
}

/// Lists the audit log.
///
/// It contains every change of users, keys, plans, budgets, sessions, links and provider keys, with its actor, and refused
/// sign-ins (`session.refuse`): in 15 minutes at most 10 per account, and 200 together.
///
/// With `format=csv`, the response is a table with one row per change; `detail` is JSON. If more rows follow, its `Link` header
/// with `rel="next"` has their address.
#[utoipa::path(get, path = "/api/audit", tag = "admin", params(AuditQuery), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, content((AuditLogPage = "application/json", example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000009", "at": "2026-11-20T08:03:52.000120Z",
            "actor": {"kind": "user", "user_id": "0199aa00-0000-7000-8000-000000000000", "user_name": "Ada",
                "session_id": "0199aa00-0000-7000-8000-000000000002", "key_id": null, "address": "203.0.113.9"},
            "action": "user.change", "target_id": "0199aa00-0000-7000-8000-000000000004",
            "user_id": "0199aa00-0000-7000-8000-000000000004", "user_name": "Bob", "detail": {"plan": "pro", "before": {"plan": "starter"}}}],
        "next": null
    })), (String = "text/csv", example = "id,at,actor,…\r\n")))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Admin, request: Request) -> Result<Response, Problem> {
    let query: AuditQuery = input::query(request.uri())?;
    let is_table = csv::is_chosen(query.format.as_deref())?;
    let limit = if is_table { csv::limit(query.limit)? } else { listing::limit(query.limit)? };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let filter = AuditFilter {
        user: query.user_id.map(UserId),
        actor: query.actor_user_id.map(UserId),
        action: query.action.as_deref().map(action).transpose()?,
        since: moment::parse_query("since", query.since.as_deref())?,
        until: moment::parse_query("until", query.until.as_deref())?,
    };
    let after = query.cursor.as_deref().map(Place::read).transpose()?.map(|Place { at, id }| AuditPlace { at, id });
    let cursor = |AuditPlace { at, id }: AuditPlace| Place { at, id }.cursor();
    if is_table {
        let (lines, next) = rows(&app, &filter, after, limit).await?;
        let mut table = Table::new(HEAD);
        for line in lines {
            table.push(&row(&AuditEntry::from(line)));
        }
        return Ok(table.response("audit.csv", next.map(|next| csv::next_address(request.uri(), &cursor(next)))));
    }
    let page = app.store.audit_page(&filter, after, limit).await?;
    let next = page.next.map(cursor);
    Ok(Json(AuditLogPage { items: page.lines.into_iter().map(AuditEntry::from).collect(), next }).into_response())
}

/// The columns of the log as a table.
const HEAD: &str = "id,at,actor,actor_user_id,actor_user,actor_key_id,address,action,target_id,user_id,user,detail";

fn row(entry: &AuditEntry) -> Vec<String> {
    let actor = &entry.actor;
    vec![
        entry.id.to_string(),
        entry.at.clone(),
        actor.kind.to_owned(),
        csv::figure(actor.user_id),
        csv::quoted_or_empty(actor.user_name.as_deref()),
        csv::figure(actor.key_id),
        csv::quoted_or_empty(actor.address.as_deref()),
        csv::quoted(&entry.action),
        entry.target_id.to_string(),
        csv::figure(entry.user_id),
        csv::quoted_or_empty(entry.user_name.as_deref()),
        csv::quoted(&entry.detail.to_string()),
    ]
}

/// Reads the lines of a table page by page, at most `limit`, and the place after which more follow.
async fn rows(
    app: &App,
    filter: &AuditFilter,
    mut after: Option<AuditPlace>,
    limit: usize,
) -> Result<(Vec<AuditLine>, Option<AuditPlace>), Problem> {
    let mut lines = Vec::new();
    for _ in 0..csv::PAGES_MAX {
        let rest = limit.saturating_sub(lines.len());
        if rest == 0 {
            break;
        }
        let page = app.store.audit_page(filter, after, rest.min(PAGE_ROWS)).await?;
        lines.extend(page.lines);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((lines, after))
}

/// The number of lines that one query for a table reads.
const PAGE_ROWS: usize = 200;

fn action(word: &str) -> Result<AuditAction, Problem> {
    let found = AuditAction::ALL.iter().copied().find(|action| action.as_str() == word);
    found.ok_or_else(|| {
        let all: Vec<&str> = AuditAction::ALL.iter().map(|action| action.as_str()).collect();
        Problem::new(Refusal::BadRequest, format!("`action` must be one of {}", all.join(", ")))
    })
}

//! `GET /api/me`.

use std::sync::Arc;

use access::{KeyId, SessionId};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::UserRef;
use utoipa::ToSchema;

use crate::caller::{Caller, Via};
use crate::problem::Problem;
use crate::sign_in::Account;
use crate::state::App;

/// The caller, and how it is known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    user: Account,
    /// What this credential may do: `admin` only where an admin signed in with a password, else `member`.
    acts_as: &'static str,
    /// The session; null for a key.
    #[schema(value_type = Option<Uuid>)]
    session_id: Option<SessionId>,
    /// The key that was sent, or that the session was begun with; null for a session begun with a password.
    #[schema(value_type = Option<Uuid>)]
    key_id: Option<KeyId>,
}

/// Who the caller is.
#[utoipa::path(get, path = "/api/me", tag = "account", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Me, example = json!({
        "user": {"id": "0199aa00-0000-7000-8000-000000000000", "name": "Ada", "email": "ada@example.com", "plan": "starter",
            "role": "admin", "status": "active", "created_at": "2026-11-20T08:03:52Z"},
        "acts_as": "admin", "session_id": "0199aa00-0000-7000-8000-000000000002", "key_id": null
    }))))]
pub(super) async fn me(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Me>, Problem> {
    let user = app.store.find_user(&UserRef::Id(caller.user)).await.map_err(Problem::store)?;
    let user = user.ok_or_else(Problem::internal)?;
    let key_id = caller.key().map(|key| key.key);
    let session_id = match caller.via {
        Via::Session { id, .. } => Some(id),
        Via::Key(_) => None,
    };
    Ok(Json(Me { user: Account::from(&user), acts_as: caller.role.as_str(), session_id, key_id }))
}

//! `GET /api/me`: the authenticated user.

use std::sync::Arc;

use access::{KeyId, SessionId};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::UserRef;
use utoipa::ToSchema;

use crate::day_insights::roles::HeldRoles;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;
use crate::sign_in::Account;
use crate::sign_in::caller::{Caller, SignInMethod};

/// The authenticated user, and the way of authentication.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    user: Account,
    /// The role of this credential: `admin` only if an admin signed in with a password, or for a key with the scope `admin`, otherwise `member`.
    acts_as: &'static str,
    /// Whether this credential may see and change the money of all users: an admin, or a user with the role `finance`, who signed in with a password.
    finance: bool,
    /// The roles of the user, such as `team_lead`; empty for a key, and for a session that began with a key.
    roles: Vec<String>,
    /// The session; null for a key.
    #[schema(value_type = Option<Uuid>)]
    session_id: Option<SessionId>,
    /// The key of the request, or the key that the session began with; null if the session began with a password.
    #[schema(value_type = Option<Uuid>)]
    key_id: Option<KeyId>,
}

/// Returns the authenticated user.
#[utoipa::path(get, path = "/api/me", tag = "account", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Me, example = json!({
        "user": Account { role: "admin", ..Account::ada() },
        "acts_as": "admin", "finance": true, "roles": ["finance"], "session_id": "0199aa00-0000-7000-8000-000000000002", "key_id": null
    }))))]
pub(super) async fn me(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Me>, Problem> {
    let user = app.store.find_user(&UserRef::Id(caller.user)).await?;
    let user = user.ok_or_else(Problem::internal)?;
    let finance = Finance::permits(&app, &caller).await?;
    let roles = HeldRoles::load(&app, &caller).await?.names();
    let key_id = caller.key().map(|key| key.key);
    let session_id = match caller.via {
        SignInMethod::Session { id, .. } => Some(id),
        SignInMethod::Key(_) => None,
    };
    Ok(Json(Me { user: Account::from(&user), acts_as: caller.role.as_str(), finance, roles, session_id, key_id }))
}

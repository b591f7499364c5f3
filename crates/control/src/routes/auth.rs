//! `POST /api/auth/validate`.

use std::sync::Arc;

use access::{KeyId, Secret, UserId};
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};

use crate::caller::{self, Caller};
use crate::input;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::quota::Quota;
use crate::state::App;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    token: Secret,
}

#[derive(Debug, Serialize)]
pub(super) struct Validated {
    valid: bool,
    user: User,
    key: Key,
    quota: Quota,
}

#[derive(Debug, Serialize)]
struct User {
    id: UserId,
    name: String,
    email: String,
    plan: String,
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct Key {
    id: KeyId,
    prefix: String,
    last4: String,
    label: String,
    expires_at: Option<String>,
}

/// Whose key this is. It stands in the body or in a header; in both only if it is the same.
pub(super) async fn validate(State(app): State<Arc<App>>, request: Request) -> Result<Json<Validated>, Problem> {
    let headers = request.headers().clone();
    let in_header = caller::presented(&headers)?;
    let body: Option<Asked> = input::json(request, app.limits.body).await?;
    let in_body = body.as_ref().map(|asked| asked.token.expose());
    let key = caller::one(in_header, in_body)?.ok_or_else(missing)?;

    // The directory first: it knows what it was asked lately, so that made-up keys do not reach the store.
    let caller = Caller::find(&app, key).await?;
    let identity = app.store.identity(caller.hash).await.map_err(Problem::store)??;
    let day = app.clock.now().day();
    let quota = Quota::of(&app, identity.user.no, &identity.user.plan, day);
    let user = User {
        id: identity.user.id,
        name: identity.user.name,
        email: identity.user.email.as_str().to_owned(),
        plan: identity.user.plan.name.clone(),
        status: identity.user.status.as_str(),
    };
    let key = Key {
        id: identity.key.id,
        prefix: identity.key.prefix,
        last4: identity.key.last4,
        label: identity.key.label,
        expires_at: identity.key.expires_at.map(rfc3339),
    };
    Ok(Json(Validated { valid: true, user, key, quota }))
}

fn missing() -> Problem {
    caller::missing("send the key as `{\"token\": KEY}`, `Authorization: Bearer KEY` or `X-API-Key: KEY`")
}

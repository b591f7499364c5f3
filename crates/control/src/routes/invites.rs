//! `GET` and `POST /api/invites`, `DELETE /api/invites/{id}`: invitations, which are one-time links to sign up.

use std::sync::Arc;

use access::{LinkId, Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use config::snapshot::SignupMode;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Link, NewLink, Purpose};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{self, Segment};
use crate::message::listing::{self, PageQuery};
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Admin;
use crate::sign_in::links::{INVITE_FOR, NewTicket};

/// A page of valid invitations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Invites {
    items: Vec<Invite>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// An invitation to sign up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Invite {
    /// The id of the invitation.
    #[schema(value_type = Uuid)]
    id: LinkId,
    /// The only e-mail address that the invitation is valid for; null for any address.
    email: Option<String>,
    /// The plan of the new user; null for the plan of all new users.
    plan: Option<String>,
    /// The admin who created it.
    #[schema(value_type = Option<Uuid>)]
    made_by: Option<UserId>,
    /// The time of creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The expiry of the invitation.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A new invitation with its link. The link is shown only in this response.
#[derive(Serialize, ToSchema)]
pub(super) struct NewInvite {
    #[serde(flatten)]
    invite: Invite,
    /// The link, to be given to the invited person.
    url: String,
}

/// An invitation to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InviteRequest, example = json!({"email": "bob@example.com", "plan": "pro"}))]
#[serde(deny_unknown_fields)]
struct InviteRequest {
    /// The only e-mail address that the invitation is valid for. Default: any address.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// The plan of the new user. Default: the plan of all new users.
    plan: Option<String>,
}

impl From<Link> for Invite {
    fn from(link: Link) -> Self {
        let (email, plan) = match link.purpose {
            Purpose::Invite { email, plan } => (email, plan),
            Purpose::Password { .. } | Purpose::FirstAdmin => (None, None),
        };
        Self {
            id: link.id,
            email: email.map(|email| email.as_str().to_owned()),
            plan,
            made_by: link.made_by,
            created_at: rfc3339(link.created_at),
            expires_at: rfc3339(link.expires_at),
        }
    }
}

/// Lists the valid invitations.
#[utoipa::path(get, path = "/api/invites", tag = "admin", params(PageQuery), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = Invites, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000005", "email": "bob@example.com", "plan": "pro",
            "made_by": "0199aa00-0000-7000-8000-000000000000", "created_at": "2026-11-20T08:03:52Z",
            "expires_at": "2026-11-27T08:03:52Z"}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Admin, request: Request) -> Result<Json<Invites>, Problem> {
    let PageQuery { limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.map(LinkId);
    let mut found = app.store.open_invites(before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |link| link.id.0);
    Ok(Json(Invites { items: found.into_iter().map(Invite::from).collect(), next }))
}

/// Creates an invitation, which can be used once within 7 days.
#[utoipa::path(post, path = "/api/invites", tag = "admin", request_body = InviteRequest, security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "conflict", "unprocessable"]))),
    responses((status = 201, body = NewInvite, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000005", "email": "bob@example.com", "plan": "pro",
        "made_by": "0199aa00-0000-7000-8000-000000000000", "created_at": "2026-11-20T08:03:52Z",
        "expires_at": "2026-11-27T08:03:52Z",
        "url": "https://tollgate.example.com/link#tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"
    }))))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<(StatusCode, Json<NewInvite>), Problem> {
    let InviteRequest { email, plan } = input::required(request, app.limits.body).await?;
    if app.live.load().traffic.signup.mode == SignupMode::Closed {
        let message = "sign-up is closed, also with an invitation; set `signup: invite` in the configuration first";
        return Err(Problem::new(Refusal::Conflict, message));
    }
    let email = email.as_deref().map(input::address_of).transpose()?;
    let ticket = NewTicket::generate(&app, INVITE_FOR)?;
    let (hash, expires_at) = ticket.hash_and_expiry();
    let new = NewLink { purpose: Purpose::Invite { email, plan }, hash, expires_at };
    let created = app.store.make_link(&caller.actor(), new).await?;
    Ok((StatusCode::CREATED, Json(NewInvite { invite: created.into(), url: ticket.url(&app) })))
}

/// Revokes an invitation permanently.
#[utoipa::path(delete, path = "/api/invites/{id}", tag = "admin", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invitation")),
    extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "The invitation was revoked")))]
pub(super) async fn revoke_invite(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let missing = || Problem::new(Refusal::NotFound, "no valid invitation has this id");
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let was_open = app.store.take_back_invite(&caller.actor(), LinkId(id)).await?;
    if was_open { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}

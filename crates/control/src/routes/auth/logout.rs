//! `POST /api/auth/logout`: the end of a session.

use std::sync::Arc;

use access::credentials::ticket;
use access::{Refusal, SessionId, Ticket, UserId};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::{Actor, ActorKind};
use utoipa::ToSchema;

use super::refresh::RefreshRequest;
use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in;
use crate::sign_in::address::Address;
use crate::sign_in::caller::{self, presented};
use crate::sign_in::cookies::{CookieTokens, Cookies};
use crate::sign_in::csrf;

/// The result of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionStatus {
    /// The result: `signed_out` or `password_changed`.
    pub(crate) status: &'static str,
}

/// Signs out: ends the session of the access token or of the refresh token.
///
/// The response deletes a browser's cookies. Signing out of a session that has ended already succeeds.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", request_body = Option<RefreshRequest>,
    security((), ("session" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = SessionStatus, example = json!({"status": "signed_out"}))))]
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let body: Option<RefreshRequest> = input::json(Request::from_parts(parts, body), app.limits.body).await?;
    let tokens = Cookies::from_app(&app).read(&headers)?;
    if let Some(token) = presented(&headers)? {
        if !caller::is_token(token) {
            return Err(Problem::new(Refusal::Forbidden, "a key has no session; revoke it instead"));
        }
        let claims = sign_in::signer(&app)?.read(token, app.clock.now())?;
        end_session(&app, claims.user, claims.session, address).await?;
    } else if let Some(token) = body.and_then(|content| content.refresh_token) {
        end_family(&app, token.expose(), address).await?;
    } else if tokens.is_empty() {
        return Err(caller::missing("send an access token, a refresh token or the cookies of the session"));
    } else {
        csrf::check(&app, &http::Method::POST, &headers)?;
        end_sessions(&app, tokens, address).await?;
    }
    let mut response = Json(SessionStatus { status: "signed_out" }).into_response();
    Cookies::from_app(&app).clear(response.headers_mut());
    Ok(response)
}

/// Ends the session of a browser's cookies. Invalid cookies count as signed out.
async fn end_sessions(app: &App, tokens: CookieTokens<'_>, address: Address) -> Result<(), Problem> {
    let signer = sign_in::signer(app)?;
    let claims = tokens.session.and_then(|token| signer.read(token, app.clock.now()).ok());
    match (claims, tokens.refresh) {
        (Some(claims), _) => end_session(app, claims.user, claims.session, address).await,
        // An access token expires before its session does.
        (None, Some(token)) => end_family(app, token, address).await,
        (None, None) => Ok(()),
    }
}

/// Ends the session of a refresh token. An invalid token, or one whose session has ended, counts as signed out.
async fn end_family(app: &App, token: &str, address: Address) -> Result<(), Problem> {
    let Ok(ticket) = Ticket::parse(ticket::TicketKind::Refresh, token) else { return Ok(()) };
    let by = Actor { by: ActorKind::System, address: Some(address.0) };
    if let Some(session) = app.store.sign_out(&by, ticket.hash()).await? {
        app.sessions.forget(session);
    }
    Ok(())
}

async fn end_session(app: &App, user: UserId, session: SessionId, address: Address) -> Result<(), Problem> {
    let by = Actor { by: ActorKind::User { user, session: Some(session) }, address: Some(address.0) };
    app.store.end_session(&by, user, session).await?;
    app.sessions.forget(session);
    Ok(())
}

//! `POST /api/auth/refresh`: renewal of a session.

use std::sync::Arc;

use access::credentials::ticket;
use access::{Refusal, Secret, Ticket};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use store::{Actor, ActorKind, NewRefresh, RefreshResult, Session};
use utoipa::ToSchema;

use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::address::Address;
use crate::sign_in::caller::{self, ended};
use crate::sign_in::cookies::Cookies;
use crate::sign_in::csrf;
use crate::sign_in::{self, SessionTokens, TokenPair, TokenTransport};

/// A refresh token, if no cookie contains one.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Refresh, example = json!({"refresh_token": "tgr_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"}))]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    /// The refresh token of the sign-in or of the last renewal. If it is missing or null, the token in the cookie is
    /// used.
    #[schema(value_type = Option<String>)]
    pub(super) refresh_token: Option<Secret>,
}

/// Renews a session with its refresh token.
///
/// Each refresh token is valid once. The response contains the next one in the same place: in a cookie or in the body.
/// A token that is used again counts as stolen and ends the session.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", request_body = Option<RefreshRequest>, security(()),
    extensions(("x-codes" = json!(["unauthorized", "token_expired", "forbidden", "ambiguous_credentials"]))),
    responses((status = 200, body = SessionTokens, example = json!({
        "access_token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl",
        "expires_at": "2026-11-21T08:03:52Z", "refresh_token": "tgr_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"
    }))))]
pub(crate) async fn refresh(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let body: Option<RefreshRequest> = input::json(Request::from_parts(parts, body), app.limits.body).await?;
    let in_cookie = Cookies::from_app(&app).read(&headers)?.refresh;
    let in_body = body.as_ref().and_then(|content| content.refresh_token.as_ref()).map(Secret::expose);
    let token = caller::one(in_cookie, in_body)?
        .ok_or_else(|| caller::missing("send the refresh token as `{\"refresh_token\": TOKEN}`, or sign in"))?;
    let by_body = in_body.is_some();
    if !by_body {
        csrf::check(&app, &http::Method::POST, &headers)?;
    }
    let handing = TokenTransport { in_body: by_body, in_cookies: !by_body };
    match renew(&app, token, address).await {
        Ok((session, next)) => Ok(TokenPair::renewed(&app, &session, next)?.alone(&app, handing)),
        Err(problem) if by_body || !problem.is_of_credential() => Err(problem),
        // The cookies are invalid, so the browser deletes them.
        Err(problem) => {
            let mut response = problem.into_response();
            Cookies::from_app(&app).clear(response.headers_mut());
            Ok(response)
        }
    }
}

/// Exchanges a refresh token for a new one.
///
/// # Errors
/// `unauthorized` for an unknown token; `token_expired` if its session has ended or ends now; `unavailable`, after
/// which the client may send the same token again.
pub(super) async fn renew(app: &App, token: &str, address: Address) -> Result<(Session, Ticket), Problem> {
    let unknown = || Problem::new(Refusal::Unauthorized, "this is not a refresh token of this server; sign in");
    let presented = Ticket::parse(ticket::TicketKind::Refresh, token).map_err(|_| unknown())?;
    let next = sign_in::new_refresh()?;
    let new = NewRefresh { hash: next.hash(), expires_at: sign_in::refresh_until(app.clock.now()) };
    // The owner of the token is unknown until the look-up.
    let by = Actor { by: ActorKind::System, address: Some(address.0) };
    // No await follows a success: a client that disconnects earlier can send the same token again.
    match app.store.refresh(&by, presented.hash(), new).await? {
        RefreshResult::Renewed(session) => Ok((session, next)),
        RefreshResult::Stolen { session, .. } => {
            app.sessions.forget(session);
            Err(Problem::new(
                Refusal::TokenExpired,
                "this refresh token was used before, so its session has ended; sign in again",
            ))
        }
        RefreshResult::Ended => Err(ended()),
        RefreshResult::Unknown => Err(unknown()),
    }
}

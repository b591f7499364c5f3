//! `GET /api/live`: the figures of today as server-sent events, or over a WebSocket.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use hyper::upgrade::OnUpgrade;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::connection::upgrades::UpgradeSlot;
use crate::day_insights::day_scope::VisibleScope;
use crate::day_insights::roles::HeldRoles;
use crate::input;
use crate::live::{self, Handshake, LiveMessage, LiveStream, LiveTopic, WatchedUsage};
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Caller;
use crate::sign_in::csrf;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LiveQuery {
    /// A list of `usage`, `spend`, `refusals` and `health`, separated by commas; by default all that the client may see.
    topics: Option<String>,
    /// `all`, `user:ID` or `label:NAME=VALUE`; by default the widest scope that the client may see.
    scope: Option<String>,
}

/// Streams the figures of today: each topic when it has changed, at most once a second.
///
/// Each event, or each text of a WebSocket (`Upgrade: websocket`), has one message as its data. The first messages have all topics. The
/// stream ends at sign-out, when the server shuts down, and after 9 minutes; clients connect again.
#[utoipa::path(get, path = "/api/live", tag = "usage", params(LiveQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["bad_request", "forbidden", "not_found", "upgrade_required", "overloaded"]))),
    responses((status = 200, body = LiveMessage, content_type = "text/event-stream", example = json!({
        "topic": "spend", "at": "2026-11-21T09:30:00Z",
        "data": {"date": "2026-11-21", "cost": {"amount_nano": 1750, "currency": "USD"}, "unpriced_requests": 0}
    }))))]
pub(super) async fn watch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(upgrades): Extension<UpgradeSlot>,
    mut request: Request,
) -> Result<Response, Problem> {
    let LiveQuery { topics, scope } = input::query(request.uri())?;
    let handshake = match Handshake::from_headers(request.headers()) {
        Ok(handshake) => handshake,
        Err(refused) => return Ok(refused.into_response()),
    };
    if handshake.is_some() {
        csrf::check_socket(&app, request.headers())?;
    }
    let visible = VisibleScope::of_query(&app, &caller, scope.as_deref()).await?;
    let sees_all = HeldRoles::load(&app, &caller).await?.sees_all();
    let topics = LiveTopic::of_query(topics.as_deref(), sees_all)?;
    let upgrade = handshake.as_ref().map(|_| hyper::upgrade::on(&mut request));
    let (mut head, _) = request.into_parts();
    // The slot would own the stream, and the stream the slot.
    head.extensions.remove::<UpgradeSlot>();
    head.extensions.remove::<OnUpgrade>();
    let stream = LiveStream::begin(app, WatchedUsage { caller, visible, topics, head })?;
    if let Some(handshake) = handshake
        && let Some(upgrade) = upgrade
    {
        upgrades.set(Box::pin(live::send(upgrade, stream)));
        return Ok(handshake.response());
    }
    let events = HeaderValue::from_static("text/event-stream");
    Ok(([(header::CONTENT_TYPE, events)], live::body(stream)).into_response())
}

//! `/api/webhooks`: URLs of other systems that receive the events of billing, their deliveries, and replays. Only finance
//! sets them, because the server sends requests to these URLs.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use billing::Books;
use billing::books::WebhookChange;
use billing::rules::webhook_event::{NotWebhookEvents, WebhookEvents};
use billing::webhook::{WebhookUrl, WebhookUrlError};
use http::StatusCode;
use ledger::billing::webhook_endpoints::StoredWebhook;
use ledger::billing::{webhook_deliveries as deliveries, webhook_endpoints as endpoints};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::{books, refused};
use super::webhook_views::{DeliveriesView, DeliveryView, ReplayView, WebhookView, WebhooksView};
use crate::input::{self, Segment};
use crate::message::listing;
use crate::message::moment;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The states of a delivery.
const STATES: [&str; 3] = ["waiting", "delivered", "failed"];

/// A webhook to add.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewWebhook, example = json!({"url": "https://hooks.example.com/tollgate", "events": ["invoice.*"]}))]
#[serde(deny_unknown_fields)]
struct NewWebhookBody {
    /// `https`, with at most 2,048 characters. Internal addresses and `http` need `outbound.allow`; link-local addresses are refused.
    #[schema(max_length = 2048)]
    url: String,
    /// Names of events, `invoice.*`, `payment.*`, `subscription.*`, or `*`. Default: all.
    #[schema(min_items = 1, max_items = 20)]
    events: Option<Vec<String>>,
}

/// The values that change; others stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookChange, example = json!({"enabled": true}))]
#[serde(deny_unknown_fields)]
struct WebhookChangeBody {
    /// The URL that receives the events.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// Names of events, `invoice.*`, `payment.*`, `subscription.*`, or `*`.
    #[schema(min_items = 1, max_items = 20)]
    events: Option<Vec<String>>,
    /// Whether events are delivered.
    enabled: Option<bool>,
}

/// The failed deliveries that are due again.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewWebhookReplay, example = json!({"since": "2026-11-20T00:00:00Z"}))]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    /// The time of the first change whose failed delivery is due again.
    #[schema(format = DateTime)]
    since: String,
}

/// The query of deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeliveriesQuery {
    /// Only deliveries in this state: `waiting`, `delivered` or `failed`.
    state: Option<String>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// Lists all webhooks, from the oldest.
#[utoipa::path(get, path = "/api/webhooks", tag = "billing", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = WebhooksView, example = json!({
        "items": [super::webhook_views::example_webhook()], "next": null
    }))))]
pub(in crate::routes) async fn list(
    State(app): State<Arc<App>>,
    _finance: Finance,
) -> Result<Json<WebhooksView>, Problem> {
    let books = books(&app)?;
    let store = books.store();
    let found = endpoints::list(store).await?;
    let repeated = deliveries::repeated(store).await?;
    let items = found.into_iter().map(|webhook| WebhookView::new(webhook, &repeated)).collect();
    Ok(Json(WebhooksView { items, next: None }))
}

/// Returns a webhook with the state of its deliveries.
async fn shown(books: &Books, webhook: StoredWebhook) -> Result<WebhookView, Problem> {
    Ok(WebhookView::new(webhook, &deliveries::repeated(books.store()).await?))
}

/// Adds a webhook. Only this response contains its secret.
#[utoipa::path(post, path = "/api/webhooks", tag = "billing", request_body = NewWebhookBody,
    security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 201, body = WebhookView, example = json!(super::webhook_views::example_secret()))))]
pub(in crate::routes) async fn create(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    request: Request,
) -> Result<(StatusCode, Json<WebhookView>), Problem> {
    let NewWebhookBody { url, events } = input::required(request, app.limits.body).await?;
    let books = books(&app)?;
    let url = allowed_url(&app, &url)?;
    let events = events.as_deref().map_or_else(|| Ok(WebhookEvents::all()), WebhookEvents::parse);
    let events = events.map_err(invalid_events)?;
    let created = books.create_webhook(&caller.actor(), &app.vault, &url, &events).await;
    let (webhook, secret) = created.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(shown(&books, webhook).await?.with_secret(&secret))))
}

/// Changes a webhook, or enables a disabled webhook. Deliveries that wait when a webhook is disabled fail.
#[utoipa::path(patch, path = "/api/webhooks/{id}", tag = "billing", request_body = WebhookChangeBody,
    security(("token" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The webhook")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = WebhookView, example = json!(super::webhook_views::example_webhook()))))]
pub(in crate::routes) async fn change(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<WebhookView>, Problem> {
    let WebhookChangeBody { url, events, enabled } = input::required(request, app.limits.body).await?;
    let books = books(&app)?;
    let id = id_of(&id)?;
    let change = WebhookChange {
        url: url.as_deref().map(|url| allowed_url(&app, url)).transpose()?,
        events: events.as_deref().map(WebhookEvents::parse).transpose().map_err(invalid_events)?,
        is_enabled: enabled,
    };
    let changed = books.change_webhook(&caller.actor(), id, change).await.map_err(refused)?;
    Ok(Json(shown(&books, changed).await?))
}

/// Deletes a webhook with its deliveries.
#[utoipa::path(delete, path = "/api/webhooks/{id}", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The webhook")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "The webhook was deleted")))]
pub(in crate::routes) async fn delete(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let books = books(&app)?;
    let id = id_of(&id)?;
    books.delete_webhook(&caller.actor(), id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret, which only this response contains. The replaced secret signs for another 24 hours.
#[utoipa::path(post, path = "/api/webhooks/{id}/rotate", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The webhook")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = WebhookView, example = json!(super::webhook_views::example_secret()))))]
pub(in crate::routes) async fn rotate(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
) -> Result<Json<WebhookView>, Problem> {
    let books = books(&app)?;
    let id = id_of(&id)?;
    let rotated = books.rotate_webhook(&caller.actor(), &app.vault, id).await;
    let (webhook, secret) = rotated.map_err(refused)?;
    Ok(Json(shown(&books, webhook).await?.with_secret(&secret)))
}

/// Sends the test event `webhook.test` to a webhook. It is attempted once; its delivery has the result.
#[utoipa::path(post, path = "/api/webhooks/{id}/test", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The webhook")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 201, body = DeliveryView, example = json!(super::webhook_views::example_test()))))]
pub(in crate::routes) async fn test(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let books = books(&app)?;
    let added = books.test_webhook(&caller.actor(), id_of(&id)?).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(DeliveryView::new(added, caller.role))))
}

/// Lists the deliveries of a webhook, newest first. Ended ones are kept for 30 days.
#[utoipa::path(get, path = "/api/webhooks/{id}/deliveries", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The webhook"), DeliveriesQuery),
    extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = DeliveriesView, example = json!({
        "items": [super::webhook_views::example_delivery()], "next": null
    }))))]
pub(in crate::routes) async fn deliveries(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<DeliveriesView>, Problem> {
    let DeliveriesQuery { state, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Problem::new(Refusal::BadRequest, format!("`state` must be one of {}", STATES.join(", "))));
    }
    let books = books(&app)?;
    let store = books.store();
    let id = id_of(&id)?;
    endpoints::present(store, id).await?.ok_or_else(missing)?;
    let mut found = deliveries::of_endpoint(store, id, state.as_deref(), before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |of| of.id);
    Ok(Json(DeliveriesView { items: found.into_iter().map(|of| DeliveryView::new(of, caller.role)).collect(), next }))
}

/// Makes a delivery due again, also one that was accepted. It keeps its `webhook-id`.
#[utoipa::path(post, path = "/api/webhooks/{id}/deliveries/{delivery_id}/replay", tag = "billing",
    security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The webhook"), ("delivery_id" = Uuid, Path, description = "The delivery")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 200, body = DeliveryView, example = json!(super::webhook_views::example_delivery()))))]
pub(in crate::routes) async fn replay_one(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<DeliveryView>, Problem> {
    let Path((id, delivery)) = path.map_err(|_| missing())?;
    let books = books(&app)?;
    let id = id_of(&id)?;
    let delivery = delivery.parse().map_err(|_| Problem::new(Refusal::NotFound, "no delivery has this id"))?;
    let replayed = books.replay_delivery(&caller.actor(), id, delivery).await.map_err(refused)?;
    Ok(Json(DeliveryView::new(replayed, caller.role)))
}

/// Makes the failed deliveries of a webhook due again whose changes happened since a time.
#[utoipa::path(post, path = "/api/webhooks/{id}/replay", tag = "billing", request_body = ReplayBody,
    security(("token" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The webhook")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = ReplayView, example = json!({"replayed": 3}))))]
pub(in crate::routes) async fn replay(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<ReplayView>, Problem> {
    let ReplayBody { since } = input::required(request, app.limits.body).await?;
    let books = books(&app)?;
    let id = id_of(&id)?;
    let invalid = || Problem::new(Refusal::Unprocessable, "`since` must be a time such as 2026-11-20T08:03:52Z");
    let since = moment::parse(&since).ok_or_else(invalid)?;
    Ok(Json(ReplayView { replayed: books.replay_failed(&caller.actor(), id, since).await.map_err(refused)? }))
}

fn id_of(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| missing())
}

fn missing() -> Problem {
    Problem::new(Refusal::NotFound, "no webhook has this id")
}

/// Returns the URL of a webhook, if the rules for destinations that users set allow its scheme and its address.
fn allowed_url(app: &App, url: &str) -> Result<WebhookUrl, Problem> {
    let url = WebhookUrl::parse(url).map_err(invalid_url)?;
    url.check(&app.live.load().process.outbound_rules()).map_err(invalid_url)?;
    Ok(url)
}

fn invalid_url(error: WebhookUrlError) -> Problem {
    Problem::new(Refusal::Unprocessable, error.to_string())
}

fn invalid_events(error: NotWebhookEvents) -> Problem {
    Problem::new(Refusal::Unprocessable, error.to_string())
}

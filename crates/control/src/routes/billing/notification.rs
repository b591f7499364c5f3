//! `POST /midtrans/notification`: a notification of the payment provider.
//!
//! The rate limits of clients do not apply, because the provider sends all notifications from few addresses. This path
//! has its own: the size and the time of a body, and for genuine notifications the number at once and per second. The body
//! is stored as it arrived; the job `midtrans_notifications` requests the status that it announces.

use std::sync::Arc;
use std::time::Duration;

use access::Refusal;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use billing::midtrans::{NotificationError, ReceivedNotification};
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ledger::billing::{NewNotification, payments};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::enabled::books;
use crate::message::problem::Problem;
use crate::process::state::App;

/// The maximum size of a body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The maximum time in which a body arrives and is stored.
const WITHIN: Duration = Duration::from_secs(5);

/// Receives a notification of the payment provider: JSON as its documents describe it. The signature is verified; the
/// status is not believed.
#[utoipa::path(post, path = "/midtrans/notification", tag = "billing",
    extensions(("x-codes" = json!(["bad_request", "not_found", "payload_too_large", "overloaded"]))),
    responses((status = 200, body = Value, description = "The notification is stored", example = json!({}))))]
pub(in crate::routes) async fn notify(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, Problem> {
    let body = read(request.into_body()).await?;
    let books = books(&app)?;
    let provider =
        books.provider().ok_or_else(|| Problem::new(Refusal::NotFound, "no payment provider is configured"))?;
    let settings = provider.settings();
    let received = ReceivedNotification::verify(&body, &settings.server_key, &settings.merchant_id);
    let received = received.map_err(|error: NotificationError| Problem::new(Refusal::BadRequest, error.to_string()))?;
    // Bodies that are slow or not genuine hold no turn.
    let _turn = app.notifications.enter(app.clock.mono()).ok_or_else(|| {
        Problem::new(Refusal::Overloaded, "too many notifications arrive at once; send this one again")
    })?;
    let store = books.store();
    if payments::of_order(store, &received.order, &received.transaction).await?.is_none() {
        // The provider repeats it twice: the payment may be stored a moment later.
        return Err(Problem::new(Refusal::NotFound, "no payment has this order"));
    }
    let text = String::from_utf8_lossy(&body);
    let new = NewNotification {
        digest: &received.digest,
        order: &received.order,
        transaction: &received.transaction,
        status: &received.status,
        body: &text,
    };
    payments::add_notification(store, new).await?;
    Ok(Json(json!({})))
}

/// Reads a body; one that announces that it is too large is refused before it is read.
async fn read(body: Body) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Refusal::PayloadTooLarge, "a notification has at most 64 KiB");
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match timeout(WITHIN, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Refusal::BadRequest, "the body ended early")),
        Err(_) => Err(Problem::new(Refusal::BadRequest, "the body did not arrive in time")),
    }
}

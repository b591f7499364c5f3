//! Webhooks and their deliveries as the API shows them.

use access::Role;
use billing::rules::webhook_event::WebhookEvents;
use ledger::billing::webhook_deliveries::{RepeatedDeliveries, StoredDelivery};
use ledger::billing::webhook_endpoints::StoredWebhook;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::message::moment::rfc3339;

/// The error of a delivery without a response, for others than admins.
const FAILED: &str = "failed";

/// A URL that receives events of billing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(in crate::routes) struct WebhookView {
    /// The id of the webhook.
    id: Uuid,
    /// The URL that receives the events.
    url: String,
    /// Names of events, `invoice.*`, `payment.*`, `subscription.*`, or `*`.
    events: Vec<String>,
    /// Whether events are delivered.
    enabled: bool,
    /// The time since which no event is delivered; null while it is enabled.
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// The time of the last accepted delivery; null before the first one.
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    /// The deliveries that were sent and not accepted, and are repeated; null without any.
    failing: Option<WebhookFailingView>,
    /// The time until which the replaced secret signs too; null without one.
    #[schema(format = DateTime)]
    previous_until: Option<String>,
    /// The time of creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last change.
    #[schema(format = DateTime)]
    updated_at: String,
    /// The secret that signs, only in the response that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// The deliveries of a webhook that are repeated, as it did not accept them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookFailing)]
pub(in crate::routes) struct WebhookFailingView {
    /// The number of deliveries.
    deliveries: i64,
    /// The time of the oldest one, or of its last replay.
    #[schema(format = DateTime)]
    since: String,
}

/// All webhooks, from the oldest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhooks)]
pub(in crate::routes) struct WebhooksView {
    pub(super) items: Vec<WebhookView>,
    /// Always null: one page contains all webhooks, at most 20.
    pub(super) next: Option<String>,
}

/// An event for one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(in crate::routes) struct DeliveryView {
    /// The id of the delivery, which is the `webhook-id` of each attempt.
    id: Uuid,
    /// The name of the event.
    event: String,
    /// The invoice, the payment or the subscription that changed; of `webhook.test`, the webhook.
    object_id: Uuid,
    /// The state: `waiting`, `delivered` or `failed`.
    state: String,
    /// Number of attempts since the change or the last replay.
    attempts: i64,
    /// The status of the last response; null without one.
    status: Option<i64>,
    /// Why the last attempt failed; null otherwise. Only admins see why there was no response.
    error: Option<String>,
    /// The time of the next attempt; null if none follows.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// The time of the change.
    #[schema(format = DateTime)]
    created_at: String,
    /// The message as JSON.
    #[schema(value_type = Object)]
    body: Value,
}

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDeliveries)]
pub(in crate::routes) struct DeliveriesView {
    pub(super) items: Vec<DeliveryView>,
    /// The cursor of the next page; null on the last page.
    pub(super) next: Option<String>,
}

/// The number of deliveries that are due again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookReplay)]
pub(in crate::routes) struct ReplayView {
    /// The number of deliveries that are due again.
    pub(super) replayed: u64,
}

impl WebhookView {
    /// Shows a webhook with its new secret.
    pub(super) fn with_secret(self, secret: &access::Secret) -> Self {
        Self { secret: Some(secret.expose().to_owned()), ..self }
    }

    /// Shows a webhook. `repeated` are the repeated deliveries of all webhooks.
    pub(super) fn new(of: StoredWebhook, repeated: &[RepeatedDeliveries]) -> Self {
        let failing = repeated.iter().find(|deliveries| deliveries.endpoint == of.id);
        Self {
            failing: failing
                .map(|repeated| WebhookFailingView { deliveries: repeated.count, since: rfc3339(repeated.since) }),
            id: of.id,
            url: of.url,
            events: WebhookEvents::of_stored(&of.events).patterns().to_vec(),
            enabled: of.disabled_at.is_none(),
            disabled_at: of.disabled_at.map(rfc3339),
            delivered_at: of.delivered_at.map(rfc3339),
            previous_until: of.previous_until.map(rfc3339),
            created_at: rfc3339(of.created_at),
            updated_at: rfc3339(of.updated_at),
            secret: None,
        }
    }
}

impl DeliveryView {
    /// Shows a delivery to a caller. Others than admins do not learn what happened before a response, so that no webhook shows
    /// them which addresses and ports of a network are open.
    pub(super) fn new(of: StoredDelivery, role: Role) -> Self {
        let is_waiting = of.state == "waiting";
        let shows_cause = role == Role::Admin || of.status.is_some() || of.error.is_empty();
        let error = if shows_cause { of.error } else { FAILED.to_owned() };
        Self {
            id: of.id,
            event: of.event,
            object_id: of.object,
            state: of.state,
            attempts: of.attempts,
            status: of.status,
            error: (!error.is_empty()).then_some(error),
            next_at: is_waiting.then(|| rfc3339(of.next_at)),
            created_at: rfc3339(of.created_at),
            body: serde_json::from_str(&of.body).unwrap_or(Value::Null),
        }
    }
}

/// Returns the example of a webhook.
pub(super) fn example_webhook() -> Value {
    json!({
        "id": "0199aa00-0000-7000-8000-000000000005", "url": "https://hooks.example.com/tollgate", "events": ["invoice.*"],
        "enabled": true, "disabled_at": null, "delivered_at": "2026-11-21T10:00:00Z", "failing": null, "previous_until": null,
        "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z"
    })
}

/// Returns the example of a webhook with its new secret.
pub(super) fn example_secret() -> Value {
    let mut example = example_webhook();
    if let Some(example) = example.as_object_mut() {
        example.insert("secret".to_owned(), json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="));
    }
    example
}

/// Returns the example of a delivery.
pub(super) fn example_delivery() -> Value {
    json!({
        "id": "0199aa00-0000-7000-8000-000000000006", "event": "invoice.paid",
        "object_id": "0199aa00-0000-7000-8000-000000000002", "state": "delivered", "attempts": 1, "status": 204,
        "error": null, "next_at": null, "created_at": "2026-11-21T10:00:00Z",
        "body": {"type": "invoice.paid", "timestamp": "2026-11-21T10:00:00Z", "data": {
            "id": "0199aa00-0000-7000-8000-000000000002", "number": "INV-2026-000001", "state": "paid"}}
    })
}

/// Returns the example of the delivery of a test event.
pub(super) fn example_test() -> Value {
    let webhook = "0199aa00-0000-7000-8000-000000000005";
    json!({
        "id": "0199aa00-0000-7000-8000-000000000007", "event": "webhook.test", "object_id": webhook, "state": "waiting",
        "attempts": 0, "status": null, "error": null, "next_at": "2026-11-21T10:00:00Z", "created_at": "2026-11-21T10:00:00Z",
        "body": {"type": "webhook.test", "timestamp": "2026-11-21T10:00:00Z", "data": {"id": webhook}}
    })
}

#[cfg(test)]
mod tests {
    use access::Timestamp;

    use super::*;

    fn shown(error: &str, status: Option<i64>, role: Role) -> Option<String> {
        let id = Uuid::nil();
        let at = Timestamp(0);
        let of = StoredDelivery {
            id,
            endpoint: id,
            event: "invoice.paid".to_owned(),
            object: id,
            body: "{}".to_owned(),
            state: "waiting".to_owned(),
            attempts: 1,
            queued_at: at,
            next_at: at,
            status,
            error: error.to_owned(),
            created_at: at,
            updated_at: at,
        };
        DeliveryView::new(of, role).error
    }

    #[test]
    fn only_admins_see_why_there_was_no_response() {
        for error in [
            "the receiver cannot be reached",
            "TLS to the receiver failed",
            "the host of the receiver cannot be resolved",
            "the receiver may not receive requests: a port of the gateway itself",
            "its response is not HTTP/1.1",
            "it did not respond in time",
        ] {
            assert_eq!(shown(error, None, Role::Member).as_deref(), Some("failed"));
            assert_eq!(shown(error, None, Role::Admin).as_deref(), Some(error));
        }
        let of_status = shown("it responded with 500", Some(500), Role::Member);
        assert_eq!(of_status.as_deref(), Some("it responded with 500"));
        assert_eq!(shown("", Some(204), Role::Member), None);
    }
}

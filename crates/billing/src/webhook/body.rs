//! The messages of webhooks.

use access::{Currency, Day, Timestamp};
use ledger::billing::{StoredInvoice, StoredPayment, StoredPlanVersion, StoredSubscription};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::receipt::row::rfc3339;
use crate::rules::webhook_event::WebhookEvent;

/// Returns a message: the name of the event, its time, and the object after the change.
pub(crate) fn message(event: WebhookEvent, at: Timestamp, data: &Value) -> String {
    json!({"type": event.as_str(), "timestamp": rfc3339(at), "data": data}).to_string()
}

/// The name of the event that tests an endpoint. No pattern selects it: it is sent to one endpoint, when finance asks for it.
pub(crate) const TEST_EVENT: &str = "webhook.test";

/// Returns the message of [`TEST_EVENT`].
pub(crate) fn test_message(at: Timestamp, webhook: Uuid) -> String {
    json!({"type": TEST_EVENT, "timestamp": rfc3339(at), "data": {"id": webhook}}).to_string()
}

/// Returns an invoice as messages show it.
pub(crate) fn invoice_data(of: &StoredInvoice) -> Value {
    json!({
        "id": of.id,
        "user_id": of.user.0,
        "subscription_id": of.subscription,
        "of_invoice_id": of.of_invoice,
        "number": of.number,
        "kind": of.kind,
        "state": of.state,
        "period": days(of.first_day, of.last_day),
        "total": money(of.total, of.currency),
        "remaining": money(of.remaining, of.currency),
        "due_at": of.due_at.map(rfc3339),
    })
}

/// Returns a payment as messages show it.
pub(crate) fn payment_data(of: &StoredPayment) -> Value {
    json!({
        "id": of.id,
        "user_id": of.user.0,
        "invoice_id": of.invoice,
        "order_id": of.order,
        "method": of.method,
        "state": of.state,
        "amount": money(of.amount, Currency::Idr),
        "refunded": money(of.refunded, Currency::Idr),
    })
}

/// Returns a subscription as messages show it.
pub(crate) fn subscription_data(
    of: &StoredSubscription,
    version: &StoredPlanVersion,
    next: Option<&StoredPlanVersion>,
) -> Value {
    json!({
        "id": of.id,
        "user_id": of.user.0,
        "state": of.state,
        "plan": version.name,
        "version": version.version,
        "period": days(of.first_day, of.last_day),
        "next_plan": next.map(|next| next.name.as_str()),
        "cancel_at_end": of.cancel_at_end,
    })
}

fn money(amount: i64, currency: Currency) -> Value {
    json!({"amount": amount, "currency": currency.code()})
}

fn days(first_day: Day, last_day: Day) -> Value {
    json!({"first_day": first_day.to_string(), "last_day": last_day.to_string()})
}

//! Webhooks: events of billing that other systems receive, by the rules of Standard Webhooks. A delivery is a row that is
//! added with the change that it announces; the job `webhooks` sends it.
//!
//! An event is delivered at least once. The receiver recognises a repetition by its `webhook-id`.

mod body;
mod client;
mod delivery;
mod signature;
mod url;

pub(crate) use body::{TEST_EVENT, invoice_data, message, payment_data, subscription_data, test_message};
pub use client::{ReceiverTrust, WebhookCaError};
pub use delivery::{DeliveryBounds, SPEC, WebhookDelivery};
pub(crate) use signature::WebhookSecrets;
pub use url::{WebhookUrl, WebhookUrlError};

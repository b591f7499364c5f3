//! Events for webhooks, as rows that are added with the changes that they announce.

use ledger::billing::webhook_deliveries::{self, NewDelivery};
use ledger::billing::webhook_endpoints;
use ledger::billing::{BooksTransaction, payments};
use uuid::Uuid;

use super::{BillingError, Books};
use crate::rules::payment::PaymentState;
use crate::rules::webhook_event::{WebhookEvent, WebhookEvents, WebhookObject};
use crate::webhook::{invoice_data, message, payment_data, subscription_data};

impl Books {
    /// Adds a delivery of an event for each endpoint that receives it. The message shows the object as the transaction
    /// has changed it.
    pub(crate) async fn announce(
        &self,
        tx: &mut BooksTransaction,
        event: WebhookEvent,
        object: Uuid,
    ) -> Result<(), BillingError> {
        let mut endpoints = webhook_endpoints::all(tx).await?;
        endpoints.retain(|of| of.disabled_at.is_none() && WebhookEvents::of_stored(&of.events).selects(event));
        if endpoints.is_empty() {
            return Ok(());
        }
        let data = match event.object() {
            WebhookObject::Invoice => invoice_data(&self.invoice(tx, object).await?),
            WebhookObject::Payment => {
                let payment = payments::find(tx, object).await?;
                payment_data(&payment.ok_or(BillingError::Inconsistent("a payment is missing"))?)
            }
            WebhookObject::Subscription => {
                let subscription = self.existing(tx, object).await?;
                let version = self.version(tx, subscription.plan_version).await?;
                let next = match subscription.next_plan_version {
                    Some(next) => Some(self.version(tx, next).await?),
                    None => None,
                };
                subscription_data(&subscription, &version, next.as_ref())
            }
        };
        let body = message(event, self.store.clock().now(), &data);
        for endpoint in endpoints {
            let new = NewDelivery { endpoint: endpoint.id, event: event.as_str(), object, body: &body };
            webhook_deliveries::add(&self.store, tx, new).await?;
        }
        Ok(())
    }

    /// Adds the event of a payment's new state, if it has one.
    pub(crate) async fn announce_payment(
        &self,
        tx: &mut BooksTransaction,
        payment: Uuid,
        state: PaymentState,
    ) -> Result<(), BillingError> {
        match WebhookEvent::of_payment(state) {
            Some(event) => self.announce(tx, event, payment).await,
            None => Ok(()),
        }
    }
}

//! The endpoints of webhooks, and the replay of their deliveries.

use std::time::Duration;

use access::{ProviderKeyId, Secret, Timestamp, Vault};
use ledger::billing::BooksTransaction;
use ledger::billing::webhook_deliveries::{self as deliveries, NewDelivery, StoredDelivery};
use ledger::billing::webhook_endpoints::{self as endpoints, StoredWebhook, WEBHOOKS_MAX};
use serde_json::{Value, json};
use store::sealed::vault::{SealingError, refuse_retired};
use store::{Act, Actor, AuditAction};
use uuid::Uuid;

use super::{BillingError, Books};
use crate::rules::webhook_event::WebhookEvents;
use crate::webhook::{TEST_EVENT, WebhookSecrets, WebhookUrl, test_message};

/// A replaced secret signs for this time, so that receivers can change theirs.
const PREVIOUS_SIGNS: Duration = Duration::from_hours(24);

/// A change of an endpoint; `None` keeps a value.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// The URL that receives the events.
    pub url: Option<WebhookUrl>,
    /// The events that it receives.
    pub events: Option<WebhookEvents>,
    /// Whether events are delivered.
    pub is_enabled: Option<bool>,
}

impl Books {
    /// Adds an endpoint. Returns it and its secret, which is not shown again.
    ///
    /// # Errors
    /// [`BillingError::Conflict`] for too many endpoints, [`BillingError::MasterKeyRetired`], [`BillingError::Sealing`], and
    /// database errors.
    pub async fn create_webhook(
        &self,
        by: &Actor,
        vault: &Vault,
        url: &WebhookUrl,
        events: &WebhookEvents,
    ) -> Result<(StoredWebhook, Secret), BillingError> {
        let new = WebhookSecrets::generate(None).map_err(SealingError)?;
        let id = self.store.new_id();
        let sealed = vault.seal(ProviderKeyId(id), None, &new.text).map_err(SealingError)?;
        let mut tx = self.store.begin_quiet().await?;
        refuse_retired::<BillingError>(&mut tx, sealed.master).await?;
        if endpoints::all(&mut tx).await?.len() >= WEBHOOKS_MAX {
            return Err(BillingError::Conflict("there are 20 webhooks, the maximum: delete one"));
        }
        let now = self.store.clock().now();
        let endpoint = StoredWebhook {
            id,
            url: url.as_str().to_owned(),
            events: events.to_string(),
            sealed,
            previous_until: None,
            delivered_at: None,
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        endpoints::add(&self.store, &mut tx, &endpoint).await?;
        let detail = json!({"host": url.host(), "events": events.patterns()});
        self.store.note(&mut tx, by, Act::new(AuditAction::WebhookCreate, id, None).with(detail)).await?;
        let stored = self.webhook(&mut tx, id).await?;
        tx.commit().await?;
        Ok((stored, new.secret))
    }

    /// Changes an endpoint. Deliveries that wait for an endpoint that is disabled have failed.
    ///
    /// # Errors
    /// [`BillingError::NoWebhook`], and database errors.
    pub async fn change_webhook(
        &self,
        by: &Actor,
        id: Uuid,
        change: WebhookChange,
    ) -> Result<StoredWebhook, BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        let before = self.webhook(&mut tx, id).await?;
        let mut after = before.clone();
        let mut detail = serde_json::Map::new();
        if let Some(url) = change.url.filter(|url| url.as_str() != before.url) {
            detail.insert("host".to_owned(), json!(url.host()));
            url.as_str().clone_into(&mut after.url);
        }
        if let Some(events) = change.events.filter(|events| events.to_string() != before.events) {
            detail.insert("events".to_owned(), json!(events.patterns()));
            after.events = events.to_string();
        }
        if let Some(is_enabled) = change.is_enabled.filter(|is_enabled| *is_enabled == before.disabled_at.is_some()) {
            detail.insert("disabled".to_owned(), json!(!is_enabled));
            after.disabled_at = (!is_enabled).then(|| self.store.clock().now());
        }
        if detail.is_empty() {
            return Ok(before);
        }
        endpoints::set(&self.store, &mut tx, &after).await?;
        if after.disabled_at.is_some() {
            deliveries::fail_all(&self.store, &mut tx, id, "the webhook was disabled").await?;
        }
        self.store
            .note(&mut tx, by, Act::new(AuditAction::WebhookChange, id, None).with(Value::Object(detail)))
            .await?;
        let stored = self.webhook(&mut tx, id).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Gives an endpoint a new secret, which is not shown again. The replaced one signs for another day.
    ///
    /// # Errors
    /// [`BillingError::NoWebhook`], [`BillingError::MasterKeyRetired`], [`BillingError::Sealing`], and database errors.
    pub async fn rotate_webhook(
        &self,
        by: &Actor,
        vault: &Vault,
        id: Uuid,
    ) -> Result<(StoredWebhook, Secret), BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        let before = self.webhook(&mut tx, id).await?;
        let now = self.store.clock().now();
        // A secret that cannot be decrypted signs nothing any more.
        let previous = vault.open(ProviderKeyId(id), None, &before.sealed).ok();
        let previous = previous.map(|text| WebhookSecrets::read(&text, None, now));
        let new = WebhookSecrets::generate(previous.as_ref()).map_err(SealingError)?;
        let sealed = vault.seal(ProviderKeyId(id), None, &new.text).map_err(SealingError)?;
        refuse_retired::<BillingError>(&mut tx, sealed.master).await?;
        let until = previous.map(|_| now.after(PREVIOUS_SIGNS));
        endpoints::seal(&self.store, &mut tx, id, &sealed, until).await?;
        self.store.note(&mut tx, by, Act::new(AuditAction::WebhookRotate, id, None).with(json!({}))).await?;
        let stored = self.webhook(&mut tx, id).await?;
        tx.commit().await?;
        Ok((stored, new.secret))
    }

    /// Deletes an endpoint with its deliveries.
    ///
    /// # Errors
    /// [`BillingError::NoWebhook`], and database errors.
    pub async fn delete_webhook(&self, by: &Actor, id: Uuid) -> Result<(), BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        self.webhook(&mut tx, id).await?;
        deliveries::delete_of(&mut tx, id).await?;
        endpoints::delete(&mut tx, id).await?;
        self.store.note(&mut tx, by, Act::new(AuditAction::WebhookDelete, id, None).with(json!({}))).await?;
        Ok(tx.commit().await?)
    }

    /// Adds a delivery of a test event, which is attempted once.
    ///
    /// # Errors
    /// [`BillingError::NoWebhook`], [`BillingError::Conflict`] while the endpoint is disabled or another test event waits,
    /// and database errors.
    pub async fn test_webhook(&self, by: &Actor, id: Uuid) -> Result<StoredDelivery, BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        self.enabled_webhook(&mut tx, id).await?;
        if deliveries::awaits(&mut tx, id, TEST_EVENT).await? {
            return Err(BillingError::Conflict("a test event of this webhook is not sent yet: wait for its result"));
        }
        let body = test_message(self.store.clock().now(), id);
        let new = NewDelivery { endpoint: id, event: TEST_EVENT, object: id, body: &body };
        let added = deliveries::add(&self.store, &mut tx, new).await?;
        self.store
            .note(&mut tx, by, Act::new(AuditAction::WebhookTest, id, None).with(json!({"delivery": added})))
            .await?;
        let stored = deliveries::find(&mut tx, added).await?.ok_or(BillingError::NoDelivery)?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Makes a delivery due again, also one that was accepted. It keeps its id.
    ///
    /// # Errors
    /// [`BillingError::NoWebhook`], [`BillingError::NoDelivery`], [`BillingError::Conflict`] while the endpoint is disabled,
    /// and database errors.
    pub async fn replay_delivery(&self, by: &Actor, id: Uuid, delivery: Uuid) -> Result<StoredDelivery, BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        self.enabled_webhook(&mut tx, id).await?;
        let found = deliveries::find(&mut tx, delivery).await?.filter(|found| found.endpoint == id);
        let found = found.ok_or(BillingError::NoDelivery)?;
        deliveries::replay(&self.store, &mut tx, found.id).await?;
        self.store
            .note(&mut tx, by, Act::new(AuditAction::WebhookReplay, id, None).with(json!({"delivery": found.id})))
            .await?;
        let stored = deliveries::find(&mut tx, delivery).await?.ok_or(BillingError::NoDelivery)?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Makes the failed deliveries of an endpoint due again whose changes happened since a time. Returns their number.
    ///
    /// # Errors
    /// [`BillingError::NoWebhook`], [`BillingError::Conflict`] while the endpoint is disabled, and database errors.
    pub async fn replay_failed(&self, by: &Actor, id: Uuid, since: Timestamp) -> Result<u64, BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        self.enabled_webhook(&mut tx, id).await?;
        let replayed = deliveries::replay_failed(&self.store, &mut tx, id, since).await?;
        self.store
            .note(&mut tx, by, Act::new(AuditAction::WebhookReplay, id, None).with(json!({"deliveries": replayed})))
            .await?;
        tx.commit().await?;
        Ok(replayed)
    }

    async fn webhook(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<StoredWebhook, BillingError> {
        endpoints::find(tx, id).await?.ok_or(BillingError::NoWebhook)
    }

    async fn enabled_webhook(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<(), BillingError> {
        match self.webhook(tx, id).await?.disabled_at {
            Some(_) => Err(BillingError::Conflict("the webhook is disabled: enable it first")),
            None => Ok(()),
        }
    }
}

//! The job that delivers webhooks.

use std::sync::Arc;
use std::time::Duration;

use access::{ProviderKeyId, Vault};
use jobs::{Job, JobError, JobSpec, NextRun, Owner};
use ledger::billing::BooksTransaction;
use ledger::billing::webhook_deliveries::{self, FailedAttempt, StoredDelivery};
use ledger::billing::webhook_endpoints::{self, StoredWebhook};
use serde_json::json;
use store::{Act, Actor, AuditAction, DatabaseError, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::body::TEST_EVENT;
use super::client::{ReceiverTrust, SignedMessage, WebhookCaError, WebhookClient};
use super::signature::WebhookSecrets;
use super::url::WebhookUrl;
use crate::pauses::Pauses;

/// The specification of the job `webhooks`. A run may be dropped: deliveries without a result are sent again.
pub const SPEC: JobSpec = JobSpec {
    owner: Owner::OneNode,
    run_max: Duration::from_mins(15),
    ..JobSpec::every("webhooks", Duration::from_secs(1))
};

/// Deliveries of one endpoint in one run. Endpoints are served concurrently.
const PAGE: u32 = 20;
/// Time after which a run begins no other delivery of an endpoint: a slow receiver does not delay those of others.
const ENDPOINT_RUN: Duration = Duration::from_secs(1);
/// The pauses between the attempts of a delivery.
const PAUSES: Pauses = Pauses { first: Duration::from_secs(5), longest: Duration::from_hours(2) };
/// Ended deliveries are kept for this time.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Deliveries that one run deletes.
const DELETED_AT_ONCE: u32 = 500;
/// The status by which a receiver asks for no more events.
const GONE: u16 = 410;

/// The job that delivers webhooks.
#[derive(Debug, Clone)]
pub struct WebhookDelivery {
    store: Store,
    vault: Arc<Vault>,
    client: WebhookClient,
    retry_for: Duration,
}

/// The bounds of deliveries.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryBounds {
    /// The maximum duration of an attempt.
    pub timeout: Duration,
    /// A delivery is attempted for this time, and the last attempt is made at its end.
    pub retry_for: Duration,
}

/// The result of an attempt.
#[derive(Debug)]
struct AttemptFailure {
    status: Option<u16>,
    error: String,
}

impl WebhookDelivery {
    /// Returns the job for a store, whose secrets are sealed with the vault.
    ///
    /// # Errors
    /// [`WebhookCaError`] if `ca` has no certificate, or an invalid one.
    pub fn new(
        store: Store,
        vault: Arc<Vault>,
        trust: ReceiverTrust<'_>,
        bounds: DeliveryBounds,
    ) -> Result<Self, WebhookCaError> {
        let DeliveryBounds { timeout, retry_for } = bounds;
        Ok(Self { store, vault, client: WebhookClient::new(trust, timeout)?, retry_for })
    }
}

impl Job for WebhookDelivery {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let now = self.store.clock().now();
        let mut tasks = JoinSet::new();
        for endpoint in webhook_endpoints::with_due(&self.store, now).await? {
            let job = self.clone();
            tasks.spawn(async move { job.deliver_to(&endpoint).await });
        }
        let mut is_full = false;
        let mut failure = None;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(is_more)) => is_full |= is_more,
                Ok(Err(error)) => failure = Some(JobError::from(error)),
                Err(error) => failure = Some(JobError::from(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        webhook_deliveries::delete_old(&self.store, now.before(KEPT), DELETED_AT_ONCE).await?;
        Ok(if is_full { NextRun::Now } else { NextRun::Period })
    }

    async fn has_work(&mut self) -> Result<bool, JobError> {
        let now = self.store.clock().now();
        Ok(!webhook_endpoints::with_due(&self.store, now).await?.is_empty())
    }
}

impl WebhookDelivery {
    /// Sends the deliveries of an endpoint that are due, from the earliest. The first one that is not accepted ends the
    /// run of this endpoint, so that an endpoint that does not respond costs one attempt. Returns whether more are due.
    async fn deliver_to(&self, endpoint: &StoredWebhook) -> Result<bool, DatabaseError> {
        let now = self.store.clock().now();
        let due = webhook_deliveries::due(&self.store, endpoint.id, now, PAGE).await?;
        let began = Instant::now();
        for delivery in &due {
            if began.elapsed() >= ENDPOINT_RUN {
                return Ok(true);
            }
            match self.attempt(endpoint, delivery).await {
                Ok(status) => self.accepted(delivery, status).await?,
                Err(failure) => {
                    self.not_accepted(delivery, &failure).await?;
                    return Ok(false);
                }
            }
        }
        Ok(due.len() == usize::try_from(PAGE).unwrap_or(usize::MAX))
    }

    /// Sends one delivery, and returns the status that accepted it.
    async fn attempt(&self, endpoint: &StoredWebhook, delivery: &StoredDelivery) -> Result<u16, AttemptFailure> {
        let now = self.store.clock().now();
        let url = WebhookUrl::parse(&endpoint.url).map_err(|error| AttemptFailure::from_error(error.to_string()))?;
        let text = self.vault.open(ProviderKeyId(endpoint.id), None, &endpoint.sealed).map_err(|error| {
            tracing::error!(webhook = %endpoint.id, %error, "cannot decrypt the secret of a webhook");
            AttemptFailure::from_error("its secret cannot be decrypted; rotate it".to_owned())
        })?;
        let seconds = now.unix_seconds();
        let secrets = WebhookSecrets::read(&text, endpoint.previous_until, now);
        let message = SignedMessage {
            id: delivery.id.to_string(),
            timestamp: seconds.to_string(),
            signature: secrets.sign(delivery.id, seconds, &delivery.body),
            body: delivery.body.clone(),
        };
        match self.client.send(&url, message).await {
            Ok(status @ 200..=299) => Ok(status),
            Ok(status @ 300..=399) => {
                Err(AttemptFailure { status: Some(status), error: "it redirects, which is not followed".to_owned() })
            }
            Ok(status) => Err(AttemptFailure { status: Some(status), error: format!("it responded with {status}") }),
            Err(error) => Err(AttemptFailure::from_error(error.to_string())),
        }
    }

    async fn accepted(&self, delivery: &StoredDelivery, status: u16) -> Result<(), DatabaseError> {
        let mut tx = self.store.begin().await?;
        webhook_deliveries::accept(&self.store, &mut tx, delivery.id, status).await?;
        webhook_endpoints::delivered(&self.store, &mut tx, delivery.endpoint).await?;
        tx.commit().await
    }

    /// Plans the next attempt, or gives the delivery up. If the endpoint accepted nothing since the delivery was queued, it is
    /// disabled then; and at once if the endpoint asks for no more events.
    async fn not_accepted(&self, delivery: &StoredDelivery, failure: &AttemptFailure) -> Result<(), DatabaseError> {
        let AttemptFailure { status, error } = failure;
        let of = FailedAttempt { status: *status, error };
        let now = self.store.clock().now();
        let last_at = delivery.queued_at.after(self.retry_for);
        // An endpoint that is disabled holds the lock of changes, under which events are added.
        let mut tx = self.store.begin_quiet().await?;
        let is_gone = *status == Some(GONE);
        // The reader of a test waits for its result, and it announces nothing that the receiver would miss.
        let is_test = delivery.event == TEST_EVENT;
        if now < last_at && !is_gone && !is_test {
            let next_at = PAUSES.next_at(&self.store, delivery.attempts).min(last_at);
            webhook_deliveries::postpone(&self.store, &mut tx, delivery.id, next_at, of).await?;
            return tx.commit().await;
        }
        webhook_deliveries::fail(&self.store, &mut tx, delivery.id, of).await?;
        tracing::warn!(webhook = %delivery.endpoint, delivery = %delivery.id, event = delivery.event, status = *status, error, "a webhook was given up");
        let endpoint = webhook_endpoints::find(&mut tx, delivery.endpoint).await?;
        let is_silent = |of: &StoredWebhook| of.delivered_at.is_none_or(|at| at < delivery.queued_at);
        let is_over = |of: &StoredWebhook| is_gone || (is_silent(of) && !is_test);
        match endpoint.filter(|of| of.disabled_at.is_none() && is_over(of)) {
            Some(endpoint) => self.disable(tx, endpoint, error).await,
            None => tx.commit().await,
        }
    }

    /// Disables an endpoint, with a line of the audit log. What waits for it has failed.
    async fn disable(
        &self,
        mut tx: BooksTransaction,
        endpoint: StoredWebhook,
        error: &str,
    ) -> Result<(), DatabaseError> {
        let id = endpoint.id;
        let disabled = StoredWebhook { disabled_at: Some(self.store.clock().now()), ..endpoint };
        webhook_endpoints::set(&self.store, &mut tx, &disabled).await?;
        webhook_deliveries::fail_all(&self.store, &mut tx, id, "the webhook was disabled").await?;
        let act = Act::new(AuditAction::WebhookChange, id, None).with(json!({"disabled": true, "because": error}));
        self.store.note(&mut tx, &Actor::SYSTEM, act).await?;
        tracing::error!(webhook = %id, error, "a webhook was disabled");
        tx.commit().await
    }
}

impl AttemptFailure {
    const fn from_error(error: String) -> Self {
        Self { status: None, error }
    }
}

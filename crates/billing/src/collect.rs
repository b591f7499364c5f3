//! The jobs around payments: notifications that wait, payments whose notification never arrived, and the consequences of
//! missing payments.

use std::time::Duration;

use access::Timestamp;
use jobs::{Job, JobError, JobSpec, NextRun, Owner};
use ledger::billing::{
    StoredPayment, StoredSubscription, WaitingNotification, invoices, payments, refunds, subscriptions,
};
use store::Actor;
use uuid::Uuid;

use crate::books::{BillingError, Books, PaymentOutcome, state_of};
use crate::rules::subscription::{SubscriptionEvent, SubscriptionState};

/// The job `midtrans_notifications`. A customer who paid waits for it.
pub const NOTIFICATIONS: JobSpec =
    JobSpec { owner: Owner::OneNode, ..JobSpec::every("midtrans_notifications", Duration::from_millis(250)) };
/// The specification of the job `midtrans_reconcile`.
pub const RECONCILE: JobSpec =
    JobSpec { owner: Owner::OneNode, ..JobSpec::every("midtrans_reconcile", Duration::from_secs(30)) };
/// The specification of the job `billing_dunning`.
pub const DUNNING: JobSpec =
    JobSpec { owner: Owner::OneNode, ..JobSpec::every("billing_dunning", Duration::from_mins(1)) };

/// Number of rows that are read at a time.
const PAGE: u32 = 100;
/// A pending payment is looked up again after this time: Midtrans repeats a notification for almost six hours.
const CHECK_EVERY: Duration = Duration::from_mins(5);

/// The job that handles notifications.
#[derive(Debug)]
pub struct NotificationHandling(Books);

/// The job that looks up pending payments.
#[derive(Debug)]
pub struct PaymentReconciliation(Books);

/// The job that applies the consequences of missing payments.
#[derive(Debug)]
pub struct Dunning(Books);

impl NotificationHandling {
    /// Returns the job for these books.
    #[must_use]
    pub const fn new(books: Books) -> Self {
        Self(books)
    }
}

impl PaymentReconciliation {
    /// Returns the job for these books.
    #[must_use]
    pub const fn new(books: Books) -> Self {
        Self(books)
    }
}

impl Dunning {
    /// Returns the job for these books.
    #[must_use]
    pub const fn new(books: Books) -> Self {
        Self(books)
    }
}

impl Job for NotificationHandling {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let mut failed = None;
        for notification in payments::notifications(self.0.store(), PAGE).await? {
            // The others do not wait for one that fails.
            if let Err(error) = self.0.handle(&notification).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(NextRun::Period), |error| Err(error.into()))
    }
}

impl Job for PaymentReconciliation {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let now = self.0.store().clock().now();
        for refund in refunds::requested(self.0.store(), PAGE).await? {
            if refund.created_at.after(CHECK_EVERY) <= now {
                self.0.send_refund(&refund).await?;
            }
        }
        for payment in payments::waiting(self.0.store(), now.before(CHECK_EVERY), PAGE).await? {
            let outcome = self.0.refresh(&payment).await?;
            if outcome == PaymentOutcome::Unchanged && payment.state == "created" && payment.expires_at <= now {
                self.0.expire(payment.id).await?;
            }
        }
        Ok(NextRun::Period)
    }
}

impl Job for Dunning {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.0.dun().await?;
        Ok(NextRun::Period)
    }
}

impl Books {
    /// Requests the status that a notification announces, and applies it.
    ///
    /// # Errors
    /// [`BillingError::Provider`], and database errors: the notification waits for the next run.
    pub async fn handle(&self, of: &WaitingNotification) -> Result<(), BillingError> {
        let payment = payments::of_order(self.store(), &of.order_id, &of.transaction_id).await?;
        let result = match payment {
            None => "unknown order".to_owned(),
            Some(payment) => match self.refresh_transaction(&payment, &of.transaction_id).await? {
                PaymentOutcome::Unchanged => "unchanged".to_owned(),
                PaymentOutcome::Changed(state) => state.as_str().to_owned(),
                PaymentOutcome::Mismatch => {
                    tracing::error!(payment = %payment.id, order = of.order_id, "a payment differs from its notification");
                    "mismatch".to_owned()
                }
            },
        };
        Ok(payments::set_handled(self.store(), of.id, &result).await?)
    }

    /// Ends a payment for which the customer chose no method in time.
    async fn expire(&self, id: Uuid) -> Result<(), BillingError> {
        let mut on = self.store().addition().await?;
        let payment = payments::find(&mut on, id).await?.ok_or(BillingError::NoPayment)?;
        if payment.state == "created" {
            let failed = StoredPayment { state: "failed".to_owned(), ..payment };
            payments::set_state(self.store(), &mut on, &failed).await?;
        }
        Ok(on.commit().await?)
    }

    /// Voids changes that were not paid, ends pending subscriptions, and limits or closes those that owe.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn dun(&self) -> Result<(), BillingError> {
        let now = self.store().clock().now();
        for invoice in invoices::lapsed_changes(self.store(), now, PAGE).await? {
            let mut on = self.store().change().await?;
            match self.void(&mut on, invoice.id).await {
                Ok(()) => on.commit().await?,
                // A part was paid meanwhile: the rest stays due.
                Err(BillingError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut after = Uuid::nil();
        loop {
            let page = subscriptions::owing(self.store(), now, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for subscription in &page {
                self.dun_one(subscription.id, now).await?;
            }
        }
    }

    async fn dun_one(&self, id: Uuid, now: Timestamp) -> Result<(), BillingError> {
        let mut on = self.store().change().await?;
        let Some(subscription) = subscriptions::find(&mut on, id).await? else { return Ok(()) };
        let open = invoices::open_of(&mut on, id).await?;
        let is_overdue = open.iter().any(|invoice| invoice.due_at.is_some_and(|due| due <= now));
        let Some(event) = self.consequence(&subscription, is_overdue, now)? else { return Ok(()) };
        if event == SubscriptionEvent::FirstInvoiceLapsed {
            for invoice in open.iter().filter(|invoice| invoice.remaining == invoice.total) {
                self.void(&mut on, invoice.id).await?;
            }
        }
        self.transition(&mut on, &Actor::SYSTEM, &subscription, event).await?;
        Ok(on.commit().await?)
    }

    /// Returns the event that the time has caused.
    fn consequence(
        &self,
        of: &StoredSubscription,
        is_overdue: bool,
        now: Timestamp,
    ) -> Result<Option<SubscriptionEvent>, BillingError> {
        let settings = self.settings();
        let has_passed = |time: Duration| of.past_due_since.is_some_and(|since| since.after(time) <= now);
        Ok(match state_of(of)? {
            SubscriptionState::Pending => is_overdue.then_some(SubscriptionEvent::FirstInvoiceLapsed),
            SubscriptionState::Active => is_overdue.then_some(SubscriptionEvent::DuePassed),
            SubscriptionState::PastDue => has_passed(settings.grace).then_some(SubscriptionEvent::GracePassed),
            SubscriptionState::Limited => {
                has_passed(settings.grace + settings.last).then_some(SubscriptionEvent::FinalPassed)
            }
            SubscriptionState::Trialing | SubscriptionState::Closed | SubscriptionState::Cancelled => None,
        })
    }
}

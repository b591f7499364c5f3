//! The jobs around payments: notifications that wait, payments whose notification never arrived, and the consequences of
//! missing payments.

use std::time::Duration;

use access::{Day, Timestamp};
use jobs::{Job, JobError, JobSpec, NextRun, Owner, causes};
use ledger::billing::payments::LookUpTimes;
use ledger::billing::{
    StoredPayment, StoredRefund, StoredSubscription, WaitingNotification, invoices, payments, refunds, subscriptions,
};
use store::Actor;
use uuid::Uuid;

use crate::books::{BillingError, Books, LiveBooks, PaymentOutcome};
use crate::rules::invoice_state::InvoiceState;
use crate::rules::mail_kind::MailKind;
use crate::rules::payment::PaymentState;
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
/// A bank takes a payment back within minutes. A notification of it may be lost.
const REVERSED_WITHIN: Duration = Duration::from_hours(1);
/// A QR code or a card page that has expired may still be paid within this time.
const LATE_WITHIN: Duration = Duration::from_hours(24);
/// The pause after the first attempt to handle a notification. It doubles with each attempt, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_hours(1);
/// Attempts to handle a notification: about half a day. The payment itself is still looked up.
const ATTEMPTS_MAX: i64 = 24;
/// A pending payment is looked up again after this time: Midtrans repeats a notification for almost six hours.
const CHECK_EVERY: Duration = Duration::from_mins(5);

/// The job that handles notifications.
#[derive(Debug)]
pub struct NotificationHandling(LiveBooks);

/// The job that looks up pending payments.
#[derive(Debug)]
pub struct PaymentReconciliation(LiveBooks);

/// The job that applies the consequences of missing payments.
#[derive(Debug)]
pub struct Dunning(LiveBooks);

impl NotificationHandling {
    /// Returns the job for these books.
    #[must_use]
    pub fn new(books: impl Into<LiveBooks>) -> Self {
        Self(books.into())
    }
}

impl PaymentReconciliation {
    /// Returns the job for these books.
    #[must_use]
    pub fn new(books: impl Into<LiveBooks>) -> Self {
        Self(books.into())
    }
}

impl Dunning {
    /// Returns the job for these books.
    #[must_use]
    pub fn new(books: impl Into<LiveBooks>) -> Self {
        Self(books.into())
    }
}

impl Job for NotificationHandling {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Some(books) = with_provider(&self.0) else { return Ok(NextRun::Idle) };
        for notification in payments::notifications(books.store(), PAGE).await? {
            if let Err(error) = books.handle(&notification).await {
                // The others do not wait for one that fails.
                books.postpone(&notification, &error.of_rows()?).await?;
            }
        }
        Ok(NextRun::Period)
    }

    async fn has_work(&mut self) -> Result<bool, JobError> {
        match with_provider(&self.0) {
            Some(books) => Ok(!payments::notifications(books.store(), 1).await?.is_empty()),
            None => Ok(false),
        }
    }
}

impl Job for PaymentReconciliation {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Some(books) = with_provider(&self.0) else { return Ok(NextRun::Period) };
        let now = books.store().clock().now();
        let times = LookUpTimes {
            checked_before: now.before(CHECK_EVERY),
            paid_after: now.before(REVERSED_WITHIN),
            failed_after: now.before(LATE_WITHIN),
        };
        for payment in payments::waiting(books.store(), times, PAGE).await? {
            books.request_status(&payment, times.checked_before).await?;
        }
        // Look-ups do not wait for refunds.
        for refund in refunds::requested(books.store(), PAGE).await? {
            if refund.created_at.after(CHECK_EVERY) <= now {
                books.repeat_refund(&refund).await?;
            }
        }
        Ok(NextRun::Period)
    }
}

impl Job for Dunning {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        if let Some(books) = self.0.current() {
            books.dun().await?;
        }
        Ok(NextRun::Period)
    }
}

/// Returns the books if billing is on and has a payment provider.
fn with_provider(books: &LiveBooks) -> Option<Books> {
    books.current().filter(|books| books.provider().is_some())
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

    /// Plans the next attempt to handle a notification, or gives it up.
    async fn postpone(&self, of: &WaitingNotification, error: &BillingError) -> Result<(), BillingError> {
        let cause = causes(error);
        if of.attempts + 1 >= ATTEMPTS_MAX {
            tracing::error!(order = of.order_id, transaction = of.transaction_id, %error, cause, "a notification was given up");
            return Ok(payments::set_handled(self.store(), of.id, "failed").await?);
        }
        tracing::warn!(order = of.order_id, attempts = of.attempts + 1, %error, cause, "a notification could not be handled yet");
        let doublings = u32::try_from(of.attempts).unwrap_or(0).min(12);
        let pause = (PAUSE * (1 << doublings)).min(PAUSE_MAX);
        let next_at = self.store().clock().now().after(pause);
        Ok(payments::postpone(self.store(), of.id, next_at).await?)
    }

    /// Requests the status of a payment, unless another node did since `before`. An error of it does not stop the others.
    async fn request_status(&self, payment: &StoredPayment, before: Timestamp) -> Result<(), BillingError> {
        // Recorded before the request, so that a payment that always fails waits behind the others.
        if !payments::claim(self.store(), payment.id, before).await? {
            return Ok(());
        }
        if let Err(error) = self.refresh_or_expire(payment).await {
            let error = error.of_rows()?;
            let cause = causes(&error);
            tracing::warn!(payment = %payment.id, %error, cause, "the status of a payment could not be applied");
        }
        Ok(())
    }

    async fn refresh_or_expire(&self, payment: &StoredPayment) -> Result<(), BillingError> {
        match self.refresh(payment).await? {
            PaymentOutcome::Changed(_) => return Ok(()),
            PaymentOutcome::Unchanged => {}
            PaymentOutcome::Mismatch => {
                tracing::error!(payment = %payment.id, order = payment.order, "a payment differs from the report of its provider");
            }
        }
        if payment.state == PaymentState::Created && payment.expires_at <= self.store().clock().now() {
            self.expire(payment.id).await?;
        }
        Ok(())
    }

    /// Repeats the request of a refund. An error of it does not stop the others.
    async fn repeat_refund(&self, refund: &StoredRefund) -> Result<(), BillingError> {
        if let Err(error) = self.send_refund(refund).await {
            let error = error.of_rows()?;
            tracing::error!(refund = %refund.id, %error, cause = causes(&error), "a refund could not be repeated");
        }
        Ok(())
    }

    /// Ends a payment for which the customer chose no method in time.
    async fn expire(&self, id: Uuid) -> Result<(), BillingError> {
        let mut tx = self.store().begin_quiet().await?;
        let payment = payments::find(&mut tx, id).await?.ok_or(BillingError::NoPayment)?;
        if payment.state == PaymentState::Created {
            let failed = StoredPayment { state: PaymentState::Failed, ..payment };
            payments::set_state(self.store(), &mut tx, &failed).await?;
            self.announce_payment(&mut tx, id, PaymentState::Failed).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Voids changes that were not paid, ends pending subscriptions, limits or closes those that owe, and reminds their
    /// users.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn dun(&self) -> Result<(), BillingError> {
        let now = self.store().clock().now();
        self.void_lapsed_changes(now).await?;
        self.end_access(now.day()).await?;
        let mut after = Uuid::nil();
        loop {
            let page = subscriptions::owing(self.store(), now, after, PAGE).await?;
            let Some(last) = page.last() else { return self.remind().await };
            after = last.id;
            for subscription in &page {
                let dunned = self.dun_one(subscription.id, now).await;
                end_attempt(subscription.id, dunned)?;
            }
        }
    }

    /// Takes the plan from users whose last period has ended: nobody would pay for usage until it is closed.
    async fn end_access(&self, today: Day) -> Result<(), BillingError> {
        let mut after = Uuid::nil();
        loop {
            let page = subscriptions::ended(self.store(), today, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for subscription in &page {
                end_attempt(subscription.id, self.end_access_of(subscription.id).await)?;
            }
        }
    }

    async fn end_access_of(&self, id: Uuid) -> Result<(), BillingError> {
        // The revision rises only if the plan changes: other nodes repeat all look-ups after it.
        let mut tx = self.store().begin_quiet().await?;
        let Some(of) = subscriptions::find(&mut tx, id).await? else { return Ok(()) };
        self.grant(&mut tx, &Actor::SYSTEM, &of, of.state).await?;
        Ok(tx.commit().await?)
    }

    /// Voids open invoices of changes whose time to pay has passed. One that stays due does not hide later ones.
    async fn void_lapsed_changes(&self, now: Timestamp) -> Result<(), BillingError> {
        let mut after = Uuid::nil();
        loop {
            let page = invoices::lapsed_changes(self.store(), now, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for invoice in page {
                // The others do not wait for one that fails.
                if let Err(error) = self.void_lapsed(invoice).await {
                    let error = error.of_rows()?;
                    tracing::error!(%invoice, %error, cause = causes(&error), "the invoice of a change could not be voided");
                }
            }
        }
    }

    /// Voids the invoice of a change, unless a part was paid or credited, or a credit note was spent: the rest stays due.
    async fn void_lapsed(&self, id: Uuid) -> Result<(), BillingError> {
        let mut tx = self.store().begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        if invoice.state != InvoiceState::Open || invoice.remaining != invoice.total {
            return Ok(());
        }
        match self.void(&mut tx, id).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(BillingError::CreditSpent) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn dun_one(&self, id: Uuid, now: Timestamp) -> Result<(), BillingError> {
        let mut tx = self.store().begin_revision().await?;
        let Some(subscription) = subscriptions::find(&mut tx, id).await? else { return Ok(()) };
        let open = invoices::open_of(&mut tx, id).await?;
        let is_overdue = open.iter().any(|invoice| invoice.due_at.is_some_and(|due| due <= now));
        let Some(event) = self.consequence(&subscription, is_overdue, now)? else { return Ok(()) };
        if event == SubscriptionEvent::FirstInvoiceLapsed {
            self.void_unused(&mut tx, &open).await?;
        }
        self.transition(&mut tx, &Actor::SYSTEM, &subscription, event).await?;
        let limited = (event == SubscriptionEvent::GracePassed).then_some(MailKind::AccessLimited);
        let closed = (event == SubscriptionEvent::FinalPassed).then_some(MailKind::AccessClosed);
        if let Some(kind) = limited.or(closed) {
            self.mail_of_oldest(&mut tx, kind, &open).await?;
        }
        Ok(tx.commit().await?)
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
        Ok(match of.state {
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

/// Logs an error of one subscription: the others do not wait for it.
///
/// # Errors
/// An error that all subscriptions would have.
fn end_attempt(subscription: Uuid, result: Result<(), BillingError>) -> Result<(), BillingError> {
    if let Err(error) = result {
        let error = error.of_rows()?;
        tracing::error!(%subscription, %error, cause = causes(&error), "a state could not be changed");
    }
    Ok(())
}

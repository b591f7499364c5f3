//! The end of a subscription: with its period, or now.

use access::UserId;
use ledger::billing::subscriptions::DaysOfVersion;
use ledger::billing::{BooksTransaction, StoredSubscription, invoices, subscriptions};
use serde_json::json;
use store::Actor;
use uuid::Uuid;

use super::crediting::UnusedDays;
use super::stored_state::terms;
use super::{BillingError, Books};
use crate::rules::period::BillingPeriod;
use crate::rules::proration::share_of_price;
use crate::rules::subscription::{SubscriptionEvent, SubscriptionState};

/// The time when a subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAt {
    /// With the current period.
    End,
    /// On the day of the request.
    Now,
}

impl Books {
    /// Cancels the subscription of a user. At the end: it ends with the period, and can be resumed until then. Now: the price of the
    /// days after today is credited, and the usage until today is invoiced when it is stored.
    /// Returns the id of the subscription.
    ///
    /// # Errors
    /// [`BillingError::NoSubscription`], [`BillingError::Conflict`] (for now, also while an invoice is past its due time), and
    /// database errors.
    pub async fn cancel(&self, by: &Actor, user: UserId, at: CancelAt) -> Result<Uuid, BillingError> {
        match at {
            CancelAt::End => self.set_cancel(by, user, true).await,
            CancelAt::Now => self.cancel_now(by, user).await,
        }
    }

    /// Takes back that the subscription ends with its period.
    ///
    /// # Errors
    /// [`BillingError::NoSubscription`], [`BillingError::Conflict`], and database errors.
    pub async fn resume(&self, by: &Actor, user: UserId) -> Result<(), BillingError> {
        self.set_cancel(by, user, false).await?;
        Ok(())
    }

    async fn set_cancel(&self, by: &Actor, user: UserId, is_set: bool) -> Result<Uuid, BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let subscription = subscriptions::of_user(&mut tx, user).await?.ok_or(BillingError::NoSubscription)?;
        let event = if is_set { SubscriptionEvent::CancelledAtEnd } else { SubscriptionEvent::Resumed };
        if subscription.state.after(event).is_none() {
            return Err(BillingError::Conflict(
                "a subscription that waits for its first payment can only be cancelled now",
            ));
        }
        if subscription.cancel_at_end == is_set {
            return Ok(subscription.id);
        }
        subscriptions::set_cancel(&self.store, &mut tx, subscription.id, is_set).await?;
        let changed = self.existing(&mut tx, subscription.id).await?;
        self.grant(&mut tx, by, &changed, changed.state).await?;
        self.note_change(&mut tx, by, &subscription, json!({"cancel_at_end": is_set})).await?;
        tx.commit().await?;
        Ok(subscription.id)
    }

    async fn cancel_now(&self, by: &Actor, user: UserId) -> Result<Uuid, BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let mut subscription = subscriptions::of_user(&mut tx, user).await?.ok_or(BillingError::NoSubscription)?;
        let state = subscription.state;
        let today = self.today();
        self.refuse_end(&mut tx, &subscription, state).await?;
        let is_charged = !self.enter_next_period(&mut tx, &mut subscription, state).await?;
        if state == SubscriptionState::Pending {
            let open = invoices::open_of(&mut tx, subscription.id).await?;
            self.void_unused(&mut tx, &open).await?;
        } else {
            let open = self.open_changes(&mut tx, &subscription).await?;
            self.void_all(&mut tx, &open).await?;
        }
        let has_usage = !matches!(state, SubscriptionState::Pending | SubscriptionState::Trialing);
        let last_day = subscription.last_day.min(today);
        // The event of the transition shows the last day.
        subscriptions::set_end(&self.store, &mut tx, subscription.id, last_day, has_usage).await?;
        self.transition(&mut tx, by, &subscription, SubscriptionEvent::CancelledNow).await?;
        let period = BillingPeriod { first_day: subscription.first_day, last_day: subscription.last_day };
        if is_charged && let Some(rest) = period.from_day(today.next()) {
            let version = self.version(&mut tx, subscription.plan_version).await?;
            let unused = share_of_price(version.price.price.amount, rest.days(), period.days())?;
            let text = terms(&version).name;
            let unused = UnusedDays { day: rest.first_day, amount: unused, text };
            self.credit_unused(&mut tx, &subscription, unused).await?;
        }
        tx.commit().await?;
        Ok(subscription.id)
    }

    /// Refuses to end a subscription with overdue invoices, as the end would also end the consequences of missing payments. A
    /// closed one may only have invoices that were written off, and can still be paid.
    async fn refuse_end(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        state: SubscriptionState,
    ) -> Result<(), BillingError> {
        match state {
            // Its invoices become void.
            SubscriptionState::Pending => Ok(()),
            SubscriptionState::Closed => {
                Err(BillingError::Conflict("a closed subscription has unpaid invoices: pay them first"))
            }
            SubscriptionState::Trialing
            | SubscriptionState::Active
            | SubscriptionState::PastDue
            | SubscriptionState::Limited
            | SubscriptionState::Cancelled => self.refuse_debts(tx, of.user).await,
        }
    }

    /// Enters the period of today if the one before has ended and is not closed yet, so that the usage of both is invoiced. The
    /// price of the new one is not charged. Returns whether it did.
    async fn enter_next_period(
        &self,
        tx: &mut BooksTransaction,
        of: &mut StoredSubscription,
        state: SubscriptionState,
    ) -> Result<bool, BillingError> {
        let has_next = matches!(state, SubscriptionState::Active | SubscriptionState::PastDue) && !of.cancel_at_end;
        if !has_next || of.last_day >= self.today() {
            return Ok(false);
        }
        let version = self.version(tx, of.next_plan_version.unwrap_or(of.plan_version)).await?;
        let (period, anchor_day) = self.next_days(tx, of, version.price.interval).await?;
        let is_begun = period.first_day <= self.today();
        if is_begun {
            let days = DaysOfVersion {
                plan_version: version.id,
                first_day: period.first_day,
                period_first: period.first_day,
                period_last: period.last_day,
            };
            subscriptions::set_period(&self.store, tx, of.id, days, anchor_day).await?;
            *of = self.existing(tx, of.id).await?;
        }
        Ok(is_begun)
    }
}

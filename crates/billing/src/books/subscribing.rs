//! The begin of a subscription.

use access::{Currency, Day, Money, UserId};
use ledger::billing::BooksTransaction;
use ledger::billing::{
    DaysOfVersion, NewSubscription, StoredPlanVersion, StoredSubscription, invoices, plan_versions, postings,
    subscriptions,
};
use serde_json::json;
use store::{Act, Actor, AuditAction};
use uuid::Uuid;

use super::stored_state::terms;
use super::{BillingError, Books};
use crate::rules::invoice::InvoiceDraft;
use crate::rules::period::BillingPeriod;
use crate::rules::subscription::SubscriptionState;
use crate::rules::terms::InvoiceBasis;
use crate::rules::webhook_event::WebhookEvent;

/// A subscription that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunSubscription {
    /// The subscription as it is stored.
    pub subscription: StoredSubscription,
    /// The first invoice; `None` for a trial or a plan that costs nothing.
    pub invoice: Option<Uuid>,
}

/// A subscription with everything that a customer sees of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionSummary {
    /// The subscription as it is stored.
    pub subscription: StoredSubscription,
    /// The version of the plan.
    pub version: StoredPlanVersion,
    /// The name of the next plan, if it differs.
    pub next_plan: Option<String>,
    /// The money that is kept for the next invoices.
    pub wallet: Money,
}

impl Books {
    /// Returns the subscription of a user that is not cancelled.
    ///
    /// # Errors
    /// [`BillingError::NoSubscription`], and database errors.
    pub async fn summary(&self, user: UserId) -> Result<SubscriptionSummary, BillingError> {
        let mut tx = self.store.begin_read().await?;
        let subscription = subscriptions::of_user(&mut tx, user).await?.ok_or(BillingError::NoSubscription)?;
        self.summarize(tx, subscription).await
    }

    /// Returns a subscription by its id, also if it is cancelled.
    ///
    /// # Errors
    /// [`BillingError::NoSubscription`], and database errors.
    pub async fn summary_of(&self, id: Uuid) -> Result<SubscriptionSummary, BillingError> {
        let mut tx = self.store.begin_read().await?;
        let subscription = subscriptions::find(&mut tx, id).await?.ok_or(BillingError::NoSubscription)?;
        self.summarize(tx, subscription).await
    }

    async fn summarize(
        &self,
        mut tx: BooksTransaction,
        subscription: StoredSubscription,
    ) -> Result<SubscriptionSummary, BillingError> {
        let user = subscription.user;
        let version = self.version(&mut tx, subscription.plan_version).await?;
        let next_plan = match subscription.next_plan_version {
            Some(next) => Some(self.version(&mut tx, next).await?.name),
            None => None,
        };
        let currency = version.price.currency();
        let wallet = Money { amount: postings::wallet(&mut tx, user, currency).await?, currency };
        tx.rollback().await?;
        Ok(SubscriptionSummary { subscription, version, next_plan, wallet })
    }

    /// Subscribes a user to a plan. A trial is granted once per user. Otherwise the first period begins today, and its
    /// invoice is opened at once.
    ///
    /// # Errors
    /// [`BillingError::NotForSale`], [`BillingError::AlreadySubscribed`], [`BillingError::Conflict`] while an invoice is past
    /// its due time, [`BillingError::User`], and database errors.
    pub async fn subscribe(&self, by: &Actor, user: UserId, plan: &str) -> Result<BegunSubscription, BillingError> {
        let mut tx = self.store.begin_revision().await?;
        if subscriptions::of_user(&mut tx, user).await?.is_some() {
            return Err(BillingError::AlreadySubscribed);
        }
        self.refuse_debts(&mut tx, user).await?;
        let version = plan_versions::find_for_sale(&mut tx, plan).await?;
        let version = version.ok_or_else(|| BillingError::NotForSale { plan: plan.to_owned() })?;
        let today = self.today();
        let has_trial = version.price.trial_days > 0 && !subscriptions::had_trial(&mut tx, user).await?;
        let mut anchor_day = BillingPeriod::anchor_of(today);
        let (state, period, trial_last_day) = if has_trial {
            let last_day = Day(today.0.saturating_add(version.price.trial_days - 1));
            // The first period that is paid is whole: it begins after the trial.
            anchor_day = BillingPeriod::anchor_of(last_day.next());
            (SubscriptionState::Trialing, BillingPeriod { first_day: today, last_day }, Some(last_day))
        } else {
            let period = BillingPeriod::starting(today, anchor_day, version.price.interval);
            let is_free = version.price.price.amount == 0;
            let state = if is_free { SubscriptionState::Active } else { SubscriptionState::Pending };
            (state, period, None)
        };
        let id = self.store.new_id();
        let new = NewSubscription {
            id,
            user,
            plan_version: version.id,
            state,
            anchor_day,
            first_day: period.first_day,
            last_day: period.last_day,
            trial_last_day,
        };
        subscriptions::add(&self.store, &mut tx, new).await?;
        // The usage of a day is charged once, also if a subscription ended on it.
        let charged = subscriptions::last_charged(&mut tx, user).await?.filter(|last| *last >= today);
        let days = DaysOfVersion {
            plan_version: version.id,
            first_day: charged.map_or(today, Day::next),
            period_first: period.first_day,
            period_last: period.last_day,
        };
        subscriptions::add_days(&self.store, &mut tx, id, days).await?;
        let detail = json!({"plan": version.name, "version": version.version, "state": state.as_str()});
        let act = Act::new(AuditAction::SubscriptionCreate, id, Some(user)).with(detail);
        self.store.note(&mut tx, by, act).await?;
        self.announce(&mut tx, WebhookEvent::SubscriptionCreated, id).await?;
        let invoice = if state == SubscriptionState::Pending {
            let lines = terms(&version).plan_line(period).into_iter().collect();
            let draft = InvoiceDraft::from_lines(lines, self.settings.tax.as_ref(), today)?;
            let subscription = self.existing(&mut tx, id).await?;
            let basis = InvoiceBasis::in_advance(version.id, period);
            let subject = self.period_subject(&subscription, period, version.price.currency(), basis);
            Some(self.open_invoice(&mut tx, by, &subject, draft).await?)
        } else {
            None
        };
        // The wallet may have paid the invoice.
        let subscription = self.existing(&mut tx, id).await?;
        let state = subscription.state;
        self.grant(&mut tx, by, &subscription, state).await?;
        tx.commit().await?;
        Ok(BegunSubscription { subscription, invoice })
    }

    /// Refuses a user who owes: a new subscription would end the consequences of missing payments.
    pub(super) async fn refuse_debts(&self, tx: &mut BooksTransaction, user: UserId) -> Result<(), BillingError> {
        let now = self.store.clock().now();
        for currency in [Currency::Idr, Currency::Usd] {
            let open = invoices::open_of_user(tx, user, currency).await?;
            if open.iter().any(|invoice| invoice.due_at.is_some_and(|due| due <= now)) {
                return Err(BillingError::Conflict("an invoice is overdue: pay it first"));
            }
        }
        Ok(())
    }

    pub(super) async fn existing(
        &self,
        tx: &mut BooksTransaction,
        id: Uuid,
    ) -> Result<StoredSubscription, BillingError> {
        let found = subscriptions::find(tx, id).await?;
        found.ok_or(BillingError::Inconsistent("a subscription is missing"))
    }
}

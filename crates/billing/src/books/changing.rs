//! Changes of the plan: an upgrade applies when its invoice is paid, a downgrade at the end of the period.

use std::time::Duration;

use access::{Currency, Day, UserId};
use ledger::billing::{
    BooksTransaction, DaysOfVersion, StoredInvoice, StoredInvoiceLine, StoredPlanVersion, StoredSubscription, invoices,
    plan_versions, postings, subscriptions,
};
use serde_json::{Value, json};
use store::{Act, Actor, AuditAction, DatabaseError};
use uuid::Uuid;

use super::crediting::UnusedDays;
use super::invoicing::InvoiceSubject;
use super::stored_state::terms;
use super::{BillingError, Books};
use crate::rules::invoice::InvoiceDraft;
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::period::BillingPeriod;
use crate::rules::plan_change::{ChangeDirection, ChangeQuote, PlanChangeError, direction, upgrade};
use crate::rules::subscription::SubscriptionEvent;
use crate::rules::terms::InvoiceBasis;
use crate::rules::webhook_event::WebhookEvent;
use crate::stored_line::stored_line;

/// The time in which the invoice of an upgrade is paid. Without a payment, the invoice is void.
const PAY_WITHIN: Duration = Duration::from_hours(24);

/// The lines and amounts that a change to another plan would have, and the day on which it applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePreview {
    /// The lines in the order of printing.
    pub lines: Vec<StoredInvoiceLine>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The sum of the lines.
    pub subtotal: i64,
    /// The name of the tax; empty without one.
    pub tax_name: String,
    /// The rate of the tax.
    pub tax_rate: String,
    /// The taxed part of the subtotal.
    pub tax_base: i64,
    /// The tax on the base.
    pub tax: i64,
    /// The sum of subtotal and tax.
    pub total: i64,
    /// The first day with the plan, if it is paid on the day of the preview.
    pub applies_on: Day,
}

/// An upgrade that waits for its payment.
struct Upgrade<'a> {
    subscription: &'a StoredSubscription,
    version: &'a StoredPlanVersion,
    quote: ChangeQuote,
}

/// A change as the rules decide it.
enum PlannedChange {
    /// The upgrade applies when its invoice is paid.
    OnPayment(ChangeQuote),
    /// The downgrade applies at the end of the period.
    AtEnd,
}

impl Books {
    /// Returns the invoice that a change to a plan would have. For a user without a subscription, it is the first invoice.
    ///
    /// # Errors
    /// Those of [`change`](Self::change) except [`BillingError::NoSubscription`].
    pub async fn preview(&self, user: UserId, plan: &str) -> Result<ChangePreview, BillingError> {
        let mut tx = self.store.begin_read().await?;
        let today = self.today();
        let version = self.version_for_sale(&mut tx, plan).await?;
        let current = subscriptions::of_user(&mut tx, user).await?;
        if current.is_none() {
            self.refuse_debts(&mut tx, user).await?;
        }
        let (lines, applies_on) = match current {
            None if version.price.trial_days > 0 && !subscriptions::had_trial(&mut tx, user).await? => {
                (Vec::new(), today)
            }
            None => {
                let anchor_day = BillingPeriod::anchor_of(today);
                let period = BillingPeriod::starting(today, anchor_day, version.price.interval);
                (terms(&version).plan_line(period).into_iter().collect(), today)
            }
            Some(subscription) => {
                let old = self.version(&mut tx, subscription.plan_version).await?;
                match self.planned(&mut tx, &subscription, &old, &version).await? {
                    PlannedChange::OnPayment(quote) => (quote.lines, today),
                    PlannedChange::AtEnd => {
                        let period =
                            BillingPeriod { first_day: subscription.first_day, last_day: subscription.last_day };
                        let next = period.following(subscription.anchor_day, version.price.interval);
                        (terms(&version).plan_line(next).into_iter().collect(), next.first_day)
                    }
                }
            }
        };
        tx.rollback().await?;
        let draft = InvoiceDraft::from_lines(lines, self.settings.tax.as_ref(), applies_on)?;
        let (tax_name, tax_rate) = self.tax_words(&draft);
        Ok(ChangePreview {
            lines: (1_i64..).zip(&draft.lines).map(|(no, line)| stored_line(no, line)).collect(),
            currency: version.price.currency(),
            subtotal: draft.subtotal,
            tax_name,
            tax_rate,
            tax_base: draft.tax.base,
            tax: draft.tax.amount,
            total: draft.total,
            applies_on,
        })
    }

    /// Changes the plan of a user's subscription. An upgrade opens an invoice, which is returned, and applies when it is
    /// paid; the same request again returns the same invoice. A downgrade applies at the end of the period. The present plan
    /// takes a planned downgrade back.
    ///
    /// # Errors
    /// [`BillingError::NoSubscription`], [`BillingError::NotForSale`], [`BillingError::Change`], [`BillingError::Conflict`],
    /// and database errors.
    pub async fn change(&self, by: &Actor, user: UserId, plan: &str) -> Result<Option<Uuid>, BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let subscription = subscriptions::of_user(&mut tx, user).await?.ok_or(BillingError::NoSubscription)?;
        let old = self.version(&mut tx, subscription.plan_version).await?;
        let next = match subscription.next_plan_version {
            Some(next) => Some(self.version(&mut tx, next).await?),
            None => None,
        };
        // The present version may be no longer for sale. A newer version of the same plan is a change.
        if old.name == plan && next.is_some_and(|next| next.name != plan) {
            subscriptions::set_next(&self.store, &mut tx, subscription.id, None).await?;
            self.note_change(&mut tx, by, &subscription, json!({"next_plan": null})).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let version = self.version_for_sale(&mut tx, plan).await?;
        let planned = self.planned(&mut tx, &subscription, &old, &version).await?;
        let open = self.open_changes(&mut tx, &subscription).await?;
        let today = self.today();
        let is_same = |of: &&StoredInvoice| {
            of.target_version == Some(version.id) && of.issued_at.is_some_and(|issued| issued.day() == today)
        };
        let invoice = match planned {
            PlannedChange::OnPayment(quote) => {
                if let Some(same) = open.iter().find(is_same) {
                    return Ok(Some(same.id));
                }
                self.void_all(&mut tx, &open).await?;
                // The subscription changes when the invoice is paid.
                let act = Act::new(AuditAction::SubscriptionChange, subscription.id, Some(user));
                self.store.note(&mut tx, by, act.with(json!({"upgrade": version.name}))).await?;
                Some(
                    self.open_change(&mut tx, by, Upgrade { subscription: &subscription, version: &version, quote })
                        .await?,
                )
            }
            PlannedChange::AtEnd => {
                self.void_all(&mut tx, &open).await?;
                subscriptions::set_next(&self.store, &mut tx, subscription.id, Some(version.id)).await?;
                self.note_change(&mut tx, by, &subscription, json!({"next_plan": version.name})).await?;
                None
            }
        };
        tx.commit().await?;
        Ok(invoice)
    }

    /// Opens the invoice of an upgrade. It is due within a day, and before the period ends.
    async fn open_change(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        upgrade: Upgrade<'_>,
    ) -> Result<Uuid, BillingError> {
        let Upgrade { subscription: of, version, quote } = upgrade;
        let today = self.today();
        let now = self.store.clock().now();
        let left = Duration::from_micros(of.last_day.next().start().0.saturating_sub(now.0));
        let draft = InvoiceDraft::from_lines(quote.lines, self.settings.tax.as_ref(), today)?;
        let subject = InvoiceSubject {
            user: of.user,
            subscription: Some(of.id),
            kind: InvoiceKind::Change,
            target_version: Some(version.id),
            days: quote.period,
            usage_days: None,
            currency: version.price.currency(),
            due: PAY_WITHIN.min(left),
            corrects: None,
            basis: InvoiceBasis::Change {
                old_version: of.plan_version,
                version: version.id,
                period: BillingPeriod { first_day: of.first_day, last_day: of.last_day },
                day: today,
            },
        };
        self.open_invoice(tx, by, &subject, draft).await
    }

    /// Moves a subscription to the plan version of its paid invoice. The part of the old price that exceeds the new one goes
    /// to the wallet.
    pub(super) async fn apply_change(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        of: &StoredSubscription,
        invoice: &StoredInvoice,
    ) -> Result<(), BillingError> {
        let Some(target) = invoice.target_version else { return Ok(()) };
        let period = BillingPeriod { first_day: of.first_day, last_day: of.last_day };
        // An invoice is paid a second time after a payment was taken back; the plan may have changed since the first time.
        if postings::was_paid_once(tx, invoice.id).await? {
            return Ok(());
        }
        if of.plan_version == target || !period.contains(invoice.first_day) {
            return Ok(());
        }
        let old = self.version(tx, of.plan_version).await?;
        let new = self.version(tx, target).await?;
        let is_same_period = invoice.first_day == of.first_day && invoice.last_day == of.last_day;
        // The usage of a day is charged once, also if another subscription ended on it.
        let charged = subscriptions::last_charged(tx, of.user).await?.map_or(of.first_day, Day::next);
        let days = DaysOfVersion {
            plan_version: target,
            first_day: self.today().clamp(of.first_day, of.last_day).max(charged),
            period_first: invoice.first_day,
            period_last: invoice.last_day,
        };
        let anchor = if is_same_period { of.anchor_day } else { BillingPeriod::anchor_of(invoice.first_day) };
        subscriptions::set_period(&self.store, tx, of.id, days, anchor).await?;
        if !is_same_period {
            let quote = upgrade(&terms(&old), &terms(&new), period, invoice.first_day)?;
            let unused = UnusedDays { day: invoice.first_day, amount: quote.surplus, text: &old.name };
            self.credit_unused(tx, of, unused).await?;
        }
        self.note_change(tx, by, of, json!({"plan": {"from": old.name, "to": new.name}})).await
    }

    /// Decides how a change applies.
    async fn planned(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        old: &StoredPlanVersion,
        new: &StoredPlanVersion,
    ) -> Result<PlannedChange, BillingError> {
        if old.id == new.id {
            return Err(BillingError::Conflict("the subscription already has this plan"));
        }
        if of.cancel_at_end {
            return Err(BillingError::Conflict(
                "the subscription ends with its period; resume it before you change it",
            ));
        }
        let is_upgrade = direction(&terms(old), &terms(new))? == ChangeDirection::Upgrade;
        let event =
            if is_upgrade { SubscriptionEvent::UpgradeRequested } else { SubscriptionEvent::DowngradeRequested };
        if of.state.after(event).is_none() {
            return Err(BillingError::Conflict("the plan can be changed only while the subscription is active"));
        }
        if !is_upgrade {
            return Ok(PlannedChange::AtEnd);
        }
        let period = BillingPeriod { first_day: of.first_day, last_day: of.last_day };
        match upgrade(&terms(old), &terms(new), period, self.today()) {
            // Of a price that is not paid, no part can go to the wallet.
            Ok(quote) if quote.surplus > 0 && self.owes_period(tx, of).await? => Err(BillingError::Conflict(
                "pay the invoice of the current period first: a part of its price will go to the wallet",
            )),
            Ok(quote) => Ok(PlannedChange::OnPayment(quote)),
            Err(PlanChangeError::OutsidePeriod { .. }) => {
                Err(BillingError::Conflict("the period has ended and is being closed; try again in a few minutes"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the invoice of today's period waits for its payment, or for finance.
    async fn owes_period(&self, tx: &mut BooksTransaction, of: &StoredSubscription) -> Result<bool, DatabaseError> {
        let is_owed = |of: &StoredInvoice| {
            of.kind == InvoiceKind::Period && matches!(of.state, InvoiceState::Review | InvoiceState::Open)
        };
        Ok(invoices::of_day(tx, of.id, self.today()).await?.iter().any(is_owed))
    }

    async fn version_for_sale(&self, tx: &mut BooksTransaction, plan: &str) -> Result<StoredPlanVersion, BillingError> {
        let found = plan_versions::find_for_sale(tx, plan).await?;
        found.ok_or_else(|| BillingError::NotForSale { plan: plan.to_owned() })
    }

    /// Returns the open invoices of changes that were never paid.
    pub(crate) async fn open_changes(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
    ) -> Result<Vec<StoredInvoice>, DatabaseError> {
        let mut open = Vec::new();
        for invoice in invoices::open_of(tx, of.id).await? {
            if invoice.kind == InvoiceKind::Change && !postings::was_paid_once(tx, invoice.id).await? {
                open.push(invoice);
            }
        }
        Ok(open)
    }

    /// Voids open invoices without payments.
    pub(crate) async fn void_all(&self, tx: &mut BooksTransaction, open: &[StoredInvoice]) -> Result<(), BillingError> {
        for invoice in open.iter().filter(|invoice| invoice.remaining == invoice.total) {
            match self.void(tx, invoice.id).await {
                // An invoice whose credit note was spent stays due.
                Ok(()) | Err(BillingError::CreditSpent) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Adds a line to the audit log, and an event, about a subscription whose state stays the same.
    pub(super) async fn note_change(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        of: &StoredSubscription,
        detail: Value,
    ) -> Result<(), BillingError> {
        let act = Act::new(AuditAction::SubscriptionChange, of.id, Some(of.user)).with(detail);
        self.store.note(tx, by, act).await?;
        self.announce(tx, WebhookEvent::SubscriptionChanged, of.id).await
    }
}

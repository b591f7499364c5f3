//! What finance does with invoices: approve, void, give up, and credit.

use std::collections::HashSet;

use ledger::billing::{BooksTransaction, StoredInvoice, invoices};
use serde_json::{Value, json};
use store::{Act, Actor, AuditAction};
use uuid::Uuid;

use super::crediting::NewCredit;
use super::{BillingError, Books};
use crate::document::stored_day;
use crate::rules::credit_note::CreditNoteError;
use crate::rules::invoice::{InvoiceLine, LineKind};
use crate::rules::invoice_state::{InvoiceEvent, InvoiceState};
use crate::rules::period::BillingPeriod;
use crate::rules::posting::MoneyEvent;
use crate::rules::subscription::{SubscriptionEvent, SubscriptionState};
use crate::rules::webhook_event::WebhookEvent;

/// A line of an invoice that a credit note takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditedLine {
    /// The number of the line on the invoice.
    pub no: i64,
    /// The part that is taken back; `None`: the whole line.
    pub amount: Option<i64>,
}

/// A credit note that finance makes.
#[derive(Debug, Clone, Copy)]
pub struct NewCreditNote<'a> {
    /// The lines of the invoice that are taken back.
    pub lines: &'a [CreditedLine],
    /// The reason, which the customer sees.
    pub reason: &'a str,
    /// The total of the invoice's credit notes before, if it is known: a repeated request finds another one.
    pub expected: Option<i64>,
}

impl<'a> NewCreditNote<'a> {
    /// Returns a credit note that is made whatever was credited before.
    #[must_use]
    pub const fn new(lines: &'a [CreditedLine], reason: &'a str) -> Self {
        Self { lines, reason, expected: None }
    }
}

impl Books {
    /// Opens an invoice that waits for finance. One whose days are not signed off must wait for them.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`], and database errors.
    pub async fn approve_invoice(&self, by: &Actor, id: Uuid) -> Result<(), BillingError> {
        let waiting = invoices::present(&self.store, id).await?.ok_or(BillingError::NoInvoice)?;
        if self.unsigned_days(std::slice::from_ref(&waiting)).await?.values().any(|days| !days.is_empty()) {
            return Err(BillingError::Conflict(
                "days of this invoice are not signed off in insights: see `unsigned_days`; the invoice opens automatically afterwards",
            ));
        }
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        if invoice.state != InvoiceState::Review {
            return Err(BillingError::Conflict("only an invoice in review can be approved"));
        }
        self.open(&mut tx, by, id, self.settings.due).await?;
        self.note_invoice(&mut tx, by, &invoice, json!({"approved": true})).await?;
        Ok(tx.commit().await?)
    }

    /// Takes back an open invoice without payments, which keeps its number, or an invoice in review, which never gets
    /// one. A subscription that waited for this first invoice is cancelled.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`], and database errors.
    pub async fn void_invoice(&self, by: &Actor, id: Uuid) -> Result<(), BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        self.void(&mut tx, id).await?;
        self.note_invoice(&mut tx, by, &invoice, json!({"void": true})).await?;
        if let Some(subscription) = invoice.subscription {
            let subscription = self.existing(&mut tx, subscription).await?;
            match subscription.state {
                SubscriptionState::Pending => {
                    self.transition(&mut tx, by, &subscription, SubscriptionEvent::FirstInvoiceLapsed).await?;
                }
                SubscriptionState::PastDue | SubscriptionState::Limited | SubscriptionState::Closed => {
                    self.settle_debts(&mut tx, by, subscription.id, id).await?;
                }
                SubscriptionState::Trialing | SubscriptionState::Active | SubscriptionState::Cancelled => {}
            }
        }
        Ok(tx.commit().await?)
    }

    /// Gives up the part of an open invoice that is not paid. The consequences for the subscription stay, and a later payment
    /// is still accepted. A subscription that waited for this first invoice is cancelled, and the invoice void: a payment goes to
    /// the wallet.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`], and database errors.
    pub async fn write_off_invoice(&self, by: &Actor, id: Uuid) -> Result<(), BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        let state = invoice.state.after(InvoiceEvent::WrittenOff);
        let state = state.ok_or(BillingError::Conflict("only an open invoice can be written off"))?;
        if let Some(subscription) = invoice.subscription {
            let subscription = self.existing(&mut tx, subscription).await?;
            if subscription.state == SubscriptionState::Pending {
                self.void_unused(&mut tx, std::slice::from_ref(&invoice)).await?;
                self.note_invoice(&mut tx, by, &invoice, json!({"void": true})).await?;
                self.transition(&mut tx, by, &subscription, SubscriptionEvent::FirstInvoiceLapsed).await?;
                return Ok(tx.commit().await?);
            }
        }
        invoices::set(&self.store, &mut tx, id, state.as_str(), invoice.remaining).await?;
        let written_off = MoneyEvent::WrittenOff { remaining: invoice.remaining };
        self.post(&mut tx, &invoice, written_off, "invoice.written_off").await?;
        self.announce(&mut tx, WebhookEvent::InvoiceUncollectible, id).await?;
        self.note_invoice(&mut tx, by, &invoice, json!({"written_off": invoice.remaining})).await?;
        Ok(tx.commit().await?)
    }

    /// Makes a credit note of lines of an open or paid invoice, and returns its id. The part that was paid goes to the wallet.
    /// It is a conflict if others were credited than `new` expects.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`], [`BillingError::Credit`], and database errors.
    pub async fn credit_invoice(&self, by: &Actor, id: Uuid, new: NewCreditNote<'_>) -> Result<Uuid, BillingError> {
        let NewCreditNote { lines: credited, reason, expected } = new;
        let stored = invoices::lines(&self.store, id).await?;
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        let (subtotal, tax) = invoices::credited(&mut tx, id).await?;
        if expected.is_some_and(|expected| expected != subtotal + tax) {
            return Err(BillingError::Conflict("the credit notes of the invoice have changed: read the invoice again"));
        }
        let mut lines = Vec::new();
        let mut seen = HashSet::new();
        for credit in credited {
            let line = stored.iter().find(|line| line.no == credit.no && line.amount > 0 && seen.insert(line.no));
            let line = line.ok_or(BillingError::Conflict("list each line of the credit note once, with an amount"))?;
            let amount = credit.amount.unwrap_or(line.amount);
            if !(1..=line.amount).contains(&amount) {
                return Err(CreditNoteError::Amount { remaining: line.amount }.into());
            }
            lines.push(InvoiceLine {
                kind: LineKind::Credit,
                text: line.text.clone(),
                quantity: 1,
                unit: line.unit.clone(),
                unit_price: None,
                amount,
                plan_version: line.plan_version_id,
                days: BillingPeriod { first_day: stored_day(line.first_day), last_day: stored_day(line.last_day) },
            });
        }
        let note = self.credit(&mut tx, by, &invoice, NewCredit { lines, reason }).await?;
        self.note_invoice(&mut tx, by, &invoice, json!({"credit_note": note})).await?;
        tx.commit().await?;
        Ok(note)
    }

    /// Records the number that another system gave the tax invoice.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], and database errors.
    pub async fn set_tax_number(&self, by: &Actor, id: Uuid, number: &str) -> Result<(), BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        invoices::set_tax_number(&self.store, &mut tx, id, number).await?;
        self.note_invoice(&mut tx, by, &invoice, json!({"tax_invoice_number": number})).await?;
        Ok(tx.commit().await?)
    }

    /// Adds a line to the audit log about an invoice.
    pub(crate) async fn note_invoice(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        of: &StoredInvoice,
        detail: Value,
    ) -> Result<(), BillingError> {
        let act = Act::new(AuditAction::InvoiceChange, of.id, Some(of.user)).with(detail);
        Ok(self.store.note(tx, by, act).await?)
    }
}

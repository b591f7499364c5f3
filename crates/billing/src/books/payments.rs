//! Payments: their begin, and the effects of the status that the provider reports.

use std::sync::Arc;

use access::{Currency, UserId};
use ledger::billing::BooksTransaction;
use ledger::billing::payments::{self as rows, ChargeOutcome};
use ledger::billing::postings::PostingSubject;
use ledger::billing::{NewPayment, StoredInvoice, StoredPayment, invoices, postings};
use serde_json::Value;
use store::Actor;
use uuid::Uuid;

use super::stored_state::invoice_state;
use super::{BillingError, Books};
use crate::channel::{ChannelKind, PaymentChannel};
use crate::midtrans::{ChargeOrder, MidtransClient, MidtransError, StatusReport};
use crate::rules::invoice_state::InvoiceEvent;
use crate::rules::payment::{PaymentMoney, PaymentState, ProviderStatus};
use crate::rules::posting::MoneyEvent;
use crate::rules::subscription::SubscriptionEvent;

/// A payment that was begun, or the pending one of the same channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunPayment {
    /// The payment as it is stored.
    pub payment: StoredPayment,
    /// Whether this request began it.
    pub is_new: bool,
}

/// The effect of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The status changed nothing: it is older, the same, or unknown.
    Unchanged,
    /// The payment has another state.
    Changed(PaymentState),
    /// The order, the amount, the currency or the merchant is another one: finance must look.
    Mismatch,
}

impl Books {
    /// Begins the payment of an open invoice. A pending payment by the same channel is returned instead.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`] (also for an invoice of another user), [`BillingError::Conflict`],
    /// [`BillingError::Method`], [`BillingError::NoProvider`], [`BillingError::Provider`], and database errors.
    pub async fn pay(
        &self,
        user: UserId,
        invoice: Uuid,
        channel: PaymentChannel,
        return_url: Option<&str>,
    ) -> Result<BegunPayment, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        let lines = invoices::lines(&self.store, invoice).await?;
        let mut on = self.store.addition().await?;
        let invoice = self.invoice(&mut on, invoice).await?;
        if invoice.user != user || invoice.number.is_none() {
            return Err(BillingError::NoInvoice);
        }
        if !matches!(invoice.state.as_str(), "open" | "uncollectible") {
            return Err(BillingError::Conflict("only an open invoice can be paid"));
        }
        let is_offered = provider.settings().channels.contains(&channel);
        if invoice.currency != Currency::Idr || !is_offered || !channel.fits(invoice.remaining) {
            return Err(BillingError::Method);
        }
        let now = self.store.clock().now();
        let mut payments = rows::of_invoice_on(&mut on, invoice.id).await?;
        payments.retain(|of| of.method == channel.as_str() && of.amount == invoice.remaining && of.expires_at > now);
        let pending = payments.into_iter().rev().find(|of| matches!(of.state.as_str(), "created" | "pending" | "held"));
        if let Some(payment) = pending {
            on.rollback().await?;
            // The provider never responded to the charge: the same order is charged again, with the same key.
            let payment = if payment.instructions == "{}" {
                self.charge(provider, &payment, items(&invoice, &lines), return_url).await?
            } else {
                payment
            };
            return Ok(BegunPayment { payment, is_new: false });
        }
        let id = self.store.new_id();
        let order = format!("TG-{}", id.simple());
        let new = NewPayment {
            id,
            user,
            invoice: Some(invoice.id),
            order: &order,
            method: channel.as_str(),
            amount: invoice.remaining,
            expires_at: now.after(provider.expiry(channel)),
        };
        // Stored before the provider knows it: a notification always finds its payment.
        rows::add(&self.store, &mut on, new).await?;
        let payment = rows::find(&mut on, id).await?.ok_or(BillingError::NoPayment)?;
        on.commit().await?;
        let payment = self.charge(provider, &payment, items(&invoice, &lines), return_url).await?;
        Ok(BegunPayment { payment, is_new: true })
    }

    /// Sends the charge of a stored payment, and stores the result.
    pub(super) async fn charge(
        &self,
        provider: &Arc<MidtransClient>,
        payment: &StoredPayment,
        items: Vec<(String, i64)>,
        return_url: Option<&str>,
    ) -> Result<StoredPayment, BillingError> {
        let channel = PaymentChannel::of_name(&payment.method);
        let channel = channel.ok_or(BillingError::Inconsistent("the method of a payment is unknown"))?;
        let now = self.store.clock().now();
        let order = ChargeOrder {
            order_id: &payment.order,
            amount: payment.amount,
            channel,
            items: &items,
            now,
            expires_in: std::time::Duration::from_micros(payment.expires_at.0.saturating_sub(now.0)),
            return_url,
        };
        let charged = provider.charge(&order).await;
        let mut on = self.store.begin().await?;
        match &charged {
            Ok(result) => {
                let instructions = result.instructions.to_string();
                let is_card = channel.kind() == ChannelKind::Card;
                let outcome = ChargeOutcome {
                    state: if is_card { "created" } else { "pending" },
                    transaction: result.transaction.as_deref(),
                    instructions: &instructions,
                    error: "",
                };
                rows::set_charge(&self.store, &mut on, payment.id, outcome).await?;
            }
            Err(MidtransError::Refused { message, .. })
                if charged.as_ref().is_err_and(|error| !error.is_transient()) =>
            {
                let outcome = ChargeOutcome { state: "failed", transaction: None, instructions: "{}", error: message };
                rows::set_charge(&self.store, &mut on, payment.id, outcome).await?;
            }
            // The order may exist: the payment stays, and its status is requested later.
            Err(_) => {}
        }
        on.commit().await?;
        charged?;
        rows::present(&self.store, payment.id).await?.ok_or(BillingError::NoPayment)
    }

    /// Requests the status of a payment and applies it.
    ///
    /// # Errors
    /// [`BillingError::NoProvider`], [`BillingError::Provider`], and database errors.
    pub async fn refresh(&self, payment: &StoredPayment) -> Result<PaymentOutcome, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        let report = match &payment.transaction {
            Some(transaction) => provider.status(transaction).await?,
            None => provider.status(&payment.order).await?,
        };
        let Some(report) = report else {
            rows::set_checked(&self.store, payment.id).await?;
            return Ok(PaymentOutcome::Unchanged);
        };
        self.apply(payment.id, &report).await
    }

    /// Requests the status of the transaction of a notification and applies it. A transaction that belongs to another
    /// order is a mismatch.
    ///
    /// # Errors
    /// [`BillingError::NoProvider`], [`BillingError::Provider`], and database errors.
    pub async fn refresh_transaction(
        &self,
        payment: &StoredPayment,
        transaction: &str,
    ) -> Result<PaymentOutcome, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        match provider.status(transaction).await? {
            Some(report) => self.apply(payment.id, &report).await,
            None => Ok(PaymentOutcome::Unchanged),
        }
    }

    /// Applies a status that the provider reported, in one transaction: the state, the postings, the invoice and the
    /// subscription. The same report again changes nothing.
    ///
    /// # Errors
    /// [`BillingError::NoPayment`], [`BillingError::Inconsistent`], and database errors.
    pub async fn apply(&self, payment: Uuid, report: &StatusReport) -> Result<PaymentOutcome, BillingError> {
        let mut on = self.store.change().await?;
        let payment = rows::find(&mut on, payment).await?.ok_or(BillingError::NoPayment)?;
        if !self.is_about(&payment, report) {
            return Ok(PaymentOutcome::Mismatch);
        }
        let state = PaymentState::of_name(&payment.state);
        let state = state.ok_or(BillingError::Inconsistent("the state of a payment is unknown"))?;
        let channel = PaymentChannel::of_name(&payment.method);
        let seen = ProviderStatus {
            transaction_status: &report.status,
            fraud_status: report.fraud.as_deref(),
            is_success_code: report.is_success_code,
            is_other_transaction: payment.transaction.as_ref().is_some_and(|known| *known != report.transaction),
            may_be_late: channel == Some(PaymentChannel::Qris),
            is_reversible: channel.is_some_and(PaymentChannel::is_reversible),
        };
        let Some((after, money)) = state.after(seen.seen(state)) else {
            on.rollback().await?;
            rows::set_checked(&self.store, payment.id).await?;
            return Ok(PaymentOutcome::Unchanged);
        };
        let refunded = if money == PaymentMoney::Refunded { report.refunded } else { payment.refunded };
        let stored = StoredPayment {
            state: after.as_str().to_owned(),
            transaction: Some(report.transaction.clone()),
            refunded: refunded.clamp(payment.refunded, payment.amount),
            error: if after == PaymentState::Failed { report.status.clone() } else { String::new() },
            ..payment.clone()
        };
        rows::set_state(&self.store, &mut on, &stored).await?;
        match money {
            PaymentMoney::None => {}
            PaymentMoney::Received => self.receive(&mut on, &payment).await?,
            PaymentMoney::Reversed => self.reverse(&mut on, &payment).await?,
            PaymentMoney::Refunded => self.returned(&mut on, &payment, stored.refunded - payment.refunded).await?,
        }
        on.commit().await?;
        Ok(PaymentOutcome::Changed(after))
    }

    /// Whether the report is about this payment: order, amount, currency and merchant are compared.
    fn is_about(&self, payment: &StoredPayment, report: &StatusReport) -> bool {
        let merchant = self.provider.as_ref().map_or("", |provider| provider.settings().merchant_id.as_str());
        let is_known = payment.order == report.order || payment.transaction.as_ref() == Some(&report.transaction);
        let is_ours = merchant.is_empty() || report.merchant.is_empty() || report.merchant == merchant;
        is_known && is_ours && report.amount == payment.amount && report.currency == Currency::Idr.code()
    }

    /// The money arrived: it pays the invoice as far as the invoice is open; the rest is kept for the customer.
    async fn receive(&self, on: &mut BooksTransaction, payment: &StoredPayment) -> Result<(), BillingError> {
        let invoice = self.invoice_of(on, payment).await?;
        let state = invoice.as_ref().map(invoice_state).transpose()?;
        let owed = invoice.as_ref().zip(state).map(|(invoice, state)| (state, invoice.remaining));
        let event = MoneyEvent::received(owed, payment.amount);
        self.post_for(on, subject(payment, "payment.received"), event).await?;
        if let (Some(invoice), MoneyEvent::Received { to_invoice, to_written_off, .. }) = (&invoice, event) {
            let paid = to_invoice + to_written_off;
            if paid > 0 {
                self.reduce(on, &Actor::SYSTEM, invoice.id, paid).await?;
            }
        }
        Ok(())
    }

    /// The provider took the money back: the invoice is open again, and the subscription limited.
    async fn reverse(&self, on: &mut BooksTransaction, payment: &StoredPayment) -> Result<(), BillingError> {
        let amount = payment.amount - payment.refunded;
        let invoice = self.invoice_of(on, payment).await?;
        let reopened = match &invoice {
            Some(invoice) => invoice_state(invoice)?.after(InvoiceEvent::PaymentReversed),
            None => None,
        };
        self.post_for(on, subject(payment, "payment.reversed"), MoneyEvent::Reversed { amount }).await?;
        if let (Some(invoice), Some(state)) = (invoice, reopened) {
            let remaining = (invoice.remaining + amount).min(invoice.total);
            invoices::set(&self.store, on, invoice.id, state.as_str(), remaining).await?;
            if let Some(subscription) = invoice.subscription {
                let subscription = self.existing(on, subscription).await?;
                self.transition(on, &Actor::SYSTEM, &subscription, SubscriptionEvent::PaymentReversed).await?;
            }
        }
        Ok(())
    }

    /// A part of the money was returned to the customer. A credit note usually put it into the wallet before; the rest
    /// is written off until finance explains it.
    async fn returned(
        &self,
        on: &mut BooksTransaction,
        payment: &StoredPayment,
        amount: i64,
    ) -> Result<(), BillingError> {
        if amount > 0 {
            let from_wallet = postings::wallet(on, payment.user, Currency::Idr).await?.min(amount);
            let event = MoneyEvent::Refunded { from_wallet, unexplained: amount - from_wallet };
            self.post_for(on, subject(payment, "payment.refunded"), event).await?;
        }
        Ok(())
    }

    async fn invoice_of(
        &self,
        on: &mut BooksTransaction,
        payment: &StoredPayment,
    ) -> Result<Option<StoredInvoice>, BillingError> {
        match payment.invoice {
            Some(id) => self.invoice(on, id).await.map(Some),
            None => Ok(None),
        }
    }
}

fn subject<'a>(payment: &StoredPayment, reason: &'a str) -> PostingSubject<'a> {
    PostingSubject {
        user: payment.user,
        currency: Currency::Idr,
        invoice: payment.invoice,
        payment: Some(payment.id),
        reason,
    }
}

/// Returns the items of a charge: the lines and the tax. If a part of the invoice was paid before, they do not add up to
/// the amount, and the charge has no items.
fn items(invoice: &StoredInvoice, lines: &[ledger::billing::StoredInvoiceLine]) -> Vec<(String, i64)> {
    let mut items: Vec<(String, i64)> =
        lines.iter().filter(|line| line.amount != 0).map(|line| (line.text.clone(), line.amount)).collect();
    if invoice.tax != 0 {
        items.push((invoice.tax_name.clone(), invoice.tax));
    }
    items
}

/// Returns how to pay as JSON; an empty object if the stored text is not JSON.
#[must_use]
pub fn instructions(payment: &StoredPayment) -> Value {
    serde_json::from_str(&payment.instructions).unwrap_or(Value::Object(serde_json::Map::new()))
}

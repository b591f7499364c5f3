//! Payments: their begin, and the effects of the status that the provider reports.

use std::time::Duration;

use access::{Currency, Timestamp, UserId};
use ledger::billing::BooksTransaction;
use ledger::billing::payments::{self as rows, ChargeOutcome};
use ledger::billing::{NewPayment, StoredInvoice, StoredPayment, invoices, postings, refunds};
use serde_json::Value;
use uuid::Uuid;

use super::payment_money::left_at_provider;
use super::{BillingError, Books};
use crate::channel::{ChannelKind, PaymentChannel};
use crate::midtrans::{ChargeOrder, MidtransClient, MidtransError, StatusReport};
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::InvoiceState;
use crate::rules::payment::{PaymentMoney, PaymentState, ProviderStatus, SeenStatus};
use crate::rules::subscription::SubscriptionState;

/// Midtrans accepts no shorter time to pay, and unpaid changes are voided at this interval.
const MINUTE: Duration = Duration::from_mins(1);

/// A payment that was begun, or the pending one of the same channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunPayment {
    /// The payment as it is stored.
    pub payment: StoredPayment,
    /// Whether this request began it.
    pub is_new: bool,
}

/// The money that a new payment collects.
#[derive(Debug, Clone, Copy)]
pub(super) struct PaymentPurpose {
    /// The user who pays.
    pub(super) user: UserId,
    /// The invoice; `None` for a top-up.
    pub(super) invoice: Option<Uuid>,
    /// The channel of payment.
    pub(super) channel: PaymentChannel,
    /// The amount in whole rupiah.
    pub(super) amount: i64,
}

/// The effect of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The status changed nothing: it is older, the same, or unknown.
    Unchanged,
    /// The payment has another state.
    Changed(PaymentState),
    /// The order, the amount, the currency or the merchant is another one, or a returned amount is missing: finance must
    /// look.
    Mismatch,
}

impl Books {
    /// Begins the payment of an open invoice. A pending payment by the same channel is returned instead.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`] (also for an invoice of another user), [`BillingError::Conflict`],
    /// [`BillingError::Currency`], [`BillingError::Method`], [`BillingError::NoProvider`], [`BillingError::Provider`],
    /// and database errors.
    pub async fn pay(
        &self,
        user: UserId,
        invoice: Uuid,
        channel: PaymentChannel,
        return_url: Option<&str>,
    ) -> Result<BegunPayment, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        let lines = invoices::lines(&self.store, invoice).await?;
        let mut tx = self.store.begin_quiet().await?;
        let invoice = self.invoice(&mut tx, invoice).await?;
        if invoice.user != user || invoice.number.is_none() {
            return Err(BillingError::NoInvoice);
        }
        if !matches!(invoice.state, InvoiceState::Open | InvoiceState::Uncollectible) {
            return Err(BillingError::Conflict("only an open invoice can be paid"));
        }
        if invoice.currency != Currency::Idr {
            return Err(BillingError::Currency(invoice.currency));
        }
        let is_offered = provider.settings().channels.contains(&channel);
        if !is_offered || !channel.fits(invoice.remaining) {
            return Err(BillingError::Method);
        }
        let now = self.store.clock().now();
        let mut payments = rows::of_invoice_on(&mut tx, invoice.id).await?;
        payments.retain(|of| of.method == channel.as_str() && of.amount == invoice.remaining && of.expires_at > now);
        let pending = payments.into_iter().rev().find(|of| of.state.is_pending());
        let begun = match pending {
            Some(payment) => {
                tx.rollback().await?;
                BegunPayment { payment, is_new: false }
            }
            None => {
                let new = PaymentPurpose { user, invoice: Some(invoice.id), channel, amount: invoice.remaining };
                BegunPayment { payment: self.add_payment(tx, provider, new).await?, is_new: true }
            }
        };
        self.charge(begun, items(&invoice, &lines), return_url).await
    }

    /// Stores a payment before the provider knows it: a notification always finds its payment.
    pub(super) async fn add_payment(
        &self,
        mut tx: BooksTransaction,
        provider: &MidtransClient,
        of: PaymentPurpose,
    ) -> Result<StoredPayment, BillingError> {
        let expires_at = self.expires_at(&mut tx, provider.expiry(of.channel), of.invoice).await?;
        let id = self.store.new_id();
        let order = format!("TG-{}", id.simple());
        let new = NewPayment {
            id,
            user: of.user,
            invoice: of.invoice,
            order: &order,
            method: of.channel.as_str(),
            amount: of.amount,
            expires_at,
        };
        rows::add(&self.store, &mut tx, new).await?;
        let payment = rows::find(&mut tx, id).await?.ok_or(BillingError::NoPayment)?;
        tx.commit().await?;
        Ok(payment)
    }

    /// Returns the time until which a new payment can be made: an invoice is not paid after it became void.
    async fn expires_at(
        &self,
        tx: &mut BooksTransaction,
        expiry: Duration,
        invoice: Option<Uuid>,
    ) -> Result<Timestamp, BillingError> {
        let now = self.store.clock().now();
        let latest = match invoice {
            Some(id) => self.void_at(tx, id).await?,
            None => None,
        };
        match latest {
            Some(latest) if now.after(MINUTE) > latest => {
                Err(BillingError::Conflict("this invoice can no longer be paid"))
            }
            Some(latest) => Ok(now.after(expiry).min(latest)),
            None => Ok(now.after(expiry)),
        }
    }

    /// Returns the time when an invoice becomes void without a payment; `None` if it stays due. A change that was paid
    /// once stays due, and so does an invoice that was partly paid or credited.
    async fn void_at(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<Option<Timestamp>, BillingError> {
        let invoice = self.invoice(tx, id).await?;
        let is_pending = match invoice.subscription {
            Some(of) => self.existing(tx, of).await?.state == SubscriptionState::Pending,
            None => false,
        };
        let is_whole = invoice.kind == InvoiceKind::Change && invoice.remaining == invoice.total;
        let is_unpaid_change = is_whole && !postings::was_paid_once(tx, id).await?;
        Ok(if invoice.state == InvoiceState::Open && (is_pending || is_unpaid_change) { invoice.due_at } else { None })
    }

    /// Charges a payment, unless the customer can be shown how to pay it. A pending payment without instructions is charged
    /// again with the same order and key. If the provider has the order but not how to pay it, another order begins: the
    /// customer never saw the first one.
    pub(super) async fn charge(
        &self,
        begun: BegunPayment,
        items: Vec<(String, i64)>,
        return_url: Option<&str>,
    ) -> Result<BegunPayment, BillingError> {
        let BegunPayment { payment, is_new } = begun;
        if payment.instructions != "{}" {
            return Ok(BegunPayment { payment, is_new });
        }
        match self.charge_in_task(&payment, items.clone(), return_url).await {
            Err(BillingError::Provider(MidtransError::NoInstructions)) => {
                let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
                let channel = channel_of(&payment)?;
                let StoredPayment { user, invoice, amount, .. } = payment;
                let tx = self.store.begin_quiet().await?;
                let other = self.add_payment(tx, provider, PaymentPurpose { user, invoice, channel, amount }).await?;
                let payment = self.charge_in_task(&other, items, return_url).await?;
                Ok(BegunPayment { payment, is_new: true })
            }
            result => Ok(BegunPayment { payment: result?, is_new }),
        }
    }

    /// Sends a charge in a separate task: if the client disconnects, the response is stored all the same.
    async fn charge_in_task(
        &self,
        payment: &StoredPayment,
        items: Vec<(String, i64)>,
        return_url: Option<&str>,
    ) -> Result<StoredPayment, BillingError> {
        let books = self.clone();
        let payment = payment.clone();
        let return_url = return_url.map(str::to_owned);
        let charge = async move { books.send_charge(&payment, &items, return_url.as_deref()).await };
        #[expect(clippy::disallowed_methods, reason = "the time limits of its three requests end the task")]
        let task = tokio::spawn(charge);
        task.await.unwrap_or(Err(BillingError::Provider(MidtransError::Aborted)))
    }

    /// Sends the charge of a stored payment, and stores the result.
    async fn send_charge(
        &self,
        payment: &StoredPayment,
        items: &[(String, i64)],
        return_url: Option<&str>,
    ) -> Result<StoredPayment, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        let channel = channel_of(payment)?;
        let now = self.store.clock().now();
        let order = ChargeOrder {
            order_id: &payment.order,
            amount: payment.amount,
            channel,
            items,
            now,
            expires_in: Duration::from_micros(payment.expires_at.0.saturating_sub(now.0)),
            return_url,
        };
        let charged = provider.charge(&order).await;
        let mut tx = self.store.begin_quiet().await?;
        match &charged {
            Ok(result) => {
                let instructions = result.instructions.to_string();
                let is_card = channel.kind() == ChannelKind::Card;
                let outcome = ChargeOutcome {
                    state: if is_card { PaymentState::Created } else { PaymentState::Pending },
                    transaction: result.transaction.as_deref(),
                    instructions: &instructions,
                    error: "",
                };
                rows::set_charge(&self.store, &mut tx, payment.id, outcome).await?;
            }
            Err(error) if error.is_final() => {
                let shown = error.to_string();
                let message = if let MidtransError::Refused { message, .. } = error { message } else { &shown };
                // The transaction is not stored, so that money which arrives all the same counts as another attempt.
                let outcome = ChargeOutcome {
                    state: PaymentState::Failed,
                    transaction: None,
                    instructions: "{}",
                    error: message,
                };
                rows::set_charge(&self.store, &mut tx, payment.id, outcome).await?;
                // A notification may have been faster.
                if rows::find(&mut tx, payment.id).await?.is_some_and(|stored| stored.state == PaymentState::Failed) {
                    self.announce_payment(&mut tx, payment.id, PaymentState::Failed).await?;
                }
            }
            // The order may exist: the payment stays, and its status is requested later.
            Err(_) => {}
        }
        tx.commit().await?;
        charged?;
        rows::present(&self.store, payment.id).await?.ok_or(BillingError::NoPayment)
    }

    /// Requests the status of a payment and applies it.
    ///
    /// # Errors
    /// [`BillingError::NoProvider`], [`BillingError::Provider`], and database errors.
    pub async fn refresh(&self, payment: &StoredPayment) -> Result<PaymentOutcome, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        // A card that was refused can be tried again on the same page, which is another transaction of the order.
        let may_be_other = payment.method == PaymentChannel::Card.as_str() && payment.state == PaymentState::Failed;
        let report = match &payment.transaction {
            Some(transaction) if !may_be_other => provider.status(transaction).await?,
            Some(_) | None => provider.status(&payment.order).await?,
        };
        let Some(report) = report else {
            rows::set_checked(&self.store, payment.id).await?;
            return Ok(PaymentOutcome::Unchanged);
        };
        self.apply(payment.id, &report).await
    }

    /// Plays the customer of the stub, who makes a payment, and applies its status.
    ///
    /// # Errors
    /// [`BillingError::NoProvider`] unless the stub takes payments, [`BillingError::Provider`], and database errors.
    pub async fn play_customer(&self, payment: &StoredPayment) -> Result<PaymentOutcome, BillingError> {
        let stub = self.provider.as_ref().filter(|provider| provider.is_stub()).ok_or(BillingError::NoProvider)?;
        stub.play_customer(&payment.order).await?;
        self.refresh(payment).await
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
        // The revision rises only if a user's plan changes: other nodes repeat all look-ups after it.
        let mut tx = self.store.begin_quiet().await?;
        let payment = rows::find(&mut tx, payment).await?.ok_or(BillingError::NoPayment)?;
        if !self.is_about(&payment, report) {
            return Ok(PaymentOutcome::Mismatch);
        }
        let state = payment.state;
        let channel = PaymentChannel::of_name(&payment.method);
        let seen = ProviderStatus {
            transaction_status: &report.status,
            fraud_status: report.fraud.as_deref(),
            is_success_code: report.is_success_code,
            is_other_transaction: payment.transaction.as_ref() != Some(&report.transaction),
            may_be_late: channel == Some(PaymentChannel::Qris),
            is_reversible: channel.is_some_and(PaymentChannel::is_reversible),
            is_cancellable: channel == Some(PaymentChannel::Card),
        };
        let seen = seen.seen(state);
        let (payment, state) = match state.after(SeenStatus::LateSuccess) {
            Some((paid, _)) if seen.follows_success() => (self.receive_unseen(&mut tx, payment, report).await?, paid),
            Some(_) | None => (payment, state),
        };
        let Some((after, money)) = state.after(seen) else { return self.unchanged(tx, &payment, state, seen).await };
        let refunded = match (money, after) {
            (PaymentMoney::Refunded, PaymentState::Refunded) => payment.amount,
            (PaymentMoney::Refunded | PaymentMoney::PartlyReversed, _) if report.refunded == 0 => {
                return Ok(PaymentOutcome::Mismatch);
            }
            // The provider does not know of transfers by hand.
            (PaymentMoney::Refunded | PaymentMoney::PartlyReversed, _) => {
                report.refunded.saturating_add(refunds::by_hand(&mut tx, payment.id).await?)
            }
            (PaymentMoney::None | PaymentMoney::Received | PaymentMoney::Reversed, _) => payment.refunded,
        };
        let stored = StoredPayment {
            state: after,
            transaction: Some(report.transaction.clone()),
            refunded: refunded.clamp(payment.refunded, payment.amount),
            error: if after == PaymentState::Failed { report.status.clone() } else { String::new() },
            ..payment.clone()
        };
        rows::set_state(&self.store, &mut tx, &stored).await?;
        // A refund through the API has changed the amount before, and is announced when it is done.
        let is_other_change = after != state && money != PaymentMoney::Refunded;
        if is_other_change || stored.refunded != payment.refunded {
            self.announce_payment(&mut tx, payment.id, after).await?;
        }
        match money {
            PaymentMoney::None => {}
            PaymentMoney::Received => self.receive(&mut tx, &payment).await?,
            PaymentMoney::Reversed => {
                let left = left_at_provider(&mut tx, &payment).await?;
                self.reverse(&mut tx, &payment, left).await?;
            }
            PaymentMoney::PartlyReversed => {
                // A transfer by hand does not lower what the bank takes back, at most the whole payment.
                let rest = payment.amount - report.refunded.min(payment.amount);
                let left = left_at_provider(&mut tx, &payment).await?;
                self.reverse(&mut tx, &payment, left - rest).await?;
            }
            PaymentMoney::Refunded => self.returned(&mut tx, &payment, stored.refunded - payment.refunded).await?,
        }
        tx.commit().await?;
        Ok(PaymentOutcome::Changed(after))
    }

    /// Records that the state was requested, and does not change the payment.
    async fn unchanged(
        &self,
        tx: BooksTransaction,
        payment: &StoredPayment,
        state: PaymentState,
        seen: SeenStatus,
    ) -> Result<PaymentOutcome, BillingError> {
        tx.rollback().await?;
        if state == PaymentState::Failed && seen == SeenStatus::Success {
            tracing::error!(payment = %payment.id, order = payment.order, "a payment that failed is reported as paid");
        }
        rows::set_checked(&self.store, payment.id).await?;
        Ok(PaymentOutcome::Unchanged)
    }

    /// Books a payment as received whose success was not seen before a part of it was returned or taken back.
    async fn receive_unseen(
        &self,
        tx: &mut BooksTransaction,
        payment: StoredPayment,
        report: &StatusReport,
    ) -> Result<StoredPayment, BillingError> {
        let paid = StoredPayment {
            state: PaymentState::Paid,
            transaction: Some(report.transaction.clone()),
            error: String::new(),
            ..payment
        };
        rows::set_state(&self.store, tx, &paid).await?;
        self.announce_payment(tx, paid.id, PaymentState::Paid).await?;
        self.receive(tx, &paid).await?;
        Ok(paid)
    }

    /// Whether the report is about this payment: order, amount, currency and merchant are compared.
    fn is_about(&self, payment: &StoredPayment, report: &StatusReport) -> bool {
        let merchant = self.provider.as_ref().map_or("", |provider| provider.settings().merchant_id.as_str());
        let is_known = payment.order == report.order || payment.transaction.as_ref() == Some(&report.transaction);
        let is_ours = merchant.is_empty() || report.merchant.is_empty() || report.merchant == merchant;
        is_known && is_ours && report.amount == payment.amount && report.currency == Currency::Idr.code()
    }
}

fn channel_of(payment: &StoredPayment) -> Result<PaymentChannel, BillingError> {
    let channel = PaymentChannel::of_name(&payment.method);
    channel.ok_or(BillingError::Inconsistent("the method of a payment is unknown"))
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

//! The wallet: top-ups, and payments from it.

use access::{Currency, UserId};
use ledger::billing::payments as rows;
use ledger::billing::{NewPayment, StoredPayment, postings};
use store::Actor;
use uuid::Uuid;

use super::payments::{BegunPayment, PaymentPurpose};
use super::{BillingError, Books};
use crate::channel::{PaymentChannel, WALLET};
use crate::rules::invoice_state::InvoiceState;
use crate::rules::mail_kind::MailKind;
use crate::rules::payment::PaymentState;
use crate::rules::posting::MoneyEvent;

impl Books {
    /// Begins a payment into the wallet of a user. A pending one of the same channel and amount is returned instead.
    ///
    /// # Errors
    /// [`BillingError::Method`], [`BillingError::NoProvider`], [`BillingError::Provider`], and database errors.
    pub async fn top_up(
        &self,
        user: UserId,
        amount: i64,
        channel: PaymentChannel,
        return_url: Option<&str>,
    ) -> Result<BegunPayment, BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        if !provider.settings().channels.contains(&channel) || !channel.fits(amount) {
            return Err(BillingError::Method);
        }
        let now = self.store.clock().now();
        let mut tx = self.store.begin_quiet().await?;
        let pending = rows::topups(&mut tx, user, now).await?;
        let pending = pending.into_iter().find(|of| of.method == channel.as_str() && of.amount == amount);
        let begun = match pending {
            Some(payment) => {
                tx.rollback().await?;
                BegunPayment { payment, is_new: false }
            }
            None => {
                let new = PaymentPurpose { user, invoice: None, channel, amount };
                BegunPayment { payment: self.add_payment(tx, provider, new).await?, is_new: true }
            }
        };
        self.charge(begun, Vec::new(), return_url).await
    }

    /// Pays an open invoice from the wallet, which must reach.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`] (also for an invoice of another user), [`BillingError::Conflict`],
    /// [`BillingError::Currency`], and database errors.
    pub async fn pay_from_wallet(
        &self,
        by: &Actor,
        user: UserId,
        invoice: Uuid,
    ) -> Result<StoredPayment, BillingError> {
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, invoice).await?;
        if invoice.user != user || invoice.number.is_none() {
            return Err(BillingError::NoInvoice);
        }
        if invoice.state != InvoiceState::Open {
            return Err(BillingError::Conflict("only an open invoice can be paid"));
        }
        if invoice.currency != Currency::Idr {
            return Err(BillingError::Currency(invoice.currency));
        }
        if postings::wallet(&mut tx, user, invoice.currency).await? < invoice.remaining {
            return Err(BillingError::Conflict("the wallet does not cover the invoice: top it up"));
        }
        let id = self.store.new_id();
        let amount = invoice.remaining;
        let order = format!("TW-{}", id.simple());
        let expires_at = self.store.clock().now();
        let new = NewPayment { id, user, invoice: Some(invoice.id), order: &order, method: WALLET, amount, expires_at };
        rows::add(&self.store, &mut tx, new).await?;
        let payment = rows::find(&mut tx, id).await?.ok_or(BillingError::NoPayment)?;
        let paid = StoredPayment { state: PaymentState::Paid, ..payment };
        rows::set_state(&self.store, &mut tx, &paid).await?;
        self.announce_payment(&mut tx, id, PaymentState::Paid).await?;
        self.post(&mut tx, &invoice, MoneyEvent::PaidFromWallet { amount }, "invoice.paid_from_wallet").await?;
        self.mail(&mut tx, MailKind::PaymentReceived, id, user).await?;
        self.reduce(&mut tx, by, invoice.id, amount).await?;
        tx.commit().await?;
        Ok(paid)
    }
}

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
        let mut on = self.store.addition().await?;
        let pending = rows::topups(&mut on, user, now).await?;
        let pending = pending.into_iter().find(|of| of.method == channel.as_str() && of.amount == amount);
        let begun = match pending {
            Some(payment) => {
                on.rollback().await?;
                BegunPayment { payment, is_new: false }
            }
            None => {
                let new = PaymentPurpose { user, invoice: None, channel, amount };
                BegunPayment { payment: self.add_payment(on, provider, new).await?, is_new: true }
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
        let mut on = self.store.change().await?;
        let invoice = self.invoice(&mut on, invoice).await?;
        if invoice.user != user || invoice.number.is_none() {
            return Err(BillingError::NoInvoice);
        }
        if invoice.state != InvoiceState::Open {
            return Err(BillingError::Conflict("only an open invoice can be paid"));
        }
        if invoice.currency != Currency::Idr {
            return Err(BillingError::Currency(invoice.currency));
        }
        if postings::wallet(&mut on, user, invoice.currency).await? < invoice.remaining {
            return Err(BillingError::Conflict("the wallet does not cover the invoice: top it up"));
        }
        let id = self.store.new_id();
        let amount = invoice.remaining;
        let order = format!("TW-{}", id.simple());
        let expires_at = self.store.clock().now();
        let new = NewPayment { id, user, invoice: Some(invoice.id), order: &order, method: WALLET, amount, expires_at };
        rows::add(&self.store, &mut on, new).await?;
        let payment = rows::find(&mut on, id).await?.ok_or(BillingError::NoPayment)?;
        let paid = StoredPayment { state: PaymentState::Paid, ..payment };
        rows::set_state(&self.store, &mut on, &paid).await?;
        self.announce_payment(&mut on, id, PaymentState::Paid).await?;
        self.post(&mut on, &invoice, MoneyEvent::PaidFromWallet { amount }, "invoice.paid_from_wallet").await?;
        self.mail(&mut on, MailKind::PaymentReceived, id, user).await?;
        self.reduce(&mut on, by, invoice.id, amount).await?;
        on.commit().await?;
        Ok(paid)
    }
}

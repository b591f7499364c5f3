//! Refunds: money of the wallet is returned to the customer, by the provider or by a transfer of finance.

use access::Currency;
use ledger::billing::payments as rows;
use ledger::billing::postings::PostingSubject;
use ledger::billing::{BooksTransaction, StoredPayment, StoredRefund, postings, refunds};
use serde_json::json;
use store::{Act, Actor, AuditAction};
use uuid::Uuid;

use super::{BillingError, Books};
use crate::channel::PaymentChannel;
use crate::midtrans::MidtransError;
use crate::rules::mail_kind::MailKind;
use crate::rules::payment::{PaymentState, check_refund};
use crate::rules::posting::MoneyEvent;
use crate::rules::refund_state::RefundState;

/// The way in which money is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundWay {
    /// The provider returns it: QRIS and cards.
    Midtrans,
    /// Finance transfers the money to the customer.
    Hand,
}

/// A refund that finance requests.
#[derive(Debug, Clone, Copy)]
pub struct NewRefund<'a> {
    /// The invoice whose payment is returned.
    pub invoice: Uuid,
    /// The amount in whole rupiah.
    pub amount: i64,
    /// Why the money is returned.
    pub reason: &'a str,
    /// The way on which it is returned.
    pub way: RefundWay,
    /// The reference of the transfer by hand.
    pub reference: &'a str,
    /// The amount that was returned before, if it is known: a repeated request finds another one.
    pub expected: Option<i64>,
}

impl RefundWay {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Midtrans => "midtrans",
            Self::Hand => "hand",
        }
    }
}

impl Books {
    /// Returns a part of an invoice's payment. The money must be in the customer's wallet: a credit note or a surplus puts it
    /// there. It leaves the wallet at once, and comes back if the provider refuses the refund.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`], [`BillingError::Conflict`], [`BillingError::Refund`], [`BillingError::NoProvider`], and
    /// database errors. An error of the provider is recorded in the refund.
    pub async fn refund(&self, by: &Actor, new: NewRefund<'_>) -> Result<StoredRefund, BillingError> {
        if new.way == RefundWay::Midtrans && self.provider.is_none() {
            return Err(BillingError::NoProvider);
        }
        let mut tx = self.store.begin_revision().await?;
        let invoice = self.invoice(&mut tx, new.invoice).await?;
        let returned: i64 =
            rows::of_invoice_on(&mut tx, invoice.id).await?.iter().map(|payment| payment.refunded).sum();
        if new.expected.is_some_and(|expected| expected != returned) {
            return Err(BillingError::Conflict("the refunds of the invoice have changed: read the invoice again"));
        }
        let payment = self.refundable(&mut tx, &invoice.id, new).await?;
        let wallet = postings::wallet(&mut tx, invoice.user, Currency::Idr).await?;
        if wallet < new.amount {
            return Err(BillingError::Conflict(
                "the wallet of the customer has less than this amount: make a credit note first",
            ));
        }
        let id = self.store.new_id();
        let refund = StoredRefund {
            id,
            user: invoice.user,
            invoice: invoice.id,
            payment: payment.id,
            key: format!("TR-{}", id.simple()),
            amount: new.amount,
            reason: new.reason.to_owned(),
            way: new.way.as_str().to_owned(),
            reference: new.reference.to_owned(),
            state: if new.way == RefundWay::Hand { RefundState::Done } else { RefundState::Requested },
            error: String::new(),
            created_at: self.store.clock().now(),
        };
        refunds::add(&self.store, &mut tx, &refund).await?;
        let refunded = payment.refunded + new.amount;
        let state = match new.way {
            RefundWay::Hand if refunded == payment.amount => PaymentState::Refunded,
            RefundWay::Hand => PaymentState::PartlyRefunded,
            // The provider reports the state.
            RefundWay::Midtrans => payment.state,
        };
        rows::set_state(&self.store, &mut tx, &StoredPayment { refunded, state, ..payment.clone() }).await?;
        let event = MoneyEvent::Refunded { from_wallet: new.amount, unexplained: 0 };
        self.post_for(&mut tx, posted(&refund, "payment.refunded"), event).await?;
        if new.way == RefundWay::Hand {
            self.announce_payment(&mut tx, payment.id, PaymentState::Refunded).await?;
            self.mail(&mut tx, MailKind::Refund, id, invoice.user).await?;
        }
        let detail = json!({"amount": new.amount, "way": refund.way, "invoice": invoice.id});
        let act = Act::new(AuditAction::PaymentRefund, payment.id, Some(invoice.user)).with(detail);
        self.store.note(&mut tx, by, act).await?;
        tx.commit().await?;
        if new.way == RefundWay::Midtrans {
            self.send_refund(&refund).await?;
        }
        let mut tx = self.store.begin_read().await?;
        let stored = refunds::find(&mut tx, id).await?;
        tx.rollback().await?;
        stored.ok_or(BillingError::Inconsistent("a refund is missing"))
    }

    /// Requests a refund from the provider and records the result. Without a response it stays requested, and the job
    /// `midtrans_reconcile` repeats it with the same key.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn send_refund(&self, refund: &StoredRefund) -> Result<(), BillingError> {
        let provider = self.provider.as_ref().ok_or(BillingError::NoProvider)?;
        let payment = rows::present(&self.store, refund.payment).await?.ok_or(BillingError::NoPayment)?;
        let sent = provider.refund(&payment.order, &refund.key, refund.amount, &refund.reason).await;
        let error = match sent {
            Ok(()) => None,
            Err(MidtransError::Refused { code, message }) if !(code >= 500 || code == 429 || code == 202) => {
                Some(message)
            }
            Err(MidtransError::RefundDenied(message)) => Some(message),
            Err(error) => {
                tracing::warn!(refund = %refund.id, %error, "a refund was not confirmed; it is requested again later");
                return Ok(());
            }
        };
        let is_done = error.is_none();
        if is_done {
            // The event contains the new state.
            self.request_state(&payment).await;
        }
        let mut tx = self.store.begin_revision().await?;
        let stored = refunds::find(&mut tx, refund.id).await?;
        if stored.is_none_or(|stored| stored.state != RefundState::Requested) {
            return Ok(());
        }
        match error {
            None => {
                refunds::set(&self.store, &mut tx, refund.id, RefundState::Done, "").await?;
                self.become_refunded(&mut tx, refund.payment).await?;
                self.announce_payment(&mut tx, refund.payment, PaymentState::Refunded).await?;
                self.mail(&mut tx, MailKind::Refund, refund.id, refund.user).await?;
            }
            Some(message) => {
                refunds::set(&self.store, &mut tx, refund.id, RefundState::Failed, &message).await?;
                let payment = rows::find(&mut tx, refund.payment).await?.ok_or(BillingError::NoPayment)?;
                let payment = StoredPayment { refunded: payment.refunded - refund.amount, ..payment };
                rows::set_state(&self.store, &mut tx, &payment).await?;
                let event = MoneyEvent::RefundRefused { amount: refund.amount };
                self.post_for(&mut tx, posted(refund, "payment.refund_refused"), event).await?;
                // The bank took the payment back without the part that was being returned.
                if matches!(payment.state, PaymentState::Reversed | PaymentState::ChargedBack) {
                    self.reverse(&mut tx, &payment, refund.amount).await?;
                }
            }
        }
        tx.commit().await?;
        if !is_done {
            // The amount of the refund no longer counts as returned.
            self.request_state(&payment).await;
        }
        Ok(())
    }

    /// Sets the state of a paid payment after the provider has returned an amount of it, if it did not show the state.
    async fn become_refunded(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<(), BillingError> {
        let payment = rows::find(tx, id).await?.ok_or(BillingError::NoPayment)?;
        if payment.state != PaymentState::Paid {
            return Ok(());
        }
        let is_whole = payment.refunded == payment.amount;
        let state = if is_whole { PaymentState::Refunded } else { PaymentState::PartlyRefunded };
        Ok(rows::set_state(&self.store, tx, &StoredPayment { state, ..payment }).await?)
    }

    /// Requests the state of a payment after a refund. Without a response, a notification or the job shows it.
    async fn request_state(&self, payment: &StoredPayment) {
        if let Err(error) = self.refresh(payment).await {
            tracing::warn!(payment = %payment.id, %error, "the status of a refunded payment could not be requested");
        }
    }

    /// Returns the newest payment of an invoice from which the amount can be returned.
    async fn refundable(
        &self,
        tx: &mut BooksTransaction,
        invoice: &Uuid,
        new: NewRefund<'_>,
    ) -> Result<StoredPayment, BillingError> {
        let mut most = None;
        for payment in rows::of_invoice_on(tx, *invoice).await?.into_iter().rev() {
            let is_paid = matches!(payment.state, PaymentState::Paid | PaymentState::PartlyRefunded);
            let channel = PaymentChannel::of_name(&payment.method);
            let is_fit = new.way == RefundWay::Hand || channel.is_some_and(PaymentChannel::is_refundable);
            if !is_paid || !is_fit || channel.is_none() {
                continue;
            }
            match check_refund(payment.amount, payment.refunded, new.amount) {
                Ok(()) => return Ok(payment),
                Err(error) => most = Some(error),
            }
        }
        Err(most.map_or(
            BillingError::Conflict("the invoice has no payment that can be refunded in this way"),
            BillingError::Refund,
        ))
    }
}

fn posted<'a>(refund: &StoredRefund, reason: &'a str) -> PostingSubject<'a> {
    PostingSubject {
        user: refund.user,
        currency: Currency::Idr,
        invoice: Some(refund.invoice),
        payment: Some(refund.payment),
        reason,
    }
}

//! The money of a payment: received, taken back, or returned. Money that pays no invoice is kept in the wallet.

use access::{Currency, UserId};
use ledger::billing::postings::PostingSubject;
use ledger::billing::{BooksTransaction, StoredInvoice, StoredPayment, invoices, postings, refunds};
use store::Actor;
use uuid::Uuid;

use super::{BillingError, Books};
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::{InvoiceEvent, InvoiceState};
use crate::rules::mail_kind::MailKind;
use crate::rules::posting::{Account, MoneyEvent};
use crate::rules::subscription::{SubscriptionEvent, SubscriptionState};
use crate::rules::webhook_event::WebhookEvent;

/// Why an invoice that the wallet had paid is open again: the money of the wallet was taken back.
const WALLET_REVERSED: &str = "wallet.reversed";

/// The parts of a payment that are still where they were booked.
#[derive(Debug, Clone, Copy, Default)]
struct BookedParts {
    /// The part that pays the payment's invoice.
    invoice: i64,
    /// The part that was kept in the wallet.
    wallet: i64,
}

/// The part of an invoice that is open again.
#[derive(Debug, Clone, Copy)]
struct ReopenedPart {
    /// The state of the invoice from then on.
    state: InvoiceState,
    /// The amount that is owed again.
    amount: i64,
}

impl Books {
    /// The money arrived: it pays the invoice as far as the invoice is open. The rest is kept for the customer, and pays
    /// other open invoices. A top-up stays in the wallet.
    pub(super) async fn receive(&self, tx: &mut BooksTransaction, payment: &StoredPayment) -> Result<(), BillingError> {
        let invoice = self.invoice_of(tx, payment).await?;
        let state = invoice.as_ref().map(|invoice| invoice.state);
        let owed = invoice.as_ref().zip(state).map(|(invoice, state)| (state, invoice.remaining));
        let event = MoneyEvent::received(owed, payment.amount);
        self.post_for(tx, subject(payment, "payment.received"), event).await?;
        if state == Some(InvoiceState::Void) {
            self.mail(tx, MailKind::PaymentUnexpected, payment.id, payment.user).await?;
        }
        self.mail(tx, MailKind::PaymentReceived, payment.id, payment.user).await?;
        let Some(invoice) = &invoice else {
            return Ok(());
        };
        let MoneyEvent::Received { to_invoice, to_written_off, to_wallet } = event else {
            return Ok(());
        };
        let paid = to_invoice + to_written_off;
        if paid > 0 {
            self.reduce(tx, &Actor::SYSTEM, invoice.id, paid).await?;
        }
        if to_wallet > 0 { self.pay_open_invoices(tx, payment.user, Currency::Idr).await } else { Ok(()) }
    }

    /// Pays the open invoices of a user from the wallet, from the oldest, as far as the wallet reaches.
    async fn pay_open_invoices(
        &self,
        tx: &mut BooksTransaction,
        user: UserId,
        currency: Currency,
    ) -> Result<(), BillingError> {
        for open in invoices::open_of_user(tx, user, currency).await? {
            // The payment of an earlier one may have changed both.
            self.settle_from_wallet(tx, open.id).await?;
        }
        Ok(())
    }

    async fn settle_from_wallet(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<(), BillingError> {
        let invoice = self.invoice(tx, id).await?;
        let amount = postings::wallet(tx, invoice.user, invoice.currency).await?.min(invoice.remaining);
        // A change is paid as a whole, or not at all.
        let is_fit = invoice.kind != InvoiceKind::Change || amount == invoice.remaining;
        if invoice.state == InvoiceState::Open && is_fit && amount > 0 {
            self.post(tx, &invoice, MoneyEvent::PaidFromWallet { amount }, "invoice.paid_from_wallet").await?;
            self.reduce(tx, &Actor::SYSTEM, invoice.id, amount).await?;
        }
        Ok(())
    }

    /// The provider took an amount of a payment back. The part that is in the wallet is taken from it; for the rest, the
    /// invoice is open again, and its subscription limited.
    pub(super) async fn reverse(
        &self,
        tx: &mut BooksTransaction,
        payment: &StoredPayment,
        amount: i64,
    ) -> Result<(), BillingError> {
        if amount <= 0 {
            return Ok(());
        }
        let booked = booked(tx, payment).await?;
        let invoice = self.invoice_of(tx, payment).await?;
        let reopened = match invoice {
            Some(invoice) => invoice.state.after(InvoiceEvent::PaymentReversed).map(|state| (invoice, state)),
            None => None,
        };
        let from_invoice = match reopened {
            Some(_) => (amount - booked.wallet.min(amount)).min(booked.invoice),
            // The money of a void invoice went back to the wallet.
            None => 0,
        };
        let to_take = amount - from_invoice;
        let from_wallet = postings::wallet(tx, payment.user, Currency::Idr).await?.min(to_take);
        let is_written_off = reopened.as_ref().is_some_and(|(_, state)| *state == InvoiceState::Uncollectible);
        let (owed, written_off) = if is_written_off { (0, from_invoice) } else { (from_invoice, 0) };
        let event = MoneyEvent::Reversed { owed, written_off, from_wallet };
        self.post_for(tx, subject(payment, "payment.reversed"), event).await?;
        self.mail(tx, MailKind::PaymentReversed, payment.id, payment.user).await?;
        if from_invoice > 0
            && let Some((invoice, state)) = reopened
        {
            self.reopen(tx, payment, &invoice, ReopenedPart { state, amount: from_invoice }).await?;
        }
        self.reverse_wallet(tx, payment, to_take - from_wallet).await
    }

    /// Opens invoices again that the wallet has paid, because money that it had is gone: the newest first. What remains is
    /// owed without an invoice.
    async fn reverse_wallet(
        &self,
        tx: &mut BooksTransaction,
        payment: &StoredPayment,
        missing: i64,
    ) -> Result<(), BillingError> {
        if missing == 0 {
            return Ok(());
        }
        let mut missing = missing;
        for paid in postings::paid_by_wallet(tx, payment.user, Currency::Idr).await? {
            let invoice = self.invoice(tx, paid.transaction_id).await?;
            let part = missing.min(paid.amount).min(invoice.total - invoice.remaining);
            // An invoice that was given up had no payment, so it stays as it is.
            let state = invoice.state.after(InvoiceEvent::PaymentReversed);
            let Some(state) = state.filter(|state| *state == InvoiceState::Open && part > 0) else { continue };
            let of = PostingSubject { invoice: Some(invoice.id), ..subject(payment, WALLET_REVERSED) };
            self.post_for(tx, of, MoneyEvent::Reversed { owed: part, written_off: 0, from_wallet: 0 }).await?;
            self.reopen(tx, payment, &invoice, ReopenedPart { state, amount: part }).await?;
            missing -= part;
        }
        if missing > 0 {
            tracing::error!(payment = %payment.id, amount = missing, "a payment was taken back after its money had left the wallet");
            let of = PostingSubject { invoice: None, ..subject(payment, WALLET_REVERSED) };
            self.post_for(tx, of, MoneyEvent::Reversed { owed: missing, written_off: 0, from_wallet: 0 }).await?;
        }
        Ok(())
    }

    /// Opens a part of an invoice again, and limits its subscription.
    async fn reopen(
        &self,
        tx: &mut BooksTransaction,
        payment: &StoredPayment,
        invoice: &StoredInvoice,
        part: ReopenedPart,
    ) -> Result<(), BillingError> {
        let remaining = invoice.remaining + part.amount;
        invoices::set(&self.store, tx, invoice.id, part.state.as_str(), remaining).await?;
        if let Some(event) = WebhookEvent::of_reopened(part.state) {
            self.announce(tx, event, invoice.id).await?;
        }
        if let Some(subscription) = invoice.subscription {
            let subscription = self.existing(tx, subscription).await?;
            // The end of the subscription may have put the same money into the wallet.
            if subscription.state == SubscriptionState::Cancelled {
                return self.settle_from_wallet(tx, invoice.id).await;
            }
            let event = SubscriptionEvent::PaymentReversed;
            // One mail, also if money that paid several invoices is taken back.
            let was_limited = subscription.state == SubscriptionState::Limited;
            if self.transition(tx, &Actor::SYSTEM, &subscription, event).await?.is_some() && !was_limited {
                // The mail reads the invoice of a payment, which may be another one, or none.
                let object = if payment.invoice == Some(invoice.id) { payment.id } else { invoice.id };
                self.mail(tx, MailKind::AccessLimited, object, payment.user).await?;
            }
        }
        Ok(())
    }

    /// A part of the money was returned to the customer. A credit note usually put it into the wallet before; the rest
    /// is written off until finance explains it.
    pub(super) async fn returned(
        &self,
        tx: &mut BooksTransaction,
        payment: &StoredPayment,
        amount: i64,
    ) -> Result<(), BillingError> {
        if amount > 0 {
            let from_wallet = postings::wallet(tx, payment.user, Currency::Idr).await?.min(amount);
            let event = MoneyEvent::Refunded { from_wallet, unexplained: amount - from_wallet };
            self.post_for(tx, subject(payment, "payment.refunded"), event).await?;
        }
        Ok(())
    }

    async fn invoice_of(
        &self,
        tx: &mut BooksTransaction,
        payment: &StoredPayment,
    ) -> Result<Option<StoredInvoice>, BillingError> {
        match payment.invoice {
            Some(id) => self.invoice(tx, id).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Returns the amount of a payment that the provider has neither returned nor taken back, by its entries. Transfers by hand
/// did not leave the provider.
pub(super) async fn left_at_provider(tx: &mut BooksTransaction, payment: &StoredPayment) -> Result<i64, BillingError> {
    let sums = postings::of_payment(tx, payment.user, payment.id).await?;
    let clearing: i64 = sums.iter().filter(|sum| sum.account == Account::Clearing.as_str()).map(|sum| sum.amount).sum();
    Ok(clearing + refunds::by_hand(tx, payment.id).await?)
}

/// Returns the parts of a payment by its entries. Parts that were taken back or returned before do not count.
async fn booked(tx: &mut BooksTransaction, payment: &StoredPayment) -> Result<BookedParts, BillingError> {
    let mut parts = BookedParts::default();
    for sum in postings::of_payment(tx, payment.user, payment.id).await? {
        if sum.account == Account::Wallet.as_str() {
            parts.wallet -= sum.amount;
        } else if sum.account != Account::Clearing.as_str() && sum.invoice_id == payment.invoice {
            parts.invoice -= sum.amount;
        }
    }
    Ok(BookedParts { invoice: parts.invoice.max(0), wallet: parts.wallet.max(0) })
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

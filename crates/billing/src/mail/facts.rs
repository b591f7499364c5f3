//! The objects of a mail, read when it is sent.

use access::{Currency, UserId};
use ledger::billing::{
    StoredInvoice, StoredMail, StoredPayment, StoredRefund, invoices, payments, refunds, subscriptions,
};
use store::{DatabaseError, Store};
use uuid::Uuid;

use crate::rules::invoice_state::InvoiceState;
use crate::rules::mail_kind::{MailKind, MailObject};
use crate::rules::subscription::SubscriptionState;

/// The objects that a mail is about.
#[derive(Debug, Default)]
pub(super) struct MailFacts {
    pub(super) customer: String,
    pub(super) user: Option<UserId>,
    pub(super) invoice: Option<StoredInvoice>,
    /// The invoice that a credit note corrects.
    pub(super) corrected: Option<StoredInvoice>,
    pub(super) payment: Option<StoredPayment>,
    pub(super) refund: Option<StoredRefund>,
}

/// The decision whether a mail is sent.
#[derive(Debug)]
pub(super) enum MailContent {
    /// A mail about these objects.
    Facts(Box<MailFacts>),
    /// Nothing, for this reason.
    Dropped(&'static str),
}

impl MailFacts {
    /// Returns the number of the invoice; empty without one.
    pub(super) fn number(&self) -> &str {
        self.invoice.as_ref().and_then(|invoice| invoice.number.as_deref()).unwrap_or_default()
    }

    /// Returns the currency of the invoice. Payments without an invoice are in rupiah.
    pub(super) fn currency(&self) -> Currency {
        self.invoice.as_ref().map_or(Currency::Idr, |invoice| invoice.currency)
    }
}

/// Reads what a mail is about.
///
/// # Errors
/// Database errors of any kind.
pub(super) async fn read(store: &Store, of: &StoredMail, kind: MailKind) -> Result<MailContent, DatabaseError> {
    let mut facts = MailFacts { customer: of.name.clone(), user: Some(of.user), ..MailFacts::default() };
    match kind.object() {
        MailObject::Invoice => facts.invoice = invoices::present(store, of.object).await?,
        MailObject::Payment => facts.payment = payments::present(store, of.object).await?,
        MailObject::InvoiceOrPayment => {
            facts.invoice = invoices::present(store, of.object).await?;
            if facts.invoice.is_none() {
                facts.payment = payments::present(store, of.object).await?;
            }
        }
        MailObject::Refund => {
            let mut tx = store.begin_read().await?;
            facts.refund = refunds::find(&mut tx, of.object).await?;
            tx.rollback().await?;
        }
    }
    if facts.invoice.is_none() && facts.payment.is_none() && facts.refund.is_none() {
        return Ok(MailContent::Dropped("its object does not exist any more"));
    }
    let paid = facts.payment.as_ref().and_then(|payment| payment.invoice);
    let related = paid.or(facts.refund.as_ref().map(|refund| refund.invoice));
    facts.invoice = with(store, facts.invoice, related).await?;
    let corrected = facts.invoice.as_ref().and_then(|invoice| invoice.of_invoice);
    facts.corrected = with(store, None, corrected).await?;
    let reason = match &facts.invoice {
        Some(invoice) => why_dropped(store, kind, invoice).await?,
        None => None,
    };
    Ok(reason.map_or_else(|| MailContent::Facts(Box::new(facts)), MailContent::Dropped))
}

async fn with(
    store: &Store,
    found: Option<StoredInvoice>,
    id: Option<Uuid>,
) -> Result<Option<StoredInvoice>, DatabaseError> {
    match (found, id) {
        (Some(found), _) => Ok(Some(found)),
        (None, Some(id)) => invoices::present(store, id).await,
        (None, None) => Ok(None),
    }
}

/// Returns why a mail is not sent any more. After a cancellation, no mail requests a payment.
async fn why_dropped(
    store: &Store,
    kind: MailKind,
    invoice: &StoredInvoice,
) -> Result<Option<&'static str>, DatabaseError> {
    if kind == MailKind::InvoiceOpened && invoice.state == InvoiceState::Void {
        return Ok(Some("the invoice is void"));
    }
    if !kind.is_request() {
        return Ok(None);
    }
    if invoice.state != InvoiceState::Open {
        return Ok(Some("the invoice is not open any more"));
    }
    let Some(id) = invoice.subscription else { return Ok(None) };
    let mut tx = store.begin_read().await?;
    let subscription = subscriptions::find(&mut tx, id).await?;
    tx.rollback().await?;
    let is_cancelled = subscription.is_some_and(|of| of.state == SubscriptionState::Cancelled);
    Ok(is_cancelled.then_some("the subscription is cancelled"))
}

//! Credit notes: an invoice that was opened never changes, and a credit note takes a part of it back.

use std::time::Duration;

use access::Day;
use ledger::billing::invoices::GivenNumber;
use ledger::billing::{BooksTransaction, StoredInvoice, StoredSubscription, invoices, plan_lines, postings};
use store::Actor;
use uuid::Uuid;

use super::invoicing::{CorrectedInvoice, InvoiceSubject};
use super::stored_state::terms;
use super::{BillingError, Books};
use crate::rules::credit_note::{CreditedInvoice, credit_note};
use crate::rules::invoice::{InvoiceDraft, InvoiceLine, LineKind};
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::{InvoiceEvent, InvoiceState};
use crate::rules::mail_kind::MailKind;
use crate::rules::period::BillingPeriod;
use crate::rules::posting::MoneyEvent;
use crate::rules::proration::share_of_price;
use crate::rules::rounding::{half_up, sum};
use crate::rules::subscription::SubscriptionState;
use crate::rules::tax::TaxAmount;
use crate::rules::terms::InvoiceBasis;
use crate::rules::webhook_event::WebhookEvent;

/// A credit note that is to be made.
pub(super) struct NewCredit<'a> {
    /// The lines that are taken back, with positive amounts.
    pub(super) lines: Vec<InvoiceLine>,
    /// Why the note is made.
    pub(super) reason: &'a str,
}

/// Days of an invoice that a customer does not use.
pub(super) struct UnusedDays<'a> {
    /// The first of the days; the last one ends the period.
    pub(super) day: Day,
    /// The price of the days, without tax.
    pub(super) amount: i64,
    /// The text of the line.
    pub(super) text: &'a str,
}

impl Books {
    /// Makes a credit note of `lines` on an open or paid invoice. The note reduces the part that is not paid; the rest of it
    /// explains money that the provider returned before, or goes to the wallet.
    pub(super) async fn credit(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        invoice: &StoredInvoice,
        new: NewCredit<'_>,
    ) -> Result<Uuid, BillingError> {
        let state = invoice.state;
        let is_fit = state == InvoiceState::Open || state.after(InvoiceEvent::Credited).is_some();
        if !is_fit || invoice.kind == InvoiceKind::CreditNote {
            return Err(BillingError::Conflict("only an open or paid invoice has credit notes"));
        }
        let owed = if state == InvoiceState::Open { invoice.remaining } else { 0 };
        let (note, reduced) = self.note_credit(tx, invoice, new, owed).await?;
        if reduced > 0 {
            self.reduce(tx, by, invoice.id, reduced).await?;
        }
        Ok(note)
    }

    /// Stores a credit note with its number and its entries. Returns it, and the part of `owed` that it takes back.
    async fn note_credit(
        &self,
        tx: &mut BooksTransaction,
        invoice: &StoredInvoice,
        new: NewCredit<'_>,
        owed: i64,
    ) -> Result<(Uuid, i64), BillingError> {
        let NewCredit { lines, reason } = new;
        let (subtotal, _) = invoices::credited(tx, invoice.id).await?;
        let of = CreditedInvoice {
            subtotal: invoice.subtotal,
            tax: TaxAmount { base: invoice.tax_base, amount: invoice.tax },
            rule: self.settings.tax.as_ref(),
        };
        let remaining = invoice.subtotal - subtotal;
        let note = credit_note(&of, remaining, sum(lines.iter().map(|line| line.amount))?)?;
        let total = note.subtotal + note.tax.amount;
        let draft = InvoiceDraft { lines, subtotal: note.subtotal, tax: note.tax, total };
        let subject = InvoiceSubject {
            user: invoice.user,
            subscription: invoice.subscription,
            kind: InvoiceKind::CreditNote,
            target_version: None,
            days: BillingPeriod { first_day: invoice.first_day, last_day: invoice.last_day },
            usage_days: None,
            currency: invoice.currency,
            due: Duration::ZERO,
            corrects: Some(CorrectedInvoice { invoice: invoice.clone(), reason: reason.to_owned() }),
            basis: InvoiceBasis::CreditNote { subtotal: of.subtotal, tax: of.tax, remaining },
        };
        let id = self.add_draft(tx, &subject, &draft).await?;
        let form = self.settings.number.of_credit_notes();
        let now = self.store.clock().now();
        let series = form.series(now.day().civil().year);
        let number = invoices::next_number(&self.store, tx, &series).await?;
        let text = form.number(&series, number);
        let given = GivenNumber { series: &series, number, text: &text, due_at: now };
        invoices::number(&self.store, tx, id, InvoiceState::Paid.as_str(), given).await?;
        self.name_parties(tx, id, invoice.user).await?;
        invoices::set(&self.store, tx, id, InvoiceState::Paid.as_str(), 0).await?;
        let reduced = owed.min(total);
        // The customer has this part already.
        let returned = postings::unexplained(tx, invoice.user, invoice.currency).await?.clamp(0, total - reduced);
        let to_wallet = total - reduced - returned;
        let credited = MoneyEvent::Credited { subtotal: note.subtotal, tax: note.tax.amount, returned, to_wallet };
        self.post(tx, invoice, credited, "invoice.credited").await?;
        self.announce(tx, WebhookEvent::InvoiceCredited, id).await?;
        self.mail(tx, MailKind::CreditNote, id, invoice.user).await?;
        Ok((id, reduced))
    }

    /// Credits the price of days that the customer does not use: the newest invoices of the period carry it. A note first
    /// reduces the owed part, so that an invoice costs the same whether it is paid before or after the end. One in review gets
    /// its note when it is opened. Days whose price an unpaid change took over are not credited.
    pub(super) async fn credit_unused(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        unused: UnusedDays<'_>,
    ) -> Result<(), BillingError> {
        let UnusedDays { day, amount, text } = unused;
        let mut left = amount;
        for invoice in invoices::of_day(tx, of.id, day).await? {
            let state = invoice.state;
            // A change that is void, or was never paid, took nothing over.
            if invoice.kind == InvoiceKind::Change
                && (state == InvoiceState::Void || !was_paid(tx, &invoice, state).await?)
            {
                continue;
            }
            if !matches!(state, InvoiceState::Open | InvoiceState::Paid) {
                break;
            }
            let (part, owed) = self.credit_days(tx, of, &invoice, UnusedDays { day, amount: left, text }).await?;
            left -= part;
            // Earlier invoices are about a period that was left for this one, or about days whose price is still owed.
            if invoice.kind == InvoiceKind::Period || owed > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Credits the days after the end of a subscription that was cancelled while its invoice waited to be opened.
    pub(super) async fn credit_after_end(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<(), BillingError> {
        let invoice = self.invoice(tx, id).await?;
        let InvoiceKind::Period = invoice.kind else { return Ok(()) };
        let Some(subscription) = invoice.subscription else { return Ok(()) };
        let of = self.existing(tx, subscription).await?;
        if of.state != SubscriptionState::Cancelled || of.last_day >= invoice.last_day {
            return Ok(());
        }
        let version = self.version(tx, of.plan_version).await?;
        let unused = UnusedDays { day: of.last_day.next(), amount: invoice.subtotal, text: terms(&version).name };
        // The notes on changes within the period were made at the end.
        let whole = StoredSubscription { last_day: invoice.last_day, ..of };
        self.credit_days(tx, &whole, &invoice, unused).await?;
        Ok(())
    }

    /// Credits the unused days of an open or paid invoice. Of one whose payment was taken back, at most the rest is credited.
    /// Returns the part that was credited, and the part that is owed afterwards.
    async fn credit_days(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        invoice: &StoredInvoice,
        unused: UnusedDays<'_>,
    ) -> Result<(i64, i64), BillingError> {
        let UnusedDays { day, amount, text } = unused;
        let state = invoice.state;
        let mut part = amount.min(unused_part(tx, invoice, day).await?);
        let mut owed = 0;
        if state == InvoiceState::Open {
            owed = invoice.remaining;
            if was_paid(tx, invoice, state).await? {
                part = part.min(paid_part(tx, invoice).await?);
            }
        }
        if part <= 0 {
            return Ok((0, owed));
        }
        let line = InvoiceLine {
            kind: LineKind::Credit,
            text: text.to_owned(),
            quantity: 1,
            unit: "period".to_owned(),
            unit_price: None,
            amount: part,
            plan_version: Some(of.plan_version),
            days: BillingPeriod { first_day: day, last_day: of.last_day.max(day) },
        };
        let new = NewCredit { lines: vec![line], reason: "unused days" };
        let (_, reduced) = self.note_credit(tx, invoice, new, owed).await?;
        if reduced > 0 && self.set_reduced(tx, invoice, reduced).await? == InvoiceState::Paid {
            self.announce(tx, WebhookEvent::InvoicePaid, invoice.id).await?;
        }
        Ok((part, owed - reduced))
    }
}

/// Whether an invoice is paid, or was paid before its payment was taken back.
async fn was_paid(
    tx: &mut BooksTransaction,
    invoice: &StoredInvoice,
    state: InvoiceState,
) -> Result<bool, BillingError> {
    Ok(state == InvoiceState::Paid || postings::was_paid_once(tx, invoice.id).await?)
}

/// Returns the price of an invoice's days from `day` on, as far as no credit note has taken it back.
async fn unused_part(tx: &mut BooksTransaction, invoice: &StoredInvoice, day: Day) -> Result<i64, BillingError> {
    let mut unused = 0_i64;
    let mut left = 0_i64;
    for line in plan_lines::of_invoice(tx, invoice.id).await? {
        if line.is_note {
            left -= line.amount;
            continue;
        }
        left += line.amount;
        let days = BillingPeriod { first_day: line.first_day, last_day: line.last_day };
        if let Some(rest) = days.from_day(day.max(days.first_day)) {
            unused += share_of_price(line.amount, rest.days(), days.days())?;
        }
    }
    let (credited, _) = invoices::credited(tx, invoice.id).await?;
    Ok(unused.min(left).min(invoice.subtotal - credited))
}

/// Returns the part of an open invoice's subtotal that is paid, and that no credit note has taken back.
async fn paid_part(tx: &mut BooksTransaction, invoice: &StoredInvoice) -> Result<i64, BillingError> {
    let (credited, credited_tax) = invoices::credited(tx, invoice.id).await?;
    let subtotal = invoice.subtotal - credited;
    let tax = invoice.tax - credited_tax;
    let paid = subtotal + tax - invoice.remaining;
    if paid <= 0 {
        return Ok(0);
    }
    Ok(half_up(i128::from(subtotal) * i128::from(paid), i128::from(subtotal + tax))?)
}

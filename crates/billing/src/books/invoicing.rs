//! Invoices: the draft, the number, the postings, and the effects of their payment.

use std::pin::Pin;
use std::time::Duration;

use access::{Currency, UserId};
use ledger::billing::BooksTransaction;
use ledger::billing::invoices::GivenNumber;
use ledger::billing::postings::PostingSubject;
use ledger::billing::{
    DaysOfVersion, InvoiceParties, NewInvoice, NewPosting, StoredInvoice, StoredInvoiceLine, StoredSubscription,
    invoices, parties, postings, receipts, subscriptions,
};
use sha2::{Digest as _, Sha256};
use store::Actor;
use uuid::Uuid;

use super::stored_state::terms;
use super::{BillingError, Books};
use crate::midtrans::hex;
use crate::rules::RULES_VERSION;
use crate::rules::invoice::InvoiceDraft;
use crate::rules::invoice_kind::InvoiceKind;
use crate::rules::invoice_state::{InvoiceEvent, InvoiceState};
use crate::rules::mail_kind::MailKind;
use crate::rules::period::BillingPeriod;
use crate::rules::posting::MoneyEvent;
use crate::rules::subscription::{SubscriptionEvent, SubscriptionState};
use crate::rules::terms::{InvoiceBasis, InvoiceTerms};
use crate::rules::webhook_event::WebhookEvent;
use crate::stored_line::stored_line;

/// The user, the subscription and the days of an invoice.
#[derive(Debug, Clone)]
pub struct InvoiceSubject {
    /// The user who owes it.
    pub user: UserId,
    /// The subscription, if it has one.
    pub subscription: Option<Uuid>,
    /// The kind of the invoice.
    pub kind: InvoiceKind,

    /// The plan version to which the payment moves the subscription.
    pub target_version: Option<Uuid>,
    /// The first and the last day.
    pub days: BillingPeriod,
    /// The ended period whose usage it charges; `None` without one.
    pub usage_days: Option<BillingPeriod>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The time in which it must be paid.
    pub due: Duration,
    /// The invoice that a credit note corrects.
    pub corrects: Option<CorrectedInvoice>,
    /// The source of the lines.
    pub basis: InvoiceBasis,
}

/// The invoice that a credit note corrects, whose tax the note carries.
#[derive(Debug, Clone)]
pub struct CorrectedInvoice {
    /// The invoice as it is stored.
    pub invoice: StoredInvoice,
    /// Why the note is made.
    pub reason: String,
}

impl Books {
    /// Stores a draft, gives it a number, posts it, and pays it from the wallet as far as the wallet reaches. The number
    /// exists if the transaction is committed, so the series has no gaps.
    pub(crate) async fn open_invoice(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        of: &InvoiceSubject,
        draft: InvoiceDraft,
    ) -> Result<Uuid, BillingError> {
        let id = self.add_draft(tx, of, &draft).await?;
        self.open(tx, by, id, of.due).await?;
        Ok(id)
    }

    /// Returns the subject of a period's invoice.
    pub(crate) fn period_subject(
        &self,
        of: &StoredSubscription,
        days: BillingPeriod,
        currency: Currency,
        basis: InvoiceBasis,
    ) -> InvoiceSubject {
        InvoiceSubject {
            user: of.user,
            subscription: Some(of.id),
            kind: InvoiceKind::Period,
            target_version: None,
            days,
            usage_days: None,
            currency,
            due: self.settings.due,
            corrects: None,
            basis,
        }
    }

    /// Stores a draft that waits for the approval of finance, or for the sign-off of its days.
    pub(crate) async fn review_invoice(
        &self,
        tx: &mut BooksTransaction,
        of: &InvoiceSubject,
        draft: &InvoiceDraft,
    ) -> Result<Uuid, BillingError> {
        let id = self.add_draft(tx, of, draft).await?;
        let state = InvoiceState::Draft.after(InvoiceEvent::ReviewRequested).unwrap_or(InvoiceState::Draft);
        invoices::set(&self.store, tx, id, state.as_str(), draft.total).await?;
        Ok(id)
    }

    /// Stores a draft with its lines.
    pub(crate) async fn add_draft(
        &self,
        tx: &mut BooksTransaction,
        of: &InvoiceSubject,
        draft: &InvoiceDraft,
    ) -> Result<Uuid, BillingError> {
        let lines: Vec<StoredInvoiceLine> =
            (1_i64..).zip(&draft.lines).map(|(no, line)| stored_line(no, line)).collect();
        let (tax_name, tax_rate) = match &of.corrects {
            Some(corrected) => (corrected.invoice.tax_name.clone(), corrected.invoice.tax_rate.clone()),
            None => self.tax_words(draft),
        };
        let id = self.store.new_id();
        let new = NewInvoice {
            id,
            user: of.user,
            subscription: of.subscription,
            kind: of.kind,
            of_invoice: of.corrects.as_ref().map(|corrected| corrected.invoice.id),
            target_version: of.target_version,
            first_day: of.days.first_day,
            last_day: of.days.last_day,
            currency: of.currency,
            subtotal: draft.subtotal,
            tax_name,
            tax_rate,
            tax_base: draft.tax.base,
            tax: draft.tax.amount,
            total: draft.total,
            rules_version: RULES_VERSION,
            digest: digest(draft),
            usage_days: of.usage_days.map(|days| [days.first_day, days.last_day]),
            reason: of.corrects.as_ref().map(|corrected| corrected.reason.clone()).unwrap_or_default(),
            lines,
        };
        invoices::add(&self.store, tx, &new).await?;
        let terms = InvoiceTerms::new(of.basis.clone(), self.settings.tax.as_ref(), draft);
        let terms = serde_json::to_string(&terms);
        let terms = terms.map_err(|_| BillingError::Inconsistent("the terms of an invoice cannot be written"))?;
        receipts::add(&self.store, tx, id, &terms).await?;
        Ok(id)
    }

    /// Returns the name and the rate of the tax on a draft; empty without one.
    pub(super) fn tax_words(&self, draft: &InvoiceDraft) -> (String, String) {
        match &self.settings.tax {
            Some(tax) if draft.tax.base != 0 => {
                (tax.name.clone(), format!("{}/{}", tax.rate.numerator, tax.rate.denominator))
            }
            Some(_) | None => (String::new(), String::new()),
        }
    }

    /// Gives a draft its number and its postings. A total of 0 is paid at once.
    pub(crate) async fn open(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        id: Uuid,
        due: Duration,
    ) -> Result<(), BillingError> {
        let invoice = self.invoice(tx, id).await?;
        let event = if invoice.total == 0 { InvoiceEvent::ApprovedAsZero } else { InvoiceEvent::Approved };
        let state = invoice.state.after(event).ok_or(BillingError::Conflict("the invoice is not a draft"))?;
        let now = self.store.clock().now();
        let series = self.settings.number.series(now.day().civil().year);
        let number = invoices::next_number(&self.store, tx, &series).await?;
        let text = self.settings.number.number(&series, number);
        let given = GivenNumber { series: &series, number, text: &text, due_at: now.after(due) };
        invoices::number(&self.store, tx, id, state.as_str(), given).await?;
        self.name_parties(tx, id, invoice.user).await?;
        let opened = MoneyEvent::Opened { subtotal: invoice.subtotal, tax: invoice.tax };
        self.post(tx, &invoice, opened, "invoice.opened").await?;
        self.announce(tx, WebhookEvent::InvoiceOpened, id).await?;
        if invoice.total != 0 {
            self.mail(tx, MailKind::InvoiceOpened, id, invoice.user).await?;
        }
        let wallet = postings::wallet(tx, invoice.user, invoice.currency).await?;
        // A change that is not paid in time is void. It is paid from the wallet as a whole, or not at all.
        let paid =
            if invoice.kind == InvoiceKind::Change && wallet < invoice.total { 0 } else { wallet.min(invoice.total) };
        if state == InvoiceState::Paid {
            self.invoice_paid(tx, by, &invoice).await?;
        } else if paid > 0 {
            self.post(tx, &invoice, MoneyEvent::PaidFromWallet { amount: paid }, "invoice.paid_from_wallet").await?;
            self.reduce(tx, by, id, paid).await?;
        }
        self.credit_after_end(tx, id).await
    }

    /// Stores the seller and the customer of a document that gets its number.
    pub(super) async fn name_parties(
        &self,
        tx: &mut BooksTransaction,
        id: Uuid,
        user: UserId,
    ) -> Result<(), BillingError> {
        let customer = parties::customer(tx, user).await?;
        let parties = InvoiceParties { seller: self.settings.seller.clone(), customer };
        Ok(parties::name(&self.store, tx, id, &parties).await?)
    }

    /// Reduces the part of an invoice that is not paid. If nothing remains, the invoice is paid, with all effects.
    pub(crate) async fn reduce(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        id: Uuid,
        amount: i64,
    ) -> Result<(), BillingError> {
        let invoice = self.invoice(tx, id).await?;
        let state = self.set_reduced(tx, &invoice, amount).await?;
        if state == InvoiceState::Paid { self.invoice_paid(tx, by, &invoice).await } else { Ok(()) }
    }

    /// Reduces the part of an invoice that is not paid, and returns its state from then on.
    pub(super) async fn set_reduced(
        &self,
        tx: &mut BooksTransaction,
        invoice: &StoredInvoice,
        amount: i64,
    ) -> Result<InvoiceState, BillingError> {
        let remaining = invoice.remaining - amount;
        let event = if remaining == 0 { InvoiceEvent::PaidInFull } else { InvoiceEvent::PaidInPart };
        let state = invoice.state.after(event).ok_or(BillingError::Conflict("the invoice is not open"))?;
        invoices::set(&self.store, tx, invoice.id, state.as_str(), remaining).await?;
        Ok(state)
    }

    /// Voids an open invoice of which nothing was paid, which keeps its number, or one in review.
    pub(crate) async fn void(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<(), BillingError> {
        let invoice = self.invoice(tx, id).await?;
        let state = invoice.state.after(InvoiceEvent::Voided);
        let state = if invoice.remaining == invoice.total { state } else { None };
        let state = state.ok_or(BillingError::Conflict(
            "only an invoice in review, or an open one without payments, can be voided",
        ))?;
        // An invoice that was never opened has no entries, and no mail or webhook announced it.
        if invoice.number.is_none() {
            return Ok(invoices::set(&self.store, tx, id, state.as_str(), 0).await?);
        }
        self.set_void(tx, &invoice, state).await
    }

    /// Voids open invoices of a subscription that never began. A part that was paid goes to the wallet.
    pub(crate) async fn void_unused(
        &self,
        tx: &mut BooksTransaction,
        open: &[StoredInvoice],
    ) -> Result<(), BillingError> {
        for invoice in open {
            let state = invoice.state.after(InvoiceEvent::Voided);
            let state = state.ok_or(BillingError::Conflict("only an open invoice can be voided"))?;
            self.set_void(tx, invoice, state).await?;
        }
        Ok(())
    }

    /// Credit notes have taken their part back already.
    async fn set_void(
        &self,
        tx: &mut BooksTransaction,
        invoice: &StoredInvoice,
        state: InvoiceState,
    ) -> Result<(), BillingError> {
        let (credited, credited_tax) = invoices::credited(tx, invoice.id).await?;
        let subtotal = invoice.subtotal - credited;
        let tax = invoice.tax - credited_tax;
        let to_wallet = subtotal + tax - invoice.remaining;
        // A credit note filled the wallet, and the payment that it gave back was taken back later.
        if to_wallet < 0 && postings::wallet(tx, invoice.user, invoice.currency).await? < -to_wallet {
            return Err(BillingError::CreditSpent);
        }
        invoices::set(&self.store, tx, invoice.id, state.as_str(), 0).await?;
        let voided = MoneyEvent::Voided { subtotal, tax, to_wallet };
        self.post(tx, invoice, voided, "invoice.voided").await?;
        self.announce(tx, WebhookEvent::InvoiceVoid, invoice.id).await
    }

    /// Applies the effects of a paid invoice: the first one activates its subscription, that of a change moves the plan,
    /// and the last one that was owed ends the consequences of missing payments.
    async fn invoice_paid(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        invoice: &StoredInvoice,
    ) -> Result<(), BillingError> {
        self.announce(tx, WebhookEvent::InvoicePaid, invoice.id).await?;
        let Some(id) = invoice.subscription else { return Ok(()) };
        let subscription = self.existing(tx, id).await?;
        // The user may have another subscription by now.
        if subscription.state == SubscriptionState::Cancelled {
            return Ok(());
        }
        if self.transition(tx, by, &subscription, SubscriptionEvent::FirstInvoicePaid).await?.is_some() {
            return Ok(());
        }
        self.apply_change(tx, by, &subscription, invoice).await?;
        self.settle_debts(tx, by, id, invoice.id).await
    }

    /// Ends the consequences of missing payments if no invoice but `settled` is past its due time.
    pub(super) async fn settle_debts(
        &self,
        tx: &mut BooksTransaction,
        by: &Actor,
        id: Uuid,
        settled: Uuid,
    ) -> Result<(), BillingError> {
        let now = self.store.clock().now();
        let is_owed = |open: &StoredInvoice| open.id != settled && open.due_at.is_some_and(|due| due <= now);
        let has_debts = invoices::open_of(tx, id).await?.iter().any(is_owed);
        let subscription = self.existing(tx, id).await?;
        // A period that is invoiced continues until its end, unless its invoice was given up. The invoice of a year that a
        // month replaced began earlier.
        let is_current = |of: &StoredInvoice| {
            matches!(of.state, InvoiceState::Review | InvoiceState::Open | InvoiceState::Paid)
                && of.first_day >= subscription.first_day
        };
        let is_over = subscription.state == SubscriptionState::Closed
            && !invoices::of_day(tx, id, self.today()).await?.iter().any(is_current);
        if !has_debts && is_over && subscription.cancel_at_end {
            self.transition(tx, by, &subscription, SubscriptionEvent::CancelledNow).await?;
            let last_day = subscription.last_day.min(self.today());
            return Ok(subscriptions::set_end(&self.store, tx, id, last_day, true).await?);
        }
        if !has_debts && self.transition(tx, by, &subscription, SubscriptionEvent::AllPaid).await?.is_some() {
            return if is_over { self.begin_again(tx, by, id).await } else { Ok(()) };
        }
        let state = subscription.state;
        self.grant(tx, by, &subscription, state).await
    }

    /// Begins a new period of a subscription that was closed, on the day of its payment, or after the suspension of its
    /// user. The days since the end of the last period are not charged. The future is boxed, because the wallet may pay the
    /// invoice of the period at once.
    fn begin_again<'a>(
        &'a self,
        tx: &'a mut BooksTransaction,
        by: &'a Actor,
        id: Uuid,
    ) -> Pin<Box<dyn Future<Output = Result<(), BillingError>> + Send + 'a>> {
        Box::pin(async move {
            let subscription = self.existing(tx, id).await?;
            let today = self.today();
            if subscriptions::is_suspended(tx, subscription.user).await? {
                // After the suspension, the close charges the usage until today, and begins the next period. Between the last
                // period and today, keys were refused.
                if subscription.last_day < today {
                    let days = DaysOfVersion {
                        plan_version: subscription.plan_version,
                        first_day: today,
                        period_first: subscription.first_day,
                        period_last: today,
                    };
                    subscriptions::add_days(&self.store, tx, id, days).await?;
                }
                let anchor_day = BillingPeriod::anchor_of(today.next());
                return Ok(subscriptions::set_last_day(&self.store, tx, id, today, anchor_day).await?);
            }
            self.bill_unclosed(tx, &subscription, today).await?;
            let version = subscription.next_plan_version.unwrap_or(subscription.plan_version);
            let version = self.version(tx, version).await?;
            let anchor_day = BillingPeriod::anchor_of(today);
            let period = BillingPeriod::starting(today, anchor_day, version.price.interval);
            let days = DaysOfVersion {
                plan_version: version.id,
                first_day: today,
                period_first: today,
                period_last: period.last_day,
            };
            subscriptions::set_period(&self.store, tx, id, days, anchor_day).await?;
            let subscription = self.existing(tx, id).await?;
            self.grant(tx, by, &subscription, subscription.state).await?;
            // The one of the payment names the period that is over.
            self.announce(tx, WebhookEvent::SubscriptionChanged, id).await?;
            let Some(line) = terms(&version).plan_line(period) else { return Ok(()) };
            let draft = InvoiceDraft::from_lines(vec![line], self.settings.tax.as_ref(), today)?;
            let basis = InvoiceBasis::in_advance(version.id, period);
            let subject = self.period_subject(&subscription, period, version.price.currency(), basis);
            self.open_invoice(tx, by, &subject, draft).await?;
            Ok(())
        })
    }

    /// Returns an invoice that must exist.
    pub(crate) async fn invoice(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<StoredInvoice, BillingError> {
        invoices::find(tx, id).await?.ok_or(BillingError::NoInvoice)
    }

    /// Adds the entries of a change of money.
    pub(crate) async fn post(
        &self,
        tx: &mut BooksTransaction,
        invoice: &StoredInvoice,
        event: MoneyEvent,
        reason: &str,
    ) -> Result<(), BillingError> {
        let subject = PostingSubject {
            user: invoice.user,
            currency: invoice.currency,
            invoice: Some(invoice.id),
            payment: None,
            reason,
        };
        self.post_for(tx, subject, event).await
    }

    /// Adds the entries of a change of money that may have no invoice.
    pub(crate) async fn post_for(
        &self,
        tx: &mut BooksTransaction,
        subject: PostingSubject<'_>,
        event: MoneyEvent,
    ) -> Result<(), BillingError> {
        let entries = event.entries();
        let entries: Vec<NewPosting<'_>> =
            entries.iter().map(|entry| NewPosting { account: entry.account.as_str(), amount: entry.amount }).collect();
        Ok(postings::add(&self.store, tx, subject, &entries).await?)
    }
}

/// Returns SHA-256 over the lines and totals, in hex digits: two closes of one period have the same one.
fn digest(draft: &InvoiceDraft) -> String {
    hex(&Sha256::digest(serde_json::to_vec(draft).unwrap_or_default()))
}

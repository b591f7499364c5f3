//! The job that closes periods: it makes the invoice of each period that has ended, and begins the next period.
//!
//! A subscription and its invoice change in one transaction, so a second close of the same day, another node, or a start
//! after a crash finds nothing to do.

mod logged_failures;
mod period_bill;
mod signoff;

use std::time::Duration;

use access::{BillingInterval, Currency, Day, Timestamp};
use jobs::{Job, JobError, JobSpec, NextRun, Owner, causes};
use ledger::billing::BooksTransaction;
use ledger::billing::receipts::{self, ChargedDays};
use ledger::billing::{
    DaysOfVersion, StoredInvoiceLine, StoredPlanVersion, StoredSubscription, charged_usage, invoices, subscriptions,
};
use serde_json::json;
use store::{Act, Actor, AuditAction, suspension_end};
use uuid::Uuid;

use self::logged_failures::LoggedFailures;
use self::period_bill::{ChargedUsage, PeriodBill};
pub use self::signoff::UnsignedDay;
use self::signoff::WaitLog;
use crate::books::{BillingError, Books, InvoiceSubject, LiveBooks, terms};
use crate::rules::exchange::ExchangeRates;
use crate::rules::invoice::{InvoiceDraft, InvoiceLine};
use crate::rules::period::BillingPeriod;
use crate::rules::subscription::{SubscriptionEvent, SubscriptionState};
use crate::rules::terms::{AdvancePrice, InvoiceTerms, RatedPart};
use crate::rules::webhook_event::WebhookEvent;

/// The specification of the job `billing_close`.
pub const SPEC: JobSpec = JobSpec {
    owner: Owner::OneNode,
    run_max: Duration::from_mins(10),
    ..JobSpec::every("billing_close", Duration::from_mins(1))
};
/// Number of subscriptions that are read at a time.
const PAGE: u32 = 200;
/// A node stores its usage within seconds. A period that waits longer than this is reported.
const WAIT_MAX: Duration = Duration::from_hours(24);
/// Days before a period whose late usage becomes a line of its invoice.
const LATE_DAYS: u32 = 92;
/// Maximum number of periods whose cause a close returns.
const FAILURES_MAX: usize = 20;

/// The result of a close.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloseCounts {
    /// Number of invoices that were made.
    pub made: usize,
    /// Number of periods that were closed, also those without an invoice.
    pub closed: usize,
    /// Number of periods that wait until the usage of every node is stored.
    pub waiting: usize,
    /// Number of periods that could not be closed; the log of a server names them.
    pub failed: usize,
    /// The first of them, at most 20.
    pub failures: Vec<UnclosedPeriod>,
    /// Number of waiting periods that ended more than a day ago: a node stopped before its usage was stored.
    pub overdue: usize,
    /// Number of invoices that were opened because all their days are signed off.
    pub signed: usize,
    /// Number of invoices that wait for days that are not signed off.
    pub unsigned: usize,
    /// Number of invoices in review that wait for no day: finance approves them.
    pub held: usize,
    /// The time at which the oldest invoice that waits was made.
    pub review_since: Option<Timestamp>,
}

/// A period that could not be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnclosedPeriod {
    /// The id of the subscription.
    pub subscription: Uuid,
    /// The message of the error, with its causes.
    pub cause: String,
}

/// Whether the changes of a close are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseMode {
    /// Each period is closed in one transaction.
    Stored,
    /// Each transaction is undone, so only the counts remain.
    DryRun,
}

impl CloseMode {
    async fn end(self, tx: BooksTransaction) -> Result<(), BillingError> {
        match self {
            Self::Stored => tx.commit().await?,
            Self::DryRun => tx.rollback().await?,
        }
        Ok(())
    }
}

/// The job that closes periods.
#[derive(Debug)]
pub struct BillingClose {
    books: LiveBooks,
    logged: LoggedFailures,
    waits: WaitLog,
}

impl BillingClose {
    /// Returns the job for these books.
    #[must_use]
    pub fn new(books: impl Into<LiveBooks>) -> Self {
        Self { books: books.into(), logged: LoggedFailures::default(), waits: WaitLog::default() }
    }
}

impl Job for BillingClose {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Some(books) = self.books.current() else { return Ok(NextRun::Period) };
        let counts = books.close_each(None, CloseMode::Stored, &mut self.logged).await?;
        let CloseCounts { made, closed, failed, signed, .. } = counts;
        if closed > 0 || failed > 0 || signed > 0 {
            tracing::info!(made, closed, failed, signed, "billing periods closed");
        }
        self.waits.note(&counts, books.store().clock().now());
        // A failed job is reported by the metrics of jobs and by their alert; the periods of other nodes are closed.
        if counts.overdue > 0 {
            let node = charged_usage::behind(books.store()).await?;
            return Err(BillingError::Blocked { periods: counts.overdue, node }.into());
        }
        if counts.failed > 0 {
            return Err(BillingError::Unclosed { periods: counts.failed }.into());
        }
        self.logged = LoggedFailures::default();
        Ok(NextRun::Period)
    }
}

impl Books {
    /// Closes every period that ended on `last_day` or earlier; `None` means yesterday. A period whose usage is not stored
    /// yet waits. An error of one subscription does not stop the others.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn close_periods(&self, last_day: Option<Day>) -> Result<CloseCounts, BillingError> {
        self.close_each(last_day, CloseMode::Stored, &mut LoggedFailures::default()).await
    }

    /// Returns what [`Books::close_periods`] would do. Nothing is stored.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn preview_close(&self, last_day: Option<Day>) -> Result<CloseCounts, BillingError> {
        self.close_each(last_day, CloseMode::DryRun, &mut LoggedFailures::default()).await
    }

    /// Closes periods until none is left: a subscription may have several that ended. A line of the audit log records each
    /// round that closed a period.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn close_all(&self, by: &Actor, last_day: Option<Day>) -> Result<CloseCounts, BillingError> {
        let mut all = CloseCounts::default();
        loop {
            let counts = self.close_periods(last_day).await?;
            let made = counts.made;
            let closed = counts.closed;
            let signed = counts.signed;
            all = CloseCounts {
                made: all.made + made,
                closed: all.closed + closed,
                signed: all.signed + signed,
                ..counts
            };
            if closed == 0 {
                return Ok(all);
            }
            let act = Act::new(AuditAction::BillingClose, Uuid::nil(), None);
            self.store().note_alone(by, act.with(json!({"invoices": made, "periods": closed}))).await?;
        }
    }

    async fn close_each(
        &self,
        last_day: Option<Day>,
        mode: CloseMode,
        logged: &mut LoggedFailures,
    ) -> Result<CloseCounts, BillingError> {
        let now = self.store().clock().now();
        let yesterday = Day(now.day().0.saturating_sub(1));
        let last_day = last_day.map_or(yesterday, |day| day.min(yesterday));
        let stored_until = charged_usage::stored_until(self.store()).await?.unwrap_or(now);
        let mut counts = CloseCounts::default();
        let mut after = Uuid::nil();
        loop {
            let page = subscriptions::ending(self.store(), last_day, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for subscription in &page {
                if !self.is_complete(subscription.last_day, now, stored_until) {
                    counts.waiting += 1;
                    let due = subscription.last_day.next().start().after(self.settings().close_after);
                    counts.overdue += usize::from(due.after(WAIT_MAX) <= now);
                    continue;
                }
                let closed = if subscription.usage_due {
                    self.close_usage(subscription.id, mode).await
                } else {
                    self.close_period(subscription.id, subscription.last_day, mode).await
                };
                match closed {
                    Ok(made) => (counts.made, counts.closed) = (counts.made + made, counts.closed + 1),
                    Err(error) => {
                        let error = error.of_rows()?;
                        counts.failed += 1;
                        let cause = causes(&error);
                        let full = if cause.is_empty() { error.to_string() } else { format!("{error}: {cause}") };
                        if logged.note(subscription.id, &full) {
                            tracing::error!(subscription = %subscription.id, %error, cause, "a billing period was not closed");
                        }
                        if counts.failures.len() < FAILURES_MAX {
                            let subscription = subscription.id;
                            counts.failures.push(UnclosedPeriod { subscription, cause: full });
                        }
                    }
                }
            }
        }
        self.open_signed(mode, logged, &mut counts).await?;
        Ok(counts)
    }

    fn is_complete(&self, last_day: Day, now: Timestamp, stored_until: Timestamp) -> bool {
        let end = last_day.next().start();
        end.after(self.settings().close_after) <= now && end <= stored_until
    }

    /// Closes one period, unless it is closed already. Returns the number of invoices that were made.
    async fn close_period(&self, id: Uuid, last_day: Day, mode: CloseMode) -> Result<usize, BillingError> {
        let mut tx = self.store().begin_revision().await?;
        let subscription = subscriptions::find(&mut tx, id).await?;
        let Some(subscription) = subscription.filter(|of| of.last_day == last_day) else { return Ok(0) };
        let state = subscription.state;
        let is_trial = state == SubscriptionState::Trialing;
        let event = match (subscription.cancel_at_end, is_trial) {
            (true, _) => SubscriptionEvent::LastPeriodEnded,
            (false, true) => SubscriptionEvent::TrialEnded,
            (false, false) => SubscriptionEvent::PeriodEnded,
        };
        // The state may have changed since the list was read.
        if state.after(event).is_none() {
            return Ok(0);
        }
        // A change of the period that ended cannot be paid any more.
        let open = self.open_changes(&mut tx, &subscription).await?;
        self.void_all(&mut tx, &open).await?;
        let next = subscription.next_plan_version.unwrap_or(subscription.plan_version);
        let next = (event != SubscriptionEvent::LastPeriodEnded).then_some(next);
        let ended = BillingPeriod { first_day: subscription.first_day, last_day };
        let mut plan = None;
        let mut advance = None;
        let mut charged = ChargedUsage::default();
        let current = self.version_of(&mut tx, subscription.plan_version).await?;
        if let Some(next) = next {
            let version = self.version_of(&mut tx, next).await?;
            let (days, anchor_day) = self.next_days(&mut tx, &subscription, version.price.interval).await?;
            plan = terms(&version).plan_line(days);
            advance = Some(AdvancePrice { plan_version: next, days });
            let first_day = days.first_day;
            let of =
                DaysOfVersion { plan_version: next, first_day, period_first: first_day, period_last: days.last_day };
            subscriptions::set_period(self.store(), &mut tx, id, of, anchor_day).await?;
        }
        if !is_trial {
            charged = self.usage_lines(&mut tx, &subscription, ended).await?;
        }
        let moved = subscriptions::find(&mut tx, id).await?.unwrap_or_else(|| subscription.clone());
        self.transition(&mut tx, &Actor::SYSTEM, &moved, event).await?;
        if moved.plan_version != subscription.plan_version {
            self.announce(&mut tx, WebhookEvent::SubscriptionChanged, id).await?;
        }
        let bills = charged.bills(last_day.next(), ended, advance, plan);
        let made = self.bill(&mut tx, &subscription, current.price.currency(), bills).await?;
        mode.end(tx).await?;
        Ok(made)
    }

    /// Invoices the usage of a subscription that was cancelled within a period, unless it is invoiced already. Returns
    /// the number of invoices that were made.
    async fn close_usage(&self, id: Uuid, mode: CloseMode) -> Result<usize, BillingError> {
        let mut tx = self.store().begin_revision().await?;
        let subscription = subscriptions::find(&mut tx, id).await?;
        let Some(subscription) = subscription.filter(|of| of.usage_due) else { return Ok(0) };
        let period = BillingPeriod { first_day: subscription.first_day, last_day: subscription.last_day };
        let charged = self.usage_lines(&mut tx, &subscription, period).await?;
        subscriptions::set_end(self.store(), &mut tx, id, subscription.last_day, false).await?;
        let version = self.version_of(&mut tx, subscription.plan_version).await?;
        let bills = charged.bills(subscription.last_day.next(), period, None, None);
        let made = self.bill(&mut tx, &subscription, version.price.currency(), bills).await?;
        mode.end(tx).await?;
        Ok(made)
    }

    /// Invoices the usage of the last period of a subscription that was closed, if the next period ends too late to add it as
    /// late usage.
    pub(crate) async fn bill_unclosed(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        today: Day,
    ) -> Result<(), BillingError> {
        if of.last_day.0.saturating_add(LATE_DAYS) >= today.0 {
            return Ok(());
        }
        let period = BillingPeriod { first_day: of.first_day, last_day: of.last_day };
        let charged = self.usage_lines(tx, of, period).await?;
        let currency = self.version_of(tx, of.plan_version).await?.price.currency();
        self.bill(tx, of, currency, charged.bills(of.last_day.next(), period, None, None)).await?;
        Ok(())
    }

    /// Opens the invoice of each bill that has lines, or lets it wait for its review. Returns the number of invoices.
    async fn bill(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        currency: Currency,
        bills: Vec<PeriodBill>,
    ) -> Result<usize, BillingError> {
        let mut made = 0;
        for bill in bills.into_iter().filter(|bill| !bill.lines.is_empty()) {
            let draft = InvoiceDraft::from_lines(bill.lines, self.settings().tax.as_ref(), bill.days.first_day)?;
            let waits = self.settings().review.holds(bill.usage_days.is_some());
            let subject = self.period_subject(of, bill.days, currency, bill.basis);
            let subject = InvoiceSubject { usage_days: bill.usage_days, ..subject };
            if waits {
                self.review_invoice(tx, &subject, &draft).await?;
            } else {
                self.open_invoice(tx, &Actor::SYSTEM, &subject, draft).await?;
            }
            made += 1;
        }
        Ok(made)
    }

    /// Returns the lines of the period's usage, and of earlier usage that was recorded late, with their source.
    async fn usage_lines(
        &self,
        tx: &mut BooksTransaction,
        subscription: &StoredSubscription,
        period: BillingPeriod,
    ) -> Result<ChargedUsage, BillingError> {
        let from = Day(period.first_day.0.saturating_sub(LATE_DAYS));
        let days = subscriptions::days(tx, subscription.id, from).await?;
        // A long period that ended, or was left for another one, may have begun earlier.
        let first_day = days.iter().map(|of| of.first_day).fold(from, Day::min);
        let usage = charged_usage::of_days(tx, subscription.user_no, first_day, period.last_day).await?;
        let billed = invoices::billed(tx, subscription.id, first_day).await?;
        let billed: Vec<InvoiceLine> = billed.iter().filter_map(billed_line).collect();
        let mut charged = ChargedUsage::default();
        for (nth, of) in days.iter().enumerate() {
            let next = days.get(nth + 1);
            let until = next.map_or(period.last_day, |next| Day(next.first_day.0.saturating_sub(1)));
            let days = BillingPeriod { first_day: of.first_day, last_day: of.period_last.min(until) };
            let kind = ChargeKind::of_days(of, next, period, subscription.trial_last_day);
            if kind == ChargeKind::Free || days.last_day < days.first_day {
                continue;
            }
            let version = self.version_of(tx, of.plan_version).await?;
            let whole = BillingPeriod { first_day: of.period_first, last_day: of.period_last };
            let mut part = RatedPart {
                plan_version: of.plan_version,
                days,
                whole_days: whole.days(),
                is_late: false,
                rates: self.settings().exchange.within(days),
                usage: usage.iter().filter(|of| days.contains(of.day) && of.requests > 0).cloned().collect(),
            };
            part.is_late = match kind {
                ChargeKind::Free | ChargeKind::First => false,
                ChargeKind::Late => true,
                ChargeKind::Left => billed.iter().any(|line| part.has_line(line)),
            };
            if part.has_late_cost(&terms(&version), &billed)?
                && let Some(rates) = billed_rates(tx, subscription.id, &part).await?
            {
                part.rates = rates;
            }
            charged.add(part, &terms(&version), &billed)?;
        }
        Ok(charged)
    }

    /// Returns the next period of a subscription, and its anchor day. No period begins for a suspended user: if the user was
    /// suspended at the end of the last period, the next one begins on the day on which the suspension ended.
    pub(crate) async fn next_days(
        &self,
        tx: &mut BooksTransaction,
        of: &StoredSubscription,
        interval: BillingInterval,
    ) -> Result<(BillingPeriod, u8), BillingError> {
        let first_day = of.last_day.next();
        let suspended_until = suspension_end(tx, of.user, first_day.start()).await?.map(Timestamp::day);
        let (first_day, anchor_day) = match suspended_until.filter(|day| *day > first_day) {
            Some(day) => (day, BillingPeriod::anchor_of(day)),
            None => (first_day, of.anchor_day),
        };
        Ok((BillingPeriod::starting(first_day, anchor_day, interval), anchor_day))
    }

    async fn version_of(&self, tx: &mut BooksTransaction, id: Uuid) -> Result<StoredPlanVersion, BillingError> {
        let found = ledger::billing::plan_versions::find(tx, id).await?;
        found.ok_or(BillingError::Inconsistent("the version of a plan is missing"))
    }
}

/// How the usage on days with one version of a plan is charged at the end of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChargeKind {
    /// The days belong to a trial, or to a later period.
    Free,
    /// The days belong to the period, so no invoice has charged them.
    First,
    /// The days belong to a period that was left for another one and never closed. Only its late usage may be charged already.
    Left,
    /// An invoice has charged the days: only the usage that was recorded since then is charged.
    Late,
}

impl ChargeKind {
    /// Returns the kind of the days `of`, which `next` follows.
    fn of_days(
        of: &DaysOfVersion,
        next: Option<&DaysOfVersion>,
        period: BillingPeriod,
        trial_last_day: Option<Day>,
    ) -> Self {
        if of.period_first > period.first_day || trial_last_day.is_some_and(|last| of.first_day <= last) {
            return Self::Free;
        }
        if of.period_first == period.first_day {
            return Self::First;
        }
        let is_left =
            |next: &DaysOfVersion| next.period_first != of.period_first && next.period_first != of.period_last.next();
        if next.is_some_and(is_left) { Self::Left } else { Self::Late }
    }
}

/// Returns the exchange rates of the invoice that charged the days of the part first. Late usage has the same ones, as the part
/// that was charged before stays as it is. `None` if they are not known, or do not have all days with usage.
async fn billed_rates(
    tx: &mut BooksTransaction,
    subscription: Uuid,
    part: &RatedPart,
) -> Result<Option<ExchangeRates>, BillingError> {
    let RatedPart { plan_version, days: BillingPeriod { first_day, last_day }, .. } = *part;
    let stored = receipts::of_usage(tx, ChargedDays { subscription, plan_version, first_day, last_day }).await?;
    let terms: Option<InvoiceTerms> = stored.and_then(|text| serde_json::from_str(&text).ok());
    let is_same = |of: &&RatedPart| of.plan_version == plan_version && of.days == part.days;
    let rates = terms.and_then(|terms| terms.parts().iter().find(is_same).map(|of| of.rates.clone()));
    Ok(rates.filter(|rates| part.usage.iter().all(|of| rates.rate_on(of.day).is_some())))
}

/// Returns a stored line as the rules compare it.
fn billed_line(of: &StoredInvoiceLine) -> Option<InvoiceLine> {
    let day = |stored: i64| u32::try_from(stored).ok().map(Day);
    Some(InvoiceLine {
        kind: of.kind,
        text: of.text.clone(),
        quantity: of.quantity,
        unit: of.unit.clone(),
        unit_price: None,
        amount: of.amount,
        plan_version: of.plan_version_id,
        days: BillingPeriod { first_day: day(of.first_day)?, last_day: day(of.last_day)? },
    })
}

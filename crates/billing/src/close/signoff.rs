//! Invoices that wait until the days of their usage are signed off in insights.
//!
//! The waiting is a state of the invoice and of the days, both in the store: a restart or another node continues it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use access::{Day, Timestamp};
use insights::InsightSettings;
use insights::review::{Decision, PastDecision, ReviewState, ReviewedDay, ReviewedFigures, progress};
use jobs::causes;
use ledger::Ledger;
use ledger::billing::{StoredInvoice, charged_usage, invoices, receipts};
use serde_json::json;
use store::Actor;
use uuid::Uuid;

use super::logged_failures::LoggedFailures;
use super::{CloseCounts, CloseMode, FAILURES_MAX, UnclosedPeriod};
use crate::books::{BillingError, Books};
use crate::rules::invoice_state::InvoiceState;
use crate::rules::terms::InvoiceTerms;
use crate::settings::InvoiceReview;

/// Number of invoices that are read at a time.
const PAGE: u32 = 200;
/// Maximum number of invoices that one run opens; the next run opens the others.
const OPENED_MAX: usize = 10_000;
/// An invoice that waits longer for its days is reported once a day.
const WAIT_MAX: Duration = Duration::from_hours(7 * 24);

/// A day that an invoice waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsignedDay {
    /// The day in UTC that is missing.
    pub day: Day,
    /// The state of the day's review, which is not approved.
    pub state: ReviewState,
}

/// The reviews of some days, for all users.
struct DayReviews {
    roles: Vec<String>,
    stored_until: Timestamp,
    versions: HashMap<Day, u64>,
    decisions: BTreeMap<Day, Vec<PastDecision>>,
}

impl DayReviews {
    /// Reads the reviews of the days from the first to the last one.
    async fn read(books: &Books, days: [Day; 2]) -> Result<Self, BillingError> {
        let store = books.store();
        let ledger = Ledger::new(books.store().clone());
        let roles = match ledger.insight_settings().await? {
            None => books.signoff_roles(),
            Some((_, text)) => {
                let settings: InsightSettings = serde_json::from_str(&text)
                    .map_err(|_| BillingError::Inconsistent("the settings of insights are of a newer version"))?;
                settings.signoff.roles
            }
        };
        // The versions are read first: a decision about older figures does not count.
        let versions = ledger.figures_versions(days).await?.into_iter().collect();
        let mut decisions: BTreeMap<Day, Vec<PastDecision>> = BTreeMap::new();
        for of in ledger.decisions_of_days(days).await? {
            let decision = Decision { at: String::new(), role: of.role, approve: of.approve, comment: None };
            decisions.entry(of.day).or_default().push(PastDecision {
                decision,
                user: of.user.0,
                figures_version: of.figures_version,
                figures: ReviewedFigures::default(),
                classes: None,
            });
        }
        let stored_until = charged_usage::stored_until(store).await?.unwrap_or(store.clock().now());
        Ok(Self { roles, stored_until, versions, decisions })
    }

    /// Returns the state of a day's review.
    fn state(&self, day: Day) -> ReviewState {
        let reviewed = ReviewedDay {
            roles: &self.roles,
            complete: day.next().start() <= self.stored_until,
            figures_version: self.versions.get(&day).copied().unwrap_or(0),
            figures: ReviewedFigures::default(),
        };
        progress(&reviewed, self.decisions.get(&day).map_or(&[], Vec::as_slice)).state
    }

    /// Returns the days of a range that are not signed off.
    fn unsigned(&self, [first, last]: [Day; 2]) -> impl Iterator<Item = UnsignedDay> {
        let day = |day| UnsignedDay { day, state: self.state(day) };
        (first.0..=last.0).map(Day).map(day).filter(|of| of.state != ReviewState::Approved)
    }

    /// Whether a role has ever decided about the day.
    fn is_decided(&self, day: Day) -> bool {
        self.decisions.contains_key(&day)
    }
}

impl Books {
    /// Returns the days for which invoices in review wait: those of their ended period; if these are signed off, those of
    /// earlier periods whose usage arrived late and is on the invoice, if they were ever decided. An invoice without an entry
    /// waits for no day. Without `billing.review: signoff`, no invoice waits.
    ///
    /// # Errors
    /// Database errors of any kind, and settings of insights that this version cannot read.
    pub async fn unsigned_days(&self, of: &[StoredInvoice]) -> Result<HashMap<Uuid, Vec<UnsignedDay>>, BillingError> {
        let is_signoff = self.settings().review == InvoiceReview::Signoff;
        let waits = |of: &&StoredInvoice| is_signoff && of.state == InvoiceState::Review;
        let waiting: Vec<(Uuid, [Day; 2])> =
            of.iter().filter(waits).filter_map(|of| Some((of.id, of.usage_days?))).collect();
        let Some(days) = spanned(waiting.iter().map(|(_, days)| *days)) else { return Ok(HashMap::new()) };
        let reviews = DayReviews::read(self, days).await?;
        let mut unsigned: HashMap<Uuid, Vec<UnsignedDay>> =
            waiting.iter().map(|(id, days)| (*id, reviews.unsigned(*days).collect())).collect();
        for days in unsigned.iter_mut().filter(|(_, days)| days.is_empty()) {
            *days.1 = self.unsigned_late_days(*days.0).await?;
        }
        Ok(unsigned)
    }

    /// Returns the days of earlier periods with late usage on an invoice that were decided, and are not signed off any more.
    async fn unsigned_late_days(&self, invoice: Uuid) -> Result<Vec<UnsignedDay>, BillingError> {
        let stored = receipts::find(self.store(), invoice).await?;
        let terms: Option<InvoiceTerms> = stored.and_then(|stored| serde_json::from_str(&stored.terms).ok());
        let parts = terms.iter().flat_map(|terms| terms.parts()).filter(|part| part.is_late);
        let late: Vec<[Day; 2]> = parts.map(|part| [part.days.first_day, part.days.last_day]).collect();
        let Some(days) = spanned(late.iter().copied()) else { return Ok(Vec::new()) };
        let reviews = DayReviews::read(self, days).await?;
        let unsigned = late.into_iter().flat_map(|days| reviews.unsigned(days));
        Ok(unsigned.filter(|of| reviews.is_decided(of.day)).collect())
    }

    /// Opens each invoice whose days are all signed off, the oldest first, and counts those in review. An error of one
    /// invoice does not stop the others.
    pub(super) async fn open_signed(
        &self,
        mode: CloseMode,
        logged: &mut LoggedFailures,
        counts: &mut CloseCounts,
    ) -> Result<(), BillingError> {
        let mut signed = Vec::new();
        let mut before = Uuid::max();
        loop {
            let page = invoices::of_all(self.store(), Some(InvoiceState::Review.as_str()), before, PAGE).await?;
            let Some(last) = page.last() else { break };
            before = last.id;
            let unsigned = self.unsigned_days(&page).await?;
            for invoice in &page {
                match unsigned.get(&invoice.id) {
                    Some(days) if days.is_empty() => signed.push((invoice.id, invoice.subscription)),
                    // Another value of `billing.review` made the invoice, or is in force now.
                    waits => {
                        *(if waits.is_some() { &mut counts.unsigned } else { &mut counts.held }) += 1;
                        let since = counts.review_since.map_or(invoice.created_at, |at| at.min(invoice.created_at));
                        counts.review_since = Some(since);
                    }
                }
            }
        }
        for (id, subscription) in signed.into_iter().rev().take(OPENED_MAX) {
            match self.open_if_waiting(id, mode).await {
                Ok(is_opened) => counts.signed += usize::from(is_opened),
                Err(error) => {
                    let error = error.of_rows()?;
                    counts.failed += 1;
                    let cause = causes(&error);
                    if logged.note(id, &format!("{error}: {cause}")) {
                        tracing::error!(invoice = %id, %error, cause, "a signed-off invoice was not opened");
                    }
                    if counts.failures.len() < FAILURES_MAX {
                        let subscription = subscription.unwrap_or_default();
                        let cause = error.to_string();
                        counts.failures.push(UnclosedPeriod { subscription, cause });
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens an invoice, unless another node or finance has opened it.
    async fn open_if_waiting(&self, id: Uuid, mode: CloseMode) -> Result<bool, BillingError> {
        let mut tx = self.store().begin_revision().await?;
        let invoice = self.invoice(&mut tx, id).await?;
        if invoice.state != InvoiceState::Review {
            return Ok(false);
        }
        self.open(&mut tx, &Actor::SYSTEM, id, self.settings().due).await?;
        self.note_invoice(&mut tx, &Actor::SYSTEM, &invoice, json!({"signed_off": true})).await?;
        mode.end(tx).await?;
        Ok(true)
    }
}

/// Returns the first and the last of some days; `None` without days.
fn spanned(days: impl Iterator<Item = [Day; 2]>) -> Option<[Day; 2]> {
    days.reduce(|[first, last], [of_first, of_last]| [first.min(of_first), last.max(of_last)])
}

/// The report of invoices that wait long: one line of the log per day.
#[derive(Debug, Default)]
pub(super) struct WaitLog(Option<Day>);

impl WaitLog {
    /// Writes the line, unless it was written today or no invoice waits long.
    pub(super) fn note(&mut self, counts: &CloseCounts, now: Timestamp) {
        let Some(since) = counts.review_since.filter(|since| self.is_due(*since, now)) else { return };
        tracing::warn!(
            unsigned = counts.unsigned,
            held = counts.held,
            since = %since.day(),
            "invoices wait for days that are not signed off in insights, or for finance; `GET /api/billing/invoices?state=review` names them"
        );
        self.0 = Some(now.day());
    }

    /// Whether a wait since a time is to be reported.
    fn is_due(&self, since: Timestamp, now: Timestamp) -> bool {
        since.after(WAIT_MAX) <= now && self.0 != Some(now.day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_reported_once_a_day() {
        let mut log = WaitLog::default();
        let made = Day(20_000).start();
        let counts = CloseCounts { unsigned: 1, review_since: Some(made), ..CloseCounts::default() };
        assert!(!log.is_due(made, made.after(WAIT_MAX - Duration::from_secs(1))));
        let late = made.after(WAIT_MAX);
        assert!(log.is_due(made, late));
        log.note(&counts, late);
        assert!(!log.is_due(made, late) && log.is_due(made, late.after(Duration::from_hours(24))));
    }
}

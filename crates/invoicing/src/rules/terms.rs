//! What an invoice was computed from. The same terms give the same lines, tax and total at any later time.

use std::collections::BTreeSet;

use access::{ChargeModel, Currency, Day};
use meter::RateCard;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::credit_note::{CreditNoteError, CreditedInvoice, credit_note};
use super::exchange::ExchangeRates;
use super::invoice::{InvoiceDraft, InvoiceLine, PlanTerms, late_lines};
use super::iso_day;
use super::period::BillingPeriod;
use super::plan_change::{PlanChangeError, upgrade};
use super::rounding::{AmountOverflow, sum};
use super::tax::{TaxAmount, TaxRule};
use super::usage::{RatedUsage, RatingError, UsageDay};

/// What an invoice was computed from, besides the versions of the plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceTerms {
    /// The tax that applied; `None` if no tax applied.
    pub tax: Option<TaxRule>,
    /// The source of the lines.
    pub basis: InvoiceBasis,
    /// The rates by which requests were priced; `None` until they are listed, and if an older release listed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Vec<ListedPrice>>,
}

/// A price by which requests were priced. Requests name its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPrice {
    /// Name of the provider.
    pub provider: String,
    /// Model that the provider was asked for.
    pub model: String,
    /// Model that responded, if the provider reports it.
    pub answered_model: Option<String>,
    /// Version of the price.
    pub version: String,
    /// The rates in pico-USD of one token or unit.
    #[serde(flatten)]
    pub card: RateCard,
}

/// The source of an invoice's lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InvoiceBasis {
    /// The price of a period in advance, and the usage of earlier days in arrears.
    Period {
        /// The period in advance; `None` if no period begins.
        advance: Option<AdvancePrice>,
        /// The usage by plan version, in the order of the lines.
        parts: Vec<RatedPart>,
        /// Lines of earlier invoices for the same days as parts with late usage.
        billed: Vec<InvoiceLine>,
    },
    /// An upgrade within a period.
    Change {
        /// The version whose remaining days are credited.
        old_version: Uuid,
        /// The version that is charged.
        version: Uuid,
        /// The period before the change.
        period: BillingPeriod,
        /// The first day with the new version.
        #[serde(with = "iso_day")]
        day: Day,
    },
    /// A credit note, whose lines are chosen by its author.
    CreditNote {
        /// The sum of the corrected invoice's lines.
        subtotal: i64,
        /// The tax of the corrected invoice.
        tax: TaxAmount,
        /// The part of the subtotal that earlier credit notes left.
        remaining: i64,
    },
}

/// The price of a period in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvancePrice {
    /// The version of the plan.
    pub plan_version: Uuid,
    /// The days of the period.
    pub days: BillingPeriod,
}

/// The usage of whole days with one plan version, as it was stored when the invoice was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatedPart {
    /// The version of the plan.
    pub plan_version: Uuid,
    /// The days with this version.
    pub days: BillingPeriod,
    /// The number of days of the whole period, by which included amounts are shared.
    pub whole_days: u32,
    /// Whether an earlier invoice charged these days: only the difference is charged.
    pub is_late: bool,
    /// The exchange rates of the days.
    pub rates: ExchangeRates,
    /// The usage by day, and by day and model.
    pub usage: Vec<UsageDay>,
}

/// Why terms give no invoice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermsError {
    /// A version of a plan is missing.
    #[error("the plan version {0} is missing")]
    NoVersion(Uuid),
    /// The usage has no amount.
    #[error(transparent)]
    Rating(#[from] RatingError),
    /// The change has no amount.
    #[error(transparent)]
    Change(#[from] PlanChangeError),
    /// The credit note is larger than the invoice.
    #[error(transparent)]
    Credit(#[from] CreditNoteError),
    /// An amount does not fit.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
}

impl InvoiceBasis {
    /// Returns the basis of an invoice for one period in advance.
    #[must_use]
    pub const fn in_advance(plan_version: Uuid, days: BillingPeriod) -> Self {
        Self::Period { advance: Some(AdvancePrice { plan_version, days }), parts: Vec::new(), billed: Vec::new() }
    }
}

impl RatedPart {
    /// Returns the lines of the part. `billed` has the lines of all earlier invoices.
    ///
    /// # Errors
    /// [`RatingError`]: a day without an exchange rate, or an amount that does not fit.
    pub fn lines(&self, version: &PlanTerms<'_>, billed: &[InvoiceLine]) -> Result<Vec<InvoiceLine>, RatingError> {
        let now = version.usage_lines(&self.rated())?;
        Ok(if self.is_late { late_lines(&now, billed)? } else { now })
    }

    /// Whether the part has late usage whose amount depends on exchange rates.
    ///
    /// # Errors
    /// Those of [`lines`](Self::lines).
    pub fn has_late_cost(&self, version: &PlanTerms<'_>, billed: &[InvoiceLine]) -> Result<bool, RatingError> {
        let costs = || version.price.charges.iter().filter(|charge| matches!(charge.model, ChargeModel::Cost { .. }));
        if !self.is_late || version.price.currency() == Currency::Usd || costs().next().is_none() {
            return Ok(false);
        }
        let lines = version.usage_lines(&self.rated())?;
        let is_cost = |line: &InvoiceLine| costs().any(|charge| charge.name == line.text);
        Ok(lines.iter().any(|line| is_cost(line) && line.late_quantity(billed) > 0))
    }

    const fn rated(&self) -> RatedUsage<'_> {
        RatedUsage { days: self.days, whole_days: self.whole_days, usage: self.usage.as_slice(), rates: &self.rates }
    }

    /// Whether a line of an earlier invoice is about the same days.
    #[must_use]
    pub fn has_line(&self, line: &InvoiceLine) -> bool {
        line.plan_version == Some(self.plan_version) && line.days == self.days
    }
}

impl InvoiceTerms {
    /// Returns the terms of an invoice. `rule` is the tax of the configuration.
    #[must_use]
    pub fn new(basis: InvoiceBasis, rule: Option<&TaxRule>, draft: &InvoiceDraft) -> Self {
        // The tax of a credit note follows from the tax of the invoice that it corrects.
        let (subtotal, tax) = match &basis {
            InvoiceBasis::CreditNote { subtotal, tax, .. } => (*subtotal, *tax),
            InvoiceBasis::Period { .. } | InvoiceBasis::Change { .. } => (draft.subtotal, draft.tax),
        };
        let tax = rule.filter(|rule| tax != TaxAmount::default() && rule.tax_on(subtotal) == Ok(tax)).cloned();
        Self { tax, basis, prices: None }
    }

    /// Computes the invoice again. `version` returns a version of a plan, and `lines` has the lines of the invoice, of
    /// which only a credit note uses the amounts.
    ///
    /// # Errors
    /// [`TermsError`] if the terms are not complete.
    pub fn draft<'a>(
        &self,
        version: impl Fn(Uuid) -> Option<PlanTerms<'a>>,
        lines: &[InvoiceLine],
    ) -> Result<InvoiceDraft, TermsError> {
        let version = |id: Uuid| version(id).ok_or(TermsError::NoVersion(id));
        let lines = match &self.basis {
            InvoiceBasis::Period { advance, parts, billed } => {
                let mut lines = Vec::new();
                if let Some(of) = advance {
                    lines.extend(version(of.plan_version)?.plan_line(of.days));
                }
                for part in parts {
                    lines.extend(part.lines(&version(part.plan_version)?, billed)?);
                }
                lines
            }
            InvoiceBasis::Change { old_version, version: new, period, day } => {
                upgrade(&version(*old_version)?, &version(*new)?, *period, *day)?.lines
            }
            InvoiceBasis::CreditNote { subtotal, tax, remaining } => {
                let of = CreditedInvoice { subtotal: *subtotal, tax: *tax, rule: self.tax.as_ref() };
                let note = credit_note(&of, *remaining, sum(lines.iter().map(|line| line.amount))?)?;
                let total = note.subtotal.checked_add(note.tax.amount).ok_or(AmountOverflow)?;
                return Ok(InvoiceDraft { lines: lines.to_vec(), subtotal: note.subtotal, tax: note.tax, total });
            }
        };
        let subtotal = sum(lines.iter().map(|line| line.amount))?;
        let tax = self.tax.as_ref().map_or(Ok(TaxAmount::default()), |rule| rule.tax_on(subtotal))?;
        let total = subtotal.checked_add(tax.amount).ok_or(AmountOverflow)?;
        Ok(InvoiceDraft { lines, subtotal, tax, total })
    }

    /// Returns the usage of a day: of all requests, and of each model.
    #[must_use]
    pub fn usage_of(&self, day: Day) -> Vec<UsageDay> {
        let parts = self.parts().iter().filter(|part| part.days.contains(day));
        parts.flat_map(|part| part.usage.iter().filter(|of| of.day == day).cloned()).collect()
    }

    /// Returns the days with usage.
    #[must_use]
    pub fn days(&self) -> BTreeSet<Day> {
        self.parts().iter().flat_map(|part| part.usage.iter().map(|of| of.day)).collect()
    }

    /// Returns the versions of plans that the terms name.
    #[must_use]
    pub fn versions(&self) -> BTreeSet<Uuid> {
        match &self.basis {
            InvoiceBasis::Period { advance, parts, .. } => {
                let parts = parts.iter().map(|part| part.plan_version);
                advance.iter().map(|of| of.plan_version).chain(parts).collect()
            }
            InvoiceBasis::Change { old_version, version, .. } => [*old_version, *version].into(),
            InvoiceBasis::CreditNote { .. } => BTreeSet::new(),
        }
    }

    /// Returns the usage on which the lines are based; none for changes and credit notes.
    #[must_use]
    pub fn parts(&self) -> &[RatedPart] {
        match &self.basis {
            InvoiceBasis::Period { parts, .. } => parts,
            InvoiceBasis::Change { .. } | InvoiceBasis::CreditNote { .. } => &[],
        }
    }
}

//! Changes of a plan: the direction, and the invoice of an upgrade.

use access::Day;
use thiserror::Error;

use super::invoice::{InvoiceLine, LineKind, PlanTerms};
use super::period::BillingPeriod;
use super::proration::share_of_price;
use super::rounding::AmountOverflow;

/// The direction of a change, by the total price per year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeDirection {
    /// The new plan costs more per year: the change applies when its invoice is paid.
    Upgrade,
    /// The new plan costs the same or less per year: the change applies at the end of the period.
    Downgrade,
}

/// The invoice lines of an upgrade, and the period after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeQuote {
    /// The credit of the old price, and the charge of the new one.
    pub lines: Vec<InvoiceLine>,
    /// The part of the credit that exceeds the charge; it goes to the wallet.
    pub surplus: i64,
    /// The current period after the change. A plan with another interval begins a new period.
    pub period: BillingPeriod,
    /// The anchor day after the change, if it differs.
    pub anchor_day: Option<u8>,
}

/// Why a plan cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlanChangeError {
    /// The plans have prices in different currencies.
    #[error("the plan has a price in another currency than the subscription")]
    Currency,
    /// The day of the change is outside of the current period.
    #[error("the period of the subscription does not contain {day}")]
    OutsidePeriod {
        /// The day of the change.
        day: Day,
    },
    /// An amount does not fit.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
}

/// Returns the direction of a change.
///
/// # Errors
/// [`PlanChangeError::Currency`] if the plans have different currencies.
pub fn direction(old: &PlanTerms<'_>, new: &PlanTerms<'_>) -> Result<ChangeDirection, PlanChangeError> {
    if old.price.currency() != new.price.currency() {
        return Err(PlanChangeError::Currency);
    }
    let is_upgrade = new.price.per_year() > old.price.per_year();
    Ok(if is_upgrade { ChangeDirection::Upgrade } else { ChangeDirection::Downgrade })
}

/// Returns the invoice of an upgrade on `day`, which counts for the new plan. The credit uses the price of the old
/// version, which the customer paid.
///
/// # Errors
/// [`PlanChangeError`]: another currency, a day outside of the period, or an amount that does not fit.
pub fn upgrade(
    old: &PlanTerms<'_>,
    new: &PlanTerms<'_>,
    period: BillingPeriod,
    day: Day,
) -> Result<ChangeQuote, PlanChangeError> {
    direction(old, new)?;
    let rest = period.from_day(day).ok_or(PlanChangeError::OutsidePeriod { day })?;
    let credit = share_of_price(old.price.price.amount, rest.days(), period.days())?;
    let (charge, kind, charged, after, anchor_day) = if old.price.interval == new.price.interval {
        let charge = share_of_price(new.price.price.amount, rest.days(), period.days())?;
        (charge, LineKind::Proration, rest, period, None)
    } else {
        let anchor_day = BillingPeriod::anchor_of(day);
        let begun = BillingPeriod::starting(day, anchor_day, new.price.interval);
        (new.price.price.amount, LineKind::Plan, begun, begun, Some(anchor_day))
    };
    let used = credit.min(charge);
    let mut lines = Vec::new();
    if used > 0 {
        lines.push(old.priced_line(LineKind::Credit, -used, rest));
    }
    lines.push(new.priced_line(kind, charge, charged));
    Ok(ChangeQuote { lines, surplus: credit - used, period: after, anchor_day })
}

#[cfg(test)]
mod tests;

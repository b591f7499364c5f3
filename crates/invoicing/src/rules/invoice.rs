//! Lines and totals of an invoice.

use access::{Day, PlanPrice, UnitPrice};
use uuid::Uuid;

use super::period::BillingPeriod;
use super::rounding::{AmountOverflow, sum};
use super::tax::{TaxAmount, TaxRule};
use super::usage::{RatedUsage, RatingError};

/// The text of the line with the number of requests without a known cost.
const UNPRICED: &str = "Requests without a known cost";
/// The unit of lines about a plan's price.
const PERIOD_UNIT: &str = "period";

/// The kind of an invoice line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The price of a period in advance.
    Plan,
    /// A charge on usage in arrears.
    Usage,
    /// The price of the rest of a period after an upgrade.
    Proration,
    /// Usage that was recorded after its invoice was opened.
    Late,
    /// An amount that is taken back.
    Credit,
    /// The number of requests without a known cost; the amount is 0.
    Unpriced,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InvoiceLine {
    /// The kind of the line.
    pub kind: LineKind,
    /// The text for the customer.
    pub text: String,
    /// Units that are charged.
    pub quantity: u64,
    /// The name of a unit.
    pub unit: String,
    /// The price of a unit, if all units have the same one.
    pub unit_price: Option<UnitPrice>,
    /// The amount in the smallest unit of the invoice's currency; negative for a credit.
    pub amount: i64,
    /// The version of the plan that determines the amount.
    pub plan_version: Option<Uuid>,
    /// The days to which the line applies.
    pub days: BillingPeriod,
}

/// An invoice before it has a number.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InvoiceDraft {
    /// The lines in the order of printing.
    pub lines: Vec<InvoiceLine>,
    /// The sum of the lines.
    pub subtotal: i64,
    /// The tax on the subtotal.
    pub tax: TaxAmount,
    /// The sum of subtotal and tax.
    pub total: i64,
}

/// A plan version as an invoice names it.
#[derive(Debug, Clone, Copy)]
pub struct PlanTerms<'a> {
    /// The id of the plan version.
    pub version: Uuid,
    /// The name of the plan.
    pub name: &'a str,
    /// The price of this version.
    pub price: &'a PlanPrice,
}

impl LineKind {
    const ALL: [Self; 6] = [Self::Plan, Self::Usage, Self::Proration, Self::Late, Self::Credit, Self::Unpriced];

    /// Returns the name of the kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Usage => "usage",
            Self::Proration => "proration",
            Self::Late => "late",
            Self::Credit => "credit",
            Self::Unpriced => "unpriced",
        }
    }

    /// Returns the kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl PlanTerms<'_> {
    /// Returns the line of a period in advance; `None` if the plan costs nothing.
    #[must_use]
    pub fn plan_line(&self, period: BillingPeriod) -> Option<InvoiceLine> {
        (self.price.price.amount > 0).then(|| self.priced_line(LineKind::Plan, self.price.price.amount, period))
    }

    /// Returns the lines of all charges on usage, and the number of requests without a known cost.
    ///
    /// # Errors
    /// [`RatingError`]: a day without an exchange rate, or an amount that does not fit.
    pub fn usage_lines(&self, usage: &RatedUsage<'_>) -> Result<Vec<InvoiceLine>, RatingError> {
        let mut lines = Vec::new();
        for charge in &self.price.charges {
            let Some(rated) = usage.rate(charge, self.price.currency())? else { continue };
            lines.push(InvoiceLine {
                kind: LineKind::Usage,
                text: charge.name.clone(),
                quantity: rated.units,
                unit: charge.metric.unit().to_owned(),
                unit_price: rated.unit_price,
                amount: rated.amount,
                plan_version: Some(self.version),
                days: usage.days,
            });
        }
        let unpriced = usage.unpriced_requests();
        if unpriced > 0 && !self.price.charges.is_empty() {
            lines.push(InvoiceLine {
                kind: LineKind::Unpriced,
                text: UNPRICED.to_owned(),
                quantity: unpriced,
                unit: "requests".to_owned(),
                unit_price: None,
                amount: 0,
                plan_version: Some(self.version),
                days: usage.days,
            });
        }
        Ok(lines)
    }

    /// Returns a line about the plan's price.
    pub(crate) fn priced_line(&self, kind: LineKind, amount: i64, days: BillingPeriod) -> InvoiceLine {
        InvoiceLine {
            kind,
            text: self.name.to_owned(),
            quantity: 1,
            unit: PERIOD_UNIT.to_owned(),
            unit_price: None,
            amount,
            plan_version: Some(self.version),
            days,
        }
    }
}

/// Returns a `late` line for each charge whose quantity and amount are now larger than those that earlier invoices billed for
/// the same days: other exchange rates alone are no usage. `now` has the exchange rates of the earlier invoice, so that a line
/// is the price of the late usage only. `billed` has the lines of all earlier invoices, so that no usage is billed twice.
///
/// # Errors
/// [`AmountOverflow`] if billed amounts do not fit.
pub fn late_lines(now: &[InvoiceLine], billed: &[InvoiceLine]) -> Result<Vec<InvoiceLine>, AmountOverflow> {
    let mut late = Vec::new();
    for line in now.iter().filter(|line| line.kind == LineKind::Usage) {
        let before = sum(line.same_charge(billed).map(|of| of.amount))?;
        let amount = line.amount.checked_sub(before).ok_or(AmountOverflow)?;
        let quantity = line.late_quantity(billed);
        if quantity > 0 && amount > 0 {
            late.push(InvoiceLine { kind: LineKind::Late, quantity, amount, ..line.clone() });
        }
    }
    Ok(late)
}

impl InvoiceLine {
    /// Returns the lines of earlier invoices about the same charge on the same days.
    fn same_charge<'a>(&'a self, billed: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        let is_usage = |line: &&Self| matches!(line.kind, LineKind::Usage | LineKind::Late);
        let same = |of: &&Self| of.text == self.text && of.plan_version == self.plan_version && of.days == self.days;
        billed.iter().filter(is_usage).filter(same)
    }

    /// Returns the units that earlier invoices have not billed.
    pub(crate) fn late_quantity(&self, billed: &[Self]) -> u64 {
        let units = self.same_charge(billed).fold(0_u64, |units, of| units.saturating_add(of.quantity));
        self.quantity.saturating_sub(units)
    }
}

impl InvoiceDraft {
    /// Adds up the lines and the tax. `day` is the day on which the invoice is made.
    ///
    /// # Errors
    /// [`AmountOverflow`] if a sum does not fit.
    pub fn from_lines(lines: Vec<InvoiceLine>, tax: Option<&TaxRule>, day: Day) -> Result<Self, AmountOverflow> {
        let subtotal = sum(lines.iter().map(|line| line.amount))?;
        let tax = TaxRule::of_invoice(tax, subtotal, day)?;
        let total = subtotal.checked_add(tax.amount).ok_or(AmountOverflow)?;
        Ok(Self { lines, subtotal, tax, total })
    }
}

#[cfg(test)]
mod tests;

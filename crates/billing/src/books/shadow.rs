//! Shadow billing: the usage of past months at the price of a draft. Nothing is stored.

use access::{CivilDate, Currency, Day, PlanPrice, UserId};
use ledger::billing::StoredPlanVersion;
use ledger::billing::charged_usage::{self, ChargedUser};
use uuid::Uuid;

use super::{BillingError, Books};
use crate::rules::invoice::PlanTerms;
use crate::rules::period::BillingPeriod;
use crate::rules::plan_change::PlanChangeError;
use crate::rules::proration::share_of_price;
use crate::rules::rounding::{AmountOverflow, sum};
use crate::rules::usage::{RatedUsage, UsageDay};

/// A comparison of the present prices with a draft.
#[derive(Debug, Clone, Copy)]
pub struct ShadowDraft<'a> {
    /// The price that is tried.
    pub price: &'a PlanPrice,
    /// The number of complete calendar months before the current one.
    pub months: u32,
    /// The user after whom the page begins.
    pub after: Uuid,
    /// The maximum number of users.
    pub limit: u32,
}

/// The amounts of one user without tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShadowBill {
    /// The user who would owe the amounts.
    pub user: UserId,
    /// The amount at the user's plan version; 0 without a subscription.
    pub now: i64,
    /// The amount at the price of the draft.
    pub then: i64,
}

/// A page of users with their amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowBills {
    /// The days of the months.
    pub days: BillingPeriod,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The users, in the order of their ids.
    pub users: Vec<ShadowBill>,
}

impl Books {
    /// Computes the amounts of past months for users with a subscription or with usage: at their present plan version,
    /// and at the price of a draft.
    ///
    /// # Errors
    /// [`BillingError::Change`] if a subscriber has a price in another currency, [`BillingError::Rating`], and database
    /// errors.
    pub async fn shadow(&self, draft: &ShadowDraft<'_>) -> Result<ShadowBills, BillingError> {
        let months = complete_months(self.today(), draft.months);
        let first_day = months.first().map_or(self.today(), |month| month.first_day);
        let last_day = months.last().map_or(self.today(), |month| month.last_day);
        let days = BillingPeriod { first_day, last_day };
        let mut tx = self.store().begin_read().await?;
        let found = charged_usage::users(&mut tx, (days.first_day, days.last_day), draft.after, draft.limit).await?;
        let mut users = Vec::new();
        for ChargedUser { user, user_no, plan_version } in found {
            let usage = charged_usage::of_days(&mut tx, user_no, days.first_day, days.last_day).await?;
            let version = match plan_version {
                Some(id) => Some(self.version(&mut tx, id).await?),
                None => None,
            };
            if version.as_ref().is_some_and(|of| of.price.currency() != draft.price.currency()) {
                return Err(PlanChangeError::Currency.into());
            }
            let now = version.map_or(Ok(0), |StoredPlanVersion { price, .. }| self.amount(&price, &months, &usage))?;
            users.push(ShadowBill { user, now, then: self.amount(draft.price, &months, &usage)? });
        }
        tx.rollback().await?;
        Ok(ShadowBills { days, currency: draft.price.currency(), users })
    }

    /// Returns the amount of whole months at a price. A yearly price is shared by months, and its included amounts by days.
    fn amount(&self, price: &PlanPrice, months: &[BillingPeriod], usage: &[UsageDay]) -> Result<i64, BillingError> {
        let terms = PlanTerms { version: Uuid::nil(), name: "", price };
        let advance = share_of_price(price.price.amount, 1, price.interval.months())?;
        let mut total = 0_i64;
        for month in months {
            let whole = BillingPeriod::starting(month.first_day, 1, price.interval);
            let rates = &self.settings().exchange;
            let rated = RatedUsage { days: *month, whole_days: whole.days(), usage, rates };
            let lines = terms.usage_lines(&rated)?;
            let of_month = sum(lines.iter().map(|line| line.amount).chain([advance]))?;
            total = total.checked_add(of_month).ok_or(AmountOverflow)?;
        }
        Ok(total)
    }
}

/// Returns the complete calendar months before the month of `today`, from the oldest.
fn complete_months(today: Day, count: u32) -> Vec<BillingPeriod> {
    let CivilDate { year, month, .. } = today.civil();
    let first_of = |back: u64| {
        let months = (year * 12 + month - 1).saturating_sub(back);
        CivilDate { year: months / 12, month: months % 12 + 1, day: 1 }.to_day()
    };
    let month = |back: u64| {
        let first_day = first_of(back)?;
        let next = first_of(back - 1)?;
        Some(BillingPeriod { first_day, last_day: Day(next.0.saturating_sub(1)) })
    };
    (1..=u64::from(count)).rev().filter_map(month).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_months_before_the_current_one_are_complete() {
        let day = |text: &str| Day::parse(text).unwrap();
        let months = complete_months(day("2027-01-31"), 3);
        let texts: Vec<String> = months.iter().map(|of| format!("{} {}", of.first_day, of.last_day)).collect();
        assert_eq!(texts, ["2026-10-01 2026-10-31", "2026-11-01 2026-11-30", "2026-12-01 2026-12-31"]);
    }
}

//! The bills of a period that ended: its usage, and the next period.

use access::Day;

use crate::books::BillingError;
use crate::rules::invoice::{InvoiceLine, PlanTerms};
use crate::rules::period::BillingPeriod;
use crate::rules::terms::{AdvancePrice, InvoiceBasis, RatedPart};

/// An invoice before its tax is known.
#[derive(Debug)]
pub(super) struct PeriodBill {
    pub(super) days: BillingPeriod,
    /// The ended period whose usage it charges, from the first day that no other invoice charges; `None` without charged usage.
    pub(super) usage_days: Option<BillingPeriod>,
    pub(super) lines: Vec<InvoiceLine>,
    pub(super) basis: InvoiceBasis,
}

/// The lines of usage, and their source.
#[derive(Debug, Default)]
pub(super) struct ChargedUsage {
    lines: Vec<InvoiceLine>,
    parts: Vec<RatedPart>,
    billed: Vec<InvoiceLine>,
    /// Whether a recorded part has charges.
    is_charged: bool,
    /// The first day of the parts with charges that no invoice had before.
    first_day: Option<Day>,
}

impl ChargedUsage {
    /// Adds the lines of a part. A part without usage is not recorded, and neither is late usage without a line.
    pub(super) fn add(
        &mut self,
        part: RatedPart,
        version: &PlanTerms<'_>,
        billed: &[InvoiceLine],
    ) -> Result<(), BillingError> {
        let lines = part.lines(version, billed)?;
        let is_recorded = if part.is_late { !lines.is_empty() } else { !part.usage.is_empty() };
        if is_recorded {
            let is_charged = !version.price.charges.is_empty();
            let is_new = !part.is_late || !billed.iter().any(|line| part.has_line(line));
            if is_charged && is_new {
                self.first_day = Some(self.first_day.map_or(part.days.first_day, |day| day.min(part.days.first_day)));
            }
            self.is_charged |= is_charged;
            if part.is_late {
                self.billed.extend(billed.iter().filter(|line| part.has_line(line)).cloned());
            }
            self.parts.push(part);
        }
        self.lines.extend(lines);
        Ok(())
    }

    /// Returns one bill of the usage and of the next period, whose line is `plan`. If that period does not begin on `after`,
    /// the day after the last period, it has another bill.
    pub(super) fn bills(
        self,
        after: Day,
        ended: BillingPeriod,
        advance: Option<AdvancePrice>,
        plan: Option<InvoiceLine>,
    ) -> Vec<PeriodBill> {
        let Self { lines: usage, parts, billed, is_charged, first_day } = self;
        // A period that was left, or is closed late, was charged by no invoice: its days count as those of the ended one.
        let first_day = first_day.map_or(ended.first_day, |day| day.min(ended.first_day));
        let usage_days = is_charged.then_some(BillingPeriod { first_day, last_day: ended.last_day });
        let bill = |last_day, plan: Option<InvoiceLine>, advance| PeriodBill {
            days: BillingPeriod { first_day: after, last_day },
            usage_days,
            lines: plan.into_iter().chain(usage).collect(),
            basis: InvoiceBasis::Period { advance, parts, billed },
        };
        match advance {
            None => vec![bill(after, plan, None)],
            Some(of) if of.days.first_day == after => vec![bill(of.days.last_day, plan, advance)],
            Some(of) => {
                let basis = InvoiceBasis::in_advance(of.plan_version, of.days);
                let next = PeriodBill { days: of.days, usage_days: None, lines: plan.into_iter().collect(), basis };
                vec![bill(after, None, None), next]
            }
        }
    }
}

//! The amounts that budgets count, in series of days.

use access::{Day, NanoUsd};
use store::DatabaseError;

use super::UsageSeries;
use crate::handle::Ledger;
use crate::usage::scope::UsageOf;

impl Ledger {
    /// Adds the amounts that budgets count to a series of days: only the daily totals of keys have them.
    pub(super) async fn add_charged(&self, series: &mut UsageSeries, of: UsageOf) -> Result<(), DatabaseError> {
        series.unused.totals.charged = Some(NanoUsd(0));
        let until = series.until.day();
        let days = until.0.saturating_sub(series.since.day().0);
        if days == 0 {
            return Ok(());
        }
        let last = until.0.saturating_sub(1);
        let used = self.usage_of_days(of, None, days, Day(last)).await?;
        for (point, figures) in series.series.iter_mut().flat_map(|group| &mut group.points) {
            let day = usize::try_from(*point).ok().and_then(|point| used.get(point));
            figures.totals.charged = day.and_then(|(_, totals)| totals.charged);
        }
        Ok(())
    }
}

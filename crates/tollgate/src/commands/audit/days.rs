//! The days that an audit covers.

use access::Day;
use anyhow::bail;
use ledger::Days;
use meter::{LimitPeriod, Period};

use crate::cli::Audit;

/// Returns the requested days; `usual` are the defaults.
pub(super) fn days(args: &Audit, usual: (Day, Day)) -> anyhow::Result<Days> {
    let first = args.since;
    let last = args.until;
    let last = last.unwrap_or_else(|| usual.1.max(first.unwrap_or_default()));
    // If the last day is in a past month, the default is the first day of that month.
    let first = first
        .unwrap_or_else(|| if last < usual.0 { Period::containing(LimitPeriod::Month, last).first() } else { usual.0 });
    if first > last {
        bail!("--since {first} is later than --until {last}");
    }
    Ok(Days { first, last })
}

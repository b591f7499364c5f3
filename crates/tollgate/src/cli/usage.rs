//! Arguments of `tollgate usage`.

use access::Day;
use clap::Args;

use super::Place;

pub(super) const USAGE_EXAMPLES: &str = "Examples:
  # This month's usage of a user, by day and model
  tollgate usage --user corner-shop
  tollgate usage --user ada@example.com --month 2026-11
  # A statement as CSV
  tollgate usage --user corner-shop --month 2026-11 \\
      --csv > statement.csv

Each row is a day (UTC) and a model; `-` is all requests without a model. The ten models with the most requests have rows of \
their own. A running server stores usage within a second. Refused requests are not counted.";

#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// Address, id or name (of a service user) of the user
    #[arg(long)]
    pub(crate) user: String,
    /// Month in UTC, such as 2026-11 [default: this month]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    pub(crate) month: Option<Day>,
    /// Print CSV; costs are in USD
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Returns the first day of a month.
fn month(text: &str) -> Result<Day, String> {
    Day::parse(&format!("{text}-01")).ok_or_else(|| "expected a month, such as 2026-11".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_a_year_and_two_digits() {
        assert_eq!(month("2026-11"), Ok(Day::parse("2026-11-01").unwrap()));
        for text in ["", "2026", "2026-13", "2026-11-02", "11-2026", "2026-1"] {
            assert!(month(text).is_err(), "{text}");
        }
    }
}

//! Arguments of `tollgate audit`.

use std::path::PathBuf;

use access::Day;
use clap::Args;

use super::Place;

pub(super) const AUDIT_EXAMPLES: &str = "Examples:
  # Audit this month
  tollgate audit
  tollgate audit --since 2026-11-01 --json
  # Compare a random part of the totals
  tollgate audit --since 2026-01-01 --sample 1%
  # Rewrite daily totals from the recorded events
  tollgate audit --repair
  # Compare with a provider's own report
  tollgate audit --provider-report usage.json
  tollgate audit --provider-report bill.csv --provider azure

The audit adds up requests, credits, tokens and money by key and day, and compares events, daily totals, the use of \
budgets and leases. Servers may be running. The exit code is 0 if all figures agree, and 3 if they differ.

A report is a page of OpenAI's usage or costs (GET /v1/organization/usage/completions or /costs), of Anthropic's \
(/v1/organizations/usage_report/messages or /cost_report), or a CSV file with the columns date, model, \
requests, input_tokens, cached_input_tokens, output_tokens and cost_usd, separated by commas.";

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// First day, in UTC [default: first day of this month, or of the report]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(crate) since: Option<Day>,
    /// Last day, in UTC [default: today, or the last complete day of the report]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(crate) until: Option<Day>,
    /// Compare the totals of a random share of users and days
    #[arg(long, value_name = "PERCENT", value_parser = share, conflicts_with_all = ["repair", "provider_report"])]
    pub(crate) sample: Option<u32>,
    /// Rewrite daily totals from the events, and audit again
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print JSON; money is in nano-USD
    #[arg(long)]
    pub(crate) json: bool,
    /// Compare recorded usage with a provider's report, by day and model
    #[arg(long, value_name = "FILE", conflicts_with = "repair")]
    pub(crate) provider_report: Option<PathBuf>,
    /// Provider of the report, by its configured name [default: the only provider of the report's kind]
    #[arg(long, value_name = "NAME", requires = "provider_report")]
    pub(crate) provider: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Returns a share in ten-thousandths.
fn share(text: &str) -> Result<u32, &'static str> {
    const EXPECTED: &str = "expected a share from 0.01% to 100%, such as 1%";
    let number = text.strip_suffix('%').ok_or(EXPECTED)?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(rest) || rest.len() > 2 {
        return Err(EXPECTED);
    }
    let parsed = format!("{whole}{rest:0<2}").parse().ok();
    parsed.filter(|share| (1..=10_000).contains(share)).ok_or(EXPECTED)
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a day, such as 2026-11-20".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_percent() {
        for (text, expected) in [("1%", 100), ("0.01%", 1), ("2.5%", 250), ("100%", 10_000), ("100.00%", 10_000)] {
            assert_eq!(share(text), Ok(expected), "{text}");
        }
        for text in ["", "1", "%", "0%", "0.001%", "100.01%", "-1%", "1.%", ".5%", "1e1%", "99999999999%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}

//! Arguments of `tollgate audit`.

use std::path::PathBuf;

use access::Day;
use clap::Args;

use super::Place;

pub(super) const AUDIT_EXAMPLES: &str = "Examples:
  # Audit this month
  tollgate audit
  tollgate audit --since 2026-11-01 --json
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

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a day, such as 2026-11-20".to_owned())
}

//! `tollgate audit`.

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

The audit adds up requests, credits, tokens and money by key and day, and compares events, daily totals, the use of budgets \
and leases. It can run while servers run. The exit code is 0 if all figures agree, and 3 if they differ.

A report is a page of OpenAI's usage or costs (GET /v1/organization/usage/completions or /costs), of Anthropic's \
(/v1/organizations/usage_report/messages or /cost_report), or CSV whose header names the columns date, model, \
requests, input_tokens, cached_input_tokens, output_tokens and cost_usd, separated by commas";

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The first day, of UTC [default: the first of this month; with a report its first day]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(crate) since: Option<Day>,
    /// The last day [default: today; with a report its last day that is over]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(crate) until: Option<Day>,
    /// Make daily totals what the events say, and look again
    #[arg(long)]
    pub(crate) repair: bool,
    /// As JSON; money in billionths of a dollar
    #[arg(long)]
    pub(crate) json: bool,
    /// Compare what was recorded with a provider's own figures, by day and model
    #[arg(long, value_name = "FILE", conflicts_with = "repair")]
    pub(crate) provider_report: Option<PathBuf>,
    /// Whose report it is, as the configuration names it [default: the one provider of the report's kind]
    #[arg(long, value_name = "NAME", requires = "provider_report")]
    pub(crate) provider: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a day as in 2026-11-20".to_owned())
}

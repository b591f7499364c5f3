//! `tollgate audit`.

use std::path::PathBuf;

use access::Day;
use clap::Args;

use super::Place;

pub(super) const AUDIT_EXAMPLES: &str = "Examples:
  tollgate audit                                            this month: does everything add up?
  tollgate audit --since 2026-11-01 --until 2026-11-07 --json
  tollgate audit --repair                                   make totals what the events say
  tollgate audit --provider-report usage.json               and what a provider says that it counted
  tollgate audit --provider-report october.csv --provider azure

It re-adds requests, credits, tokens and money by key and day: events = daily totals = what budgets count as spent = leases.
It works beside running servers. The exit code is 0 where everything agrees, and 3 where figures part.

A report is a page of OpenAI's usage or costs (GET /v1/organization/usage/completions or /costs), of Anthropic's
(/v1/organizations/usage_report/messages or /cost_report), or CSV with a header such as
date,model,requests,input_tokens,cached_input_tokens,output_tokens,cost_usd";

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

//! Arguments of `tollgate budgets`.

use access::amounts::usd;
use access::{Amount, Credits, LimitPeriod, Measure, NanoUsd, Tokens, Zone};
use anyhow::Context;
use clap::{Args, Subcommand};

use super::Place;

pub(super) const BUDGETS_EXAMPLES: &str = "Examples:
  tollgate budgets set --user ada@example.com \\
      --money '5 USD' --per day
  tollgate budgets set --tokens 1000000 --per month \\
      --key 0199aa00-0000-7000-8000-000000000000
  # All users of a plan together
  tollgate budgets set --plan pro --credits 500000 --per day
  tollgate budgets set --global --money '50 USD' --per month
  # A window of a user that opens with the first call
  tollgate budgets set --user ada@example.com \\
      --credits 400 --per 5h --from first_use
  # Remove a budget
  tollgate budgets set --user ada@example.com \\
      --none money --per day
  tollgate budgets list

Servers may be running; they apply the change within a second. Earlier usage in the same period counts. Budgets for \
each user of a plan, or for every user or key, are part of the configuration: plans[].budgets and budgets.limits.";

#[derive(Debug, Args)]
pub(crate) struct BudgetsCommands {
    #[command(subcommand)]
    pub(crate) command: BudgetsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetsCommand {
    /// Set, change or remove a budget
    Set(SetBudget),
    /// List budgets with the amounts used and left in this period
    List {
        /// Print JSON; money is in nano-USD
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetBudget {
    #[command(flatten)]
    pub(crate) scope: ScopeFlags,
    #[command(flatten)]
    pub(crate) amount: AmountFlags,
    /// Period: `day`, `week` or `month`; for a user also `period`, the paid one, or `1m` to `90d`
    #[arg(long, value_name = "PERIOD")]
    per: String,
    /// Begin of a user's window: `first_use`, `calendar` or `subscription`
    #[arg(long, value_name = "BEGIN")]
    from: Option<String>,
    /// Time zone of a user's days, weeks and months
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    timezone: Zone,
    #[command(flatten)]
    pub(crate) place: Place,
}

impl SetBudget {
    /// Returns the period.
    ///
    /// # Errors
    /// The words are those of no period.
    pub(crate) fn period(&self) -> anyhow::Result<LimitPeriod> {
        let Self { per, from, timezone, .. } = self;
        let period = LimitPeriod::of_words(per, from.as_deref(), *timezone);
        period.context(
            "expected --per day, week or month; or for a user --per period, or 1m to 90d with --from first_use or subscription",
        )
    }
}

/// The scope of the budget.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ScopeFlags {
    /// Address or id of a user, or the name of a service user; all keys of the user count together
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Id of a key, as `keys list` shows it
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Name of a plan; all users of the plan count together
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// All users count together
    #[arg(long)]
    pub(crate) global: bool,
}

/// The measure and amount of the budget.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AmountFlags {
    /// Maximum cost, such as '12.50 USD'; 0 allows only requests without a cost
    #[arg(long, value_name = "AMOUNT", value_parser = money)]
    pub(crate) money: Option<NanoUsd>,
    /// Maximum number of credits
    #[arg(long, value_name = "N")]
    pub(crate) credits: Option<u64>,
    /// Maximum number of tokens of all classes
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,
    /// Remove the budget of this measure: `money`, `credits` or `tokens`
    #[arg(long, value_name = "MEASURE", value_parser = measure)]
    pub(crate) none: Option<Measure>,
}

impl AmountFlags {
    /// The measure, and the amount or `None` to remove the budget.
    pub(crate) fn measure_and_amount(&self) -> Option<(Measure, Option<Amount>)> {
        let Self { money, credits, tokens, none } = *self;
        let flags = [
            (Measure::Money, money.map(Amount::of_money)),
            (Measure::Credits, credits.map(Credits::whole).map(Amount::of_credits)),
            (Measure::Tokens, tokens.map(Tokens).map(Amount::of_tokens)),
        ];
        let flags = flags.into_iter().find(|(_, amount)| amount.is_some());
        flags.or(none.map(|measure| (measure, None)))
    }
}

fn money(text: &str) -> Result<NanoUsd, String> {
    usd::parse_money(text).map_err(|expected| format!("expected {expected}"))
}

fn measure(text: &str) -> Result<Measure, String> {
    Measure::parse(text).ok_or_else(|| "expected `money`, `credits` or `tokens`".to_owned())
}

fn zone(name: &str) -> Result<Zone, String> {
    Zone::parse(name).ok_or_else(|| "expected the name of a time zone, such as `Asia/Jakarta`".to_owned())
}

//! `tollgate budgets`.

use access::{Measure, Per, usd};
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
  # Remove a budget
  tollgate budgets set --user ada@example.com \\
      --none money --per day
  tollgate budgets list

These commands can run while servers run. Servers apply the change within a second. Use that precedes the budget in the \
same period counts. Budgets for each user of a plan, or for each user or key, are configured: plans[].budgets and \
budgets.limits.";

#[derive(Debug, Args)]
pub(crate) struct BudgetsCommands {
    #[command(subcommand)]
    pub(crate) command: BudgetsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetsCommand {
    /// Set a budget, give it another amount, or remove it
    Set(SetBudget),
    /// List what was set, with what is recorded of it in this period and what is left
    List {
        /// As JSON; money in billionths of a dollar
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetBudget {
    #[command(flatten)]
    pub(crate) whom: Whom,
    #[command(flatten)]
    pub(crate) amount: Amount,
    /// Its period, of UTC: `day` or `month`
    #[arg(long, value_name = "PERIOD", value_parser = per)]
    pub(crate) per: Per,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Whom it holds.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whom {
    /// One user, over all of their keys: its address or id
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// One key: its id, as `keys list` shows it
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Everybody on a plan together: its name
    #[arg(long)]
    pub(crate) plan: Option<String>,
    /// Everybody
    #[arg(long)]
    pub(crate) global: bool,
}

/// How much of what.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Amount {
    /// What calls may cost: '12.50 USD'; zero admits only what costs nothing
    #[arg(long, value_name = "AMOUNT", value_parser = money)]
    pub(crate) money: Option<u64>,
    /// Credits of the quota
    #[arg(long, value_name = "N")]
    pub(crate) credits: Option<u64>,
    /// Tokens of every class, summed
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,
    /// Remove the budget of this measure: `money`, `credits` or `tokens`
    #[arg(long, value_name = "MEASURE", value_parser = measure)]
    pub(crate) none: Option<Measure>,
}

impl Amount {
    /// The measure, and how much of it.
    pub(crate) fn of(&self) -> Option<(Measure, Option<u64>)> {
        let Self { money, credits, tokens, none } = *self;
        let given = [(Measure::Money, money), (Measure::Credits, credits), (Measure::Tokens, tokens)];
        let given = given.into_iter().find(|(_, amount)| amount.is_some());
        given.or(none.map(|measure| (measure, None)))
    }
}

fn money(text: &str) -> Result<u64, String> {
    usd::parse_money(text).map_err(|expected| format!("expected {expected}"))
}

fn measure(text: &str) -> Result<Measure, String> {
    Measure::parse(text).ok_or_else(|| "expected `money`, `credits` or `tokens`".to_owned())
}

fn per(text: &str) -> Result<Per, String> {
    Per::parse(text).ok_or_else(|| "expected `day` or `month`".to_owned())
}

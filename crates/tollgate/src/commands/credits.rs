//! `tollgate credits price`: what a call costs in each plan.

use std::process::ExitCode;

use access::{Clock, Credits, Timestamp, Tokens};
use anyhow::Context;
use config::Flags;
use config::snapshot::Traffic;
use meter::{Source, Usage};
use serde_json::{Value, json};

use crate::cli::{CreditsCommand, CreditsCommands, PriceCredits};
use crate::commands::{load, printable};
use crate::terminal::say;

/// The cost of the call in one plan.
#[derive(Debug, PartialEq, Eq)]
struct PlanCost<'a> {
    plan: &'a str,
    /// `None` if the plan does not include the model.
    credits: Option<Credits>,
    /// Whether the credits depend on the tokens.
    by_tokens: bool,
}

/// Runs the command and prints its result.
pub(crate) fn run(args: &CreditsCommands) -> anyhow::Result<ExitCode> {
    let CreditsCommand::Price(price) = &args.command;
    let snapshot = load(&price.place, &Flags::default())?.snapshot;
    let costs = costs(&snapshot.traffic, price, Clock::system().now())?;
    say(&if price.json { format!("{:#}\n", in_json(&costs)) } else { table(&costs) });
    Ok(ExitCode::SUCCESS)
}

/// Returns the cost in each plan of the configuration.
fn costs<'a>(traffic: &'a Traffic, price: &PriceCredits, at: Timestamp) -> anyhow::Result<Vec<PlanCost<'a>>> {
    let tokens = |count: u64| Some(Tokens(count)).filter(|tokens| !tokens.is_zero());
    let usage = Usage {
        input: tokens(price.input),
        output: tokens(price.output),
        cached_input: tokens(price.cached_input),
        cache_write_short: tokens(price.cache_write),
        ..Usage::empty(Source::Counted)
    };
    let mut is_served = false;
    let cost = |plan: &'a access::Plan| {
        let asked = traffic.meant_in_plan(Some(&plan.name), &price.model);
        let model = traffic.described_name(asked, at);
        is_served |= model.is_some();
        let model = if traffic.plan_includes(&plan.name, asked) { model } else { None };
        let rates = traffic.credit_rates.of_plan(&plan.name);
        let credits = model.and_then(|model| match rates {
            Some(rates) => {
                let price = rates.price(asked, &model.provider.name, model.model);
                Some(price.cost(&usage).max(rates.minimum))
            }
            None => traffic.flat_credits(asked),
        });
        PlanCost { plan: &plan.name, credits, by_tokens: rates.is_some() }
    };
    let costs: Vec<PlanCost<'_>> = traffic.plans.iter().map(cost).collect();
    is_served.then_some(costs).with_context(|| {
        format!("no provider serves the model {}: `tollgate prices list` lists known models", printable(&price.model))
    })
}

/// Returns one line per plan.
fn table(costs: &[PlanCost<'_>]) -> String {
    let width = costs.iter().map(|cost| cost.plan.len()).max().unwrap_or(0).max("PLAN".len());
    let line = |PlanCost { plan, credits, by_tokens }: &PlanCost<'_>| {
        let credits = credits.map_or_else(|| "-".to_owned(), |credits| credits.to_string());
        let kind = if *by_tokens { "by tokens" } else { "flat" };
        format!("{plan:width$}  {credits:>16}  {kind}\n")
    };
    let heading = format!("{:width$}  {:>16}  CREDITS\n", "PLAN", "COST");
    std::iter::once(heading).chain(costs.iter().map(line)).collect()
}

fn in_json(costs: &[PlanCost<'_>]) -> Value {
    let plan = |PlanCost { plan, credits, by_tokens }: &PlanCost<'_>| json!({"plan": plan, "credits": credits, "by_tokens": by_tokens});
    json!({"plans": costs.iter().map(plan).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plan_has_a_line_with_its_credits() {
        let costs = [
            PlanCost { plan: "starter", credits: Some(Credits(3_500_000)), by_tokens: true },
            PlanCost { plan: "pro", credits: None, by_tokens: false },
        ];
        let expected = "PLAN                 COST  CREDITS\n\
                        starter               3.5  by tokens\n\
                        pro                     -  flat\n";
        assert_eq!(table(&costs), expected);
        assert_eq!(
            in_json(&costs),
            json!({"plans": [
                {"plan": "starter", "credits": 3.5, "by_tokens": true}, {"plan": "pro", "credits": null, "by_tokens": false},
            ]})
        );
    }
}

//! `tollgate plans list` and `tollgate plans apply`.

use std::process::ExitCode;

use access::Plan;
use config::snapshot::Traffic;
use config::{Flags, Setting};
use store::{Actor, PlanDifference, PlanDifferences, PlanError, Store};

use crate::cli::{PlansCommand, PlansCommands};
use crate::commands::settings::{ActiveConfiguration, in_force};
use crate::commands::{block_on, load, open, printable};
use crate::failure::{self, StartFault};
use crate::terminal::say;

/// Runs the command against the store.
pub(crate) fn run(args: &PlansCommands) -> anyhow::Result<ExitCode> {
    let (PlansCommand::List { place } | PlansCommand::Apply { place, .. }) = &args.command;
    let flags = Flags::default();
    let snapshot = match &args.command {
        PlansCommand::List { .. } => load(place, &flags)?.snapshot,
        PlansCommand::Apply { .. } => {
            let (loaded, found) = in_force(load(place, &flags)?, &flags, place);
            if let ActiveConfiguration::Unknown(reason) = found {
                return Err(StartFault::InForceUnknown { reason }.into());
            }
            let is_plan = |setting: &Setting| setting.key.starts_with("plans[") && setting.from.kind() != "default";
            // The built-in plans must not replace those of the store.
            if !loaded.settings().iter().any(is_plan) {
                return Err(StartFault::PlansMissing.into());
            }
            loaded.snapshot
        }
    };
    block_on(async {
        let store = open(&snapshot.process).await?;
        let output = act(&store, &snapshot.traffic, &args.command).await;
        store.close().await;
        say(&output.map_err(|error| failure::of_store(&snapshot.process, error))?);
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs the command, and returns its output.
async fn act(store: &Store, traffic: &Traffic, command: &PlansCommand) -> Result<String, PlanError> {
    Ok(match command {
        PlansCommand::List { .. } => store.plans().await?.iter().map(|plan| line(' ', plan)).collect(),
        PlansCommand::Apply { dry_run: true, .. } => listing(
            &store.compare_plans(&traffic.plans).await?,
            "nothing was changed: `plans apply` would make these changes",
        ),
        PlansCommand::Apply { dry_run: false, .. } => {
            let done = store.apply_plans(&Actor::COMMAND, &traffic.plans).await?;
            listing(&done, "done; running servers apply it within a second")
        }
    })
}

/// Lists added plans with `+`, and changed plans before (`-`) and after (`+`) the change.
fn listing(differences: &PlanDifferences, end: &str) -> String {
    if differences.is_empty() {
        return "the limits of the plans in the store match the configuration: nothing was changed; servers apply prices themselves\n".to_owned();
    }
    let mut text: String = differences.absent.iter().map(|plan| line('+', plan)).collect();
    for PlanDifference { stored, configured } in &differences.differing {
        text.push_str(&line('-', stored));
        text.push_str(&line('+', configured));
    }
    text.push_str(end);
    text.push('\n');
    text
}

fn line(sign: char, plan: &Plan) -> String {
    let Plan { name, credits_per_day, requests_per_minute, budgets, shared_keys } = plan;
    let limit = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".to_owned());
    let credits = limit(credits_per_day.map(|credits| credits.to_string()));
    let requests = limit(requests_per_minute.map(|requests| requests.to_string()));
    let shared = if *shared_keys { "shared keys" } else { "own keys only" };
    let budgets: String = budgets.iter().map(|budget| format!("; {budget}")).collect();
    let name = printable(name);
    format!("{sign} {name:<16}  credits_per_day {credits:<10}  requests_per_minute {requests:<8}  {shared}{budgets}\n")
}

#[cfg(test)]
mod tests {
    use access::{Amount, Budget, Credits, LimitPeriod, Measure};

    use super::*;

    #[test]
    fn differences_are_shown_as_they_were_and_as_they_are() {
        let money = Budget::new(Measure::Money, LimitPeriod::Day, Amount(20_000_000_000));
        let budgets = vec![Budget::new(Measure::Tokens, LimitPeriod::Month, Amount(5)), money];
        let starter = Plan { credits_per_day: Some(Credits::whole(1_000)), ..Plan::unlimited("starter") };
        let differences = PlanDifferences {
            absent: vec![Plan { shared_keys: false, budgets, ..Plan::unlimited("free") }],
            differing: vec![PlanDifference { stored: starter, configured: Plan::unlimited("starter") }],
        };
        assert_eq!(
            listing(&differences, "end"),
            "+ free              credits_per_day no limit    requests_per_minute no limit  own keys only; \
             5 tokens a month; 20 USD a day\n\
             - starter           credits_per_day 1000        requests_per_minute no limit  shared keys\n\
             + starter           credits_per_day no limit    requests_per_minute no limit  shared keys\n\
             end\n"
        );
        assert!(listing(&PlanDifferences::default(), "end").contains("nothing was changed"));
    }
}

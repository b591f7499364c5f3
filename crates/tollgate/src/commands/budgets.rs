//! `tollgate budgets set` and `tollgate budgets list`.

use std::process::ExitCode;

use access::{Amount, Budget, BudgetScope, BudgetWindow, Clock, Minute, Plan, Timestamp, UserId};
use anyhow::Context;
use config::Flags;
use meter::Period;
use serde_json::{Value, json};
use store::{Actor, BudgetHolder, ScopeIds, Store, StoredBudget};

use crate::cli::{BudgetsCommand, BudgetsCommands, ScopeFlags, SetBudget};
use crate::commands::keys::id;
use crate::commands::{amounts, block_on, last4, load, load_for_store, moment, open, printable, user};
use crate::terminal::say;

/// Runs the command against the store.
pub(crate) fn run(args: &BudgetsCommands) -> anyhow::Result<ExitCode> {
    let (BudgetsCommand::Set(SetBudget { place, .. }) | BudgetsCommand::List { place, .. }) = &args.command;
    let process = load_for_store(place)?;
    block_on(async {
        let store = open(&process).await?;
        let output = match &args.command {
            BudgetsCommand::Set(flags) => set(&store, flags).await,
            BudgetsCommand::List { json, .. } => list(&store, *json).await,
        };
        store.close().await;
        say(&output?);
        if matches!(args.command, BudgetsCommand::List { json: false, .. }) {
            // A file that needs variables of a server cannot be read here; the budgets of the store are listed anyway.
            let configured = load(place, &Flags::default()).map_or(0, |of| of.snapshot.traffic.budgets.limits.len());
            if configured > 0 {
                say(&format!("{configured} more budgets are configured in budgets.limits: `tollgate config show`\n"));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn set(store: &Store, flags: &SetBudget) -> anyhow::Result<String> {
    let per = flags.period()?;
    let SetBudget { scope, amount, .. } = flags;
    let holder = holder(store, scope).await?;
    let (measure, amount) = amount.measure_and_amount().context("no amount was given")?;
    let of_plan = match (&scope.user, amount) {
        (Some(name), Some(amount)) => lower(&user(store, name).await?.plan, Budget::new(measure, per, amount)),
        (None, _) | (_, None) => String::new(),
    };
    let changed = store.set_budget(&Actor::COMMAND, &holder, measure, per, amount).await?;
    Ok(match (changed, amount) {
        (true, Some(amount)) => {
            format!("{}; running servers apply it within a second\n{of_plan}", Budget::new(measure, per, amount))
        }
        (true, None) => "removed; running servers apply it within a second\n".to_owned(),
        (false, Some(_)) => format!("the budget has this amount already: nothing was changed\n{of_plan}"),
        (false, None) => "this budget does not exist: nothing was changed\n".to_owned(),
    })
}

/// Returns a line about the budget of the user's plan, if it is lower than the user's own one; otherwise nothing.
fn lower(plan: &Plan, own: Budget) -> String {
    let is_lower = |of: &&Budget| of.measure == own.measure && of.per == own.per && of.amount < own.amount;
    let lower = plan.budgets.iter().find(is_lower);
    let line = |of| format!("the budget of the plan {} is lower, and remains in force: {of}\n", printable(&plan.name));
    lower.map(line).unwrap_or_default()
}

async fn holder(store: &Store, scope: &ScopeFlags) -> anyhow::Result<BudgetHolder> {
    Ok(match scope {
        ScopeFlags { user: Some(name), .. } => BudgetHolder::User(user(store, name).await?.id),
        ScopeFlags { key: Some(key), .. } => BudgetHolder::Key(id(key)?),
        ScopeFlags { plan: Some(name), .. } => BudgetHolder::Plan(name.clone()),
        ScopeFlags { .. } => BudgetHolder::Global,
    })
}

/// A budget with the amount used in its period.
struct BudgetUsage {
    stored: StoredBudget,
    period: Period,
    spent: Amount,
}

async fn list(store: &Store, json: bool) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let mut listed = Vec::new();
    let budgets = store.budgets().await?;
    let ids = store.scope_ids(budgets.iter().map(|stored| stored.scope)).await?;
    for stored in budgets {
        listed.push(BudgetUsage::load(store, stored, now).await?);
    }
    Ok(match listed.as_slice() {
        all if json => {
            let budgets: Vec<Value> = all.iter().map(BudgetUsage::json).collect();
            format!("{:#}\n", json!({"budgets": budgets}))
        }
        [] => "no budget is set: see `tollgate budgets set --help`\n".to_owned(),
        all => all.iter().map(|listed| listed.line(&ids)).collect(),
    })
}

impl BudgetUsage {
    async fn load(store: &Store, mut stored: StoredBudget, now: Timestamp) -> anyhow::Result<Self> {
        let user = UserId(stored.scope_id);
        if stored.budget.per.is_of_subscription()
            && let Some(dates) = store.subscription_dates(&[user]).await?.get(&user)
        {
            stored.budget = stored.budget.for_subscriber(*dates);
        }
        let per = stored.budget.per;
        let open = match per.window().is_some_and(BudgetWindow::opens_with_use) {
            true => store.open_window(stored.scope, per, Minute::containing(now)).await?,
            false => None,
        };
        let period = open.unwrap_or_else(|| Period::containing(per, now));
        let spent = store.charge_of(stored.scope, period).await?.amount_of(stored.budget.measure);
        Ok(Self { stored, period, spent })
    }

    fn left(&self) -> Amount {
        self.stored.budget.amount.saturating_sub(self.spent)
    }

    fn line(&self, ids: &ScopeIds) -> String {
        let StoredBudget { scope, scope_id, name, budget, .. } = &self.stored;
        let name = printable(name);
        let scope = match scope {
            BudgetScope::Key(no) => format!("key {scope_id}{} {name}", last4(ids, *no)),
            BudgetScope::User(_) => format!("user {name}"),
            BudgetScope::Subject(_) => format!("subject {name}"),
            BudgetScope::Plan(_) => format!("plan {name}"),
            BudgetScope::Global => "all users".to_owned(),
        };
        let [spent, left] = [self.spent, self.left()].map(|amount| budget.measure.written(amount));
        format!("{scope:<32}  {budget}; {spent} spent, {left} left until {}\n", moment(self.period.end()))
    }

    fn json(&self) -> Value {
        let StoredBudget { scope, scope_id, name, budget, .. } = &self.stored;
        let scope = match scope {
            BudgetScope::Key(_) => "key",
            BudgetScope::User(_) => "user",
            BudgetScope::Subject(_) => "subject",
            BudgetScope::Plan(_) => "plan",
            BudgetScope::Global => "global",
        };
        let amount = |amount| amounts::in_json(budget.measure, amount);
        json!({
            "subject": scope,
            "id": scope_id,
            "name": name,
            "measure": budget.measure.as_str(),
            "per": budget.per.to_string(),
            "amount": amount(budget.amount),
            "spent": amount(self.spent),
            "left": amount(self.left()),
            "resets_at": moment(self.period.end()),
        })
    }
}

#[cfg(test)]
mod tests {
    use access::{LimitPeriod, Measure, UserNo};

    use super::*;

    #[test]
    fn a_lower_budget_of_the_plan_is_named() {
        let of = |amount, per| Budget::new(Measure::Money, per, Amount(amount));
        let plan = Plan { budgets: vec![of(5_000_000_000, LimitPeriod::Day)], ..Plan::unlimited("pro") };
        let line = "the budget of the plan pro is lower, and remains in force: 5 USD a day\n";
        assert_eq!(lower(&plan, of(5_000_000_001, LimitPeriod::Day)), line);
        assert_eq!(lower(&plan, of(5_000_000_000, LimitPeriod::Day)), "");
        assert_eq!(lower(&plan, of(5_000_000_001, LimitPeriod::Month)), "");
    }

    #[test]
    fn a_budget_is_listed_with_its_remaining_amount() {
        let budget = Budget::new(Measure::Money, LimitPeriod::Month, Amount(5_000_000_000));
        let name = "ada\u{1b}@example.com".to_owned();
        let stored = StoredBudget {
            id: store::EVERYBODY,
            scope: BudgetScope::User(UserNo(1)),
            scope_id: store::EVERYBODY,
            name,
            budget,
        };
        let mut listed = BudgetUsage {
            stored,
            period: Period::containing(LimitPeriod::Month, access::Day(20_777)),
            spent: Amount(1_250_000_000),
        };
        let line = listed.line(&ScopeIds::default());
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "user ada\\u{1b}@example.com 5 USD a month; 1.25 USD spent, 3.75 USD left until 2026-12-01T00:00:00Z"
        );
        listed.spent = Amount(6_000_000_000);
        assert_eq!(
            (listed.json()["left"].clone(), listed.json()["spent"].clone()),
            (json!(0), json!(6_000_000_000_u64))
        );
    }
}

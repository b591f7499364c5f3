//! `tollgate billing`: closes the billing periods that have ended, lists periods, and tries the price of a plan.

use std::process::ExitCode;

use access::{Currency, Money, PlanPrice};
use anyhow::Context;
use billing::books::ShadowDraft;
use billing::close::{CloseCounts, UnclosedPeriod};
use billing::{Books, SignoffRoles};
use config::Flags;
use ledger::billing::{BilledPeriod, PeriodFilter, PeriodState, billed_periods, charged_usage};
use store::{Actor, Store};
use uuid::Uuid;

use crate::cli::{BillingCommand, BillingCommands};
use crate::commands::{block_on, load, open, printable};
use crate::terminal::say;

/// Exit code if a period could not be closed.
const FAILED: u8 = 1;
/// Number of periods or users that are read at a time.
const PAGE: u32 = 200;

/// Runs the command against the store.
pub(crate) fn run(args: &BillingCommands) -> anyhow::Result<ExitCode> {
    let (BillingCommand::Close { place, .. }
    | BillingCommand::List { place, .. }
    | BillingCommand::Shadow { place, .. }) = &args.command;
    let snapshot = load(place, &Flags::default())?.snapshot;
    let process = &snapshot.process;
    let billing = &snapshot.traffic.billing;
    if !billing.is_enabled {
        anyhow::bail!(
            "billing_disabled: the configuration does not enable billing: pass the file with billing.enabled, or use the \
             admin API if billing was turned on there"
        );
    }
    block_on(async {
        let store = open(process).await?;
        let roles = snapshot.traffic.insights.signoff.roles.clone();
        let books = Books::new(store.clone(), control::billing_settings(billing, process.mail.is_some()), None)
            .with_signoff_roles(SignoffRoles::new(move || roles.clone()));
        let done = match &args.command {
            BillingCommand::Close { last_day, .. } => close(&store, &books, *last_day).await,
            BillingCommand::List { state, .. } => list(&store, *state).await,
            BillingCommand::Shadow { plan, months, .. } => {
                shadow(&books, plan, &snapshot.traffic.plan_prices, *months).await
            }
        };
        store.close().await;
        done
    })
}

async fn close(store: &Store, books: &Books, last_day: Option<access::Day>) -> anyhow::Result<ExitCode> {
    let counts = books.close_all(&Actor::COMMAND, last_day).await?;
    let behind = if counts.waiting > 0 { charged_usage::behind(store).await? } else { None };
    say(&in_words(&counts, behind));
    if !counts.failures.is_empty() {
        telemetry::logs::write_stderr(causes(&counts));
    }
    Ok(if counts.failed > 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// Lists periods page by page.
async fn list(store: &Store, state: Option<PeriodState>) -> anyhow::Result<ExitCode> {
    let of = PeriodFilter { user: None, state };
    let today = store.clock().now().day();
    let mut before = Uuid::max();
    let mut count = 0;
    loop {
        let page = billed_periods::page(store, of, today, before, PAGE).await?;
        let Some(last) = page.last() else { break };
        before = last.id;
        count += page.len();
        say(&page.iter().map(line).collect::<String>());
    }
    if count == 0 {
        say("no subscription has such a period\n");
    }
    Ok(ExitCode::SUCCESS)
}

fn line(of: &BilledPeriod) -> String {
    let BilledPeriod { first_day, last_day, plan, version, user, .. } = of;
    let invoice = of.invoice.as_ref().map_or_else(
        || "no invoice".to_owned(),
        |invoice| format!("{} ({})", invoice.number.as_deref().unwrap_or("no number"), invoice.state.as_str()),
    );
    let state = of.state.as_str();
    let plan = printable(plan);
    let name = printable(&user.name);
    format!("{first_day} to {last_day}  {state:<7}  {plan} version {version}  {invoice}  user {} {name}\n", user.id)
}

/// Prints the amounts of users page by page, and their sums.
async fn shadow(books: &Books, plan: &str, prices: &[(String, PlanPrice)], months: u32) -> anyhow::Result<ExitCode> {
    let found = prices.iter().find(|(name, _)| name == plan);
    let (_, price) =
        found.with_context(|| format!("the configuration has no plan {} with a price", printable(plan)))?;
    let mut after = Uuid::nil();
    let mut count = 0;
    let mut now = 0_i64;
    let mut then = 0_i64;
    loop {
        let bills = books.shadow(&ShadowDraft { price, months, after, limit: PAGE }).await?;
        let Some(last) = bills.users.last() else { break };
        after = last.user.0;
        for of in &bills.users {
            count += 1;
            (now, then) = (now.saturating_add(of.now), then.saturating_add(of.then));
            say(&format!("{}  {}\n", of.user, compared(of.now, of.then, bills.currency)));
        }
    }
    say(&format!("{count} users: {}\n", compared(now, then, price.price.currency)));
    Ok(ExitCode::SUCCESS)
}

fn compared(now: i64, then: i64, currency: Currency) -> String {
    let [now, then, difference] =
        [now, then, then.saturating_sub(now)].map(|amount| Money { amount, currency }.to_string());
    format!("{now} now, {then} then, difference {difference}")
}

fn in_words(counts: &CloseCounts, behind: Option<Uuid>) -> String {
    let CloseCounts { made, closed, waiting, failed, signed, unsigned, held, .. } = counts;
    let mut text = format!("{made} new invoices of {closed} periods\n");
    if *waiting > 0 {
        let last = behind.map(|node| format!(" (the last one is {node})")).unwrap_or_default();
        text.push_str(&format!(
            "{waiting} periods wait for billing.close_after, or until the usage of every node{last} is stored\n"
        ));
    }
    if *signed > 0 {
        text.push_str(&format!("{signed} invoices were opened, as all their days are signed off\n"));
    }
    if *unsigned > 0 {
        text.push_str(&format!("{unsigned} invoices wait for days that are not signed off in insights\n"));
    }
    if *held > 0 {
        text.push_str(&format!("{held} invoices wait for finance\n"));
    }
    if *failed > 0 {
        text.push_str(&format!("{failed} periods could not be closed\n"));
    }
    text
}

/// Returns the causes for which periods could not be closed, one per line.
fn causes(counts: &CloseCounts) -> String {
    let line = |of: &UnclosedPeriod| format!("subscription {}: {}\n", of.subscription, printable(&of.cause));
    let mut text: String = counts.failures.iter().map(line).collect();
    let more = counts.failed.saturating_sub(counts.failures.len());
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_prints_0_new() {
        assert_eq!(in_words(&CloseCounts::default(), None), "0 new invoices of 0 periods\n");
        assert_eq!(causes(&CloseCounts::default()), "");
        let counts =
            CloseCounts { made: 2, closed: 3, waiting: 1, failed: 1, signed: 1, unsigned: 2, ..CloseCounts::default() };
        assert_eq!(in_words(&counts, None).lines().count(), 5);
    }

    #[test]
    fn periods_that_are_not_closed_have_a_cause() {
        let id = Uuid::from_u128(7);
        let failures = vec![UnclosedPeriod { subscription: id, cause: "no rate\u{1b}[2J".to_owned() }];
        let counts = CloseCounts { waiting: 1, failed: 3, failures, ..CloseCounts::default() };
        let text = in_words(&counts, Some(id));
        assert!(text.contains(&format!("every node (the last one is {id}) is stored\n3 periods could")), "{text}");
        assert_eq!(causes(&counts), format!("subscription {id}: no rate\\u{{1b}}[2J\nand 2 more\n"));
    }

    #[test]
    fn a_lower_price_is_a_negative_difference() {
        let text = compared(150_000, 100_000, Currency::Idr);
        assert_eq!(text, "150000 IDR now, 100000 IDR then, difference -50000 IDR");
    }
}

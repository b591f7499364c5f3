//! `tollgate audit`: checks that stored figures are consistent, or compares them with a provider's report.

mod report;
mod told;

use std::process::ExitCode;

use access::{Clock, Day};
use anyhow::bail;
use config::Snapshot;
use config::load::Flags;
use meter::{Per, Period};
use store::{Actor, Days, Reconciliation, RepairedTotals, Store};

use crate::cli::Audit;
use crate::commands::{block_on, load, open, say};
use crate::failure;

/// Exit code if figures differ.
const DIFFERS: u8 = 3;

/// Runs the command against the store.
pub(crate) fn run(args: &Audit) -> anyhow::Result<ExitCode> {
    let snapshot = load(&args.place, &Flags::default())?.snapshot;
    let report = args.provider_report.as_deref().map(report::read).transpose()?;
    block_on(async {
        let store = open(&snapshot).await?;
        let today = Clock::system().now().day();
        let done = match report {
            Some(report) => report::compare(&store, &snapshot, (args, report), today).await,
            None => reconcile(&store, &snapshot, args, today).await,
        };
        store.close().await;
        let (said, agrees) = done?;
        say(&said);
        Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
    })
}

/// Returns the report, and whether all figures agree.
async fn reconcile(store: &Store, snapshot: &Snapshot, args: &Audit, today: Day) -> anyhow::Result<(String, bool)> {
    let days = days(args, (Period::of(Per::Month, today).first(), today))?;
    let failed = |error| failure::of_store(snapshot, error);
    let mut found = store.reconcile(days).await.map_err(failed)?;
    let told = async |found: &Reconciliation, repaired: Option<RepairedTotals>| {
        let ids = store.subject_ids(told::subjects(found)).await.map_err(failed)?;
        anyhow::Ok(match args.json {
            true => format!("{:#}\n", told::in_json(days, found, (repaired, &ids))),
            false => told::in_words(days, found, (repaired, &ids)),
        })
    };
    let mut repaired = None;
    if args.repair {
        let done = store.repair_totals(&Actor::COMMAND, days).await;
        if done.is_err() {
            say(&told(&found, None).await?);
        }
        let done = done.map_err(failed)?;
        if done.is_any() {
            found = store.reconcile(days).await.map_err(failed)?;
        }
        repaired = Some(done);
    }
    Ok((told(&found, repaired).await?, found.agrees()))
}

/// Returns the requested days; `usual` are the defaults.
fn days(args: &Audit, usual: (Day, Day)) -> anyhow::Result<Days> {
    let (first, last) = (args.since, args.until);
    let last = last.unwrap_or_else(|| usual.1.max(first.unwrap_or_default()));
    // If the last day is in a past month, the default is the first day of that month.
    let first = first.unwrap_or_else(|| if last < usual.0 { Period::of(Per::Month, last).first() } else { usual.0 });
    if first > last {
        bail!("--since {first} is later than --until {last}");
    }
    Ok(Days { first, last })
}

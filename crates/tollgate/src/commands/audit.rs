//! `tollgate audit`: checks that stored figures are consistent, or compares them with a provider's report.

mod books;
mod days;
mod output;
mod report;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use access::{Clock, Day};
use anyhow::bail;
use cluster::{Cluster, OpenLease};
use config::Flags;
use config::snapshot::Process;
use ledger::billing::postings::BillingDifferences;
use ledger::{AuditProgress, Ledger, Reconciliation, RepairedTotals, Sample};
use meter::{LimitPeriod, Period};
use store::{Actor, Store};

use crate::cli::Audit;
use crate::commands::{block_on, load, load_for_store, open};
use crate::failure;
use crate::terminal::say;

/// Exit code if figures differ.
const DIFFERS: u8 = 3;

/// What an audit found.
struct AuditReport {
    found: Reconciliation,
    /// The compared part of the totals; `None` for all.
    sample: Option<Sample>,
    /// Leases of nodes that do not respond, as of now.
    unusable: Vec<OpenLease>,
    /// The corrected totals; `None` if none were to be corrected.
    repaired: Option<RepairedTotals>,
    /// The last day with usage, if it is in the future.
    future: Option<Day>,
    /// Differences of the books of billing.
    books: Vec<BillingDifferences>,
}

impl AuditReport {
    fn agrees(&self) -> bool {
        self.found.agrees() && self.books.is_empty() && self.future.is_none()
    }
}

/// Runs the command against the store.
pub(crate) fn run(args: &Audit) -> anyhow::Result<ExitCode> {
    let report = args.provider_report.as_deref().map(report::read).transpose()?;
    block_on(async {
        let today = Clock::system().now().day();
        let done = match report {
            Some(report) => {
                let snapshot = load(&args.place, &Flags::default())?.snapshot;
                let store = open(&snapshot.process).await?;
                let done = report::compare(&store, &snapshot, args, report, today).await;
                store.close().await;
                done
            }
            None => {
                let process = load_for_store(&args.place)?;
                let store = open(&process).await?;
                let done = reconcile(&store, &process, args, today).await;
                store.close().await;
                done
            }
        };
        let (report_text, agrees) = done?;
        say(&report_text);
        Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
    })
}

/// Returns the report, and whether all figures agree.
async fn reconcile(store: &Store, process: &Process, args: &Audit, today: Day) -> anyhow::Result<(String, bool)> {
    let failed = |error| failure::of_store(process, error);
    let ledger = Ledger::new(store.clone());
    let cluster = Cluster::new(store.clone());
    // A clock that was wrong may have left usage on later days.
    let future = ledger.newest_day().await.map_err(failed)?.filter(|newest| *newest > today);
    let days = days::days(args, (Period::containing(LimitPeriod::Month, today).first(), future.unwrap_or(today)))?;
    if days.first > future.unwrap_or(today) {
        bail!("{} is a future day: nothing can be compared", days.first);
    }
    let sample = args.sample.map(|share| Sample::new(share, random(store)));
    let read = async |repaired| {
        let compared = sample.unwrap_or(Sample::ALL);
        let found = ledger.reconcile_sample(days, compared, print_progress).await.map_err(failed)?;
        let unusable = cluster.unusable_leases().await.map_err(failed)?;
        let books = books::compare(store).await.map_err(failed)?;
        anyhow::Ok(AuditReport { found, sample, unusable, repaired, future, books })
    };
    let render = async |report: &AuditReport| {
        let ids = store.scope_ids(output::scopes(report)).await.map_err(failed)?;
        anyhow::Ok(match args.json {
            true => {
                let mut json = output::in_json(days, report, &ids);
                books::add(&mut json, &report.books);
                format!("{json:#}\n")
            }
            false => books::in_words(&report.books) + &output::in_words(days, report, &ids),
        })
    };
    let mut report = read(None).await?;
    if args.repair {
        let done = ledger.repair_totals(&Actor::COMMAND, days).await;
        if done.is_err() {
            say(&render(&report).await?);
        }
        let done = done.map_err(|error| failure::of_store(process, error))?;
        report = if done.is_any() { read(Some(done)).await? } else { AuditReport { repaired: Some(done), ..report } };
    }
    Ok((render(&report).await?, report.agrees()))
}

/// Returns a random number: the last bits of a new id.
fn random(store: &Store) -> u32 {
    u32::try_from(store.new_id().as_u128() & u128::from(u32::MAX)).unwrap_or(0)
}

/// Prints a line on a terminal.
fn print_progress(progress: AuditProgress) {
    let AuditProgress { done, all } = progress;
    if std::io::stderr().is_terminal() {
        telemetry::logs::write_stderr(format!("audit: {done} of {all} parts are compared\n"));
    }
}

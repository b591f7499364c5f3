//! `tollgate limits`: what `GET /api/limits` responds in a process without the proxy.

use std::process::ExitCode;

use access::Clock;
use config::Flags;
use config::snapshot::Lease;
use control::nouns::limit_states::{LimitSources, LimitStates, LimitStatesError};
use ledger::Ledger;

use crate::cli::Limits;
use crate::commands::{block_on, load, open, printable};
use crate::failure;
use crate::terminal::say;

const LEGEND: &str = "Overshoot: the maximum of requests beyond the limit within its window, of the largest tier.
While Redis is unavailable, each node counts separately, and the maximum is that without Redis.
Unusable: the maximum of credits that cannot be used while a dead node is not restarted.
A crash also leaves the reservations of requests in flight unusable.
Busy: clients that have used at least a quarter; - if unknown. GET /api/limits has the counts of a running server.
";

/// Runs the command against the store.
pub(crate) fn run(args: &Limits) -> anyhow::Result<ExitCode> {
    let snapshot = load(&args.place, &Flags::default())?.snapshot;
    block_on(async {
        let store = open(&snapshot.process).await?;
        let ledger = Ledger::new(store.clone());
        let clock = Clock::system();
        let sources = LimitSources { store: &store, ledger: &ledger, snapshot: &snapshot, clock: &clock, live: None };
        let states = LimitStates::list(sources).await;
        store.close().await;
        let states = states.map_err(|error| match error {
            LimitStatesError::Database(error) => anyhow::Error::from(failure::of_store(&snapshot.process, error)),
            LimitStatesError::Search(error) => error.into(),
        })?;
        if args.json {
            say(&format!("{}\n", serde_json::to_string_pretty(&states)?));
        } else {
            text(&states, snapshot.process.lease).lines().for_each(|line| say(&format!("{}\n", printable(line))));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns what `lease.ttl` buys and costs on a store that nodes share.
fn lease_lines(lease: Lease) -> String {
    let spent_for = lease.ttl * 9 / 10;
    format!(
        "Outage of the store: a node spends its leases for up to {} s without it (nine tenths of lease.ttl). A lease contains the \
         use of lease.ttl at the recent rate, at most a quarter of the remainder divided by the nodes.\n\
         Silent node: other nodes cannot use its share for up to {} s (lease.ttl); a dead node's share until it starts again.\n",
        spent_for.as_secs_f64(),
        lease.ttl.as_secs_f64(),
    )
}

fn text(states: &LimitStates, lease: Lease) -> String {
    let rows = states.rows();
    let [limits, overshoots, unusables, busies] = [0, 1, 2, 3].map(|column| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for [limit, overshoot, unusable, busy, scope] in &rows {
        let numbers = format!("{overshoot:overshoots$}  {unusable:unusables$}  {busy:busies$}");
        text.push_str(&format!("{limit:limits$}  {numbers}  {scope}\n"));
    }
    for line in states.busy_lines() {
        text.push_str(&format!("\n{line}"));
    }
    text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    text + LEGEND + &lease_lines(lease)
}

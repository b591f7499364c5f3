//! `tollgate jobs list`.

use std::process::ExitCode;
use std::time::Duration;

use cluster::{Cluster, JobRecord, LastRun};
use jobs::{JobSpec, Owner};
use serde_json::json;

use crate::cli::{JobsCommand, JobsCommands};
use crate::commands::{block_on, load_for_store, moment, open, printable};
use crate::failure;
use crate::terminal::say;
use crate::wire::jobs::ALL;

/// Runs the command against the store.
pub(crate) fn run(args: &JobsCommands) -> anyhow::Result<ExitCode> {
    let JobsCommand::List { place, json } = &args.command;
    let process = load_for_store(place)?;
    block_on(async {
        let store = open(&process).await?;
        let records = Cluster::new(store.clone()).job_records().await;
        store.close().await;
        let records = records.map_err(|error| failure::of_store(&process, error))?;
        say(&if *json { format!("{:#}\n", in_json(&records)) } else { table(&records) });
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns every job with its record, if one exists.
fn listed(records: &[JobRecord]) -> impl Iterator<Item = (JobSpec, Option<&JobRecord>)> {
    ALL.into_iter().map(|spec| (spec, records.iter().find(|record| record.name == spec.name)))
}

fn table(records: &[JobRecord]) -> String {
    let width = ALL.iter().map(|spec| spec.name.len()).max().unwrap_or_default();
    let mut text = format!("{:<width$} {:<9} {:>10}  last run\n", "job", "owner", "period");
    for (spec, record) in listed(records) {
        let state = match (spec.owner, record) {
            (Owner::EachNode, _) => "in the metrics of each node".to_owned(),
            (Owner::OneNode, None) => "none".to_owned(),
            (Owner::OneNode, Some(record)) => state(record),
        };
        text.push_str(&format!("{:<width$} {:<9} {:>10}  {state}\n", spec.name, owner(spec), period(spec.period)));
    }
    text
}

/// Describes the last run of a job, the run in progress and the next one.
fn state(record: &JobRecord) -> String {
    let mut parts = Vec::new();
    if let Some(LastRun { node, started_at, duration, outcome, error }) = &record.last {
        let error = error.as_deref().map(|error| format!(" ({})", printable(error))).unwrap_or_default();
        let at = moment(*started_at);
        parts.push(format!("{at} for {} on {node}: {}{error}", seconds(*duration), printable(outcome)));
    }
    parts.push(match &record.running {
        Some((node, since)) => format!("running since {} on {node}", moment(*since)),
        None => format!("next run {}", moment(record.next_run_at)),
    });
    parts.join("; ")
}

fn in_json(records: &[JobRecord]) -> serde_json::Value {
    let one = |(spec, record): (JobSpec, Option<&JobRecord>)| {
        let last = record.and_then(|record| record.last.as_ref());
        let running = record.and_then(|record| record.running);
        json!({
            "job": spec.name,
            "owner": owner(spec),
            "period_seconds": spec.period.as_secs_f64(),
            "last_node": last.map(|last| last.node),
            "last_started_at": last.map(|last| moment(last.started_at)),
            "last_duration_seconds": last.map(|last| last.duration.as_secs_f64()),
            "last_outcome": last.map(|last| last.outcome.as_str()),
            "last_error": last.and_then(|last| last.error.as_deref()),
            "last_success_at": record.and_then(|record| record.last_success_at).map(moment),
            "running_node": running.map(|(node, _)| node),
            "running_since": running.map(|(_, since)| moment(since)),
            "next_run_at": record.filter(|record| record.last.is_some()).map(|record| moment(record.next_run_at)),
            "runs": record.map(|record| record.runs),
            "failures": record.map(|record| record.failures),
        })
    };
    listed(records).map(one).collect()
}

const fn owner(spec: JobSpec) -> &'static str {
    match spec.owner {
        Owner::EachNode => "each node",
        Owner::OneNode => "one node",
    }
}

/// Describes the pause between two runs.
fn period(period: Duration) -> String {
    if period.is_zero() { "continuous".to_owned() } else { seconds(period) }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", (duration.as_secs_f64() * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use access::Day;
    use uuid::Uuid;

    use super::*;

    fn record(name: &str) -> JobRecord {
        let at = Day(20_412).start();
        let last = LastRun {
            node: Uuid::nil(),
            started_at: at,
            duration: Duration::from_millis(1_250),
            outcome: "failed".to_owned(),
            error: Some("no database\u{1b}[2J".to_owned()),
        };
        JobRecord {
            name: name.to_owned(),
            running: None,
            next_run_at: at.after(Duration::from_secs(60)),
            last: Some(last),
            last_success_at: None,
            runs: 3,
            failures: 1,
        }
    }

    #[test]
    fn each_job_is_listed_with_and_without_a_record() {
        let text = table(&[record("retention"), record("of another version")]);
        assert_eq!(text.lines().count(), 1 + ALL.len(), "{text}");
        let line = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            line("retention"),
            "retention one node 3600 s 2025-11-20T00:00:00Z for 1.25 s on 00000000-0000-0000-0000-000000000000: failed \
             (no database\\u{1b}[2J); next run 2025-11-20T00:01:00Z"
        );
        assert_eq!(line("lease_cleanup"), "lease_cleanup one node 10 s none");
        assert_eq!(line("revision"), "revision each node 0.25 s in the metrics of each node");
        let column = text.find("owner");
        assert!(text.lines().skip(1).all(|line| line.find("one node").or(line.find("each node")) == column), "{text}");
        assert!(line("leases ").contains("continuous"));
    }

    #[test]
    fn a_running_job_is_shown() {
        let running = Some((Uuid::nil(), Day(20_412).start()));
        let record = JobRecord { running, last: None, ..record("retention") };
        assert_eq!(state(&record), "running since 2025-11-20T00:00:00Z on 00000000-0000-0000-0000-000000000000");
        let all = in_json(&[record]);
        let job = all.as_array().unwrap().iter().find(|job| job["job"] == "retention").unwrap().clone();
        assert_eq!((&job["runs"], &job["running_since"]), (&json!(3), &json!("2025-11-20T00:00:00Z")));
        assert!(job["next_run_at"].is_null() && job["last_outcome"].is_null());
        assert!(all.as_array().unwrap().iter().any(|job| job["job"] == "revision" && job["runs"].is_null()));
    }
}

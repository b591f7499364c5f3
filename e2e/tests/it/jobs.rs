//! Background jobs of two servers on one PostgreSQL database. `lease_cleanup` runs on one of them, every 10 s.

use std::time::Duration;

use e2e::database::{Database, Rows};
use e2e::setup::Folder;
use e2e::{Canary, Gateway, Setup, TcpRelay, eventually_within};
use serde_json::Value;

use crate::audit::must;

/// A job may start up to two periods late: after the pause, and after the other server's next attempt.
const SOON: Duration = Duration::from_secs(60);

async fn two() -> (Gateway, Gateway) {
    let folder = Folder::on_postgres(Database::new());
    let beside = folder.beside();
    (Gateway::start_in(folder, Setup::mocked()).await, Gateway::start_in(beside, Setup::mocked()).await)
}

fn rows(gateway: &Gateway) -> Rows<'_> {
    Rows { data: gateway.folder().path(), database: gateway.folder().database() }
}

/// Returns a job as `tollgate jobs list --json` prints it.
async fn job(gateway: &Gateway, name: &str) -> Value {
    jobs(gateway).await.into_iter().find(|job| job["job"] == name).unwrap()
}

async fn jobs(gateway: &Gateway) -> Vec<Value> {
    let listed = must(gateway.folder(), &["jobs", "list", "--json"]).await;
    serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().clone()
}

/// Returns the runs of `lease_cleanup` with this outcome on one server.
async fn runs(gateway: &Gateway, outcome: &str) -> u64 {
    let series = format!("tollgate_job_runs_total{{job=\"lease_cleanup\",outcome=\"{outcome}\"}} ");
    let metrics = gateway.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

fn lines(gateway: &Gateway, part: &str, message: &str) -> usize {
    let of_part = format!("\"part\":\"{part}\"");
    gateway.stderr().lines().filter(|line| line.contains(&of_part) && line.contains(message)).count()
}

/// Jobs of parts that these servers do not use: Redis, billing and exports.
const UNUSED: [&str; 12] = [
    "redis",
    "response_store",
    "trace_export",
    "event_export",
    "billing_close",
    "billing_dunning",
    "billing_receipts",
    "configuration_key",
    "mail",
    "midtrans_notifications",
    "midtrans_reconcile",
    "webhooks",
];

#[tokio::test]
async fn of_two_servers_one_runs_a_job_once_a_period() {
    let (one, other) = two().await;
    let mut stored = rows(&one).connect().await;
    let thrice =
        async || (stored.number("SELECT runs FROM jobs WHERE name = 'lease_cleanup'").await >= 3).then_some(());
    eventually_within(SOON, "the job has run three times", thrice).await;
    let missing = "SELECT (updated_at - created_at) / 10000000 + 1 - runs FROM jobs WHERE name = 'lease_cleanup'";
    assert!(rows(&one).number(missing).await >= 0, "two runs are at least ten seconds apart");
    let record = job(&one, "lease_cleanup").await;
    let stored = record["runs"].as_u64().unwrap();
    let counted = runs(&one, "succeeded").await + runs(&other, "succeeded").await;
    assert!((stored..=stored + 1).contains(&counted), "{counted}, {record}");
    assert_eq!((&record["last_outcome"], &record["failures"]), (&"succeeded".into(), &0.into()), "{record}");
    assert!(record["last_node"].is_string() && record["next_run_at"].is_string(), "{record}");
    // Every job of the list is in the metrics of a server, and every job of the metrics in the list.
    let metrics = one.metrics().await;
    let listed = jobs(&other).await;
    let is_unused = |job: &Value| UNUSED.contains(&job["job"].as_str().unwrap());
    for job in &listed {
        let started = metrics.contains(&format!("tollgate_job_running{{job={}}}", job["job"]));
        assert_eq!(started, !is_unused(job), "{job}");
    }
    let running = metrics.lines().filter(|line| line.starts_with("tollgate_job_running{")).count();
    assert_eq!(running, listed.iter().filter(|job| !is_unused(job)).count());
    let text = must(one.folder(), &["jobs", "list"]).await;
    assert!(text.lines().count() == listed.len() + 1 && text.contains("succeeded; next run"), "{text}");
}

#[tokio::test]
async fn a_job_of_a_server_that_died_runs_on_the_other_after_its_claim() {
    let (dies, stays) = two().await;
    let mut stored = rows(&stays).connect().await;
    let ran = async || {
        (stored.number("SELECT count(*) FROM jobs WHERE name = 'lease_cleanup' AND runs > 0").await == 1).then_some(())
    };
    eventually_within(SOON, "the job has run", ran).await;
    let dead = dies.crash();
    let silent =
        async || (stored.number("SELECT max(seen_at) - min(seen_at) FROM nodes").await > 3_000_000).then_some(());
    eventually_within(SOON, "the other server sends later heartbeats", silent).await;
    // As if it had died in a run, with 15 s of its claim left.
    const CLAIMED: &str = "UPDATE jobs SET node_id = (SELECT id FROM nodes ORDER BY seen_at LIMIT 1), incarnation = 1, runs = 0, \
        next_run_at = 0, claimed_until = CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) + 15000000 \
        WHERE name = 'lease_cleanup'";
    rows(&stays).execute(CLAIMED, CLAIMED).await;
    let since = Canary::new();
    assert!(job(&stays, "lease_cleanup").await["running_node"].is_string());
    let taken = async || (stored.number("SELECT runs FROM jobs WHERE name = 'lease_cleanup'").await > 0).then_some(());
    eventually_within(SOON, "the job runs on the other server", taken).await;
    assert!(since.elapsed() >= Duration::from_secs(14), "the claim was valid: {:?}", since.elapsed());
    assert_eq!(job(&stays, "lease_cleanup").await["last_outcome"], "succeeded");
    drop(dead);
}

#[tokio::test]
async fn an_outage_of_the_database_is_logged_once_and_so_is_its_end() {
    let folder = Folder::on_postgres(Database::new());
    let database = folder.database().unwrap();
    let way = TcpRelay::to(database.host()).await;
    let setup = Setup::mocked().variable("DATABASE_URL", &database.url_by(way.address()));
    let gateway = Gateway::start_in(folder, setup).await;
    let before = async || (runs(&gateway, "succeeded").await > 0).then_some(());
    eventually_within(SOON, "the job has run", before).await;
    way.cut();
    let failed = async || (runs(&gateway, "failed").await >= 5).then_some(());
    eventually_within(SOON, "the job has failed five times", failed).await;
    let logged = lines(&gateway, "lease_cleanup", "fails; retrying");
    assert!((1..=3).contains(&logged), "once for each cause: {}", gateway.stderr());
    way.mend();
    let ended = async || (lines(&gateway, "lease_cleanup", "works again") > 0).then_some(());
    eventually_within(SOON, "the job works again", ended).await;
    for job in ["lease_cleanup", "revision", "heartbeat"] {
        let again = async || (lines(&gateway, job, "works again") > 0).then_some(());
        eventually_within(SOON, "the job works again", again).await;
        assert_eq!(lines(&gateway, job, "works again"), 1, "{job}");
    }
    assert_eq!(runs(&gateway, "panicked").await, 0);
}

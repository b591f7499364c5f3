//! The export of usage events: files that a real ClickHouse adds, crashes, upgrades, and targets that accept nothing.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use e2e::python::python;
use e2e::setup::Folder;
use e2e::upstream::ReservedPort;
use e2e::{Call, Gateway, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

/// Settings with an LLM endpoint, an ordinary route with a key, and an export.
fn setup(upstream: &Upstream, export: &str) -> Setup {
    let backend = format!("[{{name: backend, backends: [{{url: \"http://{}\"}}]}}]", upstream.address());
    Setup::mocked()
        .section("upstreams", &backend)
        .section("routes", "[{name: plain, path: /plain, upstreams: backend, auth: {type: key}}]")
        .section("export", export)
}

fn to_files(folder: &Folder) -> String {
    format!("{{file: {{dir: \"{}\"}}}}", folder.path().join("events").display())
}

async fn upstream() -> Upstream {
    Upstream::start(|mut turn| async move {
        turn.answer("200 OK", b"fine").await;
        Some(turn)
    })
    .await
}

/// Sends LLM calls and ordinary requests, `count` of each.
async fn send(gateway: &Gateway, key: &str, count: usize) {
    for _ in 0..count {
        gateway.call(Call::json(CHAT, &Format::Chat.body("tokens-3", false)).key(key)).await.expect(200);
        gateway.call(Call::get("/plain").key(key)).await.expect(200);
    }
}

/// Adds the exported events with ClickHouse.
async fn added(folder: &Path) -> Value {
    let mut command = python("chdb", "sum_events.py");
    command.arg(folder.join("events")).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The number of rows with distinct ids in the files.
fn exported(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder.join("events")) else { return 0 };
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let rows: Vec<Value> = texts
        .flat_map(|text| {
            let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
            whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        })
        .collect();
    let ids: std::collections::HashMap<&str, u64> =
        rows.iter().map(|row| (row["id"].as_str().unwrap(), row["requests"].as_u64().unwrap())).collect();
    ids.values().sum()
}

async fn has_exported(folder: &Path, requests: u64) {
    eventually(&format!("{requests} requests are exported"), async || (exported(folder) >= requests).then_some(()))
        .await;
    assert_eq!(exported(folder), requests);
}

#[tokio::test]
async fn clickhouse_adds_exported_files_to_the_totals_of_the_api_also_after_a_crash() {
    let (upstream, folder) = (upstream().await, Folder::new());
    let export = to_files(&folder);
    let gateway = Gateway::start_in(folder, setup(&upstream, &export)).await;
    let key = gateway.key().await;
    send(&gateway, &key, 20).await;
    gateway.counted(&key, 40).await;
    // Some rows may be exported by now, or all.
    let gateway = Gateway::start_in(gateway.crash().folder, setup(&upstream, &export)).await;
    send(&gateway, &key, 15).await;
    let usage = gateway.counted(&key, 70).await;
    let folder = gateway.stop().await.folder;
    let sums = added(folder.path()).await;
    for (sum, total) in [
        ("counted", &usage["requests"]),
        ("credits", &usage["credits"]),
        ("input_tokens", &usage["tokens"]["input"]),
        ("output_tokens", &usage["tokens"]["output"]),
    ] {
        assert_eq!(sums[sum], *total, "{sum}: {sums} {usage}");
    }
    assert_eq!((&sums["requests"], &sums["keys"], &sums["is_recent"]), (&json!(70), &json!(1), &json!(1)), "{sums}");
    assert_eq!(sums["rows"], sums["ids"], "{sums}");
}

#[tokio::test]
async fn rows_of_the_process_before_an_upgrade_are_exported() {
    let (upstream, folder) = (upstream().await, Folder::new());
    let export = to_files(&folder);
    let mut gateway = Gateway::start_in(folder, setup(&upstream, &export)).await;
    let key = gateway.key().await;
    send(&gateway, &key, 10).await;
    gateway.counted(&key, 20).await;
    let before = gateway.upgrade(&[]).await.unwrap();
    send(&gateway, &key, 10).await;
    has_exported(gateway.folder().path(), 40).await;
    drop(before);
}

#[tokio::test]
async fn a_target_that_accepts_nothing_delays_neither_requests_nor_ingest() {
    let (upstream, dead) = (upstream().await, ReservedPort::new());
    let export = format!(
        "{{clickhouse: {{url: \"http://{}\", user: writer, password: \"${{CLICKHOUSE_PASSWORD}}\"}}}}",
        dead.address()
    );
    let setup = setup(&upstream, &export).variable("CLICKHOUSE_PASSWORD", "S3CRET-of-clickhouse");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    send(&gateway, &key, 10).await;
    gateway.counted(&key, 20).await;
    let metric = async |name: &str| {
        let metrics = gateway.metrics().await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse::<u64>().unwrap()
    };
    eventually("attempts fail", async || (metric("tollgate_export_failures_total").await > 1).then_some(())).await;
    send(&gateway, &key, 10).await;
    gateway.counted(&key, 40).await;
    assert_eq!(
        (metric("tollgate_export_rows_total").await, metric("tollgate_export_skipped_rows_total").await),
        (0, 0)
    );
    assert!(metric("tollgate_export_lag_seconds").await > 0);
    gateway.empties("tollgate_spool_records").await;
    let ended = gateway.stop().await;
    let lines = ended.stderr.lines().filter(|line| line.contains("\"part\":\"event_export\"")).count();
    assert_eq!(lines, 1, "one line for an outage: {}", ended.stderr);
    assert!(!ended.stderr.contains("S3CRET"), "{}", ended.stderr);
}

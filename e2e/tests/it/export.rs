//! The export of usage events: files that a real ClickHouse adds, a real ClickHouse with the documented table, crashes, upgrades,
//! and targets that accept nothing.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use e2e::python::python;
use e2e::setup::Folder;
use e2e::upstream::ReservedPort;
use e2e::{Call, Gateway, Setup, Upstream, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::audit::must;
use crate::bodies::{CHAT, Format};

const PASSWORD: &str = "S3CRET-of-clickhouse";

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

/// A real ClickHouse with the table of `docs/export.md`; dropped, it ends.
struct ClickHouse {
    address: SocketAddr,
    stdin: ChildStdin,
    printed: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl ClickHouse {
    async fn start() -> Self {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/export.md");
        let mut command = python("chdb", "serve_clickhouse.py");
        command.args([page, "tollgate_events", PASSWORD]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = printed.next_line().await.unwrap().expect("a port").parse().unwrap();
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), stdin, printed, _child: child }
    }

    /// Returns the export to this server.
    fn target(&self) -> String {
        format!(
            "{{clickhouse: {{url: \"http://{}\", user: writer, password: \"${{CLICKHOUSE_PASSWORD}}\"}}}}",
            self.address
        )
    }

    /// Sets what the server does after an insert: `accept`, or `cut` the connection before its response.
    async fn behaves(&mut self, mode: &str) {
        self.stdin.write_all(format!("{mode}\n").as_bytes()).await.unwrap();
        let confirmed = self.printed.next_line().await.unwrap().unwrap_or_default();
        assert!(confirmed.contains(mode), "{confirmed}");
    }

    /// The sums of the table without repetitions, and the number of rows that were inserted.
    async fn sums(&self) -> Value {
        Call::get("/sums").send(self.address).await.expect(200).json()
    }

    /// Waits until the table has this number of requests; returns the sums.
    async fn has(&self, requests: u64) -> Value {
        eventually(&format!("the table has {requests} requests"), async || {
            let sums = self.sums().await;
            (sums["requests"].as_u64() >= Some(requests)).then_some(sums)
        })
        .await
    }
}

/// Compares ClickHouse's sums with the totals of the API.
#[track_caller]
fn assert_equal(sums: &Value, usage: &Value) {
    for (sum, total) in [
        ("counted", &usage["requests"]),
        ("credits", &usage["credits"]),
        ("input_tokens", &usage["tokens"]["input"]),
        ("output_tokens", &usage["tokens"]["output"]),
    ] {
        assert_eq!(sums[sum], *total, "{sum}: {sums} {usage}");
    }
    assert_eq!((&sums["keys"], &sums["is_recent"]), (&json!(1), &json!(1)), "{sums}");
    assert_eq!(sums["rows"], sums["ids"], "{sums}");
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
    let upstream = upstream().await;
    let folder = Folder::new();
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
    assert_equal(&sums, &usage);
    assert_eq!(sums["requests"], json!(70), "{sums}");
    must(&folder, &["audit"]).await;
}

#[tokio::test]
async fn clickhouse_inserts_rows_into_the_documented_table_and_drops_repeated_ones() {
    let upstream = upstream().await;
    let mut clickhouse = ClickHouse::start().await;
    let target = clickhouse.target();
    let setup = || setup(&upstream, &target).variable("CLICKHOUSE_PASSWORD", PASSWORD);
    let gateway = Gateway::start(setup()).await;
    let key = gateway.key().await;
    send(&gateway, &key, 10).await;
    clickhouse.has(20).await;
    // Tollgate does not know that the server has inserted the rows.
    clickhouse.behaves("cut").await;
    send(&gateway, &key, 5).await;
    eventually("rows are inserted again", async || {
        let sums = clickhouse.sums().await;
        (sums["inserted_rows"].as_u64() > sums["rows"].as_u64()).then_some(())
    })
    .await;
    gateway.counted(&key, 30).await;
    let folder = gateway.crash().folder;
    clickhouse.behaves("accept").await;
    let gateway = Gateway::start_in(folder, setup()).await;
    send(&gateway, &key, 5).await;
    let usage = gateway.counted(&key, 40).await;
    let sums = clickhouse.has(40).await;
    assert_equal(&sums, &usage);
    assert_eq!(sums["requests"], json!(40), "{sums}");
    let folder = gateway.stop().await.folder;
    must(&folder, &["audit"]).await;
}

#[tokio::test]
async fn rows_of_the_process_before_an_upgrade_are_exported() {
    let upstream = upstream().await;
    let folder = Folder::new();
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
    let upstream = upstream().await;
    let dead = ReservedPort::new();
    let export = format!(
        "{{clickhouse: {{url: \"http://{}\", user: writer, password: \"${{CLICKHOUSE_PASSWORD}}\"}}}}",
        dead.address()
    );
    let setup = setup(&upstream, &export).variable("CLICKHOUSE_PASSWORD", PASSWORD);
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

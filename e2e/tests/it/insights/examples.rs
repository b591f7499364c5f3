//! A server with example files, as `tollgate serve` and as the binary `api`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually};
use serde_json::{Value, json};

use super::days::{file_of, verify};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn file(name: &str) -> Value {
    let text = fs::read_to_string(repository().join("examples/insights").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn setup() -> Setup {
    let folder = repository().join("examples").display().to_string();
    Setup::bare().flag("--mock").flag("--examples").flag(&folder)
}

async fn get(at: SocketAddr, path: &str) -> Value {
    let answer = Call::get(path).send(at).await.expect(200);
    answer.json()
}

/// Asserts that every endpoint responds with its file.
async fn check_files(at: SocketAddr) {
    let runtime = file("runtime.json");
    for (path, expected) in [
        ("/ingest/status", &runtime["ingest_status"]),
        ("/classify/today", &file("classify_today.json")),
        ("/brief/test-001", &file("brief_test.json")),
        ("/roi/today", &runtime["roi_today"]),
        ("/config", &runtime["config"]),
        ("/review/status", &runtime["review_status"]),
    ] {
        assert_eq!(&get(at, path).await, expected, "{path}");
    }
    assert_eq!(get(at, "/brief/test-001").await["id"], "test-001");
    let missing = Call::get("/brief/none").send(at).await.expect(404);
    assert_eq!(missing.json()["error"]["code"], "not_found");
}

#[tokio::test]
async fn endpoints_respond_with_the_files_without_a_credential() {
    let gateway = Gateway::start(setup()).await;
    check_files(gateway.control).await;
    let page = Call::get("/classify/today").header("Origin", "https://anywhere.example");
    let answer = page.send(gateway.control).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    // Their clients have no credential, whose limit is 20 requests.
    for _ in 0..30 {
        Call::get("/roi/today").send(gateway.control).await.expect(200);
    }
    let account = Call::get("/api/me").send(gateway.control).await;
    account.expect(401);
}

/// The two endpoints that compute something from a brief do so with the one of the file, and without a credential.
#[tokio::test]
async fn charts_and_a_verified_export_are_made_of_a_brief_file() {
    let gateway = Gateway::start(setup()).await;
    let at = gateway.control;
    let drawn = async |id: &str| {
        let charts = json!({"id": id, "charts": ["spend", "classes"]});
        Call::json("/assets/generate", &charts).send(at).await
    };
    let assets = drawn("test-001").await.expect(200).json();
    assert_eq!(assets["id"], "test-001");
    let first = &file("brief_test.json")["classes"][0];
    let row = json!([first["class"], first["requests"].to_string()]);
    assert_eq!(assets["assets"][1]["table"][1], row, "{assets}");
    drawn("none").await.expect(404);

    let export = async |id: &str| Call::new("POST", &format!("/export/{id}")).send(at).await;
    assert_eq!(export("none").await.expect(404).json()["error"]["code"], "not_found");
    let zip = export("test-001").await.expect(200);
    let again = export("test-001").await.expect(200);
    assert!(zip.whole && zip.header("content-type") == Some("application/zip"));
    assert_eq!(zip.header("content-disposition"), Some("attachment; filename=\"tollgate-test-001.zip\""));
    gateway.stop().await;

    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("export.zip"), &zip.body).unwrap();
    fs::write(path("again.zip"), &again.body).unwrap();
    let (code, printed) = verify(&folder, &[&path("export.zip")]).await;
    assert!(code == Some(0) && printed.contains("test-001"), "{code:?} {printed}");
    let line = printed.lines().find(|line| line.trim_start().starts_with("key ")).unwrap();
    let key = line.split_whitespace().last().unwrap();
    assert_eq!(verify(&folder, &[&path("again.zip"), "--key", key]).await.0, Some(0), "a server has one key");
    let brief: Value = serde_json::from_str(&file_of(&path("export.zip"), "brief.json").await).unwrap();
    assert_eq!(brief, file("brief_test.json"));
    let events = file_of(&path("export.zip"), "events.csv").await;
    assert!(events.starts_with("id,") && events.lines().count() == 1, "{events}");
    let mut changed = zip.body.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(path("export.zip"), changed).unwrap();
    assert_eq!(verify(&folder, &[&path("export.zip")]).await.0, Some(1));
}

#[tokio::test]
async fn changes_stay_in_memory() {
    let gateway = Gateway::start(setup()).await;
    let at = gateway.control;
    let sign = async |body: Value| Call::json("/review/signoff", &body).send(at).await;
    for role in ["", &"é".repeat(51)] {
        let refused = sign(json!({"role": role, "approve": true})).await.expect(400);
        assert_eq!(refused.json()["error"]["code"], "bad_request");
    }
    sign(json!({"role": "é".repeat(50), "approve": true})).await.expect(200);
    sign(json!({"role": "finance", "approve": true, "id": "2026-11-19"})).await.expect(404);
    let approved = sign(json!({"role": "finance", "approve": true})).await.expect(200).json();
    assert_eq!(approved["state"], "approved");
    assert_eq!(get(at, "/review/status").await, approved);

    let mut settings = get(at, "/config").await;
    settings["anomalies"]["days_min"] = json!(21);
    let change = Call::json("/config", &settings);
    change.clone().send(at).await.expect(400);
    change.clone().header("If-Match", "\"7\"").send(at).await.expect(409);
    let changed = change.clone().header("If-Match", "\"1\"").send(at).await.expect(200);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    assert_eq!(get(at, "/config").await["version"], 2);
    change.header("If-Match", "\"1\"").send(at).await.expect(409);
}

#[tokio::test]
async fn a_bad_example_file_ends_the_start_with_its_place() {
    let folder = Folder::new();
    let text = fs::read_to_string(repository().join("examples/insights/runtime.json")).unwrap();
    folder.write("runtime.json", &text);
    folder.write("classify_today.json", "{\n  \"id\": 7}");
    let path = folder.path().display().to_string();
    let setup = Setup::bare().flag("--mock").flag("--examples").flag(&path);
    let (code, reported) = commands::serve_to_its_end(&folder, &setup).await;
    assert_eq!(code, Some(1), "{reported}");
    for part in ["examples_invalid", "classify_today.json:2:9", "invalid type"] {
        assert!(reported.contains(part), "no {part:?} in: {reported}");
    }
}

/// A running process that ends with the test, by a signal after which it removes its folder.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let ended = Command::new("kill").arg(self.0.id().to_string()).status();
        if !ended.is_ok_and(|status| status.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// The binary `api` serves with the arguments of the README, and uses a temporary data folder. Only the ports differ.
#[tokio::test]
async fn the_binary_api_serves_the_files() {
    let readme = fs::read_to_string(repository().join("examples/insights/README.md")).unwrap();
    assert!(readme.contains("cargo run --bin api -- --mock --examples ./examples\n"));
    let folder = Folder::new();
    let binary = commands::binary().with_file_name("api");
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new(binary);
    command.args(["--mock", "--examples", "./examples", "--log", "json", "--listen", "127.0.0.1:0"]);
    command.env_clear().env("ADDR", "127.0.0.1:0").env("MAX_CONNECTIONS", "64").env("TIMEOUT_SECONDS", "20");
    // The file for the counts of a measurement of coverage.
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
    command.current_dir(repository()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let running = Running(command.spawn().unwrap());
    let address = eventually("api listens", async || {
        let log = folder.read("log");
        let line = log.lines().find(|line| line.contains("\"listening\""))?;
        let line: Value = serde_json::from_str(line).ok()?;
        let text = line.pointer("/control").or_else(|| line.pointer("/fields/control"))?.as_str()?;
        text.parse::<SocketAddr>().ok()
    })
    .await;
    check_files(address).await;
    assert!(!repository().join("tollgate-data").exists(), "the data folder must be temporary");
    drop(running);
}

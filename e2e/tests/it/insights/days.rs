//! The day of a running server: brief, classes, charts, and the signed export.

use std::fs;
use std::path::Path;

use e2e::python::python;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually, kept};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A server with three stored chats of one user, which has begun a trace. Returns the key and the brief.
async fn with_usage() -> (Gateway, String, Value) {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for _ in 0..3 {
        let call = Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key);
        gateway.call(call.header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-00"))).await.expect(200);
    }
    let brief = eventually("the brief has three requests", async || {
        let brief = gateway.ask(Call::get("/brief/today").key(&key)).await.expect(200).json();
        (brief["spend"]["requests"] == 3).then_some(brief)
    })
    .await;
    (gateway, key, brief)
}

#[tokio::test]
async fn a_day_is_classified_and_explained() {
    let (gateway, key, brief) = with_usage().await;
    let classes = gateway.ask(Call::get("/classify/today").key(&key)).await.expect(200).json();
    assert_eq!((&classes["requests"], &classes["id"]), (&json!(3), &brief["id"]));
    assert_eq!((&classes["classes"][0]["class"], &classes["classes"][0]["share"]), (&json!("chat"), &json!(1)));
    assert_eq!(classes["tokens"], brief["spend"]["tokens"]);
    let id = classes["classes"][0]["request_ids"][0].as_str().unwrap().to_owned();
    gateway.ask(Call::get(&format!("/api/usage/requests/{id}")).key(&key)).await.expect(200);
    let roi = gateway.ask(Call::get("/roi/today").key(&key)).await.expect(200).json();
    assert_eq!(roi["spent"], brief["spend"]["cost"]);
    eventually("all usage is stored", async || {
        let status = gateway.ask(Call::get("/ingest/status").key(&key)).await.expect(200).json();
        let is_reported = status["complete_until"].is_string() && status["complete"] == false;
        (status["spooled"] == 0 && status["stored"] == 3 && is_reported).then_some(())
    })
    .await;
    let id = brief["id"].as_str().unwrap();
    let charts = json!({"id": id, "charts": ["spend", "classes"], "theme": "dark"});
    let assets = async || gateway.ask(Call::json("/assets/generate", &charts).key(&key)).await.expect(200).json();
    let drawn = assets().await;
    assert_eq!(drawn["assets"][1]["table"][1], json!(["chat", "3"]));
    assert_eq!(assets().await, drawn, "the same figures have the same bytes");
    let format = |format: &str| json!({"id": id, "charts": ["spend"], "format": format});
    let png = async || gateway.ask(Call::json("/assets/generate", &format("png")).key(&key)).await.expect(200).json();
    let drawn = png().await;
    assert_eq!(
        (&drawn["assets"][0]["name"], &drawn["assets"][0]["media_type"]),
        (&json!("spend.png"), &json!("image/png"))
    );
    assert!(drawn["assets"][0]["data"].as_str().unwrap().starts_with("iVBORw0KGgo"), "{drawn}");
    assert_eq!(png().await, drawn);
    gateway.ask(Call::json("/assets/generate", &format("gif")).key(&key)).await.expect(422);
    gateway.ask(Call::get("/brief/test-001").key(&key)).await.expect(404);
}

/// Runs `tollgate verify`; returns the exit code and the output.
pub(super) async fn verify(folder: &Folder, words: &[&str]) -> (Option<i32>, String) {
    let output = commands::run(folder, &[&["verify"], words].concat()).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Runs the script of the examples; returns the exit code.
async fn verify_in_python(path: &str) -> Option<i32> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/insights/verify_export.py");
    let script = script.canonicalize().unwrap().display().to_string();
    python("current", &script).arg(path).output().await.unwrap().status.code()
}

/// Returns a file of an export as text.
pub(super) async fn file_of(path: &str, name: &str) -> String {
    const SCRIPT: &str =
        "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode('latin-1').strip())";
    let output = python("current", "-c").args([SCRIPT, path, name]).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_export_is_verified_without_a_server_and_no_changed_byte_passes() {
    let (gateway, key, brief) = with_usage().await;
    let id = brief["id"].as_str().unwrap();
    let answer = Call::new("POST", &format!("/export/{id}")).key(&key).send(gateway.control).await.expect(200);
    assert!(answer.whole && answer.header("content-type") == Some("application/zip"));
    let zip = answer.body;
    gateway.ask(Call::new("POST", "/export/test-001").key(&key)).await.expect(404);
    gateway.stop().await;
    kept::keep("export.zip", &zip);

    let folder = Folder::new();
    let path = folder.path().join("export.zip").display().to_string();
    fs::write(&path, &zip).unwrap();
    let (code, printed) = verify(&folder, &[&path]).await;
    assert!(code == Some(0) && printed.contains(id), "{code:?} {printed}");
    assert_eq!(verify_in_python(&path).await, Some(0));
    let events = file_of(&path, "events.csv").await;
    let traces: Vec<_> = events.lines().map(|line| line.split(',').nth(3).unwrap_or_default()).collect();
    assert_eq!(traces, ["trace_id", TRACE, TRACE, TRACE], "{events}");
    assert!(events.lines().next().unwrap().ends_with(",labels,own_cost_nano,result"), "{events}");
    assert!(file_of(&path, "audit.json").await.contains("\"equal\": true"));
    assert!(file_of(&path, "charts/spend.png").await.contains("PNG"));
    let line = printed.lines().find(|line| line.trim_start().starts_with("key ")).unwrap();
    let public_key = line.split_whitespace().last().unwrap().to_owned();
    assert_eq!(verify(&folder, &[&path, "--key", &public_key]).await.0, Some(0));
    let (code, printed) = verify(&folder, &[&path, "--key", &"0".repeat(64)]).await;
    assert!(code == Some(1) && printed.contains("another key"), "{code:?} {printed}");
    assert_eq!(verify(&folder, &[&path, "--key", "0"]).await.0, Some(2));

    // The unit tests of `evidence` change every byte; here, some in the headers, the files, the directory and the comment.
    for at in
        [0, 20, 40, zip.len() / 3, zip.len() / 2, zip.len() - 400, zip.len() - 160, zip.len() - 145, zip.len() - 1]
    {
        let mut changed = zip.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let (code, printed) = verify(&folder, &[&path]).await;
        assert!(code == Some(1) && printed.contains("export_changed"), "byte {at}: {code:?} {printed}");
        assert_eq!(verify_in_python(&path).await, Some(1), "byte {at}");
    }
    fs::write(&path, &zip[..zip.len() - 7]).unwrap();
    assert_eq!(verify(&folder, &[&path]).await.0, Some(1));
    fs::write(&path, "text").unwrap();
    assert_eq!(verify(&folder, &[&path]).await.0, Some(2));
    assert_eq!(verify_in_python(&path).await, Some(2));
    assert_eq!(verify(&folder, &["missing.zip"]).await.0, Some(2));
}

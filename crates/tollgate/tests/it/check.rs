//! `tollgate check`: its formats, its input, and the calls that servers would refuse.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::server::{HANGS, tollgate};

const UNPRICED: &str = "providers: [{name: own, kind: openai, base_url: 'https://llm.example.com/v1', credential: k}]\n\
    models: [{name: fast, targets: [{provider: own, model: m}]}]\n\
    plans: [{name: retail, budgets: [{money: '5 USD', per: day}]}]\n";
const INVALID: &str = "plans:\n  - {name: a, credit: 5}\n";

/// Runs `tollgate check` in `folder` with `input`, and returns its exit code, stdout and stderr.
async fn check(folder: &Path, words: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = tollgate();
    command.arg("check").args(words).current_dir(folder).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no input may have ended.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output =
        tokio::time::timeout(HANGS, child.wait_with_output()).await.expect("the process does not end").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_checked_text_is_a_file_the_one_in_the_folder_or_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, refused) = check(folder.path(), &[], "").await;
    assert!(code == Some(1) && refused.contains("no file to check: name one, or `-` for stdin"), "{refused}");
    fs::write(folder.path().join("tollgate.yaml"), "routes: []\n").unwrap();
    let (code, stdout, stderr) = check(folder.path(), &[], "").await;
    assert!(code == Some(0) && stdout.starts_with("tollgate.yaml is valid: 0 routes"), "{stdout}{stderr}");
    let (code, stdout, stderr) = check(folder.path(), &["-"], "plans: [{name: a}]\n").await;
    assert!(code == Some(0) && stdout.starts_with("<stdin> is valid") && stdout.contains("1 plan"), "{stdout}{stderr}");
    let (code, stdout, stderr) = check(folder.path(), &["-"], INVALID).await;
    assert!(code == Some(2) && stdout.is_empty() && stderr.contains(" --> <stdin>:2:15"), "{stdout}{stderr}");
    let many = "#".repeat(4 * 1024 * 1024 + 1);
    let (code, _, refused) = check(folder.path(), &["-"], &many).await;
    assert!(code == Some(1) && refused.contains("stdin has more than 4194304 bytes"), "{refused}");
}

#[tokio::test]
async fn calls_that_servers_refuse_are_notes_and_in_production_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = check(folder.path(), &["-"], UNPRICED).await;
    let note = "under the money budget of the plan retail, calls are refused (price_unknown)";
    assert!(code == Some(0) && stdout.contains(&format!("note: {note}")), "{stdout}{stderr}");
    let (code, stdout, stderr) = check(folder.path(), &["-"], &format!("production: true\n{UNPRICED}")).await;
    assert!(code == Some(2) && stdout.contains(&format!("error: {note}")), "{stdout}{stderr}");
    assert!(stdout.contains("<stdin> is not fit for production: "), "{stdout}");
}

#[tokio::test]
async fn json_and_workflow_commands_have_each_problem_and_note() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a,b.yaml"), INVALID).unwrap();
    let (code, stdout, stderr) = check(folder.path(), &["a,b.yaml", "--format", "json"], "").await;
    assert!(code == Some(2) && stderr.is_empty(), "{stderr}");
    let invalid: Value = serde_json::from_str(&stdout).unwrap();
    let problem = &invalid["problems"][0];
    assert_eq!(invalid["valid"], false);
    assert_eq!(
        (problem["code"].as_str(), problem["line"].as_u64(), problem["column"].as_u64()),
        (Some("unknown_key"), Some(2), Some(15))
    );
    let (code, stdout, _) = check(folder.path(), &["a,b.yaml", "--format", "github"], "").await;
    assert_eq!(code, Some(2));
    assert!(stdout.starts_with("::error file=a%2Cb.yaml,line=2,col=15,title=unknown_key::"), "{stdout}");
    let (code, stdout, _) = check(folder.path(), &["-", "--format", "json"], UNPRICED).await;
    let valid: Value = serde_json::from_str(&stdout).unwrap();
    assert!(code == Some(0) && valid["valid"] == true, "{stdout}");
    assert_eq!((&valid["counts"]["models"], valid["notes"].as_array().unwrap().len()), (&Value::from(1), 1));
    let production = format!("production: true\n{UNPRICED}");
    let (code, stdout, _) = check(folder.path(), &["-", "--format", "json"], &production).await;
    let refused: Value = serde_json::from_str(&stdout).unwrap();
    assert!(code == Some(2) && refused["valid"] == false && refused["problems"][0]["code"] == "refused", "{stdout}");
    let (code, stdout, _) = check(folder.path(), &["-", "--format", "github"], &production).await;
    assert!(code == Some(2) && stdout.contains("::error file=<stdin>::under the money budget"), "{stdout}");
}

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::*;

/// The longest wait for a change of state.
const PATIENCE: Duration = Duration::from_secs(20);

fn endpoint() -> CheckedEndpoint {
    CheckedEndpoint {
        scheme: CheckedScheme::Https,
        host: "::1".to_owned(),
        port: 8443,
        authority: "backend.test".to_owned(),
        path: "/v1".to_owned(),
        allow_link_local: false,
        tls: None,
    }
}

/// Writes a script into a new folder.
fn script(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("check.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// Runs a script within a time. A new file that another test's process has just inherited open cannot be executed: the
/// system reports it as busy, and the script is started again.
async fn ended(command: &[String], within: Duration) -> Result<(), String> {
    loop {
        let result = timeout(within, run(command, &endpoint(), None)).await;
        let result = result.map_or_else(|_| Err("late".to_owned()), |result| result.map_err(|error| error.to_string()));
        if !result.as_ref().is_err_and(|cause| cause.contains("Text file busy")) {
            return result;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the process whose id the file contains has ended.
async fn is_gone(file: &Path) {
    let begin = Instant::now();
    let pid = loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n') {
            break pid.to_owned();
        }
        assert!(begin.elapsed() < PATIENCE, "the process does not start");
        sleep(Duration::from_millis(5)).await;
    };
    // A process that nobody has waited for has a folder until then; its state is `Z`.
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(begin.elapsed() < PATIENCE, "process {pid} is alive: {}", state());
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_exit_status_decides_and_the_output_is_the_cause() {
    for (text, expected) in [
        ("exit 0", Ok(())),
        ("echo fine; exit 0", Ok(())),
        ("exit 7", Err("the script failed: exit status: 7")),
        ("echo; printf 'no \\033[1mroom\\n'; echo more; exit 1", Err("the script failed: exit status: 1: no [1mroom")),
        ("echo reason >&2; echo text; exit 2", Err("the script failed: exit status: 2: reason")),
        ("kill -9 $$", Err("the script failed: signal: 9 (SIGKILL)")),
    ] {
        let (_folder, path) = script(text);
        assert_eq!(ended(&[path], PATIENCE).await, expected.map_err(str::to_owned), "{text}");
    }
}

#[tokio::test]
async fn a_script_knows_its_backend_and_nothing_else() {
    let (folder, path) = script("env > \"$1\"; pwd >> \"$1\"");
    let output = folder.path().join("output");
    let command = [path, output.to_str().unwrap().to_owned()];
    assert_eq!(ended(&command, PATIENCE).await, Ok(()));
    let text = fs::read_to_string(output).unwrap();
    let mut lines: Vec<&str> =
        text.lines().filter(|line| !["PWD=/", "SHLVL=0", "SHLVL=1", "_=/usr/bin/env"].contains(line)).collect();
    lines.sort_unstable();
    let path = format!("PATH={PATH}");
    assert_eq!(lines, ["/", "BACKEND_HOST=::1", "BACKEND_PORT=8443", "BACKEND_URL=https://[::1]:8443/v1", &path]);
}

#[tokio::test]
async fn a_script_that_cannot_be_started_fails() {
    let (folder, path) = script("exit 0");
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let cause = ended(&[missing], PATIENCE).await.unwrap_err();
    assert!(cause.starts_with("the script failed: it cannot be started: No such file"), "{cause}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let cause = ended(&[path], PATIENCE).await.unwrap_err();
    assert!(cause.contains("Permission denied"), "{cause}");
}

#[tokio::test]
async fn a_script_that_hangs_is_killed_with_what_it_has_started() {
    let (folder, path) = script("sleep 600 & echo $! > \"$1\"; wait");
    let pid = folder.path().join("pid");
    let command = [path, pid.to_str().unwrap().to_owned()];
    let mut checks = tokio::task::JoinSet::new();
    checks.spawn(async move { ended(&command, PATIENCE).await });
    let begin = Instant::now();
    while fs::read(&pid).unwrap_or_default().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the script does not start");
        sleep(Duration::from_millis(5)).await;
    }
    // A check that is late is given up in the same way.
    checks.shutdown().await;
    is_gone(&pid).await;
}

#[tokio::test]
async fn a_script_leaves_no_process_that_holds_its_output() {
    let (folder, path) = script("sleep 600 & echo $! > \"$1\"; exit 3");
    let pid = folder.path().join("pid");
    let command = [path, pid.to_str().unwrap().to_owned()];
    assert_eq!(ended(&command, PATIENCE).await, Err("the script failed: exit status: 3".to_owned()));
    is_gone(&pid).await;
}

#[tokio::test]
async fn a_process_that_has_left_the_group_is_not_waited_for() {
    let (folder, path) =
        script("setsid sh -c 'echo $$ > \"$0\"; exec sleep 600' \"$1\" & while ! [ -s \"$1\" ]; do :; done; exit 3");
    let pid = folder.path().join("pid");
    let command = [path, pid.to_str().unwrap().to_owned()];
    assert_eq!(ended(&command, PATIENCE).await, Err("the script failed: exit status: 3".to_owned()));
    let left: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    assert!(Path::new("/proc").join(left.to_string()).exists(), "it holds the output open");
    kill(Pid::from_raw(left).unwrap());
}

#[tokio::test]
async fn a_flood_of_output_is_read_and_dropped() {
    // 64 MiB, which no pipe holds.
    let (_folder, path) = script("head -c 67108864 /dev/zero | tr '\\0' x; exit 1");
    let cause = ended(&[path], PATIENCE).await.unwrap_err();
    assert_eq!(cause, format!("the script failed: exit status: 1: {}", "x".repeat(CAUSE_CHARS_MAX)));
}

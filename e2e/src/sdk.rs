//! The official clients, run by Node from `e2e/sdk`: a script does what it is told and prints what it saw as JSON.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

const INSTALL_TIMEOUT: Duration = Duration::from_secs(180);
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(40);
const NODE_MAJOR_MIN: u32 = 20;
const HOW: &str =
    "the SDK tests need Node 20 or later with npm on the PATH: `make test` brings them where they are missing";

/// A script of `e2e/sdk` with the client pointed at `base_url` with `key`.
#[derive(Debug, Clone)]
pub struct Script {
    /// The file's name without `.mjs`.
    pub name: &'static str,
    /// The base URL as a user gives it.
    pub base_url: String,
    /// The key.
    pub key: String,
}

impl Script {
    /// Runs `what` and answers what it saw.
    pub async fn run(&self, what: &str, model: &str) -> Value {
        installed().await;
        let mut command = Command::new("node");
        command.current_dir(folder()).arg(format!("{}.mjs", self.name)).arg(what);
        command.env_clear().env("BASE_URL", &self.base_url).env("KEY", &self.key).env("MODEL", model);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let output = finished(command, SCRIPT_TIMEOUT).await;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {what}: {stdout}{stderr}", self.name);
        match serde_json::from_str(&stdout) {
            Ok(value) => value,
            Err(error) => panic!("{} {what} printed no JSON ({error}): {stdout}{stderr}", self.name),
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}

/// Sees to it that Node is there and the pinned packages are installed, once for all test processes.
async fn installed() {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_some() {
        return;
    }
    let mut version = Command::new("node");
    version.arg("--version");
    let output = finished(version, SCRIPT_TIMEOUT).await;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    assert!(major.is_some_and(|major| major >= NODE_MAJOR_MIN), "node is {version}; {HOW}");

    let locked = match tokio::task::spawn_blocking(lock).await {
        Ok(Ok(file)) => file,
        other => panic!("the lock of e2e/sdk: {other:?}"),
    };
    if !is_installed() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts"]).current_dir(folder());
        let output = finished(npm, INSTALL_TIMEOUT).await;
        assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
        assert!(is_installed(), "npm ci installed other packages than e2e/sdk/package-lock.json says");
    }
    drop(locked);
    let _ = DONE.set(());
}

/// An exclusive lock over processes; it ends with the file.
fn lock() -> io::Result<File> {
    let file = File::open(folder().join("package-lock.json"))?;
    file.lock()?;
    Ok(file)
}

/// npm writes what it installed beside the packages, when it is done.
fn is_installed() -> bool {
    let read = |path: &str| {
        let bytes = std::fs::read(folder().join(path)).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (Some(wanted), Some(found)) = (read("package-lock.json"), read("node_modules/.package-lock.json")) else {
        return false;
    };
    ["node_modules/openai", "node_modules/@anthropic-ai/sdk"]
        .iter()
        .all(|name| wanted["packages"][name]["version"] == found["packages"][name]["version"])
}

async fn finished(mut command: Command, limit: Duration) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    match tokio::time::timeout(limit, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("{command:?}: {error}; {HOW}"),
        Err(_) => panic!("not within {limit:?}: {command:?}"),
    }
}

//! The built binary as a child process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// Much longer than any operation here that does not hang.
pub(crate) const HANGS: Duration = Duration::from_secs(30);

/// A server on free ports, with its data in `folder`; killed when dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Starts `tollgate serve`, which accepts requests for `delay` after a signal.
    pub(crate) fn serve(folder: &Path, delay: &str, output: [Stdio; 2]) -> Self {
        Self::serve_with(folder, delay, output, &[])
    }

    /// Like [`Server::serve`], with these environment variables.
    pub(crate) fn serve_with(folder: &Path, delay: &str, output: [Stdio; 2], env: &[(&str, &str)]) -> Self {
        let [stdout, stderr] = output;
        let config = folder.join("tollgate.yaml");
        std::fs::write(&config, format!("drain: {{delay: {delay}, timeout: 1s}}\n")).unwrap();
        let mut command = tollgate();
        command.args(["serve", "--log", "json", "--listen", "127.0.0.1:0", "--addr", "127.0.0.1:0", "--config"]);
        command.arg(config).arg("--data").arg(data(folder)).envs(env.iter().copied());
        Self(command.stdout(stdout).stderr(stderr).spawn().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(HANGS, self.0.wait()).await.expect("the process does not end").unwrap()
    }
}

/// Runs `tollgate` without the environment of this process, except the file for the counts of a measurement of coverage, and
/// without a `.env` file.
pub(crate) fn tollgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.env_clear().current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
    command
}

/// Runs a command, and returns its exit code, stdout and stderr.
pub(crate) async fn run(words: &[&str], data: &Path) -> (Option<i32>, String, String) {
    run_with(words, data, &[]).await
}

/// Like [`run`], with these environment variables.
pub(crate) async fn run_with(words: &[&str], data: &Path, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = tollgate();
    command.args(words).arg("--data").arg(data).envs(env.iter().copied());
    let output = tokio::time::timeout(HANGS, command.output()).await.expect("the process does not end").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Like [`run`], with this text on stdin.
pub(crate) async fn run_with_input(words: &[&str], data: &Path, input: &str) -> (Option<i32>, String, String) {
    let mut command = tollgate();
    command.args(words).arg("--data").arg(data);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads no input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output =
        tokio::time::timeout(HANGS, child.wait_with_output()).await.expect("the process does not end").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The data folder of a server in `folder`.
pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

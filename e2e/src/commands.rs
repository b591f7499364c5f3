//! The syntax of the command line, in one place.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::setup::{Folder, Setup};
use crate::wait::eventually_within;

/// Timeout of a command; a slower command counts as blocked.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The master key of every server that uses PostgreSQL.
pub const MASTER_KEY: &str = "dGhlIG1hc3RlciBrZXkgb2YgdGhlIGUyZSBzdWl0ZSE=";
/// The secret with which servers on PostgreSQL sign access tokens.
const JWT_SECRET: &str = "the signing secret of the e2e suite, on every node";

/// Returns the path of the built binary, in the parent folder of the test executable's folder, or `TOLLGATE_BINARY`: tests of
/// speed run against an optimized build.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TOLLGATE_BINARY") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().unwrap_or_default();
    let path = own.parent().and_then(Path::parent).map(|target| target.join("tollgate")).unwrap_or_default();
    assert!(path.is_file(), "{} is not built: `make test` builds it (or cargo build -p tollgate)", path.display());
    path
}

/// Builds a `tollgate` command. Of the environment of this process, only `PATH`, `TMPDIR`, `LLVM_PROFILE_FILE` and the
/// mark with which `scripts/step` finds processes that a killed run left behind are kept.
pub(crate) fn tollgate(folder: &Folder) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().current_dir(folder.path()).stdin(Stdio::null());
    for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE", "TEST_RUN_MARK"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(database) = folder.database() {
        command.env("DATABASE_URL", database.url());
        // Servers that share a database share their secrets, whatever their folders contain.
        command.env("MASTER_ENCRYPTION_KEY", MASTER_KEY).env("JWT_SECRET", JWT_SECRET);
    }
    command
}

/// Starts `tollgate serve` as `setup` says, in `folder`; output goes to the files `stdout` and `stderr` in it.
#[must_use]
pub fn serve(folder: &Folder, setup: &Setup) -> Child {
    let mut command = serve_command(folder, setup);
    command.stdout(output(folder, "stdout")).stderr(output(folder, "stderr"));
    spawn(command)
}

/// Like [`serve`], with both outputs in the file `stdout`, in the order of writing.
#[must_use]
pub fn serve_in_one_stream(folder: &Folder, setup: &Setup) -> Child {
    let mut command = serve_command(folder, setup);
    let both = output(folder, "stdout");
    match both.try_clone() {
        Ok(clone) => command.stdout(clone).stderr(both),
        Err(error) => panic!("a second handle: {error}"),
    };
    spawn(command)
}

/// Like [`serve`], with the log in a pipe, which is the child's stderr.
#[must_use]
pub fn serve_into_a_pipe(folder: &Folder, setup: &Setup) -> Child {
    let mut command = serve_command(folder, setup);
    command.stdout(output(folder, "stdout")).stderr(Stdio::piped());
    spawn(command)
}

/// Like [`serve`], with a listening socket as systemd passes it, for the first listener of the proxy.
#[must_use]
pub fn serve_on(folder: &Folder, setup: &Setup, listener: OwnedFd) -> Child {
    // A shell, because descriptor 3 and the process id must be those of the server.
    const SCRIPT: &str = "exec 3<&0 </dev/null; LISTEN_PID=$$; export LISTEN_PID; exec \"$@\"";
    let serving = serve_command(folder, setup);
    let mut command = Command::new("/bin/sh");
    command.env_clear().current_dir(folder.path()).args(["-c", SCRIPT, "sh"]);
    command.arg(serving.get_program()).args(serving.get_args());
    command.envs(serving.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "proxy-0").stdin(listener);
    command.stdout(output(folder, "stdout")).stderr(output(folder, "stderr"));
    spawn(command)
}

fn serve_command(folder: &Folder, setup: &Setup) -> Command {
    let mut command = tollgate(folder);
    command.arg("serve").args(["--log", "json", "--data"]).arg(folder.data());
    for (flag, value) in [("--listen", "127.0.0.1:0"), ("--addr", "127.0.0.1:0")] {
        let is_in_file = flag == "--listen" && setup.has_section("listen");
        if !is_in_file && !setup.flags().iter().any(|own| own == flag) {
            command.args([flag, value]);
        }
    }
    if let Some(yaml) = setup.yaml() {
        command.arg("--config").arg(folder.write("tollgate.yaml", &yaml));
    }
    if !setup.is_limited() {
        command.env("TOLLGATE_CONTROL__RATE_LIMITS", "[]").env("TOLLGATE_RATE_LIMITS", "[]");
    }
    command.args(setup.flags()).envs(setup.variables().iter().cloned());
    command
}

/// Starts `tollgate mock` on a port that the system chooses.
#[must_use]
pub fn mock(folder: &Folder) -> Child {
    let mut command = tollgate(folder);
    command.args(["mock", "--listen", "127.0.0.1:0"]);
    command.stdout(output(folder, "mock.stdout")).stderr(output(folder, "mock.stderr"));
    spawn(command)
}

/// Runs `tollgate users create`; panics on failure.
pub async fn users_create(folder: &Folder, email: &str, plan: &str) {
    let words = ["users", "create", "--email", email, "--name", "A Tester", "--plan", plan];
    must(folder, &with_data(folder, &words)).await;
}

/// Runs `tollgate users suspend` or `tollgate users activate`.
pub async fn users_set(folder: &Folder, what: &str, email: &str) {
    must(folder, &with_data(folder, &["users", what, "--user", email])).await;
}

/// Runs `tollgate keys create`; the last line of its output must be the key alone.
pub async fn keys_create(folder: &Folder, email: &str, label: &str) -> String {
    let stdout = must(folder, &with_data(folder, &["keys", "create", "--user", email, "--label", label])).await;
    let key = stdout.trim_end().lines().last().unwrap_or_default().to_owned();
    assert_eq!(crate::keys_in(&key), std::slice::from_ref(&key), "the last line must be the key alone: {stdout}");
    key
}

/// Runs `tollgate keys revoke`; panics on failure.
pub async fn keys_revoke(folder: &Folder, id: &str) {
    must(folder, &with_data(folder, &["keys", "revoke", "--key", id])).await;
}

/// Runs `tollgate keys list` for one user.
pub async fn keys_list(folder: &Folder, email: &str) -> String {
    must(folder, &with_data(folder, &["keys", "list", "--user", email])).await
}

/// Runs `tollgate check FILE` and returns its output.
pub async fn check(folder: &Folder, file: &Path) -> Output {
    run(folder, &[OsStr::new("check"), file.as_os_str()]).await
}

/// Runs `tollgate` with any other arguments.
pub async fn run<S: AsRef<OsStr>>(folder: &Folder, words: &[S]) -> Output {
    let mut command = tollgate(folder);
    command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
    finished(spawn(command)).await
}

/// Like [`run`], with additional environment variables.
pub async fn run_with<S: AsRef<OsStr>>(folder: &Folder, words: &[S], variables: &[(&str, &str)]) -> Output {
    let mut command = tollgate(folder);
    command.args(words).envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finished(spawn(command)).await
}

/// Starts `tollgate` with any arguments; its output is a pipe that the test reads while the command runs.
#[must_use]
pub fn begin<S: AsRef<OsStr>>(folder: &Folder, words: &[S], variables: &[(&str, &str)]) -> Child {
    let mut command = tollgate(folder);
    command.args(words).envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(command)
}

/// Starts `tollgate` with a standard output that is full: the command stops where it prints its first line, as long as the
/// returned stream is kept.
///
/// # Errors
/// There is no pair of sockets.
pub fn begin_on_full_output<S: AsRef<OsStr>>(
    folder: &Folder,
    words: &[S],
    variables: &[(&str, &str)],
) -> io::Result<(Child, UnixStream)> {
    let (mut output, reader) = UnixStream::pair()?;
    output.set_nonblocking(true)?;
    while output.write(b"-").is_ok() {}
    output.set_nonblocking(false)?;
    let mut command = tollgate(folder);
    command.args(words).envs(variables.iter().copied()).stdout(OwnedFd::from(output)).stderr(Stdio::null());
    Ok((spawn(command), reader))
}

/// Like [`run`], with `input` on stdin.
pub async fn run_with_input(folder: &Folder, words: &[&str], input: &[u8]) -> Output {
    let mut command = tollgate(folder);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command);
    if let Some(mut stdin) = child.stdin.take() {
        // A command that has already ended reads no input; its output contains the reason.
        let _ = stdin.write_all(input);
    }
    finished(child).await
}

/// Runs `tollgate serve` that must end by itself; returns its exit code and both outputs.
pub async fn serve_to_its_end(folder: &Folder, setup: &Setup) -> (Option<i32>, String) {
    let mut command = serve_command(folder, setup);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finished(spawn(command)).await;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

fn with_data(folder: &Folder, words: &[&str]) -> Vec<OsString> {
    let mut all: Vec<OsString> = words.iter().map(OsString::from).collect();
    all.push("--data".into());
    all.push(folder.data().into());
    all
}

async fn must(folder: &Folder, words: &[OsString]) -> String {
    let output = run(folder, words).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {} {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits for a child whose outputs are small enough for the buffers of their pipes.
async fn finished(child: Child) -> Output {
    let mut child = ChildGuard(Some(child));
    eventually_within(COMMAND_TIMEOUT, "the command ends", async || child.try_wait()).await;
    match child.0.take().map(Child::wait_with_output) {
        Some(Ok(output)) => output,
        other => panic!("no output: {other:?}"),
    }
}

/// Kills the command if the test fails before the command ends.
struct ChildGuard(Option<Child>);

impl ChildGuard {
    fn try_wait(&mut self) -> Option<()> {
        self.0.as_mut().and_then(|child| child.try_wait().ok().flatten()).map(|_| ())
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(mut command: Command) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn output(folder: &Folder, name: &str) -> File {
    match File::create(folder.path().join(name)) {
        Ok(file) => file,
        Err(error) => panic!("{name}: {error}"),
    }
}

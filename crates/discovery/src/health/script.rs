//! A check that runs a program of the operator. There is no shell, and nothing that the program has started outlives it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::target::{CheckFailure, CheckedEndpoint, CheckedScheme};

/// Maximum number of bytes of output that are kept. More is read and dropped, so that the program does not wait.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// Maximum number of characters of output in a cause.
const CAUSE_CHARS_MAX: usize = 200;
/// The folders in which the program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Maximum time for which output is read after the end of the program. A process that has left its group may hold it open.
const REST_MAX: Duration = Duration::from_millis(100);

/// The processes of one program. Dropping it kills all of them.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // The call fails if all processes of the group have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a program with its arguments, which must end with status 0. The code that calls this function limits its time: if
/// the future is dropped, the program and all processes of its group are killed.
///
/// # Errors
/// The program cannot be started, or ends otherwise; the cause has the beginning of its output.
pub(super) async fn run(command: &[String], endpoint: &CheckedEndpoint) -> Result<(), CheckFailure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(CheckFailure::Script("it is empty".to_owned()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("BACKEND_URL", url(endpoint))
        .env("BACKEND_HOST", &endpoint.host)
        .env("BACKEND_PORT", endpoint.port.to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| CheckFailure::Script(format!("it cannot be started: {error}")))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = ProcessGroup(pid);
    let (mut kept, stdout, stderr) = (Vec::new(), child.stdout.take(), child.stderr.take());
    let ended = {
        let mut reading = std::pin::pin!(read(stdout, stderr, &mut kept));
        let (ended, has_read) = tokio::select! {
            ended = child.wait() => (ended, false),
            () = &mut reading => (child.wait().await, true),
        };
        drop(group);
        if !has_read {
            // Output that is missing after this time is not needed.
            let _ = timeout(REST_MAX, reading).await;
        }
        ended
    };
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CheckFailure::Script(cause(status, &kept))),
        Err(error) => Err(CheckFailure::Script(format!("its end is unknown: {error}"))),
    }
}

/// Returns the URL of the backend, with the port of checks.
fn url(endpoint: &CheckedEndpoint) -> String {
    let scheme = match endpoint.scheme {
        CheckedScheme::Http => "http",
        CheckedScheme::H2c => "h2c",
        CheckedScheme::Https => "https",
    };
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    format!("{scheme}://{host}:{}{}", endpoint.port, endpoint.path)
}

/// Reads both outputs to their end, and keeps the beginning of each.
async fn read(stdout: Option<impl AsyncRead + Unpin>, stderr: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let (mut of_stdout, mut of_stderr) = (Vec::new(), Vec::new());
    tokio::join!(read_one(stdout, &mut of_stdout), read_one(stderr, &mut of_stderr));
    kept.append(&mut of_stderr);
    kept.append(&mut of_stdout);
}

async fn read_one(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut output) = output else { return };
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = output.read(&mut piece).await {
        let room = (OUTPUT_BYTES_MAX / 2).saturating_sub(kept.len());
        kept.extend_from_slice(piece.get(..read.min(room)).unwrap_or_default());
    }
}

/// Returns the cause of a failure: how the program ended, and the first line of its output, without control characters.
fn cause(status: ExitStatus, output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let shown: String = line.chars().filter(|char| !char.is_control()).take(CAUSE_CHARS_MAX).collect();
    if shown.is_empty() { format!("{status}") } else { format!("{status}: {shown}") }
}

#[cfg(test)]
mod tests;

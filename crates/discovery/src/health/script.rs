//! A check that runs a program of the operator. There is no shell, and nothing that the program has started outlives it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
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
            kill(group);
        }
    }
}

/// Kills all processes of a group.
fn kill(group: Pid) {
    // The call fails if all processes of the group have ended.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Runs a program with its arguments, which must end with status 0. The code that calls this function limits its time: if
/// the future is dropped, the program and all processes of its group are killed. `permit` is returned after the program's end.
///
/// # Errors
/// The program cannot be started, or ends otherwise; the cause has the beginning of its output.
pub(super) async fn run(
    command: &[String],
    endpoint: &CheckedEndpoint,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<(), CheckFailure> {
    let failed = |what: &str, error: io::Error| CheckFailure::Script(format!("{what}: {error}"));
    let (child, output) = start(command, endpoint).map_err(|error| failed("it cannot be started", error))?;
    let mut group = ProcessGroup(Some(Pid::from_child(&child)));
    // The thread waits no longer than the program lives, which is killed after the time of the check.
    let mut waiting = spawn_blocking(move || {
        let ended = end(child);
        drop(permit);
        ended
    });
    let mut kept = Vec::new();
    let ended = {
        let mut reading = pin!(read(output, &mut kept));
        let (ended, has_read) = tokio::select! {
            ended = &mut waiting => (ended, false),
            () = &mut reading => (waiting.await, true),
        };
        // The thread has killed the rest of the group; its id may belong to another program now.
        group.0 = None;
        if !has_read {
            // Output that is missing after this time is not needed.
            let _ = timeout(REST_MAX, reading).await;
        }
        ended
    };
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(CheckFailure::Script(cause(status, &kept))),
        Ok(Err(error)) => Err(failed("its end is unknown", error)),
        Err(error) => Err(CheckFailure::Script(format!("its end is unknown: {error}"))),
    }
}

/// Starts the program. Returns it, with the pipe of both of its outputs. The standard library starts it, because the child
/// processes of the asynchronous runtime would cost each turn of every runtime some time.
fn start(command: &[String], endpoint: &CheckedEndpoint) -> io::Result<(Child, Receiver)> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("BACKEND_URL", url(endpoint))
        .env("BACKEND_HOST", &endpoint.host)
        .env("BACKEND_PORT", endpoint.port.to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    let output = Receiver::from_owned_fd(reader.into()).inspect_err(|_| kill(Pid::from_child(&child)))?;
    Ok((child, output))
}

/// Waits for the end of the program, and kills what remains of its group. Until the program is waited for, no other one gets
/// its id.
fn end(mut child: Child) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(&child);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == Errno::INTR) {}
    kill(pid);
    child.wait()
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

/// Reads the output to its end, and keeps the beginning.
async fn read(mut output: Receiver, kept: &mut Vec<u8>) {
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = output.read(&mut piece).await {
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
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

//! Runs a command with a temporary PostgreSQL server, which is deleted afterwards.

mod server;

pub(crate) use server::ServerUse;

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use server::PostgresServer;

/// The variable that gives tests the URL of a database on the server. Its user may create databases.
const VARIABLE: &str = "TOLLGATE_TEST_POSTGRES";
/// The time that an interrupted command has to end before it is killed.
const END: Duration = Duration::from_secs(10);

/// Runs the command with a server for this use and returns its exit code. The server and its folder are removed in any case.
pub(crate) fn run(command: &str, arguments: &[&str], server_use: ServerUse) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let interrupted = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        tokio::pin!(interrupted);
        let server = tokio::select! {
            started = PostgresServer::start(server_use) => started?,
            () = &mut interrupted => return Ok(ExitCode::FAILURE),
        };
        let mut child = Command::new(command)
            .args(arguments)
            .env(VARIABLE, server.url())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {command}"))?;
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = &mut interrupted => end(&mut child).await,
        };
        server.stop().await;
        Ok(code(ended?))
    })
}

/// Terminates a child; kills it after [`END`].
async fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // The child may have ended already.
        let _ = kill_process(pid, Signal::TERM);
    }
    if let Ok(ended) = tokio::time::timeout(END, child.wait()).await {
        return ended;
    }
    child.start_kill()?;
    child.wait().await
}

/// The exit code that a shell reports: for a signal, 128 plus its number.
fn code(status: ExitStatus) -> ExitCode {
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}

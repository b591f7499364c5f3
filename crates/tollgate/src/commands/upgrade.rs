//! `tollgate upgrade`: replaces the running server by another binary, and waits for the result.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use access::Clock;
use config::Flags;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::cli::Upgrade;
use crate::commands::{block_on, load};
use crate::failure::StartFault;
use crate::lock::Lock;
use crate::terminal::say;
use crate::upgrade::request::{ServingProcess, UpgradeRequest, UpgradeResult};

/// Time beyond `upgrade.timeout` for which a result is awaited.
const BEYOND: Duration = Duration::from_secs(10);
/// Interval at which the result is looked for.
const STEP: Duration = Duration::from_millis(50);

/// Asks the server to upgrade itself, waits, and prints the result.
pub(crate) fn run(args: &Upgrade) -> anyhow::Result<ExitCode> {
    let process = load(&args.place, &Flags::default())?.snapshot.process;
    let binary = args.binary.as_deref().map(absolute).transpose()?;
    block_on(async {
        let serving = serving(&process.data).ok_or_else(|| StartFault::NoServer { folder: process.data.clone() })?;
        let request = UpgradeRequest { id: format!("{}-{}", std::process::id(), Clock::system().now().0), binary };
        let unwritable = |error| StartFault::unwritable(&process.data, error);
        request.write(&process.data).map_err(unwritable)?;
        let sent = i32::try_from(serving.pid).ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, Signal::USR2));
        if !matches!(sent, Some(Ok(()))) {
            UpgradeRequest::withdraw(&process.data);
            return Err(StartFault::NoServer { folder: process.data.clone() }.into());
        }
        let until = Instant::now() + process.upgrade.timeout + BEYOND;
        while Instant::now() < until {
            match request.take_result(&process.data).map_err(unwritable)? {
                Some(UpgradeResult::Replaced { pid }) => {
                    say(&format!("process {pid} serves; process {} drains and then ends\n", serving.pid));
                    return Ok(ExitCode::SUCCESS);
                }
                Some(UpgradeResult::Continues { reason }) => {
                    telemetry::logs::write_stderr(format!("{reason}\nprocess {} continues to serve\n", serving.pid));
                    return Ok(ExitCode::FAILURE);
                }
                None => sleep(STEP).await,
            }
        }
        UpgradeRequest::withdraw(&process.data);
        Err(StartFault::UpgradeUnanswered { pid: serving.pid }.into())
    })
}

/// Returns the process that serves on a data folder; `None` if its lock is free.
fn serving(data: &Path) -> Option<ServingProcess> {
    let serving = ServingProcess::read(data)?;
    let is_running = matches!(Lock::take_slot(data, serving.slot), Err(StartFault::DataInUse { .. }));
    is_running.then_some(serving)
}

/// Returns the path of a binary for the server, whose working folder may be another one.
fn absolute(binary: &Path) -> Result<PathBuf, StartFault> {
    let found = binary.canonicalize();
    found.map_err(|source| StartFault::NoBinary { binary: binary.to_owned(), source })
}

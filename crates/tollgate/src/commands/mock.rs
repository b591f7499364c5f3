//! `tollgate mock`: the mock provider alone.

use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::cli::Mock;
use crate::commands::block_on;
use crate::failure::StartFault;
use crate::signals::Signals;
use crate::terminal::say;

/// Serves until a signal arrives.
pub(crate) fn run(args: &Mock) -> anyhow::Result<ExitCode> {
    block_on(async {
        let bound = TcpListener::bind(args.listen).await;
        let listener = bound.map_err(|error| StartFault::listen(args.listen, "--listen", error))?;
        say(&format!("mock provider listening on http://{}\n", listener.local_addr()?));
        let mut signals = Signals::listen()?;
        mock::serve(listener, signals.next()).await;
        Ok(ExitCode::SUCCESS)
    })
}

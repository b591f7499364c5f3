//! `tollgate mock`.

use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::cli::Mock;
use crate::commands::{block_on, say};
use crate::failure::StartFault;
use crate::signals::Signals;

/// What `--help` says of models' names.
pub(crate) fn behaviours() -> String {
    let width = mock::BEHAVIOURS.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, does): &(&str, &str)| format!("  {name:width$}  {does}\n");
    let lines: String = mock::BEHAVIOURS.iter().map(line).collect();
    format!("What a model's name asks for (N: a number):\n{lines}\nGET /mock/seen tells what arrived.")
}

/// Serves until a signal comes.
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

//! `tollgate mock`.

use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::cli::Mock;
use crate::commands::{block_on, say};
use crate::signals::Signals;

/// Serves until a signal comes.
pub(crate) fn run(args: &Mock) -> anyhow::Result<ExitCode> {
    block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}: choose another address with --listen", args.listen))?;
        say(&format!("mock provider listening on http://{}\n", listener.local_addr()?));
        let mut signals = Signals::listen()?;
        mock::serve(listener, signals.next()).await;
        Ok(ExitCode::SUCCESS)
    })
}

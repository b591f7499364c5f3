//! `tollgate mock`: the mock provider or the stub of Midtrans alone.

use std::process::ExitCode;

use access::Clock;
use mock::MidtransOptions;
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
        let listener = bound.map_err(|error| StartFault::listen(args.listen.into(), "--listen", error))?;
        let address = listener.local_addr()?;
        let mut signals = Signals::listen()?;
        if args.midtrans {
            say(&format!("stub of Midtrans listening on http://{address}\n"));
            mock::serve_midtrans(listener, stub(args), signals.next()).await;
        } else {
            say(&format!("mock provider listening on http://{address}\n"));
            mock::serve(listener, signals.next()).await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn stub(args: &Mock) -> MidtransOptions {
    MidtransOptions {
        server_key: args.server_key.clone(),
        merchant_id: "M000001".to_owned(),
        notification_url: args.notify.clone(),
        clock: Clock::system(),
    }
}

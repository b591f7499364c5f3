//! `tollgate setup-link`: prints the link that creates the first admin, for servers whose output is collected in logs.

use std::process::ExitCode;

use config::Flags;

use crate::cli::SetupLink;
use crate::commands::{block_on, load, open};
use crate::failure::{self, StartFault};
use crate::link::{self, FirstAdmin};
use crate::terminal::say;

/// Creates and prints a link; earlier links of this kind become invalid.
pub(crate) fn run(args: &SetupLink) -> anyhow::Result<ExitCode> {
    let snapshot = load(&args.place, &Flags { addr: args.addr, ..Flags::default() })?.snapshot;
    block_on(async {
        let store = open(&snapshot.process).await?;
        let created = link::to_become_the_first_admin(&store, &snapshot.process, snapshot.process.control.listen).await;
        store.close().await;
        let link = match created {
            Ok(link) => link.ok_or(StartFault::AdminExists)?,
            Err(FirstAdmin::Store(error)) => return Err(failure::of_store(&snapshot.process, error).into()),
            Err(error) => return Err(error.into()),
        };
        say(&format!(
            "The first person to open this link becomes the admin. It expires after {} and is shown only once:\n{}\n",
            link::LIVES_FOR,
            link.expose()
        ));
        Ok(ExitCode::SUCCESS)
    })
}

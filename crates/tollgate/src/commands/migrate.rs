//! `tollgate migrate up|down|status`.

use std::process::ExitCode;

use access::Clock;
use config::Snapshot;
use config::load::Flags;
use store::StoreError;
use store::migration::{self, Status, Step};

use crate::cli::{Migrate, MigrateCommand};
use crate::commands::{STORE_FILE, block_on, load, options, say};
use crate::failure::{self, StartFault};

/// Runs the command against the database.
pub(crate) fn run(args: &Migrate) -> anyhow::Result<ExitCode> {
    let (MigrateCommand::Up { place } | MigrateCommand::Down { place } | MigrateCommand::Status { place }) =
        &args.command;
    let snapshot = load(place, &Flags::default())?.snapshot;
    block_on(async {
        let done = act(&snapshot, &args.command).await?;
        say(&done.map_err(|error| failure::of_store(&snapshot, error))?);
        Ok(ExitCode::SUCCESS)
    })
}

/// Does it; answers what to say.
async fn act(snapshot: &Snapshot, command: &MigrateCommand) -> Result<Result<String, StoreError>, StartFault> {
    let options = options(snapshot, Clock::system());
    let is_up = matches!(command, MigrateCommand::Up { .. });
    if !is_up && snapshot.store.url.is_none() && !snapshot.data.join(STORE_FILE).exists() {
        return Err(StartFault::StoreMissing { folder: snapshot.data.clone() });
    }
    Ok(match command {
        MigrateCommand::Status { .. } => migration::status(&options).await.map(|status| table(&status)),
        MigrateCommand::Up { .. } => migration::up(&options).await.map(|versions| match versions.as_slice() {
            [] => "up to date: nothing was to be done\n".to_owned(),
            versions => versions.iter().map(|version| format!("{version:04} applied\n")).collect(),
        }),
        MigrateCommand::Down { .. } => migration::down(&options).await.map(|version| match version {
            None => "the database is empty: nothing was to be undone\n".to_owned(),
            Some(version) => format!("{version:04} undone\n"),
        }),
    })
}

/// A line a migration, oldest first, and what this binary can do with the database.
fn table(status: &Status) -> String {
    let line = |step: &Step| {
        let name = step.name.as_deref().unwrap_or("(of a newer tollgate)");
        format!("{:04}  {:<7}  {name}\n", step.version, if step.applied { "applied" } else { "missing" })
    };
    let lines: String = status.steps.iter().map(line).collect();
    let (found, known) = (status.found(), status.known());
    let works = match (found > known, status.floor > known) {
        (true, true) => "this tollgate is too old for the database".to_owned(),
        (true, false) => "the database is ahead; this tollgate works on it".to_owned(),
        (false, _) if status.steps.iter().all(|step| step.applied) => "up to date".to_owned(),
        (false, _) => "`tollgate migrate up` applies what is missing".to_owned(),
    };
    format!("{lines}{works}\n")
}

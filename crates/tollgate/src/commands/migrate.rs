//! `tollgate migrate up`, `down` and `status`.

use std::process::ExitCode;

use access::Clock;
use config::snapshot::Process;
use store::Options;
use store::opening::migration::{self, Status, Step, Undo};

use crate::cli::{Migrate, MigrateCommand};
use crate::commands::{block_on, confirmation, has_store, load_for_store};
use crate::failure::{self, StartFault};
use crate::store_options::options;
use crate::terminal::say;

/// Runs the command against the database.
pub(crate) fn run(args: &Migrate) -> anyhow::Result<ExitCode> {
    let (MigrateCommand::Up { place } | MigrateCommand::Down { place, .. } | MigrateCommand::Status { place }) =
        &args.command;
    let process = load_for_store(place)?;
    let is_up = matches!(args.command, MigrateCommand::Up { .. });
    if !is_up && !has_store(&process)? {
        return Err(StartFault::StoreMissing { folder: process.data }.into());
    }
    block_on(async {
        let options = options(&process, Clock::system());
        let failed = |error| failure::of_store(&process, error);
        say(&match args.command {
            MigrateCommand::Status { .. } => table(&migration::status(&options).await.map_err(failed)?),
            MigrateCommand::Up { .. } => match migration::up(&options).await.map_err(failed)?.as_slice() {
                [] => "up to date: nothing was changed\n".to_owned(),
                versions => versions.iter().map(|version| format!("{version:03} applied\n")).collect(),
            },
            MigrateCommand::Down { yes, .. } => down(&process, &options, yes).await?,
        });
        Ok(ExitCode::SUCCESS)
    })
}

/// Undoes the newest migration if the operator agrees to the deletion; returns the output.
async fn down(process: &Process, options: &Options<'_>, yes: bool) -> anyhow::Result<String> {
    let failed = |error| failure::of_store(process, error);
    let Some(undo) = migration::undo(options).await.map_err(failed)? else {
        return Ok("the database is empty: nothing was undone\n".to_owned());
    };
    confirmation::require(yes, &deletes(&undo)).await?;
    Ok(if migration::down(options, undo.version).await.map_err(failed)? {
        format!("{:03} undone\n", undo.version)
    } else {
        "another process migrated the database: nothing was undone\n".to_owned()
    })
}

/// Describes the deletions of an undo: one line per table with rows, and the number of empty tables.
fn deletes(Undo { version, name, losses }: &Undo) -> String {
    if losses.is_empty() {
        return format!("undoing {version:03} ({name}) deletes no data\n");
    }
    let rows: u64 = losses.iter().map(|(_, rows)| rows).sum();
    if rows == 0 {
        return format!("undoing {version:03} ({name}) deletes {} empty tables or columns\n", losses.len());
    }
    let width = losses.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
    let of_rows = losses.iter().filter(|(_, rows)| *rows > 0);
    let lines: String = of_rows.map(|(what, rows)| format!("  {what:width$}  {rows:>12}\n")).collect();
    let empty = losses.iter().filter(|(_, rows)| *rows == 0).count();
    let empty = if empty > 0 { format!("  {empty} more are empty\n") } else { String::new() };
    let count = losses.len();
    format!("undoing {version:03} ({name}) deletes {count} tables or columns with {rows} rows:\n{lines}{empty}")
}

/// Returns one line per migration, oldest first, and whether this binary can use the database.
fn table(status: &Status) -> String {
    let line = |step: &Step| {
        let name = step.name.as_deref().unwrap_or("(of a newer version)");
        format!("{:03}  {:<7}  {name}\n", step.version, if step.applied { "applied" } else { "missing" })
    };
    let lines: String = status.steps.iter().map(line).collect();
    let found = status.found();
    let known = status.known();
    let works = match (found > known, status.floor > known) {
        (true, true) => "the database requires a newer version of tollgate".to_owned(),
        (true, false) => "the database is newer, but compatible with this version".to_owned(),
        (false, _) if status.steps.iter().all(|step| step.applied) => "up to date".to_owned(),
        (false, _) => "`tollgate migrate up` applies the missing migrations".to_owned(),
    };
    format!("{lines}{works}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_names_the_deleted_data() {
        let losses = [("users", 3), ("api_keys", 12), ("names", 0), ("links", 0)];
        let losses = losses.map(|(what, rows)| (what.to_owned(), rows)).to_vec();
        assert_eq!(
            deletes(&Undo { version: 1, name: "keys and usage".to_owned(), losses }),
            "undoing 001 (keys and usage) deletes 4 tables or columns with 15 rows:\n  \
               users                3\n  \
               api_keys            12\n  \
               2 more are empty\n"
        );
        let losses = vec![("leases".to_owned(), 0), ("cells".to_owned(), 0)];
        let empty = deletes(&Undo { version: 13, name: "create leases".to_owned(), losses });
        assert_eq!(empty, "undoing 013 (create leases) deletes 2 empty tables or columns\n");
        let index = deletes(&Undo { version: 15, name: "create usage counts index".to_owned(), losses: Vec::new() });
        assert_eq!(index, "undoing 015 (create usage counts index) deletes no data\n");
    }
}

//! `tollgate move`, `backup` and `restore`: copies of the whole store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use access::{Clock, Secret};
use chrono::DateTime;
use config::snapshot::Process;
use store::copies::backup::{self, BroughtBack, Draft, Successor};
use store::copies::copy::{CopiedTable, Progress, copy};
use store::{BackupError, Census, DatabaseError, FolderError, Options, Store};

use crate::cli::{Backup, Move, Restore};
use crate::commands::{amounts, block_on, confirmation, has_store, load_for_store, open, printable};
use crate::failure::{self, StartFault};
use crate::lock::Lock;
use crate::store_options::{STORE_FILE, options};
use crate::terminal::say;

/// Maximum number of keys that are listed individually.
const KEYS_SHOWN: usize = 20;
/// Number of rows between two progress lines.
const TOLD_EVERY: u64 = 100_000;
/// A copy of the backup that is restored; deleted when the command ends.
const WORKING_COPY: &str = "restore.tmp";

/// `tollgate move --to`: copies SQLite into an empty PostgreSQL database.
pub(crate) fn move_to(args: &Move) -> anyhow::Result<ExitCode> {
    let mut process = load_for_store(&args.place)?;
    // The environment may already contain the URL of the new database.
    process.store.url = None;
    let _lock = Lock::take(&process.data)?;
    block_on(async {
        let from = open(&process).await?;
        let to = Secret::new(args.to.clone());
        let mut there = process.clone();
        there.store.url = Some(to);
        let to = Store::open(Options { migrate: true, ..options(&there, Clock::system()) }).await;
        let to = to.map_err(|error| failure::of_store(&there, error))?;
        let copied = copy(&from, &to, print_progress).await.map_err(|error| failure::of_store(&there, error))?;
        show(&copied);
        say("all rows were read back and are identical. Start servers with DATABASE_URL set to the new database.\n");
        say(&format!("The spool remains in {}, and its SQLite file is unchanged\n", process.data.display()));
        to.close().await;
        from.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// `tollgate backup FILE`: copies the store into a file.
pub(crate) fn back_up(args: &Backup) -> anyhow::Result<ExitCode> {
    let process = load_for_store(&args.place)?;
    block_on(async {
        let store = open(&process).await?;
        let written = backup::write(&store, &args.file, env!("CARGO_PKG_VERSION"), print_progress).await;
        let copied = written.map_err(|error| of_backup(&process, &args.file, error))?;
        show(&copied);
        say(&format!(
            "{} contains the whole store. Protect it like the store: it reveals the usage of every user\n",
            args.file.display()
        ));
        store.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// `tollgate restore FILE`: replaces the store by a backup.
pub(crate) fn restore(args: &Restore) -> anyhow::Result<ExitCode> {
    let process = load_for_store(&args.place)?;
    // Before the lock, which creates the data folder.
    check_file(&args.file)?;
    let _lock = Lock::take(&process.data)?;
    block_on(async {
        let working = working_copy(&args.file, &process.data)?;
        let opened = backup::open(working.file(), Clock::system()).await;
        let (backup, taken_at) = opened.map_err(|error| of_backup(&process, &args.file, error))?;
        let (copied, replaced) = if args.replace {
            let (copied, replaced) = replace(&process, &backup, args.yes).await?;
            (copied, Some(replaced))
        } else {
            (fill(&process, &backup).await?, None)
        };
        show(&copied);
        let taken_at = i64::try_from(taken_at.0).ok().and_then(DateTime::from_timestamp_micros).unwrap_or_default();
        say(&warning(&taken_at.to_rfc3339(), replaced.as_ref()));
        backup.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Copies the backup into the existing store, which must be empty, or into a new one.
async fn fill(process: &Process, backup: &Store) -> anyhow::Result<Vec<CopiedTable>> {
    if !has_store(process)? {
        return Ok(succeed(process, backup).await?.0);
    }
    let target = Store::open(Options { migrate: true, ..options(process, Clock::system()) }).await;
    let target = target.map_err(|error| failure::of_store(process, error))?;
    let copied = backup::restore(backup, &target, print_progress).await;
    let copied = copied.map_err(|error| failure::of_store(process, error))?;
    target.close().await;
    Ok(copied)
}

/// Copies the backup into a new store beside the existing one, and renames the existing file only when the copy is
/// complete. A server therefore never finds an incomplete store, into which it would ingest its spool. Returns the path
/// of the old file.
async fn succeed(process: &Process, backup: &Store) -> Result<(Vec<CopiedTable>, PathBuf), StartFault> {
    let fault = |error: BackupError| failure::of_store(process, error);
    let successor = Successor::begin(&process.data, Clock::system()).await.map_err(fault)?;
    let copied =
        backup::restore(backup, successor.store(), print_progress).await.map_err(|error| fault(error.into()))?;
    let millis = Clock::system().now().unix_millis();
    let aside = process.data.join(format!("{STORE_FILE}.replaced-{millis}"));
    successor.succeed(&aside).await.map_err(fault)?;
    Ok((copied, aside))
}

/// A store that was replaced: its new path, and the old state that the backup restores, or why that is unknown.
struct ReplacedStore {
    file: PathBuf,
    brought_back: Result<BroughtBack, StartFault>,
}

/// Compares the backup with the existing store, and replaces it if the operator agrees.
async fn replace(process: &Process, backup: &Store, yes: bool) -> anyhow::Result<(Vec<CopiedTable>, ReplacedStore)> {
    if process.store.url.is_some() {
        return Err(StartFault::ReplacesFilesOnly.into());
    }
    let (current, brought_back) = match compare(process, backup).await {
        Err(missing @ StartFault::StoreMissing { .. }) => return Err(missing.into()),
        Ok((current, brought_back)) => (Ok(current), Ok(brought_back)),
        Err(fault) => (Err(fault.to_string()), Err(fault)),
    };
    confirmation::require(yes, &replaces(&process.data.join(STORE_FILE), current)).await?;
    let (copied, file) = succeed(process, backup).await?;
    Ok((copied, ReplacedStore { file, brought_back }))
}

/// Counts the rows of the existing store, and compares the backup with it. An unreadable store may be the reason for
/// the restore; then there is no comparison.
async fn compare(process: &Process, backup: &Store) -> Result<(Census, BroughtBack), StartFault> {
    let current = open(process).await?;
    let compared = async { Ok((current.census().await?, backup::brought_back(backup, &current).await?)) }.await;
    current.close().await;
    compared.map_err(|error: DatabaseError| failure::of_store(process, error))
}

/// Describes the store that a restore replaces, for the operator's confirmation.
fn replaces(file: &Path, current: Result<Census, String>) -> String {
    let file = file.display();
    match current {
        Ok(Census { users, keys, requests }) => format!(
            "the restore replaces the store {file} (users: {users}, keys: {keys}, recorded requests: {requests}). The \
             replaced file is kept\n"
        ),
        Err(fault) => {
            format!(
                "the restore replaces the store {file}, whose rows could not be counted ({fault}). The replaced file \
                 is kept\n"
            )
        }
    }
}

/// Describes the effects of restoring an earlier state.
fn warning(taken_at: &str, replaced: Option<&ReplacedStore>) -> String {
    let mut text = format!(
        "the store is in the state of {taken_at}. Later changes are lost: keys created since do not exist, keys revoked and users\n\
         suspended since are active again, passwords are the earlier ones, and credits spent since can be spent again.\n\
         All sessions have ended, and earlier one-time links are invalid.\n"
    );
    let Some(ReplacedStore { file, brought_back }) = replaced else { return text };
    let BroughtBack { keys, secrets, passwords, users, credits } = match brought_back {
        Ok(brought_back) => brought_back,
        Err(fault) => {
            text.push_str(&format!(
                "the replaced store could not be compared with the backup. {fault}\nThe replaced file is {}\n",
                file.display()
            ));
            return text;
        }
    };
    text.push_str(&format!(
        "compared with the replaced store: {} revoked keys are valid again, {} rotated keys have their earlier secret again,\n\
         {passwords} users have their earlier password again, {users} suspended users are active again, and\n\
         {} credits of today can be spent again. The replaced file is {}\n",
        keys.len(),
        secrets.len(),
        credits,
        file.display()
    ));
    list(&mut text, keys, "revoke");
    list(&mut text, secrets, "rotate");
    text
}

/// Lists some of the keys, and the command to run for each.
fn list(text: &mut String, keys: &[(String, String, String)], command: &str) {
    for (prefix, last4, label) in keys.iter().take(KEYS_SHOWN) {
        text.push_str(&format!("  {prefix}_…{last4}  {}\n", printable(label)));
    }
    if keys.len() > KEYS_SHOWN {
        text.push_str(&format!("  and {} more\n", keys.len() - KEYS_SHOWN));
    }
    if !keys.is_empty() {
        text.push_str(&format!("{command} them with `tollgate keys {command}`\n"));
    }
}

/// Checks that a backup's file exists, and is a file.
fn check_file(file: &Path) -> Result<(), StartFault> {
    let found = file.metadata();
    let found = found.map_err(|source| StartFault::BackupUnreadable { file: file.to_owned(), source })?;
    if found.is_file() { Ok(()) } else { Err(StartFault::NoBackup { file: file.to_owned() }) }
}

/// Copies a backup's file beside the store, because opening a backup of an older version changes the file.
fn working_copy(file: &Path, data: &Path) -> Result<Draft, StartFault> {
    let copied = Draft::make(data.join(WORKING_COPY)).and_then(|draft| draft.copy(file));
    copied.map_err(|error| StartFault::unwritable(data, error))
}

fn of_backup(process: &Process, file: &Path, error: BackupError) -> StartFault {
    let file = file.to_owned();
    match error {
        BackupError::Folder(FolderError { source, .. }) => StartFault::BackupUnwritable { file, source },
        BackupError::NoBackup { .. } => StartFault::NoBackup { file },
        BackupError::Open(_) | BackupError::Copy(_) | BackupError::Database(_) => failure::of_store(process, error),
    }
}

/// Prints a line at the beginning of a table, and further lines for a long one.
fn print_progress(progress: Progress) {
    let Progress { table, rows, of } = progress;
    if rows == of && of > TOLD_EVERY || rows % TOLD_EVERY == 0 {
        telemetry::logs::write_stderr(format!("{table}: {rows} of {of}\n"));
    }
}

/// Prints the tables with their rows and sums.
fn show(copied: &[CopiedTable]) {
    for CopiedTable { table, rows, sums } in copied {
        let listed_totals = ["requests", "credits", "cost_nano"];
        let sums = sums.iter().filter(|(name, _)| listed_totals.contains(&name.as_str()));
        let sums: String = sums.map(|(name, sum)| format!("  {name} {}", amounts::sum(name, *sum))).collect();
        say(&format!("{table:<15} {rows:>10} rows{sums}\n"));
    }
}

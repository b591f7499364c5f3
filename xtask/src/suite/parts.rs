//! The parts of the suite: which tests run on which database, and how many of them at once.

use anyhow::{bail, ensure};

use super::binary::Binary;
use super::job::{Database, Job, Selection};

/// A part of the suite, as in `xtask test crates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Tests of crates, without the built binary; those of the store also use PostgreSQL.
    Crates,
    /// Tests of the binary on SQLite, and those that always use PostgreSQL.
    Sqlite,
    /// Tests whose result may depend on the database, on PostgreSQL.
    Postgres,
    /// Crashes and faults, on both databases.
    Crashes,
    /// Random load on one server.
    Load,
}

const PARTS: [(&str, Part); 5] = [
    ("crates", Part::Crates),
    ("sqlite", Part::Sqlite),
    ("postgres", Part::Postgres),
    ("crashes", Part::Crashes),
    ("load", Part::Load),
];

/// The tests of the binary.
const E2E: &str = "e2e/e2e";
/// The tests of control.
const CONTROL: &str = "control/control";
/// Modules of [`CONTROL`] that also run on PostgreSQL: those that send statements which no test of another crate and no other
/// module of [`CONTROL`] or [`ON_POSTGRES`] sends to it. `make soak` runs all of them on PostgreSQL.
const CONTROL_ON_POSTGRES: [&str; 10] = [
    "api::audit::changes::",
    "api::billing::",
    "api::configuration::",
    "api::insights::",
    "api::keys::of_others::",
    "api::keys::repeats::",
    "api::limits::",
    "api::providers::",
    "api::routes::",
    "api::usage::scope::",
];
/// Servers that are killed, run out of disk or are under load. Each test needs a third of the slots.
const CRASHES: &str = "storms::";
/// The tests of [`CRASHES`] that send load, which run on SQLite only.
const LOAD: &str = "storms::soak::";

/// Modules of [`E2E`] whose result may depend on the database: crashes, outages, transactions of money, copies, texts. The others
/// send PostgreSQL no statement that these, [`CONTROL`] and the tests of crates do not send.
const ON_POSTGRES: [&str; 19] = [
    "accounts::",
    "auth::",
    "backlog::",
    "billing::",
    "copies::",
    "crash::",
    "demo::",
    "mails::",
    "migrate::",
    "quota::",
    "read_only::",
    "reconcile::",
    "revoke::",
    "spending::",
    "start::",
    "texts::no_text_",
    "vault::",
    "volume::upgrade::",
    "webhooks::",
];
/// Tests of [`E2E`] that wait for most of 10 seconds or more, such as for the end of a lease. They start first, so that the
/// end of a run does not wait for them alone.
const LONG: [&str; 11] = [
    "clients::every_client",
    "fallback::calls_of_each_format",
    "from_document::",
    "jobs::",
    "leases::leases_of_a_dead_node",
    "limits::leased::",
    "outage::",
    "reload::under_load::",
    "spending::a_stream_that_exhausts",
    "texts::no_text_",
    "tls::certificate_is_replaced",
];

/// Executables that run for half a minute or more, the longest first.
const LONG_EXECUTABLES: [&str; 6] = ["control/control", "proxy/it", "ledger", "store", "config", "billing/it"];

/// Returns the parts with these names, or all parts without a name.
pub(super) fn named(names: &[&str]) -> anyhow::Result<Vec<Part>> {
    if names.is_empty() {
        return Ok(PARTS.into_iter().map(|(_, part)| part).collect());
    }
    let find = |name: &&str| match PARTS.into_iter().find(|(known, _)| known == name) {
        Some((_, part)) => Ok(part),
        None => bail!("no part is named {name}: crates, sqlite, postgres, crashes, load"),
    };
    names.iter().map(find).collect()
}

/// Moves jobs that take long to the front: tests of [`CRASHES`], those of [`LONG`], then whole executables, those of
/// [`LONG_EXECUTABLES`] first.
///
/// A test of [`CRASHES`] follows the one before it in the same slots. Behind tests of one slot, they would all wait for the end,
/// and leave much of the machine idle.
pub(super) fn longest_first(jobs: &mut [Job]) {
    jobs.sort_by_key(|job| match job.test() {
        Some(test) if test.starts_with(CRASHES) => (0, 0),
        Some(test) if LONG.iter().any(|name| test.starts_with(name)) => (1, 0),
        None => {
            let at = LONG_EXECUTABLES.iter().position(|name| *name == job.binary.name);
            (2, at.unwrap_or(LONG_EXECUTABLES.len()))
        }
        Some(_) => (3, 0),
    });
}

impl Part {
    /// Returns the jobs of this part. A pool has `slots`.
    pub(super) async fn jobs(
        self,
        binaries: &[Binary],
        filter: Option<&str>,
        slots: usize,
    ) -> anyhow::Result<Vec<Job>> {
        match self {
            Self::Crates => Ok(whole(binaries, |name| name != E2E, filter, Database::Sqlite)),
            Self::Sqlite => {
                let is_selected = |test: &str| !test.starts_with(CRASHES);
                single(binaries, is_selected, filter, Each { database: Database::Sqlite, slots: 1 }).await
            }
            Self::Postgres => {
                let mut jobs = whole(binaries, |name| name == CONTROL, filter, Database::Postgres);
                let [control] = &mut jobs[..] else { bail!("{CONTROL} does not exist") };
                if filter.is_none() {
                    let tests = control.binary.tests().await?;
                    all_have_a_test("CONTROL_ON_POSTGRES", &CONTROL_ON_POSTGRES, |name| {
                        tests.iter().any(|test| test.starts_with(name))
                    })?;
                    control.selection = Selection::ContainingAny(&CONTROL_ON_POSTGRES);
                }
                let is_selected = |test: &str| ON_POSTGRES.iter().any(|module| test.starts_with(module));
                jobs.extend(
                    single(binaries, is_selected, filter, Each { database: Database::Postgres, slots: 1 }).await?,
                );
                Ok(jobs)
            }
            Self::Crashes => {
                let is_selected = |test: &str| test.starts_with(CRASHES) && !test.starts_with(LOAD);
                let mut jobs = Vec::new();
                for database in [Database::Sqlite, Database::Postgres] {
                    let each = Each { database, slots: slots.div_ceil(3) };
                    jobs.extend(single(binaries, is_selected, filter, each).await?);
                }
                Ok(jobs)
            }
            Self::Load => {
                let is_selected = |test: &str| test.starts_with(LOAD);
                let each = Each { database: Database::Sqlite, slots: slots.div_ceil(3) };
                single(binaries, is_selected, filter, each).await
            }
        }
    }
}

/// Fails if a name of a list selects no test.
fn all_have_a_test(list: &str, names: &[&str], has_test: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let unused = names.iter().find(|name| !has_test(name));
    ensure!(unused.is_none(), "{unused:?} is listed in {list} and has no test");
    Ok(())
}

/// One job per executable, for tests that take milliseconds.
fn whole(
    binaries: &[Binary],
    is_selected: impl Fn(&str) -> bool,
    filter: Option<&str>,
    database: Database,
) -> Vec<Job> {
    let selection = filter.map_or(Selection::All, |text| Selection::Containing(text.to_owned()));
    let selected = binaries.iter().filter(|binary| is_selected(&binary.name));
    let job = |binary: &Binary| Job { binary: binary.clone(), selection: selection.clone(), database, slots: 2 };
    selected.map(job).collect()
}

/// The database and the share of the machine of each test.
#[derive(Debug, Clone, Copy)]
struct Each {
    database: Database,
    slots: usize,
}

/// One job per test of the binary, for tests that take seconds.
async fn single(
    binaries: &[Binary],
    is_selected: impl Fn(&str) -> bool,
    filter: Option<&str>,
    each: Each,
) -> anyhow::Result<Vec<Job>> {
    let Some(binary) = binaries.iter().find(|binary| binary.name == E2E) else { bail!("{E2E} does not exist") };
    let tests = binary.tests().await?;
    for (list, names) in [("ON_POSTGRES", &ON_POSTGRES[..]), ("LONG", &LONG)] {
        all_have_a_test(list, names, |name| tests.iter().any(|test| test.starts_with(name)))?;
    }
    let is_built = |name: &str| binaries.iter().any(|binary| binary.name == name);
    all_have_a_test("LONG_EXECUTABLES", &LONG_EXECUTABLES, is_built)?;
    let is_wanted = |test: &String| is_selected(test) && filter.is_none_or(|text| test.contains(text));
    let job = |test| Job {
        binary: binary.clone(),
        selection: Selection::One(test),
        database: each.database,
        slots: each.slots,
    };
    Ok(tests.into_iter().filter(is_wanted).map(job).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn crashes_long_tests_and_then_whole_executables_start_before_short_tests() {
        let binary = Binary { name: E2E.into(), path: PathBuf::new(), folder: PathBuf::new() };
        let job = |selection| Job { binary: binary.clone(), selection, database: Database::Sqlite, slots: 1 };
        let one = |test: &str| job(Selection::One(test.to_owned()));
        let whole = |name: &str| Job { binary: Binary { name: name.into(), ..binary.clone() }, ..job(Selection::All) };
        let mut jobs = vec![one("keys::a"), whole("ai"), whole("store"), one("outage::b"), one("bytes::c")];
        jobs.extend([one("jobs::d"), whole("control/control"), one("storms::full::e"), one("storms::soak::f")]);
        longest_first(&mut jobs);
        let names: Vec<&str> = jobs.iter().map(|job| job.test().unwrap_or(&job.binary.name)).collect();
        let first = ["storms::full::e", "storms::soak::f"];
        let last = ["keys::a", "bytes::c"];
        let middle = ["outage::b", "jobs::d", "control/control", "store", "ai"];
        assert_eq!(names, [&first[..], &middle, &last].concat());
    }
}

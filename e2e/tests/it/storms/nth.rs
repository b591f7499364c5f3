//! The n-th write, sync, rename, statement or commit fails, for every n until a run meets no failure. No usage is lost
//! or counted twice; a response may be a 5xx.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use e2e::child::Process;
use e2e::database::on_postgres;
use e2e::faults::{Calls, Shim};
use e2e::gateway::listening;
use e2e::setup::{Folder, OPEN};
use e2e::statements::{Cut, StatementRelay};
use e2e::{Call, Gateway, Mock, Setup, Upstream, at_once, commands, eventually};

use super::noon::Noon;
use super::rounds::{Load, tell};
use super::tally::{assert_audited, assert_counts_agree, each_once, rests};
use super::torn;
use crate::store;

/// Number of concurrent lanes, each with every `LANES`-th n: a run mostly waits.
const LANES: u64 = 6;
/// The name of a plan with a quota.
const COUNTED: &str = "counted";
/// More statements than two ticks of a lease have. Ticks never end, so no run meets all of them.
const OF_LEASES: u64 = 30;
/// A lane ends after this many runs without a failure: the number of disk calls per run varies with the batching of
/// records.
const QUIET: usize = 2;
/// Step between the tested n of starts and of statements, which take longest, unless the long test is requested.
const EVERY: u64 = 3;

fn every() -> u64 {
    if e2e::is_long() { 1 } else { EVERY }
}

fn setup(mock: &Mock) -> Setup {
    Setup::provider("mock", mock.address())
        .plans(&format!("{{name: {COUNTED}, credits_per_day: 1000000}}"))
        .section("spool", "{max_size: 4MiB, durability: power}")
        .section("lease", "{ttl: 10s, recall_wait: 10s}")
        .flag("--workers")
        .flag("1")
}

/// A server whose requests all have unique model names.
struct Lane {
    mock: Mock,
    gateway: Gateway,
    load: Arc<Load>,
}

impl Lane {
    async fn start_in(folder: Folder, mock: Mock, setup: Setup, plan: &str) -> Self {
        let gateway = Gateway::start_in(folder, setup).await;
        let load = Load::new(&gateway.account(plan).await.key);
        assert_eq!(load.make(gateway.proxy, load.call("tokens-1-0", false)).await, Some(200));
        rests(&gateway).await;
        Self { mock, gateway, load }
    }

    async fn make(&self, model: &str, streamed: bool) {
        let status = self.load.make(self.gateway.proxy, self.load.call(model, streamed)).await;
        assert!(matches!(status, Some(200 | 500 | 503)), "{status:?}");
    }

    /// Sends the requests of one run: some one after the other, then two concurrently.
    async fn call(&self) {
        self.make("tokens-1-0", false).await;
        self.make("tokens-1-0", true).await;
        tokio::join!(self.make("tokens-2-1", true), self.make("tokens-2-0", false));
    }

    /// Returns whether the mock received a request without a usage event.
    async fn lacks_an_event(&self) -> bool {
        let events = store::all_events(self.gateway.folder()).await;
        let reported: BTreeSet<&str> = events.iter().filter_map(|event| event.row["model"].as_str()).collect();
        self.mock.models().await.keys().any(|name| name != "plain" && !reported.contains(format!("up/{name}").as_str()))
    }

    /// Asserts that every request is stored once with its usage. A failed write may delay an event for a short time.
    async fn judge(&self) {
        rests(&self.gateway).await;
        eventually("every request has an event", async || (!self.lacks_an_event().await).then_some(())).await;
        let tally = each_once(&self.mock, self.gateway.folder(), &self.load.answered(), true).await;
        assert_eq!(tally.interrupted, 0, "{tally:?}");
        assert_counts_agree(self.gateway.folder()).await;
    }
}

/// Lets the n-th disk call fail, in the spool or the database.
async fn fail_every_write(lane: u64) -> (u64, usize) {
    let mock = Mock::start().await;
    let shim = Shim::new();
    let folder = Folder::on_sqlite();
    let setup = shim.over(setup(&mock), &folder.data());
    let running = Lane::start_in(folder, mock, setup, COUNTED).await;
    let mut quiet = 0;
    for nth in (lane + 1..).step_by(usize::try_from(LANES).unwrap()) {
        shim.fail(Calls::ALL, nth);
        running.call().await;
        // Waits until the pending writes were done or one was attempted.
        tokio::time::timeout(e2e::wait::SOON, async {
            while shim.failed() == 0 && running.gateway.gauge("tollgate_spool_bytes").await > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        shim.work();
        quiet = if shim.failed() > 0 { 0 } else { quiet + 1 };
        running.judge().await;
        if quiet == QUIET {
            assert_audited(running.gateway.folder()).await;
            return (nth, running.load.count());
        }
    }
    unreachable!("a run ends")
}

#[tokio::test]
async fn whichever_write_or_sync_fails_nothing_is_lost_or_doubled() {
    if on_postgres() {
        return;
    }
    let done = at_once((0..LANES).map(fail_every_write)).await;
    tell(&format!("runs without a failure at n, calls answered: {done:?}"));
}

/// A pre-logged batch has a write at its begin and one at its end, which is retried.
#[tokio::test]
async fn whichever_write_of_a_quota_fails_its_counts_are_stored_once() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let noon = Noon::begin().await;
    let shim = &noon.shim;
    let folder = noon.folder();
    let setup = Setup::routed(upstream.address(), "{path: /plain, upstreams: backend}")
        .plans(&format!("{{name: {COUNTED}, credits_per_day: 1000000}}"))
        .flag("--workers")
        .flag("1");
    let setup = noon.clock_of(shim.over(setup, &folder.data().join("spool")));
    let gateway = Gateway::start_in(folder, setup.clone()).await;
    let key = gateway.account(COUNTED).await.key;
    let call = Call::get("/plain").key(&key);
    for nth in 1..=8 {
        shim.fail(Calls::WRITES, nth);
        eventually("a write fails", async || {
            let status = call.send(gateway.proxy).await.status();
            assert!(matches!(status, 200 | 500 | 503), "{status}");
            (shim.failed() > 0).then_some(())
        })
        .await;
        shim.work();
    }
    let sent = upstream.seen().len() as u64;
    let stored = "SELECT CAST(coalesce(sum(credits), 0) / 1000000 AS BIGINT) FROM usage_counts";
    eventually("all counts are stored", async || {
        (store::number(gateway.folder(), stored).await == i64::try_from(sent).unwrap()).then_some(())
    })
    .await;
    let again = Gateway::start_in(gateway.crash().folder, setup).await;
    assert_eq!(again.used(&key).await, sent);
}

/// Cuts the connection before and after the n-th statement, including commits, for requests of a plan. Ends at `last`,
/// or when runs meet no cut. Returns the last n and the number of answered requests.
async fn cut_every_statement(lane: u64, plan: &str, last: u64) -> (u64, usize) {
    let mock = Mock::start().await;
    let folder = Folder::new();
    let database = folder.database().unwrap();
    let way = StatementRelay::to(database.host()).await;
    let setup = setup(&mock).variable("DATABASE_URL", &database.url_by(way.address()));
    let running = Lane::start_in(folder, mock, setup, plan).await;
    let mut quiet = 0;
    let mut nth = 1 + lane * every();
    while quiet < QUIET && nth <= last {
        let mut tested = 0;
        for cut in [Cut::Before, Cut::After] {
            way.cut(nth, cut);
            running.call().await;
            rests(&running.gateway).await;
            tested += way.mend();
        }
        running.judge().await;
        quiet = if tested > 0 { 0 } else { quiet + 1 };
        nth += LANES * every();
    }
    assert_audited(running.gateway.folder()).await;
    (nth, running.load.count())
}

#[tokio::test]
async fn on_whichever_side_of_a_statement_or_a_commit_its_connection_is_cut_nothing_is_lost_or_doubled() {
    if !on_postgres() {
        return;
    }
    let done = at_once((0..LANES).map(|lane| cut_every_statement(lane, OPEN, u64::MAX))).await;
    tell(&format!("runs without a cut before n, calls answered: {done:?}"));
}

#[tokio::test]
async fn on_whichever_side_of_a_statement_of_a_lease_its_connection_is_cut_nothing_is_lost_or_doubled() {
    if !on_postgres() {
        return;
    }
    let done = at_once((0..LANES).map(|lane| cut_every_statement(lane, COUNTED, OF_LEASES))).await;
    tell(&format!("runs up to n, calls answered: {done:?}"));
}

/// Starts a server on a copy of a killed server's folder while the n-th disk call fails; returns whether one failed.
async fn start_with_a_failure(mock: &Mock, data: PathBuf, load: Arc<Load>, nth: u64) -> bool {
    let shim = Shim::new();
    let folder = Folder::on_sqlite();
    torn::copy(&data, &folder.data());
    let setup = shim.over(setup(mock), &folder.data());
    shim.fail(Calls::ALL, nth);
    let mut process = Process::new(commands::serve(&folder, &setup));
    eventually("the server listens or ends", async || {
        (process.ended().is_some() || listening(&folder.read("stderr")).is_some()).then_some(())
    })
    .await;
    process.kill();
    shim.work();
    let again = Gateway::start_in(folder, setup).await;
    rests(&again).await;
    let tally = each_once(mock, again.folder(), &load.answered(), false).await;
    assert_eq!(tally.interrupted, usize::from(torn::HANGING), "{tally:?}");
    assert_counts_agree(again.folder()).await;
    shim.failed() > 0
}

#[tokio::test]
async fn after_any_failed_write_of_a_start_the_next_start_loses_nothing() {
    if on_postgres() {
        return;
    }
    let mock = Arc::new(Mock::start().await);
    let killed = torn::killed(setup(&mock), 20).await;
    let step = usize::try_from(LANES * every()).unwrap();
    let lanes = (0..LANES).map(|lane| 1 + lane * every());
    let starts = |lane: u64| {
        let mock = Arc::clone(&mock);
        let data = killed.folder.data();
        let load = Arc::clone(&killed.load);
        async move {
            for nth in (lane..).step_by(step) {
                if !start_with_a_failure(&mock, data.clone(), Arc::clone(&load), nth).await {
                    return nth;
                }
            }
            unreachable!("a start ends")
        }
    };
    let ended = at_once(lanes.map(starts)).await;
    tell(&format!("starts without a failure at n: {ended:?}"));
}

//! The UTC day ends while three servers share a quota: each day admits exactly its quota, and each request belongs to
//! one day. The clocks of the servers and of PostgreSQL are shifted equally.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::database::on_postgres;
use e2e::{Call, Gateway, Setup, eventually};
use tokio::task::JoinSet;

use super::noon::{DAY_MICROS, Noon, micros};
use super::tally::{assert_counts_agree, rests};
use crate::bodies::{CHAT, Format};
use crate::store;

const QUOTA: usize = 100;
/// Streams that are in flight at midnight.
const OPEN: usize = 10;
/// Requests long before midnight.
const EARLY: usize = 30;
/// Time between the shift of the clock and midnight.
const BEFORE: Duration = Duration::from_secs(2);

struct Night {
    nodes: [Gateway; 3],
    key: String,
    noon: Noon,
}

impl Night {
    async fn begin() -> Self {
        let noon = Noon::begin().await;
        let setup = || {
            let setup = Setup::mocked()
                .plans(&format!("{{name: hundred, credits_per_day: {QUOTA}}}"))
                .section("lease", "{ttl: 20s, recall_wait: 10s}")
                .section("connections", "{max: 5000, per_address: 5000}");
            noon.clock_of(setup)
        };
        let folder = noon.folder();
        let second = folder.beside();
        let third = folder.beside();
        let first = Gateway::start_in(folder, setup()).await;
        let key = first.account("hundred").await.key;
        let (second, third) = tokio::join!(Gateway::start_in(second, setup()), Gateway::start_in(third, setup()));
        let night = Self { nodes: [first, second, third], key, noon };
        // The key is cached on every node, and no node has a lease yet.
        for node in &night.nodes {
            node.call(Call::get("/v1/models").key(&night.key)).await.expect(200);
        }
        night
    }

    /// Shifts the clocks to shortly before midnight.
    fn falls(&mut self) {
        let before = i64::try_from(BEFORE.as_micros()).unwrap();
        self.noon.set_ahead((self.day() + 1) * DAY_MICROS - micros() - before);
    }

    /// Returns the current day according to the servers' clocks.
    fn day(&self) -> i64 {
        (micros() + self.noon.ahead()) / DAY_MICROS
    }

    fn call(&self, model: &str, streamed: bool) -> Call {
        Call::json(CHAT, &Format::Chat.body(&format!("mock/{model}"), streamed)).key(&self.key)
    }

    /// Sends requests to the nodes in turn until one refuses; returns how many passed.
    async fn use_up(&self) -> usize {
        for (passed, node) in self.nodes.iter().cycle().enumerate() {
            let answer = node.call(self.call("tokens-1", false)).await;
            match answer.status() {
                200 => {}
                429 => return passed,
                _ => panic!("{} {}", answer.head.first, answer.text()),
            }
        }
        0
    }

    async fn passes(&self, day: i64) {
        eventually("the day ends", async || (self.day() > day).then_some(())).await;
    }

    /// Returns the admitted requests of the two days, counted from the events.
    async fn admitted(&self, day: i64) -> [i64; 2] {
        for node in &self.nodes {
            rests(node).await;
        }
        let folder = self.nodes[0].folder();
        assert_counts_agree(folder).await;
        let all = store::number(folder, "SELECT count(*) FROM usage_events WHERE attempts > 0").await;
        let last = "SELECT count(*) FROM usage_events WHERE attempts > 0 AND day = (SELECT max(day) FROM usage_events)";
        let last = store::number(folder, last).await;
        assert_eq!(store::number(folder, "SELECT max(day) FROM usage_events").await, day + 1);
        assert_eq!(store::number(folder, "SELECT count(DISTINCT day) FROM usage_events WHERE attempts > 0").await, 2);
        [all - last, last]
    }
}

#[tokio::test]
async fn a_quota_of_100_over_three_nodes_admits_exactly_100_on_either_side_of_midnight() {
    if !on_postgres() {
        return;
    }
    let mut night = Night::begin().await;
    let day = night.day();
    let mut open = JoinSet::new();
    for nth in 0..OPEN {
        let call = night.call("long", true);
        let to = night.nodes[nth % 3].proxy;
        open.spawn(async move { call.send(to).await });
    }
    // The streams are admitted before any other request.
    eventually("the streams run", async || {
        let mut running = 0;
        for node in &night.nodes {
            running += node.gauge("tollgate_requests_in_flight").await;
        }
        (usize::try_from(running) == Ok(OPEN)).then_some(())
    })
    .await;
    assert_eq!(night.use_up().await, QUOTA - OPEN);
    night.falls();
    night.passes(day).await;
    assert_eq!(night.use_up().await, QUOTA);
    // The streams were open the whole time and count for the day on which they began.
    assert!(open.try_join_next().is_none());
    open.shutdown().await;
    assert_eq!(night.admitted(day).await, [100, 100]);
}

#[tokio::test]
async fn at_midnight_on_three_nodes_each_request_counts_on_one_day_within_its_quota() {
    if !on_postgres() {
        return;
    }
    let mut night = Night::begin().await;
    let day = night.day();
    for node in night.nodes.iter().cycle().take(EARLY) {
        node.call(night.call("tokens-1", false)).await.expect(200);
    }
    night.falls();
    let midnight = (day + 1) * DAY_MICROS - night.noon.ahead();
    eventually("midnight is near", async || (micros() > midnight - 80_000).then_some(())).await;
    let over = Arc::new(AtomicBool::new(false));
    let passed = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..30 {
        let call = night.call("tokens-1", false);
        let to = night.nodes[caller % 3].proxy;
        let over = Arc::clone(&over);
        let passed = Arc::clone(&passed);
        callers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let answer = call.send(to).await;
                match answer.status() {
                    200 => drop(passed.fetch_add(1, Ordering::Relaxed)),
                    429 => {}
                    // On a busy machine the lease came too late; the client may retry.
                    503 if answer.json()["error"]["code"] == "quota_withheld" => {}
                    _ => panic!("{} {}", answer.head.first, answer.text()),
                }
            }
        });
    }
    night.passes(day).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    over.store(true, Ordering::Relaxed);
    callers.join_all().await;
    let rest = night.use_up().await;
    let [before, after] = night.admitted(day).await;
    assert_eq!(after, 100);
    assert!((30..=100).contains(&before), "{before}");
    assert_eq!(usize::try_from(before + after), Ok(EARLY + passed.load(Ordering::Relaxed) + rest));
}

//! SIGKILL under load, ten rounds in one folder: each request that was sent upstream has one event, and a quota is
//! never exceeded.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use e2e::{Answer, Call, Gateway, Mock, Setup, with_progress};
use tokio::task::JoinSet;

use super::dice::Dice;
use super::noon::Noon;
use super::tally::{assert_audited, assert_counts_agree, each_once, rests};
use crate::bodies::{CHAT, Format};
use crate::store;

/// Kills in `make test` and in `make soak`.
const ROUNDS: usize = 3;
const ROUNDS_LONG: usize = 10;
const CALLERS: usize = 16;
/// The daily quota grows with the rounds; a request costs one credit.
const CREDITS_PER_ROUND: usize = 100;
/// Lease settings for a slow machine: no request fails for lack of a lease.
const LEASE: &str = "{ttl: 20s, recall_wait: 10s}";

/// Clients that send requests repeatedly, and their responses. Each request has a unique model name.
pub(crate) struct Load {
    pub(crate) key: String,
    names: AtomicU64,
    is_over: AtomicBool,
    /// Model names of requests that were completely answered with 200.
    answered: Mutex<BTreeSet<String>>,
    /// Status and code of complete refusals.
    refused: Mutex<Vec<(u16, String)>>,
}

/// A request and the name of its model.
pub(crate) struct NamedCall {
    model: String,
    call: Call,
}

impl Load {
    pub(crate) fn new(key: &str) -> Arc<Self> {
        Arc::new(Self {
            key: key.to_owned(),
            names: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            answered: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Returns a request for a new model.
    pub(crate) fn call(&self, model: &str, streamed: bool) -> NamedCall {
        let name = format!("{model}-{:08}", self.names.fetch_add(1, Ordering::Relaxed));
        let call = Call::json(CHAT, &Format::Chat.body(&format!("up/{name}"), streamed)).key(&self.key);
        NamedCall { model: name, call }
    }

    /// Sends a request; returns the status of its response, or `None` if it is incomplete.
    pub(crate) async fn make(&self, to: std::net::SocketAddr, NamedCall { model, call }: NamedCall) -> Option<u16> {
        let answer = call.attempt(to).await.ok()?.rest().await;
        if !answer.whole {
            return None;
        }
        match answer.status() {
            200 => drop(self.answered.lock().unwrap().insert(model)),
            status => self.refused.lock().unwrap().push((status, code(&answer))),
        }
        Some(answer.status())
    }

    /// Starts [`CALLERS`] clients with streamed and plain requests in turn, until the load ends or the server is
    /// killed.
    pub(crate) fn begin(self: &Arc<Self>, to: std::net::SocketAddr) -> JoinSet<()> {
        self.is_over.store(false, Ordering::Relaxed);
        let caller = |streams: bool| {
            let load = Arc::clone(self);
            async move {
                let mut streamed = streams;
                while !load.is_over.load(Ordering::Relaxed) {
                    let call = load.call(if streamed { "tokens-3-10" } else { "tokens-2-0" }, streamed);
                    if load.make(to, call).await.is_none() {
                        return;
                    }
                    streamed = !streamed;
                }
            }
        };
        (0..CALLERS).map(|nth| caller(nth % 2 == 0)).collect()
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    pub(crate) fn answered(&self) -> BTreeSet<String> {
        self.answered.lock().unwrap().clone()
    }

    pub(crate) fn refused(&self) -> Vec<(u16, String)> {
        self.refused.lock().unwrap().clone()
    }

    /// Waits until `more` further requests are answered, for as long as any is.
    pub(crate) async fn goes_on(&self, more: usize) {
        let from = self.count();
        with_progress("the load runs", async || match self.count() {
            count if count >= from + more => Ok(()),
            count => Err(count),
        })
        .await;
    }
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn rounds() -> usize {
    if e2e::is_long() { ROUNDS_LONG } else { ROUNDS }
}

fn quota() -> usize {
    rounds() * CREDITS_PER_ROUND
}

fn setup(mock: &Mock) -> Setup {
    Setup::provider("mock", mock.address())
        .plans(&format!("{{name: rounds, credits_per_day: {}}}", quota()))
        .section("lease", LEASE)
}

#[tokio::test]
async fn in_rounds_of_kill_9_each_request_upstream_has_one_event_and_a_quota_is_never_above_itself() {
    let mock = Mock::start().await;
    let noon = Noon::begin().await;
    let setup = || noon.clock_of(setup(&mock));
    let mut gateway = Gateway::start_in(noon.folder(), setup()).await;
    let load = Load::new(&gateway.account("rounds").await.key);
    let mut dice = Dice::new(7);
    let mut interrupted = 0;
    for round in 1..=rounds() {
        let callers = load.begin(gateway.proxy);
        load.goes_on(10 + dice.below(50)).await;
        let folder = gateway.crash().folder;
        callers.join_all().await;
        gateway = Gateway::start_in(folder, setup()).await;
        // At once: the spool is stored before the server answers requests.
        let tally = each_once(&mock, gateway.folder(), &load.answered(), false).await;
        assert!(tally.count() <= quota() && tally.interrupted <= round * CALLERS, "{round}: {tally:?}");
        gateway.uses(&load.key, tally.count() as u64).await;
        interrupted = tally.interrupted;
    }
    assert!(interrupted > 0, "no request was in flight at a kill");
    assert_eq!(load.refused(), [], "requests were refused before the quota was exhausted");
    // The rest of the quota is exactly the credits that no event has charged.
    let left = quota() - each_once(&mock, gateway.folder(), &load.answered(), false).await.count();
    let mut passed = 0;
    while let Some(200) = load.make(gateway.proxy, load.call("tokens-1-0", false)).await {
        passed += 1;
    }
    assert_eq!((passed, load.refused()), (left, vec![(429, "insufficient_quota".to_owned())]));
    rests(&gateway).await;
    let tally = each_once(&mock, gateway.folder(), &load.answered(), false).await;
    assert_eq!(tally.count(), quota());
    assert_counts_agree(gateway.folder()).await;
    assert_audited(gateway.folder()).await;
    assert_eq!(store::integrity(gateway.folder()).await, "ok");
    tell(&format!(
        "{} events, {} interrupted, {} of them unsent, {} kills",
        tally.count(),
        interrupted,
        tally.unsent,
        rounds()
    ));
}

/// Prints the measurements of a test.
#[expect(clippy::print_stderr, reason = "a long test prints its measurements")]
pub(crate) fn tell(what: &str) {
    eprintln!("{what}");
}

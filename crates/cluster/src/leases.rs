//! The loop that keeps this node's leases: it sends ticks to the lease server, and decides the requests that wait.
//!
//! A database error or timeout ends no lease: leased amounts may be used until their deadline, and the next tick
//! reports the current state.

pub mod cleanup;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::{Amount, Mono};
use jobs::{Job, JobError, JobSpec, NextRun, Outage, RetryPauses, causes};
use meter::budgets::budget::Measure;
use meter::lease::queue::ServerTime;
use meter::lease::{
    LeaseClient, LeaseTiming, QueueMessage, SharedCounter, Tick, TickReply, Verdict, WaitDecision, WaitRequest, Waiter,
};
use store::{DatabaseError, Node};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::handle::Cluster;
use crate::lease_server::LeaseError;
use crate::lease_server::unreported::{CLOSED_MAX, UnreportedLease};
use cleanup::UnreturnedLeases;

#[cfg(test)]
pub(crate) use cleanup::STATEMENTS;

/// Minimum time between two ticks; requests that arrive meanwhile share the next tick.
const SOONEST: Duration = Duration::from_millis(2);
/// Maximum number of messages that are received together.
const MESSAGES_MAX: usize = 256;
/// Interval between checks of the waiting requests.
const LOOK: Duration = Duration::from_millis(25);
/// Timeout of a tick's response. The lease server may have applied the tick nevertheless.
const ANSWER: Duration = Duration::from_secs(1);
/// Maximum number of asks, and of closes, that one transaction applies.
const ASKS_MAX: usize = 256;
/// Interval between checks for leases that other nodes and earlier runs left behind.
const KEEPING: Duration = Duration::from_secs(10);
/// Interval if the last check did not see all of them.
const KEEPING_ON: Duration = Duration::from_secs(1);
/// Maximum time for returning leases at shutdown. Leases that are not returned stay open until the node starts again.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Counters of the lease loop.
#[derive(Debug, Default)]
pub struct LeaseStats {
    /// Ticks that the lease server applied.
    pub ticks: AtomicU64,
    /// Ticks that failed or timed out.
    pub failures: AtomicU64,
    /// Recalls that the node received.
    pub recalls: AtomicU64,
    /// Requests that waited for a lease.
    pub waits: AtomicU64,
    /// Waiting requests that were refused because a budget is used up.
    pub used_up: AtomicU64,
    /// Waiting requests that were refused because the budget's state is unknown.
    pub withheld: AtomicU64,
    /// Leases with unspent amounts on nodes that do not respond.
    pub unusable: AtomicU64,
    /// Unspent amounts of those leases: micro-credits, tokens, nano-USD.
    pub unusable_left: [AtomicU64; 3],
}

/// Configuration and inputs of the lease loop.
#[derive(Debug)]
pub struct LeaseLoopOptions {
    /// Node that the leases belong to.
    pub node: Node,
    /// Messages of waiting requests.
    pub messages: mpsc::Receiver<QueueMessage>,
    /// Receives the time of the lease server's clock.
    pub time: Arc<ServerTime>,
    /// Interval of ticks and maximum wait of requests.
    pub timing: LeaseTiming,
    /// Lifetime of a lease.
    pub ttl: Duration,
    /// Counters that the loop updates.
    pub stats: Arc<LeaseStats>,
}

impl LeaseStats {
    fn note(&self, unusable: &UnreturnedLeases) {
        self.unusable.store(unusable.leases, Ordering::Relaxed);
        for (left, measure) in self.unusable_left.iter().zip(Measure::ALL) {
            left.store(unusable.left.amount_of(measure).0, Ordering::Relaxed);
        }
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<Vec<TickReply>, LeaseError>> + Send>>;
type Looking = Pin<Box<dyn Future<Output = LeftoverLeases> + Send>>;

/// Leases that earlier runs left behind, as far as the database responded in time.
struct LeftoverLeases {
    unreported: Vec<UnreportedLease>,
    unusable: Option<UnreturnedLeases>,
}

/// A run lasts from one response of the lease server to the next; it ends earlier after a check for leases left behind.
/// The loop paces its ticks itself: a pause between runs would delay requests that wait.
pub const SPEC: JobSpec = JobSpec {
    run_max: Duration::MAX,
    retry: RetryPauses { first: Duration::ZERO, longest: Duration::ZERO },
    ..JobSpec::every("leases", Duration::ZERO)
};
/// Interval at which a lease loop that panicked reports that it does not run.
const LOST_EVERY: Duration = Duration::from_secs(60);

/// The state of the lease loop was lost in a panic. Another loop would not know the leases that are in use.
#[derive(Debug, Error)]
#[error("no lease is renewed since the lease loop panicked: restart this server")]
struct LeasesLost;

/// The job that keeps this node's leases, and returns all of them when it stops.
pub struct Leases(Option<LeaseLoop>);

impl Leases {
    /// Returns the job; `None` is for the jobs after one that panicked, which fail.
    #[must_use]
    pub fn new(leasing: Option<LeaseLoopOptions>) -> Self {
        Self(leasing.map(LeaseLoop::new))
    }
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases").finish_non_exhaustive()
    }
}

impl Job for Leases {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Some(held) = &mut self.0 else {
            sleep(LOST_EVERY).await;
            return Err(LeasesLost.into());
        };
        held.hold().await?;
        Ok(NextRun::Now)
    }

    /// Returns all leases, within a few seconds.
    async fn stop(&mut self) -> Result<(), JobError> {
        let ended = match &mut self.0 {
            Some(held) => timeout(END_WITHIN, held.end()).await.is_ok(),
            None => false,
        };
        if !ended {
            tracing::warn!(
                "leases of this node are unusable until it starts again, their period ends, or `tollgate leases reclaim` \
                 ends them"
            );
        }
        Ok(())
    }
}

struct LeaseLoop {
    leasing: LeaseLoopOptions,
    holder: LeaseClient,
    replies: HashMap<u64, oneshot::Sender<WaitDecision>>,
    sent_at: Mono,
    /// Whether the last response granted a waiting request and others still wait. If less is left than they need, each
    /// ask serves the first of them.
    helped: bool,
    /// Time of the last check for leases left behind, and the time until the next one.
    looked: Option<(Mono, Duration)>,
    sending: Option<Sending>,
    looking: Option<Looking>,
    /// Received messages; empty between events.
    messages: Vec<QueueMessage>,
}

/// An event for which the loop waits.
enum LeaseEvent {
    Response(Result<Vec<TickReply>, LeaseError>),
    Leftover(LeftoverLeases),
    /// This number of messages arrived; 0 if all senders are gone.
    Messages(usize),
    /// Something may be due.
    Time,
}

impl LeaseLoop {
    fn new(leasing: LeaseLoopOptions) -> Self {
        let LeaseLoopOptions { node, timing, .. } = &leasing;
        let holder = LeaseClient::new(node.lessee(), node.incarnation(), *timing);
        let (replies, messages) = Default::default();
        let sending = None;
        let looking = None;
        let looked = None;
        Self { leasing, holder, replies, sent_at: Mono(0), helped: false, looked, sending, looking, messages }
    }

    /// Handles events until the lease server responds, or a check for leases left behind ends. It may be dropped at any
    /// await.
    async fn hold(&mut self) -> Result<(), LeaseError> {
        loop {
            self.review();
            let pause = self.pause();
            if self.sending.is_none() && self.is_due() {
                self.sending = Some(self.tick());
            }
            if self.looking.is_none() && self.looked.is_none_or(|(at, enough)| self.now().since(at) >= enough) {
                self.looking = Some(Box::pin(look_after(self.leasing.node.clone(), self.leasing.ttl)));
            }
            match self.event(pause).await {
                LeaseEvent::Response(answers) => {
                    self.sending = None;
                    return self.heard(answers);
                }
                LeaseEvent::Leftover(left) => {
                    self.looking = None;
                    self.keep(left);
                    return Ok(());
                }
                // All senders are gone, so no request can wait any more.
                LeaseEvent::Messages(0) => std::future::pending().await,
                LeaseEvent::Messages(_) => {
                    for message in std::mem::take(&mut self.messages) {
                        match message {
                            QueueMessage::Wait(question) => self.wait(question),
                            QueueMessage::Leave(waiter) => self.forget(waiter),
                        }
                    }
                }
                LeaseEvent::Time => {}
            }
        }
    }

    async fn event(&mut self, pause: Duration) -> LeaseEvent {
        let Self { leasing, sending, looking, messages, .. } = self;
        tokio::select! {
            biased;
            answers = under_way(sending) => LeaseEvent::Response(answers),
            left = under_way(looking) => LeaseEvent::Leftover(left),
            received = leasing.messages.recv_many(messages, MESSAGES_MAX) => LeaseEvent::Messages(received),
            () = sleep(pause) => LeaseEvent::Time,
        }
    }

    fn now(&self) -> Mono {
        self.leasing.node.store().clock().mono()
    }

    /// Returns the time until something may be due.
    fn pause(&self) -> Duration {
        let since = self.now().since(self.sent_at);
        self.due().saturating_sub(since).clamp(SOONEST, LOOK)
    }

    fn is_due(&self) -> bool {
        let since = self.now().since(self.sent_at);
        since >= self.due() && !self.holder.is_fenced()
    }

    /// Returns the time from a tick to the next one.
    fn due(&self) -> Duration {
        if self.holder.is_urgent() || self.helped { SOONEST } else { self.holder.next_tick(self.now()) }
    }

    fn tick(&mut self) -> Sending {
        let now = self.now();
        (self.sent_at, self.helped) = (now, false);
        let node = self.leasing.node.clone();
        let ttl = self.leasing.ttl;
        let ticks = parts(self.holder.tick(now));
        let cluster = Cluster::new(node.store().clone());
        Box::pin(async move {
            let mut answers = Vec::with_capacity(ticks.len());
            for tick in &ticks {
                answers.push(in_time(cluster.lend(&node, tick, ttl)).await?);
            }
            Ok(answers)
        })
    }

    fn keep(&mut self, LeftoverLeases { unreported, unusable }: LeftoverLeases) {
        self.looked = Some((self.now(), if unreported.len() < CLOSED_MAX { KEEPING } else { KEEPING_ON }));
        if let Some(unusable) = unusable {
            self.leasing.stats.note(&unusable);
        }
        for lease in unreported {
            self.holder.close_past(lease.cell, lease.incarnation, lease.spent);
        }
    }

    fn heard(&mut self, sent: Result<Vec<TickReply>, LeaseError>) -> Result<(), LeaseError> {
        let stats = self.leasing.stats.clone();
        let now = self.now();
        let answers = sent.inspect_err(|_| _ = stats.failures.fetch_add(1, Ordering::Relaxed))?;
        for answer in &answers {
            match answer {
                TickReply::Accepted(heard) => {
                    stats.ticks.fetch_add(1, Ordering::Relaxed);
                    stats.recalls.fetch_add(heard.recalls.len() as u64, Ordering::Relaxed);
                }
                TickReply::Fenced => {
                    tracing::error!(
                        "another server uses a copy of this data folder: this one gets no more leases; stop the other one and \
                         restart this one"
                    );
                }
            }
            let judged = self.holder.receive(answer, now);
            self.helped |= judged.iter().any(|judgement| judgement.verdict == Verdict::Retry);
            self.judge(judged);
        }
        self.helped &= !self.replies.is_empty();
        if let Some(at) = self.holder.clock(now) {
            self.leasing.time.set(at, now);
        }
        Ok(())
    }

    fn review(&mut self) {
        let now = self.now();
        let judged = self.holder.review(now);
        self.judge(judged);
        if let Some(at) = self.holder.clock(now) {
            let judged = self.holder.end(Some(at));
            self.judge(judged);
        }
    }

    fn wait(&mut self, question: WaitRequest) {
        let WaitRequest { waiter, shortfalls, since, reply } = question;
        let now = self.now();
        self.leasing.stats.waits.fetch_add(1, Ordering::Relaxed);
        self.replies.insert(waiter, reply);
        for lack in shortfalls {
            let waiting = Waiter { id: waiter, amount: lack.amount, since };
            if let Some(verdict) = self.holder.wait(SharedCounter { id: lack.id, counter: &lack.counter }, waiting, now)
            {
                self.answer(WaitDecision { waiter, counter: lack.id, verdict, lost: Amount::ZERO });
                return;
            }
        }
    }

    fn judge(&mut self, judged: Vec<WaitDecision>) {
        for judgement in judged {
            self.answer(judgement);
        }
    }

    /// Sends the decision to the waiting request. A request that may retry keeps its place in other budgets until it
    /// leaves.
    fn answer(&mut self, judgement: WaitDecision) {
        let WaitDecision { waiter, verdict, .. } = judgement;
        let stats = &self.leasing.stats;
        if let Some(reply) = self.replies.remove(&waiter) {
            match verdict {
                Verdict::Retry => {}
                Verdict::UsedUp => _ = stats.used_up.fetch_add(1, Ordering::Relaxed),
                Verdict::Withheld => _ = stats.withheld.fetch_add(1, Ordering::Relaxed),
            }
            // The client may have disconnected meanwhile.
            let _ = reply.send(judgement);
        }
        if verdict != Verdict::Retry {
            self.holder.forget(waiter);
        }
    }

    fn forget(&mut self, waiter: u64) {
        self.replies.remove(&waiter);
        self.holder.forget(waiter);
    }

    /// Returns all leases to the store. A failed tick is repeated.
    async fn end(&mut self) {
        (self.sending, self.looking) = (None, None);
        let mut outage = Outage::new(SPEC.name);
        let judged = self.holder.end(None);
        self.judge(judged);
        while !self.holder.is_empty() && !self.holder.is_fenced() {
            let answers = self.tick().await;
            outage.note(&self.heard(answers));
            if !self.holder.is_empty() {
                sleep(LOOK).await;
            }
        }
    }
}

/// Waits for the future, or forever if it is `None`.
async fn under_way<T>(what: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

/// Runs concurrently with ticks: reads the leases that earlier runs left behind.
async fn look_after(node: Node, ttl: Duration) -> LeftoverLeases {
    let cluster = Cluster::new(node.store().clone());
    let unreported = in_time(cluster.unreported_leases(&node)).await.inspect_err(warn_later).unwrap_or_default();
    LeftoverLeases { unreported, unusable: in_time(cluster.unreturned_leases(ttl)).await.inspect_err(warn_later).ok() }
}

fn warn_later(error: &impl std::error::Error) {
    tracing::warn!(%error, cause = causes(error), "checking leases of earlier runs failed; retrying later");
}

async fn in_time<T, E: From<DatabaseError>>(asked: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let silent = |_| Err(DatabaseError::timed_out().into());
    timeout(ANSWER, Box::pin(asked)).await.unwrap_or_else(silent)
}

/// Splits a tick into parts of one transaction each.
fn parts(tick: Tick) -> Vec<Tick> {
    let Tick { node, incarnation, requests, closes } = tick;
    let mut requests = requests.chunks(ASKS_MAX);
    let mut closes = closes.chunks(ASKS_MAX);
    let mut parts = Vec::new();
    loop {
        let some = requests.next();
        let done = closes.next();
        if some.is_none() && done.is_none() && !parts.is_empty() {
            return parts;
        }
        let requests = some.unwrap_or_default().to_vec();
        let closes = done.unwrap_or_default().to_vec();
        parts.push(Tick { node, incarnation, requests, closes });
    }
}

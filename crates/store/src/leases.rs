//! The loop that holds this node's leases: it ticks to the lender, and judges the requests that wait.
//!
//! An error of the database, or none of its answers, takes no lease away: what is lent may be used until its deadline, and
//! the next tick says how things stand.

mod keeping;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Mono;
use meter::budget::Measure;
use meter::lease::queue::ServerTime;
use meter::lease::{
    LeaseClient, LeaseTiming, QueueMessage, SharedCounter, Tick, TickReply, Verdict, WaitDecision, WaitRequest, Waiter,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::error::StoreError;
use crate::lender::untold::{CLOSED_MAX, Untold};
use crate::node::Node;
use crate::outage::{Outage, causes};
use keeping::Stranded;

#[cfg(test)]
pub(crate) use keeping::STATEMENTS;

/// Between two ticks at least: what comes meanwhile is asked for together.
const SOONEST: Duration = Duration::from_millis(2);
/// Messages that are taken together.
const MESSAGES_MAX: usize = 256;
/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(25);
/// A tick that is not answered by then is given up; the lender may have taken it.
const ANSWER: Duration = Duration::from_secs(1);
/// What one transaction takes of a tick.
const ASKS_MAX: usize = 256;
/// Between two looks at what other nodes and earlier lives left behind,
const KEEPING: Duration = Duration::from_secs(10);
/// and where the last one did not see all of it.
const KEEPING_ON: Duration = Duration::from_secs(1);
/// What is lent is handed back within this when the node ends, or stays lent until it starts again.
const END_WITHIN: Duration = Duration::from_secs(3);

/// What the loop counts.
#[derive(Debug, Default)]
pub struct LeaseStats {
    /// Ticks that were answered.
    pub ticks: AtomicU64,
    /// Ticks that were not.
    pub failures: AtomicU64,
    /// Recalls that were heard.
    pub recalls: AtomicU64,
    /// Requests that waited.
    pub waits: AtomicU64,
    /// Those that were told that a budget is used up.
    pub used_up: AtomicU64,
    /// Those that were told that nobody could say.
    pub withheld: AtomicU64,
    /// Leases of which something is lent to nodes that do not answer.
    pub stranded: AtomicU64,
    /// What is left in them: credits, tokens, billionths of a dollar.
    pub stranded_left: [AtomicU64; 3],
}

/// What the loop runs with.
#[derive(Debug)]
pub struct Leasing {
    /// Whose leases.
    pub node: Node,
    /// Requests that wait.
    pub messages: mpsc::Receiver<QueueMessage>,
    /// Told what the lender's clock says.
    pub time: Arc<ServerTime>,
    /// How often it ticks, and how long requests wait.
    pub timing: LeaseTiming,
    /// How long a lease lives.
    pub ttl: Duration,
    /// What it counts.
    pub stats: Arc<LeaseStats>,
}

impl LeaseStats {
    fn note(&self, stranded: &Stranded) {
        self.stranded.store(stranded.leases, Ordering::Relaxed);
        for (left, measure) in self.stranded_left.iter().zip(Measure::ALL) {
            left.store(stranded.left.of(measure), Ordering::Relaxed);
        }
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<Vec<TickReply>, StoreError>> + Send>>;
type Looking = Pin<Box<dyn Future<Output = Left> + Send>>;

/// What earlier lives left behind, as far as the database said it in time.
struct Left {
    untold: Vec<Untold>,
    stranded: Option<Stranded>,
}

struct Loop {
    leasing: Leasing,
    holder: LeaseClient,
    replies: HashMap<u64, oneshot::Sender<WaitDecision>>,
    outage: Outage,
    sent_at: Mono,
    /// The last answer helped somebody, and others still wait: where more wait than is left, each ask helps the first.
    helped: bool,
    /// When it was looked at last what was left behind, and how long that is enough.
    looked: Option<(Mono, Duration)>,
}

/// Holds leases until `cancel` is done; then hands everything back, within a few seconds.
pub async fn run(leasing: Leasing, cancel: impl Future<Output = ()>) {
    let Leasing { node, timing, .. } = &leasing;
    let holder = LeaseClient::new(node.lessee(), node.incarnation(), *timing);
    let (replies, outage) = (HashMap::new(), Outage::new("leases"));
    let mut of = Loop { leasing, holder, replies, outage, sent_at: Mono(0), helped: false, looked: None };
    of.hold(cancel).await;
    if timeout(END_WITHIN, of.end()).await.is_err() {
        tracing::warn!("what is lent to this node stays lent until it starts again");
    }
}

impl Loop {
    async fn hold(&mut self, cancel: impl Future<Output = ()>) {
        let mut cancel = std::pin::pin!(cancel);
        let (mut sending, mut looking): (Option<Sending>, Option<Looking>) = (None, None);
        let mut messages = Vec::new();
        loop {
            self.review();
            let pause = self.pause();
            if sending.is_none() && self.is_due() {
                sending = Some(self.tick());
            }
            if looking.is_none() && self.looked.is_none_or(|(at, enough)| self.now().since(at) >= enough) {
                looking = Some(Box::pin(look_after(self.leasing.node.clone(), self.leasing.ttl)));
            }
            tokio::select! {
                biased;
                () = &mut cancel => return,
                answers = under_way(&mut sending) => {
                    sending = None;
                    self.heard(answers);
                }
                left = under_way(&mut looking) => {
                    looking = None;
                    self.keep(left);
                }
                received = self.leasing.messages.recv_many(&mut messages, MESSAGES_MAX) => {
                    // Nobody can ask any more.
                    if received == 0 {
                        return (&mut cancel).await;
                    }
                    for message in messages.drain(..) {
                        match message {
                            QueueMessage::Wait(question) => self.wait(question),
                            QueueMessage::Leave(waiter) => self.forget(waiter),
                        }
                    }
                }
                () = sleep(pause) => {}
            }
        }
    }

    fn now(&self) -> Mono {
        self.leasing.node.store().clock().mono()
    }

    /// Until something may be due.
    fn pause(&self) -> Duration {
        let since = self.now().since(self.sent_at);
        self.due().min(LOOK).saturating_sub(since).max(SOONEST)
    }

    fn is_due(&self) -> bool {
        let since = self.now().since(self.sent_at);
        since >= self.due() && !self.holder.is_fenced()
    }

    /// How long after a tick the next one is due.
    fn due(&self) -> Duration {
        if self.holder.is_urgent() || self.helped { SOONEST } else { self.holder.next_tick(self.now()) }
    }

    fn tick(&mut self) -> Sending {
        let now = self.now();
        (self.sent_at, self.helped) = (now, false);
        let (node, ttl) = (self.leasing.node.clone(), self.leasing.ttl);
        let ticks = parts(self.holder.tick(now));
        Box::pin(async move {
            let mut answers = Vec::with_capacity(ticks.len());
            for tick in &ticks {
                answers.push(in_time(node.lend(tick, ttl)).await?);
            }
            Ok(answers)
        })
    }

    fn keep(&mut self, Left { untold, stranded }: Left) {
        self.looked = Some((self.now(), if untold.len() < CLOSED_MAX { KEEPING } else { KEEPING_ON }));
        if let Some(stranded) = stranded {
            self.leasing.stats.note(&stranded);
        }
        for lease in untold {
            self.holder.close_past(lease.cell, lease.incarnation, lease.spent);
        }
    }

    fn heard(&mut self, sent: Result<Vec<TickReply>, StoreError>) {
        self.outage.note(&sent);
        let (stats, now) = (self.leasing.stats.clone(), self.now());
        let Ok(answers) = sent else {
            stats.failures.fetch_add(1, Ordering::Relaxed);
            return;
        };
        for answer in &answers {
            match answer {
                TickReply::Accepted(heard) => {
                    stats.ticks.fetch_add(1, Ordering::Relaxed);
                    stats.recalls.fetch_add(heard.recalls.len() as u64, Ordering::Relaxed);
                }
                TickReply::Fenced => {
                    tracing::error!(
                        "another server was started with this node's id: nothing is lent to this one any more"
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
                self.answer(WaitDecision { waiter, counter: lack.id, verdict });
                return;
            }
        }
    }

    fn judge(&mut self, judged: Vec<WaitDecision>) {
        for judgement in judged {
            self.answer(judgement);
        }
    }

    /// Who may try again keeps its place where it waits for more, until it says that it leaves.
    fn answer(&mut self, judgement: WaitDecision) {
        let WaitDecision { waiter, verdict, .. } = judgement;
        let stats = &self.leasing.stats;
        if let Some(reply) = self.replies.remove(&waiter) {
            match verdict {
                Verdict::Retry => {}
                Verdict::UsedUp => _ = stats.used_up.fetch_add(1, Ordering::Relaxed),
                Verdict::Withheld => _ = stats.withheld.fetch_add(1, Ordering::Relaxed),
            }
            // Whoever asked may have hung up.
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

    /// Everything is handed back.
    async fn end(&mut self) {
        let judged = self.holder.end(None);
        self.judge(judged);
        while !self.holder.is_empty() && !self.holder.is_fenced() {
            let answers = self.tick().await;
            self.heard(answers);
            if !self.holder.is_empty() {
                sleep(LOOK).await;
            }
        }
    }
}

/// What is under way, if anything is.
async fn under_way<T>(what: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

/// Beside ticks: what earlier lives left; and what is over long since is deleted.
async fn look_after(node: Node, ttl: Duration) -> Left {
    let later = |error: &StoreError| {
        tracing::warn!(%error, cause = causes(error), "what earlier lives of nodes left is looked after later");
    };
    let untold = in_time(node.untold_leases()).await.inspect_err(later).unwrap_or_default();
    Left { untold, stranded: in_time(node.store().look_after_leases(ttl)).await.inspect_err(later).ok() }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into());
    timeout(ANSWER, Box::pin(asked)).await.unwrap_or_else(silent)
}

/// A tick in parts that one transaction each takes.
fn parts(tick: Tick) -> Vec<Tick> {
    let Tick { node, incarnation, requests, closes } = tick;
    let (mut requests, mut closes) = (requests.chunks(ASKS_MAX), closes.chunks(ASKS_MAX));
    let mut parts = Vec::new();
    loop {
        let (some, done) = (requests.next(), closes.next());
        if some.is_none() && done.is_none() && !parts.is_empty() {
            return parts;
        }
        let (requests, closes) = (some.unwrap_or_default().to_vec(), done.unwrap_or_default().to_vec());
        parts.push(Tick { node, incarnation, requests, closes });
    }
}

//! Requests that wait for a lease send a message over a bounded queue; the task that owns the lease client replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use access::{Amount, Clock, Mono, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::{CounterId, WaitDecision};
use crate::budgets::counter::BudgetCounter;

/// A budget of which this node has leased less than a request needs.
#[derive(Debug, Clone)]
pub struct LeaseShortfall {
    /// The budget and its period.
    pub id: CounterId,
    /// The counter of the budget.
    pub counter: Arc<BudgetCounter>,
    /// The amount that the request needs.
    pub amount: Amount,
}

/// A message to the task that owns the lease client.
#[derive(Debug)]
pub enum QueueMessage {
    /// A request begins to wait.
    Wait(WaitRequest),
    /// The request with this number stops waiting.
    Leave(u64),
}

/// A request that waits for all budgets of which too little is leased.
#[derive(Debug)]
pub struct WaitRequest {
    /// The number of the request; it stays the same if the request waits again.
    pub waiter: u64,
    /// The budgets and amounts that it waits for.
    pub shortfalls: Vec<LeaseShortfall>,
    /// The time at which the request arrived.
    pub since: Mono,
    /// Receives the decision. If it is dropped, the result is unknown.
    pub reply: oneshot::Sender<WaitDecision>,
}

/// The sending side of the queue. Clones use the same queue.
#[derive(Debug, Clone)]
pub struct LeaseQueue {
    queue: mpsc::Sender<QueueMessage>,
    numbers: Arc<AtomicU64>,
    time: Arc<ServerTime>,
}

/// The right of a request to wait. Dropping it ends the wait.
#[derive(Debug)]
pub struct LeaseWait<'a> {
    leases: &'a LeaseQueue,
    number: u64,
    since: Mono,
}

/// The difference of the server's wall clock and this process's monotonic clock, in microseconds.
#[derive(Debug)]
pub struct ServerTime(AtomicI64);

impl LeaseQueue {
    /// Returns a value that sends its messages to `queue`.
    #[must_use]
    pub fn new(queue: mpsc::Sender<QueueMessage>) -> Self {
        Self { queue, numbers: Arc::default(), time: Arc::default() }
    }

    /// Returns the server's time, which the receiving task sets.
    #[must_use]
    pub const fn time(&self) -> &Arc<ServerTime> {
        &self.time
    }

    /// Returns the wall-clock time by which periods begin: the server's time after its first reply.
    #[must_use]
    pub fn wall_time(&self, clock: &Clock) -> Timestamp {
        self.time.time_at(clock.mono()).unwrap_or_else(|| clock.now())
    }

    /// Begins the wait of a request that arrived at `since`.
    #[must_use]
    pub fn wait(&self, since: Mono) -> LeaseWait<'_> {
        LeaseWait { leases: self, number: self.numbers.fetch_add(1, Ordering::Relaxed), since }
    }
}

impl LeaseWait<'_> {
    /// Waits for the decision about a request with these `shortfalls`; `None` if the queue is full or the task does not
    /// reply.
    pub async fn verdict(&mut self, shortfalls: Vec<LeaseShortfall>) -> Option<WaitDecision> {
        let (reply, verdict) = oneshot::channel();
        let request = WaitRequest { waiter: self.number, shortfalls, since: self.since, reply };
        self.leases.queue.try_send(QueueMessage::Wait(request)).ok()?;
        verdict.await.ok()
    }
}

impl Drop for LeaseWait<'_> {
    fn drop(&mut self) {
        // If the queue is full, the request is removed after the maximum wait.
        let _ = self.leases.queue.try_send(QueueMessage::Leave(self.number));
    }
}

impl Default for ServerTime {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl ServerTime {
    /// Sets the server's time to `at` at the monotonic time `now`.
    pub fn set(&self, at: Timestamp, now: Mono) {
        let ahead = i64::try_from(at.0).unwrap_or(i64::MAX).saturating_sub(micros(now));
        self.0.store(ahead, Ordering::Relaxed);
    }

    fn time_at(&self, now: Mono) -> Option<Timestamp> {
        let ahead = self.0.load(Ordering::Relaxed);
        let at = (ahead != i64::MIN).then(|| ahead.saturating_add(micros(now)))?;
        Some(Timestamp(u64::try_from(at).unwrap_or(0)))
    }
}

fn micros(at: Mono) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::budgets::budget::{BudgetId, BudgetScope, LimitPeriod};
    use crate::budgets::period::Period;
    use crate::lease::{CounterId, Verdict};

    #[tokio::test]
    async fn waiting_request_gets_a_decision_and_leaves_when_dropped() {
        let (queue, mut messages) = mpsc::channel(2);
        let leases = LeaseQueue::new(queue);
        let mut wait = leases.wait(Mono(7));
        let period = Period::containing(LimitPeriod::Day, access::Day(1));
        let counter = CounterId { budget: BudgetId::credits_a_day(BudgetScope::Global), period };
        let judgement = WaitDecision { waiter: 0, counter, verdict: Verdict::Retry, lost: Amount::ZERO };
        let (reported, ()) = tokio::join!(wait.verdict(Vec::new()), async {
            let Some(QueueMessage::Wait(request)) = messages.recv().await else { panic!() };
            assert_eq!((request.waiter, request.since), (0, Mono(7)));
            request.reply.send(judgement).unwrap();
        });
        assert_eq!(reported, Some(judgement));
        drop(wait);
        assert!(matches!(messages.recv().await, Some(QueueMessage::Leave(0))));
        let mut other = leases.wait(Mono(8));
        drop(messages);
        assert_eq!(other.verdict(Vec::new()).await, None);
    }

    #[test]
    fn server_time_advances_and_is_local_before_the_first_reply() {
        let clock = Clock::manual(Timestamp(5_000_000));
        let leases = LeaseQueue::new(mpsc::channel(1).0);
        assert_eq!(leases.wall_time(&clock), Timestamp(5_000_000));
        leases.time().set(Timestamp(9_000_000), clock.mono());
        clock.advance(Duration::from_secs(1));
        assert_eq!(leases.wall_time(&clock), Timestamp(10_000_000));
    }
}

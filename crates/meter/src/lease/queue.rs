//! Requests that wait for a lease: they ask over a bounded queue, and the loop that owns the holder answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use access::{Clock, Mono, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::Judgement;
use crate::admission::Lack;

/// What the loop is told.
#[derive(Debug)]
pub enum Message {
    /// A request waits.
    Wait(Question),
    /// The request of this number waits no more.
    Leave(u64),
}

/// A request that waits for all that it lacks.
#[derive(Debug)]
pub struct Question {
    /// Its number, which it keeps if it has to wait again.
    pub waiter: u64,
    /// What it lacks.
    pub lacks: Vec<Lack>,
    /// When it came.
    pub since: Mono,
    /// Dropped, it means that nobody knows.
    pub reply: oneshot::Sender<Judgement>,
}

/// Who asks. Clones ask the same loop.
#[derive(Debug, Clone)]
pub struct Leases {
    queue: mpsc::Sender<Message>,
    numbers: Arc<AtomicU64>,
    time: Arc<LenderTime>,
}

/// A request's place among those that wait. Dropped, it is given up.
#[derive(Debug)]
pub struct Wait<'a> {
    leases: &'a Leases,
    number: u64,
    since: Mono,
}

/// By how many microseconds the lender's wall clock is ahead of this process's monotonic one.
#[derive(Debug)]
pub struct LenderTime(AtomicI64);

impl Leases {
    /// Messages go to `queue`.
    #[must_use]
    pub fn new(queue: mpsc::Sender<Message>) -> Self {
        Self { queue, numbers: Arc::default(), time: Arc::default() }
    }

    /// The lender's time, for the loop that hears it.
    #[must_use]
    pub const fn time(&self) -> &Arc<LenderTime> {
        &self.time
    }

    /// The wall clock by which periods begin: the lender's, once it was heard.
    #[must_use]
    pub fn at(&self, clock: &Clock) -> Timestamp {
        self.time.at(clock.mono()).unwrap_or_else(|| clock.now())
    }

    /// A request that came at `since` begins to wait.
    #[must_use]
    pub fn wait(&self, since: Mono) -> Wait<'_> {
        Wait { leases: self, number: self.numbers.fetch_add(1, Ordering::Relaxed), since }
    }
}

impl Wait<'_> {
    /// What becomes of a request that lacks `lacks`; `None` where the queue is full or nobody answers.
    pub async fn verdict(&mut self, lacks: Vec<Lack>) -> Option<Judgement> {
        let (reply, verdict) = oneshot::channel();
        let question = Question { waiter: self.number, lacks, since: self.since, reply };
        self.leases.queue.try_send(Message::Wait(question)).ok()?;
        verdict.await.ok()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // Where the queue is full it is passed over when it has waited for as long as requests may.
        let _ = self.leases.queue.try_send(Message::Leave(self.number));
    }
}

impl Default for LenderTime {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl LenderTime {
    /// The lender's clock says `at`, and the monotonic one `now`.
    pub fn set(&self, at: Timestamp, now: Mono) {
        let ahead = i64::try_from(at.0).unwrap_or(i64::MAX).saturating_sub(micros(now));
        self.0.store(ahead, Ordering::Relaxed);
    }

    fn at(&self, now: Mono) -> Option<Timestamp> {
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
    use crate::budget::{BudgetId, Per, Period, Subject};
    use crate::lease::{CellId, Verdict};

    #[tokio::test]
    async fn a_request_is_judged_or_nobody_knows_and_leaves_when_it_is_dropped() {
        let (queue, mut messages) = mpsc::channel(2);
        let leases = Leases::new(queue);
        let mut wait = leases.wait(Mono(7));
        let period = Period::of(Per::Day, access::Day(1));
        let cell = CellId { budget: BudgetId::credits_a_day(Subject::Global), period };
        let judgement = Judgement { waiter: 0, cell, verdict: Verdict::Retry };
        let (told, ()) = tokio::join!(wait.verdict(Vec::new()), async {
            let Some(Message::Wait(question)) = messages.recv().await else { panic!() };
            assert_eq!((question.waiter, question.since), (0, Mono(7)));
            question.reply.send(judgement).unwrap();
        });
        assert_eq!(told, Some(judgement));
        drop(wait);
        assert!(matches!(messages.recv().await, Some(Message::Leave(0))));
        let mut other = leases.wait(Mono(8));
        drop(messages);
        assert_eq!(other.verdict(Vec::new()).await, None);
    }

    #[test]
    fn the_lenders_clock_runs_on_and_is_ours_before_it_was_heard() {
        let clock = Clock::manual(Timestamp(5_000_000));
        let leases = Leases::new(mpsc::channel(1).0);
        assert_eq!(leases.at(&clock), Timestamp(5_000_000));
        leases.time().set(Timestamp(9_000_000), clock.mono());
        clock.advance(Duration::from_secs(1));
        assert_eq!(leases.at(&clock), Timestamp(10_000_000));
    }
}

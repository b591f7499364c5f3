//! The progress and the deadlines of a worker's client connections, checked outside the connections' tasks.
//!
//! Timers inside a response body do not fire while the client's socket is full, because nothing polls the body then. A
//! timer per request would noticeably increase the cost of a request. Therefore each connection keeps a record of its
//! progress, and one task per worker checks all records. It wakes a connection whose deadline has passed, or ends it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use config::snapshot::Timeouts;
use tokio::time::{Instant, sleep};

use crate::probe::Probe;
use crate::shutdown::{Phase, Shutdown, reached};

/// Maximum time from the first to the last byte of a request's head. `timeouts.idle` applies instead if it is shorter.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// Maximum time for reading and dropping the rest of a request whose body was not read, after its response. Closing a
/// connection with unread bytes resets it and may destroy the response (RFC 9112, 9.6).
const LINGER_MAX: Duration = Duration::from_secs(2);
/// Number of checks of all connections within the shortest timeout. A deadline is late by at most one interval between
/// checks.
const LOOKS_PER_DEADLINE: u32 = 5;
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// The progress of a connection, its deadlines, and the action that it must take.
#[derive(Debug)]
pub(crate) struct ConnectionDeadlines {
    /// Whether a head has begun to arrive and is incomplete.
    pub(crate) within_head: Cell<bool>,
    /// The number of completed writes, by which the check detects progress.
    pub(crate) writes: Cell<u64>,
    /// Whether the last write found the client's socket full.
    pub(crate) write_blocked: Cell<bool>,
    /// Whether the connection reads and drops the rest of a request after the response.
    pub(crate) lingering: Cell<bool>,
    /// Whether a request is in progress.
    exchange: Cell<bool>,
    /// The number of requests so far.
    exchanges: Cell<u64>,
    /// When the request is polled once more.
    deadline: Cell<Option<Instant>>,
    /// Whether `deadline` has passed and [`ConnectionDeadlines::take_late`] has not yet reported it.
    late: Cell<bool>,
    /// When the connection ends if the client does not read.
    total_at: Cell<Option<Instant>>,
    /// The probe of the attempt, if the request may outlive its client.
    sent: RefCell<Option<Probe>>,
    /// When the client disconnected from a request that continues.
    left: Cell<Option<Instant>>,
    /// Whether the time of the shutdown is over.
    ending: Cell<bool>,
    idle_max: Duration,
    /// The result of [`ConnectionDeadlines::wait`] at the last check that saw a change.
    seen: Cell<(WaitReason, u64)>,
    /// When that change was seen.
    since: Cell<Instant>,
    order: Cell<Option<DeadlineAction>>,
    waker: RefCell<Option<Waker>>,
}

/// The action that a connection must take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeadlineAction {
    /// Poll the connection's work once more: a deadline has passed, or the time of the shutdown is over.
    Look,
    /// Finish the current request and accept no other one.
    Close,
    /// End the connection at once.
    Cut,
}

/// Marks a request as in progress. Dropping it clears the request's deadlines: the connection waits for the next
/// request.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Rc<ConnectionDeadlines>);

/// The event that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitReason {
    /// The client sends the next request.
    Idle,
    /// The client sends the rest of a head.
    Head,
    /// The current request is processed, which has its own deadlines.
    Exchange,
    /// The client reads from its full socket.
    Caller,
    /// The client sends the rest of a refused body.
    Lingering,
}

impl ConnectionDeadlines {
    fn new(idle_max: Duration, phase: Phase) -> Self {
        Self {
            within_head: Cell::new(false),
            writes: Cell::new(0),
            write_blocked: Cell::new(false),
            lingering: Cell::new(false),
            exchange: Cell::new(false),
            exchanges: Cell::new(0),
            deadline: Cell::new(None),
            late: Cell::new(false),
            total_at: Cell::new(None),
            sent: RefCell::default(),
            left: Cell::new(None),
            ending: Cell::new(phase >= Phase::Ending),
            idle_max,
            seen: Cell::new((WaitReason::Idle, 0)),
            since: Cell::new(Instant::now()),
            order: Cell::new((phase >= Phase::Closing).then_some(DeadlineAction::Close)),
            waker: RefCell::default(),
        }
    }

    /// Marks a request as in progress until the returned value is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> ActiveRequest {
        self.exchange.set(true);
        self.exchanges.set(self.exchanges.get() + 1);
        ActiveRequest(self.clone())
    }

    /// Has the current request polled once more after `deadline`.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        self.late.set(false);
        self.deadline.set(Some(deadline));
    }

    /// Ends the connection after `total_at` if the client does not read: in that state nothing polls the code that
    /// would end the request.
    pub(crate) fn must_end_at(&self, total_at: Instant) {
        self.total_at.set(Some(total_at));
    }

    /// Lets the current request outlive its client once anything of the attempt behind `probe` is written.
    pub(crate) fn outlive_if_sent(&self, probe: Probe) {
        *self.sent.borrow_mut() = Some(probe);
    }

    /// Returns whether the current request continues after its client disconnects.
    pub(crate) fn outlives(&self) -> bool {
        self.sent.borrow().as_ref().is_some_and(Probe::anything_written)
    }

    /// Records that the client has disconnected from a request that continues. Returns the time of the first such call.
    pub(crate) fn leave(&self) -> Instant {
        let left = self.left.get().unwrap_or_else(Instant::now);
        self.left.set(Some(left));
        left
    }

    /// Returns whether the client has disconnected.
    pub(crate) fn has_left(&self) -> bool {
        self.left.get().is_some()
    }

    /// Returns whether a deadline has passed, once per deadline.
    pub(crate) fn take_late(&self) -> bool {
        self.late.take()
    }

    /// Returns whether the time of the shutdown is over, at which requests in flight end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Returns the action that the connection must take. Without an action, `waker` is called when one is set.
    pub(crate) fn take_order(&self, waker: &Waker) -> Option<DeadlineAction> {
        let order = self.order.take();
        let mut kept = self.waker.borrow_mut();
        if order.is_none() && !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
        order
    }

    fn give(&self, order: DeadlineAction) {
        // `Cut` is never replaced. `Close` is not replaced by `Look`, because it also polls the connection.
        if self.order.get() != Some(DeadlineAction::Cut)
            && (order != DeadlineAction::Look || self.order.get().is_none())
        {
            self.order.set(Some(order));
        }
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn look(&self, now: Instant) {
        if self.exchange.get() && self.deadline.get().is_some_and(|deadline| deadline <= now) {
            self.deadline.set(None);
            self.late.set(true);
            self.give(DeadlineAction::Look);
        }
        if self.write_blocked.get() && self.total_at.get().is_some_and(|total_at| total_at <= now) {
            self.give(DeadlineAction::Cut);
        }
        let seen = self.wait();
        if seen != self.seen.get() {
            self.seen.set(seen);
            self.since.set(now);
        } else if self.limit(seen.0).is_some_and(|limit| now - self.since.get() >= limit) {
            self.give(DeadlineAction::Cut);
        }
    }

    /// Returns what the connection waits for, and a number that changes whenever this wait starts again.
    fn wait(&self) -> (WaitReason, u64) {
        if self.lingering.get() {
            (WaitReason::Lingering, 0)
        } else if self.write_blocked.get() {
            (WaitReason::Caller, self.writes.get())
        } else if self.exchange.get() {
            (WaitReason::Exchange, self.exchanges.get())
        } else if self.within_head.get() {
            // A slow head makes no progress: one deadline applies to all of it.
            (WaitReason::Head, self.exchanges.get())
        } else {
            (WaitReason::Idle, self.exchanges.get())
        }
    }

    fn limit(&self, waiting: WaitReason) -> Option<Duration> {
        match waiting {
            WaitReason::Idle | WaitReason::Caller => Some(self.idle_max),
            WaitReason::Head => Some(HEAD_MAX.min(self.idle_max)),
            WaitReason::Lingering => Some(LINGER_MAX),
            WaitReason::Exchange => None,
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let deadlines = &self.0;
        deadlines.exchange.set(false);
        deadlines.deadline.set(None);
        deadlines.late.set(false);
        deadlines.total_at.set(None);
        deadlines.sent.take();
    }
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerDeadlines {
    all: RefCell<Vec<Rc<ConnectionDeadlines>>>,
    phase: Cell<Option<Phase>>,
}

impl WorkerDeadlines {
    /// Adds a record for a new connection. The record is removed once its connection has dropped it.
    pub(crate) fn add(&self, timeouts: &Timeouts) -> Rc<ConnectionDeadlines> {
        let deadlines = Rc::new(ConnectionDeadlines::new(timeouts.idle, self.phase.get().unwrap_or(Phase::Serving)));
        self.all.borrow_mut().push(deadlines.clone());
        deadlines
    }

    /// Returns the number of connections that are still served.
    pub(crate) fn open(&self) -> usize {
        self.all.borrow().iter().filter(|deadlines| Rc::strong_count(deadlines) > 1).count()
    }

    /// Ends every connection at once.
    pub(crate) fn cut(&self) {
        self.all.borrow().iter().for_each(|deadlines| deadlines.give(DeadlineAction::Cut));
    }

    fn look(&self, now: Instant) {
        self.all.borrow_mut().retain(|deadlines| {
            deadlines.look(now);
            Rc::strong_count(deadlines) > 1
        });
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(Some(phase));
        for deadlines in &*self.all.borrow() {
            if phase >= Phase::Ending {
                deadlines.ending.set(true);
                deadlines.give(DeadlineAction::Look);
            } else {
                deadlines.give(DeadlineAction::Close);
            }
        }
    }
}

/// Checks all connections of a worker and passes the phases of the shutdown to them, until the worker ends.
pub(crate) async fn look_forever(deadlines: &WorkerDeadlines, timeouts: &Timeouts, shutdown: &Shutdown) {
    let every = look_every(timeouts);
    let mut closing = std::pin::pin!(reached(shutdown.follow(), Phase::Closing));
    let mut ending = std::pin::pin!(reached(shutdown.follow(), Phase::Ending));
    loop {
        let phase = deadlines.phase.get();
        tokio::select! {
            () = sleep(every) => deadlines.look(Instant::now()),
            () = &mut closing, if phase.is_none() => deadlines.enter(Phase::Closing),
            () = &mut ending, if phase == Some(Phase::Closing) => deadlines.enter(Phase::Ending),
        }
    }
}

fn look_every(timeouts: &Timeouts) -> Duration {
    let shortest = timeouts.idle.min(timeouts.first_byte).min(timeouts.total);
    (shortest / LOOKS_PER_DEADLINE).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
}

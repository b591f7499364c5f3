//! Every connection's progress, looked at from outside, and the deadlines of what happens inside it.
//!
//! Timers inside a response body do not fire while the caller's socket is full, because nobody polls the body then. And a
//! timer for each request would show in what a request costs. So a connection keeps a record, and one task a worker
//! looks at all of them: what it finds late it polls, or cuts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use config::snapshot::Timeouts;
use tokio::time::{Instant, sleep};

use crate::shutdown::{Phase, reached};
use crate::upstream::socket::Probe;
use crate::worker::Worker;

/// From the first byte of a head to its last; less where `timeouts.idle` is.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// After an answer to a request whose body was not read: so long the rest of it is taken and thrown away, because a
/// close with unread bytes resets the connection and may destroy the answer (RFC 9112, 9.6).
const LINGER_MAX: Duration = Duration::from_secs(2);
/// All are looked at so many times within the shortest of their deadlines, which are that much late at most.
const LOOKS_PER_DEADLINE: u32 = 5;
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// What a connection has seen, and what it is told.
#[derive(Debug)]
pub(crate) struct ConnectionDeadlines {
    /// Whether a head has begun to arrive, and has not ended.
    pub(crate) within_head: Cell<bool>,
    pub(crate) writes: Cell<u64>,
    pub(crate) write_blocked: Cell<bool>,
    pub(crate) lingering: Cell<bool>,
    exchange: Cell<bool>,
    exchanges: Cell<u64>,
    deadline: Cell<Option<Instant>>,
    late: Cell<bool>,
    total_at: Cell<Option<Instant>>,
    /// What went upstream of the exchange, where that may outlive the caller.
    sent: RefCell<Option<Probe>>,
    left: Cell<Option<Instant>>,
    ending: Cell<bool>,
    idle_max: Duration,
    seen: Cell<(WaitReason, u64)>,
    since: Cell<Instant>,
    order: Cell<Option<DeadlineAction>>,
    waker: RefCell<Option<Waker>>,
}

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeadlineAction {
    /// Poll what is inside once more: a deadline has passed, or the shutdown's time is over.
    Look,
    /// Finish the request that is under way, and take no other.
    Close,
    /// End at once.
    Cut,
}

/// Marks that a request is being answered; dropped, the connection waits for the next.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Rc<ConnectionDeadlines>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitReason {
    /// For the next request.
    Idle,
    /// For the rest of a head.
    Head,
    /// For the exchange, which has deadlines of its own.
    Exchange,
    /// For the caller to read.
    Caller,
    /// For the rest of a refused body.
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

    pub(crate) fn begin(self: &Rc<Self>) -> ActiveRequest {
        self.exchange.set(true);
        self.exchanges.set(self.exchanges.get() + 1);
        ActiveRequest(self.clone())
    }

    /// The exchange is polled once more after `deadline`.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        self.late.set(false);
        self.deadline.set(Some(deadline));
    }

    /// The exchange is cut after `total_at` while the caller does not read: nobody polls what would end it.
    pub(crate) fn must_end_at(&self, total_at: Instant) {
        self.total_at.set(Some(total_at));
    }

    /// The exchange goes on without its caller once anything of this was written.
    pub(crate) fn outlive_if_sent(&self, probe: Probe) {
        *self.sent.borrow_mut() = Some(probe);
    }

    /// Whether the exchange goes on without its caller.
    pub(crate) fn outlives(&self) -> bool {
        self.sent.borrow().as_ref().is_some_and(Probe::anything_written)
    }

    /// The caller is gone, though the exchange goes on. Answers when it went.
    pub(crate) fn leave(&self) -> Instant {
        let left = self.left.get().unwrap_or_else(Instant::now);
        self.left.set(Some(left));
        left
    }

    /// Whether the caller is gone.
    pub(crate) fn has_left(&self) -> bool {
        self.left.get().is_some()
    }

    /// Whether a deadline has passed; asked once.
    pub(crate) fn take_late(&self) -> bool {
        self.late.take()
    }

    /// Whether the shutdown's time is over: what is in flight ends now.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// What the connection shall do; without an order `waker` is called when there is one.
    pub(crate) fn take_order(&self, waker: &Waker) -> Option<DeadlineAction> {
        let order = self.order.take();
        let mut kept = self.waker.borrow_mut();
        if order.is_none() && !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
        order
    }

    fn give(&self, order: DeadlineAction) {
        // A cut is not taken back, and what closes will be polled by that.
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

    /// What the connection waits for, and a number that moves whenever that wait begins anew.
    fn wait(&self) -> (WaitReason, u64) {
        if self.lingering.get() {
            (WaitReason::Lingering, 0)
        } else if self.write_blocked.get() {
            (WaitReason::Caller, self.writes.get())
        } else if self.exchange.get() {
            (WaitReason::Exchange, self.exchanges.get())
        } else if self.within_head.get() {
            // A head that trickles in makes no progress: it has one deadline.
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

/// A worker's connections.
#[derive(Debug, Default)]
pub(crate) struct WorkerDeadlines {
    all: RefCell<Vec<Rc<ConnectionDeadlines>>>,
    phase: Cell<Option<Phase>>,
}

impl WorkerDeadlines {
    /// A record for a new connection; it is kept until nobody else holds it.
    pub(crate) fn add(&self, timeouts: &Timeouts) -> Rc<ConnectionDeadlines> {
        let deadlines = Rc::new(ConnectionDeadlines::new(timeouts.idle, self.phase.get().unwrap_or(Phase::Serving)));
        self.all.borrow_mut().push(deadlines.clone());
        deadlines
    }

    /// Connections that are still served.
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

/// Looks at every connection of the worker, and passes the phases of a shutdown on to them, until the worker ends.
pub(crate) async fn look_forever(worker: Rc<Worker>) {
    let every = look_every(&worker.shared.live.load().traffic.timeouts);
    let mut closing = std::pin::pin!(reached(worker.shared.shutdown.follow(), Phase::Closing));
    let mut ending = std::pin::pin!(reached(worker.shared.shutdown.follow(), Phase::Ending));
    let deadlines = &worker.deadlines;
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

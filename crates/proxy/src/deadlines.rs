//! The progress and the deadlines of a worker's client connections, checked outside the connections' tasks.
//!
//! Timers inside a response body do not fire while the client's socket is full, because nothing polls the body then. A
//! timer per request would noticeably increase the cost of a request. Therefore each connection keeps a record of its
//! progress, and one task per worker checks all records. It wakes a connection whose deadline has passed, or ends it.

pub(crate) mod pause;
pub(crate) mod probe;
mod request;
pub(crate) mod shutdown;
pub(crate) mod task;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use config::Live;
use config::snapshot::Timeouts;
use tokio::time::{Instant, sleep};

pub(crate) use self::request::RequestDeadlines;
use crate::deadlines::pause::PausePhase;
use crate::deadlines::shutdown::{Shutdown, ShutdownPhase, reached};

/// Maximum time from the first to the last byte of a request's head. `timeouts.idle` applies instead if it is shorter.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// Maximum time for reading and dropping the rest of a request whose body was not read, after its response. Closing a
/// connection with unread bytes resets it and may destroy the response (RFC 9112, 9.6).
const LINGER_MAX: Duration = Duration::from_secs(2);
/// Time that a connection without a request so far has for its first one, when idle connections end: its client has seen no
/// announcement.
const FIRST_REQUEST_MAX: Duration = Duration::from_millis(500);
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
    /// The requests in progress, and at most one that has ended, whose memory the next request uses.
    requests: RefCell<Vec<Rc<RequestDeadlines>>>,
    /// The number of requests in progress.
    active: Cell<usize>,
    /// The number of requests so far.
    begun: Cell<u64>,
    /// Whether the time of the shutdown is over.
    ending: Rc<Cell<bool>>,
    idle_max: Duration,
    /// The result of [`ConnectionDeadlines::wait`] at the last check that saw a change.
    seen: Cell<(WaitReason, u64)>,
    /// When that change was seen.
    since: Cell<Instant>,
    order: Cell<Option<DeadlineAction>>,
    /// When the connection ends if it has no request until then: its first, or its last one.
    first_request_by: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

/// The action that a connection must take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeadlineAction {
    /// Poll the connection's work once more: a deadline has passed, or the time of the shutdown is over.
    Look,
    /// As `Leave`, over HTTP/1.1 only: a client of HTTP/2 that reconnects would find the same GOAWAY before its first stream.
    Announce,
    /// Finish the current request, or the next one, and accept no other one.
    Leave,
    /// Finish the current request and accept no other one.
    Close,
    /// End the connection at once.
    Cut,
}

/// A request in progress. Dropping it clears the request's deadlines.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    connection: Rc<ConnectionDeadlines>,
    pub(crate) deadlines: Rc<RequestDeadlines>,
}

/// The event that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitReason {
    /// The client sends the next request.
    Idle,
    /// The client sends the rest of a head.
    Head,
    /// A request is processed, which has its own deadlines.
    Request,
    /// The client reads from its full socket.
    Caller,
    /// The client sends the rest of a refused body.
    Lingering,
}

impl ConnectionDeadlines {
    fn new(idle_max: Duration, phase: ShutdownPhase, ending: Rc<Cell<bool>>) -> Self {
        Self {
            within_head: Cell::new(false),
            writes: Cell::new(0),
            write_blocked: Cell::new(false),
            lingering: Cell::new(false),
            requests: RefCell::default(),
            active: Cell::new(0),
            begun: Cell::new(0),
            ending,
            idle_max,
            seen: Cell::new((WaitReason::Idle, 0)),
            since: Cell::new(Instant::now()),
            order: Cell::new(order_of(phase)),
            first_request_by: Cell::new(None),
            waker: RefCell::default(),
        }
    }

    /// Begins a request, which is in progress until the returned value is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> ActiveRequest {
        self.active.set(self.active.get() + 1);
        self.begun.set(self.begun.get() + 1);
        let mut requests = self.requests.borrow_mut();
        let deadlines = match requests.last().filter(|last| Rc::strong_count(last) == 1) {
            Some(free) => {
                free.reset();
                free.clone()
            }
            None => {
                let deadlines = RequestDeadlines::new(self.ending.clone());
                requests.push(deadlines.clone());
                deadlines
            }
        };
        ActiveRequest { connection: self.clone(), deadlines }
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

    /// Ends the connection after its current request, or at once. One that never had a request may get its first one.
    fn close(&self, now: Instant) {
        if self.begun.get() == 0 {
            self.first_request_by.set(Some(now + FIRST_REQUEST_MAX));
            self.give(DeadlineAction::Leave);
        } else {
            self.give(DeadlineAction::Close);
        }
    }

    /// Ends the connection unless a last request arrives soon: the client does not know yet that the connection ends.
    pub(crate) fn await_last_request(&self, now: Instant) {
        self.first_request_by.set(Some(now + FIRST_REQUEST_MAX));
    }

    fn look(&self, now: Instant) {
        let requests = self.requests.borrow();
        // Every request is checked.
        if requests.iter().filter(|request| request.look(now, self.idle_max)).count() > 0 {
            self.give(DeadlineAction::Look);
        }
        // A connection of HTTP/2 may serve further requests, so one late request does not end it.
        if self.write_blocked.get() && !requests.is_empty() && requests.iter().all(|request| request.is_over(now)) {
            self.give(DeadlineAction::Cut);
        }
        drop(requests);
        if self.first_request_by.get().is_some_and(|by| by <= now) {
            self.first_request_by.set(None);
            self.give(DeadlineAction::Close);
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
        } else if self.active.get() > 0 {
            (WaitReason::Request, self.begun.get())
        } else if self.within_head.get() {
            // A slow head makes no progress: one deadline applies to all of it.
            (WaitReason::Head, self.begun.get())
        } else {
            (WaitReason::Idle, self.begun.get())
        }
    }

    /// Returns for how long the client may pause while the socket is full: as long as the most patient request allows.
    fn read_idle_max(&self) -> Duration {
        let requests = self.requests.borrow();
        requests.iter().map(|request| request.idle_max().unwrap_or(self.idle_max)).max().unwrap_or(self.idle_max)
    }

    fn limit(&self, waiting: WaitReason) -> Option<Duration> {
        match waiting {
            WaitReason::Idle => Some(self.idle_max),
            WaitReason::Caller => Some(self.read_idle_max()),
            WaitReason::Head => Some(HEAD_MAX.min(self.idle_max)),
            WaitReason::Lingering => Some(LINGER_MAX),
            WaitReason::Request => None,
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.deadlines.clear();
        self.connection.active.set(self.connection.active.get().saturating_sub(1));
        let mut requests = self.connection.requests.borrow_mut();
        if requests.len() > 1 {
            requests.retain(|request| !Rc::ptr_eq(request, &self.deadlines));
        }
    }
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerDeadlines {
    all: RefCell<Vec<Rc<ConnectionDeadlines>>>,
    phase: Cell<Option<ShutdownPhase>>,
    /// What new connections must do during a pause.
    paused: Cell<Option<DeadlineAction>>,
    /// Whether the time of the shutdown is over.
    ending: Rc<Cell<bool>>,
}

impl WorkerDeadlines {
    /// Adds a record for a new connection. The record is removed once its connection has dropped it.
    pub(crate) fn add(&self, timeouts: &Timeouts) -> Rc<ConnectionDeadlines> {
        let deadlines = Rc::new(ConnectionDeadlines::new(
            timeouts.idle,
            self.phase.get().unwrap_or(ShutdownPhase::Serving),
            self.ending.clone(),
        ));
        if self.phase.get() == Some(ShutdownPhase::Closing) {
            deadlines.close(Instant::now());
        }
        self.paused.get().into_iter().for_each(|order| deadlines.give(order));
        self.all.borrow_mut().push(deadlines.clone());
        deadlines
    }

    /// Returns a record for a request without a client. Only [`looked_at`] checks its deadlines.
    pub(crate) fn detached(&self) -> Rc<RequestDeadlines> {
        RequestDeadlines::new(self.ending.clone())
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

    /// Passes a phase of a pause to all connections. Connections that it ends are not served again after the pause.
    pub(crate) fn pause(&self, phase: PausePhase) {
        let order = match phase {
            PausePhase::Open => None,
            PausePhase::Announced | PausePhase::Closed => Some(DeadlineAction::Leave),
            PausePhase::Shut | PausePhase::Flushing => Some(DeadlineAction::Close),
        };
        self.paused.set(order);
        for deadlines in &*self.all.borrow() {
            order.into_iter().for_each(|order| deadlines.give(order));
        }
    }

    fn enter(&self, phase: ShutdownPhase) {
        self.phase.set(Some(phase));
        self.ending.set(phase >= ShutdownPhase::Ending);
        for deadlines in &*self.all.borrow() {
            match phase {
                ShutdownPhase::Closing => deadlines.close(Instant::now()),
                ShutdownPhase::Ending => deadlines.give(DeadlineAction::Look),
                ShutdownPhase::Serving | ShutdownPhase::Announced | ShutdownPhase::Leaving => {
                    order_of(phase).into_iter().for_each(|order| deadlines.give(order));
                }
            }
        }
    }
}

/// Returns what connections must do in a phase.
fn order_of(phase: ShutdownPhase) -> Option<DeadlineAction> {
    match phase {
        ShutdownPhase::Serving => None,
        ShutdownPhase::Announced => Some(DeadlineAction::Announce),
        ShutdownPhase::Leaving => Some(DeadlineAction::Leave),
        ShutdownPhase::Closing | ShutdownPhase::Ending => Some(DeadlineAction::Close),
    }
}

/// Checks all connections of a worker and passes the phases of the shutdown to them, until the worker ends.
pub(crate) async fn look_forever(deadlines: &WorkerDeadlines, live: &Live, shutdown: &Shutdown) {
    let mut announced = std::pin::pin!(reached(shutdown.follow(), ShutdownPhase::Announced));
    let mut leaving = std::pin::pin!(reached(shutdown.follow(), ShutdownPhase::Leaving));
    let mut closing = std::pin::pin!(reached(shutdown.follow(), ShutdownPhase::Closing));
    let mut ending = std::pin::pin!(reached(shutdown.follow(), ShutdownPhase::Ending));
    loop {
        let phase = deadlines.phase.get();
        let every = look_every(live.load().traffic.shortest_timeout);
        tokio::select! {
            () = sleep(every) => deadlines.look(Instant::now()),
            () = &mut announced, if phase.is_none() => deadlines.enter(ShutdownPhase::Announced),
            () = &mut leaving, if phase == Some(ShutdownPhase::Announced) => deadlines.enter(ShutdownPhase::Leaving),
            () = &mut closing, if phase == Some(ShutdownPhase::Leaving) => deadlines.enter(ShutdownPhase::Closing),
            () = &mut ending, if phase == Some(ShutdownPhase::Closing) => deadlines.enter(ShutdownPhase::Ending),
        }
    }
}

/// Polls the work of a request without a client, whose deadlines no connection checks.
pub(crate) async fn looked_at<T>(
    deadlines: &RequestDeadlines,
    timeouts: &Timeouts,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let every = look_every(timeouts.shortest());
    loop {
        tokio::select! {
            done = &mut work => return done,
            // The work is polled again, whether a deadline has passed or not.
            () = sleep(every) => {
                deadlines.look(Instant::now(), timeouts.idle);
            }
        }
    }
}

fn look_every(shortest: Duration) -> Duration {
    (shortest / LOOKS_PER_DEADLINE).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
}

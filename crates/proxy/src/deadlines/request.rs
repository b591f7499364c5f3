//! The deadlines of one request. A connection of HTTP/2 has several requests at a time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::deadlines::probe::Probe;

/// The deadlines of one request, and whether its client has disconnected.
#[derive(Debug, Default)]
pub(crate) struct RequestDeadlines {
    /// When the request is polled once more.
    deadline: Cell<Option<Instant>>,
    /// Whether `deadline` has passed and [`RequestDeadlines::take_late`] has not yet reported it.
    late: Cell<bool>,
    /// Whether the response has moved since the last check.
    moved: Cell<bool>,
    /// The time of the check that has seen the last movement.
    moved_at: Cell<Option<Instant>>,
    /// Whether bytes were sent to the client since the last check.
    sends: Cell<bool>,
    /// The time of the check that has seen the last bytes to the client.
    sent_at: Cell<Option<Instant>>,
    /// When the request ends if its client does not read the response.
    total_at: Cell<Option<Instant>>,
    /// Maximum time for which its client may pause while it reads the response; `None` if `traffic.timeouts.idle` applies.
    idle_max: Cell<Option<Duration>>,
    /// Since when the response on a stream waits for its client to read.
    unread_since: Cell<Option<Instant>>,
    /// Whether the client of such a response has not read in time.
    stalled: Cell<bool>,
    /// The probe of the attempt, if the request may outlive its client.
    sent: RefCell<Option<Probe>>,
    /// Until when the request continues without its client, whatever the configuration says.
    continues_until: Cell<Option<Instant>>,
    /// Whether a client that closes its sending side has disconnected.
    ends_with_client: Cell<bool>,
    /// When the client disconnected from a request that continues.
    left: Cell<Option<Instant>>,
    /// Whether the time of the shutdown is over; all connections of a worker share it.
    ending: Rc<Cell<bool>>,
}

impl RequestDeadlines {
    pub(super) fn new(ending: Rc<Cell<bool>>) -> Rc<Self> {
        Rc::new(Self { ending, ..Self::default() })
    }

    /// Has the request polled once more after `deadline`.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        self.late.set(false);
        self.deadline.set(Some(deadline));
    }

    /// Notes that the response moves. The next check has the time, so that no byte reads the clock.
    pub(crate) fn moves(&self) {
        self.moved.set(true);
    }

    /// Returns when the response has moved last, or a little later.
    pub(crate) fn moved_at(&self, now: Instant) -> Option<Instant> {
        if self.moved.take() {
            self.moved_at.set(Some(now));
        }
        self.moved_at.get()
    }

    /// Notes that bytes are sent to the client. The next check has the time.
    pub(crate) fn sends(&self) {
        self.sends.set(true);
    }

    /// Returns when bytes were sent to the client last, or a little later.
    pub(crate) fn sent_at(&self, now: Instant) -> Option<Instant> {
        if self.sends.take() {
            self.sent_at.set(Some(now));
        }
        self.sent_at.get()
    }

    /// Ends the request after `total_at`, or if its client does not read for `idle_max`: in that state nothing polls the
    /// code that would end it.
    pub(crate) fn must_be_read(&self, idle_max: Duration, total_at: Instant) {
        self.idle_max.set(Some(idle_max));
        self.total_at.set(Some(total_at));
    }

    /// Returns for how long its client may pause while it reads the response; `None` if `traffic.timeouts.idle` applies.
    pub(super) fn idle_max(&self) -> Option<Duration> {
        self.idle_max.get()
    }

    /// Lets the request outlive its client once anything of the attempt behind `probe` is written.
    pub(crate) fn outlive_if_sent(&self, probe: Probe) {
        *self.sent.borrow_mut() = Some(probe);
    }

    /// Lets the request outlive its client as [`Self::outlive_if_sent`], until `total_at` and with any configuration: others
    /// wait for its response.
    pub(crate) fn outlive_until(&self, probe: Probe, total_at: Instant) {
        self.outlive_if_sent(probe);
        self.continues_until.set(Some(total_at));
    }

    /// Ends the request as soon as its client closes its sending side: a call whose response nobody reads costs money.
    pub(crate) fn end_with_client(&self) {
        self.ends_with_client.set(true);
    }

    /// Returns whether a client that closes its sending side has disconnected. The clients of other requests may still read
    /// (RFC 9112, 9.6).
    pub(crate) fn ends_with_client(&self) -> bool {
        self.ends_with_client.get()
    }

    /// Returns until when the request continues without its client; `None` if the configuration decides.
    pub(crate) fn continues_until(&self) -> Option<Instant> {
        self.continues_until.get()
    }

    /// Returns whether the request continues after its client disconnects.
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

    /// Notes that the response waits for its client to read. Over HTTP/1.1 the connection waits instead.
    pub(crate) fn wait_for_reader(&self) {
        if self.unread_since.get().is_none() {
            self.unread_since.set(Some(Instant::now()));
        }
    }

    /// Notes that the client reads the response.
    pub(crate) fn has_reader(&self) {
        self.unread_since.set(None);
    }

    /// Whether the client has not read the response in time, so that its stream must be reset.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.get()
    }

    /// Checks the deadlines. A client that reads a response on a stream must read within the request's `idle_max`, or
    /// within the given one. Returns whether a deadline has passed, once.
    pub(super) fn look(&self, now: Instant, idle_max: Duration) -> bool {
        let idle_max = self.idle_max.get().unwrap_or(idle_max);
        if let Some(since) = self.unread_since.get()
            && (now.saturating_duration_since(since) >= idle_max || self.is_over(now))
        {
            self.unread_since.set(None);
            self.stalled.set(true);
            return true;
        }
        self.moved_at(now);
        self.sent_at(now);
        let has_passed = self.deadline.get().is_some_and(|deadline| deadline <= now);
        if has_passed {
            self.deadline.set(None);
            self.late.set(true);
        }
        has_passed
    }

    /// Returns whether the request must end, because its client has not read the response in time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.total_at.get().is_some_and(|total_at| total_at <= now)
    }

    /// Prepares the record, which nothing else uses any more, for another request.
    pub(super) fn reset(&self) {
        self.clear();
        self.idle_max.set(None);
        self.ends_with_client.set(false);
        self.left.set(None);
    }

    /// Removes the deadlines of a request that has ended. The rest of its response may still be read without its client.
    pub(super) fn clear(&self) {
        self.deadline.set(None);
        self.late.set(false);
        self.moved.set(false);
        self.moved_at.set(None);
        self.sends.set(false);
        self.sent_at.set(None);
        self.total_at.set(None);
        self.unread_since.set(None);
        self.stalled.set(false);
        self.sent.take();
        self.continues_until.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_check_knows_when_the_response_has_moved() {
        let deadlines = RequestDeadlines::new(Rc::default());
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(deadlines.moved_at(at(0)), None);
        deadlines.moves();
        assert!(!deadlines.look(at(1), Duration::MAX) && !deadlines.look(at(2), Duration::MAX));
        assert_eq!(deadlines.moved_at(at(3)), Some(at(1)));
        // A movement after the last check is known too.
        deadlines.moves();
        assert_eq!(deadlines.moved_at(at(4)), Some(at(4)));
        assert_eq!(deadlines.sent_at(at(4)), None);
        deadlines.sends();
        assert!(!deadlines.look(at(5), Duration::MAX));
        assert_eq!(deadlines.sent_at(at(6)), Some(at(5)));
        deadlines.reset();
        assert_eq!((deadlines.moved_at(at(7)), deadlines.sent_at(at(7))), (None, None));
    }
}

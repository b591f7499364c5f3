//! A lease in the client: its next request, and the requests that wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use access::{Amount, Mono};

use super::super::rules::{LeaseRules, nanos};
use super::super::{CounterId, Grant, LeaseRequest};
use super::recent_use::RecentUse;
use super::{Verdict, WaitDecision, Waiter};
use crate::budgets::counter::BudgetCounter;

/// More is requested when the free amount is less than the use of this many ticks.
const REQUEST_BELOW_TICKS: u64 = 4;
/// The request is for the use of at least this many ticks, so that a busy lease needs a request only from time to time.
const REQUEST_TICKS: u64 = 32;
/// A request is repeated after one tick, then after two, and so on, with at most this many doublings.
const RETRY_DOUBLINGS_MAX: u32 = 3;
/// A lease is renewed after one third of its lifetime, and one that was used since its last request after at most this many
/// ticks: when the store fails, it has almost all of its lifetime, and contains the use of it.
const RENEW_AFTER: u32 = 3;
const RENEW_USED_TICKS: u32 = 10;
/// Requests wait at least for this time for the first reply about a lease: the server has to read what the period has used,
/// and a node that has just started has to connect.
const FIRST_REPLY_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ClientLease {
    pub(super) counter: Arc<BudgetCounter>,
    pub(super) seq: u64,
    pub(super) sent_at: Mono,
    pub(super) answered: bool,
    /// Number of requests since the last reply.
    pub(super) unanswered: u32,
    pub(super) term: u64,
    /// The amount that was not granted to any lease, according to the last reply.
    pub(super) left: Amount,
    /// The latest recall that was received; `answered_recall` is the one that was answered.
    pub(super) recall: u64,
    pub(super) answered_recall: u64,
    /// The time until which requests probably wait in another node.
    pub(super) contended_until: Mono,
    recent: RecentUse,
    /// The time of the last tick before which it was used, or requests waited for it.
    busy_at: Mono,
    /// The time of the first reply.
    pub(super) first_reply_at: Option<Mono>,
    /// Nothing more is taken of it: its period is over, or the node ends.
    pub(super) ended: bool,
    pub(super) waiting: VecDeque<WaitingRequest>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct WaitingRequest {
    pub(super) waiter: Waiter,
    /// The first lease request that was sent after it arrived; 0 before.
    pub(super) request_seq: u64,
    /// The first recall that began after that; 0 before.
    pub(super) round: u64,
}

impl ClientLease {
    pub(super) fn new(counter: Arc<BudgetCounter>, now: Mono) -> Self {
        Self {
            recent: RecentUse::new(counter.used(), now),
            counter,
            seq: 0,
            sent_at: Mono(0),
            answered: true,
            unanswered: 0,
            term: 0,
            left: Amount::ZERO,
            recall: 0,
            answered_recall: 0,
            contended_until: Mono(0),
            busy_at: now,
            first_reply_at: None,
            ended: false,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn measure_use(&mut self, now: Mono) {
        if self.recent.measure(self.counter.used(), now) || !self.waiting.is_empty() {
            self.busy_at = now;
        }
    }

    /// Returns the time until which requests arrived that have waited too long: for the first reply, or after it for other
    /// nodes. `None` if no request has.
    pub(super) fn overdue_until(&self, now: Mono, recall_wait: Duration) -> Option<Mono> {
        let wait = if self.first_reply_at.is_some() { recall_wait } else { recall_wait.max(FIRST_REPLY_WAIT) };
        let until = Mono(now.0.checked_sub(nanos(wait))?);
        self.first_reply_at.is_none_or(|replied_at| replied_at <= until).then_some(until)
    }

    /// Ends the lease and decides about all waiting requests.
    pub(super) fn end(&mut self, counter: CounterId, verdict: Verdict) -> Vec<WaitDecision> {
        self.ended = true;
        self.counter.close();
        let lost = Amount::ZERO;
        let decided = |waiting: WaitingRequest| WaitDecision { waiter: waiting.waiter.id, counter, verdict, lost };
        self.waiting.drain(..).map(decided).collect()
    }

    /// Returns the waiting requests that fit into the free amount, in their order. No request overtakes another,
    /// because a large one would otherwise never be admitted.
    pub(super) fn wake(&mut self, counter: CounterId, now: Mono) -> Vec<WaitDecision> {
        let mut free = if now < self.counter.deadline() { self.counter.free() } else { Amount::ZERO };
        let mut woken = Vec::new();
        while let Some(first) = self.waiting.front()
            && first.waiter.amount <= free
        {
            free = free.saturating_sub(first.waiter.amount);
            let waiter = first.waiter.id;
            let lost = Amount::ZERO;
            woken.push(WaitDecision { waiter, counter, verdict: Verdict::Retry, lost });
            self.waiting.pop_front();
        }
        woken
    }

    /// Returns whether requests wait for the lease in this or another node.
    pub(super) fn is_contended(&self, now: Mono) -> bool {
        !self.waiting.is_empty() || self.recall > self.answered_recall || now < self.contended_until
    }

    /// Returns the use of `ticks` ticks, plus the amount of all waiting requests.
    fn needed_in(&self, ticks: u64) -> Amount {
        self.queued().saturating_add(self.recent.in_ticks(ticks))
    }

    /// Returns the amount that the lease should contain: the use of its lifetime, so that an outage of the store refuses no
    /// request until the deadline.
    fn wanted(&self, times: RequestTimes) -> Amount {
        let lifetime = self.recent.during(times.ttl, times.now);
        self.needed_in(REQUEST_TICKS).max(self.needed_in(REQUEST_BELOW_TICKS).saturating_add(lifetime))
    }

    /// Returns the amount of the first waiting requests that together fit into the amount that was left.
    fn need_fitting(&self, free: Amount) -> Amount {
        let fits = free.saturating_add(self.left);
        let mut fitting = Amount::ZERO;
        for waiting in &self.waiting {
            match fitting.checked_add(waiting.waiter.amount) {
                Some(longer) if longer <= fits => fitting = longer,
                _ => break,
            }
        }
        fitting
    }

    /// Returns the amount of all waiting requests.
    fn queued(&self) -> Amount {
        self.waiting.iter().fold(Amount::ZERO, |sum, waiting| sum.saturating_add(waiting.waiter.amount))
    }
}

/// The times that decide whether a request is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTimes {
    pub(super) now: Mono,
    pub(super) ttl: Duration,
    pub(super) tick: Duration,
}

/// Returns the next request of a lease; `None` if it was already sent or the lease needs nothing.
pub(super) fn request<R: LeaseRules>(
    id: CounterId,
    lease: &mut ClientLease,
    times: RequestTimes,
    rules: &R,
) -> Option<LeaseRequest> {
    let RequestTimes { now, ttl, tick } = times;
    lease.measure_use(now);
    // A new request invalidates the reply to the previous one: a client that repeats faster than the server replies
    // would never get a valid reply.
    let retry_interval = tick.saturating_mul(1 << lease.unanswered.saturating_sub(1).min(RETRY_DOUBLINGS_MAX));
    if !lease.answered && now.since(lease.sent_at) < retry_interval {
        return None;
    }
    let allowance = lease.counter.allowance();
    let recalled = lease.recall > lease.answered_recall && rules.hands_back();
    let idle = !ttl.is_zero() && now.since(lease.busy_at) >= ttl;
    let to = if recalled || lease.ended || idle { Amount::ZERO } else { allowance };
    let returns_surplus = to.max(lease.counter.used()) < allowance;
    let needs_more = !lease.ended && lease.counter.free() < lease.needed_in(REQUEST_BELOW_TICKS);
    // A lease that is spent completely is not renewed; a reserved amount may be released.
    let renew_after = if lease.busy_at > lease.sent_at {
        (ttl / RENEW_AFTER).min(tick.saturating_mul(RENEW_USED_TICKS))
    } else {
        ttl / RENEW_AFTER
    };
    let renew = !lease.ended && allowance > lease.counter.spent() && now.since(lease.sent_at) >= renew_after;
    if !(needs_more || renew || returns_surplus || lease.recall > lease.answered_recall || !lease.answered) {
        return None;
    }
    let ceiling = if rules.lowers_first() { lease.counter.restrict(to) } else { to.max(lease.counter.used()) };
    let used = lease.counter.used().min(ceiling);
    let free = ceiling.saturating_sub(used);
    lease.answered_recall = lease.recall;
    lease.seq += 1;
    (lease.sent_at, lease.answered, lease.unanswered) = (now, false, lease.unanswered.saturating_add(1));
    for waiting in lease.waiting.iter_mut().filter(|waiting| waiting.request_seq == 0) {
        waiting.request_seq = lease.seq;
    }
    let first = lease.waiting.front().map_or(Amount::ZERO, |waiting| waiting.waiter.amount);
    let need_fitting = lease.need_fitting(free);
    let queued = lease.queued();
    Some(LeaseRequest {
        counter: id,
        term: lease.term,
        seq: lease.seq,
        ceiling,
        used,
        spent: lease.counter.spent().min(used),
        want: if lease.ended || idle { Amount::ZERO } else { lease.wanted(times).saturating_sub(free) },
        need: if lease.ended { Amount::ZERO } else { first.saturating_sub(free) },
        need_fitting: if lease.ended { Amount::ZERO } else { need_fitting.saturating_sub(free) },
        queued: if lease.ended { Amount::ZERO } else { queued.saturating_sub(free) },
        answered_recall: lease.answered_recall,
        limit: lease.counter.limit(),
    })
}

/// Refuses the waiting requests that no node can satisfy; returns the decisions.
pub(super) fn refuse<R: LeaseRules>(lease: &mut ClientLease, grant: &Grant, rules: &R) -> Vec<WaitDecision> {
    let mut decisions = Vec::new();
    let all_there_is = lease.counter.free().saturating_add(grant.left);
    for waiting in &mut lease.waiting {
        if waiting.round == 0 && waiting.request_seq != 0 {
            waiting.round = grant.round;
        }
    }
    lease.waiting.retain(|waiting| {
        let Waiter { id, amount, .. } = waiting.waiter;
        let refused = amount > all_there_is && rules.is_refused(waiting.round, grant.drained);
        if refused {
            let would_fit = amount <= all_there_is.saturating_add(grant.lost);
            let lost = if would_fit { grant.lost } else { Amount::ZERO };
            decisions.push(WaitDecision { waiter: id, counter: grant.counter, verdict: Verdict::UsedUp, lost });
        }
        !refused
    });
    decisions
}

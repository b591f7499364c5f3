//! A lease as its holder knows it: what it has to say, and who waits for more of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use access::Mono;

use super::super::rules::LeaseRules;
use super::super::{CounterId, Grant, LeaseRequest};
use super::{Verdict, WaitDecision, Waiter};
use crate::counter::BudgetCounter;

/// More is request_seq for when less is held than what is used in so many ticks,
const REQUEST_BELOW_TICKS: u64 = 4;
/// and then so much: a lease that is used all the time says so now and then, not in each tick.
const REQUEST_TICKS: u64 = 32;
/// An ask is repeated after a tick, the next after two, and so on, up to so many doublings.
const RETRY_DOUBLINGS_MAX: u32 = 3;
/// A lease is request_seq for anew when this part of its time is over.
const RENEW_AFTER: u32 = 3;

#[derive(Debug)]
pub(super) struct ClientLease {
    pub(super) counter: Arc<BudgetCounter>,
    pub(super) seq: u64,
    pub(super) sent_at: Mono,
    pub(super) answered: bool,
    /// Asks since the last answer.
    pub(super) unanswered: u32,
    pub(super) term: u64,
    /// What nobody had been granted, when it was heard last.
    pub(super) left: u64,
    /// The latest recall that was heard of, and the one that was answered.
    pub(super) recall: u64,
    pub(super) answered_recall: u64,
    /// Until when it is likely that somebody elsewhere still waits.
    pub(super) contended_until: Mono,
    /// What was used at the last tick, and what a tick takes lately.
    pub(super) used: u64,
    pub(super) used_per_tick: u64,
    pub(super) busy_at: Mono,
    /// No more is taken of it: its period is over, or the node ends.
    pub(super) ended: bool,
    pub(super) waiting: VecDeque<WaitingRequest>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct WaitingRequest {
    pub(super) waiter: Waiter,
    /// The first ask that was sent since it came; 0 before.
    pub(super) request_seq: u64,
    /// The first recall that began since then; 0 before.
    pub(super) round: u64,
}

impl ClientLease {
    pub(super) fn new(counter: Arc<BudgetCounter>, now: Mono) -> Self {
        Self {
            used: counter.used(),
            counter,
            seq: 0,
            sent_at: Mono(0),
            answered: true,
            unanswered: 0,
            term: 0,
            left: 0,
            recall: 0,
            answered_recall: 0,
            contended_until: Mono(0),
            used_per_tick: 0,
            busy_at: now,
            ended: false,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn measure_use(&mut self, now: Mono) {
        let used = self.counter.used();
        let taken = used.saturating_sub(self.used);
        self.used = used;
        self.used_per_tick = taken.max(self.used_per_tick / 2);
        if taken > 0 || !self.waiting.is_empty() {
            self.busy_at = now;
        }
    }

    /// Nothing more is taken of it, and nobody waits for it.
    pub(super) fn end(&mut self, counter: CounterId, verdict: Verdict) -> Vec<WaitDecision> {
        self.ended = true;
        self.counter.close();
        let decided = |waiting: WaitingRequest| WaitDecision { waiter: waiting.waiter.id, counter, verdict };
        self.waiting.drain(..).map(decided).collect()
    }

    /// Who waits and may try again: nobody overtakes, or a large one would never have its turn.
    pub(super) fn wake(&mut self, counter: CounterId, now: Mono) -> Vec<WaitDecision> {
        let mut free = if now < self.counter.deadline() { self.counter.free() } else { 0 };
        let mut woken = Vec::new();
        while let Some(first) = self.waiting.front()
            && first.waiter.amount <= free
        {
            free -= first.waiter.amount;
            woken.push(WaitDecision { waiter: first.waiter.id, counter, verdict: Verdict::Retry });
            self.waiting.pop_front();
        }
        woken
    }

    /// Whether somebody waits for it, here or elsewhere.
    pub(super) fn is_contended(&self, now: Mono) -> bool {
        !self.waiting.is_empty() || self.recall > self.answered_recall || now < self.contended_until
    }

    /// What is used here in so many ticks, and what those that wait need.
    pub(super) fn needed_in(&self, ticks: u64) -> u64 {
        self.queued().saturating_add(self.used_per_tick.saturating_mul(ticks))
    }

    /// What the first of those that wait need together, as many as fitted into what was left.
    fn need_fitting(&self, free: u64) -> u64 {
        let fits = free.saturating_add(self.left);
        let mut fitting = 0_u64;
        for waiting in &self.waiting {
            match fitting.checked_add(waiting.waiter.amount) {
                Some(longer) if longer <= fits => fitting = longer,
                _ => break,
            }
        }
        fitting
    }

    /// What all that wait need.
    fn queued(&self) -> u64 {
        self.waiting.iter().fold(0, |sum, waiting| sum.saturating_add(waiting.waiter.amount))
    }
}

/// What a lease has to say; nothing where it has said so, or needs nothing.
pub(super) fn request<R: LeaseRules>(
    id: CounterId,
    lease: &mut ClientLease,
    (now, ttl, tick): (Mono, Duration, Duration),
    rules: &R,
) -> Option<LeaseRequest> {
    lease.measure_use(now);
    // A new ask makes the answer to the last one worthless: who asks faster than it is answered never hears.
    let retry_interval = tick.saturating_mul(1 << lease.unanswered.saturating_sub(1).min(RETRY_DOUBLINGS_MAX));
    if !lease.answered && now.since(lease.sent_at) < retry_interval {
        return None;
    }
    let allowance = lease.counter.allowance();
    let recalled = lease.recall > lease.answered_recall && rules.hands_back();
    let idle = !ttl.is_zero() && now.since(lease.busy_at) >= ttl;
    let to = if recalled || lease.ended || idle { 0 } else { allowance };
    let returns_surplus = to.max(lease.counter.used()) < allowance;
    let needs_more = !lease.ended && lease.counter.free() < lease.needed_in(REQUEST_BELOW_TICKS);
    // What is all spent is not renewed; what is reserved may come free.
    let renew = !lease.ended && allowance > lease.counter.spent() && now.since(lease.sent_at) >= ttl / RENEW_AFTER;
    if !(needs_more || renew || returns_surplus || lease.recall > lease.answered_recall || !lease.answered) {
        return None;
    }
    let ceiling = if rules.lowers_first() { lease.counter.restrict(to) } else { to.max(lease.counter.used()) };
    let used = lease.counter.used().min(ceiling);
    let free = ceiling - used;
    lease.answered_recall = lease.recall;
    lease.seq += 1;
    (lease.sent_at, lease.answered, lease.unanswered) = (now, false, lease.unanswered.saturating_add(1));
    for waiting in lease.waiting.iter_mut().filter(|waiting| waiting.request_seq == 0) {
        waiting.request_seq = lease.seq;
    }
    let first = lease.waiting.front().map_or(0, |waiting| waiting.waiter.amount);
    let (need_fitting, queued) = (lease.need_fitting(free), lease.queued());
    Some(LeaseRequest {
        counter: id,
        term: lease.term,
        seq: lease.seq,
        ceiling,
        used,
        spent: lease.counter.spent().min(used),
        want: if lease.ended || idle { 0 } else { lease.needed_in(REQUEST_TICKS).saturating_sub(free) },
        need: if lease.ended { 0 } else { first.saturating_sub(free) },
        need_fitting: if lease.ended { 0 } else { need_fitting.saturating_sub(free) },
        queued: if lease.ended { 0 } else { queued.saturating_sub(free) },
        answered_recall: lease.answered_recall,
        limit: lease.counter.limit(),
    })
}

/// Who of the waiting is refused.
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
            decisions.push(WaitDecision { waiter: id, counter: grant.counter, verdict: Verdict::UsedUp });
        }
        !refused
    });
    decisions
}

//! What a node holds of shared budgets: it asks for what is needed soon, hands back what is not, and keeps the requests
//! that wait for more.

mod lease;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use access::{Mono, Timestamp};

use super::rules::{LeaseRules, StandardRules, micros, nanos};
use super::{CounterId, LeaseClose, NodeId, Tick, TickReply, TickResponse};
use crate::counter::BudgetCounter;
use lease::{ClientLease, WaitingRequest, refuse, request};

/// Requests that wait for one lease; one more is refused at once.
const WAITING_REQUESTS_MAX: usize = 1_024;
/// Ticks are so many times as frequent while somebody waits, and for so many ticks after a recall.
const CONTENDED_TICK_DIVISOR: u32 = 4;
const CONTENDED_TICKS: u32 = 10;

/// How often a holder speaks, and how long a request waits.
#[derive(Debug, Clone, Copy)]
pub struct LeaseTiming {
    /// Between two ticks while nobody waits.
    pub tick: Duration,
    /// How long a request waits for more at most.
    pub recall_wait: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self { tick: Duration::from_millis(100), recall_wait: Duration::from_millis(250) }
    }
}

/// The leases of one incarnation of a node. Its owner calls [`LeaseClient::tick`] when [`LeaseClient::next_tick`] says, and at once when
/// [`LeaseClient::is_urgent`] does.
#[derive(Debug)]
pub struct LeaseClient<R = StandardRules> {
    node: NodeId,
    incarnation: u64,
    timing: LeaseTiming,
    leases: BTreeMap<CounterId, ClientLease>,
    /// Those that somebody waits for, here or elsewhere: of many leases these are few.
    contended: BTreeSet<CounterId>,
    /// When the first period of them is over.
    ends_at: Option<Timestamp>,
    /// What earlier incarnations have spent of leases that are not closed yet.
    past_leases: BTreeMap<(CounterId, u64), u64>,
    /// The lender's clock when it was heard last, and when that was.
    clock: Option<(Timestamp, Mono)>,
    ttl: Duration,
    fenced: bool,
    rules: R,
}

/// A request that waits for more of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// The caller's own number for it.
    pub id: u64,
    /// What it needs.
    pub amount: u64,
    /// When it came, which it keeps if it has to wait again.
    pub since: Mono,
}

/// What becomes of a request that waited for a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitDecision {
    /// Its number.
    pub waiter: u64,
    /// The cell.
    pub counter: CounterId,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be admitted now: its caller tries again.
    Retry,
    /// The budget is used up: since it came, no node held what it needs.
    UsedUp,
    /// More is lent to others, or the lender does not answer; nobody could say in time.
    Withheld,
}

impl LeaseClient<StandardRules> {
    /// The holder of a node that has just begun.
    #[must_use]
    pub const fn new(node: NodeId, incarnation: u64, timing: LeaseTiming) -> Self {
        Self::with_rules(node, incarnation, timing, StandardRules)
    }
}

impl<R: LeaseRules> LeaseClient<R> {
    /// [`LeaseClient::new`] under other rules, for simulations.
    #[must_use]
    pub const fn with_rules(node: NodeId, incarnation: u64, timing: LeaseTiming, rules: R) -> Self {
        Self {
            node,
            incarnation,
            timing,
            leases: BTreeMap::new(),
            contended: BTreeSet::new(),
            ends_at: None,
            past_leases: BTreeMap::new(),
            clock: None,
            ttl: Duration::ZERO,
            fenced: false,
            rules,
        }
    }

    /// What an earlier incarnation has spent of a lease, all of it: the lease is closed with that.
    pub fn close_past(&mut self, counter: CounterId, incarnation: u64, spent: u64) {
        self.past_leases.insert((counter, incarnation), spent);
    }

    /// The lender's wall clock, by which periods begin; `None` before it was heard.
    #[must_use]
    pub fn clock(&self, now: Mono) -> Option<Timestamp> {
        self.clock.map(|(at, heard_at)| Timestamp(at.0.saturating_add(micros(now.since(heard_at)))))
    }

    /// Whether nothing is lent to this incarnation or an earlier one any more, as far as it knows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.past_leases.is_empty()
    }

    /// Whether a later incarnation has taken over.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Whether an ask is not answered.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.leases.values().any(|lease| !lease.answered)
    }

    /// Whether a recall is not answered.
    #[must_use]
    pub fn is_recalled(&self) -> bool {
        self.contended().any(|lease| lease.recall > lease.answered_recall)
    }

    /// How long after a tick the next one is due: a quarter as long while anybody waits, here or elsewhere.
    #[must_use]
    pub fn next_tick(&self, now: Mono) -> Duration {
        let contended = |lease: &ClientLease| !lease.waiting.is_empty() || now < lease.contended_until;
        let LeaseTiming { tick, .. } = self.timing;
        if self.contended().any(contended) { tick / CONTENDED_TICK_DIVISOR } else { tick }
    }

    /// Whether a tick has something to say at once: a request has begun to wait, or a recall is not answered.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.contended().any(|lease| {
            lease.answered
                && (lease.recall > lease.answered_recall
                    || lease.waiting.iter().any(|waiting| waiting.request_seq == 0))
        })
    }

    /// A request found too little in `counter` and waits for more; one that lacks several waits for all of them. The verdict
    /// comes out of [`LeaseClient::response`], [`LeaseClient::review`] or [`LeaseClient::end`]; where none can come it is the answer. What is
    /// said of a request that was admitted meanwhile says nothing.
    pub fn wait(
        &mut self,
        (id, counter): (CounterId, &Arc<BudgetCounter>),
        waiter: Waiter,
        now: Mono,
    ) -> Option<Verdict> {
        if self.fenced || now.since(waiter.since) >= self.timing.recall_wait {
            return Some(Verdict::Withheld);
        }
        let lease = self.leases.entry(id).or_insert_with(|| ClientLease::new(counter.clone(), now));
        if lease.ended || lease.waiting.len() >= WAITING_REQUESTS_MAX {
            return Some(Verdict::Withheld);
        }
        if lease.waiting.iter().any(|waiting| waiting.waiter.id == waiter.id) {
            return None;
        }
        lease.waiting.push_back(WaitingRequest { waiter, request_seq: 0, round: 0 });
        self.contended.insert(id);
        self.ends_at = Some(self.ends_at.map_or(id.period.end(), |at| at.min(id.period.end())));
        None
    }

    fn contended(&self) -> impl Iterator<Item = &ClientLease> {
        self.contended.iter().filter_map(|id| self.leases.get(id))
    }

    /// Whoever waited was admitted after all, or gives up.
    pub fn forget(&mut self, id: u64) {
        for counter in &self.contended {
            if let Some(lease) = self.leases.get_mut(counter) {
                lease.waiting.retain(|waiting| waiting.waiter.id != id);
            }
        }
    }

    /// Nothing more is taken of leases whose periods are over at `at`, or of any (`None`: the node ends); each is closed
    /// when nothing of it is reserved.
    pub fn end(&mut self, at: Option<Timestamp>) -> Vec<WaitDecision> {
        // In the next period there may be enough.
        let verdict = if at.is_some() { Verdict::Retry } else { Verdict::Withheld };
        let mut decisions = Vec::new();
        if let (Some(at), Some(ends_at)) = (at, self.ends_at)
            && at < ends_at
        {
            return decisions;
        }
        self.ends_at = None;
        for (id, lease) in self.leases.iter_mut().filter(|(_, lease)| !lease.ended) {
            let end = id.period.end();
            if at.is_none_or(|at| end <= at) {
                decisions.extend(lease.end(*id, verdict));
            } else {
                self.ends_at = Some(self.ends_at.map_or(end, |at| at.min(end)));
            }
        }
        decisions
    }

    /// All that there is to say at `now`.
    pub fn tick(&mut self, now: Mono) -> Tick {
        let (mut requests, mut closes) = (Vec::new(), Vec::new());
        for ((counter, incarnation), spent) in &self.past_leases {
            closes.push(LeaseClose { counter: *counter, incarnation: *incarnation, spent: *spent });
        }
        for (id, lease) in &mut self.leases {
            // In this order: what is spent is never more than what is used, so where both are one nothing was held when the
            // second was read.
            let spent = lease.counter.spent();
            let used = lease.counter.used();
            if lease.ended && self.rules.may_close(used, spent) {
                let spent = self.rules.final_spent(spent);
                closes.push(LeaseClose { counter: *id, incarnation: self.incarnation, spent });
            } else if !self.fenced {
                requests.extend(request(*id, lease, (now, self.ttl, self.timing.tick), &self.rules));
            }
        }
        Tick { node: self.node, incarnation: self.incarnation, requests, closes }
    }

    /// Takes the lender's answer; says what becomes of requests that waited.
    pub fn receive(&mut self, reply: &TickReply, now: Mono) -> Vec<WaitDecision> {
        match reply {
            TickReply::Fenced => self.fence(),
            TickReply::Accepted(response) if response.incarnation == self.incarnation => self.take(response, now),
            TickReply::Accepted(_) => Vec::new(),
        }
    }

    /// Before a tick: requests for which enough has come free here, and those that have waited too long.
    pub fn review(&mut self, now: Mono) -> Vec<WaitDecision> {
        let mut decisions = Vec::new();
        self.contended.retain(|counter| {
            let Some(lease) = self.leases.get_mut(counter) else { return false };
            decisions.extend(lease.wake(*counter, now));
            lease.waiting.retain(|waiting| {
                let overdue = now.since(waiting.waiter.since) >= self.timing.recall_wait;
                if overdue {
                    decisions.push(WaitDecision {
                        waiter: waiting.waiter.id,
                        counter: *counter,
                        verdict: Verdict::Withheld,
                    });
                }
                !overdue
            });
            lease.is_contended(now)
        });
        decisions
    }

    fn fence(&mut self) -> Vec<WaitDecision> {
        self.fenced = true;
        let mut decisions = Vec::new();
        for (id, lease) in &mut self.leases {
            decisions.extend(lease.end(*id, Verdict::Withheld));
        }
        decisions
    }

    fn take(&mut self, response: &TickResponse, now: Mono) -> Vec<WaitDecision> {
        // A late answer tells an earlier time: of two, the later clock is nearer.
        if self.clock(now).is_none_or(|clock| clock < response.at || clock.0 - response.at.0 > micros(self.ttl)) {
            self.clock = Some((response.at, now));
        }
        self.ttl = response.ttl;
        let mut decisions = Vec::new();
        for recall in &response.recalls {
            if let Some(lease) = self.leases.get_mut(&recall.counter) {
                lease.recall = lease.recall.max(recall.no);
                lease.contended_until = Mono(now.0.saturating_add(nanos(self.timing.tick * CONTENDED_TICKS)));
                self.contended.insert(recall.counter);
            }
        }
        for grant in &response.grants {
            if let Some(lease) = self.leases.get_mut(&grant.counter)
                && self.rules.accepts_grant(grant.seq, lease.seq)
            {
                (lease.answered, lease.unanswered, lease.term, lease.left) = (true, 0, grant.term, grant.left);
                if !lease.ended {
                    let deadline = self.rules.deadline(lease.sent_at, now, response.ttl);
                    lease.counter.allow(grant.granted, deadline);
                    decisions.extend(lease.wake(grant.counter, now));
                    decisions.extend(refuse(lease, grant, &self.rules));
                }
            }
        }
        for (counter, incarnation) in &response.closed {
            if *incarnation == self.incarnation {
                self.leases.remove(counter);
            } else {
                self.past_leases.remove(&(*counter, *incarnation));
            }
        }
        decisions
    }
}

#[cfg(test)]
mod tests;

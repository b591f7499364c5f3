//! The lease client of a node: it requests the amounts that are needed soon, returns surplus, and keeps the requests
//! that wait for more.
//!
//! An incarnation is one start of a node. A tick is one message of a node to the lease server.

mod lease;
mod recent_use;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use access::{Amount, Mono, Timestamp};

use super::rules::{LeaseRules, StandardRules, micros, nanos};
use super::{CounterId, LeaseClose, NodeId, Tick, TickReply, TickResponse};
use crate::budgets::counter::BudgetCounter;
use lease::{ClientLease, RequestTimes, WaitingRequest, refuse, request};

/// Maximum number of requests that wait for one lease; further requests are refused at once.
const WAITING_REQUESTS_MAX: usize = 1_024;
/// While requests wait, and for ten ticks after a recall, ticks are four times as frequent.
const CONTENDED_TICK_DIVISOR: u32 = 4;
const CONTENDED_TICKS: u32 = 10;

/// The intervals of the lease client.
#[derive(Debug, Clone, Copy)]
pub struct LeaseTiming {
    /// The time between two ticks while no request waits.
    pub tick: Duration,
    /// The maximum time that a request waits after the first reply about its lease.
    pub recall_wait: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self { tick: Duration::from_millis(100), recall_wait: Duration::from_millis(250) }
    }
}

/// The leases of one incarnation of a node. The owner calls [`LeaseClient::tick`] after [`LeaseClient::next_tick`], or
/// at once if [`LeaseClient::is_urgent`].
#[derive(Debug)]
pub struct LeaseClient<R = StandardRules> {
    node: NodeId,
    incarnation: u64,
    timing: LeaseTiming,
    leases: BTreeMap<CounterId, ClientLease>,
    /// Leases for which requests wait in this or another node; usually a few of many.
    contended: BTreeSet<CounterId>,
    /// The end of the first period among the leases.
    ends_at: Option<Timestamp>,
    /// The spent amounts of earlier incarnations' leases that are not closed yet.
    past_leases: BTreeMap<(CounterId, u64), Amount>,
    /// The server's wall-clock time in the latest reply, and the monotonic time of that reply.
    clock: Option<(Timestamp, Mono)>,
    ttl: Duration,
    fenced: bool,
    rules: R,
}

/// A request that waits for more of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// The owner's number of the request.
    pub id: u64,
    /// The amount that the request needs.
    pub amount: Amount,
    /// The time at which the request arrived; it stays the same if the request waits again.
    pub since: Mono,
}

/// The decision about a request that waited for a budget counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitDecision {
    /// The number of the request.
    pub waiter: u64,
    /// The budget counter that the request waited for.
    pub counter: CounterId,
    /// The verdict on the request.
    pub verdict: Verdict,
    /// What leases of nodes that do not respond hold, if it contains what a refused request lacks; otherwise zero.
    pub lost: Amount,
}

/// The verdict on a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request may be admitted now: its owner tries again.
    Retry,
    /// The budget is exhausted: since the request arrived, no node had the amount that it needs.
    UsedUp,
    /// Other nodes have leased more, or the server does not respond: the result was unknown at the end of the wait.
    Withheld,
}

/// A budget counter that nodes share.
#[derive(Debug, Clone, Copy)]
pub struct SharedCounter<'a> {
    /// The budget and its period.
    pub id: CounterId,
    /// The counter of this node.
    pub counter: &'a Arc<BudgetCounter>,
}

impl LeaseClient<StandardRules> {
    /// Returns the lease client of a node that has just started.
    #[must_use]
    pub const fn new(node: NodeId, incarnation: u64, timing: LeaseTiming) -> Self {
        Self::with_rules(node, incarnation, timing, StandardRules)
    }
}

impl<R: LeaseRules> LeaseClient<R> {
    /// Like [`LeaseClient::new`] with other rules, for simulations.
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

    /// Closes a lease of an earlier incarnation with the total amount that was spent of it.
    pub fn close_past(&mut self, counter: CounterId, incarnation: u64, spent: Amount) {
        self.past_leases.insert((counter, incarnation), spent);
    }

    /// Returns the server's wall-clock time, by which periods begin; `None` before the first reply.
    #[must_use]
    pub fn clock(&self, now: Mono) -> Option<Timestamp> {
        self.clock.map(|(at, heard_at)| Timestamp(at.0.saturating_add(micros(now.since(heard_at)))))
    }

    /// Returns whether neither this incarnation nor an earlier one holds a lease, as far as the client knows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.past_leases.is_empty()
    }

    /// Returns whether a later incarnation has taken over.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Returns whether a lease request has no reply yet.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.leases.values().any(|lease| !lease.answered)
    }

    /// Returns whether a recall is not answered yet.
    #[must_use]
    pub fn is_recalled(&self) -> bool {
        self.contended().any(|lease| lease.recall > lease.answered_recall)
    }

    /// Returns the time until the next tick: a quarter of the interval while requests wait in this or another node.
    #[must_use]
    pub fn next_tick(&self, now: Mono) -> Duration {
        let contended = |lease: &ClientLease| !lease.waiting.is_empty() || now < lease.contended_until;
        let LeaseTiming { tick, .. } = self.timing;
        if self.contended().any(contended) { tick / CONTENDED_TICK_DIVISOR } else { tick }
    }

    /// Returns whether a tick must be sent at once: a request has begun to wait, or a recall is not answered.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.contended().any(|lease| {
            lease.answered
                && (lease.recall > lease.answered_recall
                    || lease.waiting.iter().any(|waiting| waiting.request_seq == 0))
        })
    }

    /// Adds a request that waits for more of a counter; a request that lacks several budgets waits for each of them.
    /// The verdict comes from [`LeaseClient::receive`], [`LeaseClient::review`] or [`LeaseClient::end`]; it is returned
    /// at once if the request cannot wait. Ignore the verdict on a request that was admitted in the meantime.
    pub fn wait(&mut self, shared: SharedCounter<'_>, waiter: Waiter, now: Mono) -> Option<Verdict> {
        let SharedCounter { id, counter } = shared;
        if self.fenced {
            return Some(Verdict::Withheld);
        }
        let lease = self.leases.entry(id).or_insert_with(|| ClientLease::new(counter.clone(), now));
        let overdue_until = lease.overdue_until(now, self.timing.recall_wait);
        let is_overdue = overdue_until.is_some_and(|until| waiter.since <= until);
        if is_overdue || lease.ended || lease.waiting.len() >= WAITING_REQUESTS_MAX {
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

    /// Removes a waiting request that was admitted or has given up.
    pub fn forget(&mut self, id: u64) {
        for counter in &self.contended {
            if let Some(lease) = self.leases.get_mut(counter) {
                lease.waiting.retain(|waiting| waiting.waiter.id != id);
            }
        }
    }

    /// Ends the leases whose periods are over at `at`, or all leases if the node ends (`None`). A lease is closed when
    /// nothing of it is reserved.
    pub fn end(&mut self, at: Option<Timestamp>) -> Vec<WaitDecision> {
        // The next period may contain the amount.
        let verdict = if at.is_some() { Verdict::Retry } else { Verdict::Withheld };
        let mut decisions = Vec::new();
        if let Some(at) = at
            && let Some(ends_at) = self.ends_at
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

    /// Returns all messages that are due at `now`.
    pub fn tick(&mut self, now: Mono) -> Tick {
        let mut requests = Vec::new();
        let mut closes = Vec::new();
        for ((counter, incarnation), spent) in &self.past_leases {
            closes.push(LeaseClose { counter: *counter, incarnation: *incarnation, spent: *spent });
        }
        for (id, lease) in &mut self.leases {
            // `spent` is read before `used` and is never larger: if both are equal, nothing was reserved at the second
            // read.
            let spent = lease.counter.spent();
            let used = lease.counter.used();
            if lease.ended && self.rules.may_close(used, spent) {
                let spent = self.rules.final_spent(spent);
                closes.push(LeaseClose { counter: *id, incarnation: self.incarnation, spent });
            } else if !self.fenced {
                requests.extend(request(
                    *id,
                    lease,
                    RequestTimes { now, ttl: self.ttl, tick: self.timing.tick },
                    &self.rules,
                ));
            }
        }
        Tick { node: self.node, incarnation: self.incarnation, requests, closes }
    }

    /// Applies the server's reply; returns the decisions about waiting requests.
    pub fn receive(&mut self, reply: &TickReply, now: Mono) -> Vec<WaitDecision> {
        match reply {
            TickReply::Fenced => self.fence(),
            TickReply::Accepted(response) if response.incarnation == self.incarnation => self.take(response, now),
            TickReply::Accepted(_) => Vec::new(),
        }
    }

    /// Call it before each tick: returns the waiting requests that now fit into free amounts, and those that have
    /// waited too long.
    pub fn review(&mut self, now: Mono) -> Vec<WaitDecision> {
        let mut decisions = Vec::new();
        self.contended.retain(|counter| {
            let Some(lease) = self.leases.get_mut(counter) else { return false };
            decisions.extend(lease.wake(*counter, now));
            let overdue_until = lease.overdue_until(now, self.timing.recall_wait);
            lease.waiting.retain(|waiting| {
                let overdue = overdue_until.is_some_and(|until| waiting.waiter.since <= until);
                if overdue {
                    decisions.push(WaitDecision {
                        waiter: waiting.waiter.id,
                        counter: *counter,
                        verdict: Verdict::Withheld,
                        lost: Amount::ZERO,
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
        // A late reply contains an earlier time; of two times, the later one is more accurate.
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
                lease.first_reply_at.get_or_insert(now);
                if !lease.ended {
                    let deadline = self.rules.deadline(lease.sent_at, now, response.ttl);
                    lease.counter.note_ungranted(grant.left);
                    lease.counter.allow(grant.granted, deadline);
                    decisions.extend(lease.wake(grant.counter, now));
                    decisions.extend(refuse(lease, grant, &self.rules));
                }
            }
        }
        for (counter, begin) in &response.moved {
            if let Some(mut lease) = self.leases.remove(counter) {
                lease.counter.move_to(*begin);
                decisions.extend(lease.end(*counter, Verdict::Retry));
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

//! The lease server: one account for each budget and period, with the leases of all nodes.
//!
//! This is the logic of the store without the store: a transaction over the same rows returns the same replies.

use std::collections::BTreeMap;
use std::time::Duration;

use access::{Amount, Timestamp};

use super::rules::{Contention, LeaseRules, OtherLease, StandardRules, micros};
use super::{CounterId, Grant, LeaseClose, LeaseId, LeaseRequest, NodeId, Recall, Tick, TickReply, TickResponse};
use crate::budgets::budget::BudgetId;

/// The time for which leases get only the amounts that waiting requests need, after one got too little.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

/// Grants and ends the leases of all nodes. It applies one tick after another.
#[derive(Debug, Clone)]
pub struct LeaseServer<R = StandardRules> {
    ttl: Duration,
    limits: BTreeMap<BudgetId, Amount>,
    accounts: BTreeMap<CounterId, BudgetAccount>,
    nodes: BTreeMap<NodeId, NodeState>,
    rules: R,
}

/// The budget account: one budget in one period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetAccount {
    /// The amount spent before the first lease.
    pub spent_before: Amount,
    /// The leases by node and incarnation.
    pub leases: BTreeMap<(NodeId, u64), ServerLease>,
    /// The number of the latest recall.
    pub recall: u64,
    /// The node whose requests wait, and the time until which other nodes get only what their waiting requests need.
    pub contended: Option<(NodeId, Timestamp)>,
}

/// A lease in the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerLease {
    /// The number of its latest request.
    pub seq: u64,
    /// Increases when its unused amount is reclaimed.
    pub term: u64,
    /// The total amount granted.
    pub granted: Amount,
    /// The reserved and spent amounts in its latest request.
    pub used: Amount,
    /// The spent amount in its latest request.
    pub spent: Amount,
    /// The latest recall that it has answered.
    pub answered_recall: u64,
    /// The time of its latest request.
    pub heard_at: Timestamp,
    /// Whether it is closed.
    pub closed: bool,
    /// Whether the node has reported the total spent amount.
    pub reported: bool,
    /// The recall that its latest request started; 0 if that got everything that waiting requests needed.
    pub round: u64,
    /// The latest recall that it has started.
    pub recalls: u64,
}

#[derive(Debug, Clone, Copy)]
struct NodeState {
    incarnation: u64,
    at: Timestamp,
}

/// The lifetime of leases and the current time of the server.
#[derive(Debug, Clone, Copy)]
struct ServerClock {
    ttl: Duration,
    at: Timestamp,
}

/// A lease, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSummary {
    /// The budget counter of the lease.
    pub counter: CounterId,
    /// The node that holds the lease.
    pub node: NodeId,
    /// The incarnation that holds the lease.
    pub incarnation: u64,
    /// The total amount granted.
    pub granted: Amount,
    /// The spent amount in its latest request.
    pub spent: Amount,
    /// The time of its latest request.
    pub heard_at: Timestamp,
    /// Whether the lease is closed.
    pub closed: bool,
}

impl LeaseServer<StandardRules> {
    /// Returns a lease server whose grants are valid for `ttl`.
    #[must_use]
    pub const fn new(ttl: Duration) -> Self {
        Self::with_rules(ttl, StandardRules)
    }
}

impl<R: LeaseRules> LeaseServer<R> {
    /// Like [`LeaseServer::new`] with other rules, for simulations.
    #[must_use]
    pub const fn with_rules(ttl: Duration, rules: R) -> Self {
        Self { ttl, limits: BTreeMap::new(), accounts: BTreeMap::new(), nodes: BTreeMap::new(), rules }
    }

    /// Sets the limit of a budget; with `None`, nothing is lent of it.
    pub fn set_limit(&mut self, budget: BudgetId, limit: Option<Amount>) {
        match limit {
            Some(limit) => self.limits.insert(budget, limit),
            None => self.limits.remove(&budget),
        };
    }

    /// Imports an account from the store.
    pub fn import(&mut self, counter: CounterId, account: BudgetAccount) {
        self.accounts.insert(counter, account);
    }

    /// Returns an account for the store.
    #[must_use]
    pub fn account(&self, counter: CounterId) -> Option<&BudgetAccount> {
        self.accounts.get(&counter)
    }

    /// Records the latest incarnation of a node and the time of its last tick.
    pub fn record_node(&mut self, node: NodeId, incarnation: u64, at: Timestamp) {
        self.nodes.insert(node, NodeState { incarnation, at });
    }

    /// Sets the amount that was spent before the first lease.
    pub fn set_spent_before(&mut self, counter: CounterId, spent: Amount) {
        self.accounts.entry(counter).or_default().spent_before = spent;
    }

    /// Registers the start of a node. `earlier` is the latest incarnation that the node's folder knows; a server
    /// restored from an old copy may know fewer. Returns the new incarnation, and the leases of earlier ones that it
    /// must close.
    pub fn join(&mut self, node: NodeId, earlier: u64, at: Timestamp) -> (u64, Vec<(CounterId, u64)>) {
        let known = self.nodes.get(&node).map_or(0, |seen| seen.incarnation);
        let incarnation = known.max(earlier).saturating_add(1);
        self.nodes.insert(node, NodeState { incarnation, at });
        let mut unreported = Vec::new();
        for (counter, account) in &self.accounts {
            let of_node = account
                .leases
                .iter()
                .filter(|((whose, of), lease)| *whose == node && *of < incarnation && !lease.reported);
            unreported.extend(of_node.map(|((_, of), _)| (*counter, *of)));
        }
        (incarnation, unreported)
    }

    /// Applies a tick; returns the reply.
    pub fn take(&mut self, tick: &Tick, at: Timestamp) -> TickReply {
        let seen = self.nodes.entry(tick.node).or_insert(NodeState { incarnation: tick.incarnation, at });
        if self.rules.is_fenced(tick.incarnation, seen.incarnation) {
            return TickReply::Fenced;
        }
        *seen = NodeState { incarnation: tick.incarnation.max(seen.incarnation), at };
        let mut grants = Vec::new();
        let mut closed = Vec::new();
        for close in &tick.closes {
            self.close(tick.node, close);
            closed.push((close.counter, close.incarnation));
        }
        for request in &tick.requests {
            grants.extend(self.request(tick, request, at));
        }
        let recalls = self.recalls((tick.node, tick.incarnation));
        let moved = Vec::new();
        let incarnation = tick.incarnation;
        TickReply::Accepted(TickResponse { incarnation, at, ttl: self.ttl, grants, recalls, closed, moved })
    }

    /// Reclaims the unspent amount of an expired lease; returns the amount, or `None` if there is nothing to reclaim.
    /// If its client comes back, its reserved and spent amounts count, even above the limit.
    pub fn reclaim(&mut self, lease: LeaseId, at: Timestamp) -> Option<Amount> {
        let LeaseId { counter, node, incarnation } = lease;
        let lease = self.accounts.get_mut(&counter)?.leases.get_mut(&(node, incarnation))?;
        let unspent = lease.granted.saturating_sub(lease.spent);
        if lease.closed
            || unspent.is_zero()
            || !self.rules.may_reclaim(past_deadline(lease, ServerClock { ttl: self.ttl, at }))
        {
            return None;
        }
        (lease.granted, lease.used, lease.term) = (lease.spent, lease.spent, lease.term.saturating_add(1));
        Some(unspent)
    }

    /// Returns every lease, open or closed.
    pub fn leases(&self) -> impl Iterator<Item = LeaseSummary> {
        self.accounts.iter().flat_map(|(counter, account)| {
            account.leases.iter().map(|((node, incarnation), lease)| LeaseSummary {
                counter: *counter,
                node: *node,
                incarnation: *incarnation,
                granted: lease.granted,
                spent: lease.spent,
                heard_at: lease.heard_at,
                closed: lease.closed,
            })
        })
    }

    /// Returns the amount granted to open leases, and the amount spent before and in closed leases.
    #[must_use]
    pub fn granted_and_spent(&self, counter: CounterId) -> (Amount, Amount) {
        self.accounts
            .get(&counter)
            .map_or((Amount::ZERO, Amount::ZERO), |account| account.granted_and_spent(&self.rules))
    }

    /// Removes accounts whose periods ended before `at` and that have no open lease.
    pub fn sweep(&mut self, at: Timestamp) {
        self.accounts
            .retain(|counter, account| counter.period.end() > at || account.leases.values().any(|lease| !lease.closed));
    }

    fn close(&mut self, node: NodeId, close: &LeaseClose) {
        let account = self.accounts.entry(close.counter).or_default();
        let lease = account.leases.entry((node, close.incarnation)).or_default();
        lease.spent = self.rules.spent_at_close(lease.spent, close.spent);
        (lease.closed, lease.reported) = (true, true);
    }

    fn request(&mut self, tick: &Tick, request: &LeaseRequest, at: Timestamp) -> Option<Grant> {
        let node = tick.node;
        let incarnation = tick.incarnation;
        let limit = self.limits.get(&request.counter.budget).copied().unwrap_or_default();
        let lives = micros(self.ttl).saturating_mul(2);
        let live = self.nodes.values().filter(|seen| at.0.saturating_sub(seen.at.0) <= lives).count();
        let live = u64::try_from(live).unwrap_or(u64::MAX);
        let lends = self.rules.is_current(request.counter.period, at);
        let account = self.accounts.entry(request.counter).or_default();
        let lease = account.leases.entry((node, incarnation)).or_default();
        if lease.closed && !self.rules.reopens() {
            return None;
        }
        (lease.closed, lease.reported) = (false, false);
        if !self.rules.is_newer(request.seq, lease.seq) {
            let repeated = request.seq == lease.seq;
            let granted = lease.granted;
            let round = lease.round;
            let term = lease.term;
            let left = account.left(limit, &self.rules);
            let lost = account.lost((node, incarnation), ServerClock { ttl: self.ttl, at });
            let counter = request.counter;
            let grant = Grant { counter, term, seq: request.seq, granted, left, round, drained: 0, lost };
            return repeated.then_some(grant);
        }
        lease.seq = request.seq;
        lease.granted = self.rules.granted_before(lease.granted, request, lease.term);
        (lease.used, lease.spent, lease.answered_recall) =
            (request.used, lease.spent.max(request.spent), lease.answered_recall.max(request.answered_recall));
        lease.heard_at = at;
        // A server that was restored from an old copy knows fewer recalls than its clients.
        account.recall = account.recall.max(request.answered_recall);
        let contended = account.contended.is_some_and(|(who, until)| who != node && at < until);
        let left = account.left(limit, &self.rules);
        let more = if lends {
            self.rules.grant_amount(request, left, Contention { live_nodes: live, contended })
        } else {
            Amount::ZERO
        };
        if request.queued > more {
            account.recall = account.recall.saturating_add(u64::from(self.rules.recalls()));
            account.contended = Some((node, Timestamp(at.0.saturating_add(micros(CONTENDED_FOR)))));
        }
        let (round, drained) = if request.queued > more {
            (account.recall, account.drained((node, incarnation), ServerClock { ttl: self.ttl, at }, &self.rules))
        } else {
            (0, 0)
        };
        let lost = account.lost((node, incarnation), ServerClock { ttl: self.ttl, at });
        let lease = account.leases.entry((node, incarnation)).or_default();
        (lease.round, lease.recalls) = (round, lease.recalls.max(round));
        lease.granted = lease.granted.saturating_add(more);
        let granted = lease.granted;
        let term = lease.term;
        let left = left.saturating_sub(more);
        Some(Grant { counter: request.counter, term, seq: request.seq, granted, left, round, drained, lost })
    }

    /// Returns the recalls of a node's leases.
    fn recalls(&self, of: (NodeId, u64)) -> Vec<Recall> {
        let recalled = self.accounts.iter().filter_map(|(counter, account)| {
            let lease = account.leases.get(&of)?;
            let no = account.recalled(of);
            (!lease.closed && lease.answered_recall < no).then_some(Recall { counter: *counter, no })
        });
        recalled.collect()
    }
}

impl BudgetAccount {
    fn granted_and_spent<R: LeaseRules>(&self, rules: &R) -> (Amount, Amount) {
        self.leases.values().fold((Amount::ZERO, self.spent_before), |(granted, spent), lease| {
            if lease.closed && rules.frees_closed() {
                (granted, spent.saturating_add(lease.spent))
            } else {
                (granted.saturating_add(lease.granted), spent)
            }
        })
    }

    fn left<R: LeaseRules>(&self, limit: Amount, rules: &R) -> Amount {
        let (granted, spent) = self.granted_and_spent(rules);
        rules.left(limit, granted, spent)
    }

    /// Returns the recall up to which no other lease has surplus.
    fn drained<R: LeaseRules>(&self, client: (NodeId, u64), clock: ServerClock, rules: &R) -> u64 {
        let others = self.leases.iter().filter(|(whose, lease)| **whose != client && !lease.closed);
        let drained = others.map(|(_, lease)| {
            let ServerLease { answered_recall, granted, used, .. } = *lease;
            rules.drained(OtherLease { answered_recall, granted, used, past_deadline: past_deadline(lease, clock) })
        });
        drained.min().unwrap_or(u64::MAX)
    }

    /// Returns the unspent amount of other leases whose nodes do not respond.
    fn lost(&self, client: (NodeId, u64), clock: ServerClock) -> Amount {
        let others = self.leases.iter().filter(|(whose, lease)| **whose != client && !lease.closed);
        let expired = others.map(|(_, lease)| lease).filter(|lease| past_deadline(lease, clock));
        expired.fold(Amount::ZERO, |lost, lease| lost.saturating_add(lease.granted.saturating_sub(lease.spent)))
    }

    /// Returns the latest recall that another node started.
    #[must_use]
    pub fn recalled(&self, client: (NodeId, u64)) -> u64 {
        let others = self.leases.iter().filter(|(whose, _)| **whose != client);
        others.map(|(_, lease)| lease.recalls).max().unwrap_or(0)
    }
}

/// Returns whether the lease has expired by the server's clock; the client's deadline is earlier.
fn past_deadline(lease: &ServerLease, clock: ServerClock) -> bool {
    clock.at.0.saturating_sub(lease.heard_at.0) > micros(clock.ttl)
}

#[cfg(test)]
mod tests;

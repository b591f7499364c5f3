//! Who lends shared budgets: one book for each budget and period, one loan for each lease.
//!
//! It is the store's transitions without the store: what it answers is what a transaction over the same rows answers.

use std::collections::BTreeMap;
use std::time::Duration;

use access::Timestamp;

use super::rules::{LeaseRules, OtherLease, StandardRules, micros};
use super::{CounterId, Grant, LeaseClose, LeaseRequest, NodeId, Recall, Tick, TickReply, TickResponse};
use crate::budget::BudgetId;

/// For so long nobody gets more than a request needs, after one found too little.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

/// Lends budgets to nodes. A serial authority: a tick is taken whole.
#[derive(Debug, Clone)]
pub struct LeaseServer<R = StandardRules> {
    ttl: Duration,
    limits: BTreeMap<BudgetId, u64>,
    accounts: BTreeMap<CounterId, BudgetAccount>,
    nodes: BTreeMap<NodeId, NodeState>,
    rules: R,
}

/// One budget in one period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetAccount {
    /// Spent before anything was lent.
    pub spent_before: u64,
    /// By node and incarnation.
    pub leases: BTreeMap<(NodeId, u64), ServerLease>,
    /// The latest recall.
    pub recall: u64,
    /// Until when somebody is pressed, and who.
    pub contended: Option<(NodeId, Timestamp)>,
}

/// One lease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerLease {
    /// Of its latest ask.
    pub seq: u64,
    /// Grows when what it does not use is reclaimed.
    pub term: u64,
    /// All that is granted.
    pub granted: u64,
    /// Reserved and spent, as last heard.
    pub used: u64,
    /// Spent, as last heard.
    pub spent: u64,
    /// The latest recall that it has answered.
    pub answered_recall: u64,
    /// When its holder was heard last.
    pub heard_at: Timestamp,
    /// Whether nothing more is taken of it.
    pub closed: bool,
    /// Whether its holder has said what was spent, all in all.
    pub reported: bool,
    /// The recall that its latest ask began; 0 where that got all that waiting requests needed.
    pub round: u64,
    /// The latest recall that it ever began.
    pub recalls: u64,
}

#[derive(Debug, Clone, Copy)]
struct NodeState {
    incarnation: u64,
    at: Timestamp,
}

/// A lease, as people are shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSummary {
    /// Of what.
    pub counter: CounterId,
    /// To whom.
    pub node: NodeId,
    /// To which incarnation.
    pub incarnation: u64,
    /// All that is granted.
    pub granted: u64,
    /// What was spent, as last heard.
    pub spent: u64,
    /// When its holder was heard last.
    pub heard_at: Timestamp,
    /// Whether it is closed.
    pub closed: bool,
}

impl LeaseServer<StandardRules> {
    /// A lender whose grants hold for `ttl`.
    #[must_use]
    pub const fn new(ttl: Duration) -> Self {
        Self::with_rules(ttl, StandardRules)
    }
}

impl<R: LeaseRules> LeaseServer<R> {
    /// [`LeaseServer::new`] under other rules, for simulations.
    #[must_use]
    pub const fn with_rules(ttl: Duration, rules: R) -> Self {
        Self { ttl, limits: BTreeMap::new(), accounts: BTreeMap::new(), nodes: BTreeMap::new(), rules }
    }

    /// From now on a budget has this limit; `None`: there is none of it, and nothing is lent.
    pub fn set_limit(&mut self, budget: BudgetId, limit: Option<u64>) {
        match limit {
            Some(limit) => self.limits.insert(budget, limit),
            None => self.limits.remove(&budget),
        };
    }

    /// A cell as it was kept elsewhere.
    pub fn import(&mut self, counter: CounterId, account: BudgetAccount) {
        self.accounts.insert(counter, account);
    }

    /// A cell, to be kept elsewhere.
    #[must_use]
    pub fn account(&self, counter: CounterId) -> Option<&BudgetAccount> {
        self.accounts.get(&counter)
    }

    /// When a node was heard, and the latest incarnation of it.
    pub fn record_node(&mut self, node: NodeId, incarnation: u64, at: Timestamp) {
        self.nodes.insert(node, NodeState { incarnation, at });
    }

    /// What was spent of a cell before anything of it was lent.
    pub fn set_spent_before(&mut self, counter: CounterId, spent: u64) {
        self.accounts.entry(counter).or_default().spent_before = spent;
    }

    /// A node begins, whose folder knows `earlier` as its latest incarnation (a lender that was restored from an old copy may
    /// not). Answers its incarnation, and the leases of earlier ones that it has to close.
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

    /// Takes a tick, and answers it.
    pub fn take(&mut self, tick: &Tick, at: Timestamp) -> TickReply {
        let seen = self.nodes.entry(tick.node).or_insert(NodeState { incarnation: tick.incarnation, at });
        if self.rules.is_fenced(tick.incarnation, seen.incarnation) {
            return TickReply::Fenced;
        }
        *seen = NodeState { incarnation: tick.incarnation.max(seen.incarnation), at };
        let (mut grants, mut closed) = (Vec::new(), Vec::new());
        for close in &tick.closes {
            self.close(tick.node, close);
            closed.push((close.counter, close.incarnation));
        }
        for request in &tick.requests {
            grants.extend(self.request((tick.node, tick.incarnation), request, at));
        }
        let recalls = self.recalls((tick.node, tick.incarnation));
        TickReply::Accepted(TickResponse { incarnation: tick.incarnation, at, ttl: self.ttl, grants, recalls, closed })
    }

    /// Takes what is not spent of a lease from a holder that is past its deadline; answers how much that was, `None` where
    /// there is nothing to take. Should its holder come back, what it has reserved and spent after all counts, and may be
    /// more than the limit.
    pub fn reclaim(&mut self, (counter, node, incarnation): (CounterId, NodeId, u64), at: Timestamp) -> Option<u64> {
        let lease = self.accounts.get_mut(&counter)?.leases.get_mut(&(node, incarnation))?;
        let unspent = lease.granted.saturating_sub(lease.spent);
        if lease.closed || unspent == 0 || !self.rules.may_reclaim(past_deadline(lease, (self.ttl, at))) {
            return None;
        }
        (lease.granted, lease.used, lease.term) = (lease.spent, lease.spent, lease.term.saturating_add(1));
        Some(unspent)
    }

    /// Every lease, open or closed.
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

    /// What is granted to open leases of a cell, and what was spent of closed ones and before.
    #[must_use]
    pub fn granted_and_spent(&self, counter: CounterId) -> (u64, u64) {
        self.accounts.get(&counter).map_or((0, 0), |account| account.granted_and_spent(&self.rules))
    }

    /// Forgets cells that were over before `at`; what is still lent of them stays.
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

    fn request(&mut self, (node, incarnation): (NodeId, u64), request: &LeaseRequest, at: Timestamp) -> Option<Grant> {
        let limit = self.limits.get(&request.counter.budget).copied().unwrap_or(0);
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
            let (repeated, granted, round, term) = (request.seq == lease.seq, lease.granted, lease.round, lease.term);
            let left = account.left(limit, &self.rules);
            let grant = Grant { counter: request.counter, term, seq: request.seq, granted, left, round, drained: 0 };
            return repeated.then_some(grant);
        }
        lease.seq = request.seq;
        lease.granted = self.rules.granted_before(lease.granted, request, lease.term);
        (lease.used, lease.spent, lease.answered_recall) =
            (request.used, lease.spent.max(request.spent), lease.answered_recall.max(request.answered_recall));
        lease.heard_at = at;
        // A lender that was restored from an old copy knows fewer recalls than its holders.
        account.recall = account.recall.max(request.answered_recall);
        let contended = account.contended.is_some_and(|(who, until)| who != node && at < until);
        let left = account.left(limit, &self.rules);
        let more = if lends { self.rules.grant_amount(request, left, (live, contended)) } else { 0 };
        if request.queued > more {
            account.recall = account.recall.saturating_add(u64::from(self.rules.recalls()));
            account.contended = Some((node, Timestamp(at.0.saturating_add(micros(CONTENDED_FOR)))));
        }
        let (round, drained) = if request.queued > more {
            (account.recall, account.drained((node, incarnation), (self.ttl, at), &self.rules))
        } else {
            (0, 0)
        };
        let lease = account.leases.entry((node, incarnation)).or_default();
        (lease.round, lease.recalls) = (round, lease.recalls.max(round));
        lease.granted = lease.granted.saturating_add(more);
        let (granted, term, left) = (lease.granted, lease.term, left.saturating_sub(more));
        Some(Grant { counter: request.counter, term, seq: request.seq, granted, left, round, drained })
    }

    /// What is recalled of this holder's leases.
    fn recalls(&self, of: (NodeId, u64)) -> Vec<Recall> {
        let recalled = self.accounts.iter().filter_map(|(counter, account)| {
            let (lease, no) = (account.leases.get(&of)?, account.recalled(of));
            (!lease.closed && lease.answered_recall < no).then_some(Recall { counter: *counter, no })
        });
        recalled.collect()
    }
}

impl BudgetAccount {
    fn granted_and_spent<R: LeaseRules>(&self, rules: &R) -> (u64, u64) {
        self.leases.values().fold((0, self.spent_before), |(granted, spent), lease| {
            if lease.closed && rules.frees_closed() {
                (granted, spent.saturating_add(lease.spent))
            } else {
                (granted.saturating_add(lease.granted), spent)
            }
        })
    }

    fn left<R: LeaseRules>(&self, limit: u64, rules: &R) -> u64 {
        let (granted, spent) = self.granted_and_spent(rules);
        rules.left(limit, granted, spent)
    }

    /// Up to which recall nobody but `client` has anything to hand back.
    fn drained<R: LeaseRules>(&self, client: (NodeId, u64), clock: (Duration, Timestamp), rules: &R) -> u64 {
        let others = self.leases.iter().filter(|(whose, lease)| **whose != client && !lease.closed);
        let drained = others.map(|(_, lease)| {
            let ServerLease { answered_recall, granted, used, .. } = *lease;
            rules.drained(OtherLease { answered_recall, granted, used, past_deadline: past_deadline(lease, clock) })
        });
        drained.min().unwrap_or(u64::MAX)
    }

    /// The latest recall that somebody else than `client` began.
    #[must_use]
    pub fn recalled(&self, client: (NodeId, u64)) -> u64 {
        let others = self.leases.iter().filter(|(whose, _)| **whose != client);
        others.map(|(_, lease)| lease.recalls).max().unwrap_or(0)
    }
}

/// Whether the holder admits nothing any more, by the lender's clock: its own deadline is earlier.
fn past_deadline(lease: &ServerLease, (ttl, at): (Duration, Timestamp)) -> bool {
    at.0.saturating_sub(lease.heard_at.0) > micros(ttl)
}

#[cfg(test)]
mod tests;

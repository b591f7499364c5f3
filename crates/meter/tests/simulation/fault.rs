//! Faults between two steps.

use access::Amount;
use meter::lease::{CounterId, LeaseId};

use crate::coverage::Hit;
use crate::world::{BUDGETS, Event, World};

const DAY_US: i64 = 86_400_000_000;

impl World {
    /// Injects faults at random.
    pub(crate) fn inject_faults(&mut self) {
        let node = usize::try_from(self.chance.below(self.nodes.len() as u64)).unwrap();
        let ttl_us = self.ttl_us();
        if self.happens(self.setup.crash) && self.nodes[node].process.is_some() && !self.nodes[node].frozen {
            self.hit(Hit::Crash, node);
            self.crash(node);
            let away_us = if self.chance.per_mille(500) { ttl_us / 10 } else { ttl_us * 4 };
            self.hostile(away_us);
            self.after(1, away_us, Event::Restart(node));
        }
        if self.happens(self.setup.freeze) && self.nodes[node].process.is_some() && !self.nodes[node].frozen {
            self.hit(Hit::Freeze, node);
            self.nodes[node].frozen = true;
            let long = self.chance.per_mille(300);
            let for_us = if long { ttl_us * 8 } else { ttl_us * 2 };
            if long {
                self.hit(Hit::ThawLate, node);
            }
            self.hostile(for_us);
            self.after(if long { ttl_us } else { 1 }, for_us, Event::Thaw(node));
        }
        if self.happens(self.setup.pause) {
            self.hit(Hit::ServerPaused, node);
            let for_us = self.chance.within(1, ttl_us * 2);
            self.paused_until_us = self.now_us + for_us;
            self.hostile(for_us);
        }
        if self.happens(self.setup.restore) {
            self.restore(node);
        }
        if self.happens(self.setup.jump) {
            self.jump(node);
        }
        if self.happens(self.setup.limit) {
            self.change_limit(node);
        }
        if self.happens(self.setup.reclaim) {
            self.reclaim();
        }
    }

    fn happens(&mut self, of_ten_thousand: u64) -> bool {
        of_ten_thousand > 0 && self.chance.below(10_000) < of_ten_thousand
    }

    /// Takes a copy of the database, or restores the one that was taken and drops the messages to the old database.
    /// Amounts that the copy does not know to be used may be used again.
    fn restore(&mut self, node: usize) {
        let Some(mut copy) = self.copy.take() else {
            self.copy = Some(self.server.clone());
            return;
        };
        self.hit(Hit::ServerRestored, node);
        for (budget, limit) in BUDGETS.into_iter().zip(self.limits) {
            copy.set_limit(budget, Some(Amount(limit)));
        }
        let counters: Vec<CounterId> = self.oracle.counters.keys().copied().collect();
        for counter in counters {
            let known = copy.leases().filter(|lent| lent.counter == counter).map(|lent| {
                let node = self.nodes.iter().position(|node| node.id == lent.node).unwrap();
                self.used_of(node, &lent).min(if lent.closed { lent.spent.0 } else { lent.granted.0 })
            });
            let known: u64 = known.sum();
            let limit = self.limit(counter.budget);
            let truth = self.oracle.counter(counter, limit);
            truth.beyond += truth.limit_max.saturating_sub(known);
        }
        self.server = copy;
        self.drop_requests();
        self.restored = true;
    }

    /// A node's wall clock jumps by up to a day, or the server's by seconds.
    fn jump(&mut self, node: usize) {
        self.hit(Hit::ClockJumps, node);
        let day = i64::try_from(self.chance.below(DAY_US.unsigned_abs() * 2)).unwrap() - DAY_US;
        if self.chance.per_mille(700) {
            self.nodes[node].skew = day;
        } else {
            self.jumped = true;
            self.server_skew += if self.chance.per_mille(200) { day } else { day / 20_000 };
        }
    }

    fn change_limit(&mut self, node: usize) {
        self.hit(Hit::LimitChanged, node);
        let which = usize::try_from(self.chance.below(2)).unwrap();
        let budget = BUDGETS[which];
        let before = self.setup.limits[which];
        let limit = before / 2 + self.chance.below(before + 1);
        self.limits[which] = limit;
        self.server.set_limit(budget, Some(Amount(limit)));
        self.oracle.limit(|counter| counter.budget == budget, limit);
        self.hostile(0);
    }

    /// An operator reclaims the unspent amount of a node that has not responded for a long time. Amounts that it
    /// reserved, or spent without reporting, may be spent again.
    fn reclaim(&mut self) {
        let open: Vec<_> = self.server.leases().filter(|lent| !lent.closed).collect();
        if open.is_empty() {
            return;
        }
        let lent = *self.chance.pick(&open);
        let at = self.server_wall();
        let lease = LeaseId { counter: lent.counter, node: lent.node, incarnation: lent.incarnation };
        let Some(Amount(unspent)) = self.server.reclaim(lease, at) else { return };
        let node = self.nodes.iter().position(|node| node.id == lent.node).unwrap();
        self.hit(Hit::Reclaimed, node);
        self.hostile(0);
        let limit = self.limit(lent.counter.budget);
        let used = self.used_of(node, &lent);
        let beyond = if self.jumped { unspent } else { used.saturating_sub(lent.spent.0) };
        self.oracle.counter(lent.counter, limit).beyond += beyond;
    }

    /// Returns the true used amount of a lease's incarnation.
    fn used_of(&self, node: usize, lent: &meter::lease::server::LeaseSummary) -> u64 {
        let node = &self.nodes[node];
        let spent = node.folder.spent.get(&(lent.counter, lent.incarnation)).copied().unwrap_or(0);
        let parts = node.folder.open.values().flatten().filter(|(counter, _)| *counter == lent.counter);
        let open: u64 =
            if node.folder.incarnation == lent.incarnation { parts.map(|(_, amount)| amount).sum() } else { 0 };
        let reserved = node.process.as_ref().filter(|process| process.incarnation == lent.incarnation);
        let reserved = reserved.map_or(0, |process| process.reserved(lent.counter));
        spent + open + reserved
    }
}

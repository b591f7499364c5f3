//! Messages between nodes and server, with the checks at their delivery.

use access::Amount;
use meter::lease::server::LeaseSummary;
use meter::lease::{CounterId, Tick, TickReply};

use super::{Event, World};
use crate::coverage::Hit;
use crate::node::Node;
use crate::oracle::{Checked, Fault};

impl World {
    /// Sends an extra tick if one is urgent.
    pub(crate) fn hurry(&mut self, node: usize) {
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.client.is_urgent() && !process.extra_tick_sent {
            process.extra_tick_sent = true;
            let incarnation = process.incarnation;
            self.after(1, 2_000, Event::Tick { node, incarnation, regular: false });
        }
    }

    pub(crate) fn tick(&mut self, node: usize, incarnation: u64, regular: bool) -> Checked {
        let now = self.nodes[node].mono(self.now_us);
        let wall = self.nodes[node].wall(self.now_us, self.wall());
        let closing = self.closing;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.incarnation == incarnation)
        else {
            return Ok(());
        };
        process.extra_tick_sent &= regular;
        let mut verdicts = process.client.review(now);
        verdicts.extend(process.client.end((!closing).then_some(wall)));
        let tick = process.client.tick(now);
        let next_us = u64::try_from(process.client.next_tick(now).as_micros()).unwrap();
        if !process.client.is_empty() {
            self.post(node, Event::ToServer(node, tick));
        }
        if regular {
            self.after(next_us, next_us, Event::Tick { node, incarnation, regular });
        }
        verdicts.into_iter().try_for_each(|verdict| self.decide(node, verdict))
    }

    /// Hands a message to the network.
    pub(crate) fn post(&mut self, node: usize, event: Event) {
        let requests = matches!(event, Event::ToServer(..));
        let [lost, late, duplicated] = if requests {
            [Hit::RequestLost, Hit::RequestLate, Hit::RequestDuplicated]
        } else {
            [Hit::ReplyLost, Hit::ReplyLate, Hit::ReplyDuplicated]
        };
        let ttl_us = self.ttl_us();
        if self.chance.per_mille(self.setup.duplicated) && !self.closing {
            self.hit(duplicated, node);
            let late_us = if self.chance.per_mille(500) { 3_000 } else { ttl_us * 2 };
            self.hostile(late_us);
            self.after(100, late_us, event.clone());
        }
        if self.chance.per_mille(self.setup.lost) && !self.closing {
            self.hit(lost, node);
            self.hostile(0);
            return;
        }
        let slow = self.chance.per_mille(self.setup.late) && !self.closing;
        if slow {
            self.hit(late, node);
            self.hostile(ttl_us * 2);
        }
        self.after(100, if slow { ttl_us * 2 } else { self.setup.latency_us }, event);
    }

    pub(crate) fn lend(&mut self, node: usize, tick: Tick) -> Checked {
        if self.now_us < self.paused_until_us {
            let wait = self.paused_until_us - self.now_us;
            self.after(wait, wait + 1_000, Event::ToServer(node, tick));
            return Ok(());
        }
        let before: Vec<(CounterId, u64)> =
            tick.requests.iter().map(|request| (request.counter, self.lent(request.counter))).collect();
        let answer = self.server.take(&tick, self.server_wall());
        for (counter, before) in before {
            let after = self.lent(counter);
            let limit = self.limit(counter.budget);
            let beyond = self.oracle.counter(counter, limit).beyond;
            if after > limit.max(before) && beyond == 0 && !self.restored {
                return Err(Fault(format!("lent {after} of {limit} in {counter:?}, {before} before")));
            }
            self.knows(node, counter)?;
            let request = tick.requests.iter().find(|request| request.counter == counter).unwrap();
            // A single grant is a share of the amount left, unless a request needs more.
            let share = (limit.saturating_sub(before.saturating_sub(request.used.0)) / 4).max(request.queued.0);
            if after.saturating_sub(before) > share && beyond == 0 && !self.restored {
                return Err(Fault(format!("lent {} at once, of {limit}, for {request:?}", after - before)));
            }
        }
        if let TickReply::Accepted(response) = &answer {
            for grant in response.grants.iter().filter(|grant| grant.drained > 0) {
                let unusable = self.unusable(grant.counter);
                self.oracle.make_unusable(grant.counter, node, &unusable);
            }
        }
        self.post(node, Event::ToNode(node, tick.incarnation, answer));
        Ok(())
    }

    /// Returns the amounts that the server has recorded as granted and spent.
    pub(crate) fn lent(&self, counter: CounterId) -> u64 {
        let (granted, spent) = self.server.granted_and_spent(counter);
        granted.0 + spent.0
    }

    /// Checks that the server has recorded the amount that a client may use now as granted.
    pub(crate) fn knows(&self, node: usize, counter: CounterId) -> Checked {
        let at = &self.nodes[node];
        let Some(process) = &at.process else { return Ok(()) };
        let found = process.meter.counter(counter.budget).filter(|found| found.period() == counter.period);
        let lease = |lent: &LeaseSummary| {
            lent.node == at.id && lent.incarnation == process.incarnation && lent.counter == counter
        };
        let granted = self.server.leases().find(lease).map_or(Amount::ZERO, |lent| lent.granted);
        match found {
            Some(counter)
                if counter.deadline() > at.mono(self.now_us)
                    && counter.allowance() > granted
                    && !self.restored
                    && !self.jumped =>
            {
                Err(Fault(format!("{:?} may be used, but the server has recorded {granted:?}", counter.allowance())))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn receive(&mut self, node: usize, incarnation: u64, answer: &TickReply) -> Checked {
        let now = self.nodes[node].mono(self.now_us);
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.incarnation == incarnation)
        else {
            return Ok(());
        };
        let mut verdicts = process.client.review(now);
        verdicts.extend(process.client.receive(answer, now));
        verdicts.into_iter().try_for_each(|verdict| self.decide(node, verdict))?;
        self.hurry(node);
        Ok(())
    }

    /// Returns the amount of each node that it can neither use nor return now.
    pub(crate) fn unusable(&self, counter: CounterId) -> Vec<u64> {
        let wall = self.server_wall().0;
        let of = |node: &Node| {
            let lost = |lent: &LeaseSummary| {
                let process = node.process.as_ref().filter(|process| process.incarnation == lent.incarnation);
                let late = || {
                    let counter = process.and_then(|process| process.meter.counter(counter.budget));
                    counter.is_none_or(|found| {
                        found.period() != lent.counter.period || found.deadline() <= node.mono(self.now_us)
                    })
                };
                lent.node == node.id
                    && !lent.closed
                    && (process.is_none()
                        || node.frozen
                        || late()
                        || wall.saturating_sub(lent.heard_at.0) > self.ttl_us())
            };
            let leases: Vec<_> =
                self.server.leases().filter(|lent| lent.node == node.id && lent.counter == counter).collect();
            if leases.iter().any(lost) {
                leases.iter().map(|lent| if lent.closed { lent.spent.0 } else { lent.granted.0 }).sum()
            } else {
                0
            }
        };
        self.nodes.iter().map(of).collect()
    }
}

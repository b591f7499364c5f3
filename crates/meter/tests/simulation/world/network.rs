//! What nodes and lender say to each other, and what is true when they do.

use meter::lease::lender::Lent;
use meter::lease::{Answer, CellId, Tick};

use super::{Event, World};
use crate::coverage::Hit;
use crate::node::Node;
use crate::oracle::{Checked, Fault};

impl World {
    /// A tick out of turn, where there is something to say at once.
    pub(crate) fn hurry(&mut self, node: usize) {
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.holder.is_urgent() && !process.hurries {
            process.hurries = true;
            let incarnation = process.incarnation;
            self.after(1, 2_000, Event::Tick { node, incarnation, regular: false });
        }
    }

    pub(crate) fn tick(&mut self, node: usize, incarnation: u64, regular: bool) -> Checked {
        let (now, wall) = (self.nodes[node].mono(self.now_us), self.nodes[node].wall(self.now_us, self.wall()));
        let closing = self.closing;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.incarnation == incarnation)
        else {
            return Ok(());
        };
        process.hurries &= regular;
        let mut verdicts = process.holder.review(now);
        verdicts.extend(process.holder.end((!closing).then_some(wall)));
        let tick = process.holder.tick(now);
        let next_us = u64::try_from(process.holder.next_tick(now).as_micros()).unwrap();
        if !process.holder.is_empty() {
            self.post(node, Event::ToLender(node, tick));
        }
        if regular {
            self.after(next_us, next_us, Event::Tick { node, incarnation, regular });
        }
        verdicts.into_iter().try_for_each(|verdict| self.judged(node, verdict))
    }

    /// Hands a message to the network.
    pub(crate) fn post(&mut self, node: usize, event: Event) {
        let asks = matches!(event, Event::ToLender(..));
        let [lost, late, doubled] = if asks {
            [Hit::AskLost, Hit::AskLate, Hit::AskDoubled]
        } else {
            [Hit::AnswerLost, Hit::AnswerLate, Hit::AnswerDoubled]
        };
        let ttl_us = self.ttl_us();
        if self.chance.per_mille(self.setup.doubled) && !self.closing {
            self.hit(doubled, node);
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
            self.after(wait, wait + 1_000, Event::ToLender(node, tick));
            return Ok(());
        }
        let before: Vec<(CellId, u64)> = tick.asks.iter().map(|ask| (ask.cell, self.lent(ask.cell))).collect();
        let answer = self.lender.take(&tick, self.lender_wall());
        for (cell, before) in before {
            let (after, limit) = (self.lent(cell), self.limit(cell.budget));
            let beyond = self.oracle.cell(cell, limit).beyond;
            if after > limit.max(before) && beyond == 0 && !self.restored {
                return Err(Fault(format!("lent {after} of {limit} in {cell:?}, {before} before")));
            }
            self.knows(node, cell)?;
            let ask = tick.asks.iter().find(|ask| ask.cell == cell).unwrap();
            // What is lent at once is a share of what was left, unless one request needs more.
            let share = (limit.saturating_sub(before.saturating_sub(ask.used)) / 4).max(ask.queued);
            if after.saturating_sub(before) > share && beyond == 0 && !self.restored {
                return Err(Fault(format!("lent {} at once, of {limit}, for {ask:?}", after - before)));
            }
        }
        if let Answer::Heard(heard) = &answer {
            for grant in heard.grants.iter().filter(|grant| grant.drained > 0) {
                let stranded = self.stranded(grant.cell);
                self.oracle.strands(grant.cell, node, &stranded);
            }
        }
        self.post(node, Event::ToNode(node, tick.incarnation, answer));
        Ok(())
    }

    /// What the lender believes to be granted and spent.
    pub(crate) fn lent(&self, cell: CellId) -> u64 {
        let (granted, spent) = self.lender.taken(cell);
        granted + spent
    }

    /// What a holder may use now, the lender believes granted.
    pub(crate) fn knows(&self, node: usize, cell: CellId) -> Checked {
        let at = &self.nodes[node];
        let Some(process) = &at.process else { return Ok(()) };
        let found = process.meter.cell(cell.budget).filter(|found| found.period() == cell.period);
        let lease = |lent: &Lent| lent.node == at.id && lent.incarnation == process.incarnation && lent.cell == cell;
        let granted = self.lender.lent().find(lease).map_or(0, |lent| lent.granted);
        match found {
            Some(cell)
                if cell.deadline() > at.mono(self.now_us)
                    && cell.allowance() > granted
                    && !self.restored
                    && !self.jumped =>
            {
                Err(Fault(format!("{} may be used, and {granted} is known", cell.allowance())))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn hear(&mut self, node: usize, incarnation: u64, answer: &Answer) -> Checked {
        let now = self.nodes[node].mono(self.now_us);
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.incarnation == incarnation)
        else {
            return Ok(());
        };
        let mut verdicts = process.holder.review(now);
        verdicts.extend(process.holder.heard(answer, now));
        verdicts.into_iter().try_for_each(|verdict| self.judged(node, verdict))?;
        self.hurry(node);
        Ok(())
    }

    /// What each node keeps from the others because it cannot use or return it now.
    pub(crate) fn stranded(&self, cell: CellId) -> Vec<u64> {
        let wall = self.lender_wall().0;
        let of = |node: &Node| {
            let lost = |lent: &Lent| {
                let process = node.process.as_ref().filter(|process| process.incarnation == lent.incarnation);
                let late = || {
                    let cell = process.and_then(|process| process.meter.cell(cell.budget));
                    cell.is_none_or(|found| {
                        found.period() != lent.cell.period || found.deadline() <= node.mono(self.now_us)
                    })
                };
                lent.node == node.id
                    && !lent.closed
                    && (process.is_none()
                        || node.frozen
                        || late()
                        || wall.saturating_sub(lent.heard_at.0) > self.ttl_us())
            };
            let leases: Vec<_> = self.lender.lent().filter(|lent| lent.node == node.id && lent.cell == cell).collect();
            if leases.iter().any(lost) {
                leases.iter().map(|lent| if lent.closed { lent.spent } else { lent.granted }).sum()
            } else {
                0
            }
        };
        self.nodes.iter().map(of).collect()
    }
}

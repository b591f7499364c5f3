//! The life of simulated requests.

use access::{Amount, Credits, NanoUsd};
use meter::admission::{AdmissionRefusal, LeaseShortfall};
use meter::budgets::budget::Charge;
use meter::budgets::counter::RefusalCause;
use meter::lease::{SharedCounter, Verdict, WaitDecision, Waiter};
use meter::reservation::Reservation;

use super::{BUDGETS, Event, World};
use crate::broken_rules::BrokenRule;
use crate::node::{Node, Request, Stage, parts};
use crate::oracle::{Checked, Fault, LimitedCounter, Settlement};

impl World {
    pub(crate) fn arrive(&mut self, node: usize) -> Checked {
        if self.closing {
            return Ok(());
        }
        self.after(1, self.setup.arrival_us * 2, Event::Arrive(node));
        let now = self.nodes[node].mono(self.now_us);
        let came_us = self.now_us;
        let credits = if self.setup.orderly { 1 } else { self.chance.within(1, 3) };
        let money = NanoUsd(self.chance.within(1, 10).cast_signed());
        let cost = Charge { credits: Credits(credits), ..Charge::money(money) };
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let id = self.next;
        self.next += 1;
        let bound = Charge { credits: cost.credits, ..Charge::money(NanoUsd(money.0 * 4)) };
        process.requests.insert(id, Request { bound, cost, since: now, came_us, stage: Stage::Waiting });
        self.admit(node, id)
    }

    pub(crate) fn admit(&mut self, node: usize, id: u64) -> Checked {
        let at = self.nodes[node].wall(self.now_us, self.wall());
        let now = self.nodes[node].mono(self.now_us);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        // A request that waits for two counters may get two decisions.
        let waits = |request: &&Request| matches!(request.stage, Stage::Waiting);
        let Some(request) = process.requests.get(&id).filter(waits) else { return Ok(()) };
        let bound = request.bound;
        let since = request.since;
        match process.meter.admit(&process.request(bound, at, now)) {
            Ok(reservation) => self.admitted(node, id, reservation),
            Err(AdmissionRefusal::Budget(exceeded)) if exceeded.by == RefusalCause::Lease => {
                let shortfalls = process.request(bound, at, now).shortfalls();
                for LeaseShortfall { id: counter_id, counter, amount } in shortfalls {
                    let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
                    let verdict = process.client.wait(
                        SharedCounter { id: counter_id, counter: &counter },
                        Waiter { id, amount, since },
                        now,
                    );
                    let limit = self.limit(counter_id.budget);
                    self.oracle.watch(id, node, LimitedCounter { counter: counter_id, limit });
                    if let Some(verdict) = verdict {
                        let lost = Amount::ZERO;
                        return self.decide(node, WaitDecision { waiter: id, counter: counter_id, verdict, lost });
                    }
                }
                self.hurry(node);
                Ok(())
            }
            Err(refused) => Err(Fault(format!("unexpected refusal: {refused:?}"))),
        }
    }

    pub(crate) fn admitted(&mut self, node: usize, id: u64, reservation: Reservation) -> Checked {
        self.oracle.forget(id);
        self.coverage.admitted += 1;
        let server_wall = self.server_wall().0;
        for (counter, amount) in parts(reservation.parts()) {
            // Credits of the key have no limit and are not shared.
            if BUDGETS.contains(&counter.budget) {
                let limit = self.limit(counter.budget);
                self.oracle.reserves(LimitedCounter { counter, limit }, node, amount)?;
                if !self.jumped && counter.period.first().start().0 > server_wall + 300_000_000 + self.ttl_us() {
                    return Err(Fault(format!("{counter:?} is lent before it begins")));
                }
            }
        }
        let process = self.nodes[node].process.as_mut().unwrap();
        process.client.forget(id);
        process.requests.get_mut(&id).unwrap().stage = Stage::Reserved(reservation);
        let incarnation = process.incarnation;
        self.after(1, self.setup.arrival_us, Event::Send(node, incarnation, id));
        Ok(())
    }

    pub(crate) fn send(&mut self, node: usize, incarnation: u64, id: u64) -> Checked {
        let gives_up = self.chance.per_mille(150) && !self.setup.orderly;
        let hangs = self.chance.per_mille(30) && !self.setup.orderly;
        let rules = self.rules;
        let at = self.wall();
        let Node { process: Some(process), folder, .. } = &mut self.nodes[node] else { return Ok(()) };
        if process.incarnation != incarnation {
            return Ok(());
        }
        let Some(mut request) = process.requests.remove(&id) else { return Ok(()) };
        let Stage::Reserved(reservation) = request.stage else { return Ok(()) };
        let held = parts(reservation.parts());
        if gives_up {
            drop(reservation);
            for (counter, held) in held {
                self.oracle.settles(counter, node, Settlement { reserved: held, spent: 0 });
            }
            return Ok(());
        }
        if !rules.is(BrokenRule::RecordsTooLate) {
            folder.open(id, held);
        }
        request.stage = Stage::Sent(reservation.commit(at));
        process.requests.insert(id, request);
        let lasts_us = if hangs { self.setup.lasts_us * 50 } else { self.setup.lasts_us };
        self.after(1, lasts_us * 2, Event::Done(node, incarnation, id));
        Ok(())
    }

    pub(crate) fn done(&mut self, node: usize, incarnation: u64, id: u64) -> Checked {
        let interrupted = self.chance.per_mille(50) && !self.setup.orderly;
        let Node { process: Some(process), folder, .. } = &mut self.nodes[node] else { return Ok(()) };
        if process.incarnation != incarnation {
            return Ok(());
        }
        let Some(request) = process.requests.remove(&id) else { return Ok(()) };
        let Stage::Sent(committed) = request.stage else { return Ok(()) };
        let held = parts(committed.parts());
        let actual = if interrupted { request.bound } else { request.cost };
        let spent: Vec<_> =
            held.iter().map(|(counter, _)| (*counter, actual.amount_of(counter.budget.measure).0)).collect();
        folder.close(id, incarnation, &spent);
        if interrupted {
            drop(committed);
        } else {
            committed.settle(&request.cost);
        }
        for ((counter, held), (_, spent)) in held.into_iter().zip(spent) {
            self.oracle.settles(counter, node, Settlement { reserved: held, spent });
        }
        Ok(())
    }

    pub(crate) fn decide(&mut self, node: usize, decision: WaitDecision) -> Checked {
        let WaitDecision { waiter: id, counter, verdict, .. } = decision;
        if verdict == Verdict::Retry {
            return self.admit(node, id);
        }
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        process.client.forget(id);
        let waits = |request: &mut Request| matches!(request.stage, Stage::Waiting);
        if !process.requests.get_mut(&id).is_some_and(waits) {
            return Ok(());
        }
        let Some(request) = process.requests.remove(&id) else { return Ok(()) };
        let limit = self.limit(counter.budget);
        let spent = self.oracle.counter(counter, limit).spent;
        self.last_refusal.insert(counter, (spent, limit));
        if verdict == Verdict::UsedUp {
            self.coverage.used_up += 1;
            let reported = self.oracle.refuses(id, counter, request.bound.amount_of(counter.budget.measure).0);
            // A restored server may record leases as open that are closed.
            return if self.restored { Ok(()) } else { reported };
        }
        self.oracle.forget(id);
        self.coverage.withheld += 1;
        let calm_us = if self.hostile_until_us == 0 { 0 } else { self.hostile_until_us + 4 * self.ttl_us() };
        if request.came_us >= calm_us && !self.jumped && !self.restored && !self.closing {
            return Err(Fault(format!("withheld without a fault: {counter:?}")));
        }
        Ok(())
    }
}

//! A lease as its holder knows it: what it has to say, and who waits for more of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use access::Mono;

use super::super::rules::Rules;
use super::super::{Ask, CellId, Grant};
use super::{Judgement, Verdict, Waiter};
use crate::cell::Cell;

/// More is asked for when less is held than what is used in so many ticks,
const TICKS_AT_LEAST: u64 = 4;
/// and then so much: a lease that is used all the time says so now and then, not in each tick.
const TICKS_AHEAD: u64 = 32;
/// An ask is repeated after a tick, the next after two, and so on, up to so many doublings.
const PATIENCE_DOUBLES: u32 = 3;
/// A lease is asked for anew when this part of its time is over.
const RENEW_AFTER: u32 = 3;

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) cell: Arc<Cell>,
    pub(super) seq: u64,
    pub(super) sent_at: Mono,
    pub(super) answered: bool,
    /// Asks since the last answer.
    pub(super) unheard: u32,
    pub(super) term: u64,
    /// What nobody had been granted, when it was heard last.
    pub(super) left: u64,
    /// The latest recall that was heard of, and the one that was answered.
    pub(super) recall: u64,
    pub(super) ceded: u64,
    /// Until when it is likely that somebody elsewhere still waits.
    pub(super) pressed_until: Mono,
    /// What was used at the last tick, and what a tick takes lately.
    pub(super) used: u64,
    pub(super) pace: u64,
    pub(super) busy_at: Mono,
    /// No more is taken of it: its period is over, or the node ends.
    pub(super) over: bool,
    pub(super) waiting: VecDeque<Waiting>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) waiter: Waiter,
    /// The first ask that was sent since it came; 0 before.
    pub(super) asked: u64,
    /// The first recall that began since then; 0 before.
    pub(super) round: u64,
}

impl Lease {
    pub(super) fn new(cell: Arc<Cell>, now: Mono) -> Self {
        Self {
            used: cell.used(),
            cell,
            seq: 0,
            sent_at: Mono(0),
            answered: true,
            unheard: 0,
            term: 0,
            left: 0,
            recall: 0,
            ceded: 0,
            pressed_until: Mono(0),
            pace: 0,
            busy_at: now,
            over: false,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn measure_pace(&mut self, now: Mono) {
        let used = self.cell.used();
        let taken = used.saturating_sub(self.used);
        self.used = used;
        self.pace = taken.max(self.pace / 2);
        if taken > 0 || !self.waiting.is_empty() {
            self.busy_at = now;
        }
    }

    /// Nothing more is taken of it, and nobody waits for it.
    pub(super) fn end(&mut self, cell: CellId, verdict: Verdict) -> Vec<Judgement> {
        self.over = true;
        self.cell.seal();
        let judged = |waiting: Waiting| Judgement { waiter: waiting.waiter.id, cell, verdict };
        self.waiting.drain(..).map(judged).collect()
    }

    /// Who waits and may try again: nobody overtakes, or a large one would never have its turn.
    pub(super) fn wake(&mut self, cell: CellId, now: Mono) -> Vec<Judgement> {
        let mut free = if now < self.cell.deadline() { self.cell.free() } else { 0 };
        let mut woken = Vec::new();
        while let Some(first) = self.waiting.front()
            && first.waiter.amount <= free
        {
            free -= first.waiter.amount;
            woken.push(Judgement { waiter: first.waiter.id, cell, verdict: Verdict::Retry });
            self.waiting.pop_front();
        }
        woken
    }

    /// Whether somebody waits for it, here or elsewhere.
    pub(super) fn is_pressed(&self, now: Mono) -> bool {
        !self.waiting.is_empty() || self.recall > self.ceded || now < self.pressed_until
    }

    /// What is used here in so many ticks, and what those that wait need.
    pub(super) fn needed_in(&self, ticks: u64) -> u64 {
        self.queued().saturating_add(self.pace.saturating_mul(ticks))
    }

    /// What the first of those that wait need together, as many as fitted into what was left.
    fn run(&self, free: u64) -> u64 {
        let fits = free.saturating_add(self.left);
        let mut run = 0_u64;
        for waiting in &self.waiting {
            match run.checked_add(waiting.waiter.amount) {
                Some(longer) if longer <= fits => run = longer,
                _ => break,
            }
        }
        run
    }

    /// What all that wait need.
    fn queued(&self) -> u64 {
        self.waiting.iter().fold(0, |sum, waiting| sum.saturating_add(waiting.waiter.amount))
    }
}

/// What a lease has to say; nothing where it has said so, or needs nothing.
pub(super) fn ask<R: Rules>(
    id: CellId,
    lease: &mut Lease,
    (now, ttl, tick): (Mono, Duration, Duration),
    rules: &R,
) -> Option<Ask> {
    lease.measure_pace(now);
    // A new ask makes the answer to the last one worthless: who asks faster than it is answered never hears.
    let patience = tick.saturating_mul(1 << lease.unheard.saturating_sub(1).min(PATIENCE_DOUBLES));
    if !lease.answered && now.since(lease.sent_at) < patience {
        return None;
    }
    let allowance = lease.cell.allowance();
    let recalled = lease.recall > lease.ceded && rules.hands_back();
    let idle = !ttl.is_zero() && now.since(lease.busy_at) >= ttl;
    let to = if recalled || lease.over || idle { 0 } else { allowance };
    let gives_back = to.max(lease.cell.used()) < allowance;
    let hungry = !lease.over && lease.cell.free() < lease.needed_in(TICKS_AT_LEAST);
    // What is all spent is not renewed; what is reserved may come free.
    let renew = !lease.over && allowance > lease.cell.spent() && now.since(lease.sent_at) >= ttl / RENEW_AFTER;
    if !(hungry || renew || gives_back || lease.recall > lease.ceded || !lease.answered) {
        return None;
    }
    let ceiling = if rules.lowers_first() { lease.cell.lower(to) } else { to.max(lease.cell.used()) };
    let used = lease.cell.used().min(ceiling);
    let free = ceiling - used;
    lease.ceded = lease.recall;
    lease.seq += 1;
    (lease.sent_at, lease.answered, lease.unheard) = (now, false, lease.unheard.saturating_add(1));
    for waiting in lease.waiting.iter_mut().filter(|waiting| waiting.asked == 0) {
        waiting.asked = lease.seq;
    }
    let first = lease.waiting.front().map_or(0, |waiting| waiting.waiter.amount);
    let (run, queued) = (lease.run(free), lease.queued());
    Some(Ask {
        cell: id,
        term: lease.term,
        seq: lease.seq,
        ceiling,
        used,
        spent: lease.cell.spent().min(used),
        want: if lease.over || idle { 0 } else { lease.needed_in(TICKS_AHEAD).saturating_sub(free) },
        need: if lease.over { 0 } else { first.saturating_sub(free) },
        run: if lease.over { 0 } else { run.saturating_sub(free) },
        queued: if lease.over { 0 } else { queued.saturating_sub(free) },
        ceded: lease.ceded,
        limit: lease.cell.limit(),
    })
}

/// Who of the waiting is refused.
pub(super) fn refuse<R: Rules>(lease: &mut Lease, grant: &Grant, rules: &R) -> Vec<Judgement> {
    let mut verdicts = Vec::new();
    let all_there_is = lease.cell.free().saturating_add(grant.left);
    for waiting in &mut lease.waiting {
        if waiting.round == 0 && waiting.asked != 0 {
            waiting.round = grant.round;
        }
    }
    lease.waiting.retain(|waiting| {
        let Waiter { id, amount, .. } = waiting.waiter;
        let refused = amount > all_there_is && rules.is_refused(waiting.round, grant.drained);
        if refused {
            verdicts.push(Judgement { waiter: id, cell: grant.cell, verdict: Verdict::UsedUp });
        }
        !refused
    });
    verdicts
}

//! What a node holds of shared budgets: it asks for what is needed soon, hands back what is not, and keeps the requests
//! that wait for more.

mod lease;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use access::{Mono, Timestamp};

use super::rules::{Rules, Sound, micros, nanos};
use super::{Answer, CellId, Close, Heard, NodeId, Tick};
use crate::cell::Cell;
use lease::{Lease, Waiting, ask, refuse};

/// Requests that wait for one lease; one more is refused at once.
const WAITING_MAX: usize = 1_024;
/// Ticks are so many times as frequent while somebody waits, and for so many ticks after a recall.
const HURRIED: u32 = 4;
const PRESSED_TICKS: u32 = 10;

/// How often a holder speaks, and how long a request waits.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two ticks while nobody waits.
    pub tick: Duration,
    /// How long a request waits for more at most.
    pub recall_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { tick: Duration::from_millis(100), recall_wait: Duration::from_millis(250) }
    }
}

/// The leases of one incarnation of a node. Its owner calls [`Holder::tick`] when [`Holder::next_tick`] says, and at once when
/// [`Holder::is_urgent`] does.
#[derive(Debug)]
pub struct Holder<R = Sound> {
    node: NodeId,
    incarnation: u64,
    timing: Timing,
    leases: BTreeMap<CellId, Lease>,
    /// Those that somebody waits for, here or elsewhere: of many leases these are few.
    pressed: BTreeSet<CellId>,
    /// When the first period of them is over.
    ends_at: Option<Timestamp>,
    /// What earlier incarnations have spent of leases that are not closed yet.
    past: BTreeMap<(CellId, u64), u64>,
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
pub struct Judgement {
    /// Its number.
    pub waiter: u64,
    /// The cell.
    pub cell: CellId,
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

impl Holder<Sound> {
    /// The holder of a node that has just begun.
    #[must_use]
    pub const fn new((node, incarnation): (NodeId, u64), timing: Timing) -> Self {
        Self::under((node, incarnation), timing, Sound)
    }
}

impl<R: Rules> Holder<R> {
    /// [`Holder::new`] under other rules, for simulations.
    #[must_use]
    pub const fn under((node, incarnation): (NodeId, u64), timing: Timing, rules: R) -> Self {
        Self {
            node,
            incarnation,
            timing,
            leases: BTreeMap::new(),
            pressed: BTreeSet::new(),
            ends_at: None,
            past: BTreeMap::new(),
            clock: None,
            ttl: Duration::ZERO,
            fenced: false,
            rules,
        }
    }

    /// What an earlier incarnation has spent of a lease, all of it: the lease is closed with that.
    pub fn close_past(&mut self, cell: CellId, incarnation: u64, spent: u64) {
        self.past.insert((cell, incarnation), spent);
    }

    /// The lender's wall clock, by which periods begin; `None` before it was heard.
    #[must_use]
    pub fn clock(&self, now: Mono) -> Option<Timestamp> {
        self.clock.map(|(at, heard_at)| Timestamp(at.0.saturating_add(micros(now.since(heard_at)))))
    }

    /// Whether nothing is lent to this incarnation or an earlier one any more, as far as it knows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.past.is_empty()
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
        self.pressed().any(|lease| lease.recall > lease.ceded)
    }

    /// How long after a tick the next one is due: a quarter as long while anybody waits, here or elsewhere.
    #[must_use]
    pub fn next_tick(&self, now: Mono) -> Duration {
        let pressed = |lease: &Lease| !lease.waiting.is_empty() || now < lease.pressed_until;
        let Timing { tick, .. } = self.timing;
        if self.pressed().any(pressed) { tick / HURRIED } else { tick }
    }

    /// Whether a tick has something to say at once: a request has begun to wait, or a recall is not answered.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.pressed().any(|lease| {
            lease.answered && (lease.recall > lease.ceded || lease.waiting.iter().any(|waiting| waiting.asked == 0))
        })
    }

    /// A request found too little in `cell` and waits for more; one that lacks several waits for all of them. The verdict
    /// comes out of [`Holder::heard`], [`Holder::review`] or [`Holder::end`]; where none can come it is the answer. What is
    /// said of a request that was admitted meanwhile says nothing.
    pub fn wait(&mut self, (id, cell): (CellId, &Arc<Cell>), waiter: Waiter, now: Mono) -> Option<Verdict> {
        if self.fenced || now.since(waiter.since) >= self.timing.recall_wait {
            return Some(Verdict::Withheld);
        }
        let lease = self.leases.entry(id).or_insert_with(|| Lease::new(cell.clone(), now));
        if lease.over || lease.waiting.len() >= WAITING_MAX {
            return Some(Verdict::Withheld);
        }
        if lease.waiting.iter().any(|waiting| waiting.waiter.id == waiter.id) {
            return None;
        }
        lease.waiting.push_back(Waiting { waiter, asked: 0, round: 0 });
        self.pressed.insert(id);
        self.ends_at = Some(self.ends_at.map_or(id.period.end(), |at| at.min(id.period.end())));
        None
    }

    fn pressed(&self) -> impl Iterator<Item = &Lease> {
        self.pressed.iter().filter_map(|id| self.leases.get(id))
    }

    /// Whoever waited was admitted after all, or gives up.
    pub fn forget(&mut self, id: u64) {
        for cell in &self.pressed {
            if let Some(lease) = self.leases.get_mut(cell) {
                lease.waiting.retain(|waiting| waiting.waiter.id != id);
            }
        }
    }

    /// Nothing more is taken of leases whose periods are over at `at`, or of any (`None`: the node ends); each is closed
    /// when nothing of it is reserved.
    pub fn end(&mut self, at: Option<Timestamp>) -> Vec<Judgement> {
        // In the next period there may be enough.
        let verdict = if at.is_some() { Verdict::Retry } else { Verdict::Withheld };
        let mut verdicts = Vec::new();
        if let (Some(at), Some(ends_at)) = (at, self.ends_at)
            && at < ends_at
        {
            return verdicts;
        }
        self.ends_at = None;
        for (id, lease) in self.leases.iter_mut().filter(|(_, lease)| !lease.over) {
            let end = id.period.end();
            if at.is_none_or(|at| end <= at) {
                verdicts.extend(lease.end(*id, verdict));
            } else {
                self.ends_at = Some(self.ends_at.map_or(end, |at| at.min(end)));
            }
        }
        verdicts
    }

    /// All that there is to say at `now`.
    pub fn tick(&mut self, now: Mono) -> Tick {
        let (mut asks, mut closes) = (Vec::new(), Vec::new());
        for ((cell, incarnation), spent) in &self.past {
            closes.push(Close { cell: *cell, incarnation: *incarnation, spent: *spent });
        }
        for (id, lease) in &mut self.leases {
            // In this order: what is spent is never more than what is used, so where both are one nothing was held when the
            // second was read.
            let spent = lease.cell.spent();
            let used = lease.cell.used();
            if lease.over && self.rules.may_close(used, spent) {
                let spent = self.rules.final_spent(spent);
                closes.push(Close { cell: *id, incarnation: self.incarnation, spent });
            } else if !self.fenced {
                asks.extend(ask(*id, lease, (now, self.ttl, self.timing.tick), &self.rules));
            }
        }
        Tick { node: self.node, incarnation: self.incarnation, asks, closes }
    }

    /// Takes the lender's answer; says what becomes of requests that waited.
    pub fn heard(&mut self, answer: &Answer, now: Mono) -> Vec<Judgement> {
        match answer {
            Answer::Fenced => self.fence(),
            Answer::Heard(heard) if heard.incarnation == self.incarnation => self.take(heard, now),
            Answer::Heard(_) => Vec::new(),
        }
    }

    /// Before a tick: requests for which enough has come free here, and those that have waited too long.
    pub fn review(&mut self, now: Mono) -> Vec<Judgement> {
        let mut verdicts = Vec::new();
        self.pressed.retain(|cell| {
            let Some(lease) = self.leases.get_mut(cell) else { return false };
            verdicts.extend(lease.wake(*cell, now));
            lease.waiting.retain(|waiting| {
                let overdue = now.since(waiting.waiter.since) >= self.timing.recall_wait;
                if overdue {
                    verdicts.push(Judgement { waiter: waiting.waiter.id, cell: *cell, verdict: Verdict::Withheld });
                }
                !overdue
            });
            lease.is_pressed(now)
        });
        verdicts
    }

    fn fence(&mut self) -> Vec<Judgement> {
        self.fenced = true;
        let mut verdicts = Vec::new();
        for (id, lease) in &mut self.leases {
            verdicts.extend(lease.end(*id, Verdict::Withheld));
        }
        verdicts
    }

    fn take(&mut self, heard: &Heard, now: Mono) -> Vec<Judgement> {
        // A late answer tells an earlier time: of two, the later clock is nearer.
        if self.clock(now).is_none_or(|clock| clock < heard.at || clock.0 - heard.at.0 > micros(self.ttl)) {
            self.clock = Some((heard.at, now));
        }
        self.ttl = heard.ttl;
        let mut verdicts = Vec::new();
        for recall in &heard.recalls {
            if let Some(lease) = self.leases.get_mut(&recall.cell) {
                lease.recall = lease.recall.max(recall.no);
                lease.pressed_until = Mono(now.0.saturating_add(nanos(self.timing.tick * PRESSED_TICKS)));
                self.pressed.insert(recall.cell);
            }
        }
        for grant in &heard.grants {
            if let Some(lease) = self.leases.get_mut(&grant.cell)
                && self.rules.believes(grant.seq, lease.seq)
            {
                (lease.answered, lease.unheard, lease.term, lease.left) = (true, 0, grant.term, grant.left);
                if !lease.over {
                    let deadline = self.rules.deadline(lease.sent_at, now, heard.ttl);
                    lease.cell.allow(grant.granted, deadline);
                    verdicts.extend(lease.wake(grant.cell, now));
                    verdicts.extend(refuse(lease, grant, &self.rules));
                }
            }
        }
        for (cell, incarnation) in &heard.closed {
            if *incarnation == self.incarnation {
                self.leases.remove(cell);
            } else {
                self.past.remove(&(*cell, *incarnation));
            }
        }
        verdicts
    }
}

#[cfg(test)]
mod tests;

//! What a node holds of shared budgets: it asks for what is needed soon, hands back what is not, and keeps the requests
//! that wait for more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use access::{Mono, Timestamp};

use super::rules::{Rules, Sound, micros, nanos};
use super::{Answer, Ask, CellId, Close, Grant, Heard, NodeId, Tick};
use crate::cell::Cell;

/// Requests that wait for one lease; one more is refused at once.
const WAITING_MAX: usize = 1_024;
/// More is asked for when less is held than what is used in so many ticks,
const TICKS_AT_LEAST: u64 = 4;
/// and then so much: a lease that is used all the time says so now and then, not in each tick.
const TICKS_AHEAD: u64 = 32;
/// Ticks are so many times as frequent while somebody waits, and for so many ticks after a recall.
const HURRIED: u32 = 4;
const PRESSED_TICKS: u32 = 10;
/// An ask is repeated after a tick, the next after two, and so on, up to so many doublings.
const PATIENCE_DOUBLES: u32 = 3;
/// A lease is asked for anew when this part of its time is over.
const RENEW_AFTER: u32 = 3;

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
    /// What earlier incarnations have spent of leases that are not closed yet.
    past: BTreeMap<(CellId, u64), u64>,
    /// The lender's clock when it was heard last, and when that was.
    clock: Option<(Timestamp, Mono)>,
    ttl: Duration,
    fenced: bool,
    rules: R,
}

#[derive(Debug)]
struct Lease {
    cell: Arc<Cell>,
    seq: u64,
    sent_at: Mono,
    answered: bool,
    /// Asks since the last answer.
    unheard: u32,
    term: u64,
    /// What nobody had been granted, when it was heard last.
    left: u64,
    /// The latest recall that was heard of, and the one that was answered.
    recall: u64,
    ceded: u64,
    /// Until when it is likely that somebody elsewhere still waits.
    pressed_until: Mono,
    /// What was used at the last tick, and what a tick takes lately.
    used: u64,
    pace: u64,
    busy_at: Mono,
    /// No more is taken of it: its period is over, or the node ends.
    over: bool,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    waiter: Waiter,
    /// The first ask that was sent since it came; 0 before.
    asked: u64,
    /// The first recall that began since then; 0 before.
    round: u64,
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

impl Lease {
    fn new(cell: Arc<Cell>, now: Mono) -> Self {
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

    fn measure_pace(&mut self, now: Mono) {
        let used = self.cell.used();
        let taken = used.saturating_sub(self.used);
        self.used = used;
        self.pace = taken.max(self.pace / 2);
        if taken > 0 || !self.waiting.is_empty() {
            self.busy_at = now;
        }
    }

    /// Nothing more is taken of it, and nobody waits for it.
    fn end(&mut self, cell: CellId, verdict: Verdict) -> Vec<Judgement> {
        self.over = true;
        self.cell.seal();
        let judged = |waiting: Waiting| Judgement { waiter: waiting.waiter.id, cell, verdict };
        self.waiting.drain(..).map(judged).collect()
    }

    /// Who waits and may try again: nobody overtakes, or a large one would never have its turn.
    fn wake(&mut self, cell: CellId, now: Mono) -> Vec<Judgement> {
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

    /// What is used here in so many ticks, and what those that wait need.
    fn needed_in(&self, ticks: u64) -> u64 {
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
        self.leases.values().any(|lease| lease.recall > lease.ceded)
    }

    /// How long after a tick the next one is due: a quarter as long while anybody waits, here or elsewhere.
    #[must_use]
    pub fn next_tick(&self, now: Mono) -> Duration {
        let pressed = |lease: &Lease| !lease.waiting.is_empty() || now < lease.pressed_until;
        let Timing { tick, .. } = self.timing;
        if self.leases.values().any(pressed) { tick / HURRIED } else { tick }
    }

    /// Whether a tick has something to say at once: a request has begun to wait, or a recall is not answered.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.leases.values().any(|lease| {
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
        None
    }

    /// Whoever waited was admitted after all, or gives up.
    pub fn forget(&mut self, id: u64) {
        for lease in self.leases.values_mut() {
            lease.waiting.retain(|waiting| waiting.waiter.id != id);
        }
    }

    /// Nothing more is taken of leases whose periods are over at `at`, or of any (`None`: the node ends); each is closed
    /// when nothing of it is reserved.
    pub fn end(&mut self, at: Option<Timestamp>) -> Vec<Judgement> {
        // In the next period there may be enough.
        let verdict = if at.is_some() { Verdict::Retry } else { Verdict::Withheld };
        let mut verdicts = Vec::new();
        for (id, lease) in &mut self.leases {
            if !lease.over && at.is_none_or(|at| id.period.end() <= at) {
                verdicts.extend(lease.end(*id, verdict));
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
            let (used, spent) = (lease.cell.used(), lease.cell.spent());
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
        for (cell, lease) in &mut self.leases {
            verdicts.extend(lease.wake(*cell, now));
            lease.waiting.retain(|waiting| {
                let overdue = now.since(waiting.waiter.since) >= self.timing.recall_wait;
                if overdue {
                    verdicts.push(Judgement { waiter: waiting.waiter.id, cell: *cell, verdict: Verdict::Withheld });
                }
                !overdue
            });
        }
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

/// What a lease has to say; nothing where it has said so, or needs nothing.
fn ask<R: Rules>(
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
fn refuse<R: Rules>(lease: &mut Lease, grant: &Grant, rules: &R) -> Vec<Judgement> {
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

#[cfg(test)]
mod tests;

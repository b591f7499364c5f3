//! Who lends shared budgets: one book for each budget and period, one loan for each lease.
//!
//! It is the store's transitions without the store: what it answers is what a transaction over the same rows answers.

use std::collections::BTreeMap;
use std::time::Duration;

use access::Timestamp;

use super::rules::{Other, Rules, Sound, micros};
use super::{Answer, Ask, CellId, Close, Grant, Heard, NodeId, Recall, Tick};
use crate::budget::BudgetId;

/// For so long nobody gets more than a request needs, after one found too little.
const PRESSED_FOR: Duration = Duration::from_secs(1);

/// Lends budgets to nodes. A serial authority: a tick is taken whole.
#[derive(Debug, Clone)]
pub struct Lender<R = Sound> {
    ttl: Duration,
    limits: BTreeMap<BudgetId, u64>,
    books: BTreeMap<CellId, Book>,
    nodes: BTreeMap<NodeId, Seen>,
    rules: R,
}

/// One budget in one period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// Spent before anything was lent.
    pub carried: u64,
    /// By node and incarnation.
    pub loans: BTreeMap<(NodeId, u64), Loan>,
    /// The latest recall.
    pub recall: u64,
    /// Until when somebody is pressed, and who.
    pub pressed: Option<(NodeId, Timestamp)>,
}

/// One lease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loan {
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
    pub ceded: u64,
    /// When its holder was heard last.
    pub heard_at: Timestamp,
    /// Whether nothing more is taken of it.
    pub closed: bool,
    /// Whether its holder has said what was spent, all in all.
    pub told: bool,
    /// The recall that its latest ask began; 0 where that got all that waiting requests needed.
    pub round: u64,
    /// The latest recall that it ever began.
    pub recalls: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    incarnation: u64,
    at: Timestamp,
}

/// A lease, as people are shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lent {
    /// Of what.
    pub cell: CellId,
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

impl Lender<Sound> {
    /// A lender whose grants hold for `ttl`.
    #[must_use]
    pub const fn new(ttl: Duration) -> Self {
        Self::under(ttl, Sound)
    }
}

impl<R: Rules> Lender<R> {
    /// [`Lender::new`] under other rules, for simulations.
    #[must_use]
    pub const fn under(ttl: Duration, rules: R) -> Self {
        Self { ttl, limits: BTreeMap::new(), books: BTreeMap::new(), nodes: BTreeMap::new(), rules }
    }

    /// From now on a budget has this limit; `None`: there is none of it, and nothing is lent.
    pub fn set_limit(&mut self, budget: BudgetId, limit: Option<u64>) {
        match limit {
            Some(limit) => self.limits.insert(budget, limit),
            None => self.limits.remove(&budget),
        };
    }

    /// A cell as it was kept elsewhere.
    pub fn import(&mut self, cell: CellId, book: Book) {
        self.books.insert(cell, book);
    }

    /// A cell, to be kept elsewhere.
    #[must_use]
    pub fn book(&self, cell: CellId) -> Option<&Book> {
        self.books.get(&cell)
    }

    /// When a node was heard, and the latest incarnation of it.
    pub fn has_seen(&mut self, node: NodeId, incarnation: u64, at: Timestamp) {
        self.nodes.insert(node, Seen { incarnation, at });
    }

    /// What was spent of a cell before anything of it was lent.
    pub fn carry(&mut self, cell: CellId, spent: u64) {
        self.books.entry(cell).or_default().carried = spent;
    }

    /// A node begins, whose folder knows `earlier` as its latest incarnation (a lender that was restored from an old copy may
    /// not). Answers its incarnation, and the leases of earlier ones that it has to close.
    pub fn join(&mut self, node: NodeId, earlier: u64, at: Timestamp) -> (u64, Vec<(CellId, u64)>) {
        let known = self.nodes.get(&node).map_or(0, |seen| seen.incarnation);
        let incarnation = known.max(earlier).saturating_add(1);
        self.nodes.insert(node, Seen { incarnation, at });
        let mut untold = Vec::new();
        for (cell, book) in &self.books {
            let of_node =
                book.loans.iter().filter(|((whose, of), loan)| *whose == node && *of < incarnation && !loan.told);
            untold.extend(of_node.map(|((_, of), _)| (*cell, *of)));
        }
        (incarnation, untold)
    }

    /// Takes a tick, and answers it.
    pub fn take(&mut self, tick: &Tick, at: Timestamp) -> Answer {
        let seen = self.nodes.entry(tick.node).or_insert(Seen { incarnation: tick.incarnation, at });
        if self.rules.is_fenced(tick.incarnation, seen.incarnation) {
            return Answer::Fenced;
        }
        *seen = Seen { incarnation: tick.incarnation.max(seen.incarnation), at };
        let (mut grants, mut closed) = (Vec::new(), Vec::new());
        for close in &tick.closes {
            self.close(tick.node, close);
            closed.push((close.cell, close.incarnation));
        }
        for ask in &tick.asks {
            grants.extend(self.ask((tick.node, tick.incarnation), ask, at));
        }
        let recalls = self.recalls((tick.node, tick.incarnation));
        Answer::Heard(Heard { incarnation: tick.incarnation, at, ttl: self.ttl, grants, recalls, closed })
    }

    /// Takes what is not spent of a lease from a holder that is past its deadline; answers how much that was, `None` where
    /// there is nothing to take. Should its holder come back, what it has reserved and spent after all counts, and may be
    /// more than the limit.
    pub fn reclaim(&mut self, (cell, node, incarnation): (CellId, NodeId, u64), at: Timestamp) -> Option<u64> {
        let loan = self.books.get_mut(&cell)?.loans.get_mut(&(node, incarnation))?;
        let unspent = loan.granted.saturating_sub(loan.spent);
        if loan.closed || unspent == 0 || !self.rules.may_reclaim(past_deadline(loan, (self.ttl, at))) {
            return None;
        }
        (loan.granted, loan.used, loan.term) = (loan.spent, loan.spent, loan.term.saturating_add(1));
        Some(unspent)
    }

    /// Every lease, open or closed.
    pub fn lent(&self) -> impl Iterator<Item = Lent> {
        self.books.iter().flat_map(|(cell, book)| {
            book.loans.iter().map(|((node, incarnation), loan)| Lent {
                cell: *cell,
                node: *node,
                incarnation: *incarnation,
                granted: loan.granted,
                spent: loan.spent,
                heard_at: loan.heard_at,
                closed: loan.closed,
            })
        })
    }

    /// What is granted to open leases of a cell, and what was spent of closed ones and before.
    #[must_use]
    pub fn taken(&self, cell: CellId) -> (u64, u64) {
        self.books.get(&cell).map_or((0, 0), |book| book.taken(&self.rules))
    }

    /// Forgets cells that were over before `at`; what is still lent of them stays.
    pub fn sweep(&mut self, at: Timestamp) {
        self.books.retain(|cell, book| cell.period.end() > at || book.loans.values().any(|loan| !loan.closed));
    }

    fn close(&mut self, node: NodeId, close: &Close) {
        let book = self.books.entry(close.cell).or_default();
        let loan = book.loans.entry((node, close.incarnation)).or_default();
        loan.spent = self.rules.closes(loan.spent, close.spent);
        (loan.closed, loan.told) = (true, true);
    }

    fn ask(&mut self, (node, incarnation): (NodeId, u64), ask: &Ask, at: Timestamp) -> Option<Grant> {
        let limit = self.limits.get(&ask.cell.budget).copied().unwrap_or(0);
        let lives = micros(self.ttl).saturating_mul(2);
        let live = self.nodes.values().filter(|seen| at.0.saturating_sub(seen.at.0) <= lives).count();
        let live = u64::try_from(live).unwrap_or(u64::MAX);
        let lends = self.rules.is_current(ask.cell.period, at);
        let book = self.books.entry(ask.cell).or_default();
        let loan = book.loans.entry((node, incarnation)).or_default();
        if loan.closed && !self.rules.reopens() {
            return None;
        }
        (loan.closed, loan.told) = (false, false);
        if !self.rules.is_news(ask.seq, loan.seq) {
            let (repeated, granted, round, term) = (ask.seq == loan.seq, loan.granted, loan.round, loan.term);
            let left = book.left(limit, &self.rules);
            let grant = Grant { cell: ask.cell, term, seq: ask.seq, granted, left, round, drained: 0 };
            return repeated.then_some(grant);
        }
        loan.seq = ask.seq;
        loan.granted = self.rules.kept(loan.granted, ask, loan.term);
        (loan.used, loan.spent, loan.ceded) = (ask.used, loan.spent.max(ask.spent), loan.ceded.max(ask.ceded));
        loan.heard_at = at;
        // A lender that was restored from an old copy knows fewer recalls than its holders.
        book.recall = book.recall.max(ask.ceded);
        let pressed = book.pressed.is_some_and(|(who, until)| who != node && at < until);
        let left = book.left(limit, &self.rules);
        let more = if lends { self.rules.more(ask, left, (live, pressed)) } else { 0 };
        if ask.queued > more {
            book.recall = book.recall.saturating_add(u64::from(self.rules.recalls()));
            book.pressed = Some((node, Timestamp(at.0.saturating_add(micros(PRESSED_FOR)))));
        }
        let (round, drained) = if ask.queued > more {
            (book.recall, book.drained((node, incarnation), (self.ttl, at), &self.rules))
        } else {
            (0, 0)
        };
        let loan = book.loans.entry((node, incarnation)).or_default();
        (loan.round, loan.recalls) = (round, loan.recalls.max(round));
        loan.granted = loan.granted.saturating_add(more);
        let (granted, term, left) = (loan.granted, loan.term, left.saturating_sub(more));
        Some(Grant { cell: ask.cell, term, seq: ask.seq, granted, left, round, drained })
    }

    /// What is recalled of this holder's leases.
    fn recalls(&self, of: (NodeId, u64)) -> Vec<Recall> {
        let recalled = self.books.iter().filter_map(|(cell, book)| {
            let (loan, no) = (book.loans.get(&of)?, book.recalled(of));
            (!loan.closed && loan.ceded < no).then_some(Recall { cell: *cell, no })
        });
        recalled.collect()
    }
}

impl Book {
    fn taken<R: Rules>(&self, rules: &R) -> (u64, u64) {
        self.loans.values().fold((0, self.carried), |(granted, spent), loan| {
            if loan.closed && rules.frees_closed() {
                (granted, spent.saturating_add(loan.spent))
            } else {
                (granted.saturating_add(loan.granted), spent)
            }
        })
    }

    fn left<R: Rules>(&self, limit: u64, rules: &R) -> u64 {
        let (granted, spent) = self.taken(rules);
        rules.left(limit, granted, spent)
    }

    /// Up to which recall nobody but `holder` has anything to hand back.
    fn drained<R: Rules>(&self, holder: (NodeId, u64), clock: (Duration, Timestamp), rules: &R) -> u64 {
        let others = self.loans.iter().filter(|(whose, loan)| **whose != holder && !loan.closed);
        let drained = others.map(|(_, loan)| {
            let Loan { ceded, granted, used, .. } = *loan;
            rules.drained(Other { ceded, granted, used, past_deadline: past_deadline(loan, clock) })
        });
        drained.min().unwrap_or(u64::MAX)
    }

    /// The latest recall that somebody else than `holder` began.
    #[must_use]
    pub fn recalled(&self, holder: (NodeId, u64)) -> u64 {
        let others = self.loans.iter().filter(|(whose, _)| **whose != holder);
        others.map(|(_, loan)| loan.recalls).max().unwrap_or(0)
    }
}

/// Whether the holder admits nothing any more, by the lender's clock: its own deadline is earlier.
fn past_deadline(loan: &Loan, (ttl, at): (Duration, Timestamp)) -> bool {
    at.0.saturating_sub(loan.heard_at.0) > micros(ttl)
}

#[cfg(test)]
mod tests;

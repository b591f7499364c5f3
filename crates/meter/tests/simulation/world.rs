//! Nodes, a lease server and a network on one true clock; each node has its own clock.

mod network;
mod requests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use access::{Amount, Day, Timestamp, UserNo};
use meter::budgets::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use meter::lease::{CounterId, LeaseServer, LeaseTiming, NodeId, Tick, TickReply};

use crate::broken_rules::{BrokenRule, RulesExcept};
use crate::coverage::{Coverage, Hit};
use crate::node::{Folder, Node, Process, Stage, parts};
use crate::oracle::{Checked, Fault, Oracle, Settlement};
use crate::prng::Prng;
use crate::setup::Setup;

pub(crate) const BUDGETS: [BudgetId; 2] = [
    BudgetId { scope: BudgetScope::User(UserNo(1)), measure: Measure::Credits, per: LimitPeriod::Day },
    BudgetId { scope: BudgetScope::Global, measure: Measure::Money, per: LimitPeriod::Month },
];
const DAY_US: u64 = 86_400_000_000;

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Arrive(usize),
    Tick { node: usize, incarnation: u64, regular: bool },
    ToServer(usize, Tick),
    ToNode(usize, u64, TickReply),
    Send(usize, u64, u64),
    Done(usize, u64, u64),
    Thaw(usize),
    Restart(usize),
}

impl Event {
    /// Returns the node at which the event happens.
    fn node(&self) -> Option<usize> {
        match self {
            Self::Arrive(node) | Self::ToNode(node, ..) | Self::Send(node, ..) | Self::Done(node, ..) => Some(*node),
            Self::Tick { node, .. } => Some(*node),
            Self::ToServer(..) | Self::Thaw(_) | Self::Restart(_) => None,
        }
    }

    const fn is_message(&self) -> bool {
        matches!(self, Self::ToServer(..) | Self::ToNode(..))
    }
}

pub(crate) struct World {
    pub(crate) chance: Prng,
    pub(crate) setup: Setup,
    pub(crate) rules: RulesExcept,
    pub(crate) now_us: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    next: u64,
    messages: usize,
    pub(crate) nodes: Vec<Node>,
    backlogs: Vec<Vec<Event>>,
    pub(crate) server: LeaseServer<RulesExcept>,
    pub(crate) copy: Option<LeaseServer<RulesExcept>>,
    pub(crate) paused_until_us: u64,
    pub(crate) server_skew: i64,
    pub(crate) limits: [u64; 2],
    pub(crate) oracle: Oracle,
    pub(crate) coverage: Coverage,
    /// The time until which a fault may keep amounts from where they are needed.
    pub(crate) hostile_until_us: u64,
    pub(crate) restored: bool,
    pub(crate) jumped: bool,
    closing: bool,
    /// The spent amount and the limit of a counter when a request was last refused because of it.
    pub(crate) last_refusal: BTreeMap<CounterId, (u64, u64)>,
}

impl World {
    pub(crate) fn new(seed: u64, setup: Setup, rules: RulesExcept) -> Self {
        let mut chance = Prng::new(seed);
        let mut server = LeaseServer::with_rules(setup.ttl, rules);
        for (budget, limit) in BUDGETS.into_iter().zip(setup.limits) {
            server.set_limit(budget, Some(Amount(limit)));
        }
        let node = |at: usize| Node {
            id: NodeId(at as u128 + 1),
            speed: if setup.clocks { chance.within(950, 1_050) } else { 1_000 },
            skew: if setup.clocks { i64::try_from(chance.below(4_000_000)).unwrap() - 2_000_000 } else { 0 },
            frozen: false,
            process: None,
            folder: Folder::default(),
        };
        let nodes: Vec<Node> = (0..setup.nodes).map(node).collect();
        let mut world = Self {
            chance,
            rules,
            now_us: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            messages: 0,
            backlogs: vec![Vec::new(); nodes.len()],
            oracle: Oracle::new(nodes.len()),
            nodes,
            server,
            copy: None,
            paused_until_us: 0,
            server_skew: 0,
            limits: setup.limits,
            coverage: Coverage::default(),
            hostile_until_us: 0,
            restored: false,
            jumped: false,
            closing: false,
            last_refusal: BTreeMap::new(),
            setup,
        };
        for node in 0..world.nodes.len() {
            world.start(node);
            world.after(0, 1_000, Event::Arrive(node));
        }
        world
    }

    /// Returns the true wall-clock time.
    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp(Day(20_010).start().0 + DAY_US - self.setup.before_midnight_us + self.now_us)
    }

    pub(crate) fn server_wall(&self) -> Timestamp {
        Timestamp(self.wall().0.saturating_add_signed(self.server_skew))
    }

    pub(crate) fn limit(&self, budget: BudgetId) -> u64 {
        self.limits[usize::from(budget != BUDGETS[0])]
    }

    pub(crate) fn ttl_us(&self) -> u64 {
        u64::try_from(self.setup.ttl.as_micros()).unwrap()
    }

    pub(crate) fn after(&mut self, from_us: u64, to_us: u64, event: Event) {
        let at = self.now_us + self.chance.within(from_us, to_us);
        self.messages += usize::from(event.is_message());
        self.queue.push(Reverse((at, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    /// Drops the messages in flight to the server.
    pub(crate) fn drop_requests(&mut self) {
        let requests: Vec<u64> =
            self.events.iter().filter(|(_, event)| matches!(event, Event::ToServer(..))).map(|(no, _)| *no).collect();
        for number in &requests {
            self.events.remove(number);
        }
        self.messages -= requests.len();
        self.queue.retain(|Reverse((_, number))| requests.binary_search(number).is_err());
    }

    pub(crate) fn hostile(&mut self, for_us: u64) {
        self.hostile_until_us = self.hostile_until_us.max(self.now_us + for_us);
    }

    pub(crate) fn hit(&mut self, hit: Hit, node: usize) {
        let states = self.nodes[node].states(self.now_us);
        self.coverage.hit(hit, states);
    }

    /// Processes the next event.
    pub(crate) fn step(&mut self) -> Checked {
        let Some(Reverse((at, number))) = self.queue.pop() else { return Ok(()) };
        let before = self.wall().day();
        self.now_us = at;
        self.coverage.steps += 1;
        if self.wall().day() != before {
            for node in 0..self.nodes.len() {
                self.hit(Hit::Midnight, node);
            }
        }
        let event = self.events.remove(&number).unwrap();
        self.messages -= usize::from(event.is_message());
        if let Some(node) = event.node()
            && self.nodes[node].frozen
        {
            self.backlogs[node].push(event);
            return Ok(());
        }
        self.happen(event)
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Arrive(node) => self.arrive(node),
            Event::Tick { node, incarnation, regular } => self.tick(node, incarnation, regular),
            Event::ToServer(node, tick) => self.lend(node, tick),
            Event::ToNode(node, incarnation, answer) => self.receive(node, incarnation, &answer),
            Event::Send(node, incarnation, request) => self.send(node, incarnation, request),
            Event::Done(node, incarnation, request) => self.done(node, incarnation, request),
            Event::Thaw(node) => self.thaw(node),
            Event::Restart(node) => {
                self.start(node);
                Ok(())
            }
        }
    }

    /// Starts a process if the server is available, otherwise later.
    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        if self.now_us < self.paused_until_us {
            let wait = self.paused_until_us - self.now_us;
            self.after(wait, wait + 1_000, Event::Restart(node));
            return;
        }
        let rules = self.rules;
        let wall = self.server_wall();
        let timing = LeaseTiming { tick: ticks(self.setup.tick_us, 1), recall_wait: self.setup.recall_wait };
        let at = &mut self.nodes[node];
        at.folder.recover(rules);
        let earlier = at.folder.incarnation;
        let (incarnation, unreported) = self.server.join(at.id, earlier, wall);
        let incarnation = if rules.is(BrokenRule::TakesAnOldNumber) && earlier > 0 { earlier } else { incarnation };
        at.folder.incarnation = incarnation;
        let mut process = Process::new(at.id, incarnation, timing, rules);
        for (counter, of) in unreported {
            if !rules.is(BrokenRule::LeavesOldLeases) {
                let spent = at.folder.spent.get(&(counter, of)).copied().unwrap_or(0);
                process.client.close_past(counter, of, Amount(spent));
            }
        }
        at.process = Some(process);
        self.after(0, self.setup.tick_us, Event::Tick { node, incarnation, regular: true });
    }

    /// Ends a process between two steps; its memory is lost.
    pub(crate) fn crash(&mut self, node: usize) {
        let Some(process) = self.nodes[node].process.take() else { return };
        for (id, request) in process.requests {
            self.oracle.forget(id);
            match request.stage {
                Stage::Waiting => (),
                Stage::Reserved(reservation) => {
                    for (counter, held) in parts(reservation.parts()) {
                        self.oracle.settles(counter, node, Settlement { reserved: held, spent: 0 });
                    }
                }
                Stage::Sent(committed) => {
                    for (counter, held) in parts(committed.parts()) {
                        self.oracle.settles(counter, node, Settlement { reserved: held, spent: held });
                    }
                }
            }
        }
    }

    fn thaw(&mut self, node: usize) -> Checked {
        self.nodes[node].frozen = false;
        for event in std::mem::take(&mut self.backlogs[node]) {
            self.happen(event)?;
        }
        Ok(())
    }

    /// Resumes all nodes that were frozen or unreachable.
    pub(crate) fn heal(&mut self) -> Checked {
        self.paused_until_us = 0;
        self.hostile(0);
        (0..self.nodes.len()).try_for_each(|node| self.thaw(node))
    }

    /// Ends all faults and all requests; the accounts must then be correct.
    pub(crate) fn close(&mut self) -> Checked {
        self.closing = true;
        self.heal()?;
        self.drain()?;
        for lent in self.server.leases().filter(|lent| !lent.closed && !self.restored) {
            let node = self.nodes.iter().find(|node| node.id == lent.node);
            if node.is_none_or(|node| node.folder.incarnation != lent.incarnation) {
                return Err(Fault(format!("leaked by an ended incarnation: {lent:?}")));
            }
        }
        // The next incarnation closes the leases of earlier ones.
        for node in 0..self.nodes.len() {
            self.crash(node);
            self.start(node);
        }
        self.drain()?;
        for node in &self.nodes {
            if !node.process.as_ref().is_some_and(|process| process.client.is_empty()) {
                return Err(Fault(format!("{:?} still holds leases", node.id)));
            }
        }
        for (counter, truth) in &self.oracle.counters {
            let (granted, Amount(spent)) = self.server.granted_and_spent(*counter);
            if !granted.is_zero() {
                return Err(Fault(format!("leaked: {granted:?} of {counter:?}")));
            }
            if spent != truth.spent && !self.restored {
                return Err(Fault(format!("{spent} of {counter:?} is counted, but {} was spent", truth.spent)));
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Checked {
        let end_us = self.now_us + 40 * self.ttl_us() + 120 * self.setup.lasts_us;
        while self.now_us < end_us {
            self.step()?;
            let at_rest = |node: &Node| {
                node.process.as_ref().is_some_and(|process| process.requests.is_empty() && process.client.is_empty())
            };
            if self.messages == 0 && self.nodes.iter().all(at_rest) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Returns the duration of `ticks` ticks.
pub(crate) fn ticks(tick_us: u64, ticks: u64) -> Duration {
    Duration::from_micros(tick_us * ticks)
}

//! `leases --nodes`: many nodes that lease one quota, in simulated time, with the state machines that Tollgate uses. A node sends
//! its ticks as the lease loop of the crate `cluster` does. The server applies a tick at once. A seed reproduces a run.
//!
//! A request takes its credit for good, so the taken amount never falls: a refusal is too early if some of the quota is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use access::{Amount, Credits, Day, KeyBounds, KeyNo, Mono, Plan, PlanId, Timestamp, UserNo};
use anyhow::ensure;
use meter::budgets::counter::RefusalCause;
use meter::lease::{
    CounterId, LeaseClient, LeaseServer, LeaseTiming, NodeId, SharedCounter, Tick, TickReply, Verdict, WaitDecision,
    Waiter,
};
use meter::{
    AdmissionRefusal, AdmissionRequest, BudgetExceeded, BudgetId, BudgetScope, Caller, Charge, CommittedRequest,
    Limits, Meter, RateSource, Terms,
};

use crate::rounds::per;

const BUDGET: BudgetId = BudgetId::credits_a_day(BudgetScope::Global);
/// The lifetime of a lease.
const TTL: Duration = Duration::from_secs(2);
/// The least time between two ticks of a node, and the time after which it checks whether one is due.
const SOONEST: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(25);
/// The time of a message in one direction, and of a request, in microseconds.
const MESSAGE_MICROS: (u64, u64) = (1_000, 3_000);
const REQUEST_MICROS: (u64, u64) = (1, 200_000);
/// The quota is this percentage of the credits that the load asks for, so that the last requests are refused.
const QUOTA_PERCENT: u64 = 90;
/// A tick costs the server time for each node. This maximum of both together bounds a run to less than a minute.
const WORK_MAX: u64 = 1_500_000_000;
/// The first events happen at this time, and ticks that are due at once are spread over one interval.
const BEGIN_MICROS: u64 = 1_000_000;

/// The load of a simulation.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct SimulatedLoad {
    /// Simulates this number of nodes that share one quota, instead of measuring servers
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) nodes: Option<u32>,
    /// Requests per second of all simulated nodes together, each of one credit
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Seconds of simulated time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    simulated_seconds: u32,
    /// The seed of the times of requests and messages
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What happened in a simulation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SimulatedCounts {
    ticks: u64,
    admitted: u64,
    /// Requests that a lease did not suffice for when they arrived.
    waited: u64,
    used_up: RefusalCount,
    withheld: RefusalCount,
    /// The credits that were taken beyond the quota.
    overspent: u64,
    /// The simulated time and the ticks at the first refusal.
    first_refusal: Option<(u64, u64)>,
    simulated_micros: u64,
    /// Whether the run ended before its time, because of [`WORK_MAX`].
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RefusalCount {
    all: u64,
    /// Those for which enough of the quota was left.
    early: u64,
}

/// A node with its leases, its requests that wait, and the state of its loop.
struct SimulatedNode {
    client: LeaseClient,
    meter: Meter,
    limits: Arc<Limits>,
    waiting: BTreeMap<u64, Mono>,
    sent_at: Mono,
    /// Whether a tick has no response yet.
    is_sending: bool,
    /// Whether the last response admitted a waiting request and others still wait.
    helped: bool,
    /// The time of the next check; earlier planned ones are void.
    look_at: u64,
}

enum NodeEvent {
    Arrive,
    Look,
    Ticked(Tick),
    Answered(TickReply),
    Ended(CommittedRequest),
}

struct LeaseSimulation {
    /// The state of SplitMix64.
    random: u64,
    now: u64,
    /// The events of nodes, by time and number.
    queue: BTreeMap<(u64, u64), (usize, NodeEvent)>,
    next: u64,
    nodes: Vec<SimulatedNode>,
    server: LeaseServer,
    quota: u64,
    /// The average time between two requests of a node.
    arrival_micros: u64,
    counts: SimulatedCounts,
}

/// Simulates and prints. Returns whether the nodes stayed within the quota, and no refusal as used up was wrong.
pub(crate) fn run(nodes: u32, load: SimulatedLoad) -> anyhow::Result<bool> {
    let SimulatedLoad { rate, simulated_seconds, seed, .. } = load;
    ensure!(u64::from(nodes) * 1_000_000 > u64::from(rate), "a node has at most a million requests per second");
    let simulation = LeaseSimulation::new(nodes, load);
    let quota = simulation.quota;
    let counts = simulation.run(u64::from(simulated_seconds) * 1_000_000);
    let SimulatedCounts { ticks, admitted, waited, used_up, withheld, overspent, simulated_micros: end, .. } = counts;
    println!("{nodes} nodes, {rate} requests/s of one credit, a quota of {quota}, seed {seed}, simulated time");
    println!("  messages take {} to {} ms", MESSAGE_MICROS.0 / 1_000, MESSAGE_MICROS.1 / 1_000);
    let (refused_at, before) = counts.first_refusal.unwrap_or((end, ticks));
    for (name, ticks, micros) in [("before", before, refused_at), ("after", ticks - before, end - refused_at)] {
        if micros > 0 {
            let each = per(ticks * 1_000_000, micros * u64::from(nodes));
            println!("  messages per second and node {name} the first refusal: {each:.2}, each with a response");
        }
    }
    println!("  requests in {:.2} s: {admitted} admitted; {waited} waited for a lease", per(end, 1_000_000));
    for (name, RefusalCount { all, early }) in [("used up", used_up), ("withheld", withheld)] {
        println!("  refused as {name}: {all}, of those too early: {early}");
    }
    println!("  overspent: {overspent} credits (must be 0)");
    if counts.is_cut {
        println!("  ended early, after {ticks} messages");
    }
    Ok(overspent == 0 && used_up.early == 0)
}

impl LeaseSimulation {
    fn new(nodes: u32, load: SimulatedLoad) -> Self {
        let quota = u64::from(load.rate) * u64::from(load.simulated_seconds) * QUOTA_PERCENT / 100;
        let mut simulation = Self {
            random: load.seed,
            now: BEGIN_MICROS,
            queue: BTreeMap::new(),
            next: 0,
            nodes: Vec::new(),
            server: LeaseServer::new(TTL),
            quota,
            arrival_micros: u64::from(nodes) * 1_000_000 / u64::from(load.rate.max(1)),
            counts: SimulatedCounts::default(),
        };
        let wall = simulation.wall();
        let tick_micros = micros(LeaseTiming::default().tick);
        simulation.server.set_limit(BUDGET, Some(Amount::of_credits(Credits::whole(quota))));
        for at in 0..nodes {
            let id = NodeId(u128::from(at) + 1);
            let (incarnation, _) = simulation.server.join(id, 0, wall);
            simulation.nodes.push(SimulatedNode::new(id, incarnation, quota));
            let number = simulation.nodes.len() - 1;
            simulation.look_in(number, (0, tick_micros));
            simulation.after(number, (1, simulation.arrival_micros * 2), NodeEvent::Arrive);
        }
        simulation
    }

    fn run(mut self, for_micros: u64) -> SimulatedCounts {
        let ticks_max = WORK_MAX / u64::try_from(self.nodes.len()).unwrap_or(u64::MAX).max(1);
        while let Some(((at, _), (node, event))) = self.queue.pop_first() {
            self.counts.is_cut = self.counts.ticks >= ticks_max;
            if at > BEGIN_MICROS + for_micros || self.counts.is_cut {
                break;
            }
            self.now = at;
            self.happen(node, event);
        }
        self.counts.simulated_micros = self.now - BEGIN_MICROS;
        self.counts
    }

    fn mono(&self) -> Mono {
        Mono(self.now * 1_000)
    }

    fn wall(&self) -> Timestamp {
        Timestamp(Day(20_000).start().0 + self.now)
    }

    fn within(&mut self, bounds: (u64, u64)) -> u64 {
        let (from, to) = bounds;
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        from + (mixed ^ (mixed >> 31)) % (to - from + 1)
    }

    /// Plans an event; returns its time.
    fn after(&mut self, node: usize, wait: (u64, u64), event: NodeEvent) -> u64 {
        let at = self.now + self.within(wait);
        self.queue.insert((at, self.next), (node, event));
        self.next += 1;
        at
    }

    fn look_in(&mut self, number: usize, wait: (u64, u64)) {
        let at = self.after(number, wait, NodeEvent::Look);
        if let Some(node) = self.nodes.get_mut(number) {
            node.look_at = at;
        }
    }

    fn happen(&mut self, number: usize, event: NodeEvent) {
        let now = self.mono();
        let wall = self.wall();
        let Some(node) = self.nodes.get_mut(number) else { return };
        match event {
            NodeEvent::Ended(request) => drop(request),
            NodeEvent::Ticked(tick) => {
                let reply = self.server.take(&tick, wall);
                self.after(number, MESSAGE_MICROS, NodeEvent::Answered(reply));
            }
            NodeEvent::Arrive => {
                node.waiting.insert(self.next, now);
                let id = self.next;
                self.after(number, (1, self.arrival_micros * 2), NodeEvent::Arrive);
                self.admit(number, id);
                let waits = self.nodes.get(number).is_some_and(|node| node.waiting.contains_key(&id));
                self.counts.waited += u64::from(waits);
                if waits {
                    self.look(number);
                }
            }
            NodeEvent::Look if node.look_at == self.now => self.look(number),
            NodeEvent::Look => {}
            NodeEvent::Answered(reply) => {
                node.is_sending = false;
                let decisions = node.client.receive(&reply, now);
                node.helped |= decisions.iter().any(|decision| decision.verdict == Verdict::Retry);
                self.decide(number, decisions);
                if let Some(node) = self.nodes.get_mut(number) {
                    node.helped &= !node.waiting.is_empty();
                }
                self.look(number);
            }
        }
    }

    /// Sends a tick if one is due, and plans the next check.
    fn look(&mut self, number: usize) {
        let now = self.mono();
        let Some(node) = self.nodes.get_mut(number) else { return };
        let decisions = node.client.review(now);
        self.decide(number, decisions);
        let Some(node) = self.nodes.get_mut(number) else { return };
        let due = if node.client.is_urgent() || node.helped { SOONEST } else { node.client.next_tick(now) };
        let since = now.since(node.sent_at);
        if !node.is_sending && since >= due {
            (node.sent_at, node.is_sending, node.helped) = (now, true, false);
            let tick = node.client.tick(now);
            self.counts.ticks += 1;
            self.after(number, MESSAGE_MICROS, NodeEvent::Ticked(tick));
        }
        let pause = micros(due.saturating_sub(since).clamp(SOONEST, LOOK));
        self.look_in(number, (pause, pause));
    }

    /// Tries to admit a request that has arrived or waits.
    fn admit(&mut self, number: usize, id: u64) {
        let now = self.mono();
        let at = self.wall();
        let Some(node) = self.nodes.get_mut(number) else { return };
        let Some(since) = node.waiting.get(&id).copied() else { return };
        let charge = Some(Charge::credits(Credits::whole(1)));
        let request = AdmissionRequest { limits: &node.limits, charge, at, now, rate: RateSource::Here };
        match node.meter.admit(&request) {
            Ok(reservation) => {
                node.waiting.remove(&id);
                node.client.forget(id);
                self.counts.admitted += 1;
                self.counts.overspent = self.counts.admitted.saturating_sub(self.quota);
                self.after(number, REQUEST_MICROS, NodeEvent::Ended(reservation.commit(at)));
            }
            Err(AdmissionRefusal::Budget(BudgetExceeded { by: RefusalCause::Limit, budget, period, .. })) => {
                let counter = CounterId { budget, period };
                let verdict = Verdict::UsedUp;
                self.decide(number, vec![WaitDecision { waiter: id, counter, verdict, lost: Amount::ZERO }]);
            }
            Err(AdmissionRefusal::Budget(_) | AdmissionRefusal::Rate(..)) => {
                for lacking in request.shortfalls() {
                    let shared = SharedCounter { id: lacking.id, counter: &lacking.counter };
                    let waiter = Waiter { id, amount: lacking.amount, since };
                    if let Some(verdict) = node.client.wait(shared, waiter, now) {
                        return self.decide(
                            number,
                            vec![WaitDecision { waiter: id, counter: lacking.id, verdict, lost: Amount::ZERO }],
                        );
                    }
                }
            }
        }
    }

    /// Tries again to admit requests, or refuses them.
    fn decide(&mut self, number: usize, decisions: Vec<WaitDecision>) {
        for WaitDecision { waiter, verdict, .. } in decisions {
            if verdict == Verdict::Retry {
                self.admit(number, waiter);
                continue;
            }
            let Some(node) = self.nodes.get_mut(number) else { return };
            node.client.forget(waiter);
            if node.waiting.remove(&waiter).is_none() {
                continue;
            }
            let is_early = self.counts.admitted < self.quota;
            let is_used_up = verdict == Verdict::UsedUp;
            let count = if is_used_up { &mut self.counts.used_up } else { &mut self.counts.withheld };
            count.all += 1;
            count.early += u64::from(is_early);
            self.counts.first_refusal.get_or_insert((self.now - BEGIN_MICROS, self.counts.ticks));
        }
    }
}

impl SimulatedNode {
    fn new(id: NodeId, incarnation: u64, quota: u64) -> Self {
        let meter = Meter::leased();
        let plan = Plan::unlimited("simulated");
        let bounds = KeyBounds::default();
        let caller = Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId::NIL };
        let budgets = [(BUDGET, Amount::of_credits(Credits::whole(quota)))];
        let limits = meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &budgets });
        let client = LeaseClient::new(id, incarnation, LeaseTiming::default());
        let waiting = BTreeMap::new();
        let sent_at = Mono(0);
        let is_sending = false;
        let helped = false;
        let look_at = 0;
        Self { client, meter, limits, waiting, sent_at, is_sending, helped, look_at }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulated(nodes: u32, seed: u64) -> (u64, SimulatedCounts) {
        let load = SimulatedLoad { nodes: Some(nodes), rate: 500, simulated_seconds: 6, seed };
        let simulation = LeaseSimulation::new(nodes, load);
        (simulation.quota, simulation.run(6_000_000))
    }

    #[test]
    fn nodes_spend_the_whole_quota_and_refusals_are_true() {
        for nodes in [1, 4, 12] {
            let (quota, counts) = simulated(nodes, 7);
            assert_eq!((counts.admitted, counts.overspent, counts.used_up.early), (quota, 0, 0), "{counts:?}");
            assert!(counts.used_up.all > 0 && !counts.is_cut, "{counts:?}");
            // A node sends ten ticks a second at least, and one every two milliseconds at most.
            let least = u64::from(nodes) * 6 * 9;
            assert!((least..least * 50).contains(&counts.ticks), "{counts:?}");
        }
    }

    #[test]
    fn a_seed_reproduces_a_run() {
        assert_eq!(simulated(5, 3), simulated(5, 3));
        assert_ne!(simulated(5, 3), simulated(5, 4));
    }

    #[test]
    fn credits_beyond_the_quota_and_refusals_before_it_are_counted() {
        let load = SimulatedLoad { nodes: Some(1), rate: 500, simulated_seconds: 2, seed: 1 };
        let mut simulation = LeaseSimulation::new(1, load);
        // The nodes and the server know a larger quota than the one that is checked, then a smaller one.
        simulation.quota /= 2;
        let half = simulation.quota;
        let counts = simulation.run(2_000_000);
        assert_eq!((counts.overspent, counts.admitted), (half, half * 2), "{counts:?}");
        let mut simulation = LeaseSimulation::new(1, load);
        simulation.quota *= 2;
        let counts = simulation.run(2_000_000);
        assert!(counts.used_up.early > 0 && counts.used_up.early == counts.used_up.all, "{counts:?}");
    }
}

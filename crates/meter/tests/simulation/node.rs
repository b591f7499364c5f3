//! A node: one process after another, with a folder that survives them.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Amount, KeyBounds, KeyNo, Mono, Plan, PlanId, Timestamp, UserNo};
use meter::Caller;
use meter::admission::{AdmissionRequest, Meter, RateSource};
use meter::budgets::budget::{BudgetId, Charge};
use meter::lease::{CounterId, LeaseClient, LeaseTiming, NodeId};
use meter::limits::{Limits, Terms};
use meter::reservation::{CommittedRequest, Reservation, ReservedPart};

use crate::broken_rules::{BrokenRule, RulesExcept};
use crate::coverage::STATES;

/// The limits that a node knows refuse before the server's only if they are lower; here they never are.
const UNREACHED: Amount = Amount(1 << 60);

pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// The speed of its monotonic clock, in thousandths of the true speed.
    pub(crate) speed: u64,
    /// The error of its wall clock in microseconds.
    pub(crate) skew: i64,
    pub(crate) frozen: bool,
    pub(crate) process: Option<Process>,
    pub(crate) folder: Folder,
}

/// The state that survives a crash.
#[derive(Default)]
pub(crate) struct Folder {
    pub(crate) incarnation: u64,
    /// Spent amounts by budget counter and incarnation.
    pub(crate) spent: BTreeMap<(CounterId, u64), u64>,
    /// Committed and unsettled amounts by request.
    pub(crate) open: BTreeMap<u64, Vec<(CounterId, u64)>>,
}

pub(crate) struct Process {
    pub(crate) incarnation: u64,
    pub(crate) meter: Meter,
    pub(crate) limits: Arc<Limits>,
    pub(crate) client: LeaseClient<RulesExcept>,
    pub(crate) requests: BTreeMap<u64, Request>,
    /// Whether an extra tick is in flight.
    pub(crate) extra_tick_sent: bool,
}

pub(crate) struct Request {
    pub(crate) bound: Charge,
    pub(crate) cost: Charge,
    pub(crate) since: Mono,
    /// The true time at which the request arrived.
    pub(crate) came_us: u64,
    pub(crate) stage: Stage,
}

pub(crate) enum Stage {
    Waiting,
    Reserved(Reservation),
    Sent(CommittedRequest),
}

pub(crate) fn counter_of(part: &ReservedPart) -> CounterId {
    CounterId { budget: part.budget, period: part.period }
}

pub(crate) fn parts(parts: impl Iterator<Item = ReservedPart>) -> Vec<(CounterId, u64)> {
    parts.filter(|part| !part.amount.is_zero()).map(|part| (counter_of(&part), part.amount.0)).collect()
}

impl Node {
    pub(crate) fn mono(&self, now_us: u64) -> Mono {
        // Monotonic clocks of different machines have only about the same speed in common.
        Mono(now_us * self.speed + u64::try_from(self.id.0).unwrap() * 1_000_000_007)
    }

    /// Returns the wall clock of its budgets: the server's, after the first reply.
    pub(crate) fn wall(&self, now_us: u64, true_wall: Timestamp) -> Timestamp {
        let response = self.process.as_ref().and_then(|process| process.client.clock(self.mono(now_us)));
        response.unwrap_or(Timestamp(true_wall.0.saturating_add_signed(self.skew)))
    }

    /// Returns its states, in the order of [`STATES`].
    pub(crate) fn states(&self, now_us: u64) -> [bool; STATES.len()] {
        let Some(process) = &self.process else { return [false; STATES.len()] };
        let any = |stage: fn(&Stage) -> bool| process.requests.values().any(|request| stage(&request.stage));
        let reserved = any(|stage| matches!(stage, Stage::Reserved(_)));
        let sent = any(|stage| matches!(stage, Stage::Sent(_)));
        let waiting = any(|stage| matches!(stage, Stage::Waiting));
        let [asked, recalled] = [process.client.is_unanswered(), process.client.is_recalled()];
        let now = self.mono(now_us);
        let counters: Vec<_> = process.limits_of().iter().filter_map(|id| process.meter.counter(*id)).collect();
        let late = counters.iter().any(|counter| !counter.allowance().is_zero() && counter.deadline() <= now);
        let exhausted = counters.iter().any(|counter| !counter.allowance().is_zero() && counter.free().is_zero());
        [!(reserved || sent || waiting), reserved, sent, waiting, asked, recalled, late, exhausted]
    }
}

impl Process {
    pub(crate) fn new(id: NodeId, incarnation: u64, timing: LeaseTiming, rules: RulesExcept) -> Self {
        let meter = Meter::leased();
        let budgets: Vec<_> = crate::world::BUDGETS.iter().map(|id| (*id, UNREACHED)).collect();
        let plan = Plan::unlimited("sim");
        let bounds = KeyBounds::default();
        let caller = Caller { user: UserNo(1), key: KeyNo(1), plan: PlanId::NIL };
        let limits = meter.limits(&Terms { caller, plan: &plan, bounds: &bounds, budgets: &budgets });
        let client = LeaseClient::with_rules(id, incarnation, timing, rules);
        Self { incarnation, meter, limits, client, requests: BTreeMap::new(), extra_tick_sent: false }
    }

    pub(crate) fn request(&self, charge: Charge, at: Timestamp, now: Mono) -> AdmissionRequest<'_> {
        AdmissionRequest { limits: &self.limits, charge: Some(charge), at, now, rate: RateSource::Here }
    }

    fn limits_of(&self) -> Vec<BudgetId> {
        crate::world::BUDGETS.to_vec()
    }
}

impl Folder {
    /// Records a request that is about to be sent.
    pub(crate) fn open(&mut self, request: u64, parts: Vec<(CounterId, u64)>) {
        self.open.insert(request, parts);
    }

    /// Records the end of a request and the spent part of each amount.
    pub(crate) fn close(&mut self, request: u64, incarnation: u64, spent: &[(CounterId, u64)]) {
        self.open.remove(&request);
        for (counter, amount) in spent {
            *self.spent.entry((*counter, incarnation)).or_default() += amount;
        }
    }

    /// At a start, open requests count with their reserved amounts.
    pub(crate) fn recover(&mut self, rules: RulesExcept) {
        for parts in std::mem::take(&mut self.open).into_values() {
            for (counter, amount) in parts {
                let amount = if rules.is(BrokenRule::ForgetsOpenRequests) { 0 } else { amount };
                *self.spent.entry((counter, self.incarnation)).or_default() += amount;
            }
        }
    }
}

impl Process {
    /// Returns the amount that is reserved of a counter and not sent.
    pub(crate) fn reserved(&self, counter: CounterId) -> u64 {
        let reservations = self.requests.values().filter_map(|request| match &request.stage {
            Stage::Reserved(reservation) => Some(reservation),
            Stage::Waiting | Stage::Sent(_) => None,
        });
        reservations
            .flat_map(|reservation| parts(reservation.parts()))
            .filter(|(of, _)| *of == counter)
            .map(|(_, held)| held)
            .sum()
    }
}

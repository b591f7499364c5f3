//! How far a limit may be passed or lie idle, and why: by the rules and constants of what enforces it.

use std::num::NonZeroU32;

use access::Measure;
use config::snapshot::Unbounded;
use meter::lease::rules;
use serde_json::{Value, json};

use super::Topology;

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Most {
    /// So much, and no more.
    Exactly(u64),
    /// So much, and what the reason says.
    AtLeast(u64),
}

/// An amount, and why it is no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) most: Most,
    /// The amount as people read it.
    written: String,
    why: String,
}

pub(super) const NO_RATE_STRANDS: &str = "rates lend nothing, and a server that starts has every rate whole";
pub(super) const NOT_DURABLE: &str = "survives a kill, not a power cut (spool.durability: process): usage that the kernel had not written is lost, and \
                                      can be spent again";

impl From<&str> for Told {
    fn from(why: &str) -> Self {
        Self { most: Most::Exactly(0), written: "0".to_owned(), why: why.to_owned() }
    }
}

impl Told {
    fn new(most: Most, written: String, why: impl Into<String>) -> Self {
        Self { most, written, why: why.into() }
    }

    /// The amount as a table shows it; `+` where the reason says what may be added.
    pub(super) fn cell(&self) -> String {
        let more = if matches!(self.most, Most::AtLeast(_)) { "+" } else { "" };
        format!("{}{more}", self.written)
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    pub(super) fn json(&self) -> Value {
        let (amount, exact) = match self.most {
            Most::Exactly(amount) => (amount, true),
            Most::AtLeast(amount) => (amount, false),
        };
        json!({"amount": amount, "exact": exact, "why": self.why})
    }
}

/// A rate of keys, of which one bucket lets so many in within a window.
pub(super) fn of_rate(topology: Topology, (limit, most): (NonZeroU32, u64)) -> Told {
    let over = most.saturating_mul(topology.servers()).saturating_sub(limit.get().into());
    let why = format!(
        "in the unluckiest minute a bucket lets in all that a full one holds and what flows back; each of {} has its own, and \
         each start a full one",
        servers(topology)
    );
    Told::new(Most::Exactly(over), over.to_string(), why)
}

/// A sliding window: in a span as long as it, the end of a burst and what flows back can be twice the limit.
pub(super) fn of_window(topology: Topology, limit: NonZeroU32) -> Told {
    let limit = u64::from(limit.get());
    let counters = if topology.redis { 1 } else { topology.servers() };
    let over = limit.saturating_mul(2 * counters).saturating_sub(limit);
    let why = if topology.redis {
        format!(
            "a span as long as the window holds at most the end of a burst and what flows back; while Redis is away each of {} \
             counts by itself",
            servers(topology)
        )
    } else {
        format!(
            "a span as long as the window holds at most the end of a burst and what flows back; each of {} counts \
             by itself, as there is no Redis",
            servers(topology)
        )
    };
    Told::new(Most::Exactly(over), over.to_string(), why)
}

/// A quota or a budget.
pub(super) fn overshoot(topology: Topology, measure: Measure) -> Told {
    let lent = if topology.shared { ", and what is lent to one server is lent to no other" } else { "" };
    let (most, mut why) = match (measure, topology.unbounded) {
        (Measure::Credits, _) => {
            let why = format!("a request's price is taken whole before it goes out{lent}");
            (Most::Exactly(0), why)
        }
        (Measure::Tokens | Measure::Money, Unbounded::Refuse) => (
            Most::AtLeast(0),
            format!(
                "the most that a request may use is taken before it goes out{lent}; what a provider counts beyond that bound counts \
                 as well"
            ),
        ),
        (Measure::Tokens | Measure::Money, Unbounded::Window) => (
            Most::AtLeast(0),
            format!(
                "the most that a request may use is taken before it goes out{lent}; what a body only refers to is taken to fill its \
                 model's window (budgets.unbounded: window), and what a provider counts beyond counts as well"
            ),
        ),
    };
    if topology.shared {
        why.push_str("; a server that spends after `leases reclaim` took its lease may add what it had been lent");
    }
    Told::new(most, measure.written(0), why)
}

/// What of a quota or a budget nobody can use while one server that died stays away.
pub(super) fn stranded(topology: Topology, (measure, amount): (Measure, u64)) -> Told {
    if !topology.shared {
        return Told::new(
            Most::Exactly(0),
            measure.written(0),
            "nothing is lent; what was under way in a crash counts with what was reserved for it (`tollgate audit` tells of it)",
        );
    }
    let share = rules::share(amount, topology.live);
    let why = format!(
        "by each server that dies, until it is back, the period is over, or `tollgate leases reclaim`: at most its share of what is \
         left, with {}, beside what its requests under way had reserved",
        servers(topology)
    );
    Told::new(Most::Exactly(share), measure.written(share), why)
}

/// Requests of plain routes, which are counted together.
pub(super) fn folded(topology: Topology) -> String {
    format!(
        "folded calls of ordinary routes are written within {} ms: a kill loses that much of the counts of keys without a quota; those \
         of keys with one are written ahead, so that a kill leaves used what was ahead: beside calls under way, of each key in each of \
         {} workers at most {} calls and a {}th of what was left, until the day is over",
        proxy::FOLDED_WITHIN.as_millis(),
        topology.workers,
        proxy::BLOCK_REQUESTS_MAX - 1,
        proxy::BLOCK_PART_OF_LEFT
    )
}

fn servers(topology: Topology) -> String {
    match topology.servers() {
        1 => "1 server".to_owned(),
        more => format!("{more} servers"),
    }
}

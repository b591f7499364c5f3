//! Maximum overshoot and stranded amount of each limit with the reasons, from the constants of the code that enforces
//! it.

use std::num::NonZeroU32;

use access::{Amount, Measure};
use config::snapshot::Unbounded;
use meter::lease::rules;
use serde_json::{Value, json};

use super::LimitTopology;

/// The maximum of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AmountMax {
    /// The amount is never larger.
    Exactly(u64),
    /// The amount can be larger by the part that the reason describes.
    AtLeast(u64),
}

/// A number of requests, or an amount of a budget, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReasonedAmount {
    pub(super) most: AmountMax,
    /// The amount in the form that people read.
    written: String,
    why: String,
}

pub(super) const NO_RATE_STRANDS: &str = "rate limits are not leased, and a server that starts counts from zero";
pub(super) const NOT_DURABLE: &str = "survives a kill, but not a power failure (spool.durability: process): usage \
                                      that the kernel had not written is lost, and can be spent again";

impl From<&str> for ReasonedAmount {
    fn from(why: &str) -> Self {
        Self { most: AmountMax::Exactly(0), written: "0".to_owned(), why: why.to_owned() }
    }
}

impl ReasonedAmount {
    fn new(most: AmountMax, written: String, why: impl Into<String>) -> Self {
        Self { most, written, why: why.into() }
    }

    /// The amount in the table; `+` if the reason describes an additional part.
    pub(super) fn cell(&self) -> String {
        let more = if matches!(self.most, AmountMax::AtLeast(_)) { "+" } else { "" };
        format!("{}{more}", self.written)
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    pub(super) fn json(&self) -> Value {
        let (amount, exact) = match self.most {
            AmountMax::Exactly(amount) => (amount, true),
            AmountMax::AtLeast(amount) => (amount, false),
        };
        json!({"amount": amount, "exact": exact, "why": self.why})
    }
}

/// The overshoot of a rate limit of keys: one bucket admits `most` requests within a window.
pub(super) fn of_rate(topology: LimitTopology, limit: NonZeroU32, most: u64) -> ReasonedAmount {
    let counters = if topology.redis { 1 } else { topology.servers() };
    let over = most.saturating_mul(counters).saturating_sub(limit.get().into());
    let buckets = if topology.redis {
        "while Redis is unavailable, each server admits its share, from a bucket".to_owned()
    } else {
        format!("each of {} has its own bucket", servers(topology))
    };
    let why = format!(
        "within one minute, a full bucket admits its capacity and the requests that are refilled; {buckets}, which is \
         full after a start"
    );
    ReasonedAmount::new(AmountMax::Exactly(over), over.to_string(), why)
}

/// The overshoot of a sliding window: in a span of its length, the end of a burst and refilled requests can reach twice
/// the limit.
pub(super) fn of_window(topology: LimitTopology, limit: NonZeroU32) -> ReasonedAmount {
    let limit = u64::from(limit.get());
    let counters = if topology.redis { 1 } else { topology.servers() };
    let over = limit.saturating_mul(2 * counters).saturating_sub(limit);
    let why = if topology.redis {
        format!(
            "a span of the window's length contains at most the end of a burst and the refilled requests; while Redis \
             is unavailable, each of {} counts separately",
            servers(topology)
        )
    } else {
        format!(
            "a span of the window's length contains at most the end of a burst and the refilled requests; without \
             Redis, each of {} counts separately",
            servers(topology)
        )
    };
    ReasonedAmount::new(AmountMax::Exactly(over), over.to_string(), why)
}

/// The overshoot of a limit of requests in flight: each server counts its own.
pub(super) fn of_concurrent(topology: LimitTopology, limit: NonZeroU32) -> ReasonedAmount {
    let over = u64::from(limit.get()).saturating_mul(topology.servers() - 1);
    let why = format!("each of {} counts its own requests in flight", servers(topology));
    ReasonedAmount::new(AmountMax::Exactly(over), over.to_string(), why)
}

/// The overshoot of a quota or a budget.
pub(super) fn overshoot(topology: LimitTopology, measure: Measure) -> ReasonedAmount {
    let leased_note = if topology.shared { ", and no two servers lease the same amount" } else { "" };
    let (most, mut why) = match (measure, topology.unbounded) {
        (Measure::Credits, _) => {
            let why = format!("the credits of a request are charged before it is forwarded{leased_note}");
            (AmountMax::Exactly(0), why)
        }
        (Measure::Tokens | Measure::Money, Unbounded::Refuse) => (
            AmountMax::AtLeast(0),
            format!(
                "the maximum usage of a request is reserved before it is forwarded{leased_note}; usage that a provider \
                 reports beyond it counts as well"
            ),
        ),
        (Measure::Tokens | Measure::Money, Unbounded::Window) => (
            AmountMax::AtLeast(0),
            format!(
                "the maximum usage of a request is reserved before it is forwarded{leased_note}; content that a body only \
                 refers to counts as the whole context window of the model (budgets.unbounded: window), and usage \
                 beyond it counts as well"
            ),
        ),
    };
    if topology.shared {
        why.push_str("; a server that spends a lease after `leases reclaim` may add the amount of that lease");
    }
    ReasonedAmount::new(most, measure.written(Amount::ZERO), why)
}

/// The amount of a quota or a budget that is unusable while one dead server is not restarted.
pub(super) fn stranded(topology: LimitTopology, measure: Measure, amount: Amount) -> ReasonedAmount {
    if !topology.shared {
        return ReasonedAmount::new(
            AmountMax::Exactly(0),
            measure.written(Amount::ZERO),
            "SQLite has no leases; after a crash, the reservations of requests in flight count as used (see `tollgate \
             audit`)",
        );
    }
    let share = rules::share(amount, topology.live);
    let why = format!(
        "per dead server, until it restarts, the period ends, or `tollgate leases reclaim` runs: at most its share of \
         the remaining amount, with {}, and the reservations of its requests in flight",
        servers(topology)
    );
    ReasonedAmount::new(AmountMax::Exactly(share.0), measure.written(share), why)
}

/// Describes the loss of aggregated requests of ordinary routes.
pub(super) fn folded(topology: LimitTopology) -> String {
    format!(
        "aggregated requests of ordinary routes are recorded within {} ms: a kill loses up to that time of the counts \
         of keys without a quota. Credits of keys with a quota are recorded in advance: after a kill, unused ones \
         count as used until the end of the day. Besides requests in flight, these are for each key and each of {} \
         workers at most {} requests and 1/{} of the remaining quota",
        proxy::AGGREGATION_DELAY.as_millis(),
        topology.workers,
        proxy::BATCH_REQUESTS_MAX - 1,
        proxy::BATCH_PART_OF_LEFT
    )
}

fn servers(topology: LimitTopology) -> String {
    match topology.servers() {
        1 => "1 server".to_owned(),
        more => format!("{more} servers"),
    }
}

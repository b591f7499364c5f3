//! The parameters of a run, derived from its seed.

use std::time::Duration;

use crate::prng::Prng;
use crate::world::ticks;

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    pub(crate) tick_us: u64,
    pub(crate) ttl: Duration,
    pub(crate) recall_wait: Duration,
    pub(crate) latency_us: u64,
    /// The average time between two requests at a node.
    pub(crate) arrival_us: u64,
    pub(crate) lasts_us: u64,
    pub(crate) limits: [u64; 2],
    pub(crate) before_midnight_us: u64,
    /// Whether every request costs one credit and ends without faults.
    pub(crate) orderly: bool,
    /// Whether the clocks differ.
    pub(crate) clocks: bool,
    /// The rates of message faults, per thousand messages.
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) duplicated: u64,
    /// The rates of other faults, per ten thousand steps.
    pub(crate) crash: u64,
    pub(crate) freeze: u64,
    pub(crate) pause: u64,
    pub(crate) restore: u64,
    pub(crate) jump: u64,
    pub(crate) limit: u64,
    pub(crate) reclaim: u64,
}

impl Setup {
    /// Returns a run without faults, in which only limits refuse requests.
    pub(crate) fn calm(seed: u64, nodes: usize, limits: [u64; 2]) -> Self {
        let still = Self { lost: 0, late: 0, duplicated: 0, crash: 0, freeze: 0, pause: 0, ..Self::from_seed(seed) };
        let tick_us = 100_000;
        let before_midnight_us = 80_000_000_000;
        Self {
            nodes,
            limits,
            tick_us,
            before_midnight_us,
            ttl: ticks(tick_us, 20),
            recall_wait: ticks(tick_us, RECALL_WAIT_TICKS) / 10,
            latency_us: tick_us / 20,
            lasts_us: tick_us,
            orderly: true,
            clocks: false,
            restore: 0,
            jump: 0,
            limit: 0,
            reclaim: 0,
            ..still
        }
    }

    /// Returns a run with ticks of 100 ms or one second; each fault is enabled with probability one half, or none is.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut chance = Prng::new(seed ^ 0x5eed);
        let tick_us = if chance.per_mille(250) { 1_000_000 } else { 100_000 };
        let calm = chance.per_mille(120);
        let mut rate = |of: u64| if calm || chance.per_mille(500) { 0 } else { of };
        let lost = rate(80);
        let late = rate(80);
        let duplicated = rate(80);
        let crash = rate(40);
        let freeze = rate(40);
        let pause = rate(25);
        let restore = rate(8);
        let jump = rate(15);
        let limit = rate(15);
        let reclaim = rate(60);
        // Operators who reclaim quickly, with nodes that freeze repeatedly.
        let hasty = !calm && chance.per_mille(150);
        let (freeze, reclaim) = if hasty { (150, 400) } else { (freeze, reclaim) };
        let (jump, restore) = if hasty { (0, 0) } else { (jump, restore) };
        let requests = chance.within(5, 250);
        Self {
            nodes: usize::try_from(chance.within(1, 4)).unwrap(),
            tick_us,
            ttl: ticks(tick_us, 20),
            recall_wait: ticks(tick_us, RECALL_WAIT_TICKS) / 10,
            latency_us: tick_us / 20,
            arrival_us: *chance.pick(&[tick_us / 5, tick_us, tick_us * 3]),
            lasts_us: *chance.pick(&[tick_us / 5, tick_us * 2, tick_us * 10]),
            limits: [requests * 2, requests * chance.within(4, 30)],
            before_midnight_us: if chance.per_mille(400) { chance.within(1, tick_us * 60) } else { 80_000_000_000 },
            orderly: false,
            clocks: !calm,
            lost,
            late,
            duplicated,
            crash,
            freeze,
            pause,
            restore,
            jump,
            limit,
            reclaim,
        }
    }
}

/// In tenths of a tick: `recall_wait` is 250 ms for a tick of 100 ms.
const RECALL_WAIT_TICKS: u64 = 25;

//! The true state: the amounts that every request holds and has spent, independent of what nodes and server know.

use std::collections::BTreeMap;

use meter::lease::CounterId;

/// A guarantee that was violated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

pub(crate) type Checked = Result<(), Fault>;

/// A budget counter with its current limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitedCounter {
    pub(crate) counter: CounterId,
    pub(crate) limit: u64,
}

/// The end of a reservation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settlement {
    pub(crate) reserved: u64,
    pub(crate) spent: u64,
}

/// The true state of one budget counter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Reserved and spent amounts by node.
    pub(crate) used: Vec<u64>,
    /// The amount spent by ended requests.
    pub(crate) spent: u64,
    /// The highest limit that the budget had.
    pub(crate) limit_max: u64,
    /// The amount that may be used above the limit, because of faults that the guarantee excludes.
    pub(crate) beyond: u64,
}

/// A waiting request, with the maximum amount that each node used since it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) counter: CounterId,
    /// The node of the request.
    pub(crate) node: usize,
    pub(crate) peaks: Vec<u64>,
    pub(crate) limit_min: u64,
}

#[derive(Default)]
pub(crate) struct Oracle {
    nodes: usize,
    pub(crate) counters: BTreeMap<CounterId, Truth>,
    /// By request and by each counter that it lacks.
    pub(crate) watches: BTreeMap<(u64, CounterId), Watch>,
}

impl Oracle {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// Returns the state of a counter whose limit is `limit` now.
    pub(crate) fn counter(&mut self, counter: CounterId, limit: u64) -> &mut Truth {
        let nodes = self.nodes;
        let truth = self.counters.entry(counter).or_insert_with(|| Truth { used: vec![0; nodes], ..Truth::default() });
        truth.limit_max = truth.limit_max.max(limit);
        truth
    }

    /// Records that a request of a node reserved `amount`.
    pub(crate) fn reserves(&mut self, limited: LimitedCounter, node: usize, amount: u64) -> Checked {
        let LimitedCounter { counter, limit } = limited;
        let truth = self.counter(counter, limit);
        truth.used[node] += amount;
        let used = truth.used.iter().sum::<u64>();
        let may = truth.limit_max + truth.beyond;
        let peak = truth.used[node];
        for watch in self.watches.values_mut().filter(|watch| watch.counter == counter) {
            watch.peaks[node] = watch.peaks[node].max(peak);
        }
        if amount > 0 && used > may {
            return Err(Fault(format!("overspent: {used} of {may} in {counter:?}")));
        }
        Ok(())
    }

    /// Records that a request of a node ended and spent a part of its reservation.
    pub(crate) fn settles(&mut self, counter: CounterId, node: usize, settlement: Settlement) {
        if let Some(truth) = self.counters.get_mut(&counter) {
            truth.used[node] -= settlement.reserved - settlement.spent;
            truth.spent += settlement.spent;
        }
    }

    pub(crate) fn watch(&mut self, request: u64, node: usize, limited: LimitedCounter) {
        let LimitedCounter { counter, limit } = limited;
        let peaks = self.counter(counter, limit).used.clone();
        self.watches.entry((request, counter)).or_insert(Watch { counter, node, peaks, limit_min: limit });
    }

    /// Records that a request stopped waiting.
    pub(crate) fn forget(&mut self, request: u64) {
        self.watches.retain(|(of, _), _| *of != request);
    }

    /// Records the amounts that nodes keep from the others (`unusable`, by node) when a node gets a final reply.
    pub(crate) fn make_unusable(&mut self, counter: CounterId, node: usize, unusable: &[u64]) {
        for watch in self.watches.values_mut().filter(|watch| watch.counter == counter && watch.node == node) {
            for (peak, unusable) in watch.peaks.iter_mut().zip(unusable) {
                *peak = (*peak).max(*unusable);
            }
        }
    }

    pub(crate) fn limit(&mut self, of: impl Fn(CounterId) -> bool, limit: u64) {
        for (_, truth) in self.counters.iter_mut().filter(|(counter, _)| of(**counter)) {
            truth.limit_max = truth.limit_max.max(limit);
        }
        for watch in self.watches.values_mut().filter(|watch| of(watch.counter)) {
            watch.limit_min = watch.limit_min.min(limit);
        }
    }

    /// Checks a request that was refused as exhausted: every unit that it needed was used or unusable at some time
    /// since it arrived.
    pub(crate) fn refuses(&mut self, request: u64, counter: CounterId, amount: u64) -> Checked {
        let Some(watch) = self.watches.remove(&(request, counter)) else {
            return Err(Fault("refused without waiting".to_owned()));
        };
        self.forget(request);
        let taken: u64 = watch.peaks.iter().sum();
        if taken + amount <= watch.limit_min {
            return Err(Fault(format!(
                "refused {amount} although only {taken} of {} were taken: {watch:?}",
                watch.limit_min
            )));
        }
        Ok(())
    }
}

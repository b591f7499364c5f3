//! What is true, whatever nodes and lender believe: what every request holds and has spent, and so whether a promise is
//! broken.

use std::collections::BTreeMap;

use meter::lease::CounterId;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

pub(crate) type Checked = Result<(), Fault>;

/// What is used of one cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Reserved and spent, by node.
    pub(crate) used: Vec<u64>,
    /// Spent by requests that are over.
    pub(crate) spent: u64,
    /// The highest limit that it had.
    pub(crate) limit_max: u64,
    /// What may be used beyond it: what the guarantee does not presume has happened.
    pub(crate) beyond: u64,
}

/// A request that waits, and how much each node used at most since it came.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) counter: CounterId,
    /// Whose request it is.
    pub(crate) node: usize,
    pub(crate) peaks: Vec<u64>,
    pub(crate) limit_min: u64,
}

#[derive(Default)]
pub(crate) struct Oracle {
    nodes: usize,
    pub(crate) counters: BTreeMap<CounterId, Truth>,
    /// By request, each for the cells that it lacks.
    pub(crate) watches: BTreeMap<(u64, CounterId), Watch>,
}

impl Oracle {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// The truth of a cell whose limit is `limit` now.
    pub(crate) fn counter(&mut self, counter: CounterId, limit: u64) -> &mut Truth {
        let nodes = self.nodes;
        let truth = self.counters.entry(counter).or_insert_with(|| Truth { used: vec![0; nodes], ..Truth::default() });
        truth.limit_max = truth.limit_max.max(limit);
        truth
    }

    /// A request of a node holds so much more.
    pub(crate) fn reserves(&mut self, (counter, limit): (CounterId, u64), node: usize, amount: u64) -> Checked {
        let truth = self.counter(counter, limit);
        truth.used[node] += amount;
        let (used, may) = (truth.used.iter().sum::<u64>(), truth.limit_max + truth.beyond);
        let peak = truth.used[node];
        for watch in self.watches.values_mut().filter(|watch| watch.counter == counter) {
            watch.peaks[node] = watch.peaks[node].max(peak);
        }
        if amount > 0 && used > may {
            return Err(Fault(format!("overspent: {used} of {may} in {counter:?}")));
        }
        Ok(())
    }

    /// A request of a node is over: of what it held it has spent `spent`.
    pub(crate) fn settles(&mut self, counter: CounterId, node: usize, (held, spent): (u64, u64)) {
        if let Some(truth) = self.counters.get_mut(&counter) {
            truth.used[node] -= held - spent;
            truth.spent += spent;
        }
    }

    pub(crate) fn watch(&mut self, request: u64, node: usize, (counter, limit): (CounterId, u64)) {
        let peaks = self.counter(counter, limit).used.clone();
        self.watches.entry((request, counter)).or_insert(Watch { counter, node, peaks, limit_min: limit });
    }

    /// A request waits no more.
    pub(crate) fn forget(&mut self, request: u64) {
        self.watches.retain(|(of, _), _| *of != request);
    }

    /// What nodes keep from the others (`stranded`, by node), when a node was told that nothing can be had.
    pub(crate) fn strands(&mut self, counter: CounterId, node: usize, stranded: &[u64]) {
        for watch in self.watches.values_mut().filter(|watch| watch.counter == counter && watch.node == node) {
            for (peak, stranded) in watch.peaks.iter_mut().zip(stranded) {
                *peak = (*peak).max(*stranded);
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

    /// A request for `amount` was refused for good: every unit that it would have needed was used or stranded at some
    /// instant since it came.
    pub(crate) fn refuses(&mut self, request: u64, (counter, amount): (CounterId, u64)) -> Checked {
        let Some(watch) = self.watches.remove(&(request, counter)) else {
            return Err(Fault("refused unasked".to_owned()));
        };
        self.forget(request);
        let taken: u64 = watch.peaks.iter().sum();
        if taken + amount <= watch.limit_min {
            return Err(Fault(format!("refused {amount}, and {taken} of {} were taken: {watch:?}", watch.limit_min)));
        }
        Ok(())
    }
}

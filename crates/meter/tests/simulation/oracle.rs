//! What is true, whatever nodes and lender believe: what every request holds and has spent, and so whether a promise is
//! broken.

use std::collections::BTreeMap;

use meter::lease::CellId;

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
    pub(crate) cell: CellId,
    /// Whose request it is.
    pub(crate) node: usize,
    pub(crate) peaks: Vec<u64>,
    pub(crate) limit_min: u64,
}

#[derive(Default)]
pub(crate) struct Oracle {
    nodes: usize,
    pub(crate) cells: BTreeMap<CellId, Truth>,
    /// By request, each for the cells that it lacks.
    pub(crate) watches: BTreeMap<(u64, CellId), Watch>,
}

impl Oracle {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// The truth of a cell whose limit is `limit` now.
    pub(crate) fn cell(&mut self, cell: CellId, limit: u64) -> &mut Truth {
        let nodes = self.nodes;
        let truth = self.cells.entry(cell).or_insert_with(|| Truth { used: vec![0; nodes], ..Truth::default() });
        truth.limit_max = truth.limit_max.max(limit);
        truth
    }

    /// A request of a node holds so much more.
    pub(crate) fn reserves(&mut self, (cell, limit): (CellId, u64), node: usize, amount: u64) -> Checked {
        let truth = self.cell(cell, limit);
        truth.used[node] += amount;
        let (used, may) = (truth.used.iter().sum::<u64>(), truth.limit_max + truth.beyond);
        let peak = truth.used[node];
        for watch in self.watches.values_mut().filter(|watch| watch.cell == cell) {
            watch.peaks[node] = watch.peaks[node].max(peak);
        }
        if amount > 0 && used > may {
            return Err(Fault(format!("overspent: {used} of {may} in {cell:?}")));
        }
        Ok(())
    }

    /// A request of a node is over: of what it held it has spent `spent`.
    pub(crate) fn settles(&mut self, cell: CellId, node: usize, (held, spent): (u64, u64)) {
        if let Some(truth) = self.cells.get_mut(&cell) {
            truth.used[node] -= held - spent;
            truth.spent += spent;
        }
    }

    pub(crate) fn watch(&mut self, request: u64, node: usize, (cell, limit): (CellId, u64)) {
        let peaks = self.cell(cell, limit).used.clone();
        self.watches.entry((request, cell)).or_insert(Watch { cell, node, peaks, limit_min: limit });
    }

    /// A request waits no more.
    pub(crate) fn forget(&mut self, request: u64) {
        self.watches.retain(|(of, _), _| *of != request);
    }

    /// What nodes keep from the others (`stranded`, by node), when a node was told that nothing can be had.
    pub(crate) fn strands(&mut self, cell: CellId, node: usize, stranded: &[u64]) {
        for watch in self.watches.values_mut().filter(|watch| watch.cell == cell && watch.node == node) {
            for (peak, stranded) in watch.peaks.iter_mut().zip(stranded) {
                *peak = (*peak).max(*stranded);
            }
        }
    }

    pub(crate) fn limit(&mut self, of: impl Fn(CellId) -> bool, limit: u64) {
        for (_, truth) in self.cells.iter_mut().filter(|(cell, _)| of(**cell)) {
            truth.limit_max = truth.limit_max.max(limit);
        }
        for watch in self.watches.values_mut().filter(|watch| of(watch.cell)) {
            watch.limit_min = watch.limit_min.min(limit);
        }
    }

    /// A request for `amount` was refused for good: every unit that it would have needed was used or stranded at some
    /// instant since it came.
    pub(crate) fn refuses(&mut self, request: u64, (cell, amount): (CellId, u64)) -> Checked {
        let Some(watch) = self.watches.remove(&(request, cell)) else {
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

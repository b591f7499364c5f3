//! The combinations of faults and states that the simulation has covered.

use std::fmt;

pub(crate) const FAULTS: [&str; 15] = [
    "request lost",
    "request late",
    "request duplicated",
    "reply lost",
    "reply late",
    "reply duplicated",
    "crash",
    "freeze",
    "thaw late",
    "server paused",
    "server restored",
    "clock jumps",
    "midnight",
    "limit changed",
    "reclaimed",
];
pub(crate) const STATES: [&str; 8] =
    ["idle", "reserved", "sent", "waiting", "unanswered", "recalled", "past deadline", "exhausted"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    RequestLost,
    RequestLate,
    RequestDuplicated,
    ReplyLost,
    ReplyLate,
    ReplyDuplicated,
    Crash,
    Freeze,
    ThawLate,
    ServerPaused,
    ServerRestored,
    ClockJumps,
    Midnight,
    LimitChanged,
    Reclaimed,
}

/// The number of times that each fault happened in each state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    pub(crate) counts: [[u64; STATES.len()]; FAULTS.len()],
    pub(crate) admitted: u64,
    pub(crate) used_up: u64,
    pub(crate) withheld: u64,
    pub(crate) steps: u64,
}

impl Coverage {
    pub(crate) fn hit(&mut self, hit: Hit, states: [bool; STATES.len()]) {
        for (count, met) in self.counts[hit as usize].iter_mut().zip(states) {
            *count += u64::from(met);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (row, of) in self.counts.iter_mut().zip(&other.counts) {
            for (count, more) in row.iter_mut().zip(of) {
                *count += more;
            }
        }
        self.admitted += other.admitted;
        self.used_up += other.used_up;
        self.withheld += other.withheld;
        self.steps += other.steps;
    }

    /// Returns the combinations that never happened.
    pub(crate) fn gaps(&self) -> Vec<(&'static str, &'static str)> {
        let pairs = FAULTS
            .iter()
            .zip(&self.counts)
            .flat_map(|(fault, row)| STATES.iter().zip(row).map(move |pair| (fault, pair)));
        pairs.filter(|(_, (_, count))| **count == 0).map(|(fault, (state, _))| (*fault, *state)).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:16}", "fault \\ state")?;
        for state in STATES {
            write!(f, "{state:>14}")?;
        }
        for (fault, row) in FAULTS.iter().zip(&self.counts) {
            write!(f, "\n{fault:16}")?;
            for count in row {
                write!(f, "{count:>14}")?;
            }
        }
        let Self { admitted, used_up, withheld, steps, .. } = self;
        write!(f, "\n{steps} steps: {admitted} requests admitted, {used_up} refused as used up, {withheld} withheld")
    }
}

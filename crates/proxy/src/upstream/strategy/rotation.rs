//! The order in which the backends of an upstream take turns.
//!
//! With equal weights, any run of n requests that one worker sends to n backends reaches each of them once. So over W
//! workers, the counts of two backends differ by at most W.

use std::cell::{Cell, RefCell};

/// The state of round robin. After any number of turns, an entry has had at most one more than its exact share of them,
/// and less than n - 1 fewer, for n entries.
pub(crate) enum Rotation {
    /// All weights are equal: the index of the next backend.
    Even(Cell<usize>),
    Weighted(RefCell<SmoothRotation>),
}

/// Smooth weighted round robin, as in nginx: in a run of as many requests as the sum of the weights, each backend is
/// chosen as often as its weight says, and not in a row.
pub(crate) struct SmoothRotation {
    weights: Box<[i64]>,
    credits: Box<[i64]>,
    total: i64,
}

impl Rotation {
    /// Returns the state for these weights, after `begin` turns.
    pub(crate) fn new(weights: &[u32], begin: usize) -> Self {
        if weights.iter().all(|weight| Some(weight) == weights.first()) {
            return Self::Even(Cell::new(begin % weights.len().max(1)));
        }
        let mut smooth = SmoothRotation {
            weights: weights.iter().map(|weight| i64::from(*weight)).collect(),
            credits: weights.iter().map(|_| 0).collect(),
            total: weights.iter().map(|weight| i64::from(*weight)).sum(),
        };
        for _ in 0..begin % weights.len().max(1) {
            smooth.next();
        }
        Self::Weighted(RefCell::new(smooth))
    }

    /// Returns the index of the next of `len` entries.
    pub(crate) fn next(&self, len: usize) -> usize {
        match self {
            Self::Even(cursor) => {
                let index = cursor.get();
                cursor.set(if index + 1 < len { index + 1 } else { 0 });
                index
            }
            Self::Weighted(smooth) => smooth.borrow_mut().next(),
        }
    }

    /// Returns the index of the next of `len` entries that is not in `except`, if there is one. Entries take turns by
    /// their weights, as far as `len` turns reach them.
    pub(crate) fn next_except(&self, len: usize, except: &[usize]) -> Option<usize> {
        let in_turn = (0..len).map(|_| self.next(len)).find(|index| !except.contains(index));
        in_turn.or_else(|| (0..len).find(|index| !except.contains(index)))
    }
}

impl SmoothRotation {
    fn next(&mut self) -> usize {
        let mut best = 0;
        let mut most = i64::MIN;
        for (index, (credit, weight)) in self.credits.iter_mut().zip(&self.weights).enumerate() {
            *credit += weight;
            if *credit > most {
                (best, most) = (index, *credit);
            }
        }
        if let Some(credit) = self.credits.get_mut(best) {
            *credit -= self.total;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(weights: &[u32], begin: usize, requests: usize) -> Vec<usize> {
        let rotation = Rotation::new(weights, begin);
        (0..requests).map(|_| rotation.next(weights.len())).collect()
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(run(&[1, 1, 1], 0, 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(run(&[5, 5], 3, 3), [1, 0, 1], "begins elsewhere");
        assert_eq!(run(&[1], 4, 2), [0, 0]);
    }

    /// Returns how many of 12 requests begin at each entry, and how many of them then retry at each, if the entries in
    /// `dead` fail.
    fn retried(weights: &[u32], dead: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let rotation = Rotation::new(weights, 0);
        let retries = Rotation::new(weights, 0);
        let mut begun = vec![0; weights.len()];
        let mut moved = vec![0; weights.len()];
        for _ in 0..12 {
            let mut tried = vec![rotation.next(weights.len())];
            begun[tried[0]] += 1;
            while dead.contains(tried.last().unwrap()) {
                let Some(next) = retries.next_except(weights.len(), &tried) else { break };
                moved[next] += 1;
                tried.push(next);
            }
        }
        (begun, moved)
    }

    #[test]
    fn retries_do_not_move_the_rotation_and_take_turns_themselves() {
        assert_eq!(retried(&[1, 1], &[0]), (vec![6, 6], vec![0, 6]));
        assert_eq!(retried(&[1, 1, 1], &[0]), (vec![4, 4, 4], vec![0, 2, 2]));
        assert_eq!(retried(&[1, 1], &[0, 1]), (vec![6, 6], vec![6, 6]));
        assert_eq!(retried(&[3, 1], &[0]), (vec![9, 3], vec![0, 9]));
        assert_eq!(retried(&[1_000, 1], &[0]), (vec![12, 0], vec![0, 12]), "its turn is far away");
    }

    #[test]
    fn a_share_is_exact_but_for_one_more_and_few_less() {
        for weights in [&[95, 5][..], &[1_000_000, 1], &[1, 1, 1, 1_000], &[7, 1, 1, 1, 1, 1, 1], &[3, 5, 8, 13, 21]] {
            let total = f64::from(weights.iter().sum::<u32>());
            let mut counts = vec![0.0; weights.len()];
            let rotation = Rotation::new(weights, 0);
            for turns in 1..=5_000 {
                counts[rotation.next(weights.len())] += 1.0;
                for (count, weight) in counts.iter().zip(weights) {
                    let more = count - f64::from(turns) * f64::from(*weight) / total;
                    let less_max = weights.len() as f64 - 1.0;
                    assert!(more <= 1.0 && -more <= less_max, "{weights:?} {turns} {more}");
                }
            }
        }
    }

    #[test]
    fn a_weight_is_the_share_in_each_whole_round() {
        assert_eq!(run(&[5, 1, 1], 0, 7), [0, 0, 1, 0, 2, 0, 0], "as nginx");
        for weights in [&[1, 2][..], &[3, 2, 1], &[1_000, 1], &[7, 7, 1, 1_000]] {
            let round: u32 = weights.iter().sum();
            for begin in 0..3 {
                let chosen = run(weights, begin, round as usize * 3);
                for (index, weight) in weights.iter().enumerate() {
                    let times = chosen.iter().filter(|chosen| **chosen == index).count();
                    assert_eq!(times, *weight as usize * 3, "{weights:?} {index}");
                }
            }
        }
    }
}

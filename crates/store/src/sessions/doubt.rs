//! Renewals of which nobody knows whether they were kept.
//!
//! A commit whose answer was lost, or a call that was dropped while it waited for one, may have used a refresh token whose
//! successor nobody was told. The token then comes again from who was told to try again, and must not pass for stolen. A
//! process remembers its own such renewals; where another node is asked instead, or this one was started again, the token
//! passes for stolen, and its owner signs in anew.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use access::TicketHash;

/// Renewals remembered at once; the oldest is forgotten first.
const DOUBTS_MAX: usize = 1_024;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Doubts(Mutex<VecDeque<Doubt>>);

#[derive(Debug, Clone, Copy)]
struct Doubt {
    presented: TicketHash,
    untold: TicketHash,
}

/// A renewal whose commit is under way: no doubt yet, for whoever presents the same token meanwhile is somebody else.
/// Dropped before it is [settled](Self::settle), it is one from then on.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    doubts: &'a Doubts,
    renewal: Option<Doubt>,
}

impl Doubts {
    /// `presented` is about to be used up for `untold`.
    pub(crate) const fn begin(&self, presented: TicketHash, untold: TicketHash) -> UnderWay<'_> {
        UnderWay { doubts: self, renewal: Some(Doubt { presented, untold }) }
    }

    /// The successors of `presented` that nobody was told, newest first.
    pub(crate) fn untold(&self, presented: TicketHash) -> Vec<TicketHash> {
        let doubts = self.lock();
        doubts.iter().rev().filter(|doubt| doubt.presented == presented).map(|doubt| doubt.untold).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Doubt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay<'_> {
    /// It was kept: when the presented token comes again, its successor was told.
    pub(crate) fn settle(mut self) {
        if let Some(Doubt { presented, .. }) = self.renewal.take() {
            self.doubts.lock().retain(|doubt| doubt.presented != presented);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Some(doubt) = self.renewal else { return };
        let mut doubts = self.doubts.lock();
        while doubts.len() >= DOUBTS_MAX {
            doubts.pop_front();
        }
        doubts.push_back(doubt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn hash(n: u8) -> TicketHash {
        TicketHash([n; 32])
    }

    #[test]
    fn what_is_in_doubt_is_known_until_it_is_settled() {
        let doubts = Doubts::default();
        drop(doubts.begin(hash(1), hash(2)));
        drop(doubts.begin(hash(1), hash(3)));
        drop(doubts.begin(hash(4), hash(5)));
        assert_eq!(doubts.untold(hash(1)), [hash(3), hash(2)]);
        doubts.begin(hash(1), hash(6)).settle();
        assert_eq!((doubts.untold(hash(1)), doubts.untold(hash(4))), (Vec::new(), vec![hash(5)]));
    }

    #[test]
    fn what_is_under_way_is_no_doubt() {
        let doubts = Doubts::default();
        let under_way = doubts.begin(hash(1), hash(2));
        assert_eq!(doubts.untold(hash(1)), []);
        drop(under_way);
        assert_eq!(doubts.untold(hash(1)), [hash(2)]);
    }

    #[test]
    fn doubts_are_bounded() {
        let doubts = Doubts::default();
        drop(doubts.begin(hash(1), hash(2)));
        for _ in 0..DOUBTS_MAX {
            drop(doubts.begin(hash(3), hash(4)));
        }
        assert_eq!((doubts.untold(hash(1)).len(), doubts.untold(hash(3)).len()), (0, DOUBTS_MAX));
    }
}

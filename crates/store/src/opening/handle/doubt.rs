//! Renewals of sessions whose commit has an unknown outcome.
//!
//! A lost response to the commit, or a request that was dropped while it waited for one, may leave a refresh token used
//! although no client received its successor. The client then presents the token again, as the error advised, and this
//! must not count as theft. Each process remembers its own such renewals. If the client reaches another node, or this
//! node was restarted, the token counts as stolen, and its owner must sign in again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use access::TicketHash;

/// Maximum number of remembered renewals; the oldest is dropped first.
const DOUBTS_MAX: usize = 1_024;

/// Renewals that this process remembers.
#[derive(Debug, Default)]
pub(crate) struct UncertainRenewals(Mutex<VecDeque<UncertainRenewal>>);

#[derive(Debug, Clone, Copy)]
struct UncertainRenewal {
    presented: TicketHash,
    unreported: TicketHash,
}

/// A renewal during its commit. It is not remembered yet, because a concurrent request with the same token comes from
/// another client. If it is dropped before it is [settled](Self::settle), it is remembered from then on.
#[derive(Debug)]
pub(crate) struct RenewalGuard<'a> {
    doubts: &'a UncertainRenewals,
    renewal: Option<UncertainRenewal>,
}

impl UncertainRenewals {
    /// Begins a renewal that uses `presented` and replaces it by `unreported`.
    pub(crate) const fn begin(&self, presented: TicketHash, unreported: TicketHash) -> RenewalGuard<'_> {
        RenewalGuard { doubts: self, renewal: Some(UncertainRenewal { presented, unreported }) }
    }

    /// Returns the successors of `presented` that no client received, newest first.
    pub(crate) fn unreported(&self, presented: TicketHash) -> Vec<TicketHash> {
        let doubts = self.lock();
        doubts.iter().rev().filter(|doubt| doubt.presented == presented).map(|doubt| doubt.unreported).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<UncertainRenewal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RenewalGuard<'_> {
    /// Forgets the renewal, because it was committed: a client has received the successor of the presented token.
    pub(crate) fn settle(mut self) {
        if let Some(UncertainRenewal { presented, .. }) = self.renewal.take() {
            self.doubts.lock().retain(|doubt| doubt.presented != presented);
        }
    }
}

impl Drop for RenewalGuard<'_> {
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
        let doubts = UncertainRenewals::default();
        drop(doubts.begin(hash(1), hash(2)));
        drop(doubts.begin(hash(1), hash(3)));
        drop(doubts.begin(hash(4), hash(5)));
        assert_eq!(doubts.unreported(hash(1)), [hash(3), hash(2)]);
        doubts.begin(hash(1), hash(6)).settle();
        assert_eq!((doubts.unreported(hash(1)), doubts.unreported(hash(4))), (Vec::new(), vec![hash(5)]));
    }

    #[test]
    fn what_is_under_way_is_no_doubt() {
        let doubts = UncertainRenewals::default();
        let under_way = doubts.begin(hash(1), hash(2));
        assert_eq!(doubts.unreported(hash(1)), []);
        drop(under_way);
        assert_eq!(doubts.unreported(hash(1)), [hash(2)]);
    }

    #[test]
    fn doubts_are_bounded() {
        let doubts = UncertainRenewals::default();
        drop(doubts.begin(hash(1), hash(2)));
        for _ in 0..DOUBTS_MAX {
            drop(doubts.begin(hash(3), hash(4)));
        }
        assert_eq!((doubts.unreported(hash(1)).len(), doubts.unreported(hash(3)).len()), (0, DOUBTS_MAX));
    }
}

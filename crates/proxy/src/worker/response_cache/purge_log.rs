//! The last purges of all nodes, in the order of their numbers.

use std::collections::VecDeque;

use telemetry::{CachePurge, PurgeTarget};

use super::memory::PurgeScope;
use super::stored::StoredResponse;

/// The id of a purge, which no other store has.
pub(crate) type PurgeId = [u8; 16];

/// Maximum number of purges in the log. Responses in Redis from before these are not used.
const PURGES_MAX: usize = 1_000;

/// The last purges, without a gap between their numbers.
#[derive(Debug, Default)]
pub(super) struct PurgeLog(VecDeque<CachePurge>);

/// The relation of a purge to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PurgeOrder {
    /// It is the next purge, or the first one that this process learns of.
    Next,
    /// It was applied already.
    Known,
    /// Purges before it are unknown, because the store has deleted them.
    AfterGap,
}

impl PurgeLog {
    /// Notes a purge. After a gap, the log begins again.
    pub(super) fn note(&mut self, purge: &CachePurge) -> PurgeOrder {
        let order = match self.last() {
            None => PurgeOrder::Next,
            Some(last) if purge.number <= last.number => return PurgeOrder::Known,
            Some(last) if purge.number == last.number.saturating_add(1) => PurgeOrder::Next,
            Some(_) => PurgeOrder::AfterGap,
        };
        if order == PurgeOrder::AfterGap {
            self.0.clear();
        }
        if self.0.len() >= PURGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(purge.clone());
        order
    }

    /// Whether a response, which was requested after the purge `since`, remains after all later ones. If that purge is unknown,
    /// it does not: it is too old, or that of another store.
    pub(super) fn keeps(&self, since: &PurgeId, key: &[u8], response: &StoredResponse) -> bool {
        for purge in self.0.iter().rev() {
            if purge.id == *since {
                return true;
            }
            let purged = purged(&purge.target);
            if purged.is_some_and(|purged| key.starts_with(&purged.start()) && purged.concerns(response)) {
                return false;
            }
        }
        false
    }

    /// Returns the last purge.
    pub(super) fn last(&self) -> Option<&CachePurge> {
        self.0.back()
    }
}

/// Returns the responses that a purge concerns; `None` if it concerns none.
pub(super) fn purged(target: &PurgeTarget) -> Option<PurgeScope<'_>> {
    match target {
        PurgeTarget::Url(url) => Some(PurgeScope::Url(url.as_bytes())),
        PurgeTarget::Prefix(prefix) => Some(PurgeScope::Prefix(prefix.as_bytes())),
        PurgeTarget::Tag(tag) => Some(PurgeScope::Tag(tag.as_bytes())),
        PurgeTarget::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purge(number: u64) -> CachePurge {
        CachePurge { number, id: u128::from(number).to_be_bytes(), target: PurgeTarget::Nothing, soft: false }
    }

    #[test]
    fn purges_are_noted_once_and_gaps_are_noticed() {
        let mut log = PurgeLog::default();
        for (number, order) in [
            (7, PurgeOrder::Next),
            (8, PurgeOrder::Next),
            (8, PurgeOrder::Known),
            (7, PurgeOrder::Known),
            (9, PurgeOrder::Next),
            (11, PurgeOrder::AfterGap),
        ] {
            assert_eq!(log.note(&purge(number)), order, "{number}");
        }
        assert_eq!(log.0.iter().map(|purge| purge.number).collect::<Vec<_>>(), [11]);
        (12..2_000).for_each(|number| assert_eq!(log.note(&purge(number)), PurgeOrder::Next));
        assert_eq!((log.0.len(), log.last().map(|purge| purge.number)), (PURGES_MAX, Some(1_999)));
    }
}

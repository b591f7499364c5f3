//! The list of a source that is in force.

use std::sync::Arc;
use std::time::Duration;

use access::Mono;

use super::source::FoundMember;

/// The time for which a source must report an empty list before it is in force.
pub(super) const EMPTY_FOR: Duration = Duration::from_secs(30);

/// The list of a source that is in force, and a pending empty one.
#[derive(Debug, Default)]
pub(super) struct ListInForce {
    pub(super) members: Option<Arc<[FoundMember]>>,
    empty_since: Option<Mono>,
}

impl ListInForce {
    /// Returns a list that an earlier run has stored.
    pub(super) fn stored(members: Option<Arc<[FoundMember]>>) -> Self {
        Self { members, empty_since: None }
    }

    /// Returns whether the list that a source has reported is to be in force at `now`. `is_failing` means that the source does
    /// not respond: an empty list is then not confirmed.
    pub(super) fn is_due(&mut self, reported: &Arc<[FoundMember]>, is_failing: bool, now: Mono) -> bool {
        let Some(known) = &self.members else { return true };
        if known == reported {
            self.empty_since = None;
            return false;
        }
        if !reported.is_empty() {
            self.empty_since = None;
            return true;
        }
        if is_failing {
            self.empty_since = None;
            return false;
        }
        now.since(*self.empty_since.get_or_insert(now)) >= EMPTY_FOR
    }

    /// Puts a list into force.
    pub(super) fn set(&mut self, members: Arc<[FoundMember]>) {
        *self = Self { members: Some(members), empty_since: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ports: &[u16]) -> Arc<[FoundMember]> {
        let member = |port: &u16| FoundMember {
            host: "h".to_owned(),
            port: *port,
            url: None,
            is_address: false,
            name: None,
            weight: None,
        };
        ports.iter().map(member).collect()
    }

    fn time_at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds).as_nanos().try_into().unwrap())
    }

    #[test]
    fn an_empty_list_is_in_force_only_after_it_has_lasted() {
        let mut in_force = ListInForce::default();
        assert!(in_force.is_due(&list(&[]), false, time_at(0)), "nothing is lost by a first empty list");
        in_force.set(list(&[1, 2]));
        for (reported, is_failing, second, expected) in [
            (&[1, 2][..], false, 0, false),
            (&[1], false, 1, true),
            (&[], false, 2, false),
            (&[], false, 31, false),
            (&[1, 2], false, 32, false),
            (&[], false, 33, false),
            (&[], false, 62, false),
            (&[], true, 63, false),
            (&[], false, 64, false),
            (&[], false, 93, false),
            (&[], false, 94, true),
        ] {
            assert_eq!(in_force.is_due(&list(reported), is_failing, time_at(second)), expected, "{second}");
        }
    }
}

//! The groups of several slices of a day, added up.

use std::collections::HashMap;

use access::ClientProgram;
use meter::ToolUse;

use super::event_group::{EVENT_GROUPS_MAX, EventGroup, ReachedBounds};

/// The metadata of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct GroupKey {
    route: Option<String>,
    format: Option<String>,
    model: Option<String>,
    streamed: bool,
    status: u16,
    refusal: Option<String>,
    outcome: String,
    client: ClientProgram,
    tools: Option<ToolUse>,
    reached: ReachedBounds,
}

/// Groups by their metadata.
#[derive(Debug, Default)]
pub(super) struct MergedGroups(HashMap<GroupKey, EventGroup>);

impl MergedGroups {
    /// Adds the groups of a slice.
    pub(super) fn add_all(&mut self, groups: Vec<EventGroup>) {
        for group in groups {
            match self.0.entry(GroupKey::from_group(&group)) {
                std::collections::hash_map::Entry::Vacant(free) => drop(free.insert(group)),
                std::collections::hash_map::Entry::Occupied(mut of) => of.get_mut().add(&group),
            }
        }
        if self.0.len() > 2 * EVENT_GROUPS_MAX {
            let kept = std::mem::take(self).into_groups();
            self.0 = kept.into_iter().map(|group| (GroupKey::from_group(&group), group)).collect();
        }
    }

    /// Removes the requests whose model called a tool. Returns whether there were any.
    pub(super) fn remove_called(&mut self) -> bool {
        let before = self.0.len();
        self.0.retain(|key, _| key.tools != Some(ToolUse::Called));
        self.0.len() < before
    }

    /// Returns the largest groups, in the order of their size.
    pub(super) fn into_groups(self) -> Vec<EventGroup> {
        let mut groups: Vec<EventGroup> = self.0.into_values().collect();
        groups.sort_unstable_by(|a, b| b.requests.cmp(&a.requests).then(a.ids.cmp(&b.ids)));
        groups.truncate(EVENT_GROUPS_MAX);
        groups
    }
}

impl GroupKey {
    fn from_group(group: &EventGroup) -> Self {
        Self {
            route: group.route.clone(),
            format: group.format.clone(),
            model: group.model.clone(),
            streamed: group.streamed,
            status: group.status,
            refusal: group.refusal.clone(),
            outcome: group.outcome.clone(),
            client: group.client,
            tools: group.tools,
            reached: group.reached(),
        }
    }
}

#[cfg(test)]
mod tests {
    use access::RequestId;
    use meter::RequestResult;
    use uuid::Uuid;

    use super::*;

    fn group(nth: usize, requests: u64) -> EventGroup {
        EventGroup {
            route: None,
            format: None,
            model: Some(nth.to_string()),
            streamed: false,
            status: 200,
            refusal: None,
            outcome: "completed".to_owned(),
            result: RequestResult::Succeeded,
            input_bounds: 0,
            key_bounds: 0,
            client: ClientProgram::Unknown,
            tools: None,
            session_bounds: None,
            interval_bounds: None,
            requests,
            tokens: 0,
            cost_nano: 0,
            ids: [RequestId(Uuid::from_u128(1)); 2],
            between: None,
        }
    }

    #[test]
    fn the_largest_groups_remain_in_memory() {
        let mut merged = MergedGroups::default();
        merged.add_all((0..2 * EVENT_GROUPS_MAX).map(|nth| group(nth, 1)).collect());
        assert_eq!(merged.0.len(), 2 * EVENT_GROUPS_MAX);
        merged.add_all(vec![group(0, 4), group(2 * EVENT_GROUPS_MAX, 3)]);
        assert_eq!(merged.0.len(), EVENT_GROUPS_MAX);
        let kept: Vec<u64> = merged.into_groups().iter().take(3).map(|group| group.requests).collect();
        assert_eq!(kept, [5, 3, 1]);
    }
}

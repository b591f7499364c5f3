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
            match self.0.entry(GroupKey::of(&group)) {
                std::collections::hash_map::Entry::Vacant(free) => drop(free.insert(group)),
                std::collections::hash_map::Entry::Occupied(mut of) => of.get_mut().add(&group),
            }
        }
        if self.0.len() > 2 * EVENT_GROUPS_MAX {
            let kept = std::mem::take(self).into_groups();
            self.0 = kept.into_iter().map(|group| (GroupKey::of(&group), group)).collect();
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
    fn of(group: &EventGroup) -> Self {
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

//! The sums of groups, divided by key and session: bounds that depend on the whole day apply to them later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use meter::{RequestResult, ToolUse};
use store::DatabaseError;
use store::sql::StoreKind;
use uuid::Uuid;

use super::SumsOf;
use super::reader::Reader;
use crate::usage::days::event_group::{EventGroup, GroupSums, ReachedBounds};
use crate::usage::days::groups::{self, GroupBounds, GroupRow, GroupedEvents};
use crate::usage::days::merged_groups::{GroupKey, MergedGroups};
use crate::usage::days::scope::DayUsageOf;
use crate::usage::days::slices::DaySlice;

/// The sums of events by their metadata, key and session.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupParts {
    /// The metadata of groups; their sums have no meaning.
    metadata: Vec<EventGroup>,
    /// The position of each metadata.
    positions: HashMap<GroupKey, u32>,
    parts: HashMap<PartKey, GroupSums>,
    events: u64,
}

/// A part of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PartKey {
    /// The position of the metadata.
    metadata: u32,
    /// The number of the key; `None` without a key.
    key: Option<i64>,
    session: Option<Uuid>,
}

#[derive(sqlx_macros::FromRow)]
struct PartRow {
    #[sqlx(flatten)]
    group: GroupRow,
    part_key: Option<i64>,
    part_session: Option<Uuid>,
}

/// Builds the query for the parts of the groups of a slice.
pub(super) fn text(of: DayUsageOf, kind: StoreKind, input_tokens: &[u64]) -> String {
    groups::events(of, kind, GroupBounds { input_tokens, ..GroupBounds::default() }, GroupedEvents::Parts)
}

impl GroupParts {
    /// Reads the events of a slice.
    pub(super) async fn read(reader: &mut Reader<'_>, of: &SumsOf, slice: DaySlice) -> Result<Self, DatabaseError> {
        let text = text(of.of, reader.kind(), &of.input_tokens);
        let query = slice.bind(of.of.bind(reader.query(text)));
        let mut parts = Self::default();
        for PartRow { group, part_key, part_session } in query.all::<PartRow>().await? {
            let group = EventGroup::from(group);
            let metadata = parts.position(&group);
            parts.add_part(PartKey { metadata, key: part_key, session: part_session }, &group.sums());
        }
        Ok(parts)
    }

    /// Adds the sums of other events.
    pub(super) fn add(&mut self, more: &Self) {
        let positions: Vec<u32> = more.metadata.iter().map(|group| self.position(group)).collect();
        for (part, sums) in &more.parts {
            let at = usize::try_from(part.metadata).ok().and_then(|at| positions.get(at));
            if let Some(metadata) = at {
                self.add_part(PartKey { metadata: *metadata, ..*part }, sums);
            }
        }
    }

    /// The number of events.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// The number of parts.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the number of LLM requests of each key that were not refused.
    pub(super) fn made_by_key(&self) -> HashMap<i64, u64> {
        let mut made: HashMap<i64, u64> = HashMap::new();
        for (part, sums) in &self.parts {
            let is_made = |group: &EventGroup| group.format.is_some() && group.result != RequestResult::Refused;
            if let Some(key) = part.key
                && self.metadata_of(*part).is_some_and(is_made)
            {
                let of = made.entry(key).or_insert(0);
                *of = of.saturating_add(sums.requests);
            }
        }
        made
    }

    /// Returns the groups by metadata and bounds, the largest first. `made`: the LLM requests of keys that were not refused.
    pub(super) fn groups(&self, bounds: GroupBounds<'_>, made: &HashMap<i64, u64>) -> Vec<EventGroup> {
        let sent = if bounds.requests_per_session.is_empty() { HashMap::new() } else { self.sent_by_session() };
        let mut sums_of: HashMap<(u32, ReachedBounds), GroupSums> = HashMap::new();
        for (part, sums) in &self.parts {
            let Some(group) = self.metadata_of(*part) else { continue };
            let has_sessions = !bounds.requests_per_session.is_empty()
                && (!bounds.sessions_of_called || group.tools == Some(ToolUse::Called));
            let reached = ReachedBounds {
                input: if bounds.input_tokens.is_empty() { 0 } else { group.input_bounds },
                key: match (part.session, part.key) {
                    (None, Some(key)) => reached(bounds.requests_per_key, made.get(&key)),
                    (Some(_), _) | (None, None) => 0,
                },
                session: match part.session {
                    Some(session) if has_sessions => Some(reached(bounds.requests_per_session, sent.get(&session))),
                    Some(_) | None => None,
                },
                interval: None,
            };
            match sums_of.entry((part.metadata, reached)) {
                Entry::Vacant(free) => drop(free.insert(*sums)),
                Entry::Occupied(mut of) => of.get_mut().add(sums),
            }
        }
        let group_of = |((metadata, reached), sums): ((u32, ReachedBounds), GroupSums)| {
            let metadata = self.metadata.get(usize::try_from(metadata).ok()?)?;
            Some(metadata.clone().with(reached, sums))
        };
        let mut merged = MergedGroups::default();
        merged.add_all(sums_of.into_iter().filter_map(group_of).collect());
        merged.into_groups()
    }

    /// Returns the number of requests of each session.
    fn sent_by_session(&self) -> HashMap<Uuid, u64> {
        let mut sent: HashMap<Uuid, u64> = HashMap::new();
        for (part, sums) in &self.parts {
            if let Some(session) = part.session {
                let of = sent.entry(session).or_insert(0);
                *of = of.saturating_add(sums.requests);
            }
        }
        sent
    }

    fn metadata_of(&self, part: PartKey) -> Option<&EventGroup> {
        self.metadata.get(usize::try_from(part.metadata).ok()?)
    }

    /// Returns the position of the metadata of a group, which is added if it is new.
    fn position(&mut self, group: &EventGroup) -> u32 {
        let next = u32::try_from(self.metadata.len()).unwrap_or(u32::MAX);
        match self.positions.entry(GroupKey::of(group)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                free.insert(next);
                self.metadata.push(group.clone());
                next
            }
        }
    }

    fn add_part(&mut self, part: PartKey, sums: &GroupSums) {
        self.events = self.events.saturating_add(sums.requests);
        match self.parts.entry(part) {
            Entry::Vacant(free) => drop(free.insert(*sums)),
            Entry::Occupied(mut of) => of.get_mut().add(sums),
        }
    }
}

/// Returns the number of ascending bounds that a number reaches.
fn reached(bounds: &[u64], number: Option<&u64>) -> usize {
    let number = number.copied().unwrap_or(0);
    bounds.iter().filter(|bound| number >= **bound).count()
}

//! The progress of usage into the store, over all nodes.

use std::time::Duration;

use access::{Day, Timestamp};
use insights::NodeIngest;
use insights::figures::day::rfc3339;
use store::NodeProgress;

/// A node whose last report is older is dead; it reports every second.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// The progress of all nodes whose usage may be incomplete.
#[derive(Debug, Clone)]
pub(crate) struct IngestProgress {
    nodes: Vec<NodeProgress>,
    now: Timestamp,
}

impl IngestProgress {
    /// Takes the nodes that ever used the store. Nodes that ended after all their usage was stored are complete.
    pub(crate) fn new(nodes: Vec<NodeProgress>, now: Timestamp) -> Self {
        Self { nodes: nodes.into_iter().filter(|node| !node.has_left_nothing()).collect(), now }
    }

    /// The time before which all usage is stored; `None` if a node has not reported it yet.
    pub(crate) fn complete_until(&self) -> Option<Timestamp> {
        let mut until = self.now;
        for node in &self.nodes {
            until = until.min(node.ingested_until?);
        }
        Some(until)
    }

    /// Whether the day is over and all its usage is stored.
    pub(crate) fn is_complete(&self, day: Day) -> bool {
        self.complete_until().is_some_and(|until| until >= day.next().start())
    }

    /// The number of nodes whose usage before a time is not stored.
    pub(crate) fn behind(&self, time: Timestamp) -> usize {
        self.nodes.iter().filter(|node| node.ingested_until.is_none_or(|until| until < time)).count()
    }

    /// The number of records in all spools.
    pub(crate) fn spooled(&self) -> u64 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.depth.records))
    }

    /// The time of the oldest record in a spool.
    pub(crate) fn oldest_unsent(&self) -> Option<Timestamp> {
        self.nodes.iter().filter_map(|node| node.depth.oldest).min()
    }

    /// The largest delay between the end of a request and its storage.
    pub(crate) fn lag(&self) -> Duration {
        self.nodes.iter().map(|node| node.depth.ingest_lag).max().unwrap_or_default()
    }

    /// The state of each node.
    pub(crate) fn nodes(&self) -> Vec<NodeIngest> {
        let view = |node: &NodeProgress| NodeIngest {
            id: node.id,
            version: node.version.clone(),
            state: if self.is_live(node) { "live" } else { "dead" }.to_owned(),
            seen_at: rfc3339(node.seen_at),
            ingested_until: node.ingested_until.map(rfc3339),
            spooled: node.depth.records,
            oldest_unsent_at: node.depth.oldest.map(rfc3339),
        };
        self.nodes.iter().map(view).collect()
    }

    fn is_live(&self, node: &NodeProgress) -> bool {
        node.left_at.is_none() && node.seen_at.after(DEAD_AFTER) >= self.now
    }
}

#[cfg(test)]
mod tests {
    use store::SpooledUsage;
    use uuid::Uuid;

    use super::*;

    const DAY: Day = Day(20_778);

    fn node(ingested_until: Option<Timestamp>, left_at: Option<Timestamp>, records: u64) -> NodeProgress {
        NodeProgress {
            id: Uuid::nil(),
            version: "1".to_owned(),
            seen_at: DAY.start(),
            left_at,
            ingested_until,
            depth: SpooledUsage { records, oldest: None, ingest_lag: Duration::from_millis(records) },
        }
    }

    #[test]
    fn a_day_is_complete_when_each_node_has_stored_its_usage() {
        let end = DAY.next().start();
        let before = end.before(Duration::from_secs(5));
        let now = end.after(Duration::from_secs(60));
        for (nodes, complete) in [
            (vec![], true),
            (vec![node(Some(end), None, 0)], true),
            (vec![node(Some(end), None, 0), node(Some(before), None, 0)], false),
            (vec![node(None, None, 0)], false),
            // It ended after its usage was stored.
            (vec![node(Some(before), Some(before), 0)], true),
            // It ended with usage in its spool.
            (vec![node(Some(before), Some(before), 3)], false),
            (vec![node(Some(DAY.start()), Some(before), 0)], false),
        ] {
            let progress = IngestProgress::new(nodes.clone(), now);
            assert_eq!(progress.is_complete(DAY), complete, "{nodes:?}");
        }
        assert!(!IngestProgress::new(Vec::new(), before).is_complete(DAY));
    }

    #[test]
    fn spools_are_added_up() {
        let progress = IngestProgress::new(vec![node(None, None, 2), node(None, None, 5)], DAY.start());
        assert_eq!((progress.spooled(), progress.lag()), (7, Duration::from_millis(5)));
        assert_eq!(progress.nodes()[0].state, "live");
        let later = IngestProgress::new(vec![node(None, None, 2)], DAY.start().after(Duration::from_secs(11)));
        assert_eq!(later.nodes()[0].state, "dead");
    }
}

//! The job that decides whether this node is ready: keys can be looked up, the spool has room, and the store is reached.
//!
//! A node that does not reach the store cannot know from it whether others do. With Redis, each node that reaches the store
//! writes a beat there, which expires; a node without the store reads it. So nodes never fail all at once, unless
//! `readiness.store_outage` demands it.

use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Mono, Revision};
use cluster::windows::Windows;
use config::Live;
use config::snapshot::{ReadinessSettings, StoreOutage};
use jobs::{Job, JobError, JobSpec, NextRun};
use spool::BacklogCounter;
use telemetry::LiveState;

pub(super) const SPEC: JobSpec = JobSpec::every("readiness", Duration::from_millis(250));
/// The name of the beat in Redis.
const BEAT: &str = "store_beat";
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Longest time for which a beat proves that a node reaches the store. It is at most `readiness.after` at least, so that a
/// node that has failed does not see its own beat.
const BEAT_TTL: Duration = Duration::from_secs(2);

/// The parts of this process on which its readiness depends.
#[derive(Clone)]
pub(super) struct Readiness {
    pub(super) live_state: Arc<LiveState>,
    pub(super) live: Arc<Live>,
    pub(super) revision: Arc<Revision>,
    pub(super) clock: Clock,
    pub(super) windows: Windows,
    /// The spool; `None` in a process without a proxy.
    pub(super) backlog: Option<BacklogCounter>,
    pub(super) beaten_at: Option<Mono>,
}

impl Readiness {
    async fn is_cut_off(&mut self) -> bool {
        let now = self.clock.mono();
        let rule = self.live.load().process.readiness;
        let without_store = self.revision.age(now);
        if without_store < BEAT_EVERY {
            if self.beaten_at.is_none_or(|at| now.since(at) >= BEAT_EVERY) {
                self.beaten_at = Some(now);
                self.windows.keep_response(BEAT, b"1", BEAT_TTL).await;
            }
            return false;
        }
        let lasts = without_store >= rule.after;
        let others_beat =
            lasts && rule.store_outage == StoreOutage::Stay && self.windows.response(BEAT).await.is_some();
        is_cut_off(rule, without_store, others_beat)
    }
}

/// Whether other nodes should get the requests of a node that has not reached the store for this time.
fn is_cut_off(rule: ReadinessSettings, without_store: Duration, others_beat: bool) -> bool {
    let is_told = match rule.store_outage {
        StoreOutage::Fail => true,
        StoreOutage::Stay => others_beat,
    };
    is_told && without_store >= rule.after
}

impl Job for Readiness {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let stale_for = self.live.load().process.store.stale_for;
        self.live_state.set_directory(self.revision.age(self.clock.mono()) < stale_for);
        self.live_state.set_spool_full(self.backlog.as_ref().is_some_and(BacklogCounter::lacks_room));
        let is_cut_off = self.is_cut_off().await;
        self.live_state.set_cut_off(is_cut_off);
        Ok(NextRun::Period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_fails_alone_or_as_configured_and_only_after_a_time() {
        const SECOND: Duration = Duration::from_secs(1);
        for (store_outage, seconds, others_beat, expected) in [
            (StoreOutage::Stay, 60, false, false),
            (StoreOutage::Stay, 9, true, false),
            (StoreOutage::Stay, 10, true, true),
            (StoreOutage::Fail, 9, true, false),
            (StoreOutage::Fail, 10, false, true),
        ] {
            let rule = ReadinessSettings { store_outage, after: 10 * SECOND };
            assert_eq!(is_cut_off(rule, seconds * SECOND, others_beat), expected, "{store_outage:?} {seconds}");
        }
    }
}

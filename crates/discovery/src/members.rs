//! The job that follows the members of upstreams. A task for each source reads it, and the job puts its lists into force.
//!
//! A source that fails keeps its last list, which is on disk for the next start. An empty list must last before it is in
//! force. Lists are replaced at most once a second.

mod consul;
mod dns;
mod etcd;
mod list;
mod observed;
mod source;
mod stored;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Mono, Timestamp};
use jobs::{Job, JobError, JobSpec, NextRun};
use rustls::ClientConfig;
use telemetry::Metrics;
use telemetry::metrics::SourceLabels;
use tokio::task::JoinSet;

use crate::source_error::SourceError;
use list::ListInForce;
use observed::{ObservedSource, SourceResult};
pub use source::{
    FOUND_MAX, FollowedName, FollowedPlace, FollowedPrefix, FollowedService, FollowedSource, FoundMember,
};
use stored::StoredLists;

/// Takes over the lists of sources. A run without a change costs a few comparisons.
pub const SPEC: JobSpec = JobSpec::every("members", Duration::from_millis(100));

/// Minimum time between two changes of lists.
const CHANGE_EVERY: Duration = Duration::from_secs(1);
/// Pause after lists could not be stored.
const STORE_AGAIN: Duration = Duration::from_secs(10);

/// The list of a source that is in force, and the state of the source.
#[derive(Debug, Clone)]
pub struct FollowedList {
    /// The source of the list.
    pub source: FollowedSource,
    /// The members in force; `None` before the first list.
    pub members: Option<Arc<[FoundMember]>>,
    /// When the source last responded; `None` if it has not since the start.
    pub responded_at: Option<Timestamp>,
    /// The reason why the source fails, or why members are left out.
    pub error: Option<Arc<str>>,
}

/// Returns the sources of the current configuration.
type Sources = Arc<dyn Fn() -> Arc<[FollowedSource]> + Send + Sync>;
/// Takes over all lists. It is called in each run; the flag says whether any has changed.
type Publish = Arc<dyn Fn(&[FollowedList], bool) + Send + Sync>;

/// The connection of the job to the rest of the process.
#[derive(Clone)]
pub struct MemberFollowing {
    /// Returns the sources of the current configuration.
    pub sources: Sources,
    /// Takes over all lists. It is called in each run; the flag says whether any has changed.
    pub publish: Publish,
    /// The TLS to servers of sources without their own.
    pub tls: Arc<ClientConfig>,
    /// The file of the lists.
    pub file: PathBuf,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The clock of the process.
    pub clock: Clock,
}

/// The job over all sources of the configuration.
pub struct MemberRefresh {
    following: MemberFollowing,
    followed: HashMap<FollowedSource, Followed>,
    /// The lists of an earlier run of the process, until sources take them over; `None` before they are read.
    stored: Option<StoredLists>,
    changed_at: Option<Mono>,
    /// The time of the last attempt to store the lists, if it failed.
    failed_at: Option<Mono>,
}

/// A source, with the task that reads it. Dropping it ends the task.
struct Followed {
    observed: Arc<ObservedSource>,
    task: JoinSet<()>,
    list: ListInForce,
    shown: SourceResult,
    is_failing: bool,
}

impl MemberRefresh {
    /// Creates the job over all sources.
    #[must_use]
    pub fn new(following: MemberFollowing) -> Self {
        Self { following, followed: HashMap::new(), stored: None, changed_at: None, failed_at: None }
    }

    /// Begins to follow new sources, and ends the others. Returns whether there are any.
    fn follow(&mut self, sources: &[FollowedSource]) -> bool {
        let mut lists = self.stored.take().unwrap_or_default();
        let mut has_changed = false;
        let mut ended = Vec::new();
        self.followed.retain(|source, followed| {
            let is_kept = sources.contains(source);
            if !is_kept {
                has_changed = true;
                ended.push(labels(source));
                // The same source with other settings begins with the list that is in force.
                lists.extend(followed.list.members.take().map(|members| (source.name(), members)));
            }
            is_kept
        });
        for source in sources {
            if !self.followed.contains_key(source) {
                has_changed = true;
                let stored = lists.get(&source.name()).cloned();
                let observed = Arc::new(ObservedSource::new(self.following.clock.clone(), source.allow_link_local));
                let mut followed = Followed {
                    observed,
                    task: JoinSet::new(),
                    list: ListInForce::stored(stored),
                    shown: SourceResult::default(),
                    is_failing: false,
                };
                followed.begin(source, &self.following.tls);
                self.followed.insert(source.clone(), followed);
            }
        }
        self.stored = Some(StoredLists::new());
        if has_changed {
            let used: BTreeSet<_> = sources.iter().map(labels).collect();
            let metrics = &self.following.metrics.sources;
            metrics.members.retain(|labels| used.contains(labels));
            // The key of the configuration is a source too.
            metrics.last_success.retain(|labels| used.contains(labels) || !ended.contains(labels));
        }
        has_changed
    }

    /// Puts the lists that are due into force. Returns whether any list has changed.
    fn take_over(&mut self) -> bool {
        let now = self.following.clock.mono();
        let may_change = self.changed_at.is_none_or(|at| now.since(at) >= CHANGE_EVERY);
        let mut has_changed = false;
        for (source, followed) in &mut self.followed {
            let is_first = followed.list.members.is_none();
            let result = followed.observed.result();
            if let Some(reported) = &result.members
                && followed.list.is_due(reported, result.error.is_some(), now)
                && (is_first || may_change)
            {
                followed.replace(source, reported);
                let labels = labels(source);
                let count = i64::try_from(reported.len()).unwrap_or(i64::MAX);
                self.following.metrics.sources.members.get_or_create(&labels).set(count);
                has_changed = true;
            }
        }
        if has_changed {
            self.changed_at = Some(now);
        }
        has_changed
    }

    /// Reports the states of sources in the log and in the metrics. Returns whether any state has changed.
    fn report(&mut self) -> bool {
        let mut has_changed = false;
        for (source, followed) in &mut self.followed {
            if followed.task.try_join_next().is_some() {
                followed.observed.failed(&SourceError::Ended);
                followed.begin(source, &self.following.tls);
            }
            let result = followed.observed.result();
            if result.error == followed.shown.error
                && result.left_out == followed.shown.left_out
                && result.responded_at == followed.shown.responded_at
                && result.failures == followed.shown.failures
            {
                continue;
            }
            has_changed = true;
            followed.note(source, &result);
            let labels = labels(source);
            let metrics = &self.following.metrics.sources;
            metrics.failures.get_or_create(&labels).inc_by(result.failures.saturating_sub(followed.shown.failures));
            if let Some(at) = result.responded_at {
                let at = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
                metrics.last_success.get_or_create(&labels).set(at);
            }
            followed.shown = result;
        }
        has_changed
    }

    /// Returns all lists, in the order of the sources.
    fn lists(&self, sources: &[FollowedSource]) -> Vec<FollowedList> {
        let list = |source: &FollowedSource| {
            let followed = self.followed.get(source)?;
            let SourceResult { responded_at, error, left_out, .. } = followed.shown.clone();
            let members = followed.list.members.clone();
            Some(FollowedList { source: source.clone(), members, responded_at, error: error.or(left_out) })
        };
        sources.iter().filter_map(list).collect()
    }

    /// Stores the lists in force. A failure changes nothing for this process, and is repeated later.
    async fn store(&mut self) {
        let named =
            self.followed.iter().filter_map(|(source, followed)| Some((source.name(), followed.list.members.clone()?)));
        let lists = named.collect::<StoredLists>();
        let file = self.following.file.clone();
        let written = tokio::task::spawn_blocking(move || stored::write(&file, &lists)).await;
        let before = self.failed_at.take();
        if let Err(error) = written.map_err(std::io::Error::other).and_then(|written| written) {
            self.failed_at = Some(self.following.clock.mono());
            if before.is_none() {
                tracing::warn!(%error, "the members of upstreams cannot be stored for the next start yet");
            }
        }
    }

    /// Reads the lists of an earlier run of the process.
    async fn read_stored(&mut self) {
        let file = self.following.file.clone();
        let read = tokio::task::spawn_blocking(move || stored::read(&file)).await;
        let lists = read.map_err(std::io::Error::other).and_then(|read| read).unwrap_or_else(|error| {
            tracing::warn!(%error, "the stored members of upstreams cannot be read; the sources determine them");
            StoredLists::new()
        });
        self.stored = Some(lists);
    }
}

fn labels(source: &FollowedSource) -> SourceLabels {
    SourceLabels { source: source.name().as_str().into() }
}

impl Followed {
    /// Starts the task that reads the source.
    fn begin(&mut self, source: &FollowedSource, tls: &Arc<ClientConfig>) {
        let place = source.place.clone();
        let observed = self.observed.clone();
        let tls = tls.clone();
        self.task.spawn(async move {
            match &place {
                FollowedPlace::Dns(name) => dns::follow(name, &observed).await,
                FollowedPlace::Etcd(prefix) => etcd::follow(prefix, &tls, &observed).await,
                FollowedPlace::Consul(service) => consul::follow(service, &tls, &observed).await,
            }
        });
    }

    fn replace(&mut self, source: &FollowedSource, members: &Arc<[FoundMember]>) {
        let before = self.list.members.as_deref().unwrap_or_default();
        let added = members.iter().filter(|member| !before.contains(member)).count();
        let removed = before.iter().filter(|member| !members.contains(member)).count();
        let source = source.name();
        let members_count = members.len();
        tracing::info!(source, members = members_count, added, removed, "the members of a source have changed");
        self.list.set(members.clone());
    }

    /// Logs the begin and the end of an outage.
    fn note(&mut self, source: &FollowedSource, result: &SourceResult) {
        let source = source.name();
        if result.left_out != self.shown.left_out
            && let Some(cause) = result.left_out.as_deref()
        {
            tracing::warn!(source, cause, "members of a source are left out");
        }
        match (&result.error, self.is_failing) {
            (Some(error), false) => {
                let members = self.list.members.as_ref().map(|members| members.len());
                tracing::warn!(source, cause = &**error, members, "a source of members fails; its last list remains");
            }
            (None, true) => tracing::info!(source, "a source of members responds again"),
            (Some(_), true) | (None, false) => {}
        }
        self.is_failing = result.error.is_some();
    }
}

impl Job for MemberRefresh {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        if self.stored.is_none() {
            self.read_stored().await;
        }
        let sources = (self.following.sources)();
        let is_new = self.follow(&sources);
        let has_changed = self.take_over();
        let is_reported = self.report();
        (self.following.publish)(&self.lists(&sources), is_new || has_changed || is_reported);
        let is_unstored = self.failed_at.is_some_and(|at| self.following.clock.mono().since(at) >= STORE_AGAIN);
        if has_changed || is_unstored {
            self.store().await;
        }
        Ok(if self.followed.is_empty() { NextRun::Idle } else { NextRun::Period })
    }
}

impl fmt::Debug for MemberRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberRefresh").field("sources", &self.followed.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;

    use super::*;

    fn source(name: &str) -> FollowedSource {
        let name =
            FollowedName { name: name.into(), port: Some(8080), servers: Vec::new(), refresh_max: Duration::MAX };
        FollowedSource { place: FollowedPlace::Dns(name), allow_link_local: false }
    }

    /// Returns what follows no source.
    fn following(clock: &Clock) -> MemberFollowing {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        MemberFollowing {
            sources: Arc::new(|| -> Arc<[FollowedSource]> { Arc::from([]) }),
            publish: Arc::new(|_: &[FollowedList], _| {}),
            tls: Arc::new(tls),
            file: PathBuf::new(),
            metrics: Metrics::new(),
            clock: clock.clone(),
        }
    }

    #[tokio::test]
    async fn a_source_that_is_removed_has_no_number_of_members() {
        let metrics = Metrics::new();
        let of = following(&Clock::manual(Timestamp(0)));
        let mut refresh = MemberRefresh::new(MemberFollowing { metrics: metrics.clone(), ..of });
        let sources = ["a.internal", "b.internal"].map(source);
        assert!(refresh.follow(&sources));
        for source in &sources {
            metrics.sources.members.get_or_create(&labels(source)).set(2);
            metrics.sources.last_success.get_or_create(&labels(source)).set(7);
        }
        assert!(refresh.follow(&sources[1..]));
        let shown = metrics.encode();
        assert!(!shown.contains("tollgate_discovery_members{source=\"dns a.internal:8080\"}"), "{shown}");
        assert!(shown.contains("tollgate_discovery_members{source=\"dns b.internal:8080\"} 2"), "{shown}");
        let ended = "tollgate_discovery_last_success_timestamp_seconds{source=\"dns a.internal:8080\"}";
        assert!(!shown.contains(ended) && shown.contains("{source=\"dns b.internal:8080\"} 7"), "{shown}");
    }

    #[tokio::test]
    async fn lists_that_could_not_be_stored_are_stored_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/members.json");
        let clock = Clock::manual(Timestamp(0));
        let mut refresh = MemberRefresh::new(MemberFollowing { file: file.clone(), ..following(&clock) });
        refresh.store().await;
        std::fs::create_dir(folder.path().join("data")).unwrap();
        refresh.run().await.unwrap();
        assert!(!file.exists(), "the pause is not over");
        clock.advance(STORE_AGAIN);
        refresh.run().await.unwrap();
        assert!(file.exists() && refresh.failed_at.is_none());
    }
}

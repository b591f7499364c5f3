//! The job that fetches the keys of issuers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use access::credentials::issuer::{IssuerPlace, IssuerRegistry, IssuerSource};
use access::credentials::jwt::KeySet;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jobs::{Job, JobError, JobSpec, NextRun, causes};
use telemetry::Metrics;
use telemetry::metrics::{IssuerLabels, IssuerOutcomeLabels};
use tls::UpstreamTls;
use tokio::time::timeout;

use crate::error::FetchError;
use crate::fetch::{Document, Fetcher};
use crate::metadata;
use crate::schedule::Schedule;

/// The time between two runs, and the maximum time for which one run waits for fetches.
const PERIOD: Duration = Duration::from_millis(250);

/// Fetches the keys that are due. A run without one costs a few comparisons.
pub const SPEC: JobSpec = JobSpec::every("issuer_keys", PERIOD);

/// A source of keys, with the TLS of the connections to it.
#[derive(Debug, Clone)]
pub struct FetchedSource {
    /// The place of the keys.
    pub source: IssuerSource,
    /// The TLS; `None` means that of the [`Fetcher`].
    pub tls: Option<Arc<UpstreamTls>>,
}

/// Returns the sources of the current configuration.
type Sources = Arc<dyn Fn() -> Vec<FetchedSource> + Send + Sync>;

/// The result of a fetch: the keys, and the time for which they may be cached.
type FetchResult = Result<(KeySet, Option<Duration>), FetchError>;

/// The metrics that the job sets, and the clock of its schedule.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The clock of the process.
    pub clock: Clock,
}

/// The job over all issuers of the configuration.
pub struct IssuerKeyRefresh {
    registry: Arc<IssuerRegistry>,
    sources: Sources,
    fetcher: Fetcher,
    metrics: Arc<Metrics>,
    clock: Clock,
    schedules: HashMap<IssuerSource, Schedule>,
    /// The fetches in progress, with their sources.
    fetches: FuturesUnordered<BoxFuture<'static, (IssuerSource, FetchResult)>>,
    /// The sources of these fetches: each has at most one.
    fetching: HashSet<IssuerSource>,
}

impl IssuerKeyRefresh {
    /// Creates the job. `sources` returns the issuers of the current configuration, which bounds their number.
    #[must_use]
    pub fn new(registry: Arc<IssuerRegistry>, sources: Sources, fetcher: Fetcher, observation: Observation) -> Self {
        let Observation { metrics, clock } = observation;
        let (schedules, fetches, fetching) = Default::default();
        Self { registry, sources, fetcher, metrics, clock, schedules, fetches, fetching }
    }

    /// Records the result of a fetch, and replaces the keys if it succeeded. Otherwise the earlier keys stay in use.
    fn record(&mut self, source: IssuerSource, fetched: FetchResult) {
        let now = self.clock.mono();
        let keys = self.registry.keys_of(&source);
        let issuer = labels(&source);
        let has_succeeded = fetched.is_ok();
        let outcome = if has_succeeded { "succeeded" } else { "failed" };
        let labels = IssuerOutcomeLabels { issuer: issuer.issuer.clone(), outcome };
        self.metrics.issuers.fetches.get_or_create(&labels).inc();
        let url = source.url().clone();
        let schedule = self.schedules.entry(source).or_default();
        match fetched {
            Ok((set, max_age)) => {
                let count = set.len();
                let was_failing = schedule.is_failing();
                schedule.succeeded(now, max_age);
                let is_new = keys.store(set);
                if is_new || was_failing {
                    tracing::info!(issuer = %url, keys = count, is_new, "keys of an issuer were fetched");
                }
                self.metrics.issuers.keys.get_or_create(&issuer).set(i64::try_from(count).unwrap_or(i64::MAX));
                let fetched_at = i64::try_from(self.clock.now().unix_seconds()).unwrap_or(i64::MAX);
                self.metrics.issuers.last_success.get_or_create(&issuer).set(fetched_at);
            }
            Err(error) => {
                if schedule.failed(now) {
                    let cause = causes(&error);
                    let has_keys = keys.generation() != 0;
                    tracing::error!(issuer = %url, %error, cause, has_keys, "keys of an issuer cannot be fetched; retrying");
                }
            }
        }
        keys.end_fetch(has_succeeded);
    }
}

impl Job for IssuerKeyRefresh {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let sources = (self.sources)();
        let is_current = |known: &IssuerSource| sources.iter().any(|fetched| fetched.source == *known);
        self.registry.retain(is_current);
        let count = self.schedules.len();
        self.schedules.retain(|known, _| is_current(known));
        if self.schedules.len() < count {
            let issuers: BTreeSet<_> = sources.iter().map(|fetched| labels(&fetched.source)).collect();
            self.metrics.issuers.keys.retain(|issuer| issuers.contains(issuer));
            self.metrics.issuers.last_success.retain(|issuer| issuers.contains(issuer));
        }
        let now = self.clock.mono();
        for FetchedSource { source, tls } in &sources {
            let keys = self.registry.keys_of(source);
            let is_due = self.schedules.get(source).is_none_or(|known| known.is_due(now, keys.is_requested()));
            if !is_due || !self.fetching.insert(source.clone()) {
                continue;
            }
            keys.begin_fetch();
            let fetcher = tls.as_ref().map_or_else(|| self.fetcher.clone(), |tls| Fetcher::of_upstream(tls));
            let source = source.clone();
            self.fetches.push(Box::pin(async move {
                let fetched = fetch(&fetcher, &source).await;
                (source, fetched)
            }));
        }
        // A fetch that takes longer continues in the next run: it does not delay the keys of another issuer.
        let ended = timeout(PERIOD, self.fetches.next()).await;
        if let Ok(Some((source, fetched))) = ended {
            self.fetching.remove(&source);
            if is_current(&source) {
                self.record(source, fetched);
            }
        }
        Ok(match self.fetches.is_empty() {
            false => NextRun::Now,
            true if sources.is_empty() => NextRun::Idle,
            true => NextRun::Period,
        })
    }
}

impl fmt::Debug for IssuerKeyRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKeyRefresh").field("schedules", &self.schedules).finish_non_exhaustive()
    }
}

fn labels(source: &IssuerSource) -> IssuerLabels {
    IssuerLabels { issuer: source.url().as_str().into() }
}

/// Fetches the keys of a source. The time for which they may be cached is that of their own document.
async fn fetch(fetcher: &Fetcher, source: &IssuerSource) -> FetchResult {
    let IssuerSource { place, allow_link_local, tls: _ } = source;
    let url = match place {
        IssuerPlace::Keys(url) => url.clone(),
        IssuerPlace::Issuer(issuer) => {
            let url = issuer.metadata().ok_or(FetchError::Metadata("its URL has a query"))?;
            metadata::keys_url(&fetcher.fetch(&url, *allow_link_local).await?.bytes, issuer)?
        }
    };
    let Document { bytes, max_age } = fetcher.fetch(&url, *allow_link_local).await?;
    Ok((KeySet::parse(&bytes).map_err(FetchError::Keys)?, max_age))
}

//! The job that fetches the keys of issuers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use access::issuer::{IssuerPlace, IssuerRegistry, IssuerSource};
use access::jwt::KeySet;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jobs::{Job, JobError, JobSpec, NextRun, causes};
use telemetry::Metrics;
use telemetry::metrics::{IssuerLabels, IssuerOutcomeLabels};
use tls::UpstreamTls;

use crate::error::FetchError;
use crate::fetch::{Document, Fetcher};
use crate::metadata;
use crate::schedule::Schedule;

/// Fetches the keys that are due. A run without one costs a few comparisons.
pub const SPEC: JobSpec = JobSpec::every("issuer_keys", Duration::from_millis(250));

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
}

impl IssuerKeyRefresh {
    /// Creates the job. `sources` returns the issuers of the current configuration, which bounds their number.
    #[must_use]
    pub fn new(registry: Arc<IssuerRegistry>, sources: Sources, fetcher: Fetcher, observation: Observation) -> Self {
        let Observation { metrics, clock } = observation;
        Self { registry, sources, fetcher, metrics, clock, schedules: HashMap::new() }
    }

    /// Records the result of a fetch, and replaces the keys if it succeeded. Otherwise the earlier keys stay in use.
    fn record(&mut self, source: IssuerSource, fetched: Result<(KeySet, Option<Duration>), FetchError>) {
        let (now, keys) = (self.clock.mono(), self.registry.of(&source));
        let issuer = IssuerLabels { issuer: source.url().as_str().into() };
        let outcome = if fetched.is_ok() { "succeeded" } else { "failed" };
        let labels = IssuerOutcomeLabels { issuer: issuer.issuer.clone(), outcome };
        self.metrics.issuers.fetches.get_or_create(&labels).inc();
        let url = source.url().clone();
        let schedule = self.schedules.entry(source).or_default();
        match fetched {
            Ok((set, max_age)) => {
                let (count, was_failing) = (set.len(), schedule.is_failing());
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
                    let (cause, has_keys) = (causes(&error), keys.generation() != 0);
                    tracing::error!(issuer = %url, %error, cause, has_keys, "keys of an issuer cannot be fetched; retrying");
                }
            }
        }
        keys.end_fetch();
    }
}

impl Job for IssuerKeyRefresh {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let sources = (self.sources)();
        self.registry.retain(|known| sources.iter().any(|fetched| fetched.source == *known));
        self.schedules.retain(|known, _| sources.iter().any(|fetched| fetched.source == *known));
        let now = self.clock.mono();
        let due = sources.iter().filter(|FetchedSource { source, .. }| {
            let keys = self.registry.of(source);
            let is_due = self.schedules.get(source).is_none_or(|known| known.is_due(now, keys.is_requested()));
            if is_due {
                keys.begin_fetch();
            }
            is_due
        });
        let fetches = due.map(|FetchedSource { source, tls }| {
            let fetcher = tls.as_ref().map_or_else(|| self.fetcher.clone(), |tls| Fetcher::of_upstream(tls));
            async move { (source.clone(), fetch(&fetcher, source).await) }
        });
        let mut fetches: FuturesUnordered<_> = fetches.collect();
        // A slow issuer does not delay the keys of another one.
        while let Some((source, fetched)) = fetches.next().await {
            self.record(source, fetched);
        }
        Ok(NextRun::Period)
    }
}

impl fmt::Debug for IssuerKeyRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKeyRefresh").field("schedules", &self.schedules).finish_non_exhaustive()
    }
}

/// Fetches the keys of a source. The time for which they may be cached is that of their own document.
async fn fetch(fetcher: &Fetcher, source: &IssuerSource) -> Result<(KeySet, Option<Duration>), FetchError> {
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

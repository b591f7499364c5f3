//! Leases of quotas and budgets that several nodes share, from the start to their return at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::Credits;
use cluster::{LeaseLoopOptions, LeaseStats, Leases};
use jobs::Runner;
use meter::lease::{LeaseQueue, LeaseTiming};
use telemetry::metrics::MeasureAmounts;
use telemetry::{Metrics, metrics};
use tokio::sync::mpsc;

use super::parts::ServerContext;

/// Maximum number of requests, over all workers, that wait for the lease task. Further requests are refused.
const MESSAGES_MAX: usize = 4_096;

/// Maximum time for the end of the job, which returns leases for up to 3 s.
const END_WITHIN: Duration = Duration::from_secs(4);

/// The lease job. If this value is dropped, the job ends without returning leases.
#[derive(Debug)]
pub(crate) struct LeaseTask {
    jobs: Runner,
    /// The sending side, for requests.
    pub(crate) leases: LeaseQueue,
}

impl LeaseTask {
    /// Starts the job in a runner that stops after the others. All records of earlier runs must be in the store or in the
    /// node's backlog.
    pub(crate) fn start(base: &ServerContext, mut jobs: Runner) -> Self {
        let (queue, messages) = mpsc::channel(MESSAGES_MAX);
        let leases = LeaseQueue::new(queue);
        let stats = Arc::new(LeaseStats::default());
        watch_leases(&base.metrics, stats.clone());
        let live = base.live.load();
        let lease = &live.process.lease;
        let timing = LeaseTiming { recall_wait: lease.recall_wait, ..LeaseTiming::default() };
        let time = leases.time().clone();
        let ttl = lease.ttl;
        let mut leasing = Some(LeaseLoopOptions { node: base.node.clone(), messages, time, timing, ttl, stats });
        jobs.add(cluster::leases::SPEC, move || Leases::new(leasing.take()));
        Self { jobs, leases }
    }

    /// Returns all leases; requests must have ended.
    pub(crate) async fn end(self) {
        self.jobs.stop(END_WITHIN).await;
    }
}

fn watch_leases(metrics: &Metrics, stats: Arc<LeaseStats>) {
    metrics.on_scrape(Box::new(move |all| {
        let counters = [
            (&all.leases.ticks, &stats.ticks),
            (&all.leases.failures, &stats.failures),
            (&all.leases.recalls, &stats.recalls),
            (&all.leases.waits, &stats.waits),
            (&all.leases.used_up, &stats.used_up),
            (&all.leases.withheld, &stats.withheld),
        ];
        for (metric, counted) in counters {
            metrics::set_total(metric, counted.load(Ordering::Relaxed));
        }
        let unusable = stats.unusable.load(Ordering::Relaxed);
        all.leases.unusable.set(i64::try_from(unusable).unwrap_or(i64::MAX));
        let [credits, tokens, nano_usd] = stats.unusable_left.each_ref().map(|left| left.load(Ordering::Relaxed));
        let credits = Credits(credits).rounded_down();
        all.leases.unusable_amount.set(MeasureAmounts { credits, tokens, nano_usd });
    }));
}

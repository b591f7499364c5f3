//! Leases of quotas and budgets that several nodes share, from the start to their return at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cluster::{LeaseLoopOptions, LeaseStats};
use config::snapshot::Process;
use meter::lease::{LeaseQueue, LeaseTiming};
use store::Node;
use telemetry::metrics::MeasureAmounts;
use telemetry::{Metrics, metrics};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Maximum number of requests, over all workers, that wait for the lease task. Further requests are refused.
const MESSAGES_MAX: usize = 4_096;

/// The lease task. If this value is dropped, the task ends without returning leases.
#[derive(Debug)]
pub(crate) struct LeaseTask {
    tasks: JoinSet<()>,
    end: watch::Sender<bool>,
    /// The sending side, for requests.
    pub(crate) leases: LeaseQueue,
}

impl LeaseTask {
    /// Starts the task. All records of earlier runs must be in the store or in the node's backlog.
    pub(crate) fn start(process: &Process, node: &Node, metrics: &Metrics) -> Self {
        let (queue, messages) = mpsc::channel(MESSAGES_MAX);
        let (end, mut ended) = watch::channel(false);
        let (leases, stats) = (LeaseQueue::new(queue), Arc::new(LeaseStats::default()));
        watch_leases(metrics, stats.clone());
        let timing = LeaseTiming { recall_wait: process.lease.recall_wait, ..LeaseTiming::default() };
        let (time, ttl) = (leases.time().clone(), process.lease.ttl);
        let leasing = LeaseLoopOptions { node: node.clone(), messages, time, timing, ttl, stats };
        let mut tasks = JoinSet::new();
        tasks.spawn(cluster::leases::run(leasing, async move {
            // An error means that this value was dropped.
            let _ = ended.wait_for(|ended| *ended).await;
        }));
        Self { tasks, end, leases }
    }

    /// Returns all leases; requests must have ended.
    pub(crate) async fn end(mut self) {
        self.end.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
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
        let stranded = stats.stranded.load(Ordering::Relaxed);
        all.leases.stranded.set(i64::try_from(stranded).unwrap_or(i64::MAX));
        let [credits, tokens, nano_usd] = stats.stranded_left.each_ref().map(|left| left.load(Ordering::Relaxed));
        all.leases.stranded_amount.set(MeasureAmounts { credits, tokens, nano_usd });
    }));
}

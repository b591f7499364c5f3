//! The shutdown: readiness fails, requests are accepted for a while, requests in flight finish, and usage is ingested.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Drain;
use control::configuration::Configurator;
use jobs::Runner;
use ledger::IngestStats;
use proxy::{Shared, ShutdownPhase, Workers};
use spool::{BacklogCounter, Reader};
use store::Node;
use tokio::time::Instant;

use super::heartbeat;
use super::lease_task::LeaseTask;
use super::parts::{ServerContext, Services};
use crate::signals::{ShutdownSignal, Signals};
use crate::upgrade::successor::Handover;

/// Maximum duration of the last ingest. Remaining usage stays in the spool for the next start.
const INGEST_WITHIN: Duration = Duration::from_secs(10);

/// The reason why a server ends.
pub(super) enum ServingEnd {
    /// The process received a signal.
    Signal(ShutdownSignal),
    /// Another process has its sockets.
    Replaced,
}

/// All running parts, in the order of the shutdown.
pub(crate) struct RunningServer {
    pub(crate) configurator: Arc<Configurator>,
    pub(crate) services: Services,
    /// The workers; `None` in a process without a proxy.
    pub(crate) proxying: Option<RunningProxy>,
    /// The lease job; `None` if nodes share no budgets.
    pub(crate) lease_task: Option<LeaseTask>,
    pub(crate) base: ServerContext,
    /// The runner of the heartbeat, which stops after all other jobs.
    pub(crate) heartbeat: Runner,
    pub(crate) drain_times: Drain,
    /// What a successor gets; `None` before the start is complete.
    pub(crate) handover: Option<Arc<Handover>>,
}

/// The workers with their shared state.
pub(crate) struct RunningProxy {
    pub(crate) workers: Workers,
    pub(crate) shared: Arc<Shared>,
    /// The records that are not in the store.
    pub(crate) backlog: BacklogCounter,
}

impl RunningProxy {
    /// Enters the phase, and waits at most `within` for requests in flight; returns the number of workers that panicked.
    async fn drain(self, within: Duration, phase: ShutdownPhase) -> usize {
        let Self { workers, shared, .. } = self;
        shared.shutdown.enter(phase);
        let mut joined = tokio::task::spawn_blocking(move || workers.join());
        let in_time = tokio::time::timeout(within, &mut joined).await;
        let panicked = match in_time {
            Ok(panicked) => panicked,
            Err(_) => {
                tracing::warn!(
                    in_flight = shared.capacity.in_flight(),
                    "the drain timeout has passed; requests in flight are aborted"
                );
                shared.shutdown.enter(ShutdownPhase::Ending);
                joined.await
            }
        };
        panicked.unwrap_or(1)
    }
}

impl RunningServer {
    /// Serves, then drains. The second signal ends the process immediately.
    pub(crate) async fn run(mut self, signals: &mut Signals) -> anyhow::Result<ExitCode> {
        let first = Box::pin(self.serve(signals)).await;
        let received = match first {
            ServingEnd::Signal(signal) => {
                tracing::info!(?signal, "draining");
                Some(signal)
            }
            ServingEnd::Replaced => None,
        };
        let second = async {
            let signal = match received {
                Some(signal) => signal,
                None => {
                    let signal = signals.next().await;
                    tracing::info!(?signal, "received a signal; the process drains already");
                    signal
                }
            };
            signal.second(Instant::now(), async || signals.next().await).await
        };
        tokio::select! {
            biased;
            second = second => {
                tracing::warn!(signal = ?second, "received a second signal; the process ends immediately");
                Ok(ExitCode::from(second.exit_code()))
            }
            panicked = self.drain(first) => {
                Ok(if panicked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }

    /// Drains, and returns the number of workers that panicked.
    async fn drain(self, end: ServingEnd) -> usize {
        let Self { services, proxying, lease_task, base, heartbeat, drain_times, handover, .. } = self;
        // A listener stays open as long as any handle of it.
        drop(handover);
        base.live_state.drain();
        let phase = match end {
            ServingEnd::Signal(signal) => {
                if let Some(proxying) = &proxying {
                    proxying.shared.shutdown.enter(ShutdownPhase::Announced);
                }
                tokio::time::sleep(signal.delay(drain_times.delay)).await;
                ShutdownPhase::Closing
            }
            ServingEnd::Replaced => {
                // Calls of the admin API belong to the other process.
                services.stop_control();
                ShutdownPhase::Leaving
            }
        };
        let panicked = match proxying {
            Some(proxying) => proxying.drain(drain_times.timeout, phase).await,
            None => 0,
        };
        let is_ingested = match services.stop().await {
            Some(reader) => ingest(&base.node, reader).await,
            // The spool was not read.
            None => false,
        };
        if let Some(lease_task) = lease_task {
            lease_task.end().await;
        }
        heartbeat::end(heartbeat).await;
        if let Err(error) = base.node.leave(is_ingested).await {
            tracing::warn!(
                %error,
                "this server could not record its end in the store; for some seconds it may count as running"
            );
        }
        base.store.close().await;
        tracing::info!("ended");
        panicked
    }
}

/// Ingests the remaining records; returns whether none is left.
async fn ingest(node: &Node, mut reader: Reader) -> bool {
    if let Err(error) = reader.sync() {
        tracing::warn!(%error, "the spool could not be ingested; the next start will ingest it");
        return false;
    }
    let stats = IngestStats::default();
    match tokio::time::timeout(INGEST_WITHIN, ledger::ingest::drain(node, &mut reader, &stats)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "the spool could not be ingested; the next start will ingest it"),
        Err(_) => tracing::warn!("the spool could not be ingested in time; the next start will ingest it"),
    }
    false
}

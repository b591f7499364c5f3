//! The end: readiness fails, accepting goes on for a while, what is in flight finishes, usage is ingested.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Drain;
use proxy::{Phase, Shared, Workers};
use spool::Reader;
use store::{IngestStats, Node};

use super::beating::Beating;
use super::leasing::Lessee;
use super::parts::{Base, Services};
use crate::signals::{Came, Signals};

/// Usage that cannot be ingested within this stays in the spool, for the next start.
const INGEST_WITHIN: Duration = Duration::from_secs(10);

/// Everything that runs, to be ended.
pub(crate) struct Ending {
    pub(crate) services: Services,
    /// `None` in a process that does not proxy.
    pub(crate) proxying: Option<Proxying>,
    /// `None` where nothing is lent.
    pub(crate) lessee: Option<Lessee>,
    pub(crate) base: Base,
    pub(crate) beating: Beating,
    pub(crate) drain_times: Drain,
}

/// The workers, and what they share.
pub(crate) struct Proxying {
    pub(crate) workers: Workers,
    pub(crate) shared: Arc<Shared>,
}

impl Proxying {
    /// Lets what is in flight finish, `within` so long; answers how many workers panicked.
    async fn drain(self, within: Duration) -> usize {
        let Self { workers, shared } = self;
        shared.shutdown.enter(Phase::Closing);
        let mut joined = tokio::task::spawn_blocking(move || workers.join());
        let in_time = tokio::time::timeout(within, &mut joined).await;
        let panicked = match in_time {
            Ok(panicked) => panicked,
            Err(_) => {
                tracing::warn!(in_flight = shared.gate.in_flight(), "what is in flight ends now");
                shared.shutdown.enter(Phase::Ending);
                joined.await
            }
        };
        panicked.unwrap_or(1)
    }
}

impl Ending {
    /// Waits for a signal, then drains; a second signal ends at once.
    pub(crate) async fn run(self, signals: &mut Signals) -> anyhow::Result<ExitCode> {
        let first = signals.next().await;
        tracing::info!(signal = ?first, "draining");
        tokio::select! {
            biased;
            second = signals.next() => {
                tracing::warn!(signal = ?second, "ending at once");
                Ok(ExitCode::from(second.exit_code()))
            }
            panicked = self.drain(first) => {
                Ok(if panicked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }

    /// Answers how many workers panicked.
    async fn drain(self, signal: Came) -> usize {
        let Self { services, proxying, lessee, base, beating, drain_times } = self;
        base.board.drain();
        tokio::time::sleep(signal.delay(drain_times.delay)).await;
        let panicked = match proxying {
            Some(proxying) => proxying.drain(drain_times.timeout).await,
            None => 0,
        };
        let is_ingested = match services.stop().await {
            Some(reader) => ingest(&base.node, reader).await,
            // Nobody has looked.
            None => false,
        };
        if let Some(lessee) = lessee {
            lessee.end().await;
        }
        beating.end().await;
        if let Err(error) = base.node.leave(is_ingested).await {
            tracing::warn!(%error, "the store takes this server to be running");
        }
        base.store.close().await;
        tracing::info!("ended");
        panicked
    }
}

/// Brings what is left in the spool into the store; answers whether that is all.
async fn ingest(node: &Node, mut reader: Reader) -> bool {
    if let Err(error) = reader.sync() {
        tracing::warn!(%error, "usage stays in the spool, for the next start");
        return false;
    }
    let stats = IngestStats::default();
    match tokio::time::timeout(INGEST_WITHIN, store::ingest::drain(node, &mut reader, &stats)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "usage stays in the spool, for the next start"),
        Err(_) => tracing::warn!("usage stays in the spool, for the next start"),
    }
    false
}

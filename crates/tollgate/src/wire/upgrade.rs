//! The upgrade in place of a running server, from both sides: the sockets that it passes on, and the report of a new process.

use std::pin::Pin;
use std::sync::Arc;

use config::snapshot::Process;

use super::ServeOptions;
use super::left_slot::LeftSlot;
use super::listeners::OpenListeners;
use super::shutdown::{RunningProxy, RunningServer, ServingEnd};
use crate::failure::StartFault;
use crate::inherited::HeldSockets;
use crate::signals::{ServerSignal, Signals};
use crate::systemd::{self, Watchdog};
use crate::upgrade::UpgradeFault;
use crate::upgrade::request::{self, ServingProcess, UpgradeRequest, UpgradeResult};
use crate::upgrade::store::StoreHandover;
use crate::upgrade::successor::Handover;

/// The start of a successor, which is killed when this is dropped.
type Attempt = Pin<Box<dyn Future<Output = Result<u32, UpgradeFault>> + Send>>;

/// Returns what this process passes to a successor.
pub(super) fn handover(
    process: &Process,
    options: &ServeOptions,
    listeners: &OpenListeners,
) -> anyhow::Result<Handover> {
    Ok(Handover {
        program: options.program.clone(),
        sockets: listeners.handles()?,
        data: process.data.clone(),
        slot: options.slot,
        within: process.upgrade.timeout,
        store: None,
        is_successor: options.predecessor.is_some(),
    })
}

/// Announces that this process serves: to its predecessor, or in the data folder and to the service manager.
pub(super) fn announce(process: &Process, options: &ServeOptions, sockets: &mut HeldSockets) -> anyhow::Result<()> {
    for address in sockets.inherited.unused() {
        tracing::warn!(%address, "an inherited socket belongs to no listener of the configuration and is closed");
    }
    sockets.inherited.close_unused();
    match &sockets.inherited.predecessor {
        // On SQLite, the predecessor was asked before the workers started.
        Some(predecessor) if process.store.url.is_some() => predecessor.report_ready()?,
        Some(_) => {}
        None => {
            request::clean(&process.data);
            let serving = ServingProcess { pid: std::process::id(), slot: options.slot };
            let written = serving.write(&process.data);
            written.map_err(|error| StartFault::unwritable(&process.data, error))?;
            systemd::ready();
        }
    }
    sockets.is_ready = true;
    Ok(())
}

impl RunningServer {
    /// Allows upgrades. If this process has replaced another one, it settles what that one leaves.
    pub(super) fn upgrades(&mut self, mut handover: Handover, options: &ServeOptions) {
        if options.predecessor.is_some() {
            let process = self.base.live.load().process.clone();
            let left = LeftSlot::new(&self.base.store, &process, options);
            let stopped = self.services.stopped();
            self.services.spawn(async move {
                tokio::select! { () = left.settle_after_its_process() => {}, () = stopped => {} }
            });
        }
        let proxying = if self.base.store.is_shared() { None } else { self.proxying.as_ref() };
        handover.store = proxying.map(|RunningProxy { shared, backlog, .. }| StoreHandover {
            shared: shared.clone(),
            workers: options.workers,
            backlog: backlog.clone(),
        });
        self.handover = Some(Arc::new(handover));
    }

    /// Serves until a signal ends this process or another process has replaced it.
    pub(super) async fn serve(&mut self, signals: &mut Signals) -> ServingEnd {
        let mut attempt: Option<(Attempt, Option<UpgradeRequest>)> = None;
        let mut watchdog =
            Watchdog::from_environment(self.handover.as_ref().is_some_and(|handover| handover.is_successor));
        loop {
            let running = async {
                match &mut attempt {
                    Some((starting, _)) => starting.await,
                    None => std::future::pending().await,
                }
            };
            let signal = tokio::select! {
                biased;
                signal = signals.next_of_server() => signal,
                result = running => {
                    let request = attempt.take().and_then(|(_, request)| request);
                    if self.report(request.as_ref(), result) {
                        return ServingEnd::Replaced;
                    }
                    continue;
                }
                () = watchdog.sign() => continue,
            };
            match signal {
                ServerSignal::Shutdown(signal) => return ServingEnd::Signal(signal),
                ServerSignal::Upgrade => {
                    let Some(handover) = self.handover.clone() else { continue };
                    let request = match UpgradeRequest::take(&handover.data) {
                        Ok(request) => request,
                        Err(source) => {
                            let folder = handover.data.clone();
                            self.report(None, Err(UpgradeFault::UnreadableRequest { folder, source }));
                            continue;
                        }
                    };
                    if attempt.is_some() {
                        self.report(request.as_ref(), Err(UpgradeFault::InProgress));
                        continue;
                    }
                    let binary = request.as_ref().and_then(|request| request.binary.clone());
                    tracing::info!(binary = ?binary.as_ref().unwrap_or(&handover.program), "starting another binary");
                    let starting = async move { handover.start(binary.as_deref()).await };
                    attempt = Some((Box::pin(starting), request));
                }
            }
        }
    }

    /// Reports the result of an upgrade to the log, the command and the service manager. Returns whether this process was replaced.
    fn report(&self, request: Option<&UpgradeRequest>, result: Result<u32, UpgradeFault>) -> bool {
        let Some(handover) = &self.handover else { return false };
        let (result, is_replaced) = match result {
            Ok(pid) => {
                let serving = ServingProcess { pid, slot: handover.slot.other() };
                if let Err(error) = serving.write(&handover.data) {
                    tracing::warn!(%error, pid, "the new process cannot be recorded; `tollgate upgrade` does not find it");
                }
                systemd::replaced_by(pid);
                tracing::info!(pid, "another process serves; this one drains");
                (UpgradeResult::Replaced { pid }, true)
            }
            Err(fault) => {
                tracing::error!(error = %fault, "the server was not upgraded; it continues to serve");
                self.base.metrics.configuration.upgrades_refused.inc();
                (UpgradeResult::Continues { reason: fault.to_string() }, false)
            }
        };
        if let Some(Err(error)) = request.map(|request| request.answer(&handover.data, &result)) {
            tracing::warn!(%error, "the result of the upgrade cannot be written for `tollgate upgrade`");
        }
        is_replaced
    }
}

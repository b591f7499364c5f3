//! The export of usage events, which a configuration without a target does not start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::{BudgetScope, Clock, Timestamp};
use config::snapshot::{ExportDestination, ExportSettings, Process, Scheme};
use export::{
    CallerIds, ClickHouseTable, EventExport, EventExportParts, EventFiles, EventTarget, IdLookup, NatsStream,
};
use spool::{ExportCounter, ExportOptions, ExportReader};
use store::{Node, Store};
use telemetry::metrics;
use tokio::time::timeout;
use uuid::Uuid;

use super::parts::{ServerContext, Services};

/// The folder of segments that wait for the target, in that of their process.
const FOLDER: &str = "export";
/// Maximum time for the rows of a process that has ended. The next start continues.
const LEFT_MAX: Duration = Duration::from_secs(10);

/// The folder and the maximum size of waiting segments.
#[derive(Debug, Clone)]
pub(super) struct ExportPlace {
    dir: PathBuf,
    size_bytes_max: Option<u64>,
}

impl ExportPlace {
    /// Returns the place of a process whose part of the data folder is `slot`.
    pub(super) fn new(process: &Process, slot: &Path) -> Self {
        let size_bytes_max = process.export.as_ref().map(|export| export.size_bytes_max);
        Self { dir: slot.join(FOLDER), size_bytes_max }
    }

    /// Returns the options for the spool. Without a configured target, segments that wait are removed.
    pub(super) fn options(&self) -> Option<ExportOptions<'_>> {
        let Some(size_bytes_max) = self.size_bytes_max else {
            match spool::discard_export(&self.dir) {
                Ok(true) => {
                    tracing::warn!("no export is configured: the usage events that waited for one were removed");
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the folder of an earlier export could not be removed"),
            }
            return None;
        };
        Some(ExportOptions { dir: &self.dir, size_bytes_max })
    }
}

/// Starts the job, if a target is configured.
pub(super) fn start(base: &ServerContext, services: &mut Services, reader: Option<ExportReader>) {
    let snapshot = base.live.load();
    let Some(reader) = reader else { return };
    let Some(export) = &snapshot.process.export else { return };
    let counter = reader.counter();
    let job = EventExport::new(reader, parts(export, &base.node, &base.clock));
    watch(base, counter, &job);
    services.jobs.add(export::SPEC, move || job.clone());
}

/// Exports the rows of a process that has ended, as far as the target accepts them in time.
pub(super) async fn drain_left(process: &Process, node: &Node, reader: Option<ExportReader>) {
    let Some(reader) = reader else { return };
    let Some(export) = &process.export else { return };
    let mut job = EventExport::new(reader, parts(export, node, node.store().clock()));
    match timeout(LEFT_MAX, job.drain()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "usage events of an earlier process wait for the next start"),
        Err(_) => tracing::warn!("usage events of an earlier process wait for the next start"),
    }
}

fn watch(base: &ServerContext, counter: ExportCounter, job: &EventExport) {
    let stats = job.stats();
    let clock = base.clock.clone();
    base.metrics.on_scrape(Box::new(move |all| {
        let all = &all.export;
        let totals = counter.totals();
        metrics::set_total(&all.rows, stats.rows.load(Ordering::Relaxed));
        metrics::set_total(&all.failures, stats.failures.load(Ordering::Relaxed));
        metrics::set_total(&all.skipped, totals.skipped_rows);
        metrics::set_total(&all.damaged, totals.damaged);
        all.waiting_bytes.set(i64::try_from(totals.retained_bytes).unwrap_or(i64::MAX));
        let lag = match stats.oldest_micros.load(Ordering::Relaxed) {
            0 => 0,
            oldest => clock.now().unix_seconds().saturating_sub(Timestamp(oldest).unix_seconds()),
        };
        all.lag_seconds.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }));
}

fn parts(export: &ExportSettings, node: &Node, clock: &Clock) -> EventExportParts {
    let target = Arc::new(target(&export.target, node.id()));
    EventExportParts { target, lookup: lookup(node.store()), node: node.id(), clock: clock.clone() }
}

fn target(destination: &ExportDestination, node: Uuid) -> EventTarget {
    match destination {
        ExportDestination::File { dir, file_bytes_max, files_max } => {
            EventTarget::Files(EventFiles::new(dir.clone(), *file_bytes_max, *files_max, node))
        }
        ExportDestination::ClickHouse { url, database, table, user, password } => {
            EventTarget::ClickHouse(ClickHouseTable {
                is_https: url.scheme == Scheme::Https,
                host: url.host.clone(),
                port: url.port,
                authority: url.authority.clone(),
                path: url.path.clone(),
                database: database.clone(),
                table: table.clone(),
                user: user.clone(),
                password: password.clone(),
                tls: proxy::tls_config(),
            })
        }
        ExportDestination::Nats { server, subject, user, password } => EventTarget::Nats(NatsStream {
            is_tls: server.is_tls,
            host: server.host.clone(),
            port: server.port,
            subject: subject.clone(),
            user: user.clone(),
            password: password.clone(),
            tls: proxy::tls_config(),
        }),
    }
}

/// Returns a look-up of keys and users in the store.
fn lookup(store: &Store) -> IdLookup {
    let store = store.clone();
    IdLookup::new(move |callers| {
        let store = store.clone();
        Box::pin(async move {
            let scopes =
                callers.iter().flat_map(|caller| [BudgetScope::Key(caller.key), BudgetScope::User(caller.user)]);
            let known = store.scope_ids(scopes).await?;
            let keys = callers.iter().map(|caller| (caller.key, known.key(caller.key).map(|(id, _)| id)));
            let users = callers.iter().map(|caller| (caller.user, known.user(caller.user)));
            Ok(CallerIds { keys: keys.collect(), users: users.collect() })
        })
    })
}

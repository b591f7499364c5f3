//! The spool of one process: opened at the position of the last ingest, and settled before it is used.

use std::path::PathBuf;
use std::time::Duration;

use config::snapshot::{Durability, Process};
use ledger::IngestStats;
use spool::{InterruptedRequest, Record, Spool, SpoolError, SpoolOpener};
use store::{GatheredCharges, Node};

use super::export::ExportPlace;
use crate::failure;

/// The folder of the spool, in that of its process.
pub(super) const SPOOL_FOLDER: &str = "spool";
/// If the spool has more records, they are ingested after the listeners are open.
const BEFORE_PORTS_MAX: u64 = 20_000;
/// Maximum time for which a start waits for the return of leases of earlier runs.
pub(super) const CLOSING_MAX: Duration = Duration::from_secs(10);

/// The place of a spool, and the node to which it belongs.
pub(super) struct SpoolPlace<'a> {
    pub(super) node: &'a Node,
    pub(super) process: &'a Process,
    /// The folder of the spool.
    pub(super) folder: PathBuf,
    pub(super) workers: usize,
    pub(super) skip_corrupt: bool,
    /// The place of an export, which reads the spool too.
    pub(super) export: ExportPlace,
}

impl SpoolPlace<'_> {
    /// Opens the spool at the position of the last ingest, and collects later charges.
    pub(super) async fn open(&self) -> anyhow::Result<(Spool, GatheredCharges)> {
        let Self { node, process, folder, workers, skip_corrupt, export } = self;
        let options = spool::SpoolOptions::new(process.spool.max_size, u32::try_from(*workers)?);
        let failed = |error| failure::of_store(process, error);
        let ingested = ledger::ingest::positions(node).await.map_err(failed)?;
        let carried = ledger::ingest::stored_requests(node).await.map_err(|error| failure::of_store(process, error))?;
        let place = folder.clone();
        let node = node.id();
        let skip_corrupt = *skip_corrupt;
        let export = export.clone();
        let durability = match process.spool.durability {
            Durability::Process => spool::SpoolDurability::Process,
            Durability::Power => spool::SpoolDurability::Power,
        };
        let opened = tokio::task::spawn_blocking(move || {
            let gathered = GatheredCharges::default();
            let visit = |record: &Record| gathered.note(record);
            let known = SpoolOpener {
                node: Some(node),
                stored_requests: &carried,
                ..SpoolOpener::new(&place, options, &ingested)
            };
            let opening =
                SpoolOpener { durability, skip_corrupt, visit: Some(&visit), export: export.options(), ..known };
            let spool = opening.open()?;
            Ok((spool, gathered))
        });
        Ok(opened.await?.map_err(|error| failure::of_spool(&process.data, folder, error))?)
    }

    /// Closes interrupted requests of the last run, and ingests the spool. If the spool has too many records, none is
    /// ingested yet, and they become the backlog of the node.
    pub(super) async fn settle(
        &self,
        spool: &mut Spool,
        gathered: GatheredCharges,
        stats: &IngestStats,
    ) -> anyhow::Result<()> {
        let Self { node, process, folder, .. } = self;
        let failed = |error| failure::of_spool(&process.data, folder, error);
        let close = |one: &InterruptedRequest| one.request.interrupted_event();
        let interrupted: Vec<Record> = spool.interrupted.iter().map(|one| Record::Close(close(one))).collect();
        let mut is_last = false;
        loop {
            let settled = spool.settle(close);
            spool.reader.sync().map_err(failed)?;
            let waiting = spool.reader.depth().map_err(failed)?.records;
            if waiting > BEFORE_PORTS_MAX {
                tracing::info!(records = waiting, "ingesting the spool of an earlier run");
                if settled.is_ok() && !is_last {
                    interrupted.iter().for_each(|record| gathered.note(record));
                    node.backlog().begin(gathered, spool.reader.end_positions()).await;
                    return Ok(());
                }
            }
            let drained = ledger::ingest::drain(node, &mut spool.reader, stats).await;
            drained.map_err(|error| failure::of_ingest(process, folder, error))?;
            match settled {
                // Ingested records make room again.
                Err(SpoolError::Full { .. }) if !is_last => is_last = true,
                settled => return Ok(settled.map_err(failed)?),
            }
        }
    }
}

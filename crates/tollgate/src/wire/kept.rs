//! What outlives the process: the store and the spool, opened, with all that earlier runs left brought into the store.

use std::sync::Arc;

use access::Clock;
use anyhow::Context;
use config::Snapshot;
use meter::Meter;
use spool::{Cut, Reader, Spool, Writer};
use store::{IngestStats, PlanDifference, Store};

use super::Wish;
use crate::commands::store_fault;
use crate::demo::{self, DemoKey};

const SPOOL_FOLDER: &str = "spool";

/// The store and the spool, and what stands in them.
pub(crate) struct Kept {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) writers: Vec<Writer>,
    pub(crate) reader: Reader,
    pub(crate) stats: Arc<IngestStats>,
    /// With what today has used.
    pub(crate) meter: Arc<Meter>,
    /// Empty unless they were wished for.
    pub(crate) demo: Vec<DemoKey>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) differences: Vec<PlanDifference>,
}

impl Kept {
    /// Opens both, made where they are missing; this may take as long as earlier runs left work.
    pub(crate) async fn open(snapshot: &Snapshot, wish: &Wish) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let options = store::Options { data: &snapshot.data, migrate: snapshot.store.migrate, clock: clock.clone() };
        let store = Store::open(options).await.map_err(store_fault)?;
        let differences = store.ensure_plans(&snapshot.plans).await?;
        let demo =
            if wish.demo { demo::seed(&store, &snapshot.data, &snapshot.brand.key_prefix).await? } else { Vec::new() };
        let Spool { writers, mut reader, cuts } = open_spool(&store, snapshot, wish.workers).await?;
        let stats = Arc::new(IngestStats::default());
        store::ingest::drain(&store, &mut reader, &stats).await.context("usage left by an earlier run")?;
        let meter = Arc::new(restored(&store, &clock).await?);
        Ok(Self { clock, store, writers, reader, stats, meter, demo, cuts, differences })
    }
}

/// Opens the spool where ingest left off.
async fn open_spool(store: &Store, snapshot: &Snapshot, lanes: usize) -> anyhow::Result<Spool> {
    let options = spool::Options::new(snapshot.spool.size_bytes_max, u32::try_from(lanes)?);
    let ingested = store.ingested().await?;
    let folder = snapshot.data.join(SPOOL_FOLDER);
    let opened = tokio::task::spawn_blocking(move || Spool::open(&folder, options, &ingested)).await?;
    opened.context("the spool of usage events cannot be opened")
}

/// Counts what today has used already; everything that was spooled must be in the store.
async fn restored(store: &Store, clock: &Clock) -> anyhow::Result<Meter> {
    let meter = Meter::default();
    let today = clock.now().day();
    for (caller, credits) in store.day_credits(today).await? {
        meter.restore(caller, today, credits);
    }
    Ok(meter)
}

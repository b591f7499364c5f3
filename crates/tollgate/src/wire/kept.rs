//! What outlives the process: the store and the spool, opened, with all that earlier runs left brought into the store.

use std::path::Path;
use std::sync::Arc;

use access::Clock;
use config::Snapshot;
use meter::Meter;
use spool::{Cut, Lost, Reader, Spool, Writer};
use store::{IngestStats, PlanDifference, Store, StoreError};

use super::Wish;
use crate::demo::{self, DemoKey};
use crate::failure::{self, StartFault};

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
    pub(crate) lost: Vec<Lost>,
    pub(crate) differences: Vec<PlanDifference>,
}

impl Kept {
    /// Opens both, made where they are missing; this may take as long as earlier runs left work.
    pub(crate) async fn open(snapshot: &Snapshot, wish: &Wish) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let options = store::Options { data: &snapshot.data, migrate: snapshot.store.migrate, clock: clock.clone() };
        let damaged = |error| failure::of_store(&snapshot.data, error);
        let store = Store::open(options).await.map_err(damaged)?;
        refuse_exposed_demo_keys(&store, snapshot, wish.demo).await?;
        let differences = store.ensure_plans(&snapshot.plans).await.map_err(damaged)?;
        let demo =
            if wish.demo { demo::seed(&store, &snapshot.data, &snapshot.brand.key_prefix).await? } else { Vec::new() };
        let folder = snapshot.data.join(SPOOL_FOLDER);
        let Spool { writers, mut reader, cuts, lost } = open_spool(&store, snapshot, &folder, wish.workers).await?;
        let stats = Arc::new(IngestStats::default());
        let drained = store::ingest::drain(&store, &mut reader, &stats).await;
        drained.map_err(|error| failure::of_ingest(&snapshot.data, &folder, error))?;
        let meter = Arc::new(restored(&store, &clock).await.map_err(damaged)?);
        Ok(Self { clock, store, writers, reader, stats, meter, demo, cuts, lost, differences })
    }
}

/// Demo users, there or `wished` for, a real provider credential and a public listener, all three, do not start together.
async fn refuse_exposed_demo_keys(store: &Store, snapshot: &Snapshot, wished: bool) -> anyhow::Result<()> {
    let mut listeners = snapshot.listen.iter().chain([&snapshot.control_listen]);
    let public = listeners.find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(&listener) = public
        && snapshot.costs_money()
        && (wished || store.has_demo_users().await.map_err(|error| failure::of_store(&snapshot.data, error))?)
    {
        return Err(StartFault::DemoKeysExposed { listener }.into());
    }
    Ok(())
}

/// Opens the spool in `folder` where ingest left off.
async fn open_spool(store: &Store, snapshot: &Snapshot, folder: &Path, lanes: usize) -> anyhow::Result<Spool> {
    let options = spool::Options::new(snapshot.spool.size_bytes_max, u32::try_from(lanes)?);
    let ingested = store.ingested().await.map_err(|error| failure::of_store(&snapshot.data, error))?;
    let place = folder.to_owned();
    let opened = tokio::task::spawn_blocking(move || Spool::open(&place, options, &ingested)).await?;
    Ok(opened.map_err(|error| failure::of_spool(&snapshot.data, folder, error))?)
}

/// Counts what today has used already; everything that was spooled must be in the store.
async fn restored(store: &Store, clock: &Clock) -> Result<Meter, StoreError> {
    let meter = Meter::default();
    let today = clock.now().day();
    for (caller, credits) in store.day_credits(today).await? {
        meter.restore(caller, today, credits);
    }
    Ok(meter)
}

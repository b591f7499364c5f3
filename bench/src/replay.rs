//! `replay`: the duration of a startup of the binary with a spool that was not ingested.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use access::{Clock, NanoUsd, Tokens};
use anyhow::Context;
use meter::Charge;
use spool::{OpenRequest, Record, Spool, SpoolOptions};

use crate::database::{BenchDatabase, DatabaseKind};
use crate::people::EventMaker;
use crate::plan::PlaceFlags;
use crate::product::{ProductStart, ServerConfig};
use crate::run::out_dir;
use crate::tools::{ToolPaths, free_address};

/// The number of the binary's workers in this measurement.
const LANES: u32 = 2;
/// The number of open requests per spool partition when the process dies.
const OPEN: usize = 500;
/// An upper bound of the open and the close record of an event.
const BYTES_AN_EVENT: u64 = 2_048;
/// The maximum time of a startup.
const PATIENCE: Duration = Duration::from_hours(1);
/// The maximum time for [`OF_EVENTS`]; for fewer events it is proportionally shorter.
const TARGET: Duration = Duration::from_secs(60);
const OF_EVENTS: u64 = 10_000_000;

#[derive(clap::Args, Clone)]
pub(crate) struct ReplayFlags {
    /// The database of the store
    #[arg(long, value_enum, default_value = "sqlite")]
    store: DatabaseKind,
    /// Events in the spool, each opened and closed
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    events: u64,
    #[command(flatten)]
    places: PlaceFlags,
}

/// Runs the measurement and prints a line per step. Returns `false` if the startup takes too long.
pub(crate) async fn run(flags: ReplayFlags) -> anyhow::Result<bool> {
    let database = BenchDatabase::create(flags.store).await?;
    println!("{}", database.describe());
    let clock = Clock::system();
    let folder = database.folder().join("spool");
    let events = flags.events;
    // The folder must belong to a node that the store knows.
    let store = database.open().await?;
    store.join(database.folder(), env!("CARGO_PKG_VERSION")).await?;
    let began = clock.mono();
    let bytes = tokio::task::spawn_blocking(move || fill(&folder, events)).await??;
    println!(
        "{events} events opened and closed, {} left open, {} MiB, written in {:.1} s",
        OPEN * usize::try_from(LANES)?,
        bytes >> 20,
        clock.mono().since(began).as_secs_f64()
    );
    store.close().await;
    let (took, cpu_micros) = serve(&flags, &database).await?;
    let cpu = Duration::from_micros(cpu_micros).as_secs_f64();
    println!("  `tollgate serve` until it is ready: {:.1} s, {cpu:.1} s of CPU", took.as_secs_f64());
    let most = Duration::from_secs(TARGET.as_secs() * events / OF_EVENTS);
    let judged = if took <= most { "met" } else { "missed" };
    let took_seconds = took.as_secs_f64();
    println!("time until the ports are open: {took_seconds:.1} s; at most {} s: {judged}", most.as_secs());
    Ok(took <= most)
}

/// A size limit of the spool that is never reached.
fn size_bytes_max(events: u64) -> u64 {
    (events * BYTES_AN_EVENT).max(256 << 20)
}

/// Writes the spool as workers do: some requests of each partition are always open, also at the end. Returns its size
/// in bytes.
fn fill(folder: &Path, events: u64) -> anyhow::Result<u64> {
    let mut spool = Spool::open(folder, SpoolOptions::new(size_bytes_max(events), LANES), &[])?;
    let mut maker = EventMaker::new(&Clock::system());
    let mut open: Vec<VecDeque<_>> = (0..LANES).map(|_| VecDeque::new()).collect();
    let all = events + u64::from(LANES) * u64::try_from(OPEN)?;
    for nth in 0..all {
        let lane = usize::try_from(nth % u64::from(LANES))?;
        let writer = spool.writers.get_mut(lane).context("the spool has no partition")?;
        let open = open.get_mut(lane).context("the spool has no partition")?;
        let event = maker.next();
        let reserved =
            Charge { credits: event.charge.credits, tokens: Tokens(4_096), ..Charge::money(NanoUsd(41_000_000)) };
        writer.append(&Record::Open(OpenRequest {
            id: event.id,
            subject: event.subject.clone(),
            started_at: event.started_at,
            day: event.day,
            windows: Vec::new(),
            reserved,
            route: event.route.clone(),
            format: event.format.clone(),
            model: event.model.clone(),
            price_version: Some("builtin-2026-11-01".into()),
            origin: meter::RequestOrigin::default(),
        }))?;
        open.push_back(event);
        if open.len() > OPEN {
            writer.append(&Record::Close(open.pop_front().context("no request is open")?))?;
        }
    }
    Ok(spool.reader.depth()?.bytes)
}

/// The time from the start of the binary until it is ready, and its processor time until then, in microseconds.
async fn serve(flags: &ReplayFlags, database: &BenchDatabase) -> anyhow::Result<(Duration, u64)> {
    let tools = ToolPaths::find(&[], flags.places.profile_dir.as_deref())?;
    let out = out_dir(&flags.places.out)?;
    let url = database.url.as_ref();
    let config = ServerConfig { spool_mib: size_bytes_max(flags.events) >> 20, ..ServerConfig::default() };
    let start = ProductStart::new(&tools.tollgate, database.folder(), &out, "replay");
    // No request reaches a backend.
    let product = ProductStart { url, config, patience: PATIENCE, ..start }.run(free_address()?).await?;
    Ok((product.ready_after, product.cpu_micros))
}

//! The durable state: opens the store and the spool, and transfers the records of earlier runs into the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::{Amount, Clock, Day, Secret};
use cluster::Cluster;
use config::LoadedConfig;
use config::Snapshot;
use config::snapshot::{Durability, Origin, Process, Signup, SignupMode};
use control::configuration::StartedConfig;
use jobs::Runner;
use ledger::IngestStats;
use meter::budget::Period;
use meter::{BudgetId, BudgetScope, Charge, Meter, Per};
use spool::{
    InterruptedRequest, LostSegments, Reader, Record, SkippedDamage, Spool, SpoolError, SpoolOpener, TruncatedTail,
    Writer,
};
use store::{BacklogError, Charges, GatheredCharges, Node, PlanDifference, Store};

use super::ServeOptions;
use super::{configuration, heartbeat};
use crate::cli::Role;
use crate::demo::{self, Demo};
use crate::failure::{self, StartFault};
use crate::secrets::AdmittedVault;
use crate::store_options;

const SPOOL_FOLDER: &str = "spool";
/// If the spool has more records, they are ingested after the listeners are open.
const BEFORE_PORTS_MAX: u64 = 20_000;
/// Maximum time for which a start waits for the return of leases of earlier runs.
const CLOSING_MAX: Duration = Duration::from_secs(10);

/// The store, with the state that the start reads from it.
pub(crate) struct DurableState {
    pub(crate) clock: Clock,
    pub(crate) node: Node,
    /// The runner of the heartbeat, which stops after all other jobs.
    pub(crate) heartbeat: Runner,
    pub(crate) keys: AdmittedVault,
    /// The signing secret of access tokens; `None` in a process without an admin API.
    pub(crate) signing: Option<Secret>,
    /// The spool and the meter; `None` in a process without a proxy.
    pub(crate) metered_spool: Option<MeteredSpool>,
    /// The demo users; empty without `--demo`.
    pub(crate) demo: Demo,
    pub(crate) differences: Vec<PlanDifference>,
    /// The configuration in force: the file, or a stored one over it.
    pub(crate) started: StartedConfig,
    /// The address of the mock, once it runs.
    pub(crate) mock: Option<Origin>,
}

/// The spool, and the meter with the usage of the current day.
pub(crate) struct MeteredSpool {
    pub(crate) writers: Vec<Writer>,
    pub(crate) reader: Reader,
    pub(crate) stats: Arc<IngestStats>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) cuts: Vec<TruncatedTail>,
    pub(crate) lost: Vec<LostSegments>,
    /// Requests that were in flight when the last run died.
    pub(crate) interrupted: InterruptedTotals,
    /// Damaged records that `--skip-corrupt` skipped.
    pub(crate) skipped: Vec<SkippedDamage>,
}

/// Requests that were in flight when the last run died, with their reservations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InterruptedTotals {
    pub(crate) requests: u64,
    pub(crate) reserved: Charge,
}

impl DurableState {
    /// Opens both, and creates missing ones. The duration depends on the records that earlier runs left.
    pub(crate) async fn open(file: LoadedConfig, serve_options: &ServeOptions) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let snapshot = &file.snapshot;
        let opened = Store::open(store_options::options(&snapshot.process, clock.clone())).await;
        let store = opened.map_err(|error| failure::of_store(&snapshot.process, error))?;
        refuse_exposed_demo_keys(&store, snapshot, serve_options.demo).await?;
        let keys = serve_options.secrets.open_vault(&store, &snapshot.process).await?;
        let signing = if serve_options.role == Role::Proxy { None } else { Some(serve_options.secrets.signing()?) };
        let differences = store.ensure_plans(&snapshot.traffic.plans).await;
        let differences = differences.map_err(|error| failure::of_store(&snapshot.process, error))?;
        refuse_lost_signup_plan(&store, snapshot).await?;
        let demo = if serve_options.demo { demo::seed(&store, &snapshot.process).await? } else { Demo::default() };
        let joined = store.join(&snapshot.process.data, env!("CARGO_PKG_VERSION")).await;
        let node = joined.map_err(|error| failure::of_store(&snapshot.process, error))?;
        keys.confirm(&store, &snapshot.process).await?;
        let mut started = configuration::in_force(&node, file.clone(), serve_options).await?;
        // A configuration in etcd cannot lead this process to another cluster.
        started.loaded.snapshot.process.config_key.clone_from(&snapshot.process.config_key);
        let differences = configuration::of_start(&store, &started, differences).await?;
        refuse_exposed_demo_keys(&store, &started.loaded.snapshot, serve_options.demo).await?;
        // Ingesting the records of an earlier run may take a long time.
        let heartbeat = heartbeat::start(&node);
        let metered_spool = if serve_options.role.proxies() {
            Some(MeteredSpool::open(&snapshot.process, &node, &clock, serve_options).await?)
        } else {
            None
        };
        Ok(Self { clock, node, heartbeat, keys, signing, metered_spool, demo, differences, started, mock: None })
    }
}

impl MeteredSpool {
    async fn open(process: &Process, node: &Node, clock: &Clock, serve_options: &ServeOptions) -> anyhow::Result<Self> {
        let folder = process.data.join(SPOOL_FOLDER);
        let (mut spool, gathered) = open_spool(node, process, &folder, serve_options).await?;
        let stats = Arc::new(IngestStats::default());
        let interrupted = spool.interrupted.iter().fold(InterruptedTotals::default(), |sum, one| InterruptedTotals {
            requests: sum.requests + 1,
            reserved: sum.reserved.and(&one.request.reserved),
        });
        settle(node, process, &mut spool, gathered, &stats).await?;
        let Spool { writers, reader, truncated_tails: cuts, lost_segments: lost, skipped_damage: skipped, .. } = spool;
        let restored = restored(node, process, clock).await;
        let meter = Arc::new(restored.map_err(|error| failure::of_store(process, error))?);
        Ok(Self { writers, reader, stats, meter, cuts, lost, interrupted, skipped })
    }
}

/// Refuses demo users (existing or `wished`) in production, and together with a real provider credential and a public
/// listener.
async fn refuse_exposed_demo_keys(store: &Store, snapshot: &Snapshot, wished: bool) -> anyhow::Result<()> {
    let failed = |error| failure::of_store(&snapshot.process, error);
    let mut public = snapshot.process.public_listener();
    if public.is_some() && !snapshot.traffic.costs_money() {
        let shared = store.provider_keys(None).await.map_err(failed)?;
        let offered = &snapshot.traffic.offered_providers;
        public = public.filter(|_| shared.iter().any(|key| offered.iter().any(|of| *of.name == *key.provider)));
    }
    let is_production = snapshot.process.production;
    if public.is_none() && !is_production {
        return Ok(());
    }
    let has_demo = wished || store.has_demo_users().await.map_err(failed)?;
    match public {
        _ if !has_demo => Ok(()),
        Some(listener) => Err(StartFault::DemoKeysExposed { listener }.into()),
        None => Err(StartFault::DemoKeysInProduction.into()),
    }
}

/// Checks that the plan for new accounts exists, if registration is enabled.
async fn refuse_lost_signup_plan(store: &Store, snapshot: &Snapshot) -> anyhow::Result<()> {
    let Signup { mode, plan } = &snapshot.traffic.signup;
    let plans = store.plans().await.map_err(|error| failure::of_store(&snapshot.process, error))?;
    if *mode != SignupMode::Closed && plans.iter().all(|stored| stored.name != *plan) {
        return Err(StartFault::SignupPlanMissing { plan: plan.clone() }.into());
    }
    Ok(())
}

/// Opens the spool in `folder` at the position of the last ingest, and collects later charges.
async fn open_spool(
    node: &Node,
    process: &Process,
    folder: &Path,
    serve_options: &ServeOptions,
) -> anyhow::Result<(Spool, GatheredCharges)> {
    let options = spool::SpoolOptions::new(process.spool.size_bytes_max, u32::try_from(serve_options.workers)?);
    let ingested = ledger::ingest::positions(node).await.map_err(|error| failure::of_store(process, error))?;
    let skip_corrupt = serve_options.skip_corrupt;
    let carried = ledger::ingest::stored_requests(node).await.map_err(|error| failure::of_store(process, error))?;
    let (place, node) = (folder.to_owned(), node.id());
    let durability = match process.spool.durability {
        Durability::Process => spool::SpoolDurability::Process,
        Durability::Power => spool::SpoolDurability::Power,
    };
    let opened = tokio::task::spawn_blocking(move || {
        let gathered = GatheredCharges::default();
        let visit = |record: &Record| gathered.note(record);
        let known =
            SpoolOpener { node: Some(node), stored_requests: &carried, ..SpoolOpener::new(&place, options, &ingested) };
        let opening = SpoolOpener { durability, skip_corrupt, visit: Some(&visit), ..known };
        let spool = opening.open()?;
        Ok((spool, gathered))
    });
    Ok(opened.await?.map_err(|error| failure::of_spool(&process.data, folder, error))?)
}

/// Closes interrupted requests of the last run, and ingests the spool. If the spool has too many records, none is
/// ingested yet, and they become the backlog of the node.
async fn settle(
    node: &Node,
    process: &Process,
    spool: &mut Spool,
    gathered: GatheredCharges,
    stats: &IngestStats,
) -> anyhow::Result<()> {
    let folder = process.data.join(SPOOL_FOLDER);
    let failed = |error| failure::of_spool(&process.data, &folder, error);
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
        drained.map_err(|error| failure::of_ingest(process, &folder, error))?;
        match settled {
            // Ingested records make room again.
            Err(SpoolError::Full { .. }) if !is_last => is_last = true,
            settled => return Ok(settled.map_err(failed)?),
        }
    }
}

/// Returns a meter with the usage of the current day. All spooled records are in the store or in the node's backlog. If
/// nodes share the store, the meter uses leases, and unused leases of earlier runs are returned first.
async fn restored(node: &Node, process: &Process, clock: &Clock) -> Result<Meter, BacklogError> {
    let store = node.store();
    if store.is_shared() {
        let cluster = Cluster::new(store.clone());
        let closing = cluster.close_untold_leases(node, process.lease.ttl);
        match tokio::time::timeout(CLOSING_MAX, closing).await {
            Ok(Ok(())) => {}
            // Another transaction holds their rows; the lease job closes these leases as well, every 10 s.
            Ok(Err(error)) => {
                tracing::warn!(%error, "leases of earlier runs are not returned yet; retrying every 10 s");
            }
            Err(_) => tracing::warn!("leases of earlier runs are not returned yet; retrying every 10 s"),
        }
        return Ok(Meter::leased());
    }
    let meter = Meter::default();
    let today = clock.now().day();
    // The clock may be behind and be corrected later, so the usage of tomorrow is loaded as well. Users and keys with usage
    // of tomorrow are not metered for today.
    for day in [today, today.next()] {
        begin(&meter, node, day).await?;
    }
    Ok(meter)
}

/// Loads the used credits of keys and users for one day.
async fn begin(meter: &Meter, node: &Node, day: Day) -> Result<(), BacklogError> {
    let period = Period::of(Per::Day, day);
    let Charges { keys, users, .. } = node.store().charges(period).await?;
    let keys = keys.into_iter().map(|(no, charge)| (BudgetScope::Key(no), charge));
    let users = users.into_iter().map(|(no, charge)| (BudgetScope::User(no), charge));
    let waiting = node.backlog().waiting().await?;
    let stored = keys.chain(users).map(|(scope, charge)| (scope, charge.and(&waiting.charge_of(scope, period))));
    // Users and keys in the store are loaded first; later values for them have no effect.
    let spooled = waiting.charges(period).filter(|(of, _)| matches!(of, BudgetScope::Key(_) | BudgetScope::User(_)));
    for (scope, charge) in stored.chain(spooled) {
        meter.begin(BudgetId::credits_a_day(scope), day, Amount::of_credits(charge.credits));
    }
    Ok(())
}

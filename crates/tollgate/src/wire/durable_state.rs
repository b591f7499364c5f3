//! The durable state: opens the store and the spool, and transfers the records of earlier runs into the store.

use std::sync::Arc;

use access::{Amount, Clock, Day, Secret};
use cluster::Cluster;
use config::LoadedConfig;
use config::Snapshot;
use config::snapshot::{Billing, Origin, Process, Signup, SignupMode};
use control::configuration::{BillingRole, StartedConfig};
use jobs::Runner;
use ledger::IngestStats;
use meter::Period;
use meter::{BudgetId, BudgetScope, Charge, LimitPeriod, Meter};
use spool::{ExportReader, LostSegments, Reader, SkippedDamage, Spool, TruncatedTail, Writer};
use store::{BacklogError, Charges, Node, PlanDifference, Store};

use super::ServeOptions;
use super::export::ExportPlace;
use super::left_slot::LeftSlot;
use super::payments::{PaymentProvider, StubTask};
use super::spooled::{CLOSING_MAX, SPOOL_FOLDER, SpoolPlace};
use super::{billing, configuration, heartbeat};
use crate::cli::Role;
use crate::demo::{self, Demo};
use crate::failure::{self, StartFault};
use crate::secrets::AdmittedVault;
use crate::store_options;

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
    /// What the process has to do with billing.
    pub(crate) billing: BillingRole,
    /// The payment provider of billing.
    pub(super) payments: PaymentProvider,
    /// The task of the stub, until it is started; `None` with an account.
    pub(super) stub: Option<StubTask>,
}

/// The spool, and the meter with the usage of the current day.
pub(crate) struct MeteredSpool {
    pub(crate) writers: Vec<Writer>,
    pub(crate) reader: Reader,
    /// The reader of the export; `None` without a target.
    pub(crate) export: Option<ExportReader>,
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
        refuse_lost_plans(&store, snapshot).await?;
        let demo = if serve_options.demo { demo::seed(&store, &snapshot.process).await? } else { Demo::default() };
        let slot = serve_options.slot.folder(&snapshot.process.data);
        if !serve_options.role.proxies() {
            // The spool of an earlier run with a proxy.
            Box::pin(LeftSlot::own(&store, &snapshot.process, serve_options).settle()).await?;
        }
        let joined = store.join(&slot, env!("CARGO_PKG_VERSION")).await;
        let node = joined.map_err(|error| failure::of_store(&snapshot.process, error))?;
        if !serve_options.role.proxies() {
            node.note_no_spool();
        }
        keys.confirm(&store, &snapshot.process).await?;
        let mut started = Box::pin(configuration::in_force(&node, file.clone(), serve_options)).await?;
        // A configuration in etcd cannot lead this process to another cluster.
        started.loaded.snapshot.process.config_key.clone_from(&snapshot.process.config_key);
        let differences = configuration::of_start(&store, &started, differences).await?;
        refuse_exposed_demo_keys(&store, &started.loaded.snapshot, serve_options.demo).await?;
        // Ingesting the records of an earlier run may take a long time.
        let heartbeat = heartbeat::start(&node);
        let left = LeftSlot::new(&store, &snapshot.process, serve_options);
        Box::pin(left.settle_before(serve_options)).await?;
        let metered_spool = if serve_options.role.proxies() {
            Some(MeteredSpool::open(&snapshot.process, &node, &clock, serve_options).await?)
        } else {
            None
        };
        let mock = None;
        let process = &started.loaded.snapshot.process;
        let billing = billing::role(process, serve_options);
        let (payments, stub) = PaymentProvider::new(&process.midtrans);
        Ok(Self {
            clock,
            node,
            heartbeat,
            keys,
            signing,
            metered_spool,
            demo,
            differences,
            started,
            mock,
            billing,
            payments,
            stub,
        })
    }
}

impl MeteredSpool {
    async fn open(process: &Process, node: &Node, clock: &Clock, serve_options: &ServeOptions) -> anyhow::Result<Self> {
        let slot = serve_options.slot.folder(&process.data);
        let folder = slot.join(SPOOL_FOLDER);
        let export = ExportPlace::new(process, &slot);
        let workers = serve_options.workers;
        let skip_corrupt = serve_options.skip_corrupt;
        let at = SpoolPlace { node, process, folder, workers, skip_corrupt, export };
        let (mut spool, gathered) = at.open().await?;
        let stats = Arc::new(IngestStats::default());
        let interrupted = spool.interrupted.iter().fold(InterruptedTotals::default(), |sum, one| InterruptedTotals {
            requests: sum.requests + 1,
            reserved: sum.reserved.and(&one.request.reserved),
        });
        at.settle(&mut spool, gathered, &stats).await?;
        let Spool {
            writers, reader, export, truncated_tails: cuts, lost_segments: lost, skipped_damage: skipped, ..
        } = spool;
        let restored = restored(node, process, clock).await;
        let meter = Arc::new(restored.map_err(|error| failure::of_store(process, error))?);
        Ok(Self { writers, reader, export, stats, meter, cuts, lost, interrupted, skipped })
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
        if !shared.iter().any(|key| offered.iter().any(|provider| *provider.name == *key.provider)) {
            public = None;
        }
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

/// Checks that the plan for new accounts exists, if registration is enabled, and that of users who owe, if billing is.
/// A reload checks both too, and no plan is ever removed.
async fn refuse_lost_plans(store: &Store, snapshot: &Snapshot) -> anyhow::Result<()> {
    let Signup { mode, plan } = &snapshot.traffic.signup;
    let plans = store.plans().await.map_err(|error| failure::of_store(&snapshot.process, error))?;
    let is_lost = |plan: &str| plans.iter().all(|stored| stored.name != plan);
    if *mode != SignupMode::Closed && is_lost(plan) {
        return Err(StartFault::SignupPlanMissing { plan: plan.clone() }.into());
    }
    let Billing { is_enabled, fallback_plan: plan, .. } = &snapshot.traffic.billing;
    if *is_enabled && is_lost(plan) {
        return Err(StartFault::FallbackPlanMissing { plan: plan.clone() }.into());
    }
    Ok(())
}

/// Returns a meter with the usage of the current day. All spooled records are in the store or in the node's backlog. If
/// nodes share the store, the meter uses leases, and unused leases of earlier runs are returned first.
async fn restored(node: &Node, process: &Process, clock: &Clock) -> Result<Meter, BacklogError> {
    let store = node.store();
    if store.is_shared() {
        let cluster = Cluster::new(store.clone());
        let closing = cluster.close_unreported_leases(node, process.lease.ttl);
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
    let period = Period::containing(LimitPeriod::Day, day);
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

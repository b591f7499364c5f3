//! The state of a worker: each serves its requests on its own thread, with its own connection pools and caches.

pub(crate) mod access_tokens;
pub(crate) mod admitted_client;
pub(crate) mod aggregation;
pub(crate) mod conversations;
pub(crate) mod credential_cache;
pub(crate) mod date;
pub(crate) mod decisions;
pub(crate) mod invented_names;
pub(crate) mod label_merges;
pub(crate) mod limits_cache;
pub(crate) mod password_cache;
pub(crate) mod provider_models;
pub(crate) mod recorder;
pub(crate) mod redis_key_cache;
pub(crate) mod refusals;
pub(crate) mod response_cache;
pub(crate) mod subject_limits;
pub(crate) mod token_client;
pub(crate) mod unauthenticated;
pub(crate) mod wall_clock;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use access::credentials::basic::{DigestKey, PasswordChecks};
use access::credentials::issuer::{IssuerKeys, IssuerRegistry};
use access::exchange::redis_key::RedisKeys;
use access::exchange::subject_budgets::SubjectBudgets;
use access::{Clock, Directory, Ids, ObjectKeys, UpstreamCredentials};
use config::{Live, Snapshot};
use meter::Meter;
use meter::lease::LeaseQueue;
use meter::limiter::LimitCounters;
use meter::limiter::sharing::LimitSharing;
use telemetry::{BackendStatus, Metrics, TargetStatus};

use crate::bytes::buffers::Buffers;
use crate::capacity::Capacity;
use crate::client::head::UnusedHeads;
use crate::deadlines::WorkerDeadlines;
use crate::deadlines::shutdown::Shutdown;
use crate::metrics::{RequestHandles, WorkerHandles};
use crate::upstream::backends::Backends;
use crate::upstream::connect::Connector;
use crate::upstream::destinations::Destinations;
use crate::upstream::lookups::NameLookups;
use crate::upstream::pool::Pools;
use crate::upstream::response_head::RelayedHeads;
use crate::worker::access_tokens::AccessTokens;
use crate::worker::aggregation::Aggregation;
use crate::worker::conversations::Conversations;
use crate::worker::date::DateCache;
use crate::worker::decisions::Services;
use crate::worker::invented_names::InventedNames;
use crate::worker::label_merges::LabelMerges;
use crate::worker::limits_cache::LimitsCache;
use crate::worker::password_cache::PasswordCache;
use crate::worker::provider_models::ProviderLists;
use crate::worker::recorder::Recorder;
use crate::worker::redis_key_cache::RedisKeyCache;
use crate::worker::refusals::Refusals;
use crate::worker::response_cache::memories::ResponseMemories;
use crate::worker::subject_limits::SubjectLimitsCache;
use crate::worker::token_client::TokenCache;
use crate::worker::unauthenticated::UnauthenticatedClients;
use crate::worker::wall_clock::WallClock;

/// The state that all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The current configuration, which a reload replaces.
    pub live: Arc<Live>,
    /// The budgets and rate limits.
    pub meter: Arc<Meter>,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The clock of the process.
    pub clock: Clock,
    /// The bounds over all workers.
    pub capacity: Arc<Capacity>,
    /// The states of the backends of upstreams.
    pub backends: Arc<Backends>,
    /// The keys that issuers of access tokens publish.
    pub issuers: Arc<IssuerRegistry>,
    /// The shared credentials of the vault, for headers of routes.
    pub upstream_credentials: Arc<UpstreamCredentials>,
    /// The queue of passwords that another thread verifies; `None` if nothing does.
    pub password_checks: Option<PasswordChecks>,
    /// The queue of keys that another task looks up in Redis; `None` without Redis.
    pub redis_keys: Option<RedisKeys>,
    /// The queue of subjects whose budget counters another task begins; `None` if leases begin them.
    pub subject_budgets: Option<SubjectBudgets>,
    /// The TLS configuration for connections to upstreams.
    pub tls: Arc<rustls::ClientConfig>,
    /// The current phase of a shutdown.
    pub shutdown: Shutdown,
    /// The limits of unauthenticated clients.
    pub unauthenticated: UnauthenticatedClients,
    /// The limits that nodes share; `None` without Redis.
    pub sharing: Option<LimitSharing>,
    /// The queue of lease requests; `None` if this node is the only one and needs no leases.
    pub leases: Option<LeaseQueue>,
    /// The stored responses of cached routes.
    pub responses: ResponseMemories,
    /// The access tokens of service accounts.
    pub access_tokens: AccessTokens,
    /// The conversations that later calls of models with other formats may name.
    pub conversations: Conversations,
    /// The lists of models that providers return.
    pub provider_lists: ProviderLists,
    /// The keys that bind ids of objects in the operator's accounts to users.
    pub object_keys: Arc<ObjectKeys>,
}

impl Shared {
    /// Returns the backends of the running configuration and those with requests in flight, as the metrics and the admin API
    /// show them.
    #[must_use]
    pub fn backend_statuses(&self) -> Vec<BackendStatus> {
        self.backends.statuses(&self.live)
    }

    /// Returns the targets of the running configuration that have been used.
    #[must_use]
    pub fn target_statuses(&self) -> Vec<TargetStatus> {
        self.backends.target_statuses(&self.live)
    }
}

/// The resources that belong to one worker.
#[derive(Debug)]
pub struct WorkerResources {
    /// The worker's view of the keys.
    pub directory: Directory,
    /// The writer of the worker's spool partition.
    pub spool: spool::Writer,
}

/// The state of a worker. It never leaves its thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) directory: Directory,
    pub(crate) recorder: Recorder,
    pub(crate) pools: Rc<Pools>,
    pub(crate) connector: Connector,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) heads: UnusedHeads,
    pub(crate) relayed_heads: RelayedHeads,
    pub(crate) date: DateCache,
    pub(crate) wall_clock: WallClock,
    pub(crate) deadlines: WorkerDeadlines,
    pub(crate) aggregation: Aggregation,
    pub(crate) handles: WorkerHandles,
    pub(crate) label_merges: LabelMerges,
    pub(crate) limits: LimitsCache,
    pub(crate) subject_limits: SubjectLimitsCache,
    pub(crate) refusals: Refusals,
    pub(crate) invented_names: InventedNames,
    /// The key of cached credentials; `None` if the operating system returned no random bytes.
    pub(crate) digest_key: Option<DigestKey>,
    /// Passwords that were verified, also with an earlier snapshot.
    pub(crate) passwords: PasswordCache,
    /// Keys in Redis that were looked up.
    pub(crate) redis_keys: RedisKeyCache,
    /// The number of the worker.
    number: usize,
    snapshot: RefCell<Rc<WorkerSnapshot>>,
}

/// A snapshot as one worker uses it. References are counted on the worker's thread, because a count that all workers
/// share would slow requests down.
pub(crate) struct WorkerSnapshot {
    snapshot: Arc<Snapshot>,
    pub(crate) destinations: Destinations,
    pub(crate) requests: RequestHandles,
    /// Access tokens that this snapshot accepts.
    pub(crate) tokens: TokenCache,
    /// Requests that wait for services, and decisions of services.
    pub(crate) services: Services,
    /// The published keys of issuers, by their positions.
    pub(crate) issuers: Box<[Arc<IssuerKeys>]>,
    /// The counters of the rate limits, by their positions.
    pub(crate) limit_counters: Rc<[Arc<LimitCounters>]>,
}

impl WorkerSnapshot {
    fn new(shared: &Arc<Shared>, snapshot: Arc<Snapshot>, pools: &Rc<Pools>, worker: usize) -> Rc<Self> {
        let destinations = Destinations::new(&snapshot, shared.backends.clone(), pools.clone(), worker);
        let rules = snapshot.traffic.rate_limits.all();
        let limit_counters = shared.meter.rules().counters(rules.iter().map(|rule| &rule.id)).into();
        let issuers = snapshot.traffic.issuers.iter().map(|issuer| shared.issuers.keys_of(&issuer.source)).collect();
        let (requests, tokens, services) = Default::default();
        Rc::new(Self { snapshot, destinations, requests, tokens, services, issuers, limit_counters })
    }
}

impl std::ops::Deref for WorkerSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Worker {
    /// Returns the worker with this number, which has served nothing yet.
    pub(crate) fn new(shared: Arc<Shared>, resources: WorkerResources, number: usize) -> Self {
        let (pools, buffers): (Rc<Pools>, Rc<Buffers>) = Default::default();
        let ids = RefCell::new(Ids::new(shared.clock.clone()));
        let clock = shared.clock.clone();
        let wall_clock = WallClock::new(clock.clone());
        let recorder = Recorder { spool: RefCell::new(resources.spool), ids, clock };
        Self {
            handles: WorkerHandles::new(&shared.metrics),
            snapshot: RefCell::new(WorkerSnapshot::new(&shared, shared.live.load_full(), &pools, number)),
            number,
            connector: Connector {
                tls: shared.tls.clone(),
                buffers: buffers.clone(),
                lookups: NameLookups::of_system(),
                keep_alive: shared.live.load().process.connections.keep_alive,
            },
            shared,
            directory: resources.directory,
            recorder,
            pools,
            buffers,
            heads: UnusedHeads::default(),
            relayed_heads: RelayedHeads::default(),
            date: DateCache::default(),
            wall_clock,
            deadlines: WorkerDeadlines::default(),
            aggregation: Aggregation::default(),
            label_merges: LabelMerges::default(),
            limits: LimitsCache::default(),
            subject_limits: SubjectLimitsCache::default(),
            refusals: Refusals::default(),
            invented_names: InventedNames::default(),
            digest_key: DigestKey::random(),
            passwords: PasswordCache::new(password_cache::CACHED_MAX),
            redis_keys: RedisKeyCache::new(redis_key_cache::CACHED_MAX),
        }
    }

    /// Returns the current snapshot.
    pub(crate) fn snapshot(&self) -> Rc<WorkerSnapshot> {
        let now = self.shared.live.load();
        let mut pinned = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(&now, &pinned.snapshot) {
            *pinned = WorkerSnapshot::new(&self.shared, Arc::clone(&now), &self.pools, self.number);
            self.shared.backends.retain(&self.shared.live);
        }
        pinned.clone()
    }
}

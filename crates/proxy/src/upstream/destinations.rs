//! The destinations of one snapshot, and the choice of the destination of a request.
//!
//! A worker builds them once per snapshot. A request finds its destination by the address of the configuration: no name
//! is hashed or compared.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::{
    Backend, BreakerRules, Discovery, Model, Origin, Provider, Snapshot, Split, Strategy, Upstream, WeightedUpstream,
};
use http1::InvalidPart;
use rustc_hash::{FxHashMap, FxHashSet};
use telemetry::metrics::{Histogram, UpstreamLabels};
use thiserror::Error;
use tokio::time::Instant;

use crate::upstream::backend::{BackendRules, BackendState, BackendUse};
use crate::upstream::backends::Backends;
use crate::upstream::destination::{Destination, DestinationInUse, provider_edits, upstream_edits};
use crate::upstream::group::{Group, GroupRules, TriedBackends};
use crate::upstream::no_backend::NoBackend;
use crate::upstream::pool::{OriginProtocol, Pool, PoolBounds, Pools};
use crate::upstream::strategy::rotation::Rotation;
use crate::upstream::targets::EntryTarget;
use crate::upstream::targets::refused_credentials::RefusedCredentials;
use crate::upstream::targets::sessions::Sessions;

/// The destination that was chosen for a request, and the group to which it belongs.
pub(crate) struct ChosenDestination {
    pub(crate) destination: DestinationInUse,
    /// The backends of the same upstream, if there are several.
    pub(crate) group: Option<Rc<Group>>,
}

impl ChosenDestination {
    /// Whether a request may reach a backend that speaks HTTP/1.1, at first or by a retry.
    pub(crate) fn may_be_http1(&self) -> bool {
        let is_http1 = |of: &Destination| of.pool.speaks() == OriginProtocol::Http1;
        self.group.as_ref().map_or_else(|| is_http1(&self.destination), |group| group.backends().any(is_http1))
    }
}

/// Why a request has no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NoDestination {
    #[error("the authority of an origin is not a valid header")]
    Unwritable(#[from] InvalidPart),
    #[error(transparent)]
    NoBackend(#[from] NoBackend),
}

/// The destinations of one snapshot, by the address of their configuration, which the snapshot keeps alive. There are at
/// most as many as backends and providers.
pub(crate) struct Destinations {
    known: RefCell<FxHashMap<usize, KnownSelection>>,
    /// The turns of routes with several upstreams, by the address of the list, which the snapshot keeps alive.
    splits: RefCell<FxHashMap<usize, Rotation>>,
    /// The states of the targets of models, by the address of the model, which the snapshot keeps alive.
    targets: RefCell<FxHashMap<usize, Rc<[EntryTarget]>>>,
    backends: Arc<Backends>,
    pools: Rc<Pools>,
    /// The circuit breaker of providers.
    provider_breaker: Option<BreakerRules>,
    /// The number of the worker, and the number of all.
    worker: usize,
    workers: u32,
}

/// The destinations of an upstream or a provider, and the servers from which they were built, if these may change within
/// the snapshot.
struct KnownSelection {
    selection: Selection,
    members: Option<Arc<[Backend]>>,
}

/// The destinations of an upstream or a provider.
enum Selection {
    One(Rc<Destination>),
    Several(Rc<Group>),
}

impl Destinations {
    /// Returns no destinations of `snapshot` yet. They use the pools of the worker with this number.
    pub(crate) fn new(snapshot: &Snapshot, backends: Arc<Backends>, pools: Rc<Pools>, worker: usize) -> Self {
        let (known, splits, targets) = Default::default();
        let workers = u32::try_from(snapshot.process.worker_count()).unwrap_or(u32::MAX);
        Self { known, splits, targets, backends, pools, provider_breaker: snapshot.traffic.breaker, worker, workers }
    }

    /// Chooses the destination of a request of an ordinary route at `now`; `upstream` is part of the snapshot, and `key` is the
    /// hash of the request's value, if the upstream's strategy needs one.
    ///
    /// # Errors
    /// No backend takes the request, or the authority of an origin is not a valid header.
    pub(crate) fn of_upstream(
        &self,
        upstream: &Arc<Upstream>,
        key: Option<u64>,
        now: Instant,
    ) -> Result<ChosenDestination, NoDestination> {
        let address = Arc::as_ptr(upstream).addr();
        if let Some(known) =
            self.known.borrow().get(&address).filter(|known| known.is_of(upstream.discovery.as_deref()))
        {
            return Ok(known.selection.choose(key, now)?);
        }
        let known = self.upstream(upstream)?;
        let chosen = known.selection.choose(key, now);
        let before = self.known.borrow_mut().insert(address, known);
        if let Some(before) = before {
            self.close_idle(&before.selection);
        }
        Ok(chosen?)
    }

    /// Chooses the upstream of a request of a route with several; `split` is part of the snapshot.
    pub(crate) fn next_of<'a>(&self, split: &'a Split) -> Option<&'a WeightedUpstream> {
        let upstreams = &split.upstreams;
        let mut splits = self.splits.borrow_mut();
        let rotation = splits.entry(std::ptr::from_ref(split).addr()).or_insert_with(|| {
            let weights: Vec<u32> = upstreams.iter().map(|upstream| upstream.weight).collect();
            // Each worker begins with the greatest weight: no other beginning has a smaller error.
            Rotation::new(&weights, 0)
        });
        upstreams.get(rotation.next(upstreams.len()))
    }

    /// Returns the destination of an LLM call; `provider` is part of the snapshot.
    ///
    /// # Errors
    /// The provider does not take the request, or the origin's authority is not a valid header.
    pub(crate) fn of_provider(
        &self,
        provider: &Arc<Provider>,
        now: Instant,
    ) -> Result<ChosenDestination, NoDestination> {
        let address = Arc::as_ptr(provider).addr();
        let discovery = provider.discovery.as_deref();
        if let Some(known) = self.known.borrow().get(&address).filter(|known| known.is_of(discovery)) {
            return Ok(known.selection.choose(None, now)?);
        }
        let known = self.provider(provider)?;
        let chosen = known.selection.choose(None, now);
        let before = self.known.borrow_mut().insert(address, known);
        if let Some(before) = before {
            self.close_idle(&before.selection);
        }
        Ok(chosen?)
    }

    fn provider(&self, provider: &Provider) -> Result<KnownSelection, NoDestination> {
        let edits = provider_edits(&provider.origin)?;
        let duration = self.duration(&provider.name);
        let rules = BackendRules { breaker: self.provider_breaker, ..BackendRules::default() };
        let members = provider.discovery.as_ref().map(|discovery| discovery.list().backends.clone());
        let servers = provider.backends();
        let weighted: Vec<&Backend> = servers.iter().collect();
        let origins: Vec<&Origin> = servers.iter().map(|server| &server.origin).collect();
        let mut destinations = Vec::new();
        for (origin, backend) in origins.iter().zip(self.backends_of(&provider.name, &origins, rules)) {
            let limit = backend.state.connection_limit(&provider.pool, self.backends.connection_wanted());
            let bounds = PoolBounds { rules: provider.pool, limit, workers: self.workers };
            let pool = self.pools.pool_for(origin, provider.tls.as_ref(), &bounds);
            let name = provider.name.clone();
            let edits = edits.clone();
            let duration = duration.clone();
            destinations.push(Rc::new(Destination { name, pool, edits, duration, backend }));
        }
        let selection = match &*destinations {
            [] => return Err(NoBackend { retry_after: None }.into()),
            [only] => Selection::One(only.clone()),
            _ => {
                let begin = self.backends.next_rotation();
                Selection::Several(Rc::new(Group::new(&GroupRules::OF_PROVIDER, &weighted, destinations, begin)))
            }
        };
        Ok(KnownSelection { selection, members })
    }

    /// Returns the time after which the circuit breaker of a provider may admit calls, if it admits none at `now`.
    pub(crate) fn refuses(&self, provider: &Arc<Provider>, now: Instant) -> Option<Duration> {
        match &self.known.borrow().get(&Arc::as_ptr(provider).addr())?.selection {
            Selection::One(destination) => destination.backend.refuses(now),
            // The first backend that may admit calls decides.
            Selection::Several(group) => {
                let waits: Option<Vec<Duration>> = group.backends().map(|of| of.backend.refuses(now)).collect();
                waits?.into_iter().min()
            }
        }
    }

    /// Returns the targets of a model with their states, in their order; `model` is part of the snapshot.
    pub(crate) fn targets_of(&self, model: &Arc<Model>) -> Rc<[EntryTarget]> {
        let mut targets = self.targets.borrow_mut();
        let states = || self.backends.targets.for_model(model).into();
        targets.entry(Arc::as_ptr(model).addr()).or_insert_with(states).clone()
    }

    /// Returns the credentials of the operator that providers have refused.
    pub(crate) fn refused_credentials(&self) -> &RefusedCredentials {
        &self.backends.targets.refused_credentials
    }

    /// Returns the targets of sessions.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.backends.targets.sessions
    }

    fn upstream(&self, upstream: &Upstream) -> Result<KnownSelection, InvalidPart> {
        let duration = self.duration(&upstream.name);
        let measures_latency = upstream.strategy == Strategy::Ewma;
        let rules = BackendRules {
            breaker: upstream.breaker,
            ejection: upstream.ejection,
            checks_health: upstream.health_check.is_some(),
            measures_latency,
        };
        let servers = upstream.backends();
        let weighted: Vec<&Backend> = servers.iter().filter(|backend| backend.weight > 0).collect();
        let origins: Vec<&Origin> = weighted.iter().map(|backend| &backend.origin).collect();
        let mut backends = Vec::new();
        for (origin, backend) in origins.iter().zip(self.backends_of(&upstream.name, &origins, rules)) {
            let rules = upstream.pool;
            let limit = backend.state.connection_limit(&rules, self.backends.connection_wanted());
            let bounds = PoolBounds { rules, limit, workers: self.workers };
            backends.push(Rc::new(Destination {
                name: upstream.name.clone(),
                pool: self.pools.pool_for(origin, upstream.tls.as_ref(), &bounds),
                edits: upstream_edits(),
                duration: duration.clone(),
                backend,
            }));
        }
        let may_use_unhealthy = upstream.health_check.as_ref().is_none_or(|check| check.panic_percent.is_some());
        let selection = match &*backends {
            [only] if may_use_unhealthy => Selection::One(only.clone()),
            _ => {
                let group = Group::new(&upstream.into(), &weighted, backends, self.backends.next_rotation());
                Selection::Several(Rc::new(group))
            }
        };
        let members = upstream.discovery.is_some().then(|| servers.clone());
        Ok(KnownSelection { selection, members })
    }

    /// Closes the idle connections to servers that no upstream has any more; requests in flight continue.
    fn close_idle(&self, before: &Selection) {
        let known = self.known.borrow();
        let used: FxHashSet<*const Pool> = known
            .values()
            .flat_map(|known| known.selection.destinations())
            .map(|destination| Rc::as_ptr(&destination.pool))
            .collect();
        let left = before.destinations().iter().filter(|destination| !used.contains(&Rc::as_ptr(&destination.pool)));
        left.for_each(|destination| destination.pool.retire());
    }

    /// Returns the backends of an upstream, as this worker counts them.
    fn backends_of(&self, upstream: &Arc<str>, origins: &[&Origin], rules: BackendRules) -> Vec<BackendUse> {
        let peers: Rc<[Arc<BackendState>]> = self.backends.states_of(upstream, origins.iter().copied()).into();
        let has_others = peers.len() > 1;
        let retries = self.backends.retries_of(upstream);
        let with_counts = |(index, state): (usize, &Arc<BackendState>)| {
            let counts = state.counts(self.worker);
            let state = state.clone();
            BackendUse { state, counts, index, has_others, rules, peers: peers.clone(), retries: retries.clone() }
        };
        peers.iter().enumerate().map(with_counts).collect()
    }

    fn duration(&self, name: &Arc<str>) -> Histogram {
        self.backends.metrics().proxy.upstream_duration.get_or_create(&UpstreamLabels { upstream: name.into() })
    }
}

impl KnownSelection {
    /// Returns whether it was built from the servers that the discovery of its upstream or provider has now.
    fn is_of(&self, discovery: Option<&Discovery>) -> bool {
        match (&self.members, discovery) {
            (Some(members), Some(discovery)) => discovery.changed_from(members).is_none(),
            (None, _) | (_, None) => true,
        }
    }
}

impl Selection {
    fn destinations(&self) -> &[Rc<Destination>] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::Several(group) => group.destinations(),
        }
    }

    fn choose(&self, key: Option<u64>, now: Instant) -> Result<ChosenDestination, NoBackend> {
        match self {
            Self::One(destination) => {
                let destination = DestinationInUse::begin(destination, now)?;
                Ok(ChosenDestination { destination, group: None })
            }
            Self::Several(group) => {
                let destination = group.choose(&TriedBackends::default(), key, now)?;
                Ok(ChosenDestination { destination, group: Some(group.clone()) })
            }
        }
    }
}

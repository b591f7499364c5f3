//! The backends of an upstream as one worker uses them, and the choice among them.

use std::rc::Rc;
use std::time::Duration;

use config::snapshot::{Backend, Strategy, Upstream};
use tokio::time::Instant;

use crate::upstream::destination::{Destination, DestinationInUse};
use crate::upstream::no_backend::NoBackend;
use crate::upstream::strategy::{Choice, Chooser};

/// The backends of one upstream that get requests.
pub(crate) struct Group {
    backends: Box<[Rc<Destination>]>,
    chooser: Chooser,
    /// The time in which the share of a backend that is back, or new, grows from a tenth to its whole; zero is off.
    slow_start: Duration,
    /// The share of available backends up to which all get requests, in percent.
    panic_percent: Option<usize>,
}

/// The backends that a request has tried already.
#[derive(Debug, Default, Clone)]
pub(crate) struct TriedBackends(Vec<usize>);

impl TriedBackends {
    pub(crate) fn add(&mut self, destination: &Destination) {
        self.0.push(destination.backend.index);
    }
}

/// The rules of the choice among backends.
pub(crate) struct GroupRules<'a> {
    strategy: &'a Strategy,
    slow_start: Duration,
    /// The share of available backends up to which all get requests; `None` if unavailable ones never do.
    panic_percent: Option<u32>,
}

impl GroupRules<'static> {
    /// The rules of the addresses of a provider's name: calls of LLMs differ in their lengths.
    pub(crate) const OF_PROVIDER: Self =
        Self { strategy: &Strategy::LeastConnections, slow_start: Duration::ZERO, panic_percent: Some(0) };
}

impl<'a> From<&'a Upstream> for GroupRules<'a> {
    fn from(upstream: &'a Upstream) -> Self {
        let panic_percent = upstream.health_check.as_ref().map_or(Some(0), |check| check.panic_percent);
        Self { strategy: &upstream.strategy, slow_start: upstream.slow_start, panic_percent }
    }
}

impl Group {
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Destination> {
        self.backends.iter().map(|backend| &**backend)
    }

    /// Returns the group of an upstream or a provider; `weighted` are its servers with a weight, and `backends` the
    /// same as this worker uses them. The first
    /// choice skips `begin` choices, so that workers begin with different backends.
    pub(crate) fn new(
        rules: &GroupRules<'_>,
        weighted: &[&Backend],
        backends: Vec<Rc<Destination>>,
        begin: usize,
    ) -> Self {
        let chooser = Chooser::new(rules.strategy, weighted, begin);
        // A backend that leaves a hash and grows into it again would move its values twice.
        let slow_start = if matches!(rules.strategy, Strategy::Hash(_)) { Duration::ZERO } else { rules.slow_start };
        let panic = rules.panic_percent;
        let panic_percent = panic.map(|percent| usize::try_from(percent).unwrap_or(0));
        Self { backends: backends.into(), chooser, slow_start, panic_percent }
    }

    /// Returns the backends that get requests.
    pub(crate) fn destinations(&self) -> &[Rc<Destination>] {
        &self.backends
    }

    /// Chooses the backend of a new request at `now`, or for a retry one that the request has not tried. `key` is the hash of
    /// the request's value, if the strategy needs one. Backends whose circuit breaker is open are passed over; so are those
    /// that are unhealthy or ejected, except if too few others are left.
    ///
    /// # Errors
    /// The request has tried all backends, or no other one takes requests now.
    pub(crate) fn choose(
        &self,
        tried: &TriedBackends,
        key: Option<u64>,
        now: Instant,
    ) -> Result<DestinationInUse, NoBackend> {
        let is_retry = !tried.0.is_empty();
        let mut passed = tried.0.clone();
        let mut starting = Vec::new();
        let mut refused = NoBackend { retry_after: None };
        let mut is_in_panic = None;
        while let Some(index) =
            self.chooser.next(Choice { passed: &passed, is_retry, key }, |index| self.load(index, now))
        {
            let Some(backend) = self.backends.get(index) else { break };
            let is_available = backend.backend.is_available(now);
            if is_available || *is_in_panic.get_or_insert_with(|| self.is_in_panic(now)) {
                if self.is_held_back(backend, now) {
                    starting.push(backend);
                } else {
                    match DestinationInUse::begin(backend, now) {
                        Ok(destination) => return Ok(destination),
                        Err(why) => refused = refused.or_sooner(why),
                    }
                }
            }
            passed.push(index);
        }
        for backend in starting {
            match DestinationInUse::begin(backend, now) {
                Ok(destination) => return Ok(destination),
                Err(why) => refused = refused.or_sooner(why),
            }
        }
        Err(refused)
    }

    /// Returns whether so few backends are available that all get requests.
    fn is_in_panic(&self, now: Instant) -> bool {
        let available = self.backends.iter().filter(|backend| backend.backend.is_available(now)).count();
        self.panic_percent.is_some_and(|percent| available * 100 <= percent * self.backends.len())
    }

    /// Returns the load of a backend, which the strategy compares.
    fn load(&self, index: usize, now: Instant) -> f64 {
        let Some(backend) = self.backends.get(index) else { return f64::MAX };
        let state = &backend.backend.state;
        if self.chooser.compares_latencies() { state.cost(now) } else { state.in_flight() as f64 }
    }

    /// Returns whether a backend that is back, or new, is passed over this time: a share of its turns that shrinks.
    fn is_held_back(&self, backend: &Destination, now: Instant) -> bool {
        let share = backend.backend.state.started_share(self.slow_start, now);
        share < 1.0 && self.chooser.fraction() >= share
    }
}

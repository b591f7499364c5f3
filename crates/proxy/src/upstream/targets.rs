//! The targets of models: which of them are left out for a time, how fast they are, and which one a session uses. All workers
//! share this state, and it survives a reload of the configuration.

pub(crate) mod cooldown;
pub(crate) mod sessions;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use config::snapshot::{Model, Target};
use telemetry::Metrics;
use telemetry::metrics::{Gauge, ModelLabels};
use tokio::time::Instant;

use crate::upstream::targets::cooldown::Cooldown;
use crate::upstream::targets::sessions::Sessions;

/// The weight of a new duration in the mean: 1/8, as in TCP's mean round trip (RFC 6298).
const MEAN_SHIFT: u32 = 3;

/// The state of one target.
#[derive(Debug)]
pub(crate) struct TargetState {
    pub(crate) cooldown: Cooldown,
    /// The moving mean of the time until the first content, in microseconds; 0 before the first call.
    content_us: AtomicU64,
    is_left_out: Gauge,
}

impl TargetState {
    fn new(target: &Target, metrics: &Metrics) -> Self {
        let labels = ModelLabels { provider: (&target.provider.name).into(), model: (&target.model).into() };
        let is_left_out = metrics.targets.cooled_down.get_or_create(&labels);
        Self { cooldown: Cooldown::default(), content_us: AtomicU64::new(0), is_left_out }
    }

    /// Notes the time until the first content of a call.
    pub(crate) fn observe_us(&self, content_us: u64) {
        let mean = self.content_us.load(Ordering::Relaxed);
        let next = if mean == 0 { content_us } else { mean - (mean >> MEAN_SHIFT) + (content_us >> MEAN_SHIFT) };
        self.content_us.store(next.max(1), Ordering::Relaxed);
    }

    /// Returns the mean time until the first content, in microseconds; 0 before the first call.
    pub(crate) fn content_us(&self) -> u64 {
        self.content_us.load(Ordering::Relaxed)
    }
}

/// The states of all targets of models that may have more than one attempt.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    states: Mutex<HashMap<TargetKey, Arc<TargetState>>>,
    pub(crate) sessions: Sessions,
}

/// The names of a provider and of a model, as the configuration has them.
type TargetKey = (Arc<str>, Arc<str>);

impl Targets {
    /// Returns the states of the targets of a model, in their order. States of targets that no snapshot uses are removed.
    pub(crate) fn of(&self, model: &Model, metrics: &Metrics) -> Vec<Arc<TargetState>> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<TargetKey> =
            model.targets.iter().map(|target| (target.provider.name.clone(), target.model.clone())).collect();
        states.retain(|key, state| keys.contains(key) || Arc::strong_count(state) > 1);
        let state = |(key, target): (TargetKey, &Target)| {
            states.entry(key).or_insert_with(|| Arc::new(TargetState::new(target, metrics))).clone()
        };
        keys.into_iter().zip(&model.targets).map(state).collect()
    }

    /// Shows in the metrics which targets are left out.
    pub(crate) fn publish(&self) {
        let now = Instant::now();
        for state in self.states.lock().unwrap_or_else(PoisonError::into_inner).values() {
            state.is_left_out.set(i64::from(state.cooldown.until(now).is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_durations() {
        let target = Target { provider: Arc::new(provider()), model: "m".into(), weight: 1 };
        let state = TargetState::new(&target, &Metrics::new());
        assert_eq!(state.content_us(), 0);
        state.observe_us(8_000);
        assert_eq!(state.content_us(), 8_000);
        state.observe_us(16_000);
        assert_eq!(state.content_us(), 9_000);
        for _ in 0..100 {
            state.observe_us(0);
        }
        assert!((1..=8).contains(&state.content_us()), "{}", state.content_us());
    }

    fn provider() -> config::snapshot::Provider {
        let origin = config::snapshot::Origin::parse("http://127.0.0.1:1").unwrap();
        let credential = config::snapshot::Credential::None;
        config::snapshot::Provider { name: "p".into(), kind: ai::ProviderKind::Mock, origin, credential, tls: None }
    }
}

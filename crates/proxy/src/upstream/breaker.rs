//! The circuit breaker of one backend. All workers share it, and it survives a reload of the configuration.
//!
//! A closed breaker costs a request one atomic read, and its result another. Everything else takes a lock: failures, and
//! requests while the breaker is open or half-open.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::{BreakerRules, ErrorRate};
use tokio::time::Instant;

/// The parts into which the window of an error rate is divided.
const WINDOW_PARTS: u32 = 10;
/// The time after which a client may try again if a half-open breaker admits no more requests at once.
const HALF_OPEN_WAIT: Duration = Duration::from_secs(1);

/// The state of a breaker.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Whether the breaker is open or half-open.
    is_open: AtomicBool,
    /// The failures in a row, while it is closed.
    failures: AtomicU32,
    state: Mutex<BreakerState>,
}

#[derive(Debug, Default)]
struct BreakerState {
    phase: BreakerPhase,
    /// The number of times that the breaker became half-open. A result of an earlier time changes nothing.
    trial: u64,
    openings: u64,
    opened_at: Option<Instant>,
    window: Window,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum BreakerPhase {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        in_flight: u32,
        successes: u32,
        /// When a request was last admitted.
        admitted_at: Instant,
    },
}

/// The results of the last time, for an error rate.
#[derive(Debug, Default)]
struct Window {
    begin: Option<Instant>,
    /// Results and failures by the number of the part since `begin`.
    parts: [(u64, u32, u32); WINDOW_PARTS as usize],
}

/// The permit of a request that a half-open breaker admits. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct TrialPermit {
    breaker: Arc<Breaker>,
    trial: u64,
}

/// An open state, as the admin API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerShown {
    Open { until: Instant },
    HalfOpen,
}

/// A change of the state, which is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerChange {
    /// The breaker is open, and admits no request for this time.
    Opened(Duration),
    /// The breaker is closed again after this time.
    Closed(Duration),
}

impl BreakerPhase {
    /// Returns the time after which a request may be admitted, if none is at `now`. A half-open breaker whose requests
    /// last long admits one more per `timeout`, so that a backend whose responses take minutes is used again too.
    fn refuses(self, rules: &BreakerRules, now: Instant) -> Option<Duration> {
        match self {
            Self::Open { until } if now < until => Some(until - now),
            Self::HalfOpen { in_flight, admitted_at, .. } => {
                let is_full = in_flight >= rules.half_open_requests && now < admitted_at + rules.timeout;
                is_full.then_some(HALF_OPEN_WAIT)
            }
            Self::Closed | Self::Open { .. } => None,
        }
    }
}

impl Breaker {
    /// Admits a request. A half-open breaker admits it with a permit.
    ///
    /// # Errors
    /// The time after which the breaker may admit requests.
    pub(crate) fn admit(self: &Arc<Self>, rules: &BreakerRules, now: Instant) -> Result<Option<TrialPermit>, Duration> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut state = self.state();
        if let Some(wait) = state.phase.refuses(rules, now) {
            return Err(wait);
        }
        let (in_flight, successes) = match state.phase {
            BreakerPhase::Closed => return Ok(None),
            BreakerPhase::Open { .. } => {
                state.trial += 1;
                (0, 0)
            }
            BreakerPhase::HalfOpen { in_flight, successes, .. } => (in_flight, successes),
        };
        state.phase = BreakerPhase::HalfOpen { in_flight: in_flight.saturating_add(1), successes, admitted_at: now };
        Ok(Some(TrialPermit { breaker: self.clone(), trial: state.trial }))
    }

    /// Returns the time after which the breaker may admit requests, if it admits none at `now`.
    pub(crate) fn refuses(&self, rules: &BreakerRules, now: Instant) -> Option<Duration> {
        if !self.is_open.load(Ordering::Relaxed) {
            return None;
        }
        self.state().phase.refuses(rules, now)
    }

    /// Notes the result of a request, which was admitted with `permit`.
    pub(crate) fn note(
        &self,
        rules: &BreakerRules,
        has_failed: bool,
        permit: Option<&TrialPermit>,
        now: impl FnOnce() -> Instant,
    ) -> Option<BreakerChange> {
        if !has_failed && rules.error_rate.is_none() && permit.is_none() {
            if self.failures.load(Ordering::Relaxed) != 0 {
                self.failures.store(0, Ordering::Relaxed);
            }
            return None;
        }
        let now = now();
        let mut state = self.state();
        match (state.phase, permit) {
            (BreakerPhase::Closed, None) => {
                let failures = if has_failed { self.failures.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
                self.failures.store(failures, Ordering::Relaxed);
                let exceeds_rate = rules.error_rate.is_some_and(|rate| state.window.note(rate, has_failed, now));
                if failures >= rules.failure_threshold || exceeds_rate {
                    return Some(self.open(&mut state, rules, now));
                }
            }
            (BreakerPhase::HalfOpen { in_flight, successes, admitted_at }, Some(permit))
                if permit.trial == state.trial =>
            {
                if has_failed {
                    return Some(self.open(&mut state, rules, now));
                }
                if successes + 1 >= rules.success_threshold {
                    return Some(self.close(&mut state, now));
                }
                state.phase = BreakerPhase::HalfOpen { in_flight, successes: successes + 1, admitted_at };
            }
            // The request was admitted before the breaker changed.
            (BreakerPhase::Closed | BreakerPhase::Open { .. } | BreakerPhase::HalfOpen { .. }, _) => {}
        }
        None
    }

    fn open(&self, state: &mut BreakerState, rules: &BreakerRules, now: Instant) -> BreakerChange {
        state.phase = BreakerPhase::Open { until: now + rules.timeout };
        state.openings += 1;
        state.opened_at.get_or_insert(now);
        self.failures.store(0, Ordering::Relaxed);
        self.is_open.store(true, Ordering::Relaxed);
        BreakerChange::Opened(rules.timeout)
    }

    fn close(&self, state: &mut BreakerState, now: Instant) -> BreakerChange {
        (state.phase, state.window) = (BreakerPhase::Closed, Window::default());
        self.is_open.store(false, Ordering::Relaxed);
        BreakerChange::Closed(state.opened_at.take().map_or(Duration::ZERO, |opened_at| now - opened_at))
    }

    /// Closes the breaker, whose rules were removed: no result of a request would close it.
    pub(crate) fn reset(&self, now: Instant) -> Option<BreakerChange> {
        self.failures.store(0, Ordering::Relaxed);
        if !self.is_open() {
            return None;
        }
        let mut state = self.state();
        (state.phase != BreakerPhase::Closed).then(|| self.close(&mut state, now))
    }

    /// Returns whether the breaker is open or half-open.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Returns the state of a breaker that is not closed.
    pub(crate) fn phase(&self) -> Option<BreakerShown> {
        match self.state().phase {
            BreakerPhase::Closed => None,
            BreakerPhase::Open { until } => Some(BreakerShown::Open { until }),
            BreakerPhase::HalfOpen { .. } => Some(BreakerShown::HalfOpen),
        }
    }

    /// Returns how often the breaker has opened.
    pub(crate) fn openings(&self) -> u64 {
        self.state().openings
    }

    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Notes a result, and returns whether the failures in the window reach the rate.
    fn note(&mut self, rate: ErrorRate, has_failed: bool, now: Instant) -> bool {
        let begin = *self.begin.get_or_insert(now);
        let part_ns = (rate.window / WINDOW_PARTS).as_nanos().max(1);
        let part = u64::try_from((now - begin).as_nanos() / part_ns).unwrap_or(u64::MAX);
        let oldest = part.saturating_sub(u64::from(WINDOW_PARTS) - 1);
        let slot = usize::try_from(part % u64::from(WINDOW_PARTS)).unwrap_or(0);
        if let Some(slot) = self.parts.get_mut(slot) {
            if slot.0 != part {
                *slot = (part, 0, 0);
            }
            (slot.1, slot.2) = (slot.1.saturating_add(1), slot.2.saturating_add(u32::from(has_failed)));
        }
        let recent = self.parts.iter().filter(|(of, ..)| (oldest..=part).contains(of));
        let (results, failures) = recent.fold((0_u64, 0_u64), |(results, failures), (_, more, failed)| {
            (results + u64::from(*more), failures + u64::from(*failed))
        });
        results >= u64::from(rate.min_requests) && failures * 100 >= results * u64::from(rate.percent)
    }
}

impl Drop for TrialPermit {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if let BreakerPhase::HalfOpen { in_flight, successes, admitted_at } = state.phase
            && state.trial == self.trial
        {
            state.phase = BreakerPhase::HalfOpen { in_flight: in_flight.saturating_sub(1), successes, admitted_at };
        }
    }
}

#[cfg(test)]
mod tests;

//! The targets of models: which of them are left out for a time or are at their limits, how fast they are, and which one a
//! session uses. All workers share this state, and it survives a reload of the configuration.

pub(crate) mod attempts;
pub(crate) mod cooldown;
pub(crate) mod limits;
pub(crate) mod refused_credentials;
pub(crate) mod sessions;

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::snapshot::{CooldownRules, FallbackCause, Model, Target, TargetLimits};
use meter::SkipReason;
use rustc_hash::FxHasher;
use telemetry::{ReachedLimit, TARGET_RESULTS, TargetStatus};
use tokio::time::Instant;

use crate::upstream::targets::cooldown::{Cooldown, CooldownCause};
use crate::upstream::targets::limits::{LimitedUse, TargetPermit};
use crate::upstream::targets::refused_credentials::RefusedCredentials;
use crate::upstream::targets::sessions::Sessions;

/// The weight of a new duration in the mean: 1/8, as in TCP's mean round trip (RFC 6298).
const MEAN_SHIFT: u32 = 3;
/// After this time without a call, the mean counts half, after twice this time a third, and so on.
const FORGOTTEN_MS: u64 = 60_000;
/// The result of an attempt that did not fail.
const SUCCEEDED: &str = TARGET_RESULTS[0];

/// The state of one target.
#[derive(Debug)]
pub(crate) struct TargetState {
    /// The times in which calls with the operator's credential leave the target out.
    pub(crate) cooldown: Cooldown,
    /// Those of calls with users' own credentials, which the state of the operator's account does not concern.
    own_cooldown: Cooldown,
    /// The calls of entries in which the target has limits.
    limited: Arc<LimitedUse>,
    /// The moving mean of the time until the first content, in microseconds; 0 before the first call.
    content_us: AtomicU64,
    /// When the mean last changed, in milliseconds after `created`.
    observed_ms: AtomicU64,
    created: Instant,
    /// The attempts by their result.
    attempts: [AtomicU64; TARGET_RESULTS.len()],
    /// How often a call skipped the target because of its limits.
    limit_skips: AtomicU64,
}

impl TargetState {
    fn new() -> Self {
        Self {
            cooldown: Cooldown::default(),
            own_cooldown: Cooldown::default(),
            limited: Arc::default(),
            content_us: AtomicU64::new(0),
            observed_ms: AtomicU64::new(0),
            created: Instant::now(),
            attempts: [const { AtomicU64::new(0) }; TARGET_RESULTS.len()],
            limit_skips: AtomicU64::new(0),
        }
    }

    /// Returns the times that concern a call; `is_own`: with the user's own credential.
    fn cooldown_of(&self, is_own: bool) -> &Cooldown {
        if is_own { &self.own_cooldown } else { &self.cooldown }
    }

    /// Notes a call that began at `begun` and that the target has served.
    pub(crate) fn succeeded(&self, begun: Instant, is_own: bool) {
        self.own_cooldown.succeeded(begun);
        // The account of a user says nothing about the operator's, for which the target may be left out.
        if !is_own || !self.cooldown.is_out() {
            self.cooldown.succeeded(begun);
        }
    }

    /// Notes the failure of a call that began at `begun`. Returns for how long the target is left out, if it is from now on.
    pub(crate) fn failed(&self, failed: &FailedCall<'_>, now: Instant) -> Option<Duration> {
        let FailedCall { rules, cause, begun, is_own } = *failed;
        let note = |cooldown: &Cooldown| cooldown.failed(rules, cause, begun, now);
        let of_own = || (cause == CooldownCause::Failure).then(|| note(&self.own_cooldown)).flatten();
        let of_others = || (!is_own || !self.cooldown.is_out()).then(|| note(&self.cooldown)).flatten();
        of_own().max(of_others())
    }

    /// Lets another call try the target: the one whose trial ends at `end` says nothing about it.
    pub(crate) fn return_trial(&self, end: Instant, is_own: bool) {
        self.cooldown_of(is_own).return_trial(end);
    }

    /// Counts an attempt, which failed for a cause or succeeded.
    pub(crate) fn count(&self, failure: Option<FallbackCause>) {
        let result = failure.map_or(SUCCEEDED, FallbackCause::word);
        let of_result = TARGET_RESULTS.iter().zip(&self.attempts).find(|(word, _)| **word == result);
        if let Some((_, count)) = of_result {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes the time until the first content of a call, at `now`.
    pub(crate) fn observe_us(&self, content_us: u64, now: Instant) {
        let mean = self.content_us();
        let next = if mean == 0 { content_us } else { mean - (mean >> MEAN_SHIFT) + (content_us >> MEAN_SHIFT) };
        self.content_us.store(next.max(1), Ordering::Relaxed);
        self.observed_ms.store(self.age_ms(now), Ordering::Relaxed);
    }

    /// Returns the mean time until the first content, in microseconds; 0 before the first call.
    pub(crate) fn content_us(&self) -> u64 {
        self.content_us.load(Ordering::Relaxed)
    }

    /// Returns the mean as it is compared with that of other targets: it falls while the target is not used, so that a target
    /// that was slow once is tried again.
    pub(crate) fn compared_us(&self, now: Instant) -> u64 {
        let unused_ms = self.age_ms(now).saturating_sub(self.observed_ms.load(Ordering::Relaxed));
        self.content_us() / (1 + unused_ms / FORGOTTEN_MS)
    }

    fn age_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.created).as_millis()).unwrap_or(u64::MAX)
    }
}

/// A call that a target has failed to serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailedCall<'a> {
    pub(crate) rules: &'a CooldownRules,
    pub(crate) cause: CooldownCause,
    pub(crate) begun: Instant,
    /// Whether its credential is the user's own.
    pub(crate) is_own: bool,
}

/// A target of one entry of `models`: its state, which it shares with other entries, and its limits in this one.
#[derive(Debug, Clone)]
pub(crate) struct EntryTarget {
    pub(crate) state: Arc<TargetState>,
    limits: Option<TargetLimits>,
}

/// The right of a call to use a target.
#[derive(Debug)]
pub(crate) struct TargetAdmission {
    /// The permit of the call, if the target has limits.
    pub(crate) permit: Option<TargetPermit>,
    /// The trial of a target that was left out.
    pub(crate) trial: Option<TargetTrial>,
}

/// The call that tries a target after its time. Dropping it lets another call try the target, unless the call was sent.
#[derive(Debug)]
pub(crate) struct TargetTrial {
    state: Arc<TargetState>,
    end: Instant,
    is_own: bool,
    is_sent: bool,
}

/// Why and until when no call uses a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetUnavailable {
    pub(crate) reason: SkipReason,
    pub(crate) until: Instant,
}

impl EntryTarget {
    /// Returns why no call may use the target at `now`, if none may; `is_own`: with the user's own credential.
    pub(crate) fn unavailable(&self, now: Instant, is_own: bool) -> Option<TargetUnavailable> {
        if let Some(until) = self.state.cooldown_of(is_own).until(now) {
            return Some(TargetUnavailable { reason: SkipReason::Cooldown, until });
        }
        let hit = self.state.limited.reached(self.limits_of(is_own)?, now)?;
        Some(TargetUnavailable { reason: SkipReason::Limit, until: hit.until })
    }

    /// Begins a call at `now`.
    ///
    /// # Errors
    /// The reason why the call must skip the target.
    pub(crate) fn admit(&self, now: Instant, is_own: bool) -> Result<TargetAdmission, SkipReason> {
        let permit = self.limits_of(is_own).map(|limits| self.state.limited.admit(limits, now)).transpose();
        let permit = permit.map_err(|_| SkipReason::Limit)?;
        let end = self.state.cooldown_of(is_own).admit(now).map_err(|_| SkipReason::Cooldown)?;
        let trial = end.map(|end| TargetTrial { state: Arc::clone(&self.state), end, is_own, is_sent: false });
        Ok(TargetAdmission { permit, trial })
    }

    /// Returns the limits of a call. They are those of the operator's account, and do not count calls of another one.
    fn limits_of(&self, is_own: bool) -> Option<&TargetLimits> {
        if is_own { None } else { self.limits.as_ref() }
    }

    /// Counts a call that skips the target for this reason.
    pub(crate) fn skipped(&self, reason: SkipReason) {
        if reason == SkipReason::Limit {
            self.state.limit_skips.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl TargetTrial {
    /// Notes that the call is sent now: its result decides. Returns the end of the trial.
    pub(crate) fn sent(mut self) -> Instant {
        self.is_sent = true;
        self.end
    }
}

impl Drop for TargetTrial {
    fn drop(&mut self) {
        if !self.is_sent {
            self.state.return_trial(self.end, self.is_own);
        }
    }
}

/// The states of all targets of models that may have more than one attempt or have limits.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    states: Mutex<HashMap<TargetKey, Arc<TargetState>>>,
    pub(crate) sessions: Sessions,
    pub(crate) refused_credentials: RefusedCredentials,
}

/// The names of a provider and of a model, as the configuration has them.
type TargetKey = (Arc<str>, Arc<str>);

impl Targets {
    /// Returns the targets of a model with their states, in their order.
    pub(crate) fn for_model(&self, model: &Model) -> Vec<EntryTarget> {
        let mut states = self.states();
        let key = |target: &Target| (target.provider.name.clone(), target.model.clone());
        let known = |target: &Target| {
            let state = states.entry(key(target)).or_insert_with(|| Arc::new(TargetState::new()));
            EntryTarget { state: Arc::clone(state), limits: target.limits }
        };
        model.targets.iter().map(known).collect()
    }

    /// Removes the states of targets that `models` do not have and no call uses.
    pub(crate) fn retain(&self, models: &[Arc<Model>]) {
        let configured = names(models);
        let is_known = |(provider, model): &TargetKey| configured.contains(&(&**provider, &**model));
        self.states().retain(|key, state| is_known(key) || Arc::strong_count(state) > 1);
    }

    /// Returns the targets that `models` have, as the metrics and the admin API show them.
    pub(crate) fn statuses(&self, models: &[Arc<Model>]) -> Vec<TargetStatus> {
        let now = Instant::now();
        let configured = names(models);
        let states = self.states();
        let shown = states.iter().filter(|((provider, model), _)| configured.contains(&(&**provider, &**model)));
        let targets = models.iter().flat_map(|model| &model.targets);
        let limited: Vec<_> = targets.filter_map(|target| Some((target, target.limits.as_ref()?))).collect();
        let reached = |provider: &str, model: &str, state: &TargetState| {
            let of = limited.iter().filter(|(of, _)| *of.provider.name == *provider && *of.model == *model);
            let hit = of.map(|(_, limits)| limits).find_map(|limits| state.limited.reached(limits, now))?;
            Some(ReachedLimit { limit: hit.limit.word(), left: hit.until.saturating_duration_since(now) })
        };
        let status = |((provider, model), state): (&TargetKey, &Arc<TargetState>)| TargetStatus {
            provider: provider.clone(),
            model: model.clone(),
            attempts: state.attempts.each_ref().map(|count| count.load(Ordering::Relaxed)),
            cooled_down: [&state.cooldown, &state.own_cooldown]
                .into_iter()
                .filter_map(|cooldown| Some(cooldown.until(now)?.saturating_duration_since(now)))
                .max(),
            reached_limit: reached(provider, model, state),
            limit_skips: state.limit_skips.load(Ordering::Relaxed),
            content_us: Some(state.content_us()).filter(|mean| *mean > 0),
        };
        shown.map(status).collect()
    }

    fn states(&self) -> MutexGuard<'_, HashMap<TargetKey, Arc<TargetState>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the names of the targets of models: of the provider, and of the model.
fn names(models: &[Arc<Model>]) -> HashSet<(&str, &str)> {
    let targets = models.iter().flat_map(|model| &model.targets);
    targets.map(|target| (&*target.provider.name, &*target.model)).collect()
}

/// Returns the id of a target, which does not depend on its place in the list.
pub(crate) fn id(target: &Target) -> u64 {
    let mut hasher = FxHasher::default();
    (&*target.provider.name, &*target.model).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CooldownRules =
        CooldownRules { failures: 2, time: Duration::from_secs(30), max: Duration::from_secs(600) };

    /// Returns for how many seconds calls with the operator's credential and with an own one leave a target out.
    fn left_out(state: &TargetState, now: Instant) -> [Option<u64>; 2] {
        [false, true].map(|is_own| state.cooldown_of(is_own).until(now).map(|until| (until - now).as_secs()))
    }

    #[test]
    fn the_state_of_the_operators_account_concerns_no_call_with_an_own_credential() {
        let state = TargetState::new();
        let begun = Instant::now();
        let exhausted = FailedCall { rules: &RULES, cause: CooldownCause::Exhausted, begun, is_own: false };
        assert_eq!(state.failed(&exhausted, begun), Some(Duration::from_secs(600)));
        assert_eq!(left_out(&state, begun), [Some(600), None]);
        state.succeeded(begun, true);
        assert_eq!(left_out(&state, begun), [Some(600), None], "another account has served it");
        let failed = FailedCall { cause: CooldownCause::Failure, is_own: true, ..exhausted };
        assert_eq!((state.failed(&failed, begun), state.failed(&failed, begun)), (None, Some(Duration::from_secs(30))));
        assert_eq!(left_out(&state, begun), [Some(600), Some(30)], "a failure of the target does not shorten it");
    }

    #[test]
    fn failures_of_a_target_leave_it_out_for_all_credentials() {
        for is_own in [false, true] {
            let state = TargetState::new();
            let begun = Instant::now();
            let failed = FailedCall { rules: &RULES, cause: CooldownCause::Failure, begun, is_own };
            assert_eq!((state.failed(&failed, begun), state.failed(&failed, begun)), (None, Some(RULES.time)));
            assert_eq!(left_out(&state, begun), [Some(30), Some(30)]);
            assert_eq!(state.cooldown_of(is_own).admit(begun + RULES.time), Ok(Some(begun + RULES.time * 4 / 3)));
            state.succeeded(begun + RULES.time, false);
            assert_eq!(left_out(&state, begun), [None, None], "the operator's credential is another trial");
        }
    }

    #[test]
    fn the_mean_follows_the_durations_and_falls_while_nothing_is_called() {
        let state = TargetState::new();
        let now = state.created;
        assert_eq!((state.content_us(), state.compared_us(now)), (0, 0));
        state.observe_us(8_000, now);
        assert_eq!(state.content_us(), 8_000);
        state.observe_us(16_000, now);
        let after = |minutes: u64| state.compared_us(now + Duration::from_mins(minutes));
        assert_eq!((after(0), after(1), after(8)), (9_000, 4_500, 1_000));
        for _ in 0..100 {
            state.observe_us(0, now);
        }
        assert!((1..=8).contains(&state.content_us()), "{}", state.content_us());
    }

    #[test]
    fn each_cause_has_its_count() {
        let causes = FallbackCause::DEFAULT.into_iter().chain([FallbackCause::Context, FallbackCause::Status(418)]);
        let mut expected = [0; TARGET_RESULTS.len()];
        let state = TargetState::new();
        for cause in causes.map(Some).chain([None]) {
            state.count(cause);
            let word = cause.map_or("succeeded", FallbackCause::word);
            expected[TARGET_RESULTS.iter().position(|known| *known == word).unwrap()] += 1;
        }
        assert_eq!(state.attempts.each_ref().map(|count| count.load(Ordering::Relaxed)), expected);
        assert!(expected.iter().all(|count| *count > 0), "{expected:?}");
    }
}

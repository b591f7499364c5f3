//! The verdict of a scenario, from what the client and the provider have seen.

use std::time::Duration;

use e2e::Canary;
use tokio::time::Instant;

use super::provider::{self, ScenarioAttempts, WORDS};
use super::scenario::{FailoverScenario, ScenarioCheck, ScenarioVerdict};

/// What a client got.
#[derive(Debug)]
pub(super) struct CallResult {
    pub(super) begun: Instant,
    pub(super) elapsed: Duration,
    /// Whether the response has no error and is complete in HTTP.
    pub(super) is_success: bool,
    pub(super) text: String,
    pub(super) has_usage: bool,
    /// The provider and model that Tollgate names.
    pub(super) served_by: String,
}

/// The observations of one scenario.
#[derive(Debug)]
pub(super) struct ScenarioObservation {
    pub(super) calls: Vec<CallResult>,
    pub(super) attempts: ScenarioAttempts,
    /// Whether a healthy model served a call afterwards.
    pub(super) is_alive: bool,
    /// The end of the outage, if there was one.
    pub(super) outage: Option<Instant>,
    pub(super) canary: Canary,
}

impl CallResult {
    /// Returns whether the client has the whole text and no error.
    pub(super) fn is_whole(&self) -> bool {
        self.is_success && self.text.split_whitespace().count() == WORDS
    }
}

impl ScenarioObservation {
    /// Returns the verdict, and the checks that decided.
    pub(super) fn judge(&self, scenario: &FailoverScenario) -> (ScenarioVerdict, String) {
        let most = self.canary.allows(Duration::from_secs(scenario.most_s));
        let hangs = self.calls.iter().any(|call| call.elapsed > most);
        let failed = |checks: &[ScenarioCheck]| -> Vec<String> {
            checks.iter().filter(|check| !self.is_met(check, &scenario.id)).map(|check| format!("{check:?}")).collect()
        };
        let required = failed(&scenario.required);
        let advisory = failed(&scenario.advisory);
        let is_served = self.calls.iter().all(CallResult::is_whole);
        let is_right = if scenario.right_is_error { !self.calls.iter().any(|call| call.is_success) } else { is_served };
        let is_truncated =
            !scenario.right_is_error && self.calls.iter().any(|call| call.is_success && !call.is_whole());
        let verdict = match (is_right, advisory.is_empty()) {
            _ if hangs || is_truncated || !required.is_empty() => ScenarioVerdict::Fail,
            (true, true) => ScenarioVerdict::Pass,
            (true, false) => ScenarioVerdict::Partial,
            (false, _) if scenario.right_is_error => ScenarioVerdict::Partial,
            (false, _) => ScenarioVerdict::Safe,
        };
        (verdict, format!("hangs: {hangs}, required: {required:?}, advisory: {advisory:?}"))
    }

    fn is_met(&self, check: &ScenarioCheck, id: &str) -> bool {
        let primary = self.attempts.primary.as_slice();
        let after_first = |attempt: &Instant| match primary.first() {
            Some(first) => attempt.duration_since(*first),
            None => Duration::ZERO,
        };
        let within = |limit_s: u64| {
            let limit = self.canary.allows(Duration::from_secs(limit_s));
            self.calls.iter().all(|call| call.elapsed <= limit)
        };
        match check {
            ScenarioCheck::PrimaryLeast(least) => primary.len() >= *least,
            ScenarioCheck::PrimaryMost(most) => primary.len() <= *most,
            ScenarioCheck::FirstGapLeastMs(least) => {
                primary.get(1).is_some_and(|second| after_first(second) >= Duration::from_millis(*least))
            }
            ScenarioCheck::AttemptsWithin(burst) => {
                let span = Duration::from_millis(burst.ms);
                primary.iter().filter(|attempt| after_first(attempt) < span).count() <= burst.most
            }
            ScenarioCheck::EndsWithinS(limit_s) => within(*limit_s),
            ScenarioCheck::NotTruncated => self.calls.iter().all(|call| !call.is_success || call.is_whole()),
            ScenarioCheck::Whole => self.calls.iter().all(CallResult::is_whole),
            ScenarioCheck::Usage => self.calls.iter().all(|call| call.has_usage),
            ScenarioCheck::NamesFallback => {
                let name = provider::name(id);
                let served_by = format!("{name}/{name}-fallback");
                self.calls.iter().all(|call| call.served_by == served_by)
            }
            ScenarioCheck::NoRefusedPrefill => {
                self.attempts.refused_prefills == 0 || self.calls.iter().all(|call| call.is_success)
            }
            ScenarioCheck::AliveAfter => self.is_alive,
            ScenarioCheck::ServedWhileDown => {
                let end = self.outage;
                let during = |call: &&CallResult| end.is_some_and(|end| call.begun < end);
                self.calls.iter().filter(during).all(|call| call.is_success)
            }
            ScenarioCheck::RecoversWithinS(limit_s) => {
                let limit = self.canary.allows(Duration::from_secs(*limit_s));
                match (self.outage, self.attempts.recovered) {
                    (Some(end), Some(recovered)) => recovered.saturating_duration_since(end) <= limit,
                    _ => false,
                }
            }
        }
    }
}

//! The attempts of a call whose model may have more than one: each target is tried until one begins to respond with content.

use std::sync::Arc;
use std::time::Duration;

use access::Refusal;
use config::snapshot::{FallbackCause, FallbackRules, Model, Target};
use http1::KnownName;
use meter::{AdmissionInfo, SkipReason};
use tokio::time::sleep;

use super::attempt::{AttemptEnd, AttemptError, FailedAttempt, attempt};
use super::beginning::is_page;
use super::model_plan::{InferenceRequest, PlannedModel};
use super::order::TargetChoice;
use super::parsed_call::ParsedCall;
use super::session::session;
use super::target_call::TargetCall;
use super::target_response::name_target;
use super::token_bound::tokens_max;
use super::tries::{CallAttempts, NoTry, SkippedTry, TargetOrder};
use crate::account::RequestAccount;
use crate::action::{ActionResponse, RelayedResponse};
use crate::forward::{UpstreamResponse, no_healthy_upstream, unwritable};
use crate::refusal::problem::Problem;
use crate::upstream::targets::attempts::{TargetAttempt, TargetFailure};
use crate::upstream::targets::{EntryTarget, TargetState, TargetUnavailable, id};

/// A call whose model may have more than one attempt, or whose targets have limits.
pub(super) struct FallbackCall<'a> {
    pub(super) of: InferenceRequest<'a>,
    pub(super) entry: &'a Arc<Model>,
    pub(super) rules: &'a FallbackRules,
}

/// The state of a call between its attempts.
struct FallbackState<'a> {
    parsed: ParsedCall,
    tries: CallAttempts<'a>,
    /// The state of the client's rate limit, once the call is admitted.
    admission: Option<AdmissionInfo>,
    /// The error that the client gets if no target serves the call: the first response of a provider, otherwise the first error.
    error: Option<AttemptError>,
}

impl FallbackCall<'_> {
    /// Sends the call to its targets, one after the other.
    pub(super) async fn send(
        &self,
        account: &mut RequestAccount,
        parsed: ParsedCall,
    ) -> Result<ActionResponse, Problem> {
        let Self { of, entry, rules } = self;
        let snapshot = account.request.snapshot.clone();
        let states = snapshot.destinations.targets_of(entry);
        let session = if rules.sticky.is_some() { session(account, &of.plan.requested) } else { None };
        let order = self.order(account, &parsed, &states, session).await?;
        let tries = self.tries(account, &states, order);
        let mut state = FallbackState { parsed, tries, admission: None, error: None };
        loop {
            let next = state.tries.next(account.request.read_at());
            self.skip_left_out(account, &mut state.tries);
            let next = match next {
                Ok(next) => next,
                Err(why) => return self.failed(account, state, why),
            };
            let Some(target) = entry.targets.get(next.target) else {
                return self.failed(account, state, NoTry::Spent);
            };
            let Some(known) = states.get(next.target) else {
                return self.failed(account, state, NoTry::Spent);
            };
            waited(account, next.after).await;
            // With `on_hangup: drain`, a begun response is read to its end, but no other attempt is made.
            if state.tries.attempts > 0 && account.request.deadlines.has_left() {
                return self.failed(account, state, NoTry::Spent);
            }
            let planned = PlannedModel::from_target(entry, target, &of.plan.requested);
            let Some(mut call) = self.begin(account, &planned, next.target, &mut state).await? else { continue };
            if state.admission.is_none() {
                state.admission = Some(call.reserve(account).await?);
            } else if !call.reserve_more(account).await? {
                return self.failed(account, state, NoTry::Spent);
            }
            let (permit, trial) = state.tries.sent();
            account.permits.target = permit.map(Box::new);
            account.retries = state.tries.attempts - 1;
            let may_continue = state.tries.may_continue(account.request.read_clock());
            let tried = TargetAttempt { trial, ..self.tried(account, next.target, target, &known.state) };
            let first_content = rules.first_content.or(snapshot.traffic.ai.as_ref().and_then(|ai| ai.first_content));
            match attempt(&mut call, account, may_continue, first_content).await {
                AttemptEnd::Served(mut answered) => {
                    tried.succeeded(account.request.read_clock());
                    self.stay(account, session, target);
                    name(account, &mut answered, &planned, state.tries.attempts).map_err(unwritable)?;
                    return call.relayed(account, *answered, state.admission.unwrap_or_default());
                }
                AttemptEnd::Relayed(mut answered) => {
                    self.stay(account, session, target);
                    name(account, &mut answered, &planned, state.tries.attempts).map_err(unwritable)?;
                    let last = watched(account, tried, &call, &answered);
                    return call.relayed_from(account, last, *answered, state.admission.unwrap_or_default());
                }
                AttemptEnd::Refused(problem) => return Err(problem),
                AttemptEnd::Failed(mut failed) => {
                    self.skip_unsent(account, target, &failed);
                    tried.failed(failed.failure, account.request.read_clock());
                    if let AttemptError::Response(answered) = &mut failed.error {
                        name(account, answered, &planned, state.tries.attempts).map_err(unwritable)?;
                    }
                    match failed.error {
                        error if rules.includes(failed.failure.cause, failed.failure.status) => {
                            account.end_attempt(call.charge.unwrap_or_default(), failed.seen);
                            state.keep_failed(next.target, failed.failure, error);
                        }
                        AttemptError::Response(answered) => {
                            return call.relayed(account, *answered, state.admission.unwrap_or_default());
                        }
                        AttemptError::Problem(problem) => return Err(*problem),
                    }
                }
            }
        }
    }

    /// Returns the attempts of the call, from now on.
    fn tries<'t>(
        &'t self,
        account: &RequestAccount,
        states: &'t [EntryTarget],
        order: TargetOrder,
    ) -> CallAttempts<'t> {
        let tries = CallAttempts::new(self.rules, states, order, account.request.read_clock(), account.total_at());
        tries.with_own(|number| self.entry.targets.get(number).is_some_and(|target| self.is_own(target)))
    }

    /// Begins an attempt at a target; `None` if another target is tried first.
    async fn begin<'p>(
        &'p self,
        account: &mut RequestAccount,
        planned: &'p PlannedModel,
        target: usize,
        state: &mut FallbackState<'_>,
    ) -> Result<Option<TargetCall<'p>>, Problem> {
        let wait = account.request.snapshot.destinations.refuses(&planned.provider, account.request.read_at());
        if let Some(wait) = wait {
            state.tries.skip_for(target, wait);
            self.skip(account, target, SkipReason::Breaker);
            let message = "the circuit breaker of this model's provider is open";
            state.keep(AttemptError::Problem(Box::new(no_healthy_upstream(message, Some(wait)))));
            return Ok(None);
        }
        match TargetCall::new(account, &state.parsed, self.of, planned).await {
            Ok(call) => {
                if !state.tries.begin(target, account.request.read_at()) {
                    return Ok(None);
                }
                let limits = self.entry.targets.get(target).and_then(|target| target.limits);
                if state.tries.is_counted() && limits.is_some_and(|limits| limits.tokens.is_some()) {
                    state.tries.may_use(tokens_max(account, &state.parsed, &self.of, planned).await?);
                }
                Ok(Some(call))
            }
            // Nothing is known about the cost of this target, its format cannot express the call, or its account does not have an
            // object of it; another one may have a price, the client's format, or the user's own account.
            Err(problem)
                if matches!(
                    problem.refusal,
                    Refusal::PriceUnknown | Refusal::CostUnbounded | Refusal::FormatMismatch | Refusal::NotFound
                ) =>
            {
                let is_of_format = matches!(problem.refusal, Refusal::FormatMismatch | Refusal::NotFound);
                // The size of a large body is read on another thread.
                account.request.read_clock();
                state.tries.exclude(target);
                self.skip(account, target, if is_of_format { SkipReason::Format } else { SkipReason::Price });
                state.keep(AttemptError::Problem(Box::new(problem)));
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Returns the numbers of the targets in the order in which they are tried.
    async fn order(
        &self,
        account: &mut RequestAccount,
        parsed: &ParsedCall,
        states: &[EntryTarget],
        session: Option<u64>,
    ) -> Result<TargetOrder, Problem> {
        let now = account.request.read_clock();
        let sessions = account.request.snapshot.destinations.sessions();
        let kept = session.and_then(|session| sessions.target(session, now));
        let kept = kept.and_then(|kept| self.entry.targets.iter().position(|target| id(target) == kept));
        let choice = TargetChoice { entry: self.entry, states, strategy: self.rules.strategy, kept };
        choice.order(account, parsed, &self.of).await
    }

    /// Notes that the call skips the target with this number.
    fn skip(&self, account: &mut RequestAccount, target: usize, reason: SkipReason) {
        if let Some(target) = self.entry.targets.get(target) {
            self.of.plan.skip(account, target, reason);
        }
    }

    /// Notes the targets that no call could use when it was their turn.
    fn skip_left_out(&self, account: &mut RequestAccount, tries: &mut CallAttempts<'_>) {
        for SkippedTry { target, reason } in tries.take_left_out() {
            self.skip(account, target, reason);
        }
    }

    /// Notes a target that got nothing of the call, because no connection was opened. Such an attempt is not recorded.
    fn skip_unsent(&self, account: &mut RequestAccount, target: &Target, failed: &FailedAttempt) {
        if account.has_sent() {
            return;
        }
        let is_of_breaker =
            matches!(&failed.error, AttemptError::Problem(problem) if problem.refusal == Refusal::NoHealthyUpstream);
        let reason = if is_of_breaker { SkipReason::Breaker } else { SkipReason::Connect };
        self.of.plan.skip(account, target, reason);
    }

    /// Returns the attempt at a target with its number, which begins now.
    fn tried(
        &self,
        account: &RequestAccount,
        number: usize,
        target: &Target,
        known: &Arc<TargetState>,
    ) -> TargetAttempt {
        TargetAttempt {
            entry: Arc::clone(self.entry),
            number,
            state: Arc::clone(known),
            rules: self.rules.cooldown,
            is_own: self.is_own(target),
            request_id: account.request.id,
            begun: account.request.read_at(),
            trial: None,
        }
    }

    /// Whether the call has the user's own credential for the target.
    fn is_own(&self, target: &Target) -> bool {
        self.of.client.principal.provider_keys.own(&target.provider.name).is_some()
    }

    /// Keeps the target for the next calls of a session.
    fn stay(&self, account: &RequestAccount, session: Option<u64>, target: &Target) {
        if let Some(session) = session
            && let Some(time) = self.rules.sticky
        {
            let now = account.request.read_at();
            account.request.snapshot.destinations.sessions().stay(session, id(target), now, time);
        }
    }

    /// Responds to a call that no target serves.
    fn failed(
        &self,
        account: &RequestAccount,
        state: FallbackState<'_>,
        why: NoTry,
    ) -> Result<ActionResponse, Problem> {
        let error = match why {
            // A target that takes no calls now could express this one.
            NoTry::LeftOut(_) => state.error.filter(|error| !error.is_of_format()),
            NoTry::Spent => state.error,
        };
        match (error, why) {
            (Some(AttemptError::Response(mut answered)), _) => {
                let attempts = (account.retries + 1).to_string();
                answered.head.edits.set(KnownName::XTollgateAttempts, attempts.as_bytes()).map_err(unwritable)?;
                let admission = state.admission.unwrap_or_default();
                Ok(ActionResponse::Relayed(RelayedResponse { answered: *answered, tap: None, admission }))
            }
            (Some(AttemptError::Problem(problem)), _) => Err(*problem),
            (None, NoTry::LeftOut(TargetUnavailable { reason, until })) => {
                let after = until.saturating_duration_since(account.request.read_at());
                let message = if reason == SkipReason::Limit {
                    "all providers of this model are at their limits, or have failed lately"
                } else {
                    "all providers of this model have failed lately, and none is tried yet"
                };
                Err(no_healthy_upstream(message, Some(after)))
            }
            (None, NoTry::Spent) => Err(no_healthy_upstream("no provider of this model takes calls now", None)),
        }
    }
}

impl FallbackState<'_> {
    /// Keeps the error of an attempt at a target, which is not tried again if that would fail too.
    fn keep_failed(&mut self, target: usize, failure: TargetFailure, error: AttemptError) {
        if failure.is_of_call {
            self.tries.exclude(target);
        }
        self.keep(error);
    }

    /// Keeps the error if it says more than the one that is kept.
    fn keep(&mut self, error: AttemptError) {
        if self.error.as_ref().is_none_or(|kept| says_more(&error, kept)) {
            self.error = Some(error);
        }
    }
}

/// Whether an error says more about a call than the one that is kept.
fn says_more(error: &AttemptError, kept: &AttemptError) -> bool {
    let is_first_response = matches!((kept, error), (AttemptError::Problem(_), AttemptError::Response(_)));
    // A call that one target cannot express may succeed later, if another target could serve it.
    is_first_response || kept.is_of_format() && !error.is_of_format()
}

/// Waits for the pause before an attempt, if there is one.
async fn waited(account: &RequestAccount, after: Duration) {
    if !after.is_zero() {
        sleep(after).await;
        account.request.read_clock();
    }
}

/// Returns the last attempt of a call if the rest of its response decides whether it succeeds. A page has failed; a response that
/// is not read has succeeded.
fn watched(
    account: &RequestAccount,
    tried: TargetAttempt,
    call: &TargetCall<'_>,
    answered: &UpstreamResponse,
) -> Option<TargetAttempt> {
    let now = account.request.read_clock();
    if is_page(answered) {
        tried.failed(TargetFailure::of_response(FallbackCause::Reset), now);
        return None;
    }
    if call.is_read() {
        return Some(tried);
    }
    tried.succeeded(now);
    None
}

/// Names the model and the number of attempts in the head of a response.
fn name(
    account: &RequestAccount,
    answered: &mut UpstreamResponse,
    planned: &PlannedModel,
    attempts: u32,
) -> Result<(), http1::InvalidPart> {
    name_target(account, answered, &planned.provider.name, &planned.model)?;
    answered.head.edits.set(KnownName::XTollgateAttempts, itoa::Buffer::new().format(attempts).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_target_that_could_serve_the_call_replaces_one_about_the_format() {
        let error = |refusal| AttemptError::Problem(Box::new(Problem::new(refusal, "m")));
        for (error_of, kept, expected) in [
            (Refusal::UpstreamConnect, Refusal::FormatMismatch, true),
            (Refusal::NoHealthyUpstream, Refusal::FormatMismatch, true),
            (Refusal::FormatMismatch, Refusal::FormatMismatch, false),
            (Refusal::FormatMismatch, Refusal::UpstreamConnect, false),
            (Refusal::UpstreamTimeout, Refusal::UpstreamConnect, false),
        ] {
            assert_eq!(says_more(&error(error_of), &error(kept)), expected, "{error_of:?} {kept:?}");
        }
    }
}

//! The account of one request: its client, its reservation, its attempts, its bytes and its result. `settle` settles it.

pub(crate) mod attempt;
pub(crate) mod cache_result;
pub(crate) mod client;
pub(crate) mod client_context;
pub(crate) mod ending;
pub(crate) mod identity;
pub(crate) mod origin;
pub(crate) mod permits;
pub(crate) mod request;
pub(crate) mod request_id;
mod reserved_use;
pub(crate) mod spans;
pub(crate) mod trace_context;
mod trust;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::refusal::Side;
use access::{Day, NanoUsd, Principal, Refusal, Timestamp};
use ai::{Format, ResponseFacts, Tap};
use bytes::Bytes;
use config::snapshot::{CreditRates, Events, OnHangup, Provider, RoutePolicy, Timeouts};
use http::StatusCode;
use meter::rate::RateLevel;
use meter::{BilledQuantity, Charge, Measure, Outcome, RequestOrigin, Reservation};
use tokio::time::Instant;

use crate::account::attempt::Attempt;
use crate::account::cache_result::CacheResult;
use crate::account::ending::Ending;
use crate::account::identity::Identity;
use crate::account::permits::{BudgetHold, RequestPermits};
use crate::account::request::RequestContext;
use crate::body::admit;
use crate::capacity::RequestPermit;
use crate::refusal::call_tokens::CallTokens;
use crate::refusal::counted_limits::CountedLimits;
use crate::refusal::limit_items::{LimitItem, LimitItems, LimitSource, LimitUnit};
use crate::refusal::problem::Problem;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::destination::DestinationInUse;
use crate::upstream::response_head::UpstreamHead;

/// The account of one request, from its head to the end of its response. If it is dropped before the end, the client has
/// disconnected, unless the shutdown ends the request.
pub(crate) struct RequestAccount {
    pub(crate) request: RequestContext,
    /// The policy of the route; `None` if none is known yet, or if none matches.
    policy: Option<Arc<RoutePolicy>>,
    /// The deadline of the whole request.
    total_at: Instant,
    /// Whether the client sends a call of gRPC.
    pub(crate) is_grpc: bool,
    /// Whether the client has set that deadline (gRPC).
    pub(crate) is_deadline_of_client: bool,
    pub(crate) identity: Identity,
    pub(crate) permits: RequestPermits,
    pub(crate) ending: Ending,
    /// The properties that only LLM requests of authenticated clients have.
    pub(crate) inference: Option<Box<InferenceAccount>>,
    /// The backend or provider to which the request is sent.
    pub(crate) destination: Option<DestinationInUse>,
    /// The attempt that is in progress.
    pub(crate) attempt: Option<Attempt>,
    /// The attempts that have ended.
    pub(crate) attempts: Vec<meter::Attempt>,
    /// The part of the cache in the response; `None` on a route without a cache.
    pub(crate) cache: Option<CacheResult>,
    /// Whether other requests wait for the response, so that it outlives the client.
    pub(crate) is_filling: bool,
    /// Whether the gateway sends the request itself: it has no client, and no part in usage.
    pub(crate) is_background: bool,
    /// The number of attempts that repeat another.
    pub(crate) retries: u32,
}

/// The part of an account that only LLM requests have.
pub(crate) struct InferenceAccount {
    /// The format of the request; `None` if it has no usage, so that it has no event if it is refused.
    pub(crate) format: Option<Format>,
    /// The name of the requested model if it does not exist or the key may not use it.
    pub(crate) refused_model: Option<Arc<str>>,
    pub(crate) call: Option<Rc<InferenceCall>>,
    /// The minimum cost of the last attempt if its cost is unknown, otherwise zero.
    pub(crate) known_cost: NanoUsd,
    /// Whether the response may be billed by [`InferenceCall::billable`].
    pub(crate) is_billable: bool,
    /// Whether the response of the last attempt was aborted in its content, and only a part of its usage was reported.
    pub(crate) is_usage_partial: bool,
    /// The credits of the call by its tokens; `None` for flat credits.
    pub(crate) credit_rates: Option<Arc<CreditRates>>,
    /// The attempts at other targets, if there were any.
    pub(crate) earlier: Option<Box<EarlierAttempts>>,
    /// The metadata for the usage event, once the body is read.
    pub(crate) origin: Option<RequestOrigin>,
    /// The tokens that the call has reserved, if limits of tokens apply.
    pub(crate) tokens: Option<Box<CallTokens>>,
}

/// The attempts of an LLM call at other targets, before the current one.
#[derive(Debug, Default)]
pub(crate) struct EarlierAttempts {
    /// Their number among the attempts of the account.
    pub(crate) count: usize,
    /// The amounts that they have used, without flat credits.
    pub(crate) used: Charge,
    /// The part of `used` that no provider has reported.
    pub(crate) estimated: Charge,
    /// The amounts that the current attempt may use.
    pub(crate) reserved: Charge,
}

impl InferenceAccount {
    /// Returns the account of a call whose body is not read yet.
    pub(crate) fn new(format: Option<Format>) -> Box<Self> {
        Box::new(Self {
            format,
            refused_model: None,
            call: None,
            known_cost: NanoUsd::ZERO,
            is_billable: true,
            is_usage_partial: false,
            credit_rates: None,
            earlier: None,
            origin: None,
            tokens: None,
        })
    }
}

/// An LLM call whose model is known.
pub(crate) struct InferenceCall {
    /// The client's format, which usage events and refusals have.
    pub(crate) format: Format,
    /// The format of the provider's response, from which usage is read. The call is translated if it is another.
    pub(crate) provider_format: Format,
    pub(crate) requested_model: Arc<str>,
    /// The name under which the usage is counted.
    pub(crate) counted_model: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    pub(crate) streamed: bool,
    /// The amount to bill if the response is audio without usage, computed from the request alone.
    pub(crate) billable: Option<BilledQuantity>,
    /// Whether the request has no usage. Requests that only count tokens have none, and have no usage event.
    pub(crate) free: bool,
    /// Whether the provider is paid with the user's own credential.
    pub(crate) own_credential: bool,
}

impl RequestAccount {
    /// Opens the account of a request whose route is still unknown.
    pub(crate) fn open(request: RequestContext, permit: Option<RequestPermit>) -> Box<Self> {
        Box::new(Self {
            total_at: request.begun + request.snapshot.traffic.timeouts.total_of(false),
            request,
            is_grpc: false,
            is_deadline_of_client: false,
            policy: None,
            identity: Identity::default(),
            permits: RequestPermits::from_permit(permit),
            ending: Ending::default(),
            inference: None,
            destination: None,
            attempt: None,
            attempts: Vec::new(),
            cache: None,
            is_filling: false,
            is_background: false,
            retries: 0,
        })
    }

    /// Returns the account of the same request as the gateway sends it itself, for the same client.
    pub(crate) fn detached(&self, permit: RequestPermit) -> Box<Self> {
        let mut account = Self::open(self.request.detached(), Some(permit));
        if let Some(policy) = &self.policy {
            account.matched(policy);
        }
        account.identity = self.identity.clone();
        account.is_background = true;
        account
    }

    /// Applies the policy of the route that the request matches.
    pub(crate) fn matched(&mut self, policy: &Arc<RoutePolicy>) {
        self.is_grpc = self.request.is_grpc();
        let mut total = policy.timeouts.total_of(self.is_grpc);
        if self.is_grpc
            && let Some(of_client) = self.request.head.grpc_timeout().filter(|of_client| *of_client < total)
        {
            total = of_client;
            self.is_deadline_of_client = true;
        }
        self.total_at = self.request.begun + total;
        self.policy = Some(policy.clone());
    }

    /// Applies the bounds of other requests than calls of gRPC: the total time, and the length of the whole body.
    ///
    /// # Errors
    /// The body is too large.
    pub(crate) fn bound_whole(&mut self) -> Result<(), Problem> {
        let total_at = self.request.begun + self.timeouts().total_of(false);
        if total_at < self.total_at {
            (self.total_at, self.is_deadline_of_client) = (total_at, false);
        }
        let general = self.request.snapshot.traffic.sizes.body_bytes_max;
        admit::check_length(&self.request.head, self.policy().body_bytes_max(general))
    }

    /// Applies the changes of the upstream that was chosen among those of the route: `policy` is that of the route with them.
    pub(crate) fn use_upstream_policy(&mut self, policy: &Arc<RoutePolicy>) {
        self.policy = Some(policy.clone());
    }

    /// Returns the policy that applies to the request.
    pub(crate) fn policy(&self) -> &RoutePolicy {
        self.policy.as_deref().unwrap_or(&self.request.snapshot.traffic.built_in.unmatched)
    }

    /// Returns the deadline of the whole request.
    pub(crate) const fn total_at(&self) -> Instant {
        self.total_at
    }

    /// Lets the request, which has become a tunnel or whose response is an event stream, last as long as such requests may,
    /// but at most for `most`.
    pub(crate) fn becomes_stream(&mut self, most: Duration) {
        self.total_at = self.request.begun + self.timeouts().total_of(true).min(most);
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.policy().timeouts
    }

    pub(crate) fn identified(&mut self, principal: &Principal) {
        self.identity.identified(principal);
    }

    /// The LLM call, once its model is known.
    pub(crate) fn call(&self) -> Option<&InferenceCall> {
        self.inference.as_ref()?.call.as_deref()
    }

    /// Returns the credits of the LLM call by its tokens; `None` for flat credits.
    pub(crate) fn credit_rates(&self) -> Option<&Arc<CreditRates>> {
        self.inference.as_ref()?.credit_rates.as_ref()
    }

    /// Notes the call that the next attempt sends.
    pub(crate) fn begin_call(&mut self, call: &Rc<InferenceCall>) {
        if let Some(inference) = &mut self.inference {
            inference.call = Some(call.clone());
        }
    }

    /// Removes the billable amount of the request: the response is not of the requested kind.
    pub(crate) fn forget_billable(&mut self) {
        if let Some(inference) = &mut self.inference {
            inference.is_billable = false;
        }
    }

    pub(crate) fn reserved(&mut self, reservation: Reservation) {
        self.permits.budgets = BudgetHold::Reserved(reservation);
    }

    /// Returns whether a budget with this measure limits the request, which is not sent yet.
    pub(crate) fn is_limited(&self, measure: Measure) -> bool {
        matches!(&self.permits.budgets, BudgetHold::Reserved(reservation) if reservation.limits(measure))
    }

    /// Returns the UTC day to which the request counts.
    pub(crate) fn day(&self) -> Day {
        match &self.permits.budgets {
            BudgetHold::Nothing => self.request.started_at.day(),
            BudgetHold::Reserved(reservation) => reservation.day(self.request.started_at),
            BudgetHold::CommittedRequest(committed) => committed.day(),
        }
    }

    /// Returns whether the request has its own usage event, not only a part in the counts: that names its windows.
    pub(crate) fn leaves_a_row(&self) -> bool {
        self.policy().events == Events::Rows || self.permits.budgets.has_windows()
    }

    /// Settles the reservation as reserved: the gateway itself responds, and the request counts.
    pub(crate) fn spend(&mut self) {
        if let BudgetHold::Reserved(reservation) = std::mem::replace(&mut self.permits.budgets, BudgetHold::Nothing) {
            reservation.commit(self.request.started_at).settle_as_reserved();
        }
    }

    /// Relays an interim response of an upstream. Clients of LLM APIs expect none.
    pub(crate) fn relay_interim(&self, head: UpstreamHead) {
        if self.inference.is_none() {
            self.request.relay_interim(head);
        }
    }

    /// Begins an attempt. The previous attempt is recorded if any byte of it was written.
    pub(crate) fn begin_attempt(&mut self, attempt: Attempt) {
        self.commit_if_sent();
        if let Some(earlier) = self.attempt.take()
            && earlier.probe.anything_written()
        {
            let record = self.record_of(&earlier, attempt.since, None);
            self.attempts.push(record);
        }
        let traffic = &self.request.snapshot.traffic;
        if self.is_filling {
            self.request.deadlines.outlive_until(attempt.probe.clone(), self.total_at);
        } else if matches!(traffic.on_hangup, OnHangup::Drain { .. }) && self.call().is_some_and(|call| !call.free) {
            self.request.deadlines.outlive_if_sent(attempt.probe.clone());
        }
        self.attempt = Some(attempt);
    }

    /// Notes that the head of the response has arrived, and sets the deadlines of its body.
    pub(crate) fn note_response_head(&mut self, status: u16, upstream_id: Option<Arc<str>>) {
        self.commit_if_sent();
        let now = self.request.read_clock();
        if let Some(spans) = &self.request.spans {
            spans.answered(status);
        }
        self.await_content(now);
        if let Some(attempt) = &mut self.attempt {
            let waited_us = attempt.answered(now, status, upstream_id);
            if let Some(destination) = &self.destination {
                destination.duration.observe_us(waited_us);
                destination.backend.answered(waited_us, now);
            }
        }
    }

    /// Sets the deadlines of a response whose content arrives for several requests.
    pub(crate) fn awaits_content(&self) {
        self.await_content(self.request.read_clock());
    }

    fn await_content(&self, now: Instant) {
        let timeouts = self.timeouts();
        let total_at = self.total_at();
        self.request.deadlines.must_be_read(timeouts.client_idle, total_at);
        self.request.deadlines.wait_until((now + timeouts.idle).min(total_at));
    }

    /// Adds bytes of the response's body that are sent to the client. Nothing is added after the client has
    /// disconnected.
    pub(crate) fn count_sent(&mut self, bytes: usize) {
        if !self.request.deadlines.has_left() {
            self.ending.response_bytes += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// Sets the status that the client receives, unless it has disconnected.
    pub(crate) fn set_client_status(&mut self, status: u16) {
        if !self.request.deadlines.has_left() {
            self.ending.status = status;
        }
    }

    /// Returns the status for the client of a response with this status, as the route has it.
    pub(crate) fn client_status(&self, received: u16) -> StatusCode {
        let received = StatusCode::from_u16(received).unwrap_or(StatusCode::BAD_GATEWAY);
        self.policy().response.as_ref().map_or(received, |rules| rules.status(received))
    }

    /// Returns the limits that the response reports; `rate` is that of the plan or the key, and `refused_by` has refused the
    /// request.
    pub(crate) fn reported_limits(
        &self,
        rate: Option<RateLevel>,
        refused_by: Option<Box<LimitItem>>,
        now: Timestamp,
    ) -> LimitItems {
        let counted = self.permits.rate_limits.iter().flat_map(|limits| limits.reported().cloned());
        let inference = self.inference.as_ref();
        let tokens = inference.and_then(|inference| inference.tokens.as_ref()?.reported()).cloned();
        let rate = rate.map(|level| LimitItem::of_rate(LimitSource::PerMinute, LimitUnit::Count, level));
        let budgets = self.identity.limits.iter().flat_map(|limits| limits.levels(now));
        let budgets = budgets.map(|level| LimitItem::of_budget(&level, now));
        LimitItems::new(refused_by.map(|item| *item), counted.chain(tokens).chain(rate).chain(budgets))
    }

    /// Returns the limits in which the request counts.
    pub(crate) fn counted_limits(&mut self) -> &mut CountedLimits {
        let counters = &self.request.snapshot.limit_counters;
        self.permits.rate_limits.get_or_insert_with(|| Box::new(CountedLimits::new(counters.clone())))
    }

    /// Returns whether any byte of the current attempt was sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.probe.anything_written())
    }

    /// Counts a retry after an attempt with this result.
    pub(crate) fn retried(&mut self, upstream: &Arc<str>, result: AttemptResult) {
        self.retries += 1;
        if let Some(spans) = &self.request.spans {
            spans.repeated(result, self.request.read_at());
        }
        self.request.worker().handles.retried(upstream, result.cause_word());
        if let Some(attempt) = &mut self.attempt
            && let AttemptResult::Status(status) = result
        {
            attempt.status = Some(status);
        }
    }

    /// Reports the end of an attempt to its backend. `source` is the cause of a failed connection, for the log.
    pub(crate) fn report(&mut self, result: AttemptResult, source: Option<&str>) {
        if let Some(destination) = &mut self.destination {
            destination.report(result, source);
        }
    }

    /// Notes that the request is refused or has failed.
    pub(crate) fn refuse(&mut self, problem: &mut Problem) {
        // A request that a provider has received counts, though a further attempt does not fit the budget.
        let was_sent = matches!(self.permits.budgets, BudgetHold::CommittedRequest(_));
        if !was_sent && let Some(limits) = self.permits.rate_limits.as_mut() {
            limits.refused(problem.refusal);
        }
        self.ending.refusal = Some((problem.refusal, problem.source.take()));
        self.ending.refused_limit = problem.limit.take();
        if problem.refusal.side() == Side::Upstream
            && let Some(destination) = &self.destination
        {
            self.request.worker().handles.upstream_failed(&destination.name, problem.refusal);
        }
    }

    /// Ends the response of `tap` early: returns its last bytes, and the facts that were read. A response that has used
    /// its reservation gets its format's regular end, any other an error.
    pub(crate) fn cut(&self, tap: Tap, outcome: Outcome) -> (Bytes, ResponseFacts) {
        if outcome == Outcome::BudgetCut {
            return tap.stop();
        }
        let (refusal, message) = cause_of_cut(outcome);
        let request_id = self.request.id.to_string();
        let reporter = ai::Reporter { domain: self.request.snapshot.process.brand.slug(), request_id: &request_id };
        tap.cut(&ai::FormatProblem::new(refusal, message, reporter))
    }

    /// Returns the last bytes of a stream that its upstream has ended, and the facts that were read. A stream without
    /// its format's last event ends with an error.
    pub(crate) fn close(&self, tap: Tap) -> (Bytes, ResponseFacts) {
        const CUT: &str = "the provider ended its stream before the last event: the response is incomplete";
        const EMPTY: &str = "the provider ended its stream without any content";
        let (refusal, message) =
            if tap.is_empty() { (Refusal::UpstreamProtocol, EMPTY) } else { (Refusal::UpstreamReset, CUT) };
        let request_id = self.request.id.to_string();
        let reporter = ai::Reporter { domain: self.request.snapshot.process.brand.slug(), request_id: &request_id };
        tap.close(&ai::FormatProblem::new(refusal, message, reporter))
    }

    /// Commits the reservation once the first byte was sent to an upstream: from then on, the request counts.
    pub(crate) fn commit_if_sent(&mut self) {
        if self.has_sent() {
            let at = self.request.started_at;
            self.permits.budgets.commit(at);
            self.permits.further.iter_mut().for_each(|more| more.commit(at));
        }
    }
}

/// Returns the refusal and the message of a response that ends early.
pub(crate) const fn cause_of_cut(outcome: Outcome) -> (Refusal, &'static str) {
    match outcome {
        Outcome::Drained => (Refusal::Draining, "this instance is shutting down: the response is incomplete"),
        Outcome::TimedOut => (Refusal::UpstreamTimeout, "the response took too long: it is incomplete"),
        Outcome::Completed | Outcome::CallerGone | Outcome::UpstreamCut | Outcome::Interrupted | Outcome::BudgetCut => {
            (Refusal::UpstreamReset, "the provider aborted its response: it is incomplete")
        }
    }
}

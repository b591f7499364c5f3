//! The account of one request: its client, its reservation, its attempts, its bytes and its result. `settle` settles it.

pub(crate) mod attempt;
pub(crate) mod client;
pub(crate) mod client_context;
pub(crate) mod request;
pub(crate) mod request_id;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::refusal::Side;
use access::{Credits, Day, KeyId, Last4, NanoUsd, Principal, Refusal, Subject, UserId};
use ai::{Format, ResponseFacts, Tap};
use bytes::Bytes;
use config::snapshot::{Events, OnHangup, Provider, RoutePolicy, Timeouts};
use meter::rate::RateLevel;
use meter::{Billed, Charge, CommittedRequest, Measure, Outcome, Reservation};
use tokio::time::Instant;

use crate::account::attempt::Attempt;
use crate::account::request::RequestContext;
use crate::capacity::{KeyPermit, RequestPermit, TunnelPermit};
use crate::refusal::counted_limits::{CountedLimits, ReportedLimit};
use crate::refusal::problem::Problem;
use crate::upstream::destination::DestinationInUse;
use crate::upstream::response_head::UpstreamHead;
use crate::worker::admitted_client::ServiceClient;
use crate::worker::aggregation::PreloggedPart;
use crate::worker::token_client::TokenClient;

/// The account of one request, from its head to the end of its response. If it is dropped before the end, the client has
/// disconnected, unless the shutdown ends the request.
pub(crate) struct RequestAccount {
    pub(crate) request: RequestContext,
    /// The policy of the route; `None` if none is known yet, or if none matches.
    policy: Option<Arc<RoutePolicy>>,
    /// The deadline of the whole request.
    total_at: Instant,
    /// The permit that counts the request among those in flight, until the gateway itself responds or the response of the
    /// upstream has ended; `None` if too many are in flight.
    pub(crate) permit: Option<RequestPermit>,
    /// The identity that the request is made as; anonymous until a credential is found.
    pub(crate) subject: Subject,
    /// The public ids of the user and the key, for the log.
    pub(crate) caller_ids: Option<CallerIds>,
    /// The client, if it has an access token of another issuer.
    pub(crate) token: Option<Rc<TokenClient>>,
    /// The client, if a service has admitted it.
    pub(crate) service: Option<Rc<ServiceClient>>,
    /// The name of the plan of a client without a user, if it has one.
    pub(crate) plan: Option<Arc<str>>,
    /// The permit that counts the request among the requests in flight of its subject.
    pub(crate) key_permit: Option<KeyPermit>,
    /// The rate limits of the configuration in which the request counts, if any applies.
    pub(crate) rate_limits: Option<Box<CountedLimits>>,
    /// The properties that only LLM requests of authenticated clients have.
    pub(crate) inference: Option<Box<InferenceAccount>>,
    pub(crate) hold: BudgetHold,
    /// Whether the spool has an open record of the request, which the record of its end closes.
    pub(crate) opened: bool,
    /// The part of a pre-logged batch that the request uses, if it is a plain request with a quota.
    pub(crate) prelogged: Option<PreloggedPart>,
    /// The backend or provider to which the request is sent.
    pub(crate) destination: Option<DestinationInUse>,
    /// Whether the upstream was chosen among several of the route.
    pub(crate) is_split: bool,
    /// The attempt that is in progress.
    pub(crate) attempt: Option<Attempt>,
    /// The attempts that have ended.
    pub(crate) attempts: Vec<meter::Attempt>,
    /// The permit of a request that may become a tunnel.
    pub(crate) tunnel: Option<TunnelPermit>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) status: u16,
    pub(crate) refusal: Option<(Refusal, Option<String>)>,
    pub(crate) is_settled: bool,
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
    /// Whether the response of the last attempt was aborted after the provider had reported a part of its usage.
    pub(crate) is_usage_partial: bool,
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
        })
    }
}

/// The public ids of the user and the key, which commands and the control API use. Operators cannot use row numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallerIds {
    pub(crate) user: UserId,
    pub(crate) key: KeyId,
    pub(crate) last4: Option<Last4>,
}

/// An LLM call whose model is known.
pub(crate) struct InferenceCall {
    pub(crate) format: Format,
    pub(crate) requested_model: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    pub(crate) streamed: bool,
    /// The amount to bill if the response is audio without usage, computed from the request alone.
    pub(crate) billable: Option<Billed>,
    /// Whether the request has no usage. Requests that only count tokens have none, and have no usage event.
    pub(crate) free: bool,
}

/// The state of the amounts that the request reserved in its budgets.
pub(crate) enum BudgetHold {
    Nothing,
    Reserved(Reservation),
    CommittedRequest(CommittedRequest),
}

impl RequestAccount {
    /// Opens the account of a request whose route is still unknown.
    pub(crate) fn open(request: RequestContext, permit: Option<RequestPermit>) -> Box<Self> {
        Box::new(Self {
            total_at: request.begun + request.snapshot.traffic.timeouts.total,
            request,
            policy: None,
            permit,
            subject: Subject::ANONYMOUS,
            caller_ids: None,
            token: None,
            service: None,
            plan: None,
            key_permit: None,
            rate_limits: None,
            inference: None,
            hold: BudgetHold::Nothing,
            opened: false,
            prelogged: None,
            destination: None,
            is_split: false,
            attempt: None,
            attempts: Vec::new(),
            tunnel: None,
            request_bytes: 0,
            response_bytes: 0,
            status: 0,
            refusal: None,
            is_settled: false,
        })
    }

    /// Applies the policy of the route that the request matches.
    pub(crate) fn matched(&mut self, policy: &Arc<RoutePolicy>) {
        self.total_at = self.request.begun + policy.timeouts.total;
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

    /// Lets the request, which has become a tunnel, last for up to `most` from its beginning.
    pub(crate) fn extend_to(&mut self, most: Duration) {
        self.total_at = self.request.begun + most;
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.policy().timeouts
    }

    pub(crate) fn identified(&mut self, principal: &Principal) {
        self.subject = principal.subject();
        self.caller_ids = Some(CallerIds { user: principal.user, key: principal.key, last4: principal.last4 });
    }

    /// The LLM call, once its model is known.
    pub(crate) fn call(&self) -> Option<&InferenceCall> {
        self.inference.as_ref()?.call.as_deref()
    }

    /// Removes the billable amount of the request: the response is not of the requested kind.
    pub(crate) fn forget_billable(&mut self) {
        if let Some(inference) = &mut self.inference {
            inference.is_billable = false;
        }
    }

    pub(crate) fn reserved(&mut self, reservation: Reservation) {
        self.hold = BudgetHold::Reserved(reservation);
    }

    /// Returns whether a budget with this measure limits the request, which is not sent yet.
    pub(crate) fn is_limited(&self, measure: Measure) -> bool {
        matches!(&self.hold, BudgetHold::Reserved(reservation) if reservation.limits(measure))
    }

    /// Returns the UTC day to which the request counts.
    pub(crate) fn day(&self) -> Day {
        match &self.hold {
            BudgetHold::Nothing => self.request.started_at.day(),
            BudgetHold::Reserved(reservation) => reservation.day(self.request.started_at),
            BudgetHold::CommittedRequest(committed) => committed.day(),
        }
    }

    /// Returns whether the request has its own usage event, not only a part in the counts.
    pub(crate) fn leaves_a_row(&self) -> bool {
        self.policy().events == Events::Rows
    }

    /// Settles the reservation as reserved: the gateway itself responds, and the request counts.
    pub(crate) fn spend(&mut self) {
        if let BudgetHold::Reserved(reservation) = std::mem::replace(&mut self.hold, BudgetHold::Nothing) {
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
        if traffic.on_hangup != OnHangup::Cancel && self.call().is_some_and(|call| !call.free) {
            self.request.deadlines.outlive_if_sent(attempt.probe.clone());
        }
        self.attempt = Some(attempt);
    }

    /// Notes that the head of the response has arrived, and sets the deadlines of its body.
    pub(crate) fn answered(&mut self, status: u16, upstream_id: Option<Arc<str>>) {
        self.commit_if_sent();
        let now = self.request.read_clock();
        let total_at = self.total_at();
        let deadlines = &self.request.deadlines;
        deadlines.must_end_at(total_at);
        deadlines.wait_until((now + self.timeouts().idle).min(total_at));
        if let Some(attempt) = &mut self.attempt {
            let waited_us = attempt.answered(now, status, upstream_id);
            if let Some(destination) = &self.destination {
                destination.duration.observe_us(waited_us);
            }
        }
    }

    /// Adds bytes of the response's body that are sent to the client. Nothing is added after the client has
    /// disconnected.
    pub(crate) fn relayed(&mut self, bytes: usize) {
        if !self.request.deadlines.has_left() {
            self.response_bytes += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// Sets the status that the client receives, unless it has disconnected.
    pub(crate) fn answers(&mut self, status: u16) {
        if !self.request.deadlines.has_left() {
            self.status = status;
        }
    }

    /// Returns the limit that the response reports; `rate` is that of the plan or the key.
    pub(crate) fn reported_limit(&self, rate: Option<RateLevel>) -> Option<ReportedLimit> {
        match &self.rate_limits {
            None => rate.map(ReportedLimit::of_plan),
            Some(limits) => limits.reported(rate),
        }
    }

    /// Returns the limits in which the request counts.
    pub(crate) fn counted_limits(&mut self) -> &mut CountedLimits {
        let counters = &self.request.snapshot.limit_counters;
        self.rate_limits.get_or_insert_with(|| Box::new(CountedLimits::new(counters.clone())))
    }

    /// Notes that the request is refused or has failed.
    pub(crate) fn refuse(&mut self, problem: &mut Problem) {
        if let Some(limits) = &mut self.rate_limits {
            limits.refused(problem.refusal);
        }
        self.refusal = Some((problem.refusal, problem.source.take()));
        if problem.refusal.side() == Side::Upstream
            && let Some(destination) = &self.destination
        {
            self.request.worker().handles.upstream_failed(&destination.name, problem.refusal);
        }
    }

    /// Returns whether a budget of tokens or money limits the request, so that its response may exceed the reservation
    /// before it ends.
    pub(crate) fn is_held_to_its_use(&self) -> bool {
        matches!(&self.hold, BudgetHold::CommittedRequest(committed) if committed.limits_use())
    }

    /// Returns whether the usage that `tap` has read so far exceeds the reservation.
    pub(crate) fn has_used_up(&self, tap: &Tap) -> bool {
        let (BudgetHold::CommittedRequest(committed), Some(call)) = (&self.hold, self.call()) else { return false };
        let Some((usage, terms)) = tap.used() else { return false };
        let price = self.request.snapshot.traffic.price(&call.provider, (&call.model, None), self.request.started_at);
        let least = price.map_or(NanoUsd(0), |price| price.cost_at_least(Some(terms), &usage));
        committed.exceeds(&Charge { credits: Credits::ZERO, tokens: usage.total(), money: least })
    }

    /// Ends the response of `tap` early: returns its last bytes, and the facts that were read. A response that has used
    /// its reservation gets its format's regular end, any other an error.
    pub(crate) fn cut(&mut self, tap: Tap, outcome: Outcome) -> (Bytes, ResponseFacts) {
        let (refusal, message) = match outcome {
            Outcome::Drained => (Refusal::Draining, "this instance is shutting down: the response is incomplete"),
            Outcome::TimedOut => (Refusal::UpstreamTimeout, "the response took too long: it is incomplete"),
            Outcome::BudgetCut => {
                let (last, seen) = tap.stop();
                self.relayed(last.len());
                return (last, seen);
            }
            Outcome::Completed | Outcome::CallerGone | Outcome::UpstreamCut | Outcome::Interrupted => {
                (Refusal::UpstreamReset, "the provider aborted its response: it is incomplete")
            }
        };
        let request_id = self.request.id.to_string();
        let reporter = ai::Reporter { domain: self.request.snapshot.process.brand.slug(), request_id: &request_id };
        let (last, seen) = tap.cut(&ai::Problem::new(refusal, message, reporter));
        self.relayed(last.len());
        (last, seen)
    }

    /// Returns the last bytes of a stream that its upstream has ended, and the facts that were read. A stream without
    /// its format's last event ends with an error.
    pub(crate) fn close(&self, tap: Tap) -> (Bytes, ResponseFacts) {
        const MESSAGE: &str = "the provider ended its stream before the last event: the response is incomplete";
        let request_id = self.request.id.to_string();
        let reporter = ai::Reporter { domain: self.request.snapshot.process.brand.slug(), request_id: &request_id };
        tap.close(&ai::Problem::new(Refusal::UpstreamReset, MESSAGE, reporter))
    }

    /// Commits the reservation once the first byte was sent to an upstream: from then on, the request counts.
    pub(crate) fn commit_if_sent(&mut self) {
        if self.attempt.as_ref().is_some_and(|attempt| attempt.probe.anything_written()) {
            self.hold = match std::mem::replace(&mut self.hold, BudgetHold::Nothing) {
                BudgetHold::Reserved(reservation) => {
                    BudgetHold::CommittedRequest(reservation.commit(self.request.started_at))
                }
                held @ (BudgetHold::Nothing | BudgetHold::CommittedRequest(_)) => held,
            };
        }
    }
}

//! The state of one request, from its head to the end of its response. Then `settle` settles it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::refusal::Side;
use access::{Credits, Day, KeyId, Last4, NanoUsd, Principal, Refusal, RequestId, Subject, Timestamp, UserId};
use ai::{Format, ResponseFacts, Tap};
use bytes::Bytes;
use config::snapshot::{Events, OnHangup, Provider, Timeouts};
use meter::{Attempt, Billed, Charge, CommittedRequest, Outcome, Reservation};
use tokio::time::Instant;

use crate::aggregation::PreloggedPart;
use crate::answer::Problem;
use crate::body::{IncomingBody, Progress};
use crate::capacity::KeyPermit;
use crate::connection::ConnectionContext;
use crate::deadlines::ConnectionDeadlines;
use crate::head::Head;
use crate::request_id::RequestIdText;
use crate::transform::{ForwardedClient, Trust};
use crate::upstream::destination::Destination;
use crate::upstream::socket::Probe;
use crate::worker::{Pinned, Worker};

/// One request, from its head to the end of its response. If it is dropped before the end, the client has disconnected,
/// unless the shutdown ends the request.
pub(crate) struct Exchange {
    pub(crate) at: Rc<ConnectionContext>,
    pub(crate) snapshot: Rc<Pinned>,
    pub(crate) id: RequestId,
    pub(crate) id_text: RequestIdText,
    /// The time at which the head had arrived. Deadlines and durations begin at it.
    pub(crate) begun: Instant,
    pub(crate) started_at: Timestamp,
    read_at: Cell<Instant>,
    pub(crate) head: Rc<Head>,
    pub(crate) body: IncomingBody,
    pub(crate) route: Arc<str>,
    pub(crate) events: Events,
    pub(crate) timeouts: Timeouts,
    /// The identity that the request is made as; anonymous until a credential is found.
    pub(crate) subject: Subject,
    /// The public ids of the user and the key, for the log.
    pub(crate) caller_ids: Option<CallerIds>,
    /// The permit that counts the request among the requests in flight of its subject.
    pub(crate) key_permit: Option<KeyPermit>,
    /// The format of an LLM request that has usage; set once its client is authenticated.
    pub(crate) format: Option<Format>,
    /// The name of the requested model if it does not exist or the key may not use it.
    pub(crate) asked_in_vain: Option<Arc<str>>,
    pub(crate) call: Option<InferenceCall>,
    pub(crate) hold: BudgetHold,
    /// Whether the spool has an open record of the request, which the record of its end closes.
    pub(crate) opened: bool,
    /// The part of a pre-logged batch that the request uses, if it is a plain request with a quota.
    pub(crate) prelogged: Option<PreloggedPart>,
    pub(crate) upstream: Option<Rc<Destination>>,
    pub(crate) sending: Option<UpstreamCall>,
    pub(crate) attempts: Vec<Attempt>,
    /// The minimum cost of the last attempt in nano-USD if its cost is unknown, otherwise zero.
    pub(crate) known_cost: NanoUsd,
    /// Whether the response of the last attempt was aborted after the provider had reported a part of its usage.
    pub(crate) told_in_part: bool,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) status: u16,
    pub(crate) refusal: Option<(Refusal, Option<String>)>,
    pub(crate) over: bool,
}

/// The user and the key as commands and the control API name them. Operators cannot use row numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallerIds {
    pub(crate) user: UserId,
    pub(crate) key: KeyId,
    pub(crate) last4: Option<Last4>,
}

/// The properties that only LLM requests have.
#[derive(Clone)]
pub(crate) struct InferenceCall {
    pub(crate) format: Format,
    pub(crate) asked_model: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    pub(crate) streamed: bool,
    /// The amount to bill if the response has no usage, computed from the request alone.
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

/// The current attempt.
pub(crate) struct UpstreamCall {
    pub(crate) probe: Probe,
    pub(crate) progress: Rc<Progress>,
    pub(crate) since: Instant,
    pub(crate) status: Option<u16>,
    pub(crate) upstream_id: Option<Arc<str>>,
    pub(crate) first_byte_us: Option<u64>,
    /// Whether the upstream reported that the attempt had no effect.
    pub(crate) had_no_effect: bool,
}

impl Exchange {
    /// Creates the state of a request whose head has arrived. Its route is still unknown.
    pub(crate) fn begin(at: &Rc<ConnectionContext>, head: Rc<Head>, body: IncomingBody) -> Box<Self> {
        let worker = &at.worker;
        let started_at = worker.shared.clock.now();
        let snapshot = worker.snapshot();
        let id = RequestId(worker.ids.borrow_mut().uuid_at(started_at));
        let begun = Instant::now();
        Box::new(Self {
            id,
            id_text: RequestIdText::new(id),
            begun,
            started_at,
            read_at: Cell::new(begun),
            head,
            body,
            route: worker.handles.unmatched(),
            events: Events::Folded,
            timeouts: snapshot.traffic.timeouts,
            subject: Subject::ANONYMOUS,
            caller_ids: None,
            key_permit: None,
            format: None,
            asked_in_vain: None,
            call: None,
            hold: BudgetHold::Nothing,
            opened: false,
            prelogged: None,
            upstream: None,
            sending: None,
            attempts: Vec::new(),
            known_cost: NanoUsd(0),
            told_in_part: false,
            request_bytes: 0,
            response_bytes: 0,
            status: 0,
            refusal: None,
            over: false,
            at: at.clone(),
            snapshot,
        })
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.at.worker
    }

    /// Returns the client as an ordinary upstream receives it; `address` is its address.
    pub(crate) fn client<'a>(&'a self, address: &'a [u8], trust: Trust<'a>) -> ForwardedClient<'a> {
        ForwardedClient { address, id: self.id, id_text: self.id_text.as_bytes(), trust }
    }

    /// Reads the monotonic clock. A step that has waited calls it, so that `read_at` is the current time for the next
    /// step.
    pub(crate) fn read_clock(&self) -> Instant {
        let now = Instant::now();
        self.read_at.set(now);
        now
    }

    /// Returns the time at which the request last read the monotonic clock. The request has not waited since.
    pub(crate) fn read_at(&self) -> Instant {
        self.read_at.get()
    }

    /// Returns the wall time at which the monotonic clock was last read.
    pub(crate) fn wall_at(&self) -> Timestamp {
        let elapsed = self.read_at.get() - self.begun;
        self.worker().shared.clock.wall_after(self.started_at, elapsed)
    }

    pub(crate) fn deadlines(&self) -> &ConnectionDeadlines {
        &self.at.deadlines
    }

    pub(crate) fn routed(&mut self, route: Arc<str>, events: Events, timeouts: Timeouts) {
        self.route = route;
        self.events = events;
        self.timeouts = timeouts;
    }

    /// Returns the deadline of the whole request.
    pub(crate) fn total_at(&self) -> Instant {
        self.begun + self.timeouts.total
    }

    pub(crate) const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(crate) fn identified(&mut self, principal: &Principal) {
        self.subject = principal.subject();
        self.caller_ids = Some(CallerIds { user: principal.user, key: principal.key, last4: principal.last4 });
    }

    pub(crate) fn asks(&mut self, call: InferenceCall) {
        self.call = Some(call);
    }

    /// Removes the billable amount of the request: the response is not of the requested kind.
    pub(crate) fn forget_billable(&mut self) {
        if let Some(call) = &mut self.call {
            call.billable = None;
        }
    }

    pub(crate) fn reserved(&mut self, reservation: Reservation) {
        self.hold = BudgetHold::Reserved(reservation);
    }

    /// Returns the UTC day to which the request counts.
    pub(crate) fn day(&self) -> Day {
        match &self.hold {
            BudgetHold::Nothing => self.started_at.day(),
            BudgetHold::Reserved(reservation) => reservation.day(self.started_at),
            BudgetHold::CommittedRequest(committed) => committed.day(),
        }
    }

    /// Returns whether the request has its own usage event, not only a part in the counts.
    pub(crate) fn leaves_a_row(&self) -> bool {
        self.events == Events::Rows
    }

    /// Returns whether the whole request body was sent upstream or has arrived. A small rest is read and discarded
    /// first.
    pub(crate) async fn has_whole_body(&mut self) -> bool {
        let is_sent = self.sending.as_ref().is_some_and(|sending| sending.progress.is_whole());
        is_sent || self.body.discard().await
    }

    /// Settles the reservation as reserved: the gateway itself responds, and the request counts.
    pub(crate) fn spend(&mut self) {
        if let BudgetHold::Reserved(reservation) = std::mem::replace(&mut self.hold, BudgetHold::Nothing) {
            reservation.commit(self.started_at).settle_as_reserved();
        }
    }

    /// Sets the upstream or provider to which the request is sent.
    pub(crate) fn toward(&mut self, upstream: &Rc<Destination>) {
        self.upstream = Some(upstream.clone());
    }

    /// Begins an attempt. The previous attempt is recorded if any byte of it was written.
    pub(crate) fn sending(&mut self, probe: Probe, progress: Rc<Progress>, now: Instant) {
        self.commit_if_sent();
        if let Some(earlier) = self.sending.take()
            && earlier.probe.anything_written()
        {
            let attempt = self.attempt(&earlier, now, None);
            self.attempts.push(attempt);
        }
        let (status, upstream_id, first_byte_us) = (None, None, None);
        let had_no_effect = false;
        if self.call.as_ref().is_some_and(|call| !call.free) && self.snapshot.traffic.on_hangup != OnHangup::Cancel {
            self.at.deadlines.outlive_if_sent(probe.clone());
        }
        self.sending =
            Some(UpstreamCall { since: now, probe, progress, status, upstream_id, first_byte_us, had_no_effect });
    }

    /// Notes that the current attempt had no effect on the upstream, so that it costs nothing.
    pub(crate) fn had_no_effect(&mut self) {
        if let Some(sending) = &mut self.sending {
            sending.had_no_effect = true;
        }
    }

    /// Notes that the head of the response has arrived, and sets the deadlines of its body.
    pub(crate) fn answered(&mut self, status: u16, upstream_id: Option<Arc<str>>) {
        self.commit_if_sent();
        let now = self.read_clock();
        let total_at = self.total_at();
        self.at.deadlines.must_end_at(total_at);
        self.at.deadlines.wait_until((now + self.timeouts.idle).min(total_at));
        if let Some(sending) = &mut self.sending {
            let waited_us = micros(now - sending.since);
            sending.status = Some(status);
            sending.upstream_id = upstream_id;
            sending.first_byte_us = Some(waited_us);
            if let Some(upstream) = &self.upstream {
                upstream.duration.observe_us(waited_us);
            }
        }
    }

    /// Adds bytes of the response's body that are sent to the client. Nothing is added after the client has
    /// disconnected.
    pub(crate) fn relayed(&mut self, bytes: usize) {
        if !self.at.deadlines.has_left() {
            self.response_bytes += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// Sets the status that the client receives, unless it has disconnected.
    pub(crate) fn answers(&mut self, status: u16) {
        if !self.at.deadlines.has_left() {
            self.status = status;
        }
    }

    /// Notes that the request is refused or has failed.
    pub(crate) fn refuse(&mut self, problem: &mut Problem) {
        self.refusal = Some((problem.refusal, problem.source.take()));
        if problem.refusal.side() == Side::Upstream
            && let Some(upstream) = &self.upstream
        {
            self.at.worker.handles.upstream_failed(&upstream.name, problem.refusal);
        }
    }

    /// Returns whether a budget of tokens or money limits the request, so that its response may exceed the reservation
    /// before it ends.
    pub(crate) fn is_held_to_its_use(&self) -> bool {
        matches!(&self.hold, BudgetHold::CommittedRequest(committed) if committed.limits_use())
    }

    /// Returns whether the usage that `tap` has read so far exceeds the reservation.
    pub(crate) fn has_used_up(&self, tap: &Tap) -> bool {
        let (BudgetHold::CommittedRequest(committed), Some(call)) = (&self.hold, &self.call) else { return false };
        let Some((usage, terms)) = tap.used() else { return false };
        let price = self.snapshot.traffic.price(&call.provider, (&call.model, None), self.started_at);
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
        let request_id = self.id.to_string();
        let reporter = ai::Reporter { domain: self.snapshot.process.brand.slug(), request_id: &request_id };
        let (last, seen) = tap.cut(&ai::Problem::new(refusal, message, reporter));
        self.relayed(last.len());
        (last, seen)
    }

    /// Returns the last bytes of a stream that its upstream has ended, and the facts that were read. A stream without
    /// its format's last event ends with an error.
    pub(crate) fn close(&self, tap: Tap) -> (Bytes, ResponseFacts) {
        const MESSAGE: &str = "the provider ended its stream before the last event: the response is incomplete";
        let request_id = self.id.to_string();
        let reporter = ai::Reporter { domain: self.snapshot.process.brand.slug(), request_id: &request_id };
        tap.close(&ai::Problem::new(Refusal::UpstreamReset, MESSAGE, reporter))
    }

    /// Commits the reservation once the first byte was sent to an upstream: from then on, the request counts.
    pub(crate) fn commit_if_sent(&mut self) {
        if self.sending.as_ref().is_some_and(|sending| sending.probe.anything_written()) {
            self.hold = match std::mem::replace(&mut self.hold, BudgetHold::Nothing) {
                BudgetHold::Reserved(reservation) => BudgetHold::CommittedRequest(reservation.commit(self.started_at)),
                held @ (BudgetHold::Nothing | BudgetHold::CommittedRequest(_)) => held,
            };
        }
    }
}

/// Returns whole microseconds, the unit of usage events and metrics.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

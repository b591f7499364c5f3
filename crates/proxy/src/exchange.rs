//! One request as it goes: what is known of it so far, from its head to the end of its answer, when `settle` takes over.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::refusal::Side;
use access::{Credits, Day, KeyId, Last4, NanoUsd, Principal, Refusal, RequestId, Subject, Timestamp, UserId};
use ai::{Format, ResponseFacts, Tap};
use bytes::Bytes;
use config::snapshot::{Events, OnHangup, Provider, Timeouts};
use http::HeaderValue;
use meter::{Attempt, Billed, Charge, CommittedRequest, Outcome, Reservation};
use tokio::time::Instant;

use crate::admit;
use crate::aggregation::PreloggedPart;
use crate::answer::Problem;
use crate::body::{IncomingBody, Progress};
use crate::capacity::KeyPermit;
use crate::connection::ConnectionContext;
use crate::deadlines::ConnectionDeadlines;
use crate::head::Head;
use crate::transform::{ForwardedClient, Trust};
use crate::upstream::destination::Destination;
use crate::upstream::socket::Probe;
use crate::worker::{Pinned, Worker};

/// One request, from its head to the end of its answer. Dropped unfinished, the caller went away.
pub(crate) struct Exchange {
    pub(crate) at: Rc<ConnectionContext>,
    pub(crate) snapshot: Rc<Pinned>,
    pub(crate) id: RequestId,
    /// The id as a header has it.
    pub(crate) id_value: HeaderValue,
    /// When its head had arrived, for deadlines and durations.
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
    /// The public ids of the caller, for the log.
    pub(crate) caller_ids: Option<CallerIds>,
    /// Its place among its key's calls in flight.
    pub(crate) key_permit: Option<KeyPermit>,
    /// The format of an LLM call that has usage, from the moment when its caller is known.
    pub(crate) format: Option<Format>,
    /// The model's name where nobody answers to it.
    pub(crate) asked_in_vain: Option<Arc<str>>,
    pub(crate) call: Option<InferenceCall>,
    pub(crate) hold: BudgetHold,
    /// Whether the spool knows of it, and waits for its end.
    pub(crate) opened: bool,
    /// What the spool knows of it, where it is folded.
    pub(crate) prelogged: Option<PreloggedPart>,
    pub(crate) upstream: Option<Rc<Destination>>,
    pub(crate) sending: Option<UpstreamCall>,
    pub(crate) attempts: Vec<Attempt>,
    /// The least that the last of them cost, where its cost is unknown.
    pub(crate) known_cost: NanoUsd,
    /// Whether the last of them broke off after some of its usage was told.
    pub(crate) told_in_part: bool,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) status: u16,
    pub(crate) refusal: Option<(Refusal, Option<String>)>,
    pub(crate) over: bool,
}

/// The caller as commands and the control API name it: row numbers mean nothing to operators.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallerIds {
    pub(crate) user: UserId,
    pub(crate) key: KeyId,
    pub(crate) last4: Option<Last4>,
}

/// What is special about an LLM call.
#[derive(Clone)]
pub(crate) struct InferenceCall {
    pub(crate) format: Format,
    pub(crate) asked_model: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    pub(crate) streamed: bool,
    /// What the request itself says will be billed, where the answer has no usage.
    pub(crate) billable: Option<Billed>,
    /// Whether it has usage; a token count has none, and leaves no event.
    pub(crate) free: bool,
}

/// What is held of the caller's limits.
pub(crate) enum BudgetHold {
    Nothing,
    Reserved(Reservation),
    CommittedRequest(CommittedRequest),
}

/// The call upstream that is under way.
pub(crate) struct UpstreamCall {
    pub(crate) probe: Probe,
    pub(crate) progress: Rc<Progress>,
    pub(crate) since: Instant,
    pub(crate) status: Option<u16>,
    pub(crate) upstream_id: Option<Arc<str>>,
    pub(crate) first_byte_us: Option<u64>,
    /// Whether the upstream said that it did nothing of it.
    pub(crate) had_no_effect: bool,
}

impl Exchange {
    /// A request whose head has arrived; its route is not known yet.
    pub(crate) fn begin(at: &Rc<ConnectionContext>, head: Rc<Head>, body: IncomingBody) -> Box<Self> {
        let worker = &at.worker;
        let started_at = worker.shared.clock.now();
        let snapshot = worker.snapshot();
        let id = RequestId(worker.ids.borrow_mut().uuid_at(started_at));
        let begun = Instant::now();
        Box::new(Self {
            id,
            id_value: admit::id_value(id),
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
        ForwardedClient { address, id: self.id, id_value: self.id_value.as_bytes(), trust }
    }

    /// Reads the monotonic clock. A step that has waited calls it, so that `read_at` is the current time for the next step.
    pub(crate) fn read_clock(&self) -> Instant {
        let now = Instant::now();
        self.read_at.set(now);
        now
    }

    /// The time at which the request last read the monotonic clock. It has not waited since.
    pub(crate) fn read_at(&self) -> Instant {
        self.read_at.get()
    }

    /// The wall time when the monotonic clock was last read.
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

    /// When the whole request must be over.
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

    /// What was asked for is not what is answered.
    pub(crate) fn forget_billable(&mut self) {
        if let Some(call) = &mut self.call {
            call.billable = None;
        }
    }

    pub(crate) fn reserved(&mut self, reservation: Reservation) {
        self.hold = BudgetHold::Reserved(reservation);
    }

    /// The day on which it counts.
    pub(crate) fn day(&self) -> Day {
        match &self.hold {
            BudgetHold::Nothing => self.started_at.day(),
            BudgetHold::Reserved(reservation) => reservation.day(self.started_at),
            BudgetHold::CommittedRequest(committed) => committed.day(),
        }
    }

    /// Whether what it uses is remembered as a row of its own.
    pub(crate) fn leaves_a_row(&self) -> bool {
        self.events == Events::Rows
    }

    /// Whether all of the request's body came, or comes at once.
    pub(crate) async fn has_whole_body(&mut self) -> bool {
        let is_sent = self.sending.as_ref().is_some_and(|sending| sending.progress.is_whole());
        is_sent || self.body.discard().await
    }

    /// What was reserved is used, by an answer of ours.
    pub(crate) fn spend(&mut self) {
        if let BudgetHold::Reserved(reservation) = std::mem::replace(&mut self.hold, BudgetHold::Nothing) {
            reservation.commit(self.started_at).settle_as_reserved();
        }
    }

    /// The request is sent to this upstream or provider.
    pub(crate) fn toward(&mut self, upstream: &Rc<Destination>) {
        self.upstream = Some(upstream.clone());
    }

    /// A call upstream begins; what an earlier one came to is an attempt of its own, if anything of it was written.
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

    /// The upstream did nothing of the call that is under way, which so costs nothing.
    pub(crate) fn had_no_effect(&mut self) {
        if let Some(sending) = &mut self.sending {
            sending.had_no_effect = true;
        }
    }

    /// The head of the answer is here.
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

    /// Bytes of the answer's body went to the caller's connection, if there is one.
    pub(crate) fn relayed(&mut self, bytes: usize) {
        if !self.at.deadlines.has_left() {
            self.response_bytes += u64::try_from(bytes).unwrap_or(0);
        }
    }

    /// What the caller gets, if it waits for it.
    pub(crate) fn answers(&mut self, status: u16) {
        if !self.at.deadlines.has_left() {
            self.status = status;
        }
    }

    /// It is refused, or has failed.
    pub(crate) fn refuse(&mut self, problem: &mut Problem) {
        self.refusal = Some((problem.refusal, problem.source.take()));
        if problem.refusal.side() == Side::Upstream
            && let Some(upstream) = &self.upstream
        {
            self.at.worker.handles.upstream_failed(&upstream.name, problem.refusal);
        }
    }

    /// Whether an answer that is read may use up what was reserved for it, before it ends.
    pub(crate) fn is_held_to_its_use(&self) -> bool {
        matches!(&self.hold, BudgetHold::CommittedRequest(committed) if committed.limits_use())
    }

    /// Whether what `tap` has read so far is more than was reserved.
    pub(crate) fn has_used_up(&self, tap: &Tap) -> bool {
        let (BudgetHold::CommittedRequest(committed), Some(call)) = (&self.hold, &self.call) else { return false };
        let Some((usage, terms)) = tap.used() else { return false };
        let price = self.snapshot.traffic.price(&call.provider, (&call.model, None), self.started_at);
        let least = price.map_or(NanoUsd(0), |price| price.cost_at_least(Some(terms), &usage));
        committed.exceeds(&Charge { credits: Credits::ZERO, tokens: usage.total(), money: least })
    }

    /// What a tap's answer that is broken off ends with, and what was seen of it.
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

    /// The last bytes of a stream that its upstream has ended, and what was seen of it. A stream that lacks its format's last
    /// event ends with an error.
    pub(crate) fn close(&self, tap: Tap) -> (Bytes, ResponseFacts) {
        const MESSAGE: &str = "the provider ended its stream before the last event: the response is incomplete";
        let request_id = self.id.to_string();
        let reporter = ai::Reporter { domain: self.snapshot.process.brand.slug(), request_id: &request_id };
        tap.close(&ai::Problem::new(Refusal::UpstreamReset, MESSAGE, reporter))
    }

    /// From the first byte on, a request counts.
    pub(crate) fn commit_if_sent(&mut self) {
        if self.sending.as_ref().is_some_and(|sending| sending.probe.anything_written()) {
            self.hold = match std::mem::replace(&mut self.hold, BudgetHold::Nothing) {
                BudgetHold::Reserved(reservation) => BudgetHold::CommittedRequest(reservation.commit(self.started_at)),
                held @ (BudgetHold::Nothing | BudgetHold::CommittedRequest(_)) => held,
            };
        }
    }
}

/// Microseconds, as events and metrics have them.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

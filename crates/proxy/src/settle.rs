//! The end of every request: truth in place of the reservation, one usage event, the metrics, the log.
//!
//! It awaits nothing, because most hang-ups are a `Drop`.

mod handles;
mod log;

use std::rc::Rc;
use std::sync::Arc;

use access::{NanoUsd, Principal, Refusal, RequestId, Timestamp};
use ai::{Format, Seen};
use config::snapshot::{Events, Provider, Timeouts};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use meter::{Attempt, Caller, Committed, Counts, Outcome, Reservation, UsageEvent};
use tokio::time::Instant;

use crate::answer::Problem;
use crate::body::Progress;
use crate::connection::At;
use crate::transform::Asker;
use crate::upstream::pool::Probe;
use crate::watch::Watch;
use crate::worker::{Pinned, Worker};

pub(crate) use handles::Handles;

/// The status of a request whose caller went away before it got one; nginx's, as RFC 9110 has none.
const CALLER_GONE: u16 = 499;

/// One request, from its head to the end of its answer. Dropped unfinished, the caller went away.
pub(crate) struct Exchange {
    at: Rc<At>,
    pub(crate) snapshot: Rc<Pinned>,
    pub(crate) id: RequestId,
    /// The id as a header has it.
    pub(crate) id_value: HeaderValue,
    /// When its head had arrived, for deadlines and durations.
    pub(crate) begun: Instant,
    started_at: Timestamp,
    method: Method,
    target: Option<PathAndQuery>,
    correlation: Option<HeaderValue>,
    route: Arc<str>,
    events: Events,
    timeouts: Timeouts,
    caller: Option<Caller>,
    call: Option<Call>,
    hold: Hold,
    upstream: Option<Arc<str>>,
    sending: Option<Sending>,
    attempts: Vec<Attempt>,
    request_bytes: u64,
    response_bytes: u64,
    status: u16,
    refusal: Option<(Refusal, Option<String>)>,
    over: bool,
}

/// What is special about an LLM call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) format: Format,
    pub(crate) asked_model: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: Arc<str>,
    pub(crate) streamed: bool,
    /// Whether it has usage; a token count has none, and leaves no event.
    pub(crate) free: bool,
}

/// What is held of the caller's limits.
enum Hold {
    Nothing,
    Reserved(Reservation),
    Committed(Committed),
}

/// The call upstream that is under way.
struct Sending {
    probe: Probe,
    progress: Rc<Progress>,
    since: Instant,
    status: Option<u16>,
    upstream_id: Option<Arc<str>>,
    first_byte_us: Option<u64>,
}

impl Exchange {
    /// A request whose head has arrived; its route is not known yet.
    pub(crate) fn begin<B>(at: &Rc<At>, request: &http::Request<B>) -> Box<Self> {
        let worker = &at.worker;
        let started_at = worker.shared.clock.now();
        let snapshot = worker.snapshot();
        let id = RequestId(worker.ids.borrow_mut().uuid_at(started_at));
        Box::new(Self {
            id,
            id_value: crate::admit::id_value(id),
            begun: Instant::now(),
            started_at,
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            correlation: crate::admit::correlation(request.headers()),
            route: worker.handles.unmatched(),
            events: Events::Folded,
            timeouts: snapshot.timeouts,
            caller: None,
            call: None,
            hold: Hold::Nothing,
            upstream: None,
            sending: None,
            attempts: Vec::new(),
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

    /// Who asks, as an ordinary upstream is told.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker {
            forwarded_for: &self.at.peer.forwarded_for,
            id: self.id,
            id_value: &self.id_value,
            correlation: self.correlation.as_ref(),
        }
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.at.watch
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
        self.caller = Some(Caller { user: principal.user_no, key: principal.key_no });
    }

    pub(crate) fn asks(&mut self, call: Call) {
        self.call = Some(call);
    }

    pub(crate) fn reserved(&mut self, reservation: Reservation) {
        self.hold = Hold::Reserved(reservation);
    }

    /// Whether what it uses is remembered as a row of its own.
    pub(crate) fn leaves_a_row(&self) -> bool {
        self.events == Events::Rows
    }

    /// What was reserved is used, by an answer of ours.
    pub(crate) fn spend(&mut self) {
        if let Hold::Reserved(reservation) = std::mem::replace(&mut self.hold, Hold::Nothing) {
            reservation.commit(self.started_at).settle();
        }
    }

    /// It goes to this upstream.
    pub(crate) fn toward(&mut self, upstream: &Arc<str>) {
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
        self.sending =
            Some(Sending { since: now, probe, progress, status: None, upstream_id: None, first_byte_us: None });
    }

    /// The head of the answer is here.
    pub(crate) fn answered(&mut self, status: StatusCode, upstream_id: Option<Arc<str>>) {
        self.commit_if_sent();
        let now = Instant::now();
        let total_at = self.total_at();
        self.at.watch.must_end_at(total_at);
        self.at.watch.wait_until((now + self.timeouts.idle).min(total_at));
        if let Some(sending) = &mut self.sending {
            let waited_us = micros(now - sending.since);
            sending.status = Some(status.as_u16());
            sending.upstream_id = upstream_id;
            sending.first_byte_us = Some(waited_us);
            if let Some(upstream) = &self.upstream {
                self.at.worker.handles.upstream_answered(upstream, waited_us);
            }
        }
    }

    /// Bytes of the answer's body went to the caller's connection.
    pub(crate) fn relayed(&mut self, bytes: usize) {
        self.response_bytes += u64::try_from(bytes).unwrap_or(0);
    }

    /// What the caller gets.
    pub(crate) fn answers(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// It is refused, or has failed.
    pub(crate) fn refuse(&mut self, problem: &mut Problem) {
        self.refusal = Some((problem.refusal, problem.source.take()));
        if problem.refusal.side() == access::refusal::Side::Upstream
            && let Some(upstream) = &self.upstream
        {
            self.at.worker.handles.upstream_failed(upstream, problem.refusal);
        }
    }

    /// The event with which a stream that is broken off ends.
    pub(crate) fn last_event(&mut self, format: Format, outcome: Outcome) -> bytes::Bytes {
        let (refusal, message) = match outcome {
            Outcome::Drained => (Refusal::Draining, "this instance is shutting down: the answer is not complete"),
            Outcome::TimedOut => (Refusal::UpstreamTimeout, "the answer took too long: it is not complete"),
            Outcome::Completed | Outcome::CallerGone | Outcome::UpstreamCut => {
                (Refusal::UpstreamReset, "the provider broke off its answer: it is not complete")
            }
        };
        let request_id = self.id.to_string();
        let event = ai::error::event(format, &ai::Problem { refusal, message, request_id: &request_id });
        self.relayed(event.len());
        event.into()
    }

    /// Settles, once; whatever comes later changes nothing.
    pub(crate) fn finish(&mut self, outcome: Outcome, seen: Option<Seen>) {
        self.finish_at(Instant::now(), outcome, seen);
    }

    /// [`Exchange::finish`] for who has looked at the clock already.
    pub(crate) fn finish_at(&mut self, now: Instant, outcome: Outcome, seen: Option<Seen>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.commit_if_sent();
        let duration_us = micros(now - self.begun);
        if self.status == 0 {
            self.status = CALLER_GONE;
        }
        if let Some(sending) = self.sending.take() {
            self.request_bytes = sending.progress.bytes();
            if sending.probe.anything_written() && self.leaves_a_row() {
                let attempt = self.attempt(&sending, now, seen);
                self.attempts.push(attempt);
            }
        }
        let handles = &self.at.worker.handles;
        handles.ended(self, duration_us);
        if let Some((refusal, _)) = &self.refusal {
            handles.refused(*refusal);
        }
        let answering = self.attempts.last().and_then(|attempt| attempt.upstream_id.clone());
        if let Hold::Committed(committed) = std::mem::replace(&mut self.hold, Hold::Nothing) {
            self.record(committed, outcome, duration_us);
        }
        log::end(self, &log::End { outcome, duration_us, upstream_id: answering.as_deref() });
    }

    /// From the first byte on, a request counts.
    fn commit_if_sent(&mut self) {
        if self.sending.as_ref().is_some_and(|sending| sending.probe.anything_written())
            && let Hold::Reserved(_) = &self.hold
            && let Hold::Reserved(reservation) = std::mem::replace(&mut self.hold, Hold::Nothing)
        {
            self.hold = Hold::Committed(reservation.commit(self.started_at));
        }
    }

    fn attempt(&self, sending: &Sending, now: Instant, seen: Option<Seen>) -> Attempt {
        let seen = seen.unwrap_or_default();
        let price = self.call.as_ref().filter(|_| seen.priceable);
        let price = price.and_then(|call| self.snapshot.price(&call.provider, &call.model, seen.model.as_deref()));
        let cost = match (&seen.usage, sending.status) {
            (Some(usage), _) => price.and_then(|price| price.cost(usage)),
            // A provider's error costs what it reports (CX-6): nothing.
            (None, Some(400..)) => Some(NanoUsd(0)),
            (None, _) => None,
        };
        if let Some(call) = &self.call
            && !call.free
        {
            self.at.worker.handles.used(call, seen.usage.as_ref(), cost);
        }
        Attempt {
            provider: self.upstream.clone().unwrap_or_else(|| self.route.clone()),
            model: self.call.as_ref().map(|call| call.model.clone()),
            answered_model: seen.model.map(Arc::from),
            status: sending.status,
            upstream_id: sending.upstream_id.clone().or_else(|| seen.id.map(Arc::from)),
            usage: seen.usage,
            cost,
            price_version: seen.usage.and(cost).and(price).map(|price| price.version.clone()),
            first_byte_us: sending.first_byte_us,
            duration_us: micros(now - sending.since),
        }
    }

    /// One usage event to the spool, or one more in the counts. A token count leaves none.
    fn record(&mut self, committed: Committed, outcome: Outcome, duration_us: u64) {
        if self.call.as_ref().is_some_and(|call| call.free) {
            committed.settle();
            return;
        }
        let recorded = match self.events {
            Events::Folded => self.at.worker.fold.add(&self.counts(&committed)),
            Events::Rows => self.append(&committed, outcome, duration_us),
        };
        // Dropped unsettled, it shows in `tollgate_meter_interrupted_total`.
        if recorded {
            committed.settle();
        }
    }

    fn counts(&self, committed: &Committed) -> Counts {
        Counts {
            caller: self.caller,
            route: self.route.clone(),
            status_class: u8::try_from(self.status / 100).unwrap_or(0),
            minute: u32::try_from(self.started_at.unix_seconds() / 60).unwrap_or(u32::MAX),
            day: committed.day(),
            requests: 1,
            credits: u64::from(committed.credits().0),
        }
    }

    fn append(&mut self, committed: &Committed, outcome: Outcome, duration_us: u64) -> bool {
        let handles = &self.at.worker.handles;
        let event = UsageEvent {
            id: self.id,
            caller: self.caller,
            started_at: self.started_at,
            day: committed.day(),
            credits: committed.credits(),
            route: self.route.clone(),
            format: self.call.as_ref().map(|call| handles.format(call.format)),
            model: self.call.as_ref().map(|call| call.asked_model.clone()),
            streamed: self.call.as_ref().is_some_and(|call| call.streamed),
            status: self.status,
            outcome,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration_us,
            attempts: std::mem::take(&mut self.attempts),
        };
        let appended = self.at.worker.spool.borrow_mut().append(&spool::Record::Event(event));
        if let Err(error) = &appended {
            tracing::error!(request_id = %self.id, %error, "usage event cannot be recorded");
        }
        appended.is_ok()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let outcome = if self.at.watch.is_ending() { Outcome::Drained } else { Outcome::CallerGone };
        self.finish(outcome, None);
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

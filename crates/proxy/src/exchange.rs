//! One request as it goes: what is known of it so far, from its head to the end of its answer, when `settle` takes over.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::refusal::Side;
use access::{Principal, Refusal, RequestId, Timestamp};
use ai::Format;
use bytes::Bytes;
use config::snapshot::{Events, Provider, Timeouts};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use meter::{Attempt, Caller, Committed, Outcome, Reservation};
use tokio::time::Instant;

use crate::admit;
use crate::answer::Problem;
use crate::body::Progress;
use crate::connection::At;
use crate::transform::Asker;
use crate::upstream::pool::Probe;
use crate::watch::Watch;
use crate::worker::{Pinned, Worker};

/// One request, from its head to the end of its answer. Dropped unfinished, the caller went away.
pub(crate) struct Exchange {
    pub(crate) at: Rc<At>,
    pub(crate) snapshot: Rc<Pinned>,
    pub(crate) id: RequestId,
    /// The id as a header has it.
    pub(crate) id_value: HeaderValue,
    /// When its head had arrived, for deadlines and durations.
    pub(crate) begun: Instant,
    pub(crate) started_at: Timestamp,
    pub(crate) method: Method,
    pub(crate) target: Option<PathAndQuery>,
    pub(crate) correlation: Option<HeaderValue>,
    pub(crate) route: Arc<str>,
    pub(crate) events: Events,
    pub(crate) timeouts: Timeouts,
    pub(crate) caller: Option<Caller>,
    pub(crate) call: Option<Call>,
    pub(crate) hold: Hold,
    pub(crate) upstream: Option<Arc<str>>,
    pub(crate) sending: Option<Sending>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) status: u16,
    pub(crate) refusal: Option<(Refusal, Option<String>)>,
    pub(crate) over: bool,
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
pub(crate) enum Hold {
    Nothing,
    Reserved(Reservation),
    Committed(Committed),
}

/// The call upstream that is under way.
pub(crate) struct Sending {
    pub(crate) probe: Probe,
    pub(crate) progress: Rc<Progress>,
    pub(crate) since: Instant,
    pub(crate) status: Option<u16>,
    pub(crate) upstream_id: Option<Arc<str>>,
    pub(crate) first_byte_us: Option<u64>,
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
            id_value: admit::id_value(id),
            begun: Instant::now(),
            started_at,
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            correlation: admit::correlation(request.headers()),
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
        if problem.refusal.side() == Side::Upstream
            && let Some(upstream) = &self.upstream
        {
            self.at.worker.handles.upstream_failed(upstream, problem.refusal);
        }
    }

    /// The event with which a stream that is broken off ends.
    pub(crate) fn last_event(&mut self, format: Format, outcome: Outcome) -> Bytes {
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

    /// From the first byte on, a request counts.
    pub(crate) fn commit_if_sent(&mut self) {
        if self.sending.as_ref().is_some_and(|sending| sending.probe.anything_written()) {
            self.hold = match std::mem::replace(&mut self.hold, Hold::Nothing) {
                Hold::Reserved(reservation) => Hold::Committed(reservation.commit(self.started_at)),
                held @ (Hold::Nothing | Hold::Committed(_)) => held,
            };
        }
    }
}

/// Microseconds, as events and metrics have them.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

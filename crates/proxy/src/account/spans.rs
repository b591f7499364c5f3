//! The facts of a request that its spans have beside those of its account. They exist only if traces are exported.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use config::snapshot::{Origin, Scheme};
use telemetry::traces::{TracedAttempt, TracedCall, TracedPhase};
use tokio::time::Instant;

use crate::account::attempt::micros;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::destination::Destination;

/// Maximum number of phases that a request records: a call at several targets is limited once at each.
const PHASES_MAX: usize = 16;
/// Maximum length of the path of a URL, in bytes.
const URL_PATH_LEN_MAX: usize = 512;
/// Maximum number of attempts that a request records.
const ATTEMPTS_MAX: usize = 32;

/// Returns the URL of a target in parts, without its query and cut to a bounded length.
fn url(origin: &Origin, target: [&[u8]; 3]) -> Box<str> {
    let mut url = format!("{}://{}", if origin.scheme == Scheme::Https { "https" } else { "http" }, origin.authority);
    let path = target.into_iter().flatten().take_while(|octet| **octet != b'?').take(URL_PATH_LEN_MAX);
    url.extend(path.map(|octet| char::from(*octet)));
    url.into()
}

/// The phases and attempts of one request.
pub(crate) struct SpanRecord {
    /// Whether the request was sampled at its beginning. Otherwise its end decides.
    pub(crate) is_sampled: bool,
    begun: Instant,
    /// The path of the route with its parameters.
    template: OnceCell<Arc<str>>,
    /// When the first part of a stream of the current attempt was relayed.
    first_chunk: Cell<Option<Instant>>,
    phases: RefCell<Vec<TracedPhase>>,
    attempts: RefCell<Vec<TracedAttempt>>,
}

impl SpanRecord {
    /// Returns the record of a request that has begun.
    pub(crate) fn new(is_sampled: bool, begun: Instant) -> Box<Self> {
        Box::new(Self {
            is_sampled,
            begun,
            template: OnceCell::new(),
            first_chunk: Cell::new(None),
            phases: RefCell::default(),
            attempts: RefCell::default(),
        })
    }

    /// Records the path of the route of the request.
    pub(crate) fn match_path(&self, template: impl Into<Arc<str>>) {
        // A request has one route.
        let _ = self.template.set(template.into());
    }

    /// Returns the path of the route; `None` for a request without one.
    pub(crate) fn template(&self) -> Option<Arc<str>> {
        self.template.get().cloned()
    }

    /// Records that a part of a stream is relayed.
    pub(crate) fn relay_chunk(&self, now: impl FnOnce() -> Instant) {
        if self.first_chunk.get().is_none() {
            self.first_chunk.set(Some(now()));
        }
    }

    /// Returns the time from `since` to the first part of a stream, in microseconds.
    pub(crate) fn first_chunk_us(&self, since: Instant) -> Option<u64> {
        self.first_chunk.get().map(|at| micros(at - since))
    }

    fn offset(&self, at: Instant) -> u64 {
        micros(at - self.begun)
    }

    /// Records a phase that has ended.
    pub(crate) fn add_phase(&self, name: &'static str, since: Instant, until: Instant) {
        let mut phases = self.phases.borrow_mut();
        if phases.len() < PHASES_MAX {
            phases.push(TracedPhase { name, since_us: self.offset(since), until_us: self.offset(until) });
        }
    }

    /// Records the beginning of an attempt, whose span has this id. The attempt before it has ended.
    pub(crate) fn begin_attempt(&self, span_id: [u8; 8], destination: &Destination, target: [&[u8]; 3], now: Instant) {
        self.end_attempt(now);
        self.first_chunk.set(None);
        let mut attempts = self.attempts.borrow_mut();
        if attempts.len() < ATTEMPTS_MAX {
            let origin = &destination.pool.origin;
            attempts.push(TracedAttempt {
                span_id,
                since_us: self.offset(now),
                until_us: None,
                upstream: destination.name.clone(),
                host: origin.host.as_str().into(),
                port: origin.port,
                url: url(origin, target),
                status: None,
                error: None,
                call: None,
            });
        }
    }

    /// Records the status of the response to the current attempt.
    pub(crate) fn answered(&self, status: u16) {
        self.with_current(|attempt| attempt.status = Some(status));
    }

    /// Records that the current attempt has failed with the code of an error.
    pub(crate) fn failed(&self, error: &'static str, now: Instant) {
        self.with_current(|attempt| attempt.error = Some(error));
        self.end_attempt(now);
    }

    /// Records that the current attempt is repeated after this result, unless it has ended.
    pub(crate) fn repeated(&self, result: AttemptResult, now: Instant) {
        match result {
            AttemptResult::Status(status) => {
                self.answered(status);
                self.end_attempt(now);
            }
            AttemptResult::GrpcUnavailable
            | AttemptResult::ConnectFailed
            | AttemptResult::Reset
            | AttemptResult::TimedOut
            | AttemptResult::Aborted => self.failed(result.cause_word(), now),
        }
    }

    /// Records the usage of the current attempt, which calls a model.
    pub(crate) fn used(&self, call: TracedCall) {
        self.with_current(|attempt| attempt.call = Some(Box::new(call)));
    }

    /// Ends the current attempt, unless it has ended.
    pub(crate) fn end_attempt(&self, now: Instant) {
        let until_us = self.offset(now);
        self.with_current(|attempt| {
            attempt.until_us.get_or_insert(until_us);
        });
    }

    fn with_current(&self, change: impl FnOnce(&mut TracedAttempt)) {
        if let Some(attempt) = self.attempts.borrow_mut().last_mut().filter(|attempt| attempt.until_us.is_none()) {
            change(attempt);
        }
    }

    /// Removes and returns all phases and attempts.
    pub(crate) fn take(&self) -> (Vec<TracedPhase>, Vec<TracedAttempt>) {
        (self.phases.take(), self.attempts.take())
    }
}

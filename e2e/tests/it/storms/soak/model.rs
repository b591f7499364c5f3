//! The record of all requests of a soak: where each was seen, and each contradiction.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// In place of the number of a request that has none.
pub(crate) const NO_ID: u64 = u64::MAX;
/// Maximum number of reported contradictions.
const CONTRADICTIONS_MAX: usize = 30;

/// Whether a request counts, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// The client sent a whole head with a valid key. Only the backend knows whether the request arrived.
    Unknown,
    /// The client sent no whole valid head with a valid key.
    NeverForwarded,
}

/// One request, by its number.
#[derive(Debug, Clone, Copy)]
struct RequestRecord {
    is_keyed: bool,
    certainty: Certainty,
    was_seen: bool,
}

/// What clients and backends know of all requests.
#[derive(Debug, Default)]
pub(crate) struct Model {
    is_over: AtomicBool,
    requests: Mutex<Vec<RequestRecord>>,
    counts: Mutex<BTreeMap<String, u64>>,
    contradictions: Mutex<Vec<String>>,
}

/// Bounds of the number of counted requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedBounds {
    /// Requests that the backend received.
    pub(crate) seen: u64,
    /// Further requests, which Tollgate may have begun to send.
    pub(crate) unsure: u64,
}

impl Model {
    /// Whether clients begin no further request.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Lets clients begin requests, or stops them.
    pub(crate) fn set_over(&self, is_over: bool) {
        self.is_over.store(is_over, Ordering::Relaxed);
    }

    /// Returns the number of a new request. Requests with a key to the ordinary route are `keyed`.
    pub(crate) fn begin(&self, is_keyed: bool) -> u64 {
        let mut requests = self.requests.lock().unwrap();
        requests.push(RequestRecord { is_keyed, certainty: Certainty::NeverForwarded, was_seen: false });
        requests.len() as u64 - 1
    }

    /// Records that the client sent the head, before it writes the last byte of it.
    pub(crate) fn may_forward(&self, id: u64) {
        self.requests.lock().unwrap()[index(id)].certainty = Certainty::Unknown;
    }

    /// Records that the backend received the request.
    pub(crate) fn seen(&self, id: u64) {
        let mut requests = self.requests.lock().unwrap();
        let Some(request) = requests.get_mut(index(id)) else {
            drop(requests);
            return self.contradict(format!("request {id}: the backend received it, and no client sent it"));
        };
        request.was_seen = true;
        if request.certainty == Certainty::NeverForwarded {
            drop(requests);
            self.contradict(format!("request {id}: the backend received it, but its head is incomplete or refused"));
        }
    }

    /// Counts an event for the report.
    pub(crate) fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    /// Returns how often the event was counted.
    pub(crate) fn counted(&self, what: &str) -> u64 {
        self.counts.lock().unwrap().get(what).copied().unwrap_or_default()
    }

    /// Records an observation that must not occur.
    pub(crate) fn contradict(&self, what: String) {
        let mut contradictions = self.contradictions.lock().unwrap();
        if contradictions.len() < CONTRADICTIONS_MAX {
            contradictions.push(what);
        }
    }

    /// Returns the contradictions so far.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        self.contradictions.lock().unwrap().clone()
    }

    /// Returns the bounds of the counted requests of the ordinary route with a key.
    pub(crate) fn keyed(&self) -> CountedBounds {
        let requests = self.requests.lock().unwrap();
        let keyed = || requests.iter().filter(|request| request.is_keyed);
        let seen = keyed().filter(|request| request.was_seen).count() as u64;
        let unsure = keyed().filter(|request| !request.was_seen && request.certainty == Certainty::Unknown).count();
        CountedBounds { seen, unsure: unsure as u64 }
    }

    /// Returns the number of requests.
    pub(crate) fn begun(&self) -> u64 {
        self.requests.lock().unwrap().len() as u64
    }

    /// Returns the number of requests and all counts, for the report.
    pub(crate) fn report(&self) -> String {
        let counts: Vec<String> =
            self.counts.lock().unwrap().iter().map(|(what, count)| format!("{what} {count}")).collect();
        format!("{} requests: {}", self.begun(), counts.join(", "))
    }
}

fn index(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

/// Returns byte `at` of the content of a message. It differs between requests, so bytes of another request are noticed.
pub(crate) fn content_byte(id: u64, at: usize) -> u8 {
    u8::try_from(((id % 251) * 31 + at as u64) % 251).unwrap_or(0)
}

/// Returns the content of a message.
pub(crate) fn content(id: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| content_byte(id, at)).collect()
}

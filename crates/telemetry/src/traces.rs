//! Requests whose spans are exported: the facts of each, and the bounded queue from the workers to the exporter.
//!
//! A worker stores facts only. The exporter names the spans and their attributes, so that a request does not wait for it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// The facts of a finished request. All times are in microseconds from its beginning.
#[derive(Debug, Clone)]
pub struct TracedRequest {
    /// The id of the trace.
    pub trace_id: [u8; 16],
    /// The id of the server span.
    pub span_id: [u8; 8],
    /// The id of the client's span, if the client has begun the trace.
    pub parent_id: Option<[u8; 8]>,
    /// `tracestate` of the client; empty without one.
    pub state: Box<str>,
    /// The beginning of the request, in microseconds of Unix time.
    pub began_at_us: u64,
    /// The time from the head of the request to the end of its response.
    pub duration_us: u64,
    /// A standard method, or `other`.
    pub method: &'static str,
    /// The scheme of the URL that the client requested.
    pub scheme: &'static str,
    /// The version of HTTP: `1.1`.
    pub protocol: &'static str,
    /// The host that was requested, cut to a bounded length.
    pub host: Box<str>,
    /// The path without the query, cut to a bounded length.
    pub path: Box<str>,
    /// `User-Agent`, cut to a bounded length; empty without one.
    pub user_agent: Box<str>,
    /// The address of the client.
    pub client: IpAddr,
    /// The name of the route.
    pub route: Arc<str>,
    /// The path of the route with its parameters, such as `/users/{id}`; `None` if the request has no route.
    pub template: Option<Arc<str>>,
    /// The status that the client received.
    pub status: u16,
    /// The outcome, as the log line of the request has it.
    pub outcome: &'static str,
    /// The code of the error that Tollgate responded with.
    pub code: Option<&'static str>,
    /// Whether the upstream or Tollgate failed.
    pub is_failed: bool,
    /// The bytes of the request's body that were sent to the upstream.
    pub request_bytes: u64,
    /// The bytes of the response's body that were sent to the client.
    pub response_bytes: u64,
    /// The phases before the request was sent, in their order.
    pub phases: Vec<TracedPhase>,
    /// The attempts to send the request, in their order.
    pub attempts: Vec<TracedAttempt>,
}

/// A phase of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracedPhase {
    /// The name of the span: `authenticate`, `limit` or `transform`.
    pub name: &'static str,
    /// The time at which it begins.
    pub since_us: u64,
    /// The time at which it ends.
    pub until_us: u64,
}

/// One attempt to send a request to an upstream.
#[derive(Debug, Clone)]
pub struct TracedAttempt {
    /// The id of the client span, which the upstream has received.
    pub span_id: [u8; 8],
    /// The time at which it begins.
    pub since_us: u64,
    /// The time at which it ends; `None` while it lasts.
    pub until_us: Option<u64>,
    /// The name of the upstream or provider.
    pub upstream: Arc<str>,
    /// The host of the backend.
    pub host: Box<str>,
    /// The port of the backend.
    pub port: u16,
    /// The URL that was requested, without its query, cut to a bounded length.
    pub url: Box<str>,
    /// The status of the response.
    pub status: Option<u16>,
    /// The error, if no complete response arrived.
    pub error: Option<&'static str>,
    /// The call of a model.
    pub call: Option<Box<TracedCall>>,
}

/// The facts of a call of a model, as one attempt has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracedCall {
    /// The operation in the terms of OpenTelemetry: `chat`.
    pub operation: &'static str,
    /// The kind of the provider in the terms of OpenTelemetry: `openai`.
    pub provider: &'static str,
    /// The name of the model at the provider.
    pub model: Arc<str>,
    /// The name of the model that the client requested.
    pub requested_model: Arc<str>,
    /// The model that the provider reported.
    pub answered_model: Option<Arc<str>>,
    /// The id of the completion, as the response has it.
    pub response_id: Option<Arc<str>>,
    /// Whether the response is a stream.
    pub is_streamed: bool,
    /// The time from the beginning of the attempt to the first part of a stream, in microseconds.
    pub first_chunk_us: Option<u64>,
    /// Tokens that the model has read.
    pub input_tokens: Option<u64>,
    /// Tokens that the model has written.
    pub output_tokens: Option<u64>,
    /// Tokens of the input that the provider has read from its cache.
    pub cache_read_tokens: Option<u64>,
    /// Tokens of the input that the provider has written to its cache.
    pub cache_write_tokens: Option<u64>,
    /// Tokens of the output that are reasoning.
    pub reasoning_tokens: Option<u64>,
    /// The known cost in nano-USD.
    pub cost_nano_usd: Option<i64>,
}

/// The queue from the workers to the exporter. A request that finds the queue full is dropped and counted.
#[derive(Debug, Clone, Default)]
pub struct TraceQueue(Arc<QueuedTraces>);

#[derive(Debug, Default)]
struct QueuedTraces {
    waiting: Mutex<VecDeque<Box<TracedRequest>>>,
    dropped: Counter,
    waiting_gauge: Gauge,
}

impl TraceQueue {
    /// Returns an empty queue whose drops `dropped` counts and whose length `waiting_gauge` shows.
    pub(crate) fn new(dropped: Counter, waiting_gauge: Gauge) -> Self {
        Self(Arc::new(QueuedTraces { waiting: Mutex::default(), dropped, waiting_gauge }))
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Box<TracedRequest>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request, unless `requests_max` wait already.
    pub fn push(&self, request: Box<TracedRequest>, requests_max: usize) {
        // A dropped request is freed after the lock.
        let refused = {
            let mut waiting = self.waiting();
            if waiting.len() < requests_max {
                waiting.push_back(request);
                None
            } else {
                Some(request)
            }
        };
        if refused.is_some() {
            self.0.dropped.inc();
        }
    }

    /// Removes and returns the oldest requests, at most `requests_max`.
    #[must_use]
    pub fn take(&self, requests_max: usize) -> Vec<Box<TracedRequest>> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(requests_max);
        waiting.drain(..count).collect()
    }

    /// Returns the number of requests that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Returns whether no request waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the metric of the requests that wait.
    pub(crate) fn show(&self) {
        self.0.waiting_gauge.set(i64::try_from(self.len()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: u16) -> Box<TracedRequest> {
        Box::new(TracedRequest {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent_id: None,
            state: Box::default(),
            began_at_us: 0,
            duration_us: 1,
            method: "GET",
            scheme: "http",
            protocol: "1.1",
            host: Box::default(),
            path: Box::default(),
            user_agent: Box::default(),
            client: IpAddr::from([127, 0, 0, 1]),
            route: "a".into(),
            template: None,
            status,
            outcome: "completed",
            code: None,
            is_failed: false,
            request_bytes: 0,
            response_bytes: 0,
            phases: Vec::new(),
            attempts: Vec::new(),
        })
    }

    #[test]
    fn a_full_queue_drops_new_requests_and_counts_them() {
        let dropped = Counter::default();
        let gauge = Gauge::default();
        let queue = TraceQueue::new(dropped.clone(), gauge.clone());
        (200..205).for_each(|status| queue.push(request(status), 3));
        queue.show();
        assert_eq!((queue.len(), dropped.get(), gauge.get()), (3, 2, 3));
        let statuses = |taken: Vec<Box<TracedRequest>>| taken.iter().map(|taken| taken.status).collect::<Vec<_>>();
        assert_eq!(statuses(queue.take(2)), [200, 201]);
        assert_eq!(statuses(queue.take(9)), [202]);
        assert!(queue.is_empty() && queue.take(9).is_empty());
        queue.push(request(206), 0);
        assert_eq!((queue.len(), dropped.get()), (0, 3));
    }
}

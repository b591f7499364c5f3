//! The facts of one request that do not change: where and when it arrived, its head, and its configuration.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::net::IpAddr;
use std::rc::Rc;

use access::network::address;
use access::{Mono, RequestId, Timestamp};
use config::Snapshot;
use config::snapshot::{ForwardedFields, Traffic};
use http1::{KnownName, Version};
use meter::TraceId;
use tokio::time::Instant;

use crate::account::client_context::{ClientOrigin, ConnectionContext, Peer};
use crate::account::request_id::RequestIdText;
use crate::account::spans::SpanRecord;
use crate::account::trace_context::TraceContext;
use crate::client::head::Head;
use crate::deadlines::RequestDeadlines;
use crate::upstream::interim::InterimResponses;
use crate::upstream::response_head::UpstreamHead;
use crate::worker::{Worker, WorkerSnapshot};

/// Returns the address of the client that sent `head`: the peer's address, or the one that a trusted proxy reports.
pub(crate) fn client_address(peer: &Peer, snapshot: &Snapshot, head: &Head) -> IpAddr {
    if !is_trusted(peer, &snapshot.traffic) {
        return peer.address;
    }
    let forwarded = head.fields().all(KnownName::XForwardedFor);
    address::origin(peer.address, &snapshot.traffic.trusted_proxies, forwarded)
}

/// Whether the peer of a connection is a trusted proxy.
pub(crate) fn is_trusted(peer: &Peer, traffic: &Traffic) -> bool {
    !peer.is_unknown && traffic.is_trusted_proxy(peer.address)
}

/// A request whose head has arrived.
pub(crate) struct RequestContext {
    /// The connection on which it arrived.
    pub(crate) at: Rc<ConnectionContext>,
    /// The request's own deadlines.
    pub(crate) deadlines: Rc<RequestDeadlines>,
    /// The configuration that the request uses to its end.
    pub(crate) snapshot: Rc<WorkerSnapshot>,
    pub(crate) id: RequestId,
    pub(crate) id_text: RequestIdText,
    /// The time at which the head had arrived. Deadlines and durations begin at it.
    pub(crate) begun: Instant,
    pub(crate) started_at: Timestamp,
    read_at: Cell<Instant>,
    /// The same time on the clock of rate limits, once it was asked for.
    mono: Cell<Option<Mono>>,
    pub(crate) head: Rc<Head>,
    interim: Rc<InterimResponses>,
    trace: OnceCell<TraceContext>,
    /// The record of the request's spans; `None` if they are not exported in any case.
    pub(crate) spans: Option<Box<SpanRecord>>,
}

impl RequestContext {
    pub(crate) fn new(
        at: Rc<ConnectionContext>,
        deadlines: Rc<RequestDeadlines>,
        head: Rc<Head>,
        interim: Rc<InterimResponses>,
    ) -> Self {
        let worker = &at.worker;
        let begun = Instant::now();
        let started_at = worker.wall_clock.time_at(begun);
        let snapshot = worker.snapshot();
        let head = if head.has_raw_query() { Head::with_escaped_query(&head) } else { head };
        let head = if snapshot.traffic.merge_slashes { Head::with_merged_slashes(head) } else { head };
        let id = RequestId(worker.recorder.ids.borrow_mut().uuid_at(started_at));
        let id_text = RequestIdText::new(id);
        let read_at = Cell::new(begun);
        let mono = Cell::new(None);
        let (trace, spans) = match &snapshot.process.traces {
            None => (OnceCell::new(), None),
            Some(traces) => {
                let trace = TraceContext::from_head(&head, id, Some(traces));
                let may_be_exported = trace.is_sampled || traces.errors || traces.slow.is_some();
                let spans = may_be_exported.then(|| SpanRecord::new(trace.is_sampled, begun));
                (OnceCell::from(trace), spans)
            }
        };
        Self { at, deadlines, snapshot, id, id_text, begun, started_at, read_at, mono, head, interim, trace, spans }
    }

    /// Returns the same request without its client, which the gateway sends itself.
    pub(crate) fn detached(&self) -> Self {
        let worker = self.worker();
        let begun = Instant::now();
        let started_at = worker.wall_clock.time_at(begun);
        let id = RequestId(worker.recorder.ids.borrow_mut().uuid_at(started_at));
        Self {
            at: self.at.clone(),
            deadlines: worker.deadlines.detached(),
            snapshot: self.snapshot.clone(),
            id,
            id_text: RequestIdText::new(id),
            begun,
            started_at,
            read_at: Cell::new(begun),
            mono: Cell::new(None),
            head: self.head.clone(),
            interim: Rc::default(),
            trace: OnceCell::new(),
            spans: None,
        }
    }

    /// Returns the trace to which the request belongs.
    pub(crate) fn trace(&self) -> &TraceContext {
        self.trace.get_or_init(|| TraceContext::from_head(&self.head, self.id, None))
    }

    /// Returns the id of the trace for the log.
    pub(crate) fn logged_trace_id(&self) -> Option<&str> {
        self.known_trace().map(TraceContext::trace_id_text)
    }

    /// Returns the id of the trace for the usage event.
    pub(crate) fn recorded_trace_id(&self) -> Option<TraceId> {
        self.known_trace().map(|trace| TraceId(trace.trace_id))
    }

    /// Returns the trace. Without `traces`, a request of which no client has begun a trace has none.
    fn known_trace(&self) -> Option<&TraceContext> {
        let is_exported = self.snapshot.process.traces.is_some();
        self.trace.get().filter(|trace| is_exported || trace.parent_id.is_some())
    }

    /// Returns the time at which a phase begins; `None` if its span is not recorded. A sampled request reads the clock for it.
    pub(crate) fn phase_begins(&self) -> Option<Instant> {
        self.spans.as_ref().map(|spans| self.time_of_span(spans))
    }

    /// Records the span of a phase that has begun at `since`.
    pub(crate) fn phase_ends(&self, name: &'static str, since: Option<Instant>) {
        if let Some(spans) = &self.spans
            && let Some(since) = since
        {
            spans.add_phase(name, since, self.time_of_span(spans));
        }
    }

    /// Returns the current time for a sampled request. Others use the time that they have read last, which costs nothing.
    pub(crate) fn time_of_span(&self, spans: &SpanRecord) -> Instant {
        if spans.is_sampled { self.read_clock() } else { self.read_at() }
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.at.worker
    }

    /// Returns the client's address: the peer's address, or the one that a trusted proxy reports.
    pub(crate) fn client_address(&self) -> IpAddr {
        client_address(&self.at.peer, &self.snapshot, &self.head)
    }

    /// Whether the peer is a trusted proxy.
    pub(crate) fn is_peer_trusted(&self) -> bool {
        is_trusted(&self.at.peer, &self.snapshot.traffic)
    }

    /// Returns the client's address and the scheme of the URL that it requested, for upstreams.
    pub(crate) fn origin(&self, is_peer_trusted: bool) -> Cow<'_, ClientOrigin> {
        if !is_peer_trusted {
            return Cow::Borrowed(&self.at.peer.origin);
        }
        let peer = self.at.peer.address;
        let traffic = &self.snapshot.traffic;
        let addresses = || self.head.fields().all(KnownName::XForwardedFor);
        let client = address::reported(peer, &traffic.trusted_proxies, addresses());
        let scheme = self.reported_scheme(address::elements(addresses()).count(), client.hops);
        if traffic.forwarded == ForwardedFields::Replace {
            return Cow::Owned(ClientOrigin::new(client.address, scheme));
        }
        // Each proxy appends the address of its peer.
        let mut chain = Vec::new();
        for address in address::elements(addresses()) {
            chain.extend_from_slice(address);
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(peer.to_string().as_bytes());
        Cow::Owned(ClientOrigin::proxied(client.address, scheme, &chain))
    }

    /// Returns the scheme that a trusted proxy reports; without a report, that of the connection. If each proxy has added one
    /// to the list, as to the `addresses` ones in `X-Forwarded-For`, the client's has the place of its address, `hops` from
    /// the end. Otherwise, it is the first one.
    fn reported_scheme(&self, addresses: usize, hops: usize) -> &'static str {
        let schemes = || address::elements(self.head.fields().all(KnownName::XForwardedProto));
        let place = if hops > 0 && schemes().count() == addresses { addresses - hops } else { 0 };
        match schemes().nth(place) {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => "https",
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => "http",
            Some(_) | None => self.at.peer.origin.scheme,
        }
    }

    /// Returns the version of HTTP over which the request arrived, as `Via` has it.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.head.version() {
            _ if self.at.is_http2.get() => "2",
            Version::Http11 => "1.1",
            Version::Http10 => "1.0",
        }
    }

    /// Whether the client sends a call of gRPC, which only HTTP/2 transports.
    pub(crate) fn is_grpc(&self) -> bool {
        self.at.is_http2.get() && self.head.is_grpc()
    }

    /// Relays an interim response of an upstream, unless the client speaks HTTP/1.0 (RFC 9110, 15.2).
    pub(crate) fn relay_interim(&self, head: UpstreamHead) {
        if self.at.is_http2.get() || self.head.version() == Version::Http11 {
            self.interim.relay(head);
        }
    }

    /// Reads the monotonic clock. A step that has waited calls it, so that `read_at` is the current time for the next
    /// step.
    pub(crate) fn read_clock(&self) -> Instant {
        let now = Instant::now();
        self.read_at.set(now);
        self.mono.set(None);
        now
    }

    /// Returns the time at which the request last read the monotonic clock. The request has not waited since.
    pub(crate) fn read_at(&self) -> Instant {
        self.read_at.get()
    }

    /// Returns the same time on the clock of rate limits.
    pub(crate) fn mono(&self) -> Mono {
        let mono = self.mono.get().unwrap_or_else(|| self.worker().shared.clock.mono_at(self.read_at().into_std()));
        self.mono.set(Some(mono));
        mono
    }

    /// Returns the wall time at which the monotonic clock was last read.
    pub(crate) fn wall_at(&self) -> Timestamp {
        let read_at = self.read_at();
        if read_at == self.begun {
            return self.started_at;
        }
        self.worker().shared.clock.wall_after(self.started_at, read_at - self.begun)
    }
}

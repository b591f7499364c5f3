//! The rows of a measurement: the sides, the load and the targets of each.

use crate::load::LoadKind;
use crate::proxies;
use crate::request::{BenchRequest, RequestBody, SDK_HEADERS};
use crate::stats::Target;

/// The names of the rows that compare nothing in rounds of two or more sides.
pub(crate) const LATENCY: &str = "latency";
pub(crate) const IDLE: &str = "idle";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const MEMBERS: &str = "members";
/// The names of rows with further figures.
pub(crate) const RESILIENT: &str = "resilient";
pub(crate) const TRANSFORM: &str = "transform";
pub(crate) const WEBSOCKET: &str = "websocket";
/// The keys of the side with many, each of another user.
pub(crate) const KEYS: u32 = 10_000;
/// The tokens that are signed for a run, which ends when it has used them. This takes about five seconds.
pub(crate) const TOKENS_A_RUN: usize = 20_000;
/// A run uses all tokens in this time; idle seconds would count as time of its requests.
const TOKENS_SECONDS: u64 = 2;
/// The duration of a run before the measured ones.
pub(crate) const WARM_SECONDS: u64 = 1;

const PLAIN: BenchRequest = BenchRequest::PLAIN;
const KEYED: BenchRequest = BenchRequest::KEYED;
const LLM: BenchRequest = BenchRequest::LLM;
const TOKEN: BenchRequest = BenchRequest::TOKEN;
const EDITED: BenchRequest = BenchRequest::EDITED;
const CALL: BenchRequest = BenchRequest::CALL;
const TARGETED: BenchRequest = BenchRequest { body: RequestBody::Targeted, ..LLM };
const SOCKET: BenchRequest = BenchRequest::SOCKET;
const COMPRESSED: BenchRequest = BenchRequest::COMPRESSED;
const STREAM: BenchRequest = BenchRequest { body: RequestBody::Streamed, ..LLM };
const HTTPS: BenchRequest = BenchRequest { scheme: "https", ..PLAIN };
const CLOSE: BenchRequest = BenchRequest { headers: &[("Connection", "close")], ..HTTPS };
const STREAMS: LoadKind = LoadKind::Streams { connections: 4, streams: 64 };
const ALL: &[&str] = &["nginx", "haproxy", "envoy", "traefik"];
/// The proxies that are compared in compression.
const COMPRESSING: &[&str] = &["nginx", "envoy", "traefik"];
const NGINX: &[&str] = &["nginx"];
const NGINX_AND_ENVOY: &[&str] = &["nginx", "envoy"];
const WITH_ENVOY: &[&str] = &["nginx", "haproxy", "envoy"];
/// The targets of messages of gRPC and of WebSockets, and of TLS on both sides.
const TUNNEL: RatioTargets = must(1.1).peers([None, Some(0.6), None]);
const NO_TARGET: RatioTargets =
    RatioTargets { total: Target::NONE, user: Target::NONE, workers: None, peers: [None; 3] };

/// The rows that are compared in rounds, in the order of the report. Of the proxies, nginx and HAProxy forward a token
/// unseen, Envoy does the same work as Tollgate.
#[rustfmt::skip]
pub(crate) const ROWS: [Row; 28] = [
    Row::beside("plain", "plain route", PLAIN, total(0.95, 0.85).user(0.9, 0.7)).and(ALL),
    Row::beside(RESILIENT, "plain route with checks, breaker, retries, limits of a pool", PLAIN.with_path("/plain/resilient"), total(1.05, 0.95).peers([Some(1.05), Some(0.45), Some(0.3)])).and(ALL).with_listener("resilient"),
    Row::beside("keyed", "with key, quota, rate limit, aggregated events", KEYED, total(1.05, 0.95).user(1.2, 0.9)),
    Row::beside("sdk", "plain route, nine header fields of an SDK", PLAIN.with(&SDK_HEADERS), total(0.95, 0.85)),
    Row::beside("sdk-keyed", "the same with key, quota, rate limit, aggregated events", KEYED.with(&SDK_HEADERS), NO_TARGET),
    Row::beside("llm", "LLM POST of 1 KB, unstreamed, its event ingested", LLM, must(1.9).workers(1.75, 1.5)),
    Row::beside("stream", "event of an LLM stream, nginx without buffering", STREAM, total(1.05, 0.95)).with_listener("stream"),
    Row::beside("16k", "plain route, response of 16 KiB", PLAIN.with_path("/plain/bytes/16384"), must(0.95)),
    Row::beside("64k", "plain route, response of 64 KiB", PLAIN.with_path("/plain/bytes/65536"), must(0.75)),
    Row::beside("jwt", "RS256 token, cached, rate limit of all workers, three claims as headers", TOKEN, must(1.2).peers([None, Some(0.38), None])).and(WITH_ENVOY).with_listener("jwt"),
    Row::beside(TRANSFORM, "three edits of headers each way", EDITED, must(1.05).peers([None, Some(0.4), None])).and(ALL).with_listener("edited"),
    Row::beside("grpc", "unary gRPC call over HTTP/2 without TLS, 64 streams on each of 4 connections", CALL, TUNNEL).and(ALL).with_listener("grpc").with(STREAMS),
    Row::beside(WEBSOCKET, "echo of 64 bytes in a WebSocket", SOCKET, TUNNEL).and(ALL).with_listener("socket").with(LoadKind::Echoes { bytes: 64 }),
    Row::beside("websocket-64k", "echo of 64 KiB in a WebSocket", SOCKET, TUNNEL).and(ALL).with_listener("socket").with(LoadKind::Echoes { bytes: 65_536 }),
    Row::beside("hit", "stored response of 4 KiB", PLAIN.with_path("/plain/bytes/4096"), must(1.1).peers([Some(1.2), None, None])).with_listener("cached"),
    Row::beside("compress", "16 KiB of JSON, gzip of level 5", COMPRESSED, must(1.05).peers([None, Some(0.8), Some(0.6)])).and(COMPRESSING).with_listener("gzip"),
    Row::pair("routes", "10,000 routes, to 10", PLAIN, PairKind::Routes(10, 10_000), Target::must(1.2)),
    Row::pair("targets", "µs of a second target of a model that is not used", TARGETED, PairKind::Targets, Target::must(0.3)),
    Row::pair("backends", "two backends in turn, to one", PLAIN, PairKind::Backends, Target::must(1.02)),
    Row::beside("http2", "HTTP/2 without TLS, 64 streams on each of 4 connections", PLAIN, total(1.6, 1.3)).and(NGINX).with_listener("http2").with(STREAMS),
    Row::beside("tls", "TLS 1.3 with keep-alive", HTTPS, must(1.05)).and(NGINX).with_listener("tls"),
    Row::beside("tls-both", "TLS 1.3 with keep-alive on both sides", HTTPS.with_path("/plain/origin"), TUNNEL).and(NGINX_AND_ENVOY).with_listener("tls_both"),
    Row::beside("handshakes", "TLS 1.3, a full handshake per request", CLOSE, must(1.1)).and(NGINX).with_listener("tls"),
    Row::pair("keys", "keys of 10,000 users in turn, to one key", KEYED, PairKind::Keys, Target::must(1.1)),
    Row::pair("cold", "first verification of an RS256 token", TOKEN, PairKind::Cold, Target::must(30.0)),
    Row::pair("info", "`log.level: info`, to `warn`", PLAIN, PairKind::LogLevel, Target::NONE.aiming(0.5)),
    Row::pair("traces", "each request sampled, to no traces", PLAIN, PairKind::Traces("100%"), Target::NONE.aiming(2.0)),
    Row::pair("unsampled", "no request sampled, to no traces", PLAIN, PairKind::Traces("0%"), Target::NONE.aiming(0.1)),
];

/// A comparison in interleaved rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) request: BenchRequest,
    pub(crate) load: LoadKind,
    pub(crate) kind: RowKind,
    /// The listener of the proxies.
    pub(crate) listener: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RowKind {
    /// Tollgate beside these proxies.
    Proxies(&'static [&'static str], RatioTargets),
    /// Two sides, of which at least one is Tollgate.
    Pair(PairKind, Target),
}

/// The maximum ratios of Tollgate's time to nginx's, and to those of the other proxies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RatioTargets {
    /// User and system time of all threads.
    pub(crate) total: Target,
    /// User time of all threads.
    pub(crate) user: Target,
    /// User and system time of the worker threads; `None` if they are not reported apart.
    pub(crate) workers: Option<Target>,
    /// User and system time of all threads, to HAProxy's, Envoy's and Traefik's.
    pub(crate) peers: [Option<f64>; 3],
}

/// The kind of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairKind {
    /// This number of routes, to another one.
    Routes(u32, u32),
    Backends,
    /// A model with one target, and with two of which the first responds.
    Targets,
    /// One key, and [`KEYS`] in turn.
    Keys,
    /// One access token, which is cached, and a new one for each request.
    Cold,
    /// `log.level` is `warn`, and `info`.
    LogLevel,
    /// No traces, and traces of this share of the requests.
    Traces(&'static str),
}

/// The figure that has a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairFigure {
    /// The ratio of the second side to the first.
    Ratio,
    /// The microseconds per request that the second side needs more than the first.
    Difference,
}

impl PairKind {
    pub(crate) const fn figure(self) -> PairFigure {
        match self {
            Self::Cold | Self::LogLevel | Self::Targets | Self::Traces(_) => PairFigure::Difference,
            Self::Routes(..) | Self::Backends | Self::Keys => PairFigure::Ratio,
        }
    }
}

pub(crate) const fn must(must: f64) -> RatioTargets {
    RatioTargets { total: Target::must(must), ..NO_TARGET }
}

const fn total(must: f64, aim: f64) -> RatioTargets {
    RatioTargets { total: Target::must(must).aiming(aim), ..NO_TARGET }
}

impl RatioTargets {
    const fn user(self, must: f64, aim: f64) -> Self {
        Self { user: Target::must(must).aiming(aim), ..self }
    }

    pub(crate) const fn workers(self, must: f64, aim: f64) -> Self {
        Self { workers: Some(Target::must(must).aiming(aim)), ..self }
    }

    const fn peers(self, peers: [Option<f64>; 3]) -> Self {
        Self { peers, ..self }
    }
}

impl Row {
    /// A row beside nginx and HAProxy.
    const fn beside(name: &'static str, what: &'static str, request: BenchRequest, targets: RatioTargets) -> Self {
        let kind = RowKind::Proxies(&["nginx", "haproxy"], targets);
        Self { name, what, request, load: LoadKind::Wrk, kind, listener: proxies::PLAIN }
    }

    /// The same row beside other proxies.
    const fn and(self, proxies: &'static [&'static str]) -> Self {
        match self.kind {
            RowKind::Proxies(_, targets) => Self { kind: RowKind::Proxies(proxies, targets), ..self },
            RowKind::Pair(..) => self,
        }
    }

    const fn pair(
        name: &'static str,
        what: &'static str,
        request: BenchRequest,
        pair: PairKind,
        target: Target,
    ) -> Self {
        let kind = RowKind::Pair(pair, target);
        Self { name, what, request, load: LoadKind::Wrk, kind, listener: proxies::PLAIN }
    }

    const fn with_listener(self, listener: &'static str) -> Self {
        Self { listener, ..self }
    }

    const fn with(self, load: LoadKind) -> Self {
        Self { load, ..self }
    }

    /// Whether the row is beside proxies, and has a Tollgate with all features to itself; others have one in common.
    pub(crate) fn has_own_tollgate(&self) -> bool {
        !matches!(self.listener, proxies::PLAIN | "stream" | "http2")
    }

    /// The row of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        ROWS.into_iter().find(|row| row.name == name)
    }

    /// The names of all rows, in the order of the report.
    pub(crate) fn names() -> Vec<&'static str> {
        ROWS.iter().map(|row| row.name).chain([LATENCY, IDLE, MEMORY, MEMBERS]).collect()
    }

    /// The number of sides.
    pub(crate) const fn sides(&self) -> usize {
        match self.kind {
            RowKind::Proxies(proxies, _) => proxies.len() + 1,
            RowKind::Pair(..) => 2,
        }
    }

    /// The durations of the run before the measured ones, and of those, which is `usual` for most rows.
    pub(crate) const fn seconds(&self, usual: u64) -> (u64, u64) {
        match self.kind {
            // Both workers see each key before the measured rounds.
            RowKind::Pair(PairKind::Keys, _) => (5, usual),
            RowKind::Pair(PairKind::Cold, _) => (TOKENS_SECONDS, TOKENS_SECONDS),
            RowKind::Pair(..) | RowKind::Proxies(..) => (WARM_SECONDS, usual),
        }
    }
}

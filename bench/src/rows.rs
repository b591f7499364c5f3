//! The rows of a measurement: the sides, the load and the targets of each; the size and duration of the measurement.

use std::time::Duration;

use tokio::time::Instant;

use crate::RunFlags;
use crate::load::LoadKind;
use crate::product::ServerVariant;
use crate::proxies::{Listener, ProxyKind};
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
/// Rows whose name also selects another row.
const ALSO: [(&str, &str); 3] = [("llm", "targets"), (WEBSOCKET, "websocket-64k"), (TRANSFORM, "tls-both")];
/// The keys of the side with many, each of another user.
pub(crate) const KEYS: u32 = 10_000;
/// The tokens that are signed for a run, which ends when it has used them. This takes about five seconds.
pub(crate) const TOKENS_A_RUN: usize = 20_000;
/// A run uses all tokens in this time; idle seconds would count as time of its requests.
const TOKENS_SECONDS: u64 = 2;
/// The duration of a run before the measured ones.
pub(crate) const WARM_SECONDS: u64 = 1;
/// The time of starting all programs, or another Tollgate.
const START: Duration = Duration::from_secs(4);
/// The list of the last change of members is in force within this time.
pub(crate) const CHANGES_REST: Duration = Duration::from_secs(2);
/// The time per run besides the load: starts, and the drain of the spool.
const RUN_EXTRA: Duration = Duration::from_millis(500);
/// Smaller measurements are not results.
const RESULT_PAIRS: u32 = 12;
const RESULT_SECONDS: u64 = 2;

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
/// 5,000 requests per second.
const RATE: LoadKind = LoadKind::Rate { connections: 50, each: 100 };
const ALL_PROXIES: &[ProxyKind] = &ProxyKind::ALL;
/// The proxies that are compared in compression.
const COMPRESSING: &[ProxyKind] = &[ProxyKind::Nginx, ProxyKind::Envoy, ProxyKind::Traefik];
const NGINX: &[ProxyKind] = &[ProxyKind::Nginx];
const NGINX_AND_ENVOY: &[ProxyKind] = &[ProxyKind::Nginx, ProxyKind::Envoy];
const WITH_ENVOY: &[ProxyKind] = &[ProxyKind::Nginx, ProxyKind::Haproxy, ProxyKind::Envoy];

/// The rows that are compared in rounds, in the order of the report. Of the proxies, nginx and HAProxy forward a token
/// unseen, Envoy does the same work as Tollgate.
#[rustfmt::skip]
pub(crate) const ROWS: [Row; 29] = [
    Row::beside("plain", "plain route", PLAIN, total(0.95, 0.85).user(0.9, 0.7)).and(ALL_PROXIES),
    Row::beside(RESILIENT, "plain route with checks, breaker, retries, limits of a pool", PLAIN, total(1.05, 0.95).haproxy(1.05).envoy(0.45).traefik(0.3)).and(ALL_PROXIES).on(Listener::Resilient),
    Row::beside("keyed", "with key, quota, rate limit, aggregated events", KEYED, total(1.05, 0.95).user(1.2, 0.9)),
    Row::beside("sdk", "plain route, nine header fields of an SDK", PLAIN.with(&SDK_HEADERS), total(0.95, 0.85)),
    Row::beside("sdk-keyed", "the same with key, quota, rate limit, aggregated events", KEYED.with(&SDK_HEADERS), NO_TARGET),
    Row::beside("llm", "LLM POST of 1 KB, unstreamed, its event ingested", LLM, must(1.9).workers(1.75, 1.5)),
    Row::beside("stream", "event of an LLM stream, nginx without buffering", STREAM, total(1.05, 0.95)).on(Listener::Stream),
    Row::beside("16k", "plain route, response of 16 KiB", PLAIN.at("/plain/bytes/16384"), must(0.95)),
    Row::beside("64k", "plain route, response of 64 KiB", PLAIN.at("/plain/bytes/65536"), must(0.75)),
    Row::beside("jwt", "RS256 token, cached, rate limit of all workers, three claims as headers", TOKEN, must(1.2).envoy(0.38)).and(WITH_ENVOY).on(Listener::Jwt),
    Row::beside(TRANSFORM, "three edits of headers each way", EDITED, must(1.05).envoy(0.4)).and(ALL_PROXIES).on(Listener::Edited),
    Row::beside("grpc", "unary gRPC call over HTTP/2 without TLS, 64 streams on each of 4 connections", CALL, TUNNEL).and(ALL_PROXIES).on(Listener::Grpc).with(STREAMS),
    Row::beside(WEBSOCKET, "echo of 64 bytes in a WebSocket", SOCKET, TUNNEL).and(ALL_PROXIES).on(Listener::Socket).with(LoadKind::Echoes { bytes: 64 }),
    Row::beside("websocket-64k", "echo of 64 KiB in a WebSocket", SOCKET, TUNNEL).and(ALL_PROXIES).on(Listener::Socket).with(LoadKind::Echoes { bytes: 65_536 }),
    Row::beside("hit", "stored response of 4 KiB", PLAIN.at("/plain/bytes/4096"), must(1.1).haproxy(1.2)).on(Listener::Cached),
    Row::beside("compress", "16 KiB of JSON, gzip of level 5", COMPRESSED, must(1.05).envoy(0.8).traefik(0.6)).and(COMPRESSING).on(Listener::Gzip),
    Row::pair("routes", "10,000 routes, to 10", PLAIN, PairKind::Routes(10, 10_000), Target::must(1.2)),
    Row::pair("targets", "µs of a second target of a model that is not used", TARGETED, PairKind::Targets, Target::must(0.3)),
    Row::pair("backends", "two backends in turn, to one", PLAIN, PairKind::Backends, Target::must(1.02)),
    Row::beside("http2", "HTTP/2 without TLS, 64 streams on each of 4 connections", PLAIN, total(1.6, 1.3)).and(NGINX).on(Listener::Http2).with(STREAMS),
    Row::beside("tls", "TLS 1.3 with keep-alive", HTTPS, must(1.05)).and(NGINX).on(Listener::Tls),
    Row::beside("tls-both", "TLS 1.3 with keep-alive on both sides", HTTPS, TUNNEL).and(NGINX_AND_ENVOY).on(Listener::TlsBoth),
    Row::beside("handshakes", "TLS 1.3, a full handshake per request", CLOSE, must(1.1)).and(NGINX).on(Listener::Tls),
    Row::pair("rate", "5,000 requests/s over HTTP/1.1", PLAIN, PairKind::Rate, Target::NONE.aiming(10.0)).with(RATE),
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
    pub(crate) listener: Listener,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RowKind {
    /// Tollgate beside these proxies.
    Proxies(&'static [ProxyKind], RatioTargets),
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
    pub(crate) haproxy: Target,
    pub(crate) envoy: Target,
    pub(crate) traefik: Target,
}

/// The kind of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairKind {
    /// This number of routes, to another one.
    Routes(u32, u32),
    Backends,
    /// A model with one target, and with two of which the first responds.
    Targets,
    /// One side without and one with a key, at a fixed rate.
    Rate,
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
    /// The processor time of each side, as share of a core.
    Share,
}

impl PairKind {
    pub(crate) const fn figure(self) -> PairFigure {
        match self {
            Self::Rate => PairFigure::Share,
            Self::Cold | Self::LogLevel | Self::Targets | Self::Traces(_) => PairFigure::Difference,
            Self::Routes(..) | Self::Backends | Self::Keys => PairFigure::Ratio,
        }
    }
}

const NO_TARGET: RatioTargets = RatioTargets {
    total: Target::NONE,
    user: Target::NONE,
    workers: None,
    haproxy: Target::NONE,
    envoy: Target::NONE,
    traefik: Target::NONE,
};

/// The targets of messages of gRPC and of WebSockets, and of TLS on both sides.
const TUNNEL: RatioTargets = must(1.1).envoy(0.6);

const fn must(must: f64) -> RatioTargets {
    RatioTargets { total: Target::must(must), ..NO_TARGET }
}

const fn total(must: f64, aim: f64) -> RatioTargets {
    RatioTargets { total: Target::must(must).aiming(aim), ..NO_TARGET }
}

impl RatioTargets {
    const fn user(self, must: f64, aim: f64) -> Self {
        Self { user: Target::must(must).aiming(aim), ..self }
    }

    const fn workers(self, must: f64, aim: f64) -> Self {
        Self { workers: Some(Target::must(must).aiming(aim)), ..self }
    }

    const fn haproxy(self, must: f64) -> Self {
        Self { haproxy: Target::must(must), ..self }
    }

    const fn envoy(self, must: f64) -> Self {
        Self { envoy: Target::must(must), ..self }
    }

    const fn traefik(self, must: f64) -> Self {
        Self { traefik: Target::must(must), ..self }
    }
}

impl Row {
    /// A row beside nginx and HAProxy.
    const fn beside(name: &'static str, what: &'static str, request: BenchRequest, targets: RatioTargets) -> Self {
        let kind = RowKind::Proxies(&[ProxyKind::Nginx, ProxyKind::Haproxy], targets);
        Self { name, what, request, load: LoadKind::Wrk, kind, listener: Listener::Plain }
    }

    /// The same row beside other proxies.
    const fn and(self, proxies: &'static [ProxyKind]) -> Self {
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
        let (load, listener) = (LoadKind::Wrk, Listener::Plain);
        Self { name, what, request, load, kind: RowKind::Pair(pair, target), listener }
    }

    const fn on(self, listener: Listener) -> Self {
        Self { listener, ..self }
    }

    const fn with(self, load: LoadKind) -> Self {
        Self { load, ..self }
    }

    /// The difference of Tollgate's configuration beside proxies; `None` if rows share one Tollgate.
    pub(crate) const fn variant(&self) -> Option<ServerVariant> {
        match self.listener {
            Listener::Plain | Listener::Stream | Listener::Http2 => None,
            Listener::Tls => Some(ServerVariant::Tls),
            Listener::TlsBoth => Some(ServerVariant::TlsBoth),
            Listener::Resilient => Some(ServerVariant::Resilient),
            Listener::Jwt => Some(ServerVariant::Tokens),
            Listener::Edited | Listener::Grpc | Listener::Socket => Some(ServerVariant::Protocols),
            Listener::Cached | Listener::Gzip => Some(ServerVariant::Responses),
        }
    }

    /// The names of all rows, in the order of the report.
    pub(crate) fn names() -> Vec<&'static str> {
        ROWS.iter().map(|row| row.name).chain([LATENCY, IDLE, MEMORY, MEMBERS]).collect()
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

    /// The number of sides, the duration of their start, and that of the signing of a run's tokens.
    fn preparation(&self) -> (u32, Duration, Duration) {
        let none = Duration::ZERO;
        match self.kind {
            RowKind::Proxies(proxies, _) => (u32::try_from(proxies.len() + 1).unwrap_or(u32::MAX), none, none),
            RowKind::Pair(PairKind::Keys, _) => (2, Duration::from_secs(28), none),
            RowKind::Pair(PairKind::Cold, _) => (2, START, Duration::from_secs(6)),
            RowKind::Pair(..) => (2, Duration::from_secs(8), none),
        }
    }
}

/// A measurement, as the flags select it.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    pub(crate) pairs: u32,
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
    pub(crate) rows: Vec<String>,
    pub(crate) memory_requests: u64,
    pub(crate) idle_connections: u32,
    pub(crate) check_rounds: u32,
    /// The time between the start and the first reading of the memory, and before readings of idle connections.
    pub(crate) settle: Duration,
    /// The time of rest before the memory after load is read.
    pub(crate) rest: Duration,
}

impl RunPlan {
    pub(crate) fn of(flags: &RunFlags) -> Self {
        let all = || Row::names().into_iter().map(str::to_owned).collect();
        let plan = Self {
            pairs: flags.pairs,
            seconds: flags.seconds,
            connections: flags.connections,
            rows: if flags.only.is_empty() { all() } else { selected(&flags.only) },
            memory_requests: flags.memory_requests,
            idle_connections: flags.idle_connections,
            check_rounds: flags.check_rounds,
            settle: Duration::from_secs(5),
            rest: Duration::from_secs(flags.rest_seconds),
        };
        if !flags.quick {
            return plan;
        }
        let (settle, rest) = (Duration::from_secs(1), Duration::from_secs(1));
        Self { pairs: 2, seconds: 1, memory_requests: 1, idle_connections: 200, check_rounds: 2, settle, rest, ..plan }
    }

    pub(crate) fn has(&self, row: &str) -> bool {
        self.rows.iter().any(|chosen| chosen == row)
    }

    pub(crate) fn compared(&self) -> Vec<Row> {
        ROWS.into_iter().filter(|row| self.has(row.name)).collect()
    }

    /// Whether Envoy and Traefik are needed.
    pub(crate) fn has_peers(&self) -> bool {
        let needs = |row: &Row| matches!(row.kind, RowKind::Proxies(proxies, _) if proxies.len() > 2);
        self.has(LATENCY) || self.compared().iter().any(needs)
    }

    /// Whether the measurement is large enough to be quoted.
    pub(crate) const fn is_result(&self) -> bool {
        self.pairs >= RESULT_PAIRS && self.seconds >= RESULT_SECONDS
    }

    /// The estimated duration of the whole measurement.
    pub(crate) fn estimate(&self) -> Duration {
        self.rows.iter().map(|row| self.row_estimate(row)).sum::<Duration>() + self.preparation()
    }

    /// The estimated duration of everything before the rows.
    pub(crate) fn preparation(&self) -> Duration {
        START + self.settle + Duration::from_millis(600) * self.check_rounds
    }

    /// The estimated duration of one row.
    pub(crate) fn row_estimate(&self, row: &str) -> Duration {
        let runs = |seconds, sides| (Duration::from_secs(seconds) + RUN_EXTRA) * sides;
        if let Some(row) = ROWS.iter().find(|other| other.name == row) {
            let ((sides, start, signing), (warm, seconds)) = (row.preparation(), row.seconds(self.seconds));
            return start + runs(warm, sides) + signing + (runs(seconds, sides) + signing) * self.pairs;
        }
        match row {
            LATENCY => (runs(self.seconds, 6) * (self.pairs + 1)) + runs(WARM_SECONDS, 6) * 2,
            IDLE => START + self.settle * 2 + Duration::from_secs((self.idle_connections / 3_000).into()),
            MEMORY => Duration::from_secs(self.memory_requests / 20_000) + self.rest,
            MEMBERS => START * 2 + runs(self.seconds, 1) + (runs(self.seconds, 2) + CHANGES_REST) * self.pairs,
            _ => Duration::ZERO,
        }
    }
}

/// Returns the rows that the names select, each once.
fn selected(names: &[String]) -> Vec<String> {
    let mut rows = names.to_vec();
    for (name, also) in ALSO {
        let has = |row: &str| rows.iter().any(|chosen| chosen == row);
        if has(name) && !has(also) {
            rows.push(also.to_owned());
        }
    }
    rows
}

/// The share of the estimate that is done.
pub(crate) struct Progress {
    total: Duration,
    done: Duration,
    began: Instant,
}

impl Progress {
    pub(crate) fn begin(total: Duration) -> Self {
        Self { total, done: Duration::ZERO, began: Instant::now() }
    }

    /// Prints a finished step; `estimate` is its estimated duration.
    pub(crate) fn step(&mut self, estimate: Duration, what: &str) {
        self.done += estimate;
        println!("{} {what}", mark(self.done, self.total, self.began.elapsed()));
    }
}

/// The share that is done, and the remaining time at the speed so far.
fn mark(done: Duration, total: Duration, elapsed: Duration) -> String {
    let share = (done.as_secs_f64() / total.as_secs_f64()).min(1.0);
    let left = if share > 0.0 { elapsed.mul_f64((1.0 - share) / share) } else { total };
    format!("[{:3.0}%, {} left]", share * 100.0, minutes(left))
}

/// A duration in seconds, or in minutes from two minutes.
pub(crate) fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 120 { format!("{seconds:2} s") } else { format!("{:2} min", (seconds + 30) / 60) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::BenchCli;

    fn plan(arguments: &[&str]) -> RunPlan {
        let cli = BenchCli::try_parse_from(["bench"].iter().chain(arguments)).unwrap();
        RunPlan::of(&cli.flags)
    }

    #[test]
    fn flags_select_rows_and_size() {
        assert_eq!((plan(&[]).rows.len(), plan(&[]).pairs, plan(&[]).is_result()), (33, 12, true));
        let chosen = plan(&["--only", "keyed,plain,idle"]);
        let names: Vec<&str> = chosen.compared().iter().map(|row| row.name).collect();
        assert_eq!((names, chosen.has(IDLE), chosen.has(MEMORY)), (vec!["plain", "keyed"], true, false));
        for (rows, expected) in [("llm", vec!["llm", "targets"]), ("targets,llm", vec!["targets", "llm"])] {
            assert_eq!(plan(&["--only", rows]).rows, expected);
        }
        assert!(
            plan(&["--only", WEBSOCKET]).has("websocket-64k") && !plan(&["--only", "websocket-64k"]).has(WEBSOCKET)
        );
        assert!(!plan(&["--quick"]).is_result() && !plan(&["--pairs", "11"]).is_result());
        assert!(!plan(&["--seconds", "1"]).is_result());
        let has_peers = |rows: &str| plan(&["--only", rows]).has_peers();
        assert!(has_peers("plain") && has_peers("jwt") && has_peers(LATENCY) && !has_peers("keyed,cold"));
        assert!(BenchCli::try_parse_from(["bench", "--only", "plane"]).is_err());
        assert!(BenchCli::try_parse_from(["bench", "--quick", "--pairs", "12"]).is_err());
    }

    #[test]
    fn the_estimate_is_the_sum_of_all_runs() {
        let plan = plan(&["--only", "plain", "--pairs", "10", "--seconds", "4", "--check-rounds", "10"]);
        // 10 rounds of five runs, five short runs; start, rest, and 10 rounds of checks.
        assert_eq!(plan.row_estimate("plain"), Duration::from_millis(10 * 5 * 4_500 + 5 * 1_500));
        assert_eq!(plan.estimate(), Duration::from_millis(232_500 + 4_000 + 5_000 + 6_000));
        assert!(Row::names().iter().all(|row| plan.row_estimate(row) > Duration::ZERO));
    }

    #[test]
    fn the_remaining_time_follows_the_speed_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(mark(seconds(0), seconds(600), seconds(0)), "[  0%, 10 min left]");
        assert_eq!(mark(seconds(300), seconds(600), seconds(450)), "[ 50%,  8 min left]");
        assert_eq!(mark(seconds(700), seconds(600), seconds(450)), "[100%,  0 s left]");
        assert_eq!(minutes(seconds(119)), "119 s");
    }
}

//! The rows that compare two sides: their loads and targets.

use crate::h2load::H2loadMode;
use crate::scenario::BenchScenario;
use crate::target::Target;

pub(crate) const FEW_ROUTES: u32 = 10;
pub(crate) const MANY_ROUTES: u32 = 10_000;
/// The connections of HTTP/2, and the streams of each.
const STREAMS: H2loadMode = H2loadMode::Streams { connections: 4, streams: 64 };
/// 5,000 requests per second.
const RATE: H2loadMode = H2loadMode::Rate { connections: 50, each: 100 };

/// A comparison of two sides.
#[derive(Debug, Clone)]
pub(crate) struct PairRow {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) kind: PairKind,
    pub(crate) load: PairLoad,
    /// The maximum ratio of the second side to the first.
    pub(crate) target: Target,
}

/// The kind of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairKind {
    Routes,
    Backends,
    Http2,
    Tls,
    /// One side without and one with a key, at a fixed rate. The figures are shares of a core.
    Rate,
}

/// The load of both sides.
#[derive(Debug, Clone)]
pub(crate) enum PairLoad {
    Wrk(Box<BenchScenario>),
    H2load(H2loadMode),
}

impl PairLoad {
    /// Returns the requests per second, if they are fixed.
    pub(crate) const fn rate(&self) -> Option<u64> {
        match self {
            Self::Wrk(_) => None,
            Self::H2load(mode) => mode.rate(),
        }
    }
}

impl PairRow {
    pub(crate) fn all() -> [Self; 6] {
        let (http, https) = (BenchScenario::plain(), BenchScenario { scheme: "https", ..BenchScenario::plain() });
        let handshakes = BenchScenario { headers: &[("Connection", "close")], ..https.clone() };
        let wrk = |scenario: BenchScenario| PairLoad::Wrk(Box::new(scenario));
        let row = |name, what, kind, load, target| Self { name, what, kind, load, target };
        [
            row("routes", "10,000 routes, to 10", PairKind::Routes, wrk(http.clone()), Target::must(1.2)),
            row("backends", "two backends in turn, to one", PairKind::Backends, wrk(http), Target::must(1.02)),
            row(
                "http2",
                "HTTP/2 without TLS, 64 streams on each of 4 connections",
                PairKind::Http2,
                PairLoad::H2load(STREAMS),
                Target::must(1.6).aiming(1.3),
            ),
            row("tls", "TLS 1.3 with keep-alive", PairKind::Tls, wrk(https), Target::must(1.05)),
            row(
                "handshakes",
                "TLS 1.3, a full handshake per request",
                PairKind::Tls,
                wrk(handshakes),
                Target::must(1.1),
            ),
            row(
                "rate",
                "5,000 requests/s over HTTP/1.1",
                PairKind::Rate,
                PairLoad::H2load(RATE),
                Target::NONE.aiming(10.0),
            ),
        ]
    }
}

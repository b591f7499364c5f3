//! The rows that compare two sides: their loads and targets.

use serde::Serialize;

use crate::h2load::H2loadMode;
use crate::scenario::{BenchScenario, Credential};
use crate::target::Target;

pub(crate) const FEW_ROUTES: u32 = 10;
pub(crate) const MANY_ROUTES: u32 = 10_000;
/// The keys of the side with many, each of another user.
pub(crate) const KEYS: u32 = 10_000;
/// Both workers see each key before the measured rounds.
const KEYS_WARM_SECONDS: u64 = 5;
/// The tokens that are signed for a run, which ends when it has used them. This takes about five seconds.
pub(crate) const TOKENS_A_RUN: usize = 20_000;
/// A run uses all tokens in this time; idle seconds would count as time of its requests.
const TOKENS_SECONDS: u64 = 2;
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
    pub(crate) figure: PairFigure,
    /// The maximum of the figure.
    pub(crate) target: Target,
}

/// The figure that has a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum PairFigure {
    /// The ratio of the second side to the first.
    Ratio,
    /// The microseconds per request that the second side needs more than the first.
    Difference,
    /// The processor time of each side, as share of a core.
    Share,
}

/// The kind of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairKind {
    Routes,
    Backends,
    Http2,
    Tls,
    /// One side without and one with a key, at a fixed rate.
    Rate,
    /// One key, and [`KEYS`] in turn.
    Keys,
    /// One access token, which is cached, and a new one for each request.
    Cold,
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

    /// Whether each request has a credential.
    pub(crate) fn has_credential(&self) -> bool {
        matches!(self, Self::Wrk(scenario) if scenario.credential != Credential::None)
    }

    /// Returns the requests that may be open when a run ends; wrk has these connections.
    pub(crate) const fn open(&self, connections: u32) -> u64 {
        match self {
            Self::Wrk(_) => connections as u64,
            Self::H2load(H2loadMode::Streams { connections, streams }) => *connections as u64 * *streams as u64,
            Self::H2load(H2loadMode::Rate { connections, .. }) => *connections as u64,
        }
    }
}

impl PairRow {
    /// The duration of a run before the measured ones, which is `usual` for most rows.
    pub(crate) const fn warm_seconds(&self, usual: u64) -> u64 {
        match self.kind {
            PairKind::Keys => KEYS_WARM_SECONDS,
            PairKind::Cold => TOKENS_SECONDS,
            PairKind::Routes | PairKind::Backends | PairKind::Http2 | PairKind::Tls | PairKind::Rate => usual,
        }
    }

    /// The duration of a measured run, which is `usual` for most rows.
    pub(crate) fn seconds(&self, usual: u64) -> u64 {
        if self.kind == PairKind::Cold { TOKENS_SECONDS } else { usual }
    }

    pub(crate) fn all() -> [Self; 8] {
        let (http, https) = (BenchScenario::plain(), BenchScenario { scheme: "https", ..BenchScenario::plain() });
        let handshakes = BenchScenario { headers: &[("Connection", "close")], ..https.clone() };
        let wrk = |scenario: BenchScenario| PairLoad::Wrk(Box::new(scenario));
        let row = |name, what, kind, load, target| {
            let figure = match kind {
                PairKind::Rate => PairFigure::Share,
                PairKind::Cold => PairFigure::Difference,
                PairKind::Routes | PairKind::Backends | PairKind::Http2 | PairKind::Tls | PairKind::Keys => {
                    PairFigure::Ratio
                }
            };
            Self { name, what, kind, load, figure, target }
        };
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
            row(
                "keys",
                "keys of 10,000 users in turn, to one key",
                PairKind::Keys,
                wrk(BenchScenario::keyed()),
                Target::must(1.1),
            ),
            row(
                "cold",
                "first verification of an RS256 token",
                PairKind::Cold,
                wrk(BenchScenario::jwt()),
                Target::must(30.0),
            ),
        ]
    }
}

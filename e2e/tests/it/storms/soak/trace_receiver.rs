//! A receiver of traces that a test can break, and the counters of the server that exports to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Gateway, Turn, Upstream};

use super::metric;

/// The requests whose spans are sent at once.
const BATCH_MAX: u64 = 512;
/// The longest pause of the export after failures, its timeout, and a busy machine.
pub(super) const NOTICED_MAX: Duration = Duration::from_secs(180);
/// A request that waits for the receiver takes at least its timeout for connections, which is 3 seconds.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(1);

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Receives {
    #[default]
    All,
    /// Status 429 with `Retry-After`, after which the same spans are sent again.
    IsBusy,
    RefusesAll,
    Hangs,
    IsGone,
}

/// What the receiver does now, and the requests that have arrived.
#[derive(Debug, Default)]
struct Script {
    receives: Mutex<Receives>,
    arrived: AtomicU64,
}

/// A receiver of traces.
pub(super) struct TraceReceiver {
    pub(super) address: SocketAddr,
    script: Arc<Script>,
    /// `None` for one that is gone.
    server: Option<Upstream>,
}

/// The traces that the server has exported, dropped because of a full queue, dropped for another reason, and keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceCounts {
    pub(super) exported: u64,
    pub(super) queue_full: u64,
    pub(super) refused: u64,
    pub(super) waiting: u64,
}

/// The counters at the time of a change of the receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceiverChange {
    pub(super) counts: TraceCounts,
    arrived: u64,
}

impl TraceReceiver {
    /// Starts a receiver that accepts everything.
    pub(super) async fn start() -> Self {
        let script = Arc::new(Script::default());
        let shared = Arc::clone(&script);
        let server = Upstream::start(move |turn| serve(Arc::clone(&shared), turn)).await;
        Self { address: server.address(), script, server: Some(server) }
    }

    /// Changes what the receiver does. One that is gone does not return.
    pub(super) async fn change(&mut self, to: Receives, exporter: &Gateway) -> ReceiverChange {
        let counts = TraceCounts::read(exporter).await;
        let arrived = self.script.arrived.load(Ordering::Relaxed);
        *self.script.receives.lock().unwrap() = to;
        if to == Receives::IsGone {
            self.server = None;
        }
        ReceiverChange { counts, arrived }
    }

    /// Returns whether the exporter, whose counters are `now`, has met the receiver since the change.
    pub(super) fn is_met(&self, since: &ReceiverChange, now: &TraceCounts) -> bool {
        match *self.script.receives.lock().unwrap() {
            Receives::All => now.exported > since.counts.exported,
            Receives::RefusesAll => now.refused > since.counts.refused,
            Receives::IsBusy | Receives::Hangs => self.script.arrived.load(Ordering::Relaxed) > since.arrived,
            Receives::IsGone => true,
        }
    }
}

async fn serve(script: Arc<Script>, mut turn: Turn) -> Option<Turn> {
    turn.read_body().await;
    script.arrived.fetch_add(1, Ordering::Relaxed);
    let receives = *script.receives.lock().unwrap();
    match receives {
        Receives::All => turn.answer("200 OK\r\ncontent-type: application/x-protobuf", b"").await,
        Receives::IsBusy => turn.answer("429 Too Many Requests\r\nretry-after: 1", b"").await,
        Receives::RefusesAll => turn.answer("400 Bad Request", b"").await,
        Receives::Hangs | Receives::IsGone => {
            turn.wire.closed().await;
            return None;
        }
    };
    Some(turn)
}

impl TraceCounts {
    /// Reads the counters of a server.
    pub(super) async fn read(gateway: &Gateway) -> Self {
        let metrics = gateway.metrics().await;
        let dropped = |reason: &str| metric(&metrics, &format!("tollgate_traces_dropped_total{{reason=\"{reason}\"}}"));
        Self {
            exported: metric(&metrics, "tollgate_traces_exported_total"),
            queue_full: dropped("queue_full"),
            refused: dropped("refused"),
            waiting: metric(&metrics, "tollgate_traces_waiting"),
        }
    }

    /// Asserts that the traces of `sent` requests are exported, dropped or kept, except those of one batch, which are neither
    /// sent nor dropped yet.
    #[track_caller]
    pub(super) fn assert_complete(&self, sent: u64) {
        let counted = self.exported + self.queue_full + self.refused + self.waiting;
        assert!(counted <= sent && sent - counted <= BATCH_MAX, "{counted} of {sent} are counted: {self:?}");
    }
}

/// Returns the median, the 99th percentile and the maximum of some times.
pub(super) fn percentiles(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    [50, 99, 100].map(|percent| times[(times.len() * percent).div_ceil(100) - 1])
}

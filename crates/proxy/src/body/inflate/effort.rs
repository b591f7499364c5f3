//! The bounds of the work of inflating one body: compressed bytes without content, processor time, and its client.
//!
//! The size of a compressed body does not bound the work: 4 empty blocks of deflate have 5 bytes, and a decoder builds a
//! table for each. A megabyte of them took 1.5 s (2026-11-24).

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The number of compressed bytes that a decoder gets at a time. The bounds are checked between them.
const STEP_BYTES: usize = 4 * 1024;
/// Maximum processor time of a body, and the time that each MiB of its content adds. A decoder needs 3 to 10 ms for a MiB.
pub(super) const TIME_MAX: Duration = Duration::from_millis(100);
const TIME_PER_MIB: Duration = Duration::from_millis(25);
const MIB: u64 = 1 << 20;

/// Ends the inflation of a body when its client has disconnected: when the guard is dropped.
#[derive(Debug, Default)]
pub(super) struct InflationGuard(Arc<AtomicBool>);

/// Whether a body is still wanted.
#[derive(Debug, Clone)]
pub(crate) struct InflationDemand(Arc<AtomicBool>);

/// The bound that ended the inflation of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EffortExceeded {
    /// Too many compressed bytes without content.
    Silent,
    /// Too much processor time.
    Time,
    /// The client has disconnected.
    Unwanted,
}

/// The work that the inflation of one body has taken on this thread.
#[derive(Debug)]
pub(super) struct Effort {
    demand: InflationDemand,
    /// Maximum number of compressed bytes after which a decoder must have returned content.
    silent_bytes_max: usize,
    /// Maximum processor time of a body without content.
    time_max: Duration,
    began: Duration,
    inflated_bytes: Cell<u64>,
    silent_bytes: Cell<usize>,
    exceeded: Cell<Option<EffortExceeded>>,
}

/// A compressed body, which a decoder reads within the bounds of `effort`.
#[derive(Debug)]
pub(super) struct CompressedBody<'a> {
    rest: &'a [u8],
    /// The number of bytes that were read since the last check.
    unchecked: usize,
    effort: &'a Effort,
}

impl InflationGuard {
    pub(super) fn demand(&self) -> InflationDemand {
        InflationDemand(self.0.clone())
    }
}

impl Drop for InflationGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Effort {
    pub(super) fn new(demand: InflationDemand, silent_bytes_max: usize, time_max: Duration) -> Self {
        let (inflated_bytes, silent_bytes, exceeded) = Default::default();
        Self { demand, silent_bytes_max, time_max, began: thread_time(), inflated_bytes, silent_bytes, exceeded }
    }

    /// Notes that the decoder has returned content.
    pub(super) fn inflated(&self, bytes: usize) {
        self.inflated_bytes.set(self.inflated_bytes.get().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)));
        self.silent_bytes.set(0);
    }

    /// Returns the bound that is reached as an error.
    pub(super) fn check(&self) -> Result<(), EffortExceeded> {
        let mib = u32::try_from(self.inflated_bytes.get() / MIB).unwrap_or(u32::MAX);
        let exceeded = if self.demand.0.load(Ordering::Relaxed) {
            EffortExceeded::Unwanted
        } else if self.silent_bytes.get() >= self.silent_bytes_max {
            EffortExceeded::Silent
        } else if thread_time().saturating_sub(self.began) > self.time_max + TIME_PER_MIB.saturating_mul(mib) {
            EffortExceeded::Time
        } else {
            return Ok(());
        };
        self.exceeded.set(Some(exceeded));
        Err(exceeded)
    }

    /// Returns the bound that ended the inflation.
    pub(super) const fn exceeded(&self) -> Option<EffortExceeded> {
        self.exceeded.get()
    }
}

impl<'a> CompressedBody<'a> {
    pub(super) const fn new(body: &'a [u8], effort: &'a Effort) -> Self {
        Self { rest: body, unchecked: 0, effort }
    }

    /// Whether the decoder has read the whole body.
    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

impl BufRead for CompressedBody<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unchecked >= STEP_BYTES && !self.rest.is_empty() {
            self.effort.check().map_err(|_| io::Error::other("the body takes too much work"))?;
            self.unchecked = 0;
        }
        Ok(self.rest.get(..STEP_BYTES).unwrap_or(self.rest))
    }

    fn consume(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.unchecked += bytes;
        let silent = &self.effort.silent_bytes;
        silent.set(silent.get() + bytes);
    }
}

impl Read for CompressedBody<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(into)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

/// Returns the processor time of this thread.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

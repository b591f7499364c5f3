//! One attempt: a call to one upstream or provider.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::body::upload::Progress;
use crate::deadlines::probe::Probe;

/// A call to one destination, until its response has ended.
pub(crate) struct Attempt {
    pub(crate) probe: Probe,
    pub(crate) progress: Progress,
    /// When the attempt began.
    pub(crate) since: Instant,
    pub(crate) status: Option<u16>,
    /// The upstream's own id of the request.
    pub(crate) upstream_id: Option<Arc<str>>,
    pub(crate) first_byte_us: Option<u64>,
    /// Whether the upstream reported that the attempt had no effect or has failed, so that it costs the reported usage only.
    pub(crate) had_no_effect: bool,
}

impl Attempt {
    /// Returns an attempt that begins at `since`.
    pub(crate) const fn new(probe: Probe, progress: Progress, since: Instant) -> Self {
        let status = None;
        let upstream_id = None;
        let first_byte_us = None;
        Self { probe, progress, since, status, upstream_id, first_byte_us, had_no_effect: false }
    }

    /// Notes the head of the response. Returns the time until it arrived, in microseconds.
    pub(crate) fn answered(&mut self, now: Instant, status: u16, upstream_id: Option<Arc<str>>) -> u64 {
        let waited_us = micros(now - self.since);
        (self.status, self.upstream_id, self.first_byte_us) = (Some(status), upstream_id, Some(waited_us));
        waited_us
    }
}

/// Returns whole microseconds, the unit of usage events and metrics.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! The job that reports leaps of the system's clock, and that reads the clock also without requests, so that a leap which
//! lasts is accepted in time.

use std::sync::Arc;
use std::time::Duration;

use access::time::clock::ACCEPTED_AFTER;
use access::{Clock, ClockLeaps};
use jobs::{Job, JobError, JobSpec, NextRun};
use telemetry::{Metrics, metrics};

pub(super) const SPEC: JobSpec = JobSpec::every("clock", Duration::from_millis(250));

/// The leaps of a clock that were reported.
#[derive(Clone)]
pub(super) struct ClockWatch {
    clock: Clock,
    metrics: Arc<Metrics>,
    reported: ClockLeaps,
}

impl ClockWatch {
    pub(super) fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { clock, metrics, reported: ClockLeaps::default() }
    }

    fn report(&mut self) {
        let used = self.clock.now().unix_seconds();
        let leaps = self.clock.leaps();
        metrics::set_total(&self.metrics.clock.leaps, leaps.begun);
        self.metrics.clock.ahead_seconds.set(leaps.ahead_us / 1_000_000);
        let ahead_seconds = leaps.ahead_us / 1_000_000;
        if leaps.begun > self.reported.begun {
            let new = leaps.begun - self.reported.begun;
            tracing::error!(
                ahead_seconds,
                used,
                leaps = new,
                "the system's clock has leapt: usage keeps the earlier time until the clock returns, or for {} minutes",
                ACCEPTED_AFTER.as_secs() / 60
            );
        }
        if leaps.accepted > self.reported.accepted {
            tracing::error!("the leap of the system's clock has lasted and is accepted: usage has the new time");
        } else if self.reported.ahead_us != 0 && leaps.ahead_us == 0 {
            tracing::warn!("the system's clock has returned");
        }
        self.reported = leaps;
    }
}

impl Job for ClockWatch {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.report();
        Ok(NextRun::Period)
    }
}

#[cfg(test)]
mod tests {
    use access::Day;

    use super::*;

    #[test]
    fn a_leap_is_counted_and_shown_while_it_lasts() {
        let noon = Day(20_000).start();
        let hands = Clock::manual(noon);
        let metrics = Metrics::new();
        let mut watch = ClockWatch::new(hands.clone().guarded(), metrics.clone());
        let shown = |line: &str| metrics.encode().lines().any(|shown| shown == line);
        watch.report();
        assert!(shown("tollgate_clock_leaps_total 0") && shown("tollgate_clock_ahead_seconds 0"));
        hands.jump(noon.after(Duration::from_hours(25)));
        watch.report();
        assert!(shown("tollgate_clock_leaps_total 1") && shown("tollgate_clock_ahead_seconds 90000"));
        hands.jump(noon);
        watch.report();
        assert!(shown("tollgate_clock_leaps_total 1") && shown("tollgate_clock_ahead_seconds 0"));
    }
}

//! Metrics of the process, read from `/proc`. They are missing on systems other than Linux.

use std::fs;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// `USER_HZ`, which is 100 on every architecture of Linux (`man 5 proc`).
const TICKS_PER_SECOND: i64 = 100;
/// `starttime` is field 22 of `/proc/PID/stat`. The name in field 2 may contain spaces, so fields are counted after its
/// `)`.
const START_AFTER_NAME: usize = 19;

/// The metrics of the process.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    resident_bytes: Gauge,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let resident_bytes = Gauge::default();
        if let Some(seconds) = start_seconds() {
            let start: Gauge = Gauge::default();
            start.set(seconds);
            registry.register("process_start_time_seconds", "Unix time at which the process started", start);
        }
        if resident().is_some() {
            registry.register("process_resident_memory_bytes", "Resident memory", resident_bytes.clone());
        }
        Self { resident_bytes }
    }

    /// Updates the values. Reading `/proc` does not block, so an async thread may call this.
    pub(super) fn read(&self) {
        if let Some(bytes) = resident() {
            self.resident_bytes.set(bytes);
        }
    }
}

fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

fn start_seconds() -> Option<i64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: i64 = fields.split_ascii_whitespace().nth(START_AFTER_NAME)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / TICKS_PER_SECOND)
}

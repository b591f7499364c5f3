//! Metrics of the process, read from `/proc` and `/sys`. They are missing on systems other than Linux.

use std::fs;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::memory_limit::memory_limit;

/// `USER_HZ`, which is 100 on every architecture of Linux (`man 5 proc`).
const TICKS_PER_SECOND: i64 = 100;
/// `starttime` is field 22 of `/proc/PID/stat`. The name in field 2 may contain spaces, so fields are counted after its
/// `)`.
const START_AFTER_NAME: usize = 19;

/// The metrics of the process.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    resident_bytes: Gauge,
    memory_limit_bytes: Gauge,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let process = Self { resident_bytes: Gauge::default(), memory_limit_bytes: Gauge::default() };
        if let Some(seconds) = start_seconds() {
            let start: Gauge = Gauge::default();
            start.set(seconds);
            registry.register("process_start_time_seconds", "Unix time at which the process started", start);
        }
        if resident().is_some() {
            registry.register("process_resident_memory_bytes", "Resident memory", process.resident_bytes.clone());
        }
        if memory_limit().is_some() {
            registry.register(
                "tollgate_memory_limit_bytes",
                "Memory of the process's container, or of the machine",
                process.memory_limit_bytes.clone(),
            );
        }
        process
    }

    /// Updates the values. Reading `/proc` and `/sys` does not block, so an async thread may call this.
    pub(super) fn read(&self) {
        if let Some(bytes) = resident() {
            self.resident_bytes.set(bytes);
        }
        if let Some(bytes) = memory_limit() {
            self.memory_limit_bytes.set(bytes);
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

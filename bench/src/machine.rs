//! The machine of a measurement, for the report.

use std::fs;

use serde::Serialize;

/// The load above which other programs disturb a measurement.
const QUIET_LOAD: f64 = 0.3;

/// Facts about the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The average number of running processes in the minute before the measurement.
    pub(crate) load: Option<f64>,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processor: processor(&read("/proc/cpuinfo")).unwrap_or("unknown processor").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load(&read("/proc/loadavg")),
        }
    }

    /// A warning if other programs used the machine.
    pub(crate) fn warning(&self) -> Option<String> {
        let load = self.load.filter(|load| *load > QUIET_LOAD)?;
        Some(format!(
            "other programs used this machine before the measurement (load {load:.2}); figures may be too high"
        ))
    }
}

fn processor(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
}

fn load(loadavg: &str) -> Option<f64> {
    loadavg.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_reported() {
        let machine = |load| Machine { processor: String::new(), cores: 2, kernel: String::new(), load };
        assert_eq!((machine(load("0.05 1.0 2.0 1/99 7\n")).warning(), machine(None).warning()), (None, None));
        assert!(machine(load("1.75 1.0 2.0 1/99 7\n")).warning().unwrap().contains("load 1.75"));
        assert_eq!(processor("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: x\n"), Some("AMD EPYC"));
    }
}

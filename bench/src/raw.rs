//! The figures of each run, as a file of comma-separated values. Each line is written as soon as its run has ended.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cpu::CpuTime;
use crate::side::{CostUnit, SideRun};

const COLUMNS: &str = "row,round,place,side,requests,failed,read_bytes,units,user_us,system_us,total_us,\
    workers_user_us,workers_system_us,workers_total_us";

/// The open file of a measurement.
pub(crate) struct RawRuns {
    file: File,
    pub(crate) path: PathBuf,
}

/// The position of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunPlace<'a> {
    pub(crate) row: &'a str,
    pub(crate) round: u32,
    /// The position within the round.
    pub(crate) place: usize,
    pub(crate) side: &'a str,
    pub(crate) unit: CostUnit,
}

impl RawRuns {
    pub(crate) fn create(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("runs.csv");
        let mut file = File::create(&path)?;
        writeln!(file, "{COLUMNS}")?;
        Ok(Self { file, path })
    }

    pub(crate) fn append(&mut self, place: RunPlace<'_>, run: &SideRun) -> anyhow::Result<()> {
        Ok(writeln!(self.file, "{}", line(place, run))?)
    }
}

fn line(place: RunPlace<'_>, run: &SideRun) -> String {
    let RunPlace { row, round, place, side, unit } = place;
    let CpuTime { total_micros, user_micros, system_micros } = run.cpu;
    let workers = run.workers.map_or(String::from(",,"), |workers| {
        format!("{},{},{}", workers.user_micros, workers.system_micros, workers.total_micros)
    });
    let wrk = &run.wrk;
    format!(
        "{row},{round},{place},{side},{},{},{},{},{user_micros},{system_micros},{total_micros},{workers}",
        wrk.requests,
        wrk.failed,
        wrk.read_bytes,
        run.units(unit)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrk::WrkRun;

    #[test]
    fn a_line_has_a_value_for_each_column() {
        let wrk = WrkRun { requests: 5, read_bytes: 600, failed: 1, raw: String::new() };
        let cpu = CpuTime { total_micros: 30, user_micros: 10, system_micros: 20 };
        let place = RunPlace { row: "stream", round: 2, place: 0, side: "nginx", unit: CostUnit::Event { bytes: 200 } };
        let run = SideRun { wrk, cpu, workers: None };
        assert_eq!(line(place, &run), "stream,2,0,nginx,5,1,600,3,10,20,30,,,");
        let with_workers = line(place, &SideRun { workers: Some(cpu), ..run });
        assert_eq!(with_workers, "stream,2,0,nginx,5,1,600,3,10,20,30,10,20,30");
        assert_eq!(with_workers.split(',').count(), COLUMNS.split(',').count());
    }
}

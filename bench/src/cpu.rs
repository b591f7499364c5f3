//! Processor time of a group of processes, or of some of its threads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The length of a clock tick in `/proc/PID/stat`, which the kernel's interface fixes.
const TICK_MICROS: u64 = 10_000;

/// The source of a group's processor time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CpuAccount {
    /// The file `cpu.stat` of a cgroup v2 for the group. It is exact and includes ended processes.
    Cgroup(PathBuf),
    /// `utime` and `stime` of `/proc/PID/stat` over the process tree, in steps of 10 ms per process.
    Tree { root: u32 },
}

impl CpuAccount {
    /// User and system time so far, in microseconds.
    pub(crate) fn micros(&self) -> anyhow::Result<u64> {
        match self {
            Self::Cgroup(dir) => {
                let stat = fs::read_to_string(dir.join("cpu.stat"))?;
                let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
                usage.context("cpu.stat has no usage_usec")?.parse().context("usage_usec")
            }
            Self::Tree { .. } => {
                let ticks = self.pids()?.into_iter().map(|pid| stat_ticks(&format!("/proc/{pid}/stat"))).sum::<u64>();
                Ok(ticks * TICK_MICROS)
            }
        }
    }

    /// The time of the threads whose name begins with `prefix`, in microseconds.
    pub(crate) fn thread_micros(&self, prefix: &str) -> anyhow::Result<u64> {
        let mut nanos = 0;
        for pid in self.pids()? {
            for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
                let dir = task.path();
                if fs::read_to_string(dir.join("comm")).is_ok_and(|name| name.starts_with(prefix)) {
                    nanos += run_nanos(&dir);
                }
            }
        }
        Ok(nanos / 1_000)
    }

    /// The running processes of the group.
    pub(crate) fn pids(&self) -> anyhow::Result<Vec<u32>> {
        match self {
            Self::Cgroup(dir) => {
                let procs = fs::read_to_string(dir.join("cgroup.procs"))?;
                Ok(procs.lines().filter_map(|line| line.parse().ok()).collect())
            }
            Self::Tree { root } => {
                let mut pids = vec![*root];
                let mut next = 0;
                while let Some(&pid) = pids.get(next) {
                    pids.extend(children(pid));
                    next += 1;
                }
                Ok(pids)
            }
        }
    }

    /// The name of the method in the report.
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::Cgroup(_) => "cgroup v2, cpu.stat",
            Self::Tree { .. } => "utime + stime of /proc/PID/stat over the process tree (cgroup v2 is not available)",
        }
    }
}

/// The mount point of cgroup v2, which differs between systems.
pub(crate) fn cgroup_mount(mounts: &str) -> Option<&Path> {
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    mounts.find_map(|mut fields| {
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| Path::new(place))
    })
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Processor time in nanoseconds: the first field of `schedstat`, or `stat` if the kernel lacks `schedstat`.
fn run_nanos(task: &Path) -> u64 {
    let exact = fs::read_to_string(task.join("schedstat")).ok();
    let exact = exact.and_then(|line| line.split(' ').next()?.parse().ok());
    exact.unwrap_or_else(|| stat_ticks(&task.join("stat").to_string_lossy()) * TICK_MICROS * 1_000)
}

/// `utime` + `stime`: the 12th and 13th fields after the name, which may contain spaces.
fn stat_ticks(file: &str) -> u64 {
    let stat = fs::read_to_string(file).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    fields.into_iter().flatten().filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_mount_is_found_wherever_it_is() {
        let check = |mounts: &str, expected: Option<&str>| assert_eq!(cgroup_mount(mounts), expected.map(Path::new));
        check(
            "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0",
            Some("/sys/fs/cgroup/unified"),
        );
        check("tmpfs /sys/fs/cgroup tmpfs rw 0 0", None);
    }

    #[test]
    fn own_time_grows_with_work() {
        let account = CpuAccount::Tree { root: std::process::id() };
        let before = account.micros().unwrap();
        let mut sum = 0_u64;
        while account.micros().unwrap() < before + 3 * TICK_MICROS {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(account.thread_micros("").unwrap() > 0);
        assert_eq!(account.thread_micros("no such thread").unwrap(), 0);
    }
}

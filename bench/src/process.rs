//! Programs in cgroups, their processor time and their memory. A program ends when its value is dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// The time for a shutdown: Tollgate's drain takes 2 s and the requests in flight.
const END_TRIES: u32 = 100;
const END_PAUSE: Duration = Duration::from_millis(100);

/// A running program with its children.
pub(crate) struct ProcessGroup {
    child: Child,
    pub(crate) account: CpuAccount,
}

/// The program to start, and the file of its output.
pub(crate) struct ProcessStart<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    pub(crate) log: PathBuf,
}

impl ProcessGroup {
    /// Starts the program. A shell enters the cgroup before it becomes the program, so that all time is counted.
    pub(crate) fn start(start: &ProcessStart<'_>) -> anyhow::Result<Self> {
        // The file is opened for appending so that it can be emptied while the program writes.
        File::create(&start.log).with_context(|| format!("{}", start.log.display()))?;
        let log = File::options().append(true).open(&start.log)?;
        let cgroup = make_cgroup(start.name);
        let mut command = match &cgroup {
            Some(dir) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(dir).arg(start.program);
                shell
            }
            None => Command::new(start.program),
        };
        command.args(&start.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{}", start.program.display()))?;
        let account = cgroup.map_or(CpuAccount::Tree { root: child.id() }, CpuAccount::Cgroup);
        Ok(Self { child, account })
    }

    /// The id of the program's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns an error if the program has ended.
    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the program ended: {status}"),
        }
    }

    /// Terminates the program, waits, and kills the remaining processes of the group.
    fn end(&mut self) {
        let members = self.account.pids().unwrap_or_default();
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), Signal::TERM);
        }
        wait_until(|| !matches!(self.child.try_wait(), Ok(None)));
        let left = match &self.account {
            CpuAccount::Cgroup(_) => self.account.pids().unwrap_or_default(),
            // The root has ended, so its children cannot be found any more.
            CpuAccount::Tree { .. } => members,
        };
        left.into_iter().filter(|pid| *pid != self.child.id()).for_each(|pid| signal(pid, Signal::KILL));
        drop(self.child.kill());
        drop(self.child.wait());
        if let CpuAccount::Cgroup(dir) = &self.account {
            wait_until(|| fs::remove_dir(dir).is_ok());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "in a drop, after all measurements")]
fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..END_TRIES {
        if done() {
            break;
        }
        std::thread::sleep(END_PAUSE);
    }
}

/// Ignores the error of a process that has just ended.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.end();
    }
}

/// Creates a cgroup; `None` without cgroup v2 or without permission.
fn make_cgroup(name: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let dir = cgroup_mount(&mounts)?.join(format!("tollgate-bench-{}-{name}", std::process::id()));
    fs::create_dir(&dir).ok()?;
    dir.join("cpu.stat").is_file().then_some(dir)
}

/// The mount point of cgroup v2, which differs between systems.
fn cgroup_mount(mounts: &str) -> Option<&Path> {
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.find_map(|fields| match fields.as_slice() {
        [_, place, "cgroup2", ..] => Some(Path::new(*place)),
        _ => None,
    })
}

/// The length of a clock tick in `/proc/PID/stat`, which the kernel's interface fixes.
const TICK_MICROS: u64 = 10_000;

/// Processor time in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CpuTime {
    pub(crate) total_micros: u64,
    pub(crate) user_micros: u64,
    pub(crate) system_micros: u64,
}

impl CpuTime {
    /// The time since an earlier reading.
    pub(crate) fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, |one, other| one + other)
    }

    fn with(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            total_micros: of(self.total_micros, other.total_micros),
            user_micros: of(self.user_micros, other.user_micros),
            system_micros: of(self.system_micros, other.system_micros),
        }
    }
}

/// The source of a group's processor time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CpuAccount {
    /// The file `cpu.stat` of a cgroup v2 for the group. It is exact and includes ended processes.
    Cgroup(PathBuf),
    /// `utime` and `stime` of `/proc/PID/stat` over the process tree, in steps of 10 ms per process.
    Tree { root: u32 },
}

impl CpuAccount {
    /// The time so far.
    pub(crate) fn time(&self) -> anyhow::Result<CpuTime> {
        match self {
            Self::Cgroup(dir) => cgroup_time(&fs::read_to_string(dir.join("cpu.stat"))?),
            Self::Tree { .. } => {
                let times = self.pids()?.into_iter().map(|pid| stat_time(&format!("/proc/{pid}/stat")));
                Ok(times.fold(CpuTime::default(), CpuTime::plus))
            }
        }
    }

    /// User and system time so far, in microseconds.
    pub(crate) fn micros(&self) -> anyhow::Result<u64> {
        Ok(self.time()?.total_micros)
    }

    /// The time of the threads whose name begins with `prefix`. User and system time are in steps of 10 ms per thread;
    /// the total is exact.
    pub(crate) fn thread_time(&self, prefix: &str) -> anyhow::Result<CpuTime> {
        let mut sum = CpuTime::default();
        for pid in self.pids()? {
            for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
                let dir = task.path();
                if fs::read_to_string(dir.join("comm")).is_ok_and(|name| name.starts_with(prefix)) {
                    sum = sum.plus(thread_time(&dir));
                }
            }
        }
        Ok(sum)
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

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

fn cgroup_time(stat: &str) -> anyhow::Result<CpuTime> {
    let field = |name: &str| {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("cpu.stat has no {name}"))?.parse::<u64>().with_context(|| name.to_owned())
    };
    Ok(CpuTime {
        total_micros: field("usage_usec")?,
        user_micros: field("user_usec")?,
        system_micros: field("system_usec")?,
    })
}

/// The total is the first field of `schedstat`, in nanoseconds, or from `stat` if the kernel lacks `schedstat`.
fn thread_time(task: &Path) -> CpuTime {
    let time = stat_time(&task.join("stat").to_string_lossy());
    let exact = fs::read_to_string(task.join("schedstat")).ok();
    let exact = exact.and_then(|line| line.split(' ').next()?.parse::<u64>().ok());
    CpuTime { total_micros: exact.map_or(time.total_micros, |nanos| nanos / 1_000), ..time }
}

/// The time in `/proc/PID/stat`; zero for a process that has ended.
fn stat_time(file: &str) -> CpuTime {
    stat_fields(&fs::read_to_string(file).unwrap_or_default()).unwrap_or_default()
}

/// `utime` and `stime`: the 12th and 13th fields after the name, which may contain spaces.
fn stat_fields(stat: &str) -> Option<CpuTime> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut micros = || Some(fields.next()?.parse::<u64>().ok()? * TICK_MICROS);
    let user_micros = micros()?;
    let system_micros = micros()?;
    Some(CpuTime { total_micros: user_micros + system_micros, user_micros, system_micros })
}

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;

/// The sum over all running processes of the group in KiB. No process is an error.
pub(crate) fn pss_kib(account: &CpuAccount) -> anyhow::Result<u64> {
    let mut sum = 0;
    for pid in account.pids()? {
        match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(rollup) => sum += pss(&rollup).with_context(|| format!("process {pid} has no Pss"))?,
            // The process has just ended.
            Err(error) if matches!(error.raw_os_error(), Some(ENOENT | ESRCH)) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read the memory of process {pid}")),
        }
    }
    ensure!(sum > 0, "the group has no running process");
    Ok(sum)
}

fn pss(rollup: &str) -> Option<u64> {
    rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_is_started_counted_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let start = ProcessStart {
            name: "test",
            program: Path::new("/bin/sh"),
            arguments: vec![String::from("-c"), String::from("sleep 60 & echo started; wait")],
            log: dir.path().join("log"),
        };
        let mut group = ProcessGroup::start(&start).unwrap();
        while fs::read_to_string(dir.path().join("log")).unwrap() != "started\n" {
            group.lives().unwrap();
        }
        let pids = group.account.pids().unwrap();
        assert!(pids.len() >= 2, "{pids:?}");
        let account = group.account.clone();
        drop(group);
        assert!(!Path::new(&format!("/proc/{}", pids[0])).exists());
        if let CpuAccount::Cgroup(dir) = account {
            assert!(!dir.exists());
        }
    }

    #[test]
    fn cgroup_mount_is_found_wherever_it_is() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0";
        assert_eq!(cgroup_mount(mounts), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(cgroup_mount("tmpfs /sys/fs/cgroup tmpfs rw 0 0"), None);
    }

    #[test]
    fn user_and_system_time_are_read_apart() {
        let time = |total_micros, user_micros, system_micros| CpuTime { total_micros, user_micros, system_micros };
        let stat = "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 0\n";
        assert_eq!(cgroup_time(stat).unwrap(), time(30, 10, 20));
        assert!(cgroup_time("usage_usec 30\nuser_usec 10\n").is_err());
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 3 4 0 0 20 0 1 0 5 6 7";
        assert_eq!(stat_fields(stat), Some(time(70_000, 30_000, 40_000)));
        assert_eq!(stat_fields("7 (a) S 1"), None);
        assert_eq!(time(30, 10, 20).since(time(10, 4, 6)), time(20, 6, 14));
    }

    #[test]
    fn own_time_grows_with_work() {
        let account = CpuAccount::Tree { root: std::process::id() };
        let before = account.micros().unwrap();
        let mut sum = 0_u64;
        while account.micros().unwrap() < before + 3 * TICK_MICROS {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(account.thread_time("").unwrap().total_micros > 0);
        assert_eq!(account.thread_time("no such thread").unwrap(), CpuTime::default());
    }

    #[test]
    fn own_memory_is_read() {
        assert_eq!(pss("Rss:  9 kB\nPss:                1234 kB\nPss_Dirty: 1 kB\n"), Some(1_234));
        assert!(pss_kib(&CpuAccount::Tree { root: std::process::id() }).unwrap() > 100);
    }
}

//! A program in a cgroup for its processes and threads. It ends when its value is dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::cpu::{CpuAccount, cgroup_mount};

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
    #[expect(clippy::disallowed_methods, reason = "in a drop, after all measurements")]
    fn end(&mut self) {
        let members = self.account.pids().unwrap_or_default();
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), Signal::TERM);
        }
        for _ in 0..END_TRIES {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(END_PAUSE);
        }
        let left = match &self.account {
            CpuAccount::Cgroup(_) => self.account.pids().unwrap_or_default(),
            // The root has ended, so its children cannot be found any more.
            CpuAccount::Tree { .. } => members,
        };
        left.into_iter().filter(|pid| *pid != self.child.id()).for_each(|pid| signal(pid, Signal::KILL));
        drop(self.child.kill());
        drop(self.child.wait());
        if let CpuAccount::Cgroup(dir) = &self.account {
            for _ in 0..END_TRIES {
                if fs::remove_dir(dir).is_ok() {
                    break;
                }
                std::thread::sleep(END_PAUSE);
            }
        }
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
}

//! A maximum memory of a process, as the containers of a deployment have: a memory cgroup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of one version of cgroups.
struct CgroupFiles {
    root: &'static str,
    limit: &'static str,
    /// The most that the group has used, with the kernel's pages of files.
    peak: &'static str,
    /// Has a line `oom_kill COUNT`.
    kills: &'static str,
}

const VERSIONS: [CgroupFiles; 2] = [
    CgroupFiles {
        root: "/sys/fs/cgroup/memory",
        limit: "memory.limit_in_bytes",
        peak: "memory.max_usage_in_bytes",
        kills: "memory.oom_control",
    },
    CgroupFiles { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak", kills: "memory.events" },
];

/// A cgroup that contains one process. It is removed when it is dropped, if the process has ended.
#[derive(Debug)]
pub struct MemoryBound {
    group: PathBuf,
    peak: &'static str,
    kills: &'static str,
}

impl MemoryBound {
    /// Moves a process into a new group that may use `bytes` from now on. `None` if the system has no memory cgroups, or only
    /// root may create them.
    #[must_use]
    pub fn around(process: u32, bytes: u64) -> Option<Self> {
        VERSIONS.iter().find_map(|files| {
            let group = Path::new(files.root).join(format!("tollgate-e2e-{process}"));
            fs::create_dir(&group).ok()?;
            let bound = Self { group, peak: files.peak, kills: files.kills };
            let is_set = bound.write(files.limit, bytes).and_then(|()| bound.write("cgroup.procs", process.into()));
            is_set.is_ok().then_some(bound)
        })
    }

    /// Returns the most memory that the group has used so far, with the kernel's pages of files.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.read(self.peak).trim().parse().unwrap_or(0)
    }

    /// Returns how many processes of the group the kernel has killed.
    #[must_use]
    pub fn kills(&self) -> u64 {
        let text = self.read(self.kills);
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.group.join(file)).unwrap_or_default()
    }

    fn write(&self, file: &str, value: u64) -> io::Result<()> {
        fs::write(self.group.join(file), value.to_string())
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}

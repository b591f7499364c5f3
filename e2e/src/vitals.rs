//! Memory, CPU time and descriptors of a process, as the kernel counts them, and their limits.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The kernel counts CPU time in ticks of 10 ms (`USER_HZ`) on all platforms of Rust.
const TICK: Duration = Duration::from_millis(10);

/// A running process, measured from outside.
#[derive(Debug, Clone, Copy)]
pub struct Vitals(u32);

impl Vitals {
    /// Wraps the process with id `id`.
    #[must_use]
    pub const fn from_id(id: u32) -> Self {
        Self(id)
    }

    /// Returns the resident memory in bytes (RSS). Unlike PSS, it does not depend on other processes that run the same
    /// program.
    #[must_use]
    pub fn memory_bytes(self) -> u64 {
        kilobytes(&self.read("status"), "VmRSS:")
    }

    /// Returns the highest resident memory so far, in bytes (RSS).
    #[must_use]
    pub fn peak_bytes(self) -> u64 {
        kilobytes(&self.read("status"), "VmHWM:")
    }

    /// Returns the highest resident memory so far, in bytes (RSS); `None` for a process that has ended.
    #[must_use]
    pub fn peak_bytes_if_running(self) -> Option<u64> {
        let status = fs::read_to_string(self.path("status")).ok()?;
        status.contains("VmHWM:").then(|| kilobytes(&status, "VmHWM:"))
    }

    /// Returns the CPU time used so far.
    #[must_use]
    pub fn cpu(self) -> Duration {
        let stat = self.read("stat");
        // A program's name may contain spaces; the fields after its closing parenthesis do not.
        let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: Option<u32> =
            [11, 12].iter().map(|place| words.get(*place).and_then(|word| word.parse::<u32>().ok())).sum();
        match ticks {
            Some(ticks) => TICK * ticks,
            None => panic!("no time: {stat}"),
        }
    }

    /// Returns the number of open descriptors. A server is not dumpable, so only root can read its descriptors.
    #[must_use]
    pub fn descriptors(self) -> usize {
        match fs::read_dir(self.path("fd")) {
            Ok(entries) => entries.count(),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                panic!("{}: {error}: run this test as root", self.path("fd").display())
            }
            Err(_) => 0,
        }
    }

    /// Returns the targets of all open descriptors, such as `socket:[1]` and the paths of files.
    #[must_use]
    pub fn descriptor_targets(self) -> Vec<String> {
        let entries = fs::read_dir(self.path("fd")).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
    }

    /// Returns the number of threads.
    #[must_use]
    pub fn threads(self) -> usize {
        fs::read_dir(self.path("task")).map_or(0, Iterator::count)
    }

    /// Returns the names of all threads.
    #[must_use]
    pub fn thread_names(self) -> Vec<String> {
        let entries = fs::read_dir(self.path("task")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
        names.map(|name| name.trim_end().to_owned()).collect()
    }

    /// Sets the soft limit of open descriptors to `count`.
    pub fn limit_descriptors(self, count: u64) {
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        let hard = getrlimit(Resource::Nofile).maximum;
        if let Err(error) = prlimit(pid, Resource::Nofile, Rlimit { current: Some(count), maximum: hard }) {
            panic!("descriptors cannot be limited: {error}");
        }
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }

    fn read(self, file: &str) -> String {
        match fs::read_to_string(self.path(file)) {
            Ok(text) => text,
            Err(error) => panic!("{}: {error}", self.path(file).display()),
        }
    }
}

/// Returns how many bytes from `from` wait unread in the receive buffer of `at` (IPv4); `None` if there is no such
/// connection.
///
/// # Panics
/// `/proc/net/tcp` cannot be read.
#[must_use]
pub fn unread(at: SocketAddr, from: SocketAddr) -> Option<u64> {
    // Format: `sl: LOCAL REMOTE STATE TX:RX`, all in hex, addresses in the machine's byte order.
    let spelled = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port()),
        SocketAddr::V6(v6) => panic!("no IPv4: {v6}"),
    };
    let at = spelled(at);
    let from = spelled(from);
    let reported = match fs::read_to_string("/proc/net/tcp") {
        Ok(reported) => reported,
        Err(error) => panic!("/proc/net/tcp: {error}"),
    };
    let mut lines = reported.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.get(1) == Some(&at.as_str()) && words.get(2) == Some(&from.as_str()))?;
    u64::from_str_radix(line.get(4)?.split_once(':')?.1, 16).ok()
}

/// Raises the descriptor limit of this process and its later children to `count`, if the system permits it. Root may also raise
/// the maximum.
pub fn raise_descriptors(count: u64) {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < count)
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit { current: Some(count), maximum: now.maximum.map(|most| most.max(count)) },
        )
    {
        panic!("{count} descriptors are needed (ulimit -n): {error}");
    }
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    match line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()) {
        Some(kilobytes) => kilobytes * 1024,
        None => panic!("no {name} {text}"),
    }
}

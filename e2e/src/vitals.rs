//! What a process holds and spends, as the kernel counts it; and what it may hold.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The kernel counts a process's time in ticks of 10 ms (`USER_HZ`) wherever Rust runs.
const TICK: Duration = Duration::from_millis(10);

/// A running process, looked at from outside.
#[derive(Debug, Clone, Copy)]
pub struct Vitals(u32);

impl Vitals {
    /// Of process `id`.
    #[must_use]
    pub const fn of(id: u32) -> Self {
        Self(id)
    }

    /// Memory that it holds, in bytes (RSS): unlike PSS it does not change with how many others run the same program.
    #[must_use]
    pub fn memory_bytes(self) -> u64 {
        kilobytes(&self.read("status"), "VmRSS:")
    }

    /// The most that it ever held, in bytes (RSS).
    #[must_use]
    pub fn peak_bytes(self) -> u64 {
        kilobytes(&self.read("status"), "VmHWM:")
    }

    /// Time that it spent on processors.
    #[must_use]
    pub fn cpu(self) -> Duration {
        let stat = self.read("stat");
        // A program's name may have blanks; what follows its bracket has none.
        let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: Option<u32> =
            [11, 12].iter().map(|place| words.get(*place).and_then(|word| word.parse::<u32>().ok())).sum();
        match ticks {
            Some(ticks) => TICK * ticks,
            None => panic!("no time: {stat}"),
        }
    }

    /// Descriptors that it has open. A server is not dumpable, so that its descriptors are root's to see.
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

    /// Lets it have no descriptor above number `count`.
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

/// Bytes that came to `at` from `from` and that nobody has read yet; `None` where there is no such connection (IPv4).
///
/// # Panics
/// The system tells of no connections.
#[must_use]
pub fn unread(at: SocketAddr, from: SocketAddr) -> Option<u64> {
    // `sl: LOCAL REMOTE STATE TX:RX`, all in hex, addresses in the byte order of the machine.
    let spelled = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port()),
        SocketAddr::V6(v6) => panic!("no IPv4: {v6}"),
    };
    let (at, from) = (spelled(at), spelled(from));
    let told = match fs::read_to_string("/proc/net/tcp") {
        Ok(told) => told,
        Err(error) => panic!("/proc/net/tcp: {error}"),
    };
    let mut lines = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.get(1) == Some(&at.as_str()) && words.get(2) == Some(&from.as_str()))?;
    u64::from_str_radix(line.get(4)?.split_once(':')?.1, 16).ok()
}

/// Lets this process, and those that it starts from now on, have `count` descriptors, where the system allows it.
pub fn raise_descriptors(count: u64) {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < count)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: now.maximum })
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

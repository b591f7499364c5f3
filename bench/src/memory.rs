//! Proportional set size: memory in which shared pages are divided among their processes.

use std::fs;

use anyhow::{Context, ensure};

use crate::cpu::CpuAccount;

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
    fn own_memory_is_read() {
        assert_eq!(pss("Rss:  9 kB\nPss:                1234 kB\nPss_Dirty: 1 kB\n"), Some(1_234));
        assert!(pss_kib(&CpuAccount::Tree { root: std::process::id() }).unwrap() > 100);
    }
}

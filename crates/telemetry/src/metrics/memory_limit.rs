//! The memory that the process may use: the smallest limit of its control groups, or the memory of the machine.

use std::fs;
use std::path::Path;

/// Where control groups are mounted, and the file with their limit of memory, in version 2.
const UNIFIED: (&str, &str) = ("/sys/fs/cgroup", "memory.max");
/// The mount point and the file in version 1.
const LEGACY: (&str, &str) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes");

/// Returns the limit in bytes; `None` on systems other than Linux. Reading `/proc` and `/sys` does not block.
pub(super) fn memory_limit() -> Option<i64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(memory_of_machine)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = group_limits(&groups, |path| fs::read_to_string(path).ok());
    Some(limits.into_iter().fold(machine, i64::min))
}

fn memory_of_machine(meminfo: &str) -> Option<i64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

/// Returns the limits of the groups in the text of `/proc/self/cgroup` and of all groups above them. Inside of a container,
/// only the root of the mount may exist.
fn group_limits(groups: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<i64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let Some(controllers) = fields.next() else { continue };
        let Some(group) = fields.next() else { continue };
        let (mount, file) = match controllers {
            "" => UNIFIED,
            listed if listed.split(',').any(|controller| controller == "memory") => LEGACY,
            _ => continue,
        };
        for above in Path::new(group.trim_start_matches('/')).ancestors() {
            let text = read(&Path::new(mount).join(above).join(file));
            // Version 2 has the word `max` for no limit; version 1 has a number larger than any machine.
            limits.extend(text.and_then(|text| text.trim().parse::<i64>().ok()));
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest(groups: &str, files: &[(&str, &str)]) -> Option<i64> {
        let read =
            |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned());
        group_limits(groups, read).into_iter().min()
    }

    #[test]
    fn the_smallest_limit_of_a_group_and_those_above_it_counts() {
        let service = "0::/system.slice/tollgate.service\n";
        let of_slice = ("/sys/fs/cgroup/system.slice/memory.max", "1000\n");
        let of_service = |text| ("/sys/fs/cgroup/system.slice/tollgate.service/memory.max", text);
        for (groups, files, expected) in [
            (service, vec![of_service("max\n")], None),
            (service, vec![of_service("2000\n")], Some(2000)),
            (service, vec![of_service("2000\n"), of_slice], Some(1000)),
            // A container sees its own group as the root.
            ("0::/\n", vec![("/sys/fs/cgroup/memory.max", "536870912\n")], Some(536_870_912)),
            ("0::/../../other\n", vec![("/sys/fs/cgroup/memory.max", "5\n")], Some(5)),
            (
                "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n",
                vec![("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700\n")],
                Some(700),
            ),
            ("5:cpu:/a\nbroken\n", vec![of_slice], None),
            ("", vec![of_slice], None),
        ] {
            assert_eq!(smallest(groups, &files), expected, "{groups}");
        }
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(memory_of_machine("MemTotal:       24576000 kB\nMemFree: 1 kB\n"), Some(25_165_824_000));
        assert_eq!(memory_of_machine("MemFree: 1 kB\n"), None);
    }
}

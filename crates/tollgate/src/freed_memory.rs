//! The return of freed memory to the system.
//!
//! glibc keeps freed blocks of up to 32 MiB in the heap of each thread after the first such block was freed (mallopt(3),
//! `M_MMAP_THRESHOLD`). After large bodies, a server kept 390 MiB in this way. Bounds that the environment sets do not change.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The bounds in bytes: of blocks in a heap, and of what a heap keeps at its end.
const BOUNDS: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "4194304")];
/// The variable in which operators set all of glibc's bounds.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Executes the program of this process again with the bounds in its environment, which glibc reads only at the start. The id
/// of the process, its arguments and its inherited descriptors stay. On an error, the process continues without the bounds.
pub(crate) fn bound() {
    let has_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
    if !has_glibc || is_chosen(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let mut words = std::env::args_os();
    let Some(name) = words.next() else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let _ = with_bounds(Command::new(program).arg0(name).args(words)).exec();
}

/// Whether the environment has bounds already.
fn is_chosen(has: impl Fn(&str) -> bool) -> bool {
    has(TUNABLES) || BOUNDS.iter().any(|(name, _)| has(name))
}

fn with_bounds(command: &mut Command) -> &mut Command {
    command.envs(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_set_once_and_those_of_the_operator_stay() {
        assert!(!is_chosen(|name| name == "PATH"));
        for name in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"] {
            assert!(is_chosen(|known| known == name), "{name}");
        }
        let mut command = Command::new("tollgate");
        let set: Vec<String> = with_bounds(&mut command)
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)))
            .collect();
        assert!(is_chosen(|name| set.iter().any(|pair| pair.starts_with(name))), "{set:?}");
    }
}

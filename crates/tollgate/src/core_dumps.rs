//! Disables core dumps, so that a crash does not write credentials to disk.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Disables core dumps of this process. On Linux, other processes of the same user can then not read its memory
/// (`ptrace`, `/proc/PID/mem`) or its environment. Errors are ignored: on systems without support, the protection is
/// missing.
pub(crate) fn forbid() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

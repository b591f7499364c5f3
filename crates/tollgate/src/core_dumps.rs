//! A crash writes no memory to disk: there may be credentials in it.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps of this process, and on Linux that others of its user read its memory (`ptrace`, `/proc/PID/mem`) or its
/// environment. What a system refuses stays as it is: dumps are a last resort of whoever is at the machine already.
pub(crate) fn forbid() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

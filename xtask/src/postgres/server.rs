//! The server: a cluster in a temporary folder, on a free port of 127.0.0.1 and a socket in that folder.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::suite::spare_mb;

/// The folder in which Debian installs each major version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The oldest major version that Tollgate supports.
const MAJOR_MIN: u32 = 15;
/// Users to run the server if xtask runs as root, because PostgreSQL refuses root. The first that exists is used.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// The free port may be taken before the server binds it; so the start is repeated.
const STARTS_MAX: usize = 3;
/// A file system in memory. The suite creates six hundred databases of seven hundred files each, which took a twelfth of its
/// processor time on a disk.
const IN_MEMORY: &str = "/dev/shm";
/// The space in [`IN_MEMORY`], and the memory beside the tests, that the suite's databases need: they take 7 GiB.
const IN_MEMORY_MIN_MB: usize = 10 * 1024;
/// The beginning of the names of the servers' folders.
const PREFIX: &str = "tollgate-postgres-";
const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);
/// Disables syncs: the data is deleted after the command, so it need not survive a power failure.
const WITHOUT_SYNCS: [&str; 2] = ["fsync=off", "full_page_writes=off"];
/// Also disables vacuuming, which would open up to ten of the suite's databases each second.
const WITHOUT_VACUUM: [&str; 3] = ["fsync=off", "full_page_writes=off", "autovacuum=off"];
const SETTINGS: [&str; 4] =
    ["max_connections=300", "shared_buffers=64MB", "logging_collector=off", "listen_addresses=127.0.0.1"];

/// The file in a server's folder that is locked while xtask lives.
const LOCK: &str = "lock";

/// The use of a server, which decides its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerUse {
    /// Commits are synced to disk.
    Measurements,
    Tests,
    /// The many short tests of `xtask test`, each with a database.
    Suite,
}

impl ServerUse {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Measurements => &[],
            Self::Tests => &WITHOUT_SYNCS,
            Self::Suite => &WITHOUT_VACUUM,
        }
    }
}

/// A running server. Dropping it deletes its folder.
#[derive(Debug)]
pub(super) struct PostgresServer {
    postmaster: Child,
    port: u16,
    folder: TempDir,
    /// Other runs do not remove the folder while this file is locked.
    _lock: File,
}

/// The user that runs the server in place of root.
#[derive(Debug, Clone, Copy)]
struct ServerUser {
    uid: u32,
    gid: u32,
}

impl PostgresServer {
    /// Creates a cluster and starts it. Says so, and which folders of killed runs it removed.
    pub(super) async fn start(server_use: ServerUse) -> anyhow::Result<Self> {
        let programs = programs(Path::new(VERSIONS))?;
        let disk = std::env::temp_dir();
        let memory = PathBuf::from(IN_MEMORY);
        for folder in [&disk, &memory].into_iter().flat_map(|place| left_folders(place)) {
            // Another run may remove it too.
            if fs::remove_dir_all(&folder).is_ok() {
                writeln!(std::io::stderr(), "postgres: removed {}, which a killed run left", folder.display())?;
            }
        }
        let user = if getuid().is_root() { Some(other_user().await?) } else { None };
        let is_in_memory = server_use == ServerUse::Suite && fits_in(free_mb(&memory), spare_mb());
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(if is_in_memory { memory } else { disk })?;
        let lock = locked(folder.path())?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.uid), Some(user.gid))?;
        }
        let data = folder.path().join("data");
        let initdb = as_user(&programs.join("initdb"), user)
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .await
            .context("cannot run initdb")?;
        ensure!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));
        let mut left = STARTS_MAX;
        loop {
            left -= 1;
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let log = folder.path().join("log");
            let mut postmaster =
                launch(&programs, user, &Launch { data: &data, socket: folder.path(), log: &log, port, server_use })?;
            if ready(&programs, &mut postmaster, port).await? {
                let place = folder.path().display();
                writeln!(
                    std::io::stderr(),
                    "postgres: started on 127.0.0.1:{port}, in {place}, until the command ends"
                )?;
                return Ok(Self { postmaster, port, folder, _lock: lock });
            }
            if left == 0 {
                bail!("PostgreSQL did not start: {}", fs::read_to_string(&log).unwrap_or_default());
            }
        }
    }

    /// The URL of a database on the server, as superuser.
    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server, even with open connections.
    pub(super) async fn stop(mut self) {
        for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
            if let Some(pid) = self.postmaster.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                // The server may have ended already.
                let _ = kill_process(pid, signal);
            }
            if tokio::time::timeout(STOP, self.postmaster.wait()).await.is_ok() {
                break;
            }
        }
        drop(self.folder);
    }
}

/// The programs of the newest installed version.
fn programs(versions: &Path) -> anyhow::Result<PathBuf> {
    let installed = fs::read_dir(versions).into_iter().flatten().flatten();
    let majors = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let usable = majors.filter(|major| versions.join(major.to_string()).join("bin/initdb").exists());
    let Some(major) = usable.max().filter(|major| *major >= MAJOR_MIN) else {
        bail!(
            "PostgreSQL {MAJOR_MIN} or later is missing in {VERSIONS}. Install it as root: apt-get install -y postgresql"
        )
    };
    Ok(versions.join(major.to_string()).join("bin"))
}

/// Creates the locked file of a folder. It gets its name when it is locked, so that no other run locks it first.
fn locked(folder: &Path) -> anyhow::Result<File> {
    let unnamed = folder.join("lock.new");
    let lock = File::create(&unnamed)?;
    lock.lock()?;
    fs::rename(unnamed, folder.join(LOCK))?;
    Ok(lock)
}

/// Returns the folders of killed runs: each other run has locked a file in its folder, or has not created this file yet.
fn left_folders(temporary: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    let is_of_server = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with(PREFIX));
    let folders = entries.filter(|entry| is_of_server(&entry.file_name())).map(|entry| entry.path());
    let is_unlocked = |folder: &PathBuf| File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
    folders.filter(is_unlocked).collect()
}

/// Returns whether the suite's databases fit into a file system in memory with this free space, and into this memory.
fn fits_in(free_mb: Option<usize>, spare_mb: Option<usize>) -> bool {
    [free_mb, spare_mb].iter().all(|found| found.is_some_and(|found| found >= IN_MEMORY_MIN_MB))
}

/// Returns the free space of the file system of a folder.
fn free_mb(folder: &Path) -> Option<usize> {
    let found = rustix::fs::statvfs(folder).ok()?;
    usize::try_from(found.f_bavail.checked_mul(found.f_frsize)? >> 20).ok()
}

async fn other_user() -> anyhow::Result<ServerUser> {
    for name in USERS {
        let number = async |which: &str| -> Option<u32> {
            let output = Command::new("id").args([which, name]).stderr(Stdio::null()).output().await.ok()?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        if let Some(uid) = number("-u").await
            && let Some(gid) = number("-g").await
        {
            return Ok(ServerUser { uid, gid });
        }
    }
    bail!("PostgreSQL does not run as root, and the users {} do not exist", USERS.join(" or "))
}

/// The command that runs a program of the server. If xtask is killed, `setpriv` (not installed on every system) makes
/// the kernel interrupt the program.
fn as_user(program: &Path, user: Option<ServerUser>) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    let mut command = if setpriv.exists() {
        let mut command = Command::new(setpriv);
        if let Some(ServerUser { uid, gid }) = user {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        command.arg("--pdeathsig=INT").arg(program);
        command
    } else {
        let mut command = Command::new(program);
        if let Some(ServerUser { uid, gid }) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    // The server gets a process group, because a terminal's interrupt must reach the command only: it still needs the
    // server.
    command.process_group(0).stdin(Stdio::null()).current_dir("/").kill_on_drop(true);
    command
}

/// The arguments of one start.
struct Launch<'a> {
    data: &'a Path,
    /// The folder of the socket.
    socket: &'a Path,
    log: &'a Path,
    port: u16,
    server_use: ServerUse,
}

fn launch(programs: &Path, user: Option<ServerUser>, options: &Launch<'_>) -> anyhow::Result<Child> {
    let Launch { data, socket, log, port, server_use } = *options;
    let log = File::create(log)?;
    let mut command = as_user(&programs.join("postgres"), user);
    command.arg("-D").arg(data).arg("-k").arg(socket).args(["-p", &port.to_string()]);
    let settings = SETTINGS.into_iter().chain(server_use.settings().iter().copied());
    command.args(settings.flat_map(|setting| ["-c", setting]));
    command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot run postgres")
}

/// Whether the server accepts connections. It is false if the server ends first or takes longer than [`READY`].
async fn ready(programs: &Path, postmaster: &mut Child, port: u16) -> anyhow::Result<bool> {
    let until = tokio::time::Instant::now() + READY;
    while tokio::time::Instant::now() < until {
        if postmaster.try_wait()?.is_some() {
            return Ok(false);
        }
        let mut probe = Command::new(programs.join("pg_isready"));
        let probe = probe.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status().await?;
        if probe.success() {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_ended_runs_are_left() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = temporary.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        folder("tollgate-postgres-begins");
        let runs = locked(&folder("tollgate-postgres-runs")).unwrap();
        locked(&folder("others-ended")).unwrap().unlock().unwrap();
        locked(&folder("tollgate-postgres-ended")).unwrap().unlock().unwrap();
        assert_eq!(left_folders(temporary.path()), [temporary.path().join("tollgate-postgres-ended")]);
        runs.unlock().unwrap();
        assert_eq!(left_folders(temporary.path()).len(), 2);
    }

    #[test]
    fn databases_are_in_memory_if_space_and_memory_suffice() {
        assert!(fits_in(Some(10_240), Some(10_240)));
        assert!(!fits_in(Some(64), Some(64_000)), "containers often have 64 MB");
        assert!(!fits_in(Some(64_000), Some(10_239)) && !fits_in(None, Some(64_000)) && !fits_in(Some(64_000), None));
        assert!(free_mb(&std::env::temp_dir()).is_some_and(|free| free > 0));
        assert_eq!(free_mb(Path::new("/does/not/exist")), None);
    }

    #[test]
    fn the_newest_version_is_used_and_a_missing_one_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        for (version, taken) in
            [("14", None), ("15", Some("15")), ("9", Some("15")), ("17", Some("17")), ("x", Some("17"))]
        {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("initdb"), "").unwrap();
            match (programs(folder.path()), taken) {
                (Ok(found), Some(taken)) => assert_eq!(found, folder.path().join(taken).join("bin")),
                (Err(error), None) => assert!(error.to_string().contains("apt-get install -y postgresql"), "{error}"),
                (found, taken) => panic!("{found:?} {taken:?}"),
            }
        }
    }
}

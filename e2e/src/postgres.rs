//! A PostgreSQL server for one test, which may stop and restart it. `xtask postgres` runs the shared server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::wait::eventually_within;

/// The folder in which Debian installs the programs of each major version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Users that run the server if the test runs as root, which PostgreSQL refuses; the first that exists is used.
const USERS: [&str; 2] = ["postgres", "nobody"];
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "max_connections=100",
    "shared_buffers=16MB",
    "logging_collector=off",
    "listen_addresses=127.0.0.1",
];
const READY: Duration = Duration::from_secs(30);

/// A PostgreSQL cluster in a temporary folder; dropping it stops the server and removes the folder.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    /// User and group of the server, if they differ from those of the test.
    user: Option<(u32, u32)>,
    port: u16,
    postmaster: Option<Child>,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

/// The ways to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT: closes all connections and rolls back open transactions.
    Fast,
    /// SIGQUIT: aborts at once; the next start recovers, as after a crash.
    Immediate,
    /// SIGKILL to the server and all its child processes: no connection is closed cleanly, and the next start
    /// recovers.
    Kill,
}

impl PostgresServer {
    /// Creates a cluster and starts its server.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Like [`PostgresServer::start`], with environment variables for the server.
    pub async fn start_with(variables: &[(String, String)]) -> Self {
        let programs = programs();
        let user = other_user().await;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let folder = tempfile::Builder::new().prefix("tollgate-outage-").tempdir().ok();
        let Some((folder, port)) = folder.zip(port.ok()) else { panic!("no folder or no port for a PostgreSQL") };
        let owned = fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).and_then(|()| match user {
            Some((user, group)) => chown(folder.path(), Some(user), Some(group)),
            None => Ok(()),
        });
        assert!(owned.is_ok(), "{owned:?}");
        let mut server =
            Self { programs, user, port: port.port(), postmaster: None, variables: variables.to_vec(), folder };
        let mut command = server.program("initdb");
        command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]);
        match command.arg(server.folder.path().join("data")).output().await {
            Ok(created) if created.status.success() => {}
            failed => panic!("initdb: {failed:?}"),
        }
        server.resume().await;
        server
    }

    /// Returns the URL of a database on the server, as its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server, even if clients are connected, and waits until it has ended.
    pub async fn stop(&mut self, how: Stop) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        let mut started = Vec::new();
        if let Some(pid) = postmaster.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let send = |pid, signal| {
                let sent = kill_process(pid, signal);
                assert!(sent.is_ok(), "{sent:?}");
            };
            match how {
                Stop::Fast => send(pid, Signal::INT),
                Stop::Immediate => send(pid, Signal::QUIT),
                Stop::Kill => {
                    // While it is stopped, the server starts no new child during the listing of its children.
                    send(pid, Signal::STOP);
                    started = children(pid);
                    assert!(started.len() > 3, "PostgreSQL has fewer processes than expected: {started:?}");
                    send(pid, Signal::KILL);
                    for child in &started {
                        // A child may have ended by itself.
                        let _ = kill_process(*child, Signal::KILL);
                    }
                }
            }
        }
        let ended = tokio::time::timeout(READY, postmaster.wait()).await;
        assert!(matches!(ended, Ok(Ok(_))), "PostgreSQL does not stop: {ended:?}");
        // The shared memory exists until the last process has ended.
        eventually_within(READY, "PostgreSQL's processes end", async || {
            (!started.iter().any(|child| is_running(*child))).then_some(())
        })
        .await;
    }

    /// Starts the server again on the same port and waits until it accepts connections.
    pub async fn resume(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        let Ok((out, err)) = log.and_then(|log| Ok((log.try_clone()?, log))) else { panic!("no log for PostgreSQL") };
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string()]).args(SETTINGS.into_iter().flat_map(|setting| ["-c", setting]));
        match command.stdout(out).stderr(err).spawn() {
            Ok(child) => self.postmaster = Some(child),
            Err(error) => panic!("postgres: {error}"),
        }
        let url = self.url();
        let log = self.folder.path().join("log");
        eventually_within(READY, "PostgreSQL answers", async || {
            if let Some(Ok(Some(ended))) = self.postmaster.as_mut().map(Child::try_wait) {
                panic!("PostgreSQL ended with {ended}: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            PgConnection::connect(&url).await.ok()?.close().await.ok()
        })
        .await;
    }

    /// Builds a command for one of PostgreSQL's programs. If the test is killed, the program receives SIGQUIT; this
    /// needs `setpriv`, which Debian has and other systems may lack.
    fn program(&self, name: &str) -> Command {
        let setpriv = Path::new("/usr/bin/setpriv");
        let program = self.programs.join(name);
        let mut command = Command::new(if setpriv.exists() { setpriv } else { &program });
        if setpriv.exists() {
            if let Some((user, group)) = self.user {
                command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
            }
            command.arg("--pdeathsig=QUIT").arg(program);
        } else if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.envs(self.variables.iter().cloned());
        command.process_group(0).stdin(Stdio::null()).current_dir("/").kill_on_drop(true);
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The child processes end with the postmaster, before the folder is removed.
        let pid = self.postmaster.as_ref().and_then(Child::id);
        if let Some(pid) = pid.and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let is_running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        for _ in 0..200 {
            if !self.postmaster.as_mut().is_some_and(is_running) {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "drop cannot await")]
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Returns state and parent of a process; `None` if the process does not exist.
fn state(process: &Path) -> Option<(char, i32)> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // A program's name may contain spaces; the fields after its closing parenthesis do not.
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn children(of: Pid) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let of = of.as_raw_nonzero().get();
    let children = processes.filter(|process| state(process).is_some_and(|(_, parent)| parent == of));
    children.filter_map(|process| Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)).collect()
}

/// Returns whether a process runs; one that ended and was not yet reaped does not.
fn is_running(process: Pid) -> bool {
    let path = Path::new("/proc").join(process.as_raw_nonzero().get().to_string());
    state(&path).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Returns the folder with the programs of the newest installed version.
fn programs() -> PathBuf {
    let installed = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let majors = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let folder = |major: u32| Path::new(VERSIONS).join(major.to_string()).join("bin");
    match majors.filter(|major| folder(*major).join("initdb").exists()).max() {
        Some(major) => folder(major),
        None => panic!("PostgreSQL is missing in {VERSIONS}. As root: apt-get install -y postgresql"),
    }
}

async fn other_user() -> Option<(u32, u32)> {
    if !getuid().is_root() {
        return None;
    }
    for name in USERS {
        let number = async |which: &str| -> Option<u32> {
            let reported = Command::new("id").args([which, name]).stderr(Stdio::null()).output().await.ok()?;
            String::from_utf8_lossy(&reported.stdout).trim().parse().ok()
        };
        if let Some(user) = number("-u").await
            && let Some(group) = number("-g").await
        {
            return Some((user, group));
        }
    }
    panic!("PostgreSQL does not run as root, and this user does not exist: {}", USERS.join(" or "))
}

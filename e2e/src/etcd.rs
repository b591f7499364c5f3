//! An etcd cluster of three servers for one test, which the test may kill, restart and erase.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::redis::free_port;
use crate::wait::eventually_within;

const READY: Duration = Duration::from_secs(30);
const SERVERS: usize = 3;

/// Servers on ports of 127.0.0.1, in a temporary folder; dropping it stops the servers and removes the folder.
#[derive(Debug)]
pub struct Etcd {
    servers: [Option<Child>; SERVERS],
    /// The ports of clients and of peers.
    ports: [(u16, u16); SERVERS],
    folder: TempDir,
    /// The number of the cluster: one that was erased has another.
    generation: u32,
}

impl Etcd {
    /// Starts a cluster without keys.
    pub async fn start() -> Self {
        let port = || free_port().unwrap_or_else(|error| panic!("no free port: {error}"));
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let ports = std::array::from_fn(|_| (port(), port()));
        let mut etcd = Self { servers: [None, None, None], ports, folder, generation: 0 };
        etcd.resume().await;
        etcd
    }

    /// Returns the URLs of the servers, as a list of YAML.
    #[must_use]
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.ports.iter().map(|(port, _)| format!("\"http://127.0.0.1:{port}\"")).collect();
        format!("[{}]", urls.join(", "))
    }

    /// Starts the servers that do not run, and waits until the cluster has a leader.
    pub async fn resume(&mut self) {
        for server in 0..SERVERS {
            self.launch(server);
        }
        eventually_within(READY, "etcd has a leader", async || self.leader()).await;
    }

    fn launch(&mut self, server: usize) {
        if self.servers[server].is_some() {
            return;
        }
        let peers: Vec<String> =
            self.ports.iter().enumerate().map(|(nth, (_, port))| format!("s{nth}=http://127.0.0.1:{port}")).collect();
        let (client, peer) = self.ports[server];
        let client = format!("http://127.0.0.1:{client}");
        let peer = format!("http://127.0.0.1:{peer}");
        let mut command = Command::new("etcd");
        command.arg("--name").arg(format!("s{server}")).arg("--data-dir").arg(self.data(server));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &peers.join(","), "--initial-cluster-state", "new"]);
        command.args(["--initial-cluster-token", &format!("tollgate-{}", self.generation)]);
        // A busy machine must not elect a leader again and again.
        command.args(["--heartbeat-interval", "200", "--election-timeout", "2000", "--logger", "zap"]);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => self.servers[server] = Some(child),
            Err(error) => panic!("etcd: {error}. As root: apt-get install -y etcd-server etcd-client"),
        }
    }

    fn data(&self, server: usize) -> PathBuf {
        self.folder.path().join(format!("s{server}"))
    }

    /// Runs `etcdctl`, and returns its output; panics if it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        match self.try_ctl(arguments) {
            Some(output) => output,
            None => panic!("etcdctl {arguments:?} failed"),
        }
    }

    fn try_ctl(&self, arguments: &[&str]) -> Option<String> {
        let running = self.ports.iter().zip(&self.servers).filter(|(_, server)| server.is_some());
        let endpoints: Vec<String> = running.map(|((port, _), _)| format!("127.0.0.1:{port}")).collect();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoints.join(",")]).args(arguments);
        match command.stdin(Stdio::null()).output() {
            Ok(output) => output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) => panic!("etcdctl: {error}. As root: apt-get install -y etcd-client"),
        }
    }

    /// Returns the position of the leader.
    fn leader(&self) -> Option<usize> {
        let status: Value = serde_json::from_str(&self.try_ctl(&["endpoint", "status", "-w", "json"])?).ok()?;
        let leads = |of: &&Value| of["Status"]["leader"] == of["Status"]["header"]["member_id"];
        let endpoint = status.as_array()?.iter().find(leads)?["Endpoint"].as_str()?;
        self.ports.iter().position(|(port, _)| endpoint.ends_with(&format!(":{port}")))
    }

    /// Kills the leader with SIGKILL.
    pub fn kill_leader(&mut self) {
        let Some(leader) = self.leader() else { panic!("no leader") };
        self.kill(leader);
    }

    fn kill(&mut self, server: usize) {
        if let Some(mut server) = self.servers[server].take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Kills all servers with SIGKILL.
    pub fn kill_all(&mut self) {
        (0..SERVERS).for_each(|server| self.kill(server));
    }

    /// Kills all servers and removes their disks: the next start is a new cluster, whose revisions begin again.
    pub fn erase(&mut self) {
        self.kill_all();
        self.generation += 1;
        for server in 0..SERVERS {
            let removed = fs::remove_dir_all(self.data(server));
            assert!(removed.is_ok(), "{removed:?}");
        }
    }

    /// Sets a key to this value.
    pub fn put(&self, key: &str, value: &str) {
        self.ctl(&["put", key, value]);
    }

    /// Sets a key to the content of a file, which may be longer than an argument.
    pub fn put_file(&self, key: &str, file: &Path) {
        let content = fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let endpoints: Vec<String> = self.ports.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoints.join(","), "put", key]);
        let put = command.stdin(Stdio::from(content)).stdout(Stdio::null()).status();
        assert!(put.is_ok_and(|status| status.success()), "etcdctl put {key}");
    }

    /// Sets a key, if the cluster has a leader. Returns whether it was set.
    #[must_use]
    pub fn try_put(&self, key: &str, value: &str) -> bool {
        self.try_ctl(&["put", key, value]).is_some()
    }

    /// Removes a key of the cluster.
    pub fn delete(&self, key: &str) {
        self.ctl(&["del", key]);
    }

    /// Removes the history before the present revision.
    pub fn compact(&self) {
        let status: Value = serde_json::from_str(&self.ctl(&["endpoint", "status", "-w", "json"])).unwrap_or_default();
        self.ctl(&["compact", &status[0]["Status"]["header"]["revision"].to_string()]);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill_all();
    }
}

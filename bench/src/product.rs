//! The Tollgate process under test: its mock as a separate process, its configuration, a user, a key, and `serve` in a
//! group.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use access::Secret;
use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::process::{ProcessGroup, ProcessStart};
use crate::proxies::filled;
use crate::tokens::{self, AUDIENCE, CLAIMS, ISSUER};
use crate::tools::free_address;

/// The name prefix of Tollgate's worker threads.
pub(crate) const WORKER_THREADS: &str = "worker";
const EMAIL: &str = "bench@example.com";
/// The plan of the users.
pub(crate) const PLAN: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// The key of an etcd before the name of each member.
pub(crate) const MEMBERS_PREFIX: &str = "/members/";
/// The backends of each of two upstreams of [`ServerConfig::series`], which no request reaches.
const MANY_BACKENDS: u32 = 150;
/// The routes of the usual configuration.
const ROUTES_MIN: u32 = 4;
/// A rate limit for each user, so high that it is checked but never reached.
pub(crate) const RATE_LIMITED: &str = ", requests_per_minute: 2000000000";
/// A quota and a rate limit for each user, both so high that no request reaches them.
pub(crate) const LIMITED: &str = ", credits_per_day: 4000000000, requests_per_minute: 2000000000";

/// The backend of both sides.
pub(crate) struct MockProcess {
    pub(crate) address: SocketAddr,
    _group: ProcessGroup,
}

impl MockProcess {
    /// Starts a backend, whose log has this name.
    pub(crate) async fn start(program: &Path, dir: &Path, name: &str) -> anyhow::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST, program, dir, name).await
    }

    /// Starts a backend that listens on `ip`; an unspecified one is all addresses of this machine.
    pub(crate) async fn start_on(ip: Ipv4Addr, program: &Path, dir: &Path, name: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let listen = SocketAddr::from((ip, address.port())).to_string();
        let arguments = vec![String::from("mock"), String::from("--listen"), listen];
        let start = ProcessStart { name, program, arguments, log: dir.join(format!("{name}.log")) };
        let group = ProcessGroup::start(&start)?;
        Loader::connect_soon(address).await.context("cannot connect to the mock; see its log")?;
        Ok(Self { address, _group: group })
    }
}

/// A running Tollgate with one user and one key.
pub(crate) struct Product {
    pub(crate) group: ProcessGroup,
    pub(crate) proxy: SocketAddr,
    /// The listener with TLS of a full configuration.
    pub(crate) tls: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) key: String,
    /// The file of its output.
    pub(crate) log: PathBuf,
    /// The time from its start until it was ready.
    pub(crate) ready_after: Duration,
    /// The processor time until then, in microseconds.
    pub(crate) cpu_micros: u64,
}

/// The texts in which configurations differ.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    /// Further fields of the users' plan.
    pub(crate) plan: &'static str,
    pub(crate) log_level: &'static str,
    pub(crate) spool_mib: u64,
    /// Further fields of the admin API.
    pub(crate) control: &'static str,
    /// The backend with TLS of a full configuration, whose features rows beside proxies measure.
    pub(crate) origin: Option<SocketAddr>,
    /// The fields of the upstream, instead of one backend.
    pub(crate) backends: Option<String>,
    pub(crate) upstreams: String,
    pub(crate) routes: String,
    pub(crate) sections: String,
}

impl Default for ServerConfig {
    /// A quota and a rate limit for each user, and no log line per request.
    fn default() -> Self {
        Self {
            plan: LIMITED,
            log_level: "warn",
            spool_mib: 1_024,
            control: "",
            origin: None,
            backends: None,
            upstreams: String::new(),
            routes: String::new(),
            sections: String::new(),
        }
    }
}

impl ServerConfig {
    /// All features of rows beside proxies; `origin` is the backend with TLS.
    pub(crate) fn full(origin: SocketAddr) -> Self {
        let sections = include_str!("../tollgate/full-sections.yaml").to_owned();
        let upstreams = include_str!("../tollgate/full-upstreams.yaml").to_owned();
        let routes = include_str!("../tollgate/full-routes.yaml").to_owned();
        Self { origin: Some(origin), sections, upstreams, routes, ..Self::default() }
    }

    /// The routes whose instructions are counted, besides the usual ones.
    pub(crate) fn counted() -> Self {
        Self { routes: include_str!("../tollgate/counted-routes.yaml").to_owned(), ..Self::default() }
    }

    /// This number of routes: exact paths, prefixes and templates in turn, which no request matches.
    pub(crate) fn routes(count: u32) -> Self {
        let path = |number: u32| match number % 3 {
            0 => format!("/service/{number}/items"),
            1 => format!("{{prefix: /service/{number}}}"),
            _ => format!("\"/service/{number}/users/{{id}}\""),
        };
        let route = |number| format!("  - {{path: {}, upstreams: backend}}\n", path(number));
        Self { routes: (0..count.saturating_sub(ROUTES_MIN)).map(route).collect(), ..Self::default() }
    }

    /// Two backends in turn.
    pub(crate) fn backends(first: SocketAddr, second: SocketAddr) -> Self {
        let backends = format!("backends: [{{url: \"http://{first}\"}}, {{url: \"http://{second}\"}}]");
        Self { backends: Some(backends), ..Self::default() }
    }

    /// A model with this number of targets at the mock.
    pub(crate) fn targets(count: u32) -> Self {
        let model = |number: u32| if number == 0 { "instant".into() } else { format!("tokens-{number}-0") };
        let targets: Vec<String> =
            (0..count).map(|number| format!("{{provider: mock, model: {}}}", model(number))).collect();
        let sections = format!("models:\n  - {{name: targeted, targets: [{}]}}\n", targets.join(", "));
        Self { sections, ..Self::default() }
    }

    /// Two more upstreams, so that the metrics have at least 10,000 series. The first check of a backend begins its series.
    pub(crate) fn series() -> Self {
        let upstream = |name: &str| {
            let backend = |number: u32| format!("{{url: \"http://127.0.1.{}:9/{name}\"}}", number + 1);
            let backends: Vec<String> = (0..MANY_BACKENDS).map(backend).collect();
            let check = "health_check: {tcp: true, interval: 1h}";
            format!("  - {{name: {name}, backends: [{}], {check}}}\n", backends.join(", "))
        };
        Self { upstreams: ["many", "more"].map(upstream).concat(), ..Self::default() }
    }

    /// The backends of the upstream are members from the etcd at this address.
    pub(crate) fn members(etcd: SocketAddr) -> Self {
        let backends = Some(format!("discover: {{etcd: {MEMBERS_PREFIX}}}"));
        Self { backends, sections: format!("etcd: {{urls: [\"http://{etcd}\"]}}\n"), ..Self::default() }
    }

    /// Traces of this share of the requests, for the receiver at this address.
    pub(crate) fn traces(sample: &str, receiver: SocketAddr) -> Self {
        let sections = format!("traces: {{otlp: \"http://{receiver}\", sample: {sample}}}\n");
        Self { sections, ..Self::default() }
    }

    /// The whole file; `addresses` are those of the proxy, of TLS, of the admin API and of the mock.
    fn text(&self, [proxy, tls, control, backend]: [SocketAddr; 4], out: &Path) -> String {
        let [certificate, key] = tokens::certificate_files(out).map(|file| text(&file));
        let listen = match self.origin {
            None => proxy.to_string(),
            Some(_) => {
                format!("[{{address: \"{proxy}\"}}, {{address: \"{tls}\", tls: {{cert: {certificate}, key: {key}}}}}]")
            }
        };
        let backends = self.backends.clone().unwrap_or_else(|| format!("backends: [{{url: \"http://{backend}\"}}]"));
        let claims: Vec<String> = CLAIMS.iter().map(|(claim, header, _)| format!("{claim}: {header}")).collect();
        // The first holes contain further ones.
        let holes = [
            ("sections", self.sections.clone()),
            ("upstreams", self.upstreams.clone()),
            ("routes", self.routes.clone()),
            ("backends", backends),
            ("listen", listen),
            ("limits", self.control.to_owned()),
            ("level", self.log_level.to_owned()),
            ("spool", format!("{}MiB", self.spool_mib)),
            ("plan", format!("{PLAN}{}", self.plan)),
            ("control", control.to_string()),
            ("backend", backend.to_string()),
            ("origin", self.origin.map(|origin| origin.to_string()).unwrap_or_default()),
            ("out", text(out)),
            ("issuer", ISSUER.to_owned()),
            ("audience", AUDIENCE.to_owned()),
            ("claims", format!("{{{}}}", claims.join(", "))),
        ];
        filled(include_str!("../tollgate/tollgate.yaml"), &holes.map(|(hole, text)| (hole.to_owned(), text)))
    }
}

/// The start of a Tollgate. The configuration and the log stay in `out`; the data is deleted.
#[derive(Clone)]
pub(crate) struct ProductStart<'a> {
    pub(crate) program: &'a Path,
    pub(crate) data: &'a Path,
    pub(crate) out: &'a Path,
    /// The name of its files and of its group.
    pub(crate) name: &'a str,
    /// The URL of its PostgreSQL; `None` means SQLite in `data`.
    pub(crate) url: Option<&'a Secret>,
    pub(crate) config: ServerConfig,
    pub(crate) workers: u32,
    /// A program with arguments that runs Tollgate; empty to start Tollgate itself.
    pub(crate) under: &'a [String],
    /// The maximum time of the start.
    pub(crate) patience: Duration,
}

impl<'a> ProductStart<'a> {
    /// As many workers as nginx and HAProxy have, and SQLite.
    pub(crate) fn new(program: &'a Path, data: &'a Path, out: &'a Path, name: &'a str) -> Self {
        let config = ServerConfig::default();
        Self { program, data, out, name, url: None, config, workers: 2, under: &[], patience: PATIENCE }
    }

    pub(crate) async fn run(&self, backend: SocketAddr) -> anyhow::Result<Product> {
        let proxy = free_address()?;
        let tls = free_address()?;
        let control = free_address()?;
        let file = self.out.join(format!("{}.yaml", self.name));
        let store = self.url.map(|url| format!("store: {{url: \"{}\"}}\n", url.expose())).unwrap_or_default();
        std::fs::write(&file, self.config.text([proxy, tls, control, backend], self.out) + &store)?;
        let common = [String::from("--config"), text(&file), String::from("--data"), text(self.data)];
        let words = [text(self.program), String::from("serve"), String::from("--workers"), self.workers.to_string()];
        let mut arguments: Vec<String> = self.under.iter().cloned().chain(words).chain(common.clone()).collect();
        let program = PathBuf::from(arguments.remove(0));
        let log = self.out.join(format!("{}.log", self.name));
        let start = ProcessStart { name: self.name, program: &program, arguments, log };
        let began = Instant::now();
        let mut group = ProcessGroup::start(&start)?;
        ready(&mut group, control, self.patience).await.context("tollgate serve did not become ready; see its log")?;
        let ready_after = began.elapsed();
        let cpu_micros = group.account.time()?.total_micros;
        let command = |words: &[&str]| run_command(self.program, words, &common);
        command(&["users", "create", "--email", EMAIL, "--plan", PLAN])?;
        let printed = command(&["keys", "create", "--user", EMAIL, "--label", "bench"])?;
        let key = find_key(&printed).context("tollgate keys create printed no key")?;
        Ok(Product { group, proxy, tls, control, key, log: start.log, ready_after, cpu_micros })
    }
}

/// Waits until the admin API reports that Tollgate is ready.
async fn ready(group: &mut ProcessGroup, control: SocketAddr, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        group.lives()?;
        if let Ok(mut loader) = Loader::connect(control, None).await
            && loader.get("/readyz").await.is_ok_and(|response| response.status == 200)
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("/readyz was not 200 in {} s", patience.as_secs());
        }
        sleep(PAUSE).await;
    }
}

/// Runs a command of Tollgate and returns its output.
fn run_command(program: &Path, words: &[&str], common: &[String]) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).args(common).output()?;
    if !output.status.success() {
        bail!("tollgate {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first word that consists of `PREFIX_` and 32 hex digits.
fn find_key(printed: &str) -> Option<String> {
    let words = printed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let is_key = |word: &&str| {
        word.rsplit_once('_').is_some_and(|(prefix, hex)| {
            !prefix.is_empty() && hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    words.into_iter().find(is_key).map(str::to_owned)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads each configuration as Tollgate does. Defaults and bounds of the settings change.
    #[test]
    fn the_configurations_are_valid() {
        let [first, second, addresses @ ..] = [5, 6, 7, 8, 9, 10].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let dir = tempfile::tempdir().unwrap();
        tokens::create_certificate(dir.path()).unwrap();
        tokens::TokenIssuer::create(dir.path()).unwrap();
        for config in [
            ServerConfig::default(),
            ServerConfig { plan: RATE_LIMITED, log_level: "info", ..ServerConfig::default() },
            ServerConfig { control: crate::api::LIMITS, spool_mib: 20_000, ..ServerConfig::default() },
            ServerConfig::full(first),
            ServerConfig::counted(),
            ServerConfig::routes(10),
            ServerConfig::backends(first, second),
            ServerConfig::targets(2),
            ServerConfig::series(),
            ServerConfig::members(first),
            ServerConfig::traces("100%", first),
        ] {
            let file = dir.path().join("tollgate.yaml");
            let text = config.text(addresses, dir.path());
            std::fs::write(&file, &text).unwrap();
            let environment = ::config::Environment::default();
            let sources =
                ::config::Sources { file: Some(&file), environment: &environment, flags: ::config::Flags::default() };
            let loaded = ::config::load(sources);
            assert!(loaded.is_ok(), "{:?}\n{text}", loaded.err());
        }
    }

    #[test]
    fn the_key_is_found_in_the_output() {
        let key = "tollgate_0123456789abcdef0123456789abcdef";
        assert_eq!(find_key(&format!("key  {key}\nshown once, for bench@example.com\n")).as_deref(), Some(key));
        assert_eq!(find_key(&format!("{{\"key\":\"{key}\"}}")).as_deref(), Some(key));
        assert_eq!(find_key("tollgate_0123 nothing"), None);
    }
}

//! The proxies of the comparison: nginx, HAProxy, Envoy and Traefik, configured by the files in the folders of their names;
//! and the backend with TLS, an nginx in front of the mock whose time counts for no side.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::process::{ProcessGroup, ProcessStart};
use crate::request::BenchRequest;
use crate::tokens::{AUDIENCE, ISSUER, TokenIssuer};
use crate::tools::{ToolPaths, free_address, is_optional};

/// The time in which a proxy must forward its first request.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// The listener without any feature.
pub(crate) const PLAIN: &str = "plain";

/// A program that forwards requests.
pub(crate) struct ProxyKind {
    /// The name of the program, and of the folder of its configuration.
    pub(crate) name: &'static str,
    tool: &'static str,
    /// The configuration files, with holes for addresses and the folder. `CONFIG` in the command is the path of the first.
    files: &'static [(&'static str, &'static str)],
    /// The command that runs the program in the foreground, with two workers.
    command: &'static str,
    /// The listeners of the configuration, which are the names of its holes.
    listeners: &'static [&'static str],
}

/// The proxies of the comparison, in the order of the report. The names of listeners say what each of them does:
/// `resilient` checks its backend, retries and limits connections as far as the proxy can; `stream` forwards each event
/// immediately; `http2` and `grpc` are without TLS, the latter also to the backend; `tls_both` has a backend with TLS;
/// `jwt` verifies tokens, limits requests and writes claims to headers; `edited` edits three headers each way.
pub(crate) const PROXIES: [ProxyKind; 4] = [
    ProxyKind {
        name: "nginx",
        tool: "nginx",
        files: &[("config", include_str!("../nginx/nginx.conf"))],
        command: "PROGRAM -p DIR -c CONFIG -e DIR/error.log",
        listeners: &[
            PLAIN,
            "resilient",
            "edited",
            "grpc",
            "socket",
            "stream",
            "http2",
            "tls",
            "tls_both",
            "cached",
            "gzip",
        ],
    },
    ProxyKind {
        name: "haproxy",
        tool: "haproxy",
        files: &[("config", include_str!("../haproxy/haproxy.cfg"))],
        command: "PROGRAM -db -f CONFIG",
        listeners: &[PLAIN, "resilient", "edited", "grpc", "socket", "stream", "cached"],
    },
    // Processes that may be restarted without downtime use memory that all of them have in common.
    ProxyKind {
        name: "envoy",
        tool: "envoy",
        files: &[("envoy.yaml", include_str!("../envoy/envoy.yaml"))],
        command: "PROGRAM -c CONFIG --concurrency 2 --disable-hot-restart --log-level error",
        listeners: &[PLAIN, "resilient", "edited", "grpc", "socket", "jwt", "gzip", "tls_both"],
    },
    ProxyKind {
        name: "traefik",
        tool: "traefik",
        files: &[
            ("traefik.yaml", include_str!("../traefik/traefik.yaml")),
            ("routes.yaml", include_str!("../traefik/routes.yaml")),
        ],
        command: "/usr/bin/env GOMAXPROCS=2 PROGRAM --configFile=CONFIG",
        listeners: &[PLAIN, "resilient", "edited", "grpc", "socket", "gzip"],
    },
];

/// The backend with TLS.
const ORIGIN: ProxyKind = ProxyKind {
    name: "origin",
    tool: "nginx",
    files: &[("config", include_str!("../nginx/origin.conf"))],
    command: "PROGRAM -p DIR -c CONFIG",
    listeners: &["origin"],
};

impl ProxyKind {
    fn command(&self, program: &Path, dir: &Path) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let config = self.files.first().map(|(name, _)| text(&dir.join(name))).unwrap_or_default();
        let filled =
            |word: &str| word.replace("PROGRAM", &text(program)).replace("CONFIG", &config).replace("DIR", &text(dir));
        self.command.split(' ').map(filled).collect()
    }
}

/// A proxy that runs and forwards requests.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) group: ProcessGroup,
    addresses: Vec<(&'static str, SocketAddr)>,
}

/// The backend with TLS, and the proxies of the comparison.
pub(crate) struct RunningProxies {
    pub(crate) origin: SocketAddr,
    pub(crate) list: Vec<Proxy>,
    _origin: Proxy,
}

/// The parts that all proxies of a measurement use.
#[derive(Clone, Copy)]
pub(crate) struct ProxyStart<'a> {
    pub(crate) tools: &'a ToolPaths,
    pub(crate) backend: SocketAddr,
    /// The folder in which each proxy has a new folder for its files.
    pub(crate) out: &'a Path,
    /// The issuer whose tokens Envoy verifies.
    pub(crate) issuer: &'a TokenIssuer,
}

impl ProxyStart<'_> {
    /// Starts nginx, HAProxy and, if `all`, those of the others that are installed.
    pub(crate) async fn run(&self, all: bool) -> anyhow::Result<RunningProxies> {
        let proxy = self.start(&ORIGIN, self.backend).await?;
        let origin = proxy.listener(ORIGIN.name)?;
        let mut list = Vec::new();
        for kind in &PROXIES {
            if !is_optional(kind.tool) || (all && self.tools.has(kind.tool)) {
                let mut proxy = self.start(kind, origin).await?;
                proxy.ready().await.with_context(|| format!("{}; see its log", kind.name))?;
                list.push(proxy);
            }
        }
        Ok(RunningProxies { origin, list, _origin: proxy })
    }

    /// Starts a proxy, and waits until all its listeners are open.
    async fn start(&self, kind: &ProxyKind, origin: SocketAddr) -> anyhow::Result<Proxy> {
        // The workers of nginx run as `nobody` and must be able to enter the folder.
        let name = kind.name;
        let dir = self.out.join(kind.name);
        std::fs::create_dir(&dir)?;
        let with_port = |listener: &&'static str| Ok((*listener, free_address()?));
        let addresses = kind.listeners.iter().map(with_port).collect::<anyhow::Result<Vec<_>>>()?;
        let mut holes = vec![
            ("dir".to_owned(), dir.display().to_string()),
            ("issuer".to_owned(), ISSUER.to_owned()),
            ("audience".to_owned(), AUDIENCE.to_owned()),
            ("jwks".to_owned(), self.issuer.jwks()?),
        ];
        for (hole, address) in addresses.iter().copied().chain([("backend", self.backend), ("origin", origin)]) {
            holes.push((hole.to_owned(), address.to_string()));
            holes.push((format!("{hole}.port"), address.port().to_string()));
        }
        for (file, template) in kind.files {
            std::fs::write(dir.join(file), filled(template, &holes))?;
        }
        let command = kind.command(self.tools.path(kind.tool)?, &dir);
        let (program, arguments) = command.split_first().context("internal error: no command")?;
        let program = Path::new(program);
        let arguments = arguments.to_vec();
        let log = dir.join("output.log");
        let group = ProcessGroup::start(&ProcessStart { name, program, arguments, log })?;
        for (_, address) in &addresses {
            Loader::connect_soon(*address).await.with_context(|| format!("{name}; see {}", dir.display()))?;
        }
        Ok(Proxy { name, group, addresses })
    }
}

impl Proxy {
    /// Waits until the plain listener forwards a request.
    async fn ready(&mut self) -> anyhow::Result<()> {
        let plain = self.listener(PLAIN)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.group.lives()?;
            let response = Loader::connect(plain, None).await?.get(BenchRequest::PLAIN.path).await?;
            if response.status == 200 {
                return Ok(());
            }
            // Traefik opens its port before it has routes.
            if Instant::now() > deadline {
                bail!("the status of the first request is {}", response.status);
            }
            sleep(PAUSE).await;
        }
    }

    pub(crate) fn listener(&self, listener: &str) -> anyhow::Result<SocketAddr> {
        let found = self.addresses.iter().find(|(other, _)| *other == listener);
        found.map(|(_, address)| *address).with_context(|| format!("internal error: no listener {listener}"))
    }
}

/// Fills each `{{hole}}` of a configuration with its text.
pub(crate) fn filled(template: &str, holes: &[(String, String)]) -> String {
    holes.iter().fold(template.to_owned(), |config, (hole, text)| config.replace(&format!("{{{{{hole}}}}}"), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{ROWS, RowKind};
    use crate::tokens::CLAIMS;

    #[test]
    fn all_proxies_have_equal_workers_and_no_empty_holes() {
        let workers = ["worker_processes 2;", "nbthread 2\n", "--concurrency 2 ", "GOMAXPROCS=2 "];
        for (kind, workers) in PROXIES.iter().zip(workers) {
            let addresses = kind.listeners.iter().copied().chain(["backend", "origin"]);
            let addresses = addresses.flat_map(|hole| [hole.to_owned(), format!("{hole}.port")]);
            let holes = addresses.chain(["dir", "jwks", "issuer", "audience"].map(str::to_owned));
            let holes: Vec<(String, String)> = holes.map(|hole| (hole, String::from("text"))).collect();
            let mut text = kind.command(Path::new("/x"), Path::new("/y")).join(" ");
            for (_, template) in kind.files {
                let config = filled(template, &holes);
                let is_open = |line: &&str| line.contains("{{") && !line.starts_with('#');
                assert_eq!(config.lines().find(is_open), None);
                text.push_str(&config);
            }
            assert!(text.contains(workers), "{text}");
        }
    }

    #[test]
    fn each_listener_of_a_row_is_one_of_its_proxies() {
        for row in ROWS {
            let RowKind::Proxies(proxies, _) = row.kind else { continue };
            let kinds: Vec<_> = PROXIES.iter().filter(|kind| proxies.contains(&kind.name)).collect();
            let having = kinds.iter().filter(|kind| kind.listeners.contains(&row.listener)).count();
            // Of the proxies, only Envoy verifies tokens.
            assert_eq!(having, if row.listener == "jwt" { 1 } else { proxies.len() }, "{}", row.name);
        }
    }

    #[test]
    fn envoy_writes_the_same_claims_as_tollgate() {
        let config = include_str!("../envoy/envoy.yaml");
        for (claim, header, _) in CLAIMS {
            assert!(config.contains(&format!("{{claim_name: {claim}, header_name: {header}}}")), "{claim}");
        }
        assert_eq!(config.matches("claim_name").count(), CLAIMS.len());
    }
}

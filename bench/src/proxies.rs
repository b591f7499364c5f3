//! The proxies of the comparison: nginx, HAProxy, Envoy and Traefik, configured by the files in the folders of their names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::process::{ProcessGroup, ProcessStart};
use crate::request::BenchRequest;
use crate::tokens::{AUDIENCE, ISSUER, TokenIssuer};
use crate::tools::{BenchTool, ToolPaths, free_address};

/// The time in which a proxy must forward its first request.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// A proxy of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProxyKind {
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
}

/// The parts of a proxy that differ.
struct ProxyFacts {
    tool: BenchTool,
    /// The configuration files, with holes for addresses and the folder. `CONFIG` in the command is the path of the first.
    files: &'static [(&'static str, &'static str)],
    /// The command that runs the program in the foreground, with two workers.
    command: &'static str,
    /// The listeners that the configuration has besides those of all proxies.
    listeners: &'static [Listener],
}

impl ProxyFacts {
    fn listeners(&self) -> impl Iterator<Item = Listener> {
        let of_all = [Listener::Plain, Listener::Resilient, Listener::Edited, Listener::Grpc, Listener::Socket];
        of_all.into_iter().chain(self.listeners.iter().copied())
    }
}

impl ProxyKind {
    pub(crate) const ALL: [Self; 4] = [Self::Nginx, Self::Haproxy, Self::Envoy, Self::Traefik];

    const fn facts(self) -> ProxyFacts {
        match self {
            Self::Nginx => ProxyFacts {
                tool: BenchTool::Nginx,
                files: &[("config", include_str!("../nginx/nginx.conf"))],
                command: "PROGRAM -p DIR -c CONFIG -e DIR/error.log",
                listeners: &[
                    Listener::Stream,
                    Listener::Http2,
                    Listener::Tls,
                    Listener::TlsBoth,
                    Listener::Cached,
                    Listener::Gzip,
                ],
            },
            Self::Haproxy => ProxyFacts {
                tool: BenchTool::Haproxy,
                files: &[("config", include_str!("../haproxy/haproxy.cfg"))],
                command: "PROGRAM -db -f CONFIG",
                listeners: &[Listener::Stream, Listener::Cached],
            },
            // Processes that may be restarted without downtime use memory that all of them have in common.
            Self::Envoy => ProxyFacts {
                tool: BenchTool::Envoy,
                files: &[("envoy.yaml", include_str!("../envoy/envoy.yaml"))],
                command: "PROGRAM -c CONFIG --concurrency 2 --disable-hot-restart --log-level error",
                listeners: &[Listener::Jwt, Listener::Gzip, Listener::TlsBoth],
            },
            Self::Traefik => ProxyFacts {
                tool: BenchTool::Traefik,
                files: &[
                    ("traefik.yaml", include_str!("../traefik/traefik.yaml")),
                    ("routes.yaml", include_str!("../traefik/routes.yaml")),
                ],
                command: "/usr/bin/env GOMAXPROCS=2 PROGRAM --configFile=CONFIG",
                listeners: &[Listener::Gzip],
            },
        }
    }

    pub(crate) const fn tool(self) -> BenchTool {
        self.facts().tool
    }

    pub(crate) const fn name(self) -> &'static str {
        self.tool().program()
    }

    fn command(self, program: &Path, dir: &Path) -> Vec<String> {
        let facts = self.facts();
        let config = facts.files.first().map(|(name, _)| text(&dir.join(name))).unwrap_or_default();
        let filled =
            |word: &str| word.replace("PROGRAM", &text(program)).replace("CONFIG", &config).replace("DIR", &text(dir));
        facts.command.split(' ').map(filled).collect()
    }
}

/// A listener of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Plain,
    /// Checks its backend, retries, and limits connections, as far as the proxy can.
    Resilient,
    /// Forwards each event of a stream immediately.
    Stream,
    /// Serves HTTP/2 without TLS.
    Http2,
    Tls,
    /// TLS, to a backend with TLS.
    TlsBoth,
    /// Verifies access tokens, limits requests and writes claims to headers.
    Jwt,
    /// Edits three headers of each request and of each response.
    Edited,
    /// Serves HTTP/2 without TLS, to a backend of HTTP/2 without TLS.
    Grpc,
    /// Forwards requests for WebSockets.
    Socket,
    /// Stores responses of the backend.
    Cached,
    /// Compresses responses with gzip.
    Gzip,
}

impl Listener {
    /// The name of the hole in the configuration.
    const fn hole(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Resilient => "resilient",
            Self::Stream => "stream",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::TlsBoth => "tls_both",
            Self::Jwt => "jwt",
            Self::Edited => "edited",
            Self::Grpc => "grpc",
            Self::Socket => "socket",
            Self::Cached => "cached",
            Self::Gzip => "gzip",
        }
    }
}

/// A proxy that runs and forwards requests.
pub(crate) struct Proxy {
    pub(crate) group: ProcessGroup,
    addresses: Vec<(Listener, SocketAddr)>,
}

/// The parts that all proxies of a measurement use.
#[derive(Clone, Copy)]
pub(crate) struct ProxyStart<'a> {
    pub(crate) tools: &'a ToolPaths,
    pub(crate) backend: SocketAddr,
    /// The backend with TLS.
    pub(crate) origin: SocketAddr,
    /// The folder in which each proxy has a new folder for its files.
    pub(crate) out: &'a Path,
    /// The issuer whose tokens Envoy verifies.
    pub(crate) issuer: &'a TokenIssuer,
}

impl ProxyStart<'_> {
    /// Starts nginx, HAProxy and, if `all`, those of the others that are installed.
    pub(crate) async fn run(&self, all: bool) -> anyhow::Result<BTreeMap<ProxyKind, Proxy>> {
        let mut running = BTreeMap::new();
        for kind in ProxyKind::ALL {
            if !kind.tool().is_optional() || (all && self.tools.has(kind.tool())) {
                running.insert(kind, Proxy::start(kind, self).await?);
            }
        }
        Ok(running)
    }

    /// The texts that replace the holes of the configurations.
    fn holes(&self, addresses: &[(Listener, SocketAddr)], dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
        let listeners = addresses.iter().map(|(listener, address)| (listener.hole(), *address));
        let mut holes = Vec::new();
        for (hole, address) in listeners.chain([("backend", self.backend), ("origin", self.origin)]) {
            holes.push((hole.to_owned(), address.to_string()));
            holes.push((format!("{hole}.port"), address.port().to_string()));
        }
        let (issuer, audience) = (ISSUER.to_owned(), AUDIENCE.to_owned());
        let others = [("dir", text(dir)), ("issuer", issuer), ("audience", audience), ("jwks", self.issuer.jwks()?)];
        holes.extend(others.map(|(hole, text)| (hole.to_owned(), text)));
        Ok(holes)
    }
}

impl Proxy {
    /// Starts a proxy, and waits until it forwards requests.
    async fn start(kind: ProxyKind, start: &ProxyStart<'_>) -> anyhow::Result<Self> {
        // The workers of nginx run as `nobody` and must be able to enter the folder.
        let (name, facts, dir) = (kind.name(), kind.facts(), start.out.join(kind.name()));
        std::fs::create_dir(&dir)?;
        let with_port = |listener| Ok((listener, free_address()?));
        let addresses = facts.listeners().map(with_port).collect::<anyhow::Result<Vec<_>>>()?;
        let holes = start.holes(&addresses, &dir)?;
        for (file, template) in facts.files {
            std::fs::write(dir.join(file), filled(template, &holes))?;
        }
        let command = kind.command(start.tools.path(facts.tool)?, &dir);
        let (program, arguments) = command.split_first().context("internal error: no command")?;
        let (program, arguments, log) = (Path::new(program), arguments.to_vec(), dir.join("output.log"));
        let group = ProcessGroup::start(&ProcessStart { name, program, arguments, log })?;
        let mut proxy = Self { group, addresses };
        proxy.ready().await.with_context(|| format!("{name}; see {}", dir.display()))?;
        Ok(proxy)
    }

    /// Waits until all listeners are open, and the plain one forwards a request.
    async fn ready(&mut self) -> anyhow::Result<()> {
        for (_, address) in &self.addresses {
            Loader::connect_soon(*address).await?;
        }
        let (plain, deadline) = (self.listener(Listener::Plain)?, Instant::now() + PATIENCE);
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

    pub(crate) fn listener(&self, listener: Listener) -> anyhow::Result<SocketAddr> {
        let found = self.addresses.iter().find(|(other, _)| *other == listener);
        found.map(|(_, address)| *address).with_context(|| format!("internal error: no listener {listener:?}"))
    }
}

pub(crate) fn filled(template: &str, holes: &[(String, String)]) -> String {
    holes.iter().fold(template.to_owned(), |config, (hole, text)| config.replace(&format!("{{{{{hole}}}}}"), text))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::CLAIMS;

    #[test]
    fn all_proxies_have_equal_workers_and_no_empty_holes() {
        let check = |kind: ProxyKind, workers: &str| {
            let facts = kind.facts();
            let listeners = facts.listeners().map(Listener::hole);
            let addresses =
                listeners.chain(["backend", "origin"]).flat_map(|hole| [hole.to_owned(), format!("{hole}.port")]);
            let others = ["dir", "jwks", "issuer", "audience"].map(str::to_owned);
            let holes: Vec<(String, String)> =
                addresses.chain(others).map(|hole| (hole, String::from("text"))).collect();
            let mut text = kind.command(Path::new("/x"), Path::new("/y")).join(" ");
            for (_, template) in facts.files {
                let config = filled(template, &holes);
                let is_open = |line: &&str| line.contains("{{") && !line.starts_with('#');
                assert_eq!(config.lines().find(is_open), None);
                text.push_str(&config);
            }
            assert!(text.contains(workers), "{text}");
        };
        check(ProxyKind::Nginx, "worker_processes 2;");
        check(ProxyKind::Haproxy, "nbthread 2\n");
        check(ProxyKind::Envoy, "--concurrency 2 ");
        check(ProxyKind::Traefik, "GOMAXPROCS=2 ");
    }

    #[test]
    fn envoy_writes_the_same_claims_as_tollgate() {
        let [(_, config)] = ProxyKind::Envoy.facts().files else { panic!("one file") };
        for (claim, header, _) in CLAIMS {
            assert!(config.contains(&format!("{{claim_name: {claim}, header_name: {header}}}")), "{claim}");
        }
        assert_eq!(config.matches("claim_name").count(), CLAIMS.len());
    }
}

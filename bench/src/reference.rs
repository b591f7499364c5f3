//! The proxies of the comparison: nginx, HAProxy, Envoy and Traefik, configured by the files in the folders of their names.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

use crate::group::{ProcessGroup, ProcessStart};
use crate::loader::Loader;
use crate::order::Side;
use crate::scenario::{BenchScenario, Credential};
use crate::token_issuer::{AUDIENCE, ISSUER, TokenIssuer};
use crate::tools::{BenchTool, ToolPaths, free_address};

/// The time in which a proxy must forward its first request.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// A proxy of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferenceKind {
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
}

/// The parts that all proxies of a measurement use.
#[derive(Clone, Copy)]
pub(crate) struct ReferenceStart<'a> {
    pub(crate) tools: &'a ToolPaths,
    pub(crate) backend: SocketAddr,
    /// The folder in which each proxy has a new folder for its files.
    pub(crate) out: &'a Path,
    /// The issuer whose tokens Envoy verifies.
    pub(crate) issuer: &'a TokenIssuer,
}

impl ReferenceKind {
    pub(crate) const fn tool(self) -> BenchTool {
        match self {
            Self::Nginx => BenchTool::Nginx,
            Self::Haproxy => BenchTool::Haproxy,
            Self::Envoy => BenchTool::Envoy,
            Self::Traefik => BenchTool::Traefik,
        }
    }

    /// The configuration files, with holes for addresses and the folder. The first one is an argument of the program.
    const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Nginx => &[("config", include_str!("../nginx/nginx.conf"))],
            Self::Haproxy => &[("config", include_str!("../haproxy/haproxy.cfg"))],
            Self::Envoy => &[("envoy.yaml", include_str!("../envoy/envoy.yaml"))],
            Self::Traefik => &[
                ("traefik.yaml", include_str!("../traefik/traefik.yaml")),
                ("routes.yaml", include_str!("../traefik/routes.yaml")),
            ],
        }
    }

    /// The command that runs the program in the foreground, with two workers.
    fn command(self, program: &Path, dir: &Path) -> Vec<String> {
        let config = self.files().first().map(|(name, _)| text(&dir.join(name))).unwrap_or_default();
        let (program, folder, errors) = (text(program), text(dir), text(&dir.join("error.log")));
        let words: &[&str] = match self {
            Self::Nginx => &[&program, "-p", &folder, "-c", &config, "-e", &errors],
            Self::Haproxy => &[&program, "-db", "-f", &config],
            // Processes that may be restarted without downtime use memory that all of them have in common.
            Self::Envoy => {
                &[&program, "-c", &config, "--concurrency", "2", "--disable-hot-restart", "--log-level", "error"]
            }
            Self::Traefik => &["/usr/bin/env", "GOMAXPROCS=2", &program, &format!("--configFile={config}")],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// The listeners that the configuration has.
    const fn listeners(self) -> &'static [Listener] {
        match self {
            Self::Nginx => &[Listener::Plain, Listener::Stream, Listener::Http2, Listener::Tls],
            Self::Haproxy => &[Listener::Plain, Listener::Stream],
            Self::Envoy => &[Listener::Plain, Listener::Jwt],
            Self::Traefik => &[Listener::Plain],
        }
    }
}

/// A listener of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Plain,
    /// Forwards each event of a stream immediately.
    Stream,
    /// Serves HTTP/2 without TLS.
    Http2,
    Tls,
    /// Verifies access tokens, limits requests and writes claims to headers.
    Jwt,
}

impl Listener {
    /// The name of the hole in the configuration.
    const fn hole(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Stream => "stream",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Jwt => "jwt",
        }
    }
}

/// A proxy that runs and forwards requests.
pub(crate) struct ReferenceProxy {
    pub(crate) group: ProcessGroup,
    addresses: Vec<(Listener, SocketAddr)>,
}

impl ReferenceProxy {
    /// Starts a proxy, and waits until it forwards requests.
    pub(crate) async fn start(kind: ReferenceKind, start: &ReferenceStart<'_>) -> anyhow::Result<Self> {
        let name = kind.tool().program();
        // The workers of nginx run as `nobody` and must be able to enter the folder.
        let dir = start.out.join(name);
        std::fs::create_dir(&dir)?;
        let with_port = |listener: &Listener| Ok((*listener, free_address()?));
        let addresses = kind.listeners().iter().map(with_port).collect::<anyhow::Result<Vec<_>>>()?;
        let holes = holes(&addresses, start, &dir)?;
        for (file, template) in kind.files() {
            std::fs::write(dir.join(file), filled(template, &holes))?;
        }
        let command = kind.command(start.tools.path(kind.tool())?, &dir);
        let (program, arguments) = command.split_first().context("internal error: no command")?;
        let (program, arguments, log) = (Path::new(program), arguments.to_vec(), dir.join("output.log"));
        let group = ProcessGroup::start(&ProcessStart { name, program, arguments, log })?;
        let mut proxy = Self { group, addresses };
        proxy.ready().await.with_context(|| format!("{name}; see {}", dir.display()))?;
        Ok(proxy)
    }

    /// Waits until all listeners of HTTP/1.1 are open, and the plain one forwards a request.
    async fn ready(&mut self) -> anyhow::Result<()> {
        for listener in [Listener::Plain, Listener::Stream, Listener::Jwt] {
            if let Ok(address) = self.listener(listener) {
                Loader::connect_soon(address).await?;
            }
        }
        let (plain, deadline) = (self.listener(Listener::Plain)?, Instant::now() + PATIENCE);
        loop {
            self.group.lives()?;
            let response = Loader::connect(plain, None).await?.get(BenchScenario::plain().path).await?;
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

    /// The address for the requests of a scenario. Proxies that verify no tokens forward requests with a token as all others.
    pub(crate) fn address(&self, scenario: &BenchScenario) -> anyhow::Result<SocketAddr> {
        if scenario.streamed {
            return self.listener(Listener::Stream);
        }
        let jwt = (scenario.credential == Credential::Token).then(|| self.listener(Listener::Jwt).ok()).flatten();
        jwt.map_or_else(|| self.listener(Listener::Plain), Ok)
    }
}

/// The running proxies of a measurement.
pub(crate) struct ReferenceSet {
    pub(crate) nginx: ReferenceProxy,
    haproxy: ReferenceProxy,
    envoy: Option<ReferenceProxy>,
    traefik: Option<ReferenceProxy>,
}

impl ReferenceSet {
    /// Starts nginx, HAProxy and, if `all`, those of the others that are installed.
    pub(crate) async fn start(start: &ReferenceStart<'_>, all: bool) -> anyhow::Result<Self> {
        let nginx = ReferenceProxy::start(ReferenceKind::Nginx, start).await?;
        let haproxy = ReferenceProxy::start(ReferenceKind::Haproxy, start).await?;
        let (mut envoy, mut traefik) = (None, None);
        if all && start.tools.has(BenchTool::Envoy) {
            envoy = Some(ReferenceProxy::start(ReferenceKind::Envoy, start).await?);
        }
        if all && start.tools.has(BenchTool::Traefik) {
            traefik = Some(ReferenceProxy::start(ReferenceKind::Traefik, start).await?);
        }
        Ok(Self { nginx, haproxy, envoy, traefik })
    }

    /// The proxy of a side; `None` if it does not run, or the side is not a proxy of the comparison.
    pub(crate) const fn get(&self, side: Side) -> Option<&ReferenceProxy> {
        match side {
            Side::Nginx => Some(&self.nginx),
            Side::Haproxy => Some(&self.haproxy),
            Side::Envoy => self.envoy.as_ref(),
            Side::Traefik => self.traefik.as_ref(),
            Side::Direct | Side::Tollgate => None,
        }
    }
}

/// The texts that replace the holes of the configurations.
fn holes(
    addresses: &[(Listener, SocketAddr)],
    start: &ReferenceStart<'_>,
    dir: &Path,
) -> anyhow::Result<Vec<(String, String)>> {
    let listeners = addresses.iter().map(|(listener, address)| (listener.hole(), *address));
    let mut holes = Vec::new();
    for (hole, address) in listeners.chain([("backend", start.backend)]) {
        holes.push((hole.to_owned(), address.to_string()));
        holes.push((format!("{hole}.port"), address.port().to_string()));
    }
    let others = [("dir", text(dir)), ("issuer", ISSUER.to_owned()), ("audience", AUDIENCE.to_owned())];
    holes.extend(others.map(|(hole, text)| (hole.to_owned(), text)));
    holes.push((String::from("jwks"), start.issuer.jwks()?));
    Ok(holes)
}

fn filled(template: &str, holes: &[(String, String)]) -> String {
    holes.iter().fold(template.to_owned(), |config, (hole, text)| config.replace(&format!("{{{{{hole}}}}}"), text))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_issuer::CLAIMS;

    #[test]
    fn all_proxies_have_equal_workers_and_no_empty_holes() {
        let check = |kind: ReferenceKind, workers: &str| {
            let listeners = kind.listeners().iter().map(|listener| listener.hole());
            let addresses = listeners.chain(["backend"]).flat_map(|hole| [hole.to_owned(), format!("{hole}.port")]);
            let others = ["dir", "jwks", "issuer", "audience"].map(str::to_owned);
            let holes: Vec<(String, String)> =
                addresses.chain(others).map(|hole| (hole, String::from("text"))).collect();
            let mut text = kind.command(Path::new("/x"), Path::new("/y")).join(" ");
            for (_, template) in kind.files() {
                let config = filled(template, &holes);
                let open: Vec<&str> =
                    config.lines().filter(|line| line.contains("{{") && !line.starts_with('#')).collect();
                assert!(open.is_empty(), "{open:?}");
                text.push_str(&config);
            }
            assert!(text.contains(workers), "{text}");
        };
        check(ReferenceKind::Nginx, "worker_processes 2;");
        check(ReferenceKind::Haproxy, "nbthread 2\n");
        check(ReferenceKind::Envoy, "--concurrency 2 ");
        check(ReferenceKind::Traefik, "GOMAXPROCS=2 ");
    }

    #[test]
    fn envoy_writes_the_same_claims_as_tollgate() {
        let [(_, config)] = ReferenceKind::Envoy.files() else { panic!("one file") };
        for (claim, header, _) in CLAIMS {
            assert!(config.contains(&format!("{{claim_name: {claim}, header_name: {header}}}")), "{claim}");
        }
        assert_eq!(config.matches("claim_name").count(), CLAIMS.len());
    }
}

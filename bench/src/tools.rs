//! What must be on the machine: nginx, wrk, and the product's binary.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Where each tool stands.
pub(crate) struct ToolPaths {
    pub(crate) nginx: PathBuf,
    pub(crate) wrk: PathBuf,
    pub(crate) tollgate: PathBuf,
}

impl ToolPaths {
    /// Finds all of them, or says which packages bring what is missing.
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
        let own = std::env::current_exe().context("where this binary stands")?;
        let dir = profile_dir.or_else(|| own.parent()).context("this binary stands nowhere")?;
        let tollgate = dir.join("tollgate");
        if !tollgate.is_file() {
            bail!(
                "no binary {}: build it (cargo build --release -p tollgate), or say --profile-dir",
                tollgate.display()
            );
        }
        Ok(Self { nginx, wrk, tollgate })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps nginx where users' paths do not look.
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

//! The backend with TLS: an nginx in front of the mock, whose time counts for no side.

use std::net::SocketAddr;
use std::path::Path;

use crate::client::Loader;
use crate::process::{ProcessGroup, ProcessStart};
use crate::proxies::filled;
use crate::tools::free_address;

const NAME: &str = "origin";

/// The running backend with TLS.
pub(crate) struct TlsOrigin {
    pub(crate) address: SocketAddr,
    _group: ProcessGroup,
}

impl TlsOrigin {
    /// Starts nginx with the certificate in `out`, and waits until it listens.
    pub(crate) async fn start(nginx: &Path, mock: SocketAddr, out: &Path) -> anyhow::Result<Self> {
        let (dir, address) = (out.join(NAME), free_address()?);
        std::fs::create_dir(&dir)?;
        let holes =
            [("dir", dir.display().to_string()), ("backend", mock.to_string()), ("origin", address.to_string())];
        let holes = holes.map(|(hole, text)| (hole.to_owned(), text));
        let config = dir.join("config");
        std::fs::write(&config, filled(include_str!("../nginx/origin.conf"), &holes))?;
        let arguments = ["-p", &dir.display().to_string(), "-c", &config.display().to_string()].map(str::to_owned);
        let (arguments, log) = (arguments.to_vec(), dir.join("output.log"));
        let group = ProcessGroup::start(&ProcessStart { name: NAME, program: nginx, arguments, log })?;
        Loader::connect_soon(address).await?;
        Ok(Self { address, _group: group })
    }
}

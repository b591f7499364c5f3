//! The nginx of the comparison, configured by the file in `bench/nginx/`.

use std::net::SocketAddr;
use std::path::Path;

use crate::group::{ProcessGroup, ProcessStart};
use crate::tools::free_address;

const TEMPLATE: &str = include_str!("../nginx/nginx.conf");

/// A running nginx process.
pub(crate) struct Nginx {
    pub(crate) group: ProcessGroup,
    plain: SocketAddr,
    stream: SocketAddr,
}

impl Nginx {
    /// Starts nginx in front of `backend`; its file and logs are in `dir`.
    pub(crate) fn start(program: &Path, backend: SocketAddr, dir: &Path) -> anyhow::Result<Self> {
        let (plain, stream) = (free_address()?, free_address()?);
        let file = dir.join("nginx.conf");
        let mut config = TEMPLATE.replace("{{dir}}", &dir.display().to_string());
        for (hole, address) in [("{{backend}}", backend), ("{{plain}}", plain), ("{{stream}}", stream)] {
            config = config.replace(hole, &address.to_string());
        }
        std::fs::write(&file, config)?;
        let arguments = vec![
            String::from("-p"),
            dir.display().to_string(),
            String::from("-c"),
            file.display().to_string(),
            String::from("-e"),
            dir.join("error.log").display().to_string(),
        ];
        let group =
            ProcessGroup::start(&ProcessStart { name: "nginx", program, arguments, log: dir.join("nginx.log") })?;
        Ok(Self { group, plain, stream })
    }

    /// The port with or without buffering.
    pub(crate) const fn address(&self, streamed: bool) -> SocketAddr {
        if streamed { self.stream } else { self.plain }
    }
}

//! The section `export` of the file.

use std::fmt;
use std::path::PathBuf;

use access::Secret;

use super::Origin;

/// The export of usage events to one target.
#[derive(Debug, Clone)]
pub struct ExportSettings {
    /// The target of the events.
    pub target: ExportDestination,
    /// Maximum size of the segments that wait for the target, in bytes. Default 1 GiB.
    pub size_bytes_max: u64,
}

/// The targets of an export.
#[derive(Debug, Clone)]
pub enum ExportDestination {
    /// Files of JSON lines.
    File {
        /// The folder of the files.
        dir: PathBuf,
        /// Size after which a new file begins, in bytes.
        file_bytes_max: u64,
        /// Maximum number of files.
        files_max: u32,
    },
    /// A table of ClickHouse.
    ClickHouse {
        /// The URL of its HTTP interface.
        url: Origin,
        /// The database of the table.
        database: String,
        /// The name of the table.
        table: String,
        /// The user with the right to insert.
        user: String,
        /// The password of the user.
        password: Option<Secret>,
    },
    /// A stream of NATS JetStream.
    Nats {
        /// The server of the stream.
        server: NatsServer,
        /// The first words of the subjects.
        subject: String,
        /// The name of a user.
        user: Option<String>,
        /// The password of the user, or a token.
        password: Option<Secret>,
    },
}

/// A server of NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsServer {
    /// Whether the connection must have TLS.
    pub is_tls: bool,
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port of the server.
    pub port: u16,
}

impl NatsServer {
    /// The usual port of servers.
    const PORT: u16 = 4_222;

    /// Returns the server on this machine.
    #[must_use]
    pub fn local() -> Self {
        Self { is_tls: false, host: "127.0.0.1".to_owned(), port: Self::PORT }
    }

    /// Parses `nats://HOST[:PORT]` or `tls://HOST[:PORT]`; `None` for other texts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_tls = scheme.eq_ignore_ascii_case("tls");
        if !is_tls && !scheme.eq_ignore_ascii_case("nats") {
            return None;
        }
        if rest.contains('@') {
            return None;
        }
        let authority: http::uri::Authority = rest.parse().ok()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let has_port = authority.as_str().len() > authority.host().len();
        let port = if has_port { authority.port_u16()? } else { Self::PORT };
        (!host.is_empty() && port > 0).then_some(Self { is_tls, host, port })
    }
}

impl fmt::Display for NatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "tls" } else { "nats" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_nats_has_a_host_and_no_credential() {
        let check = |text: &str| NatsServer::parse(text).map(|server| server.to_string());
        for (text, expected) in [
            ("nats://localhost", Some("nats://localhost:4222")),
            ("TLS://NATS.example:443", Some("tls://nats.example:443")),
            ("nats://[::1]:5000", Some("nats://[::1]:5000")),
            ("nats://u:p@h", None),
            ("nats://", None),
            ("nats://h/x", None),
            ("nats://h:0", None),
            ("nats://h:99999", None),
            ("http://h", None),
            ("h:4222", None),
        ] {
            assert_eq!(check(text).as_deref(), expected, "{text}");
        }
    }
}

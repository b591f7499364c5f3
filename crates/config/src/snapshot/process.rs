//! The part of the configuration whose change needs a restart: the keys of `schema::process`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use access::network::outbound::OutboundRules;
use ipnet::IpNet;
use tls::ListenAddress;
pub use tls::{ClientMode, MinVersion, TlsSettings};

use super::process_keys::{
    ApiReferences, ControlConnections, Drain, Lease, Log, MetricsAccess, PublicUrl, ReadinessSettings, Retention,
    SpoolSettings, StoreSettings, UpgradeSettings, Webhooks,
};
use super::{EtcdSettings, ExportSettings, Mail, MidtransAccount, TraceLink, Traces, WindowLimit};

/// Maximum number of workers. Each has a thread, sockets, upstream connections and a spool partition.
pub const WORKERS_MAX: u32 = 256;

/// What a reload cannot change.
#[derive(Debug, Clone)]
pub struct Process {
    /// The product's name and the prefix of its keys.
    pub brand: Brand,
    /// The proxy's listeners; never empty.
    pub listen: Vec<Listener>,
    /// Whether the configuration must be safe on a public network.
    pub production: bool,
    /// The folder of example files that the insights endpoints respond with; `None` for real data.
    pub examples_dir: Option<PathBuf>,
    /// Settings of the admin API.
    pub control: Control,
    /// The public URLs of the proxy and of control.
    pub public_url: PublicUrl,
    /// The clients that may read `/metrics` if control is not on loopback; without a token, nobody.
    pub metrics: MetricsAccess,
    /// A Redis that shares rate limits between nodes.
    pub redis: Option<Secret>,
    /// The number of the proxy's workers; `None` means as many as fit the machine.
    pub workers: Option<u32>,
    /// Maximum number of requests in flight, over all workers.
    pub in_flight_max: u32,
    /// Maximum numbers of connections, and of requests in flight of one key.
    pub connections: Connections,
    /// The phases of a shutdown.
    pub drain: Drain,
    /// When the node is not ready.
    pub readiness: ReadinessSettings,
    /// The key of etcd with the configuration; `None` if the file is in force.
    pub config_key: Option<ConfigKey>,
    /// The upgrade in place.
    pub upgrade: UpgradeSettings,
    /// Format and levels of logs.
    pub log: Log,
    /// The export of traces; `None` if it is off.
    pub traces: Option<Traces>,
    /// The page of a trace, to which the dashboard links; `None` without a tracing system.
    pub trace_link: Option<TraceLink>,
    /// The folder of the store's file, the spool and the lock.
    pub data: PathBuf,
    /// The database of users, keys and usage.
    pub store: StoreSettings,
    /// The spool of usage events.
    pub spool: SpoolSettings,
    /// The export of usage events; `None` if it is off.
    pub export: Option<ExportSettings>,
    /// The retention of usage rows.
    pub retention: Retention,
    /// The leases of quotas and budgets.
    pub lease: Lease,
    /// The networks besides the public Internet to which users of the API may direct requests.
    pub outbound: Vec<IpNet>,
    /// The bounds of deliveries of webhooks.
    pub webhooks: Webhooks,
    /// The account of the payment provider.
    pub midtrans: MidtransAccount,
    /// The server that takes mails; `None` means that no mails are sent.
    pub mail: Option<Mail>,
}

impl Process {
    /// Returns the position of the listener that a URL with this scheme and authority reaches: that of the port, otherwise
    /// the first one of the scheme.
    #[must_use]
    pub fn listener_of(&self, scheme: &str, authority: &str) -> usize {
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port: u16 = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        let of_scheme = |listener: &Listener| listener.scheme() == scheme;
        let position = |is_it: &dyn Fn(&Listener) -> bool| self.listen.iter().position(is_it);
        position(&|listener| {
            of_scheme(listener) && listener.address.tcp().is_some_and(|address| address.port() == port)
        })
        .or_else(|| position(&of_scheme))
        .unwrap_or(0)
    }

    /// Returns the rules for requests whose destination users of the API set. The own ports are those of all listeners.
    #[must_use]
    pub fn outbound_rules(&self) -> OutboundRules {
        OutboundRules::new(self.outbound.clone(), self.tcp_listeners().map(|address| address.port()).collect())
    }

    /// Returns the first listener that other machines reach.
    #[must_use]
    pub fn public_listener(&self) -> Option<SocketAddr> {
        self.tcp_listeners().find(|address| !address.ip().to_canonical().is_loopback())
    }

    /// Returns the addresses of all listeners of TCP.
    pub fn tcp_listeners(&self) -> impl Iterator<Item = SocketAddr> {
        let proxy = self.listen.iter().map(|listener| &listener.address);
        proxy.chain([&self.control.listen]).filter_map(ListenAddress::tcp)
    }

    /// Returns the URL of control for people, without a final slash: the configured one, or that of its listener on
    /// `listen`. A listener on all addresses is reached at `localhost`, and a Unix socket has this name.
    #[must_use]
    pub fn control_url(&self, listen: &ListenAddress) -> String {
        let scheme = self.control.scheme();
        match (&self.public_url.control, listen.tcp()) {
            (Some(url), _) => url.clone(),
            (None, Some(listen)) if listen.ip().is_unspecified() => format!("{scheme}://localhost:{}", listen.port()),
            (None, Some(listen)) => format!("{scheme}://{listen}"),
            (None, None) => format!("{scheme}://localhost"),
        }
    }

    /// Returns the origins of the pages of control, as browsers write them: that of the configured URL, or those at which
    /// browsers reach the listener. A listener on loopback has the name `localhost` too; one on all addresses is known by
    /// its loopback addresses only.
    #[must_use]
    pub fn control_origins(&self) -> Vec<String> {
        if let Some(url) = &self.public_url.control {
            return vec![url.clone()];
        }
        let scheme = self.control.scheme();
        let Some(listen) = self.control.listen.tcp() else { return vec![format!("{scheme}://localhost")] };
        let port = match (scheme, listen.port()) {
            ("http", 80) | ("https", 443) => String::new(),
            (_, port) => format!(":{port}"),
        };
        let localhost = "localhost".to_owned();
        let v4 = "127.0.0.1".to_owned();
        let v6 = "[::1]".to_owned();
        let hosts = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![localhost, v4],
            IpAddr::V6(ip) if ip.is_unspecified() => vec![localhost, v4, v6],
            IpAddr::V4(ip) if ip.is_loopback() => vec![ip.to_string(), localhost],
            IpAddr::V6(ip) if ip.is_loopback() => vec![v6, localhost],
            IpAddr::V4(ip) => vec![ip.to_string()],
            IpAddr::V6(ip) => vec![format!("[{ip}]")],
        };
        hosts.into_iter().map(|host| format!("{scheme}://{host}{port}")).collect()
    }
}

/// One entry of `listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The name by which routes refer to it; `None` without one.
    pub name: Option<Arc<str>>,
    /// The address of the listener.
    pub address: ListenAddress,
    /// The permissions of the file of a Unix socket.
    pub socket_mode: u32,
    /// The TLS of the listener; `None` if it serves HTTP.
    pub tls: Option<TlsSettings>,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

impl Listener {
    /// Returns the scheme of the listener's URLs.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        scheme(self.tls.is_some())
    }
}

/// Returns the scheme of the URLs of a listener.
const fn scheme(is_tls: bool) -> &'static str {
    if is_tls { "https" } else { "http" }
}

/// The section `brand` of the file.
#[derive(Debug, Clone)]
pub struct Brand {
    /// The name that people see. Default `Tollgate`.
    pub name: String,
    /// 1 to 32 characters of a-z and 0-9. Keys begin with it and an underscore, and machines use it as the brand's
    /// name: cookies, `owned_by`, the install script's folder, variable and provider. Default: the letters and digits
    /// of `name`.
    pub key_prefix: String,
    /// The colour on pages, as `#rrggbb` in lowercase; `None` is that of the product.
    pub color: Option<String>,
}

impl Brand {
    /// Returns the brand's name for machines: `key_prefix`.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.key_prefix
    }

    /// Returns the environment variable in which clients store a key: `TOLLGATE_KEY`. The name of a shell's variable
    /// must not begin with a digit (POSIX.1-2024, XBD 8.1), so an underscore is added before a digit.
    #[must_use]
    pub fn key_variable(&self) -> String {
        let slug = self.slug().to_ascii_uppercase();
        let guard = if slug.starts_with(|first: char| first.is_ascii_digit()) { "_" } else { "" };
        format!("{guard}{slug}_KEY")
    }
}

/// The section `control` of the file.
#[derive(Debug, Clone)]
pub struct Control {
    /// The address of the control listener.
    pub listen: ListenAddress,
    /// The permissions of the file of its Unix socket.
    pub socket_mode: u32,
    /// The TLS of the control listener; `None` if it serves HTTP.
    pub tls: Option<TlsSettings>,
    /// Bounds of connections to control.
    pub connections: ControlConnections,
    /// Maximum duration of one call.
    pub call_timeout: Duration,
    /// Origins whose pages may call control with credentials: `https://app.example.com`, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// Rate limits of control; each one that applies counts.
    pub rate_limits: Vec<WindowLimit>,
    /// What a configuration of the API may refer to.
    pub api_references: ApiReferences,
}

impl Control {
    /// Returns the scheme of the listener's URLs.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        scheme(self.tls.is_some())
    }
}

impl Process {
    /// Returns the number of workers: the configured one, otherwise one per core and at most eight.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        let configured = self.workers.and_then(|number| usize::try_from(number).ok());
        configured.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(8))
    }
}

/// The section `connections` of the file.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Maximum number of open client connections, over all workers. Default 20,000.
    pub max: u32,
    /// Maximum number of open connections from one address (IPv6: from one /64). Default 1,000.
    pub per_address: u32,
    /// Time after which a silent connection is probed by TCP; `None` if it is not. Default 60 s.
    pub keep_alive: Option<Duration>,
    /// Maximum number of requests of one key in flight, over all workers. Default 1,000.
    pub in_flight_per_key: u32,
    /// Maximum number of requests in flight of one address whose clients are not identified. Default: a 16th of
    /// all, at least 64, at most half of all.
    pub in_flight_per_address: u32,
    /// The same for all addresses together. Default: half of all.
    pub in_flight_anonymous: u32,
}

/// The key of etcd whose value is the configuration.
#[derive(Debug, Clone)]
pub struct ConfigKey {
    /// The name of the key.
    pub key: Arc<str>,
    /// The cluster with the key: the section `etcd` with which the process has started.
    pub etcd: Arc<EtcdSettings>,
}

#[cfg(test)]
mod tests {
    use crate::{Environment, Flags, Sources};

    #[test]
    fn pages_of_control_have_the_origins_at_which_browsers_reach_them() {
        let environment = Environment::default();
        let loaded = crate::load(Sources { file: None, environment: &environment, flags: Flags::default() }).unwrap();
        let mut process = loaded.snapshot.process;
        for (listen, expected) in [
            ("127.0.0.1:8787", &["http://127.0.0.1:8787", "http://localhost:8787"][..]),
            ("[::1]:80", &["http://[::1]", "http://localhost"]),
            ("0.0.0.0:8787", &["http://localhost:8787", "http://127.0.0.1:8787"]),
            ("[::]:8787", &["http://localhost:8787", "http://127.0.0.1:8787", "http://[::1]:8787"]),
            ("10.0.0.7:443", &["http://10.0.0.7:443"]),
            ("[2001:db8::7]:8787", &["http://[2001:db8::7]:8787"]),
            ("unix:/run/control.sock", &["http://localhost"]),
        ] {
            process.control.listen = listen.parse().unwrap();
            assert_eq!(process.control_origins(), expected, "{listen}");
            assert_eq!(process.control_url(&process.control.listen).trim_end_matches(":80"), expected[0], "{listen}");
        }
        process.public_url.control = Some("https://c.example.com".to_owned());
        assert_eq!(process.control_origins(), ["https://c.example.com"]);
    }
}

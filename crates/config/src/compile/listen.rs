//! Compiles listeners: their addresses, their TLS, and whether other machines may reach them without it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use access::{Clock, Timestamp};
use ipnet::IpNet;
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::{Either, ValueList};
use settings::input::{Input, ValueSource};
use settings::section::{Location, SettingsReader};
use tls::{CertificateError, CertificateFiles, ClientCertificates, FileRole, ListenAddress};

use super::UsedNames;
use super::upstream_tls::is_running;
use crate::note::Note;
use crate::schema::listen::{CertificateInput, ClientCertificatesInput, SOCKET_MODE_DEFAULT, TlsInput};
use crate::schema::process::ProcessInput;
use crate::schema::traffic::TrafficInput;
use crate::snapshot::{Listener, MinVersion, Origin, TlsSettings};
use crate::sources::flags::Flags;

/// The listeners of the proxy, and the TLS of control.
pub(super) struct CompiledListeners {
    pub(super) proxy: Vec<Listener>,
    pub(super) control_tls: Option<TlsSettings>,
}

/// An address as it is configured.
struct Address<'a> {
    name: Option<&'a Input<String>>,
    input: &'a Input<ListenAddress>,
    socket_mode: u32,
    tls: Option<&'a TlsInput>,
    proxy_protocol: bool,
}

/// Returns all listeners. All addresses must differ.
pub(super) fn listeners(
    reader: &SettingsReader<'_>,
    process: &ProcessInput,
    flags: &Flags,
    notes: &mut Vec<Note>,
) -> CompiledListeners {
    let files = FileChecks { reader, now: Clock::system().now(), is_start: !is_running(reader) };
    let control = &process.control.listen;
    let addresses = addresses(process);
    match &flags.listen {
        Some(listen) if *listen == control.value && !is_any_port(listen) => {
            let message = format!("the proxy and control both listen on {listen}");
            reader.report(Problem::new(Code::Duplicate, None, message));
        }
        Some(_) => {}
        None => report_duplicates(reader, &addresses, control),
    }
    let mut exposure = Exposure { reader, process, notes };
    for Address { input, tls, .. } in &addresses {
        exposure.check(input, tls.is_some());
    }
    exposure.check(control, process.control.tls.is_some());
    let mut names = UsedNames::default();
    for name in addresses.iter().filter_map(|address| address.name) {
        names.take(reader, name, "listener");
    }
    let listener = |address: &Address<'_>| Listener {
        name: address.name.map(|name| name.value.as_str().into()),
        address: address.input.value.clone(),
        socket_mode: address.socket_mode,
        tls: address.tls.and_then(|tls| files.tls(tls)),
        proxy_protocol: address.proxy_protocol,
    };
    let control_tls = process.control.tls.as_ref().and_then(|input| files.control(input));
    CompiledListeners { proxy: addresses.iter().map(listener).collect(), control_tls }
}

/// Returns the addresses of the proxy's listeners.
fn addresses(process: &ProcessInput) -> Vec<Address<'_>> {
    match &process.listen {
        Some(Either::Single(input)) => vec![Address::plain(input)],
        Some(Either::Nested(listeners)) => listeners.iter().filter_map(address).collect(),
        None => Vec::new(),
    }
}

/// Returns the names of the proxy's listeners in their order, for routes.
pub(super) fn names(process: &ProcessInput) -> Vec<Option<&str>> {
    match &process.listen {
        Some(Either::Nested(listeners)) => {
            let addresses = listeners.iter().filter_map(address);
            addresses.map(|address| address.name.map(|name| name.value.as_str())).collect()
        }
        Some(Either::Single(_)) | None => Vec::new(),
    }
}

fn address(entry: &Either<ListenAddress, crate::schema::listen::ListenerInput>) -> Option<Address<'_>> {
    match entry {
        Either::Single(input) => Some(Address::plain(input)),
        Either::Nested(listener) => Some(Address {
            name: listener.name.as_ref(),
            input: listener.address.as_ref()?,
            socket_mode: listener.socket_mode.value,
            tls: listener.tls.as_ref(),
            proxy_protocol: listener.proxy_protocol.value,
        }),
    }
}

impl<'a> Address<'a> {
    const fn plain(input: &'a Input<ListenAddress>) -> Self {
        Self { name: None, input, socket_mode: SOCKET_MODE_DEFAULT, tls: None, proxy_protocol: false }
    }
}

/// Reports listeners to which no peer may connect, and providers and backends that are a listener of the gateway.
pub(super) fn check_peers(reader: &SettingsReader<'_>, process: &ProcessInput, traffic: &TrafficInput) {
    check_trusted_proxies(reader, process, &traffic.trusted_proxies);
    let addresses = addresses(process);
    // As for duplicates, the default address is not compared.
    let own = || addresses.iter().map(|address| address.input).filter(|input| input.source != ValueSource::Default);
    for entry in &traffic.providers.list {
        let Some(url) = &entry.base_url else { continue };
        let Ok(origin) = Origin::parse(&url.value) else { continue };
        if own().any(|own| is_served_at(&origin, &own.value)) {
            let at = url.value_origin().unwrap_or(entry.location.at);
            let expected = "another server: calls to a listener of the gateway itself never end";
            reader.bad(at, &entry.location.name("base_url"), expected);
        }
    }
    for backend in traffic.upstreams.list.iter().flat_map(|upstream| &upstream.backends.list) {
        let Some(url) = &backend.url else { continue };
        if own().any(|own| is_served_at(&url.value, &own.value)) {
            let at = url.value_origin().unwrap_or(backend.location.at);
            let expected = "another server: requests to a listener of the gateway itself never end";
            reader.bad(at, &backend.location.name("url"), expected);
        }
    }
}

/// Whether a listener at this address serves the origin, as far as the host is an address or `localhost`.
fn is_served_at(origin: &Origin, address: &ListenAddress) -> bool {
    let address = match (address, origin.socket_path()) {
        (ListenAddress::Unix(own), Some(path)) => return **own == *path,
        (ListenAddress::Tcp(address), None) => address,
        (ListenAddress::Unix(_), None) | (ListenAddress::Tcp(_), Some(_)) => return false,
    };
    let own = address.ip().to_canonical();
    let is_local = own.is_loopback() || own.is_unspecified();
    let is_own_host = match origin.host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) => ip == own || is_local && ip.is_unspecified() || own.is_unspecified() && ip.is_loopback(),
        Err(_) => is_local && origin.host.eq_ignore_ascii_case("localhost"),
    };
    is_own_host && origin.port == address.port()
}

/// Reports listeners to which no peer may connect, because there are no trusted proxies.
fn check_trusted_proxies(reader: &SettingsReader<'_>, process: &ProcessInput, trusted: &ValueList<Vec<IpNet>>) {
    let Some(Either::Nested(listeners)) = &process.listen else { return };
    if !trusted.list.is_empty() {
        return;
    }
    for entry in listeners {
        if let Either::Nested(listener) = entry
            && listener.proxy_protocol.value
        {
            let name = listener.location.name("proxy_protocol");
            let message = format!("`{name}` lets only trusted proxies connect, but `trusted_proxies` is empty");
            let problem = Problem::new(Code::BadValue, listener.proxy_protocol.value_origin(), message);
            reader.report(problem.expected("`trusted_proxies`, the addresses of the proxies that send the header"));
        }
    }
}

fn report_duplicates(reader: &SettingsReader<'_>, addresses: &[Address<'_>], control: &Input<ListenAddress>) {
    let mut taken = HashSet::new();
    // The default address is not compared: a control process alone does not listen on it.
    let configured = addresses.iter().map(|address| address.input).filter(|input| input.source != ValueSource::Default);
    for Input { value: address, .. } in configured {
        if !is_any_port(address) && (*address == control.value || !taken.insert(address)) {
            let at = addresses
                .iter()
                .rfind(|other| other.input.value == *address)
                .and_then(|other| other.input.value_origin());
            let message = format!("two listeners have the address {address}");
            let problem = Problem::new(Code::Duplicate, at.or(control.value_origin()), message);
            reader.report(problem.expected("another address or port"));
        }
    }
}

/// Whether the operating system selects the port.
fn is_any_port(address: &ListenAddress) -> bool {
    address.tcp().is_some_and(|address| address.port() == 0)
}

/// Finds listeners without TLS that other machines can reach.
struct Exposure<'a> {
    reader: &'a SettingsReader<'a>,
    process: &'a ProcessInput,
    notes: &'a mut Vec<Note>,
}

impl Exposure<'_> {
    fn check(&mut self, input: &Input<ListenAddress>, is_tls: bool) {
        if is_tls || input.value.is_local() || self.process.plaintext.value {
            return;
        }
        if !self.process.production.value {
            self.notes.push(Note::PublicPlaintext { listener: input.value.clone() });
            return;
        }
        let message = format!("`production: true` refuses the listener {}, which has no TLS", input.value);
        let problem = Problem::new(Code::BadValue, input.value_origin(), message);
        self.reader.report(problem.expected("`tls`, a loopback address, or `plaintext: true` behind a proxy with TLS"));
    }
}

/// Reads the files of certificates, so that a startup reports all that cannot be used.
struct FileChecks<'a> {
    reader: &'a SettingsReader<'a>,
    now: Timestamp,
    /// Whether the files are read: a running process keeps its certificates until their files are valid, and reads other
    /// files only after a restart.
    is_start: bool,
}

/// The keys that name the files of a certificate.
struct Pair<'a> {
    location: &'a Location,
    cert: Option<&'a Input<PathBuf>>,
    key: Option<&'a Input<PathBuf>>,
}

impl FileChecks<'_> {
    fn tls(&self, input: &TlsInput) -> Option<TlsSettings> {
        let location = &input.location;
        let has_pair = location.has("cert") || location.has("key");
        let has_list = location.has("certificates");
        if has_pair && has_list {
            let message = format!("`{}` has both `certificates` and `cert` or `key`", location.path);
            self.reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of them"));
            return None;
        }
        let certificates: Vec<CertificateFiles> = if has_list {
            input.certificates.list.iter().filter_map(|entry| self.certificate(&Pair::from_input(entry))).collect()
        } else {
            let pair = Pair { location, cert: input.cert.as_ref(), key: input.key.as_ref() };
            match (location.has("cert"), location.has("key")) {
                (false, false) => location.missing(self.reader, &["cert", "certificates"]),
                (true, false) => location.missing(self.reader, &["key"]),
                (false, true) => location.missing(self.reader, &["cert"]),
                (true, true) => {}
            }
            self.certificate(&pair).into_iter().collect()
        };
        let client = input.client.as_ref().and_then(|client| self.client(client));
        (!certificates.is_empty()).then_some(TlsSettings { certificates, min_version: input.min_version.value, client })
    }

    fn control(&self, input: &CertificateInput) -> Option<TlsSettings> {
        let certificates = vec![self.certificate(&Pair::from_input(input))?];
        Some(TlsSettings { certificates, min_version: MinVersion::Tls12, client: None })
    }

    fn certificate(&self, pair: &Pair<'_>) -> Option<CertificateFiles> {
        let cert = pair.cert?;
        let key = pair.key?;
        let files = CertificateFiles { certificate: cert.value.clone(), key: key.value.clone() };
        if self.is_start
            && let Err(error) = files.load(self.now)
        {
            let (at, name) = match error.role() {
                Some(FileRole::Key) => (key.value_origin(), "key"),
                Some(FileRole::Certificate | FileRole::Authorities | FileRole::Revocations) | None => {
                    (cert.value_origin(), "cert")
                }
            };
            self.report(at, &pair.location.name(name), &error);
        }
        Some(files)
    }

    fn client(&self, input: &ClientCertificatesInput) -> Option<ClientCertificates> {
        let ca = input.ca.as_ref()?;
        let crl = input.crl.as_ref();
        let mode = input.mode.as_ref()?.value;
        let client = ClientCertificates { ca: ca.value.clone(), crl: crl.map(|crl| crl.value.clone()), mode };
        if self.is_start
            && let Err(error) = client.check()
        {
            let (at, name) = match (error.role(), crl) {
                (Some(FileRole::Revocations), Some(crl)) => (crl.value_origin(), "crl"),
                _ => (ca.value_origin(), "ca"),
            };
            self.report(at, &input.location.name(name), &error);
        }
        Some(client)
    }

    fn report(&self, at: Option<ValueOrigin>, name: &str, error: &CertificateError) {
        self.reader.report(Problem::new(Code::File, at, format!("`{name}`: {error}")).of_startup());
    }
}

impl<'a> Pair<'a> {
    fn from_input(input: &'a CertificateInput) -> Self {
        Self { location: &input.location, cert: input.cert.as_ref(), key: input.key.as_ref() }
    }
}

//! Compiles `dns`, `etcd` and `consul`, and `discover` of an upstream.

use std::net::IpAddr;
use std::sync::Arc;

use settings::error::{Code, Problem};
use settings::input::Input;
use settings::section::SettingsReader;
use tls::UpstreamTls;

use super::matches::exactly_one;
use super::upstream_tls;
use crate::schema::traffic::{
    ConsulInput, DiscoverInput, DnsInput, EtcdInput, REFRESH_DEFAULT, TrafficInput, UpstreamTlsInput,
};
use crate::snapshot::{
    Backend, ConfigKey, ConsulSettings, Discovery, DnsSettings, EtcdSettings, MemberPart, MemberSource, Origin, Scheme,
};

/// The settings of the sources of members.
#[derive(Clone)]
pub(super) struct SourceSettings {
    dns: Arc<DnsSettings>,
    /// Whether each address of a name in a URL is a backend.
    follows_names: bool,
    etcd: Option<Arc<EtcdSettings>>,
    consul: Option<Arc<ConsulSettings>>,
    has: SourceSections,
}

/// The sections of the file, also those with reported problems.
#[derive(Clone, Copy)]
struct SourceSections {
    etcd: bool,
    consul: bool,
}

impl SourceSettings {
    /// Returns the settings of the file.
    pub(super) fn from_traffic(reader: &SettingsReader<'_>, traffic: &TrafficInput) -> Self {
        let settings = match &traffic.dns {
            Some(DnsInput { servers, refresh_max, .. }) => DnsSettings {
                servers: servers.list.iter().map(|server| server.value).collect(),
                refresh_max: refresh_max.value,
            },
            None => DnsSettings { servers: Vec::new(), refresh_max: REFRESH_DEFAULT },
        };
        Self {
            dns: Arc::new(settings),
            follows_names: traffic.dns.is_some(),
            etcd: traffic.etcd.as_ref().map(|input| Arc::new(etcd(reader, input))),
            consul: traffic.consul.as_ref().and_then(|input| consul(reader, input)).map(Arc::new),
            has: SourceSections { etcd: traffic.etcd.is_some(), consul: traffic.consul.is_some() },
        }
    }

    /// Returns the TLS to the sources.
    pub(super) fn tls(&self) -> Vec<Arc<UpstreamTls>> {
        let etcd = self.etcd.iter().filter_map(|etcd| etcd.tls.clone());
        etcd.chain(self.consul.iter().filter_map(|consul| consul.tls.clone())).collect()
    }

    /// Returns the key with the configuration; `None` without the section `etcd`, which is reported.
    pub(super) fn config_key(&self, reader: &SettingsReader<'_>, key: &Input<String>) -> Option<ConfigKey> {
        missing(reader, key, SectionUse { used_by: "config: {etcd: …}", section: "etcd" }, self.has.etcd);
        Some(ConfigKey { key: key.value.as_str().into(), etcd: self.etcd.clone()? })
    }

    /// Returns the discovery of an upstream with these backends; `None` if all its members have fixed addresses.
    pub(super) fn discovery(
        &self,
        reader: &SettingsReader<'_>,
        backends: &[Backend],
        discover: Option<&DiscoverInput>,
        allow_link_local: bool,
    ) -> Option<Discovery> {
        let mut parts: Vec<MemberPart> = backends.iter().map(|backend| self.part(backend)).collect();
        parts.extend(discover.and_then(|input| self.found(reader, input, allow_link_local)));
        let is_found = parts.iter().any(|part| matches!(part, MemberPart::Found { .. }));
        is_found.then(|| Discovery::new(parts.into()))
    }

    /// Returns the discovery of a provider whose backends are the addresses of its name; `None` if it has a fixed address.
    pub(super) fn of_provider(&self, origin: &Origin) -> Option<Discovery> {
        let found = Self { follows_names: true, ..self.clone() }.part(&Backend { origin: origin.clone(), weight: 1 });
        matches!(found, MemberPart::Found { .. }).then(|| Discovery::new(Box::new([found])))
    }

    fn part(&self, backend: &Backend) -> MemberPart {
        let host = &backend.origin.host;
        let is_address = host.parse::<IpAddr>().is_ok() || backend.origin.socket_path().is_some();
        // The system maps this name to this machine, and servers often listen on one of its two addresses only.
        let is_fixed = is_address || host == "localhost";
        if is_fixed || !self.follows_names {
            return MemberPart::Fixed(backend.clone());
        }
        let source = MemberSource::Dns { settings: self.dns.clone() };
        MemberPart::Found { source, template: backend.origin.clone(), weight: backend.weight }
    }

    /// Returns the members of `discover`; `None` if its value is invalid, which is reported.
    fn found(&self, reader: &SettingsReader<'_>, input: &DiscoverInput, allow_link_local: bool) -> Option<MemberPart> {
        if !exactly_one(reader, &input.location, &["dns", "etcd", "consul"]) {
            return None;
        }
        let scheme = match input.scheme.value {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::H2c => "h2c",
        };
        let (name, source) = self.source(reader, input)?;
        let template = Origin { allow_link_local, ..Origin::parse(&format!("{scheme}://{name}")).ok()? };
        Some(MemberPart::Found { source, template, weight: 1 })
    }

    /// Returns the source, and the authority of the members if the source does not determine it.
    fn source<'a>(&self, reader: &SettingsReader<'_>, input: &'a DiscoverInput) -> Option<(&'a str, MemberSource)> {
        match input {
            DiscoverInput { dns: Some(name), .. } => {
                let name = &name.value;
                let settings = self.dns.clone();
                let is_srv = name.starts_with('_');
                Some((name, if is_srv { MemberSource::Srv { settings } } else { MemberSource::Dns { settings } }))
            }
            DiscoverInput { etcd: Some(prefix), .. } => {
                missing(reader, prefix, SectionUse { used_by: "discover: {etcd: …}", section: "etcd" }, self.has.etcd);
                let settings = self.etcd.clone()?;
                Some(("etcd", MemberSource::Etcd { settings, prefix: prefix.value.as_str().into() }))
            }
            DiscoverInput { consul: Some(service), .. } => {
                missing(
                    reader,
                    service,
                    SectionUse { used_by: "discover: {consul: …}", section: "consul" },
                    self.has.consul,
                );
                let settings = self.consul.clone()?;
                Some(("consul", MemberSource::Consul { settings, service: service.value.as_str().into() }))
            }
            DiscoverInput { dns: None, etcd: None, consul: None, .. } => None,
        }
    }
}

/// A key that needs a section of the file.
#[derive(Clone, Copy)]
struct SectionUse<'a> {
    used_by: &'a str,
    section: &'a str,
}

/// Reports a source without its section.
fn missing(reader: &SettingsReader<'_>, input: &Input<String>, needs: SectionUse<'_>, is_there: bool) {
    if !is_there {
        let SectionUse { used_by, section } = needs;
        let message = format!("`{used_by}` needs the section `{section}`");
        let expected =
            if section == "etcd" { "`etcd: {urls: [https://HOST:2379]}`" } else { "`consul: {url: http://HOST:8500}`" };
        reader.report(Problem::new(Code::Missing, input.value_origin(), message).expected(expected));
    }
}

fn etcd(reader: &SettingsReader<'_>, input: &EtcdInput) -> EtcdSettings {
    let location = &input.location;
    if !location.has("urls") {
        location.missing(reader, &["urls"]);
    }
    match (location.has("user"), location.has("password")) {
        (true, false) => location.missing(reader, &["password"]),
        (false, true) => location.missing(reader, &["user"]),
        (true, true) | (false, false) => {}
    }
    let name = |name: &Input<String>| Arc::from(name.value.as_str());
    let user = input.user.as_ref().zip(input.password.as_ref());
    let urls: Vec<Origin> = input.urls.list.iter().map(|url| url.value.clone()).collect();
    EtcdSettings {
        tls: source_tls(reader, input.tls.as_ref(), &urls),
        urls,
        user: user.map(|(user, password)| (name(user), password.value.clone())),
    }
}

fn consul(reader: &SettingsReader<'_>, input: &ConsulInput) -> Option<ConsulSettings> {
    let url = input.url.as_ref()?.value.clone();
    Some(ConsulSettings {
        tls: source_tls(reader, input.tls.as_ref(), std::slice::from_ref(&url)),
        url,
        token: input.token.as_ref().map(|token| token.value.clone()),
        datacenter: input.datacenter.as_ref().map(|name| name.value.as_str().into()),
    })
}

/// Returns the TLS to a source; TLS that no URL uses is reported.
fn source_tls(
    reader: &SettingsReader<'_>,
    input: Option<&UpstreamTlsInput>,
    urls: &[Origin],
) -> Option<Arc<UpstreamTls>> {
    let input = input?;
    if !urls.iter().any(|url| url.scheme == Scheme::Https) {
        upstream_tls::report_unused(reader, input, "the source has no `https` URL");
    }
    upstream_tls::load(reader, input)
}

//! The choice of a certificate by the server name that a client sends (RFC 6066, 3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// The certificates of one listener by name. A client without a known name gets the first certificate.
#[derive(Debug)]
pub struct ServerNames {
    first: Option<Arc<CertifiedKey>>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Wildcards by the name after `*.`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
    /// Each certificate with all its names.
    all: Vec<(Arc<CertifiedKey>, Box<[String]>)>,
}

impl ServerNames {
    /// Returns the index of these certificates. If two certificates have the same name, the earlier one is chosen.
    pub(crate) fn new<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Self {
        let exact = HashMap::new();
        let wildcards = HashMap::new();
        let mut names = Self { first: None, exact, wildcards, all: Vec::new() };
        for certificate in certificates {
            names.first.get_or_insert_with(|| certificate.key.clone());
            names.all.push((certificate.key.clone(), certificate.names.iter().cloned().collect()));
            for name in &certificate.names {
                let (index, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcards, parent),
                    None => (&mut names.exact, name.as_str()),
                };
                index.entry(name.to_owned()).or_insert_with(|| certificate.key.clone());
            }
        }
        names
    }

    /// Returns the certificate for `name`: of that name, of its wildcard, or the first one.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let known = name.as_deref().and_then(|name| self.known(name));
        known.or(self.first.as_ref()).cloned()
    }

    /// Returns the certificate of a name in lowercase; `None` if no certificate has it.
    fn known(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.exact.get(name).or_else(|| self.wildcards.get(parent?))
    }

    /// Whether a request to `host`, a name without a port, belongs to another certificate than that of a connection with
    /// this server name (RFC 9110, 7.4). Hosts that no certificate has belong to every connection.
    #[must_use]
    pub fn is_misdirected(&self, server_name: &str, host: &str) -> bool {
        if server_name.eq_ignore_ascii_case(host) {
            return false;
        }
        let host = host.to_ascii_lowercase();
        let Some(used) = self.choose(Some(server_name)) else { return false };
        let Some(own) = self.known(&host) else { return false };
        !Arc::ptr_eq(&used, own) && !self.all.iter().any(|(key, names)| Arc::ptr_eq(key, &used) && has(names, &host))
    }
}

/// Whether one of the names of a certificate is this host.
fn has(names: &[String], host: &str) -> bool {
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, above)| above == parent),
        None => name == host,
    })
}

impl ResolvesServerCert for ServerNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

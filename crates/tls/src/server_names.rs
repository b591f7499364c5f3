//! The choice of a certificate by the server name that a client sends (RFC 6066, 3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// The certificates of one listener by name. A client without a known name gets the first certificate.
#[derive(Debug)]
pub(crate) struct ServerNames {
    first: Option<Arc<CertifiedKey>>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Wildcards by the name after `*.`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
}

impl ServerNames {
    /// Returns the index of these certificates. If two certificates have the same name, the earlier one is chosen.
    pub(crate) fn new<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Self {
        let mut names = Self { first: None, exact: HashMap::new(), wildcards: HashMap::new() };
        for certificate in certificates {
            names.first.get_or_insert_with(|| certificate.key.clone());
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
        let known = name.as_deref().and_then(|name| {
            let parent = name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(name).or_else(|| self.wildcards.get(parent?))
        });
        known.or(self.first.as_ref()).cloned()
    }
}

impl ResolvesServerCert for ServerNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

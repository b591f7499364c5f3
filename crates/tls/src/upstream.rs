//! The TLS of connections to an upstream: the authorities that are trusted, the client certificate, and the name that the
//! upstream's certificate must have. A reload replaces changed files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::Timestamp;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::certificate::{Certificate, CertificateBytes, CertificateFiles, chain, provider};
use crate::error::{CertificateError, FileRole};
use crate::file;
use crate::in_use::InUse;
use crate::pinned::UpstreamVerifier;
use crate::reloaded::{CertificateState, FilesInUse, Reloaded};

/// The protocols that connections to upstreams offer (ALPN), in order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS settings of one upstream, as its configuration defines them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTlsSettings {
    /// The certificates that sign those of the upstream, in PEM; `None` means Mozilla's.
    pub ca: Option<PathBuf>,
    /// The certificate that the upstream may request.
    pub identity: Option<CertificateFiles>,
    /// The name in the upstream's certificate; `None` means the host of its URL.
    pub server_name: Option<String>,
}

/// The TLS of one upstream, which all its connections share.
#[derive(Debug)]
pub struct UpstreamTls {
    server_name: Option<ServerName<'static>>,
    reloaded: Reloaded<UpstreamFiles>,
}

struct UpstreamFiles {
    /// The verifier of `authorities`; `None` means Mozilla's.
    verifier: Option<Arc<UpstreamVerifier>>,
    authorities: Option<InUse<Vec<u8>>>,
    identity: Option<IdentityInUse>,
}

struct IdentityInUse {
    certificate: Certificate,
    content: InUse<CertificateBytes>,
}

/// Returns the TLS configuration for upstreams without settings: certificates are verified against Mozilla's root
/// certificates, and HTTP/2 is offered before HTTP/1.1.
#[must_use]
pub fn public_upstream_config() -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder().with_root_certificates(public_roots()).with_no_client_auth();
    config.alpn_protocols = protocols();
    Arc::new(config)
}

/// Whether a certificate can have this name: a host name or an IP address.
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

impl UpstreamTls {
    /// Reads the files of an upstream.
    ///
    /// # Errors
    /// The first file that cannot be used, or a name that no certificate can have.
    pub fn load(settings: UpstreamTlsSettings, now: Timestamp) -> Result<Self, CertificateError> {
        let server_name = settings.server_name.clone().map(ServerName::try_from).transpose();
        let server_name = server_name.map_err(|error| CertificateError::Settings(error.to_string()))?;
        let authorities = settings.ca.as_deref().map(|ca| file::read(ca, FileRole::Authorities)).transpose()?;
        let verifier = match (&settings.ca, &authorities) {
            (Some(ca), Some(pem)) => Some(private_verifier(ca, pem)?),
            (None, _) | (_, None) => None,
        };
        let identity = settings.identity.as_ref().map(|files| -> Result<_, CertificateError> {
            let content = InUse::new(files.read()?);
            Ok(IdentityInUse { certificate: files.parse(&content.bytes, now)?, content })
        });
        let authorities = authorities.map(InUse::new);
        let files = UpstreamFiles { verifier, authorities, identity: identity.transpose()? };
        Ok(Self { server_name, reloaded: Reloaded::new(settings, files)? })
    }

    /// Returns the settings with which the files were read.
    #[must_use]
    pub const fn settings(&self) -> &UpstreamTlsSettings {
        &self.reloaded.settings
    }

    /// Returns the configuration for a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.reloaded.config()
    }

    /// Returns the name that the certificate of the upstream must have, if it is not the host of the URL.
    #[must_use]
    pub const fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    /// Reads all files again, and uses those that have changed, as [`ListenerTls::reload`](crate::ListenerTls::reload).
    /// The function blocks.
    pub fn reload(&self, now: Timestamp) -> Vec<CertificateState> {
        self.reloaded.reload(now)
    }

    /// Returns the state of each file.
    #[must_use]
    pub fn states(&self) -> Vec<CertificateState> {
        self.reloaded.states()
    }
}

impl FilesInUse for UpstreamFiles {
    type Settings = UpstreamTlsSettings;
    type Config = ClientConfig;

    fn read(&mut self, settings: &UpstreamTlsSettings, now: Timestamp) -> bool {
        let mut has_changed = false;
        if let Some(ca) = &settings.ca
            && let Some(content) = &mut self.authorities
            && let Some(verifier) =
                content.replace(file::read(ca, FileRole::Authorities), |pem| private_verifier(ca, pem))
        {
            tracing::info!(file = %ca.display(), "changed certificate authorities of an upstream are in use");
            self.verifier = Some(verifier);
            has_changed = true;
        }
        if let Some(files) = &settings.identity
            && let Some(identity) = &mut self.identity
            && let Some(new) = identity.content.replace(files.read(), |bytes| files.parse(bytes, now))
        {
            tracing::info!(file = %files.certificate.display(), "a changed certificate is in use");
            identity.certificate = new;
            has_changed = true;
        }
        has_changed
    }

    fn config(&self, _: &UpstreamTlsSettings) -> Result<ClientConfig, CertificateError> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| CertificateError::Settings(error.to_string()))?;
        let builder = match &self.verifier {
            Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier.clone()),
            None => builder.with_root_certificates(public_roots()),
        };
        let mut config = match &self.identity {
            Some(identity) => {
                let key = SingleCertAndKey::from(identity.certificate.key.clone());
                builder.with_client_cert_resolver(Arc::new(key))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols();
        Ok(config)
    }

    fn states(&self, settings: &UpstreamTlsSettings) -> Vec<CertificateState> {
        let identity = settings.identity.iter().zip(&self.identity).map(|(files, identity)| CertificateState {
            file: files.certificate.clone(),
            expires_at: Some(identity.certificate.expires_at()),
            has_failed: identity.content.failure.is_some(),
        });
        let authorities = settings.ca.iter().zip(&self.authorities).map(|(ca, content)| CertificateState {
            file: ca.clone(),
            expires_at: None,
            has_failed: content.failure.is_some(),
        });
        identity.chain(authorities).collect()
    }
}

fn protocols() -> Vec<Vec<u8>> {
    PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect()
}

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn private_verifier(file: &Path, pem: &[u8]) -> Result<Arc<UpstreamVerifier>, CertificateError> {
    let malformed = || CertificateError::Malformed { file: file.to_owned(), role: FileRole::Authorities };
    let verifier = UpstreamVerifier::new(chain(pem, file, FileRole::Authorities)?);
    verifier.map(Arc::new).ok_or_else(malformed)
}

//! The TLS state of one listener. A reload replaces it while connections are served.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use access::Timestamp;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

use crate::certificate::{Certificate, CertificateBytes, CertificateFiles, provider};
use crate::error::CertificateError;
use crate::in_use::InUse;
use crate::server_names::ServerNames;
use crate::settings::{ClientCertificates, TlsSettings};

/// The TLS of one listener, which all its connections share. An open connection keeps the certificate of its handshake.
#[derive(Debug)]
pub struct ListenerTls {
    settings: TlsSettings,
    /// The protocols of ALPN, in order of preference.
    protocols: Vec<Vec<u8>>,
    current: ArcSwap<ServerConfig>,
    files: Mutex<FilesInUse>,
}

/// The contents of all files that are in use.
#[derive(Debug)]
struct FilesInUse {
    certificates: Vec<CertificateInUse>,
    /// The certificates that sign those of clients.
    authorities: Option<InUse<Vec<u8>>>,
    /// Encrypts session tickets. The key is replaced every 6 hours, and the previous one is accepted for 6 more.
    tickets: Arc<dyn ProducesTickets>,
    /// Whether `current` is older than these files.
    has_changed: bool,
}

#[derive(Debug)]
struct CertificateInUse {
    files: CertificateFiles,
    certificate: Certificate,
    content: InUse<CertificateBytes>,
}

/// The state of one certificate after a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateState {
    /// The file of the certificate, or of the certificates that sign those of clients.
    pub file: PathBuf,
    /// The end of the validity of the certificate in use, in seconds of the Unix time; `None` for those that sign.
    pub expires_at: Option<i64>,
    /// Whether the files' present content cannot be used, so that an earlier one is in use.
    pub has_failed: bool,
}

impl ListenerTls {
    /// Reads the files of a listener that offers these protocols by ALPN.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(settings: TlsSettings, protocols: &[&[u8]], now: Timestamp) -> Result<Self, CertificateError> {
        let mut certificates = Vec::new();
        for files in &settings.certificates {
            let content = InUse::new(files.read()?);
            let certificate = files.parse(&content.bytes, now)?;
            certificates.push(CertificateInUse { files: files.clone(), certificate, content });
        }
        let authorities = settings.client.as_ref().map(ClientCertificates::read).transpose()?;
        let authorities = authorities.map(InUse::new);
        let files = FilesInUse { certificates, authorities, tickets: tickets()?, has_changed: false };
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let current = ArcSwap::new(Arc::new(files.config(&settings, &protocols)?));
        Ok(Self { settings, protocols, current, files: Mutex::new(files) })
    }

    /// Returns the configuration for a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads all files again, and uses those that have changed. A file that cannot be used leaves its earlier content in
    /// use, with one log line for each different failure. The function blocks.
    pub fn reload(&self, now: Timestamp) -> Vec<CertificateState> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.read(&self.settings, now);
        if files.has_changed {
            match files.config(&self.settings, &self.protocols) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    files.has_changed = false;
                }
                Err(error) => tracing::error!(%error, "certificates cannot be replaced; the earlier ones stay in use"),
            }
        }
        files.states(&self.settings)
    }

    /// Returns the state of each certificate.
    #[must_use]
    pub fn states(&self) -> Vec<CertificateState> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).states(&self.settings)
    }
}

impl FilesInUse {
    fn read(&mut self, settings: &TlsSettings, now: Timestamp) {
        for CertificateInUse { files, certificate, content } in &mut self.certificates {
            let read = files.read();
            if let Some(new) = content.replace(read, |bytes| files.parse(bytes, now)) {
                tracing::info!(file = %files.certificate.display(), "a changed certificate is in use");
                *certificate = new;
                self.has_changed = true;
            }
        }
        if let (Some(content), Some(client)) = (&mut self.authorities, &settings.client)
            && content.replace(client.read(), |bytes| client.verifier(bytes)).is_some()
        {
            // A ticket would let a client resume whose certificate the new file no longer signs.
            match tickets() {
                Ok(tickets) => self.tickets = tickets,
                Err(error) => {
                    tracing::error!(%error, "session tickets are off: their key cannot be replaced");
                    self.tickets = Arc::new(NoTickets);
                }
            }
            tracing::info!(file = %client.ca.display(), "changed certificates that sign those of clients are in use");
            self.has_changed = true;
        }
    }

    fn config(&self, settings: &TlsSettings, protocols: &[Vec<u8>]) -> Result<ServerConfig, CertificateError> {
        let refused = |error: rustls::Error| CertificateError::Settings(error.to_string());
        let versions = settings.min_version.versions();
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let builder = builder.map_err(refused)?;
        let builder = match (&settings.client, &self.authorities) {
            (Some(client), Some(authorities)) => {
                builder.with_client_cert_verifier(client.verifier(&authorities.bytes)?)
            }
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        let names = ServerNames::new(self.certificates.iter().map(|used| &used.certificate));
        let mut config = builder.with_cert_resolver(Arc::new(names));
        config.alpn_protocols = protocols.to_vec();
        config.ticketer = self.tickets.clone();
        Ok(config)
    }

    fn states(&self, settings: &TlsSettings) -> Vec<CertificateState> {
        let certificates = self.certificates.iter().map(|used| CertificateState {
            file: used.files.certificate.clone(),
            expires_at: Some(used.certificate.expires_at()),
            has_failed: used.content.failure.is_some(),
        });
        let authorities = settings.client.iter().zip(&self.authorities).map(|(client, content)| CertificateState {
            file: client.ca.clone(),
            expires_at: None,
            has_failed: content.failure.is_some(),
        });
        certificates.chain(authorities).collect()
    }
}

/// Issues no session tickets, and accepts none.
#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

fn tickets() -> Result<Arc<dyn ProducesTickets>, CertificateError> {
    Ticketer::new().map_err(|error| CertificateError::Settings(error.to_string()))
}

//! The TLS state of one listener. A reload replaces it while connections are served.

use std::sync::Arc;

use access::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use crate::certificate::{Certificate, CertificateBytes, CertificateFiles, provider};
use crate::error::CertificateError;
use crate::in_use::InUse;
use crate::reloaded::{CertificateState, FilesInUse, Reloaded};
use crate::server_names::ServerNames;
use crate::settings::{ClientCertificates, ClientFiles, TlsSettings};

/// The TLS of one listener, which all its connections share. An open connection keeps the certificate of its handshake.
#[derive(Debug)]
pub struct ListenerTls {
    reloaded: Reloaded<ListenerFiles>,
}

/// The TLS of a new connection.
#[derive(Debug)]
pub struct ListenerConfig {
    /// The configuration of the handshake.
    pub server: Arc<ServerConfig>,
    /// The names of the certificates; `None` if there is only one.
    pub names: Option<Arc<ServerNames>>,
}

struct ListenerFiles {
    /// The protocols of ALPN, in order of preference.
    protocols: Vec<Vec<u8>>,
    certificates: Vec<CertificateInUse>,
    /// The files by which certificates of clients are verified.
    clients: Option<InUse<ClientFiles>>,
    /// Encrypts session tickets. The key is replaced every 6 hours, and the previous one is accepted for 6 more. Listeners that
    /// request certificates of clients issue none: a resumption does not verify the certificate again.
    tickets: Arc<dyn ProducesTickets>,
}

struct CertificateInUse {
    files: CertificateFiles,
    certificate: Certificate,
    content: InUse<CertificateBytes>,
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
        let clients = settings.client.as_ref().map(ClientCertificates::read).transpose()?;
        let clients = clients.map(InUse::new);
        let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tickets = if clients.is_some() { Arc::new(NoTickets) } else { tickets()? };
        let files = ListenerFiles { protocols, certificates, clients, tickets };
        Ok(Self { reloaded: Reloaded::new(settings, files)? })
    }

    /// Returns the configuration for a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.reloaded.config().server.clone()
    }

    /// Returns the same with the names of the certificates.
    #[must_use]
    pub fn named_config(&self) -> Arc<ListenerConfig> {
        self.reloaded.config()
    }

    /// Reads all files again, and uses those that have changed. A file that cannot be used leaves its earlier content in
    /// use, with one log line for each different failure. The function blocks.
    pub fn reload(&self, now: Timestamp) -> Vec<CertificateState> {
        self.reloaded.reload(now)
    }

    /// Returns the state of each certificate.
    #[must_use]
    pub fn states(&self) -> Vec<CertificateState> {
        self.reloaded.states()
    }
}

impl FilesInUse for ListenerFiles {
    type Settings = TlsSettings;
    type Config = ListenerConfig;

    fn read(&mut self, settings: &TlsSettings, now: Timestamp) -> bool {
        let mut has_changed = false;
        for CertificateInUse { files, certificate, content } in &mut self.certificates {
            let read = files.read();
            if let Some(new) = content.replace(read, |bytes| files.parse(bytes, now)) {
                tracing::info!(file = %files.certificate.display(), "a changed certificate is in use");
                *certificate = new;
                has_changed = true;
            }
        }
        if let Some(content) = &mut self.clients
            && let Some(client) = &settings.client
            && content.replace(client.read(), |bytes| client.verifier(bytes)).is_some()
        {
            tracing::info!(file = %client.ca.display(), "changed files that verify certificates of clients are in use");
            has_changed = true;
        }
        has_changed
    }

    fn config(&self, settings: &TlsSettings) -> Result<ListenerConfig, CertificateError> {
        let refused = |error: rustls::Error| CertificateError::Settings(error.to_string());
        let versions = settings.min_version.versions();
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let builder = builder.map_err(refused)?;
        let builder = match (&settings.client, &self.clients) {
            (Some(client), Some(files)) => builder.with_client_cert_verifier(client.verifier(&files.bytes)?),
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        let names = Arc::new(ServerNames::new(self.certificates.iter().map(|used| &used.certificate)));
        let mut config = builder.with_cert_resolver(names.clone());
        config.alpn_protocols = self.protocols.clone();
        config.ticketer = self.tickets.clone();
        if !self.tickets.enabled() {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        let names = (self.certificates.len() > 1).then_some(names);
        Ok(ListenerConfig { server: Arc::new(config), names })
    }

    fn states(&self, settings: &TlsSettings) -> Vec<CertificateState> {
        let certificates = self.certificates.iter().map(|used| CertificateState {
            file: used.files.certificate.clone(),
            expires_at: Some(used.certificate.expires_at()),
            has_failed: used.content.failure.is_some(),
        });
        let clients = settings.client.iter().zip(&self.clients).map(|(client, content)| CertificateState {
            file: client.ca.clone(),
            expires_at: None,
            has_failed: content.failure.is_some(),
        });
        let revocations = settings.client.iter().zip(&self.clients).filter_map(|(client, content)| {
            let has_failed = content.failure.is_some();
            Some(CertificateState { file: client.crl.clone()?, expires_at: None, has_failed })
        });
        certificates.chain(clients).chain(revocations).collect()
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

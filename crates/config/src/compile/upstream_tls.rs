//! Compiles the TLS of upstreams, providers, issuers and services: its files are read, so that a startup reports those that cannot be used.

use std::path::PathBuf;
use std::sync::Arc;

use crate::schema::traffic::{UpstreamInput, UpstreamTlsInput};
use crate::snapshot::{Backend, Scheme};
use access::Clock;
use settings::error::{Code, Problem, ValueOrigin};
use settings::input::Input;
use settings::section::SettingsReader;
use tls::{CertificateError, CertificateFiles, FileRole, UpstreamTls, UpstreamTlsSettings};

/// Returns the TLS of an upstream; `None` if it has no `tls`, or files that have been reported.
pub(super) fn upstream_tls(
    reader: &SettingsReader<'_>,
    upstream: &UpstreamInput,
    backends: &[Backend],
) -> Option<Arc<UpstreamTls>> {
    let input = upstream.tls.as_ref()?;
    if !backends.is_empty() && backends.iter().all(|backend| backend.origin.scheme != Scheme::Https) {
        report_unused(reader, input, "no backend of the upstream has an `https` URL");
    }
    load(reader, input)
}

/// Reports TLS that no connection uses, because of `reason`.
pub(super) fn report_unused(reader: &SettingsReader<'_>, input: &UpstreamTlsInput, reason: &str) {
    let location = &input.location;
    let message = format!("`{}` has no effect: {reason}", location.path);
    reader.report(Problem::new(Code::BadValue, location.at, message).expected("an `https` URL, or no `tls`"));
}

/// The TLS of upstreams of the running configuration, which the reader of its replacement carries; `None` at a start.
pub(crate) struct RunningTls(pub(crate) Option<Vec<Arc<UpstreamTls>>>);

impl RunningTls {
    /// Returns the TLS that an upstream has with the same settings, so that its connections remain usable. A job replaces
    /// its changed files.
    fn find(&self, settings: &UpstreamTlsSettings) -> Option<Arc<UpstreamTls>> {
        self.0.iter().flatten().find(|tls| tls.settings() == settings).cloned()
    }
}

/// Returns the TLS that a section describes; `None` if it has files that have been reported.
pub(super) fn load(reader: &SettingsReader<'_>, input: &UpstreamTlsInput) -> Option<Arc<UpstreamTls>> {
    let location = &input.location;
    match (location.has("cert"), location.has("key")) {
        (true, false) => location.missing(reader, &["key"]),
        (false, true) => location.missing(reader, &["cert"]),
        (true, true) | (false, false) => {}
    }
    let identity = input.cert.as_ref().zip(input.key.as_ref());
    let settings = UpstreamTlsSettings {
        ca: input.ca.as_ref().map(|ca| ca.value.clone()),
        identity: identity
            .map(|(cert, key)| CertificateFiles { certificate: cert.value.clone(), key: key.value.clone() }),
        server_name: input.server_name.as_ref().map(|name| name.value.clone()),
    };
    let running = reader.carried::<RunningTls>().and_then(|running| running.find(&settings));
    if running.is_some() {
        return running;
    }
    match UpstreamTls::load(settings, Clock::system().now()) {
        Ok(tls) => Some(Arc::new(tls)),
        Err(error) => {
            let (file, name) = file_of(input, error.role());
            report_file(reader, &location.name(name), file, &error);
            None
        }
    }
}

/// Whether the text replaces the configuration of a running process.
pub(super) fn is_running(reader: &SettingsReader<'_>) -> bool {
    reader.carried::<RunningTls>().is_some_and(|running| running.0.is_some())
}

/// Reports the file of certificate authorities under a key, if it cannot be used.
pub(super) fn check_authorities(reader: &SettingsReader<'_>, key: &str, file: &Input<PathBuf>) {
    // A running process has read its file, and reads another one only after a restart.
    if is_running(reader) {
        return;
    }
    let settings = UpstreamTlsSettings { ca: Some(file.value.clone()), identity: None, server_name: None };
    if let Err(error) = UpstreamTls::load(settings, Clock::system().now()) {
        report_file(reader, key, Some(file), &error);
    }
}

fn report_file(reader: &SettingsReader<'_>, key: &str, file: Option<&Input<PathBuf>>, error: &CertificateError) {
    let at = file.and_then(Input::value_origin);
    let reason = match (at, file) {
        // No error repeats the value of a variable.
        (Some(ValueOrigin::Variable(_)), Some(file)) => {
            error.to_string().replace(&file.value.display().to_string(), "the file")
        }
        (Some(ValueOrigin::File(_)) | None, _) | (_, None) => error.to_string(),
    };
    reader.report(Problem::new(Code::File, at, format!("`{key}`: {reason}")).of_startup());
}

/// Returns the key that names the file with this role.
fn file_of(input: &UpstreamTlsInput, role: Option<FileRole>) -> (Option<&Input<PathBuf>>, &'static str) {
    match role {
        Some(FileRole::Authorities) => (input.ca.as_ref(), "ca"),
        Some(FileRole::Key) => (input.key.as_ref(), "key"),
        Some(FileRole::Certificate | FileRole::Revocations) | None => (input.cert.as_ref(), "cert"),
    }
}

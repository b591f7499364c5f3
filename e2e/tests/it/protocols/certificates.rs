//! A private certificate authority, and the certificate of a server on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// The files of an authority and of one certificate for `localhost` that it has signed.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // A certificate whose subject is its issuer would count as signed by itself.
        params.distinguished_name = named("Authority of a test");
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut own = CertificateParams::new(names).unwrap();
        own.distinguished_name = named("localhost");
        own.use_authority_key_identifier_extension = true;
        let certificate = own.signed_by(&own_key, &issuer).unwrap();
        let files = Self { folder };
        fs::write(files.authority(), pem("CERTIFICATE", authority.der())).unwrap();
        fs::write(files.certificate(), pem("CERTIFICATE", certificate.der())).unwrap();
        fs::write(files.key(), pem("PRIVATE KEY", &own_key.serialize_der())).unwrap();
        // Tollgate refuses a key that other users can read.
        fs::set_permissions(files.key(), fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    /// Returns the file that clients trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("server.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path("server.key")
    }

    /// Returns the section `listen`: a listener of HTTP, then one of HTTPS.
    pub(crate) fn listeners(&self) -> String {
        let certificate = self.certificate();
        let key = self.key();
        let tls = format!("{{cert: {}, key: {}}}", certificate.display(), key.display());
        format!("[{{address: \"127.0.0.1:0\"}}, {{address: \"127.0.0.1:0\", tls: {tls}}}]")
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Returns DER in PEM. OpenSSL requires lines of at most 64 characters (RFC 7468, 2).
fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

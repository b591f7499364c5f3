//! The certificate of the listeners with TLS, on Tollgate and nginx: ECDSA on P-256, signed by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};

/// Returns the files of the certificate and of its key.
pub(crate) fn files(out: &Path) -> [PathBuf; 2] {
    ["certificate.pem", "certificate.key"].map(|name| out.join(name))
}

/// Creates the certificate and its key.
pub(crate) fn create(out: &Path) -> anyhow::Result<()> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let [certificate, key] = files(out);
    fs::write(certificate, pem("CERTIFICATE", pair.cert.der())?)?;
    fs::write(&key, pem("PRIVATE KEY", &pair.signing_key.serialize_der())?)?;
    // Tollgate refuses a key that other users can read.
    Ok(fs::set_permissions(key, fs::Permissions::from_mode(0o600))?)
}

/// Returns DER in PEM. OpenSSL requires lines of at most 64 characters (RFC 7468, 2).
pub(crate) fn pem(label: &str, der: &[u8]) -> anyhow::Result<String> {
    let text = Base64::encode_string(der);
    let lines: Result<Vec<&str>, _> = text.as_bytes().chunks(64).map(std::str::from_utf8).collect();
    Ok(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines?.join("\n")))
}

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use access::Timestamp;
use base64ct::{Base64, Encoding as _};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::listener::ListenerTls;
use crate::reloaded::CertificateState;
use crate::settings::{MinVersion, TlsSettings};

/// The time of the tests: 2026-11-20T12:00:00Z.
const NOW: Timestamp = Timestamp(1_795_176_000_000_000);

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the text of a file in PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}

/// Writes a certificate for `names` that is valid in these years.
fn certify(folder: &Path, names: &[&str], years: (i32, i32)) -> CertificateFiles {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let files = CertificateFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    write(&files.certificate, &pem("CERTIFICATE", params.self_signed(&key).unwrap().der()), 0o644);
    write(&files.key, &pem("PRIVATE KEY", &key.serialize_der()), 0o600);
    files
}

#[test]
fn valid_certificate_has_its_names_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = certify(folder.path(), &["A.test", "*.b.test"], (2020, 2030)).load(NOW).unwrap();
    assert_eq!(loaded.names, ["a.test", "*.b.test"]);
    assert_eq!(loaded.expires_at(), 1_893_456_000);
}

#[test]
fn each_fault_of_a_file_has_its_own_message_and_role() {
    fn check(spoil: impl Fn(&CertificateFiles), expected: &str, role: FileRole) {
        let folder = tempfile::tempdir().unwrap();
        let files = certify(folder.path(), &["a.test"], (2020, 2030));
        spoil(&files);
        let error = files.load(NOW).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.role(), Some(role), "{error}");
    }
    let expire = |years| {
        move |files: &CertificateFiles| {
            certify(files.key.parent().unwrap(), &["a.test"], years);
        }
    };
    check(expire((2020, 2026)), "cert.pem expired on 2026-01-01", FileRole::Certificate);
    check(expire((2027, 2030)), "cert.pem is not valid before 2027-01-01", FileRole::Certificate);
    check(
        |files| fs::remove_file(&files.certificate).unwrap(),
        "cert.pem cannot be read: No such",
        FileRole::Certificate,
    );
    check(|files| fs::remove_file(&files.key).unwrap(), "key.pem cannot be read: No such", FileRole::Key);
    check(
        |files| write(&files.certificate, "", 0o644),
        "cert.pem has no valid certificate (PEM)",
        FileRole::Certificate,
    );
    check(
        |files| write(&files.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644),
        "cert.pem has no valid certificate (PEM)",
        FileRole::Certificate,
    );
    check(|files| write(&files.key, "-----BEGIN", 0o600), "key.pem has no valid private key (PEM)", FileRole::Key);
    check(
        |files| write(&files.key, &pem("PRIVATE KEY", &KeyPair::generate().unwrap().serialize_der()), 0o600),
        "key.pem is not the private key of the certificate in",
        FileRole::Key,
    );
    check(
        |files| fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap(),
        "key.pem is a private key that other users can access (mode 644): chmod 600",
        FileRole::Key,
    );
    check(
        |files| {
            fs::remove_file(&files.key).unwrap();
            fs::create_dir(&files.key).unwrap();
        },
        "key.pem cannot be read: it is not a regular file",
        FileRole::Key,
    );
    check(
        |files| write(&files.key, &"x".repeat(1 << 21), 0o600),
        "key.pem cannot be read: it is larger than",
        FileRole::Key,
    );
}

#[test]
fn reload_uses_good_files_only_and_keeps_the_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let files = certify(folder.path(), &["a.test"], (2020, 2030));
    let settings = TlsSettings { certificates: vec![files.clone()], min_version: MinVersion::Tls12, client: None };
    let tls = ListenerTls::load(settings, &[b"http/1.1"], NOW).unwrap();
    let first = tls.config();
    let state = |expires_at, has_failed| {
        vec![CertificateState { file: files.certificate.clone(), expires_at: Some(expires_at), has_failed }]
    };
    assert_eq!(tls.reload(NOW), state(1_893_456_000, false));
    assert!(Arc::ptr_eq(&first, &tls.config()), "unchanged files replace nothing");

    let certificate = fs::read_to_string(&files.certificate).unwrap();
    let key = fs::read_to_string(&files.key).unwrap();
    fs::remove_file(&files.key).unwrap();
    assert_eq!(tls.reload(NOW), state(1_893_456_000, true));
    write(&files.key, &key, 0o600);
    assert_eq!(tls.reload(NOW), state(1_893_456_000, false));
    certify(folder.path(), &["a.test"], (2020, 2025));
    assert_eq!(tls.reload(NOW), state(1_893_456_000, true));
    write(&files.certificate, &certificate, 0o644);
    assert_eq!(tls.reload(NOW), state(1_893_456_000, true), "the key is that of the expired certificate");
    assert!(Arc::ptr_eq(&first, &tls.config()));

    certify(folder.path(), &["a.test"], (2020, 2031));
    assert_eq!(tls.reload(NOW), state(1_924_992_000, false));
    assert!(!Arc::ptr_eq(&first, &tls.config()));
    assert!(Arc::ptr_eq(&first.ticketer, &tls.config().ticketer), "sessions continue");
    assert_eq!(tls.states(), state(1_924_992_000, false));
}

#[test]
fn a_host_of_another_certificate_is_misdirected() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let names: [&[&str]; 3] = [&["a.test"], &["*.b.test", "c.test"], &["x.b.test"]];
    let certificates: Vec<_> =
        folders.iter().zip(names).map(|(folder, names)| certify(folder.path(), names, (2020, 2030))).collect();
    let load = |certificates: &[CertificateFiles]| {
        let settings =
            TlsSettings { certificates: certificates.to_vec(), min_version: MinVersion::Tls12, client: None };
        ListenerTls::load(settings, &[b"http/1.1"], NOW).unwrap().named_config()
    };
    assert!(load(&certificates[..1]).names.is_none(), "one certificate serves all hosts");
    let config = load(&certificates);
    let names = config.names.as_ref().unwrap();
    for (server_name, host, is_misdirected) in [
        ("a.test", "A.test", false),
        ("a.test", "y.b.test", true),
        ("a.test", "x.b.test", true),
        ("y.b.test", "C.test", false),
        // The certificate of the connection has the host too.
        ("y.b.test", "x.b.test", false),
        ("x.b.test", "y.b.test", true),
        ("y.b.test", "a.test", true),
        // No certificate has the host.
        ("a.test", "unknown.test", false),
        ("a.test", "b.test", false),
        // A client with an unknown name gets the first certificate.
        ("unknown.test", "a.test", false),
        ("unknown.test", "c.test", true),
    ] {
        assert_eq!(names.is_misdirected(server_name, host), is_misdirected, "{server_name} {host}");
    }
}

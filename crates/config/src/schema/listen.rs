//! The keys of listeners: their addresses and their TLS.

use std::path::PathBuf;

use settings::field::{Entries, default, maybe_nested, optional, required, sections};
use settings::form::{Boolean, FILE, FormRefusal, Scalar, TextForm, Words, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;
use tls::listening::{ListenAddress, ListenAddressError};

use super::name::NAME;
use crate::snapshot::{ClientMode, MinVersion};

section! {
    ListenerInput {
        /// The name for [`routes[].listen`](routing.md#listeners).
        name: Option<Input<String>> = optional(NAME, "");
        /// The address and the port, or a [Unix socket](deployment.md#unix-sockets).
        address: Option<Input<ListenAddress>> = required(ADDRESS);
        /// The permissions of the file of a Unix socket, in octal digits, in quotes.
        socket_mode: Input<u32> = default(SOCKET_MODE, || SOCKET_MODE_DEFAULT);
        /// The [certificates](deployment.md#tls) of an HTTPS listener.
        tls: Option<TlsInput> = maybe_nested::<TlsInput>();
        /// Whether connections begin with a PROXY header (version 1 or 2), from `trusted_proxies` only.
        proxy_protocol: Input<bool> = default(Boolean, || false);
    }
}

section! {
    TlsInput {
        /// The certificate chain, in PEM.
        cert: Option<Input<PathBuf>> = optional(FILE, "");
        /// The private key, in PEM, not readable by others.
        key: Option<Input<PathBuf>> = optional(FILE, "");
        /// Certificates in place of `cert` and `key`, selected by server name; the first is the default.
        certificates: Entries<CertificateInput> = sections::<CertificateInput>("").not_empty("at least one {cert, key}");
        /// The lowest version of TLS.
        min_version: Input<MinVersion> = default(MIN_VERSION, || MinVersion::Tls12);
        /// The certificates of clients.
        client: Option<ClientCertificatesInput> = maybe_nested::<ClientCertificatesInput>();
        rules: Rule::ExactlyOne(&["cert", "certificates"]), Rule::Requires("cert", "key"), Rule::Requires("key", "cert");
    }
}

section! {
    /// One entry of `listen[].tls.certificates`, and `control.tls`.
    CertificateInput {
        /// The certificate chain, in PEM.
        cert: Option<Input<PathBuf>> = required(FILE);
        /// The private key, in PEM, not readable by others.
        key: Option<Input<PathBuf>> = required(FILE);
    }
}

section! {
    ClientCertificatesInput {
        /// The authorities that sign client certificates, in PEM.
        ca: Option<Input<PathBuf>> = required(FILE);
        /// [Lists of revoked certificates](deployment.md#revoked-certificates), in PEM.
        crl: Option<Input<PathBuf>> = optional(FILE, "");
        /// Upstreams receive the subject as `X-SSL-Client-S-DN` (RFC 4514).
        mode: Option<Input<ClientMode>> = required(CLIENT_MODE);
    }
}

pub(super) const ADDRESS: TextForm<ListenAddress> = TextForm {
    parse: |text| text.parse().map_err(|error: ListenAddressError| FormRefusal::Bad(error.to_string())),
    shown: |address| Value::text(address),
    cell: "IP address and port: `\"[::1]:8080\"`, or `unix:/PATH`",
    pattern: r"^(([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}|unix:/.{0,105}[^/])$",
    scalar: Scalar::Text,
};

/// The owner and the group of the process connect.
pub(crate) const SOCKET_MODE_DEFAULT: u32 = 0o660;
/// Permissions as in chmod(1). The zero is required: other readers of YAML make a decimal number of an unquoted value.
pub(super) const SOCKET_MODE: TextForm<u32> = TextForm {
    parse: |text| {
        let has_form =
            text.len() == 4 && text.starts_with('0') && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        let mode = if has_form { u32::from_str_radix(text, 8).ok() } else { None };
        mode.ok_or_else(|| bad("a zero and three octal digits, in quotes: \"0660\""))
    },
    shown: |mode| Value::Text(format!("{mode:04o}")),
    cell: "`0` and three octal digits",
    pattern: "^0[0-7]{3}$",
    scalar: Scalar::Text,
};

const MIN_VERSION: Words<MinVersion> = Words::new(&[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)]);
const CLIENT_MODE: Words<ClientMode> =
    Words::new(&[("required", ClientMode::Required), ("optional", ClientMode::Optional)]);

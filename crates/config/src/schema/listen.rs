//! The keys of listeners: their addresses and their TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use settings::field::{Entries, default, maybe_nested, optional, required, sections};
use settings::form::{Boolean, FILE, Scalar, TextForm, Words, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

use super::name::NAME;
use crate::snapshot::{ClientMode, MinVersion};

section! {
    ListenerInput {
        /// The name for [`routes[].listen`](routing.md#listeners).
        name: Option<Input<String>> = optional(NAME, "");
        /// The address and the port.
        address: Option<Input<SocketAddr>> = required(ADDRESS);
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
        /// The certificates that sign those of clients, in PEM.
        ca: Option<Input<PathBuf>> = required(FILE);
        /// [Lists of revoked certificates](deployment.md#revoked-certificates), in PEM.
        crl: Option<Input<PathBuf>> = optional(FILE, "");
        /// Upstreams receive the subject as `X-SSL-Client-S-DN` (RFC 4514).
        mode: Option<Input<ClientMode>> = required(CLIENT_MODE);
    }
}

pub(super) const ADDRESS: TextForm<SocketAddr> = TextForm {
    parse: |text| text.parse().map_err(|_| bad("an IP address and a port: 127.0.0.1:8080 or \"[::1]:8080\"")),
    shown: |address| Value::text(address),
    cell: "IP address and port: `\"[::1]:8080\"`",
    pattern: r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$",
    scalar: Scalar::Text,
};

const MIN_VERSION: Words<MinVersion> = Words::new(&[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)]);
const CLIENT_MODE: Words<ClientMode> =
    Words::new(&[("required", ClientMode::Required), ("optional", ClientMode::Optional)]);

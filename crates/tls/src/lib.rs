//! TLS on the listeners of the proxy and of control, and to upstreams: certificates from files, their choice by server
//! name, and their reload. Connections to other servers are in [`outbound`], sockets that listen in [`listening`],
//! and those of the Unix domain in [`unix_socket`].
//!
//! In reading order: [`certificate`] (one certificate with its key), [`settings`], [`listener`] (the TLS state of one
//! listener), `reloaded` (what a reload replaces), `server_names` (the choice of a certificate), [`handshake`], [`stream`] and [`upstream`];
//! `client_verifier` and `pinned` verify the certificates of the other side. The
//! configuration reports errors of certificates with the functions of this crate, so that a file that a reload would
//! refuse is refused at startup.

pub mod certificate;
mod client_verifier;
mod distinguished_name;
pub mod error;
mod file;
pub mod handshake;
mod in_use;
pub mod listener;
pub mod listening;
pub mod outbound;
mod pinned;
mod reloaded;
mod server_names;
pub mod settings;
pub mod stream;
pub mod unix_socket;
pub mod upstream;
mod validity;

pub use certificate::{Certificate, CertificateFiles};
pub use client_verifier::ClientMode;
pub use error::{CertificateError, FileRole};
pub use handshake::{HandshakeError, PLAIN_HTTP_RESPONSE, accept};
pub use listener::{ListenerConfig, ListenerTls};
pub use listening::{AsyncListener, BoundListener, ListenAddress};
pub use outbound::OutboundError;
pub use reloaded::CertificateState;
pub use server_names::ServerNames;
pub use settings::{ClientCertificates, MinVersion, TlsSettings};
pub use stream::ServerStream;
pub use upstream::{UpstreamTls, UpstreamTlsSettings, is_server_name, public_upstream_config};

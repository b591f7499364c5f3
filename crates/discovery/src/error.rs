//! The reasons why a document is not fetched.

use std::error::Error;
use std::io;

use access::credentials::jwt::KeySetError;
use thiserror::Error;

/// The reason why the keys of an issuer were not fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The name of the host cannot be resolved.
    #[error("the name of the host does not resolve")]
    Resolve(#[source] io::Error),
    /// The name has no address.
    #[error("the name of the host has no address")]
    NoAddress,
    /// The host has a link-local or metadata address.
    #[error("the host has a link-local or metadata address, which only `allow_link_local: true` permits")]
    LinkLocal,
    /// The host of an `http` URL is another machine.
    #[error("the host is another machine, which needs `https`")]
    NotLoopback,
    /// No address accepts connections.
    #[error("the connection failed")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The server does not speak HTTP/1.1.
    #[error("the response is not valid HTTP")]
    Http(#[source] hyper::Error),
    /// The status is not 200. Redirects are not followed.
    #[error("the status of the response is {0}, not 200")]
    Status(u16),
    /// The document is larger than 1 MiB.
    #[error("the document is larger than 1 MiB")]
    TooLarge,
    /// The connection ended within the document.
    #[error("the document is incomplete")]
    Incomplete(#[source] Box<dyn Error + Send + Sync>),
    /// The document took longer than 10 s.
    #[error("the document took longer than 10 s")]
    TimedOut,
    /// The metadata is not that of an OpenID provider.
    #[error("the metadata of the issuer is invalid: {0}")]
    Metadata(&'static str),
    /// The document is not a set of keys.
    #[error("the key set cannot be used")]
    Keys(#[source] KeySetError),
}

//! One request to the URL of a webhook, within bounds of time and size. Redirects are not followed, and no body is read.

use std::sync::Arc;
use std::time::Duration;

use access::network::outbound::OutboundRules;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tls::OutboundError;
use tls::outbound::{UserDestination, connect_for_user, encrypt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::url::WebhookUrl;

/// The maximum size of a response head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The part of a request's time in which it connects to one address.
const CONNECT_PART: u32 = 4;
/// The name of the server in errors.
const RECEIVER: &str = "the receiver";

/// A client that sends deliveries.
#[derive(Debug, Clone)]
pub(super) struct WebhookClient {
    tls: Arc<ClientConfig>,
    /// The rules for the addresses of receivers.
    rules: Arc<OutboundRules>,
    /// The maximum duration of a request, from the name look-up to the head of the response.
    within: Duration,
}

/// The receivers that are trusted.
#[derive(Debug, Default)]
pub struct ReceiverTrust<'a> {
    /// Certification authorities besides those of Mozilla: certificates in PEM, or nothing.
    pub ca: &'a [u8],
    /// The rules for the addresses of receivers.
    pub rules: OutboundRules,
}

/// A message with its signature.
#[derive(Debug, Clone)]
pub(super) struct SignedMessage {
    /// The value of `webhook-id`.
    pub(super) id: String,
    /// The value of `webhook-timestamp`.
    pub(super) timestamp: String,
    /// The value of `webhook-signature`.
    pub(super) signature: String,
    /// The message as JSON.
    pub(super) body: String,
}

/// The file of certification authorities contains no certificate, or one that is not valid.
#[derive(Debug, Error)]
#[error("the file has no certificate in PEM, or an invalid one")]
pub struct WebhookCaError;

/// Why there is no response. The texts contain no URL: its path may contain a secret.
#[derive(Debug, Error)]
pub(super) enum WebhookSendError {
    #[error("it did not respond in time")]
    TimedOut,
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("its response is not HTTP/1.1")]
    Http(#[source] hyper::Error),
    #[error("its URL is invalid in a request")]
    Request(#[source] http::Error),
}

impl WebhookClient {
    /// Returns a client that trusts Mozilla's certification authorities, and those in `ca`.
    pub(super) fn new(trust: ReceiverTrust<'_>, within: Duration) -> Result<Self, WebhookCaError> {
        let ReceiverTrust { ca, rules } = trust;
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate.map_err(|_| WebhookCaError)?).map_err(|_| WebhookCaError)?;
            count += 1;
        }
        if count == 0 && !ca.is_empty() {
            return Err(WebhookCaError);
        }
        let tls = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
        Ok(Self { tls, rules: Arc::new(rules), within })
    }

    /// Sends a message, and returns the status of the response.
    pub(super) async fn send(&self, to: &WebhookUrl, message: SignedMessage) -> Result<u16, WebhookSendError> {
        timeout(self.within, self.send_slowly(to, message)).await.unwrap_or(Err(WebhookSendError::TimedOut))
    }

    async fn send_slowly(&self, to: &WebhookUrl, message: SignedMessage) -> Result<u16, WebhookSendError> {
        let request = Request::post(&to.path)
            .header(header::HOST, &to.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "tollgate")
            .header(header::CONNECTION, "close")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(Full::new(Bytes::from(message.body)))
            .map_err(WebhookSendError::Request)?;
        let WebhookUrl { host, port, has_tls, .. } = to;
        let to_user = UserDestination { host, port: *port, has_tls: *has_tls, rules: &self.rules };
        let stream = connect_for_user(RECEIVER, to_user, self.within / CONNECT_PART).await?;
        if !to.has_tls {
            return exchange(stream, request).await;
        }
        let stream = encrypt(RECEIVER, stream, &to.host, &self.tls).await?;
        exchange(stream, request).await
    }
}

/// Sends a request on a new connection, which ends after the head of the response.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<u16, WebhookSendError> {
    let connecting = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = connecting.await.map_err(WebhookSendError::Http)?;
    // Dropping the set ends the connection.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let response = sender.send_request(request).await.map_err(WebhookSendError::Http)?;
    Ok(response.status().as_u16())
}

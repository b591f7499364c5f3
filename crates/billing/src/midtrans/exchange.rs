//! One request to Midtrans over HTTP/1.1, within bounds of time and size.

use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde_json::Value;
use thiserror::Error;
use tls::OutboundError;
use tls::outbound::{connect, encrypt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::endpoint::ProviderEndpoint;

/// The maximum size of a response.
const RESPONSE_BYTES_MAX: usize = 256 * 1024;
/// The maximum size of a response head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The maximum time to connect to one address: a quarter of the time of a request.
const CONNECT_MAX: Duration = Duration::from_millis(2_500);
/// The name of the server in errors.
const SERVER: &str = "Midtrans";
/// The longest message of the provider that is kept.
const MESSAGE_CHARS_MAX: usize = 200;

/// A request to Midtrans.
#[derive(Debug)]
pub(super) struct ProviderRequest {
    pub(super) method: Method,
    pub(super) path: String,
    /// `Idempotency-Key`, at most 46 characters: Midtrans ignores longer ones.
    pub(super) key: Option<String>,
    pub(super) body: Option<Value>,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum MidtransError {
    /// The response did not arrive in time.
    #[error("Midtrans did not respond within 10 s")]
    TimedOut,
    /// No connection could be established.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The response is not valid HTTP.
    #[error("the response of Midtrans is not valid HTTP")]
    Http(#[source] hyper::Error),
    /// The response is too large, or is not the documented JSON.
    #[error("a response of Midtrans is invalid: {0}")]
    Malformed(&'static str),
    /// Midtrans refused the request.
    #[error("Midtrans refused the request with {code}: {message}")]
    Refused {
        /// The code of the body, or of HTTP.
        code: u16,
        /// The message of the body.
        message: String,
    },
    /// The bank denied a refund: no money was returned.
    #[error("the refund was denied: {0}")]
    RefundDenied(String),
    /// The order is new, and the response does not contain how to pay it.
    #[error("Midtrans accepted the charge, but its response has no QR code and no account number")]
    NotPayable,
    /// The order exists, and its status does not contain how to pay it.
    #[error("Midtrans has the order, but does not show again how to pay it")]
    NoInstructions,
    /// The program ends, or an internal error ended the request.
    #[error("the request to Midtrans was aborted; send it again")]
    Aborted,
}

impl MidtransError {
    /// Whether the same request may succeed later, or may have succeeded.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Outbound(error) => error.is_temporary(),
            Self::TimedOut | Self::Http(_) | Self::Malformed(_) | Self::Aborted => true,
            Self::Refused { code, .. } => *code >= 500 || *code == 429 || *code == 202,
            Self::RefundDenied(_) | Self::NotPayable | Self::NoInstructions => false,
        }
    }

    /// Whether the order exists already: an earlier charge of it was accepted, but its response was lost.
    #[must_use]
    pub(super) const fn is_duplicate(&self) -> bool {
        matches!(self, Self::Refused { code: 406, .. })
    }

    /// Whether the charge failed for good: no order exists, or the customer cannot pay it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        let is_refused = matches!(self, Self::Refused { .. }) && !self.is_transient() && !self.is_duplicate();
        is_refused || matches!(self, Self::NotPayable)
    }
}

/// Sends one request on a new connection, and reads the JSON of its response. The caller limits its duration.
pub(super) async fn exchange(
    endpoint: &ProviderEndpoint,
    tls: &Arc<ClientConfig>,
    server_key: &Secret,
    request: &ProviderRequest,
) -> Result<Value, MidtransError> {
    let stream = connect(SERVER, &endpoint.host, endpoint.port, CONNECT_MAX).await?;
    let built = built(endpoint, server_key, request).ok_or(MidtransError::Malformed("the server key"))?;
    if !endpoint.has_tls {
        return respond(stream, built).await;
    }
    respond(encrypt(SERVER, stream, &endpoint.host, tls).await?, built).await
}

fn built(endpoint: &ProviderEndpoint, server_key: &Secret, of: &ProviderRequest) -> Option<Request<Full<Bytes>>> {
    let credential = Base64::encode_string(format!("{}:", server_key.expose()).as_bytes());
    let mut authorization = HeaderValue::try_from(format!("Basic {credential}")).ok()?;
    authorization.set_sensitive(true);
    let body = of.body.as_ref().map(Value::to_string).unwrap_or_default();
    let mut request = Request::builder()
        .method(of.method.clone())
        .uri(format!("{}{}", endpoint.path, of.path))
        .header(header::HOST, endpoint.authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "tollgate")
        .header(header::CONNECTION, "close")
        .header(header::AUTHORIZATION, authorization);
    if let Some(key) = &of.key {
        request = request.header("idempotency-key", key.as_str());
    }
    request.body(Full::new(Bytes::from(body))).ok()
}

async fn respond(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Value, MidtransError> {
    let connecting = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = connecting.await.map_err(MidtransError::Http)?;
    // Dropping the set ends the connection.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let response = sender.send_request(request).await.map_err(MidtransError::Http)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await;
    let body = body.map_err(|_| MidtransError::Malformed("its body is too large or incomplete"))?.to_bytes();
    judged(status, &body)
}

/// Midtrans often responds with HTTP 200 and another code in the body, which decides.
fn judged(status: StatusCode, body: &[u8]) -> Result<Value, MidtransError> {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let text = |name: &str| parsed.as_ref().and_then(|body| body.get(name)).and_then(Value::as_str);
    let code = text("status_code").and_then(|code| code.parse().ok()).unwrap_or(status.as_u16());
    // 407 means that a transaction has expired, which is a result. HTTP 202 means that an earlier request with this key
    // has no result yet, or that a transaction was denied, cancelled or has expired.
    let is_in_flight = status == StatusCode::ACCEPTED && text("transaction_status").is_none();
    let is_refused = (code >= 400 && code != 407) || is_in_flight;
    if !is_refused {
        return parsed.ok_or(MidtransError::Malformed("its body is not JSON"));
    }
    Err(MidtransError::Refused { code, message: message(parsed.as_ref()) })
}

/// Returns the message of a body, as far as it is kept.
pub(super) fn message(body: Option<&Value>) -> String {
    let text = body.and_then(|body| body.get("status_message")?.as_str());
    let listed = body.and_then(|body| body.get("error_messages")?.get(0)?.as_str());
    let message = text.or(listed).unwrap_or("no message");
    message.chars().filter(|letter| !letter.is_control()).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_the_body_decides() {
        let code = |status: StatusCode, body: &str| match judged(status, body.as_bytes()) {
            Ok(_) => 0,
            Err(MidtransError::Refused { code, .. }) => code,
            Err(_) => 1,
        };
        for (status, body, expected) in [
            (StatusCode::OK, r#"{"status_code":"201"}"#, 0),
            (StatusCode::OK, r#"{"status_code":"407"}"#, 0),
            (StatusCode::OK, r#"{"status_code":"404"}"#, 404),
            (StatusCode::CREATED, r#"{"token":"t"}"#, 0),
            (StatusCode::BAD_REQUEST, r#"{"error_messages":["a"]}"#, 400),
            (StatusCode::ACCEPTED, r#"{"status_code":"202"}"#, 202),
            (StatusCode::ACCEPTED, r#"{"status_code":"202","transaction_status":"deny"}"#, 0),
            (StatusCode::INTERNAL_SERVER_ERROR, "<html>", 500),
            (StatusCode::OK, "<html>", 1),
        ] {
            assert_eq!(code(status, body), expected, "{body}");
        }
        let denied = judged(StatusCode::OK, br#"{"status_code":"202","transaction_status":"deny"}"#);
        assert!(denied.is_ok());
    }

    #[tokio::test]
    async fn no_request_is_sent_to_a_link_local_address() {
        let endpoint = ProviderEndpoint {
            has_tls: false,
            host: "169.254.169.254".to_owned(),
            port: 80,
            authority: "169.254.169.254".to_owned(),
            path: String::new(),
        };
        let roots = rustls::RootCertStore::empty();
        let tls = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
        let request = ProviderRequest { method: Method::GET, path: "/v2".to_owned(), key: None, body: None };
        let refused = exchange(&endpoint, &tls, &Secret::new("SB-key".to_owned()), &request).await;
        assert!(
            matches!(refused, Err(MidtransError::Outbound(OutboundError::LinkLocal { .. }))),
            "no metadata: {refused:?}"
        );
    }
}

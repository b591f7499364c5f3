//! One request to the receiver of traces, within bounds of time and size.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use access::{Secret, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rustls::ClientConfig;
use tls::outbound::{connect, encrypt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::TraceExportError;
use crate::messages::ExportTraceServiceResponse;

/// Maximum time for one request, from the name lookup to the end of the response.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// Maximum time for the content of a response whose status accepts the spans.
const REPORT_MAX: Duration = Duration::from_secs(1);
/// Maximum time to connect to one address.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The name of the server in errors.
const RECEIVER: &str = "the receiver of traces";
/// Maximum size of a response that is read. The rest of a longer one is not received.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// Maximum size of the head of a response.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest pause that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
const HTTP1: &[u8] = b"http/1.1";

/// The receiver of traces.
#[derive(Debug, Clone)]
pub struct OtlpReceiver {
    /// Whether the connection has TLS.
    pub is_https: bool,
    /// The host name, or an address without brackets.
    pub host: String,
    /// The port of the receiver.
    pub port: u16,
    /// The value of `Host`.
    pub authority: String,
    /// The path, such as `/v1/traces`.
    pub path: String,
    /// Additional headers, such as the key of a service.
    pub headers: Vec<(String, Secret)>,
}

/// Sends spans over HTTP/1.1.
#[derive(Debug, Clone)]
pub struct OtlpClient {
    tls: Arc<ClientConfig>,
}

impl OtlpClient {
    /// Returns a client that verifies the certificates of receivers with `tls`. It offers HTTP/1.1 only.
    #[must_use]
    pub fn new(tls: &ClientConfig) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![HTTP1.to_vec()];
        Self { tls: Arc::new(tls) }
    }

    /// Sends one body to the receiver at `now`. Returns the number of spans that the receiver rejected although it accepted the
    /// request. The future may be dropped at any time.
    ///
    /// # Errors
    /// [`TraceExportError`].
    pub async fn send(&self, to: &OtlpReceiver, body: Bytes, now: Timestamp) -> Result<u64, TraceExportError> {
        timeout(REQUEST_MAX, self.send_slowly(to, body, now)).await.unwrap_or(Err(TraceExportError::TimedOut))
    }

    async fn send_slowly(&self, to: &OtlpReceiver, body: Bytes, now: Timestamp) -> Result<u64, TraceExportError> {
        let stream = connect(RECEIVER, &to.host, to.port, CONNECT_MAX).await?;
        if !to.is_https {
            return exchange(to, TokioIo::new(stream), body, now).await;
        }
        let stream = encrypt(RECEIVER, stream, &to.host, &self.tls).await?;
        exchange(to, TokioIo::new(stream), body, now).await
    }
}

/// Sends one request on a new connection and reads the response.
async fn exchange<T: Read + Write + Unpin + Send + 'static>(
    to: &OtlpReceiver,
    io: T,
    body: Bytes,
    now: Timestamp,
) -> Result<u64, TraceExportError> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(io).await.map_err(TraceExportError::Http)?;
    // Dropping the set ends the connection.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut request = Request::post(&*to.path)
        .header(header::HOST, &*to.authority)
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::USER_AGENT, "tollgate")
        .header(header::CONNECTION, "close");
    for (name, value) in &to.headers {
        request = request.header(name, value.expose());
    }
    let request = request.body(Full::new(body)).map_err(TraceExportError::Request)?;
    let response = sender.send_request(request).await.map_err(TraceExportError::Http)?;
    match response.status() {
        status if status.is_success() => {}
        status @ (StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT) => {
            let retry_after = retry_after(response.headers(), now);
            return Err(TraceExportError::Busy { status: status.as_u16(), retry_after });
        }
        status => return Err(TraceExportError::Refused { status: status.as_u16() }),
    }
    // The status decides that the spans were accepted. A body that is unreadable or late only hides the number of rejected ones.
    let body = timeout(REPORT_MAX, Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect()).await;
    let response =
        body.ok().and_then(Result::ok).and_then(|body| ExportTraceServiceResponse::decode(body.to_bytes()).ok());
    let rejected = response.and_then(|response| response.partial_success).map_or(0, |partial| partial.rejected_spans);
    Ok(u64::try_from(rejected).unwrap_or(0))
}

/// Returns the time in `Retry-After` (RFC 9110, 10.2.3), at most [`RETRY_AFTER_MAX`].
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            let now = SystemTime::UNIX_EPOCH + Duration::from_micros(now.0);
            at.duration_since(now).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::messages::PartialSuccess;

    /// The result of spans to which the receiver responds with these bytes, before it closes the connection.
    async fn result(response: &[u8]) -> Result<u64, TraceExportError> {
        let host = "h".to_owned();
        let authority = "h:4318".to_owned();
        let path = "/v1/traces".to_owned();
        let to = OtlpReceiver { is_https: false, host, port: 4_318, authority, path, headers: Vec::new() };
        let (ours, mut theirs) = duplex(RESPONSE_BYTES_MAX);
        let responds = async move {
            let read = theirs.read(&mut [0; 1_024]).await;
            // The client does not read a long response to its end.
            let written = theirs.write_all(response).await;
            (read, written)
        };
        let sends = exchange(&to, TokioIo::new(ours), Bytes::from_static(b"spans"), Timestamp(0));
        tokio::join!(sends, responds).0
    }

    #[tokio::test(start_paused = true)]
    async fn spans_are_accepted_although_the_content_of_the_response_has_no_end() {
        let host = "h".to_owned();
        let authority = "h:4318".to_owned();
        let path = "/v1/traces".to_owned();
        let to = OtlpReceiver { is_https: false, host, port: 4_318, authority, path, headers: Vec::new() };
        let (ours, mut theirs) = duplex(RESPONSE_BYTES_MAX);
        let responds = async {
            assert!(theirs.read(&mut [0; 1_024]).await.unwrap() > 0);
            theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await.unwrap();
        };
        let sends = exchange(&to, TokioIo::new(ours), Bytes::from_static(b"spans"), Timestamp(0));
        let (sent, ()) = tokio::join!(timeout(REQUEST_MAX, sends), responds);
        assert_eq!(sent.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn a_response_says_whether_the_spans_are_sent_again() {
        let ok = "HTTP/1.1 200 OK\r\n";
        let text = "x".repeat(10 << 20);
        let long = |head: &str| format!("{head}content-length: {}\r\n\r\n{text}", text.len());
        assert_eq!(result(long(ok).as_bytes()).await.unwrap(), 0);
        assert_eq!(result(format!("{ok}content-length: 0\r\n\r\n").as_bytes()).await.unwrap(), 0);
        let rejected = PartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let body = ExportTraceServiceResponse { partial_success: Some(rejected) }.encode_to_vec();
        let head = format!("{ok}content-length: {}\r\n\r\n", body.len());
        assert_eq!(result(&[head.as_bytes(), &body].concat()).await.unwrap(), 3);

        let seconds = |wait: u64| Some(Duration::from_secs(wait));
        for (head, is_temporary, retry_after) in [
            ("429 Busy\r\nretry-after: 7", true, seconds(7)),
            ("429 Busy\r\nretry-after: soon", true, None),
            ("503 Later\r\nretry-after: 86400", true, seconds(300)),
            ("502 Bad", true, None),
            ("504 Late", true, None),
            ("307 Elsewhere\r\nlocation: http://elsewhere.example/", false, None),
            ("400 Bad", false, None),
            ("401 Who", false, None),
            ("500 No", false, None),
        ] {
            for response in [format!("HTTP/1.1 {head}\r\n\r\n"), long(&format!("HTTP/1.1 {head}\r\n"))] {
                let error = result(response.as_bytes()).await.unwrap_err();
                assert_eq!((error.is_temporary(), error.retry_after()), (is_temporary, retry_after), "{head}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn a_receiver_without_http_1_is_told_from_its_port() {
        let endless = format!("HTTP/1.1 200 OK\r\nx-long: {}", "x".repeat(10 << 20));
        // The first frame of HTTP/2, no response, and a head without an end.
        for response in [&b"\0\0\0\x04\0\0\0\0\0"[..], b"", endless.as_bytes()] {
            let error = result(response).await.unwrap_err();
            assert!(error.is_temporary() && error.to_string().contains("4318"), "{error}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_bounded_pause() {
        let now = Timestamp(784_111_777_000_000);
        let check = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(check("7"), Some(7));
        assert_eq!(check("Sun, 06 Nov 1994 08:49:50 GMT"), Some(13));
        assert_eq!(check("Sun, 06 Nov 1994 08:49:30 GMT"), Some(0));
        assert_eq!(check("999999"), Some(300));
        assert_eq!(check("soon"), None);
    }
}

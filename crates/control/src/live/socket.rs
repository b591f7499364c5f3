//! Live messages over a WebSocket (RFC 6455): each message is a text.
//!
//! The server sends only after the client has taken the last messages, as with server-sent events. It reads pings, pongs and the close of
//! the client; a client that sends anything else, or too much, is disconnected.

use std::sync::Arc;
use std::time::Duration;

use access::Refusal;
use axum::response::{IntoResponse, Response};
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::stream::{LiveEnd, LiveStream};
use crate::message::problem::Problem;

const PROTOCOL: &str = "websocket";
/// The only version (RFC 6455, 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// The decoded bytes of `Sec-WebSocket-Key`.
const KEY_BYTES: usize = 16;
/// The longest frame and message of a client. Control frames have at most 125 bytes.
const READ_BYTES_MAX: usize = 1024;
/// Maximum number of frames of a client between two messages, which are at least a second apart.
const FRAMES_MAX: u32 = 16;
/// Time in which a client takes the last message and returns the close.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// A request for a WebSocket whose head is valid.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
}

/// A request for a WebSocket whose head is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    /// The request has another version, or none.
    Version,
    /// The key or an option of the connection is missing or malformed.
    Malformed,
}

impl IntoResponse for HandshakeError {
    fn into_response(self) -> Response {
        match self {
            Self::Version => {
                let problem = Problem::new(Refusal::UpgradeRequired, "send `Sec-WebSocket-Version: 13`");
                let mut response = problem.into_response();
                response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, VERSION);
                response
            }
            Self::Malformed => {
                let message = "a WebSocket needs `Connection: Upgrade` and `Sec-WebSocket-Key` with 16 bytes in base64";
                Problem::new(Refusal::BadRequest, message).into_response()
            }
        }
    }
}

impl Handshake {
    /// Returns the handshake of a request; `None` if the request names no WebSocket.
    ///
    /// # Errors
    /// [`HandshakeError`] for an invalid handshake.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, HandshakeError> {
        if !has_token(headers, &header::UPGRADE, PROTOCOL) {
            return Ok(None);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(HandshakeError::Version);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes()));
        let key = if has_token(headers, &header::CONNECTION, "upgrade") { key } else { None };
        let accept = key.and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok());
        Ok(Some(Self { accept: accept.ok_or(HandshakeError::Malformed)? }))
    }

    /// Returns the response after which the connection is a WebSocket.
    pub(crate) fn response(self) -> Response {
        let fields = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static(PROTOCOL)),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, fields).into_response()
    }
}

/// Whether a list of tokens has this one, in any case of letters.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|of| of.trim().eq_ignore_ascii_case(token))
}

fn is_key(key: &[u8]) -> bool {
    let mut room = [0; KEY_BYTES + 2];
    Base64::decode(key, &mut room).is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}

/// Sends the messages of a stream until it ends, or the client disconnects.
pub(crate) async fn send(upgrade: OnUpgrade, mut stream: LiveStream) {
    // Without the upgrade, the client has disconnected.
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES_MAX)
        .write_buffer_size(0)
        .max_message_size(Some(READ_BYTES_MAX))
        .max_frame_size(Some(READ_BYTES_MAX));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let end = loop {
        let messages = match next(&mut socket, &mut stream).await {
            Ok(messages) => messages,
            Err(end) => break end,
        };
        if feed(&mut socket, messages).await.is_err() {
            return;
        }
    };
    let Some((code, reason)) = end.close() else { return };
    let close = async {
        socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
        // The client returns the close, and the server ends the connection (RFC 6455, 7.1.1).
        while let Some(read) = socket.next().await {
            read?;
        }
        Ok::<_, Error>(())
    };
    if !matches!(timeout(CLOSE_MAX, close).await, Ok(Ok(()))) {
        tracing::debug!("a client of live figures has not closed its WebSocket");
    }
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Sends messages; without messages, a ping, which keeps proxies from closing the connection.
async fn feed(socket: &mut Socket, messages: Vec<Arc<str>>) -> Result<(), Error> {
    if messages.is_empty() {
        return socket.send(Message::Ping(Bytes::new())).await;
    }
    for message in messages {
        socket.feed(Message::text(&*message)).await?;
    }
    socket.flush().await
}

/// The end of a WebSocket.
#[derive(Debug, Clone, Copy)]
enum SocketEnd {
    /// The client has closed it, or the connection.
    Client,
    /// The client sends what the server does not read.
    Frames,
    Stream(LiveEnd),
}

impl SocketEnd {
    /// Returns the code and the reason for the client; `None` if the client has closed the WebSocket.
    fn close(self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Client => None,
            Self::Frames => Some((CloseCode::Policy, "only pings, pongs and closes are read")),
            Self::Stream(LiveEnd::Server) => Some((CloseCode::Away, "the server shuts down")),
            Self::Stream(LiveEnd::Age) => Some((CloseCode::Away, "connect again")),
            Self::Stream(LiveEnd::NotPermitted) => Some((CloseCode::Policy, "the sign-in has ended")),
        }
    }
}

/// Waits for the next messages, and reads what the client sends meanwhile. The next read sends the pong of a ping.
async fn next(socket: &mut Socket, stream: &mut LiveStream) -> Result<Vec<Arc<str>>, SocketEnd> {
    let next = stream.next();
    tokio::pin!(next);
    let mut frames = 0;
    loop {
        tokio::select! {
            messages = &mut next => return messages.map_err(SocketEnd::Stream),
            read = socket.next() => match read {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) if frames < FRAMES_MAX => frames += 1,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(SocketEnd::Client),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_) | Message::Frame(_))) => {
                    return Err(SocketEnd::Frames);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_handshake_has_a_key_a_version_and_both_options() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        let connection = ("connection", "keep-alive, Upgrade");
        let whole = headers(&[("upgrade", "WebSocket"), connection, key, version]);
        let response = Handshake::from_headers(&whole).unwrap().unwrap().response();
        // The example of RFC 6455, 1.3.
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert!(Handshake::from_headers(&headers(&[("upgrade", "h2c"), connection])).unwrap().is_none());
        assert!(Handshake::from_headers(&HeaderMap::new()).unwrap().is_none());
        let upgrade = ("upgrade", "websocket");
        for (fields, status) in [
            (vec![upgrade, connection, key], 426),
            (vec![upgrade, connection, key, ("sec-websocket-version", "8")], 426),
            (vec![upgrade, connection, version], 400),
            (vec![upgrade, key, version], 400),
            (vec![upgrade, connection, ("sec-websocket-key", "c2hvcnQ="), version], 400),
            (vec![upgrade, connection, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZXh4"), version], 400),
        ] {
            let refused = Handshake::from_headers(&headers(&fields)).unwrap_err().into_response();
            assert_eq!(refused.status(), status, "{fields:?}");
        }
    }
}

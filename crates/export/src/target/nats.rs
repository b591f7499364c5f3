//! A stream of NATS JetStream. Each row is one message with its id in `Nats-Msg-Id`, by which the stream drops a repetition
//! within its `duplicate_window`. The protocol is that of NATS 2 ("Client Protocol" and "JetStream wire API").

use std::io;
use std::sync::Arc;

use access::Secret;
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::json;
use tls::outbound::{connect, encrypt};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{BATCH_MAX, CONNECT_MAX, SERVER};
use crate::error::EventExportError;
use crate::row::EncodedRow;

/// Messages that are published before their confirmations are awaited. Those fit into the buffer of a socket.
const WINDOW: usize = 128;
/// Maximum size of a line or of a message of the server.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Maximum length of the server's words in the log.
const REASON_CHARS_MAX: usize = 80;

/// A stream and the server that has it.
#[derive(Debug, Clone)]
pub struct NatsStream {
    /// Whether the connection must have TLS.
    pub is_tls: bool,
    /// The host name, or an address without brackets.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// The first words of the subjects.
    pub subject: String,
    /// The name of a user.
    pub user: Option<String>,
    /// The password of the user, or a token.
    pub password: Option<Secret>,
    /// Verifies the certificate of the server.
    pub tls: Arc<ClientConfig>,
}

/// A confirmation of JetStream.
#[derive(Debug, Deserialize)]
struct Confirmation {
    error: Option<ConfirmationError>,
    stream: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ConfirmationError {
    #[serde(default)]
    description: String,
}

/// What a server of NATS sends.
enum ServerLine {
    /// A message with the sizes of its headers and of all its bytes.
    Message {
        subject: String,
        head_bytes: usize,
        bytes: usize,
    },
    Ping,
    Other,
}

impl NatsStream {
    pub(crate) async fn publish(&self, rows: &[EncodedRow]) -> Result<(), EventExportError> {
        timeout(BATCH_MAX, self.publish_slowly(rows)).await.unwrap_or(Err(EventExportError::TimedOut))
    }

    async fn publish_slowly(&self, rows: &[EncodedRow]) -> Result<(), EventExportError> {
        let mut plain =
            NatsConnection { stream: connect(SERVER, &self.host, self.port, CONNECT_MAX).await?, received: Vec::new() };
        if !plain.line().await?.starts_with("INFO ") {
            return Err(EventExportError::NotNats);
        }
        if !self.is_tls {
            return self.exchange(plain, rows).await;
        }
        let stream = encrypt(SERVER, plain.stream, &self.host, &self.tls).await?;
        self.exchange(NatsConnection { stream, received: Vec::new() }, rows).await
    }

    /// Signs in and publishes all rows.
    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut connection: NatsConnection<S>,
        rows: &[EncodedRow],
    ) -> Result<(), EventExportError> {
        let Some(first) = rows.first() else { return Ok(()) };
        let password = self.password.as_ref().map(Secret::expose);
        let (secret, user) = if self.user.is_some() { ("pass", "user") } else { ("auth_token", "user") };
        let mut options = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "protocol": 1,
            "name": "tollgate", "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "tls_required": self.is_tls,
        });
        if let Some(options) = options.as_object_mut() {
            options.extend(self.user.iter().map(|name| (user.to_owned(), json!(name))));
            options.extend(password.map(|password| (secret.to_owned(), json!(password))));
        }
        let inbox = format!("_INBOX.tollgate.{}", first.id);
        connection.write(&format!("CONNECT {options}\r\nSUB {inbox}.* 1\r\n")).await?;
        for (number, window) in rows.chunks(WINDOW).enumerate() {
            let mut text = String::new();
            for (nth, row) in window.iter().enumerate() {
                self.add(&mut text, row, &format!("{inbox}.{number}-{nth}"));
            }
            connection.write(&text).await?;
            connection.confirmed(&format!("{inbox}.{number}-"), window.len()).await?;
        }
        Ok(())
    }

    /// Adds the message of a row.
    fn add(&self, text: &mut String, row: &EncodedRow, reply: &str) {
        let head = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", row.id);
        let head_bytes = head.len();
        let bytes = head.len() + row.json.len();
        let subject = format!("{}.{}", self.subject, row.kind);
        text.push_str(&format!("HPUB {subject} {reply} {head_bytes} {bytes}\r\n{head}{}\r\n", row.json));
    }
}

/// A connection with the bytes that were received and not read.
struct NatsConnection<S> {
    stream: S,
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> NatsConnection<S> {
    async fn write(&mut self, text: &str) -> Result<(), EventExportError> {
        self.stream.write_all(text.as_bytes()).await.map_err(EventExportError::Disconnected)?;
        self.stream.flush().await.map_err(EventExportError::Disconnected)
    }

    async fn receive(&mut self) -> Result<(), EventExportError> {
        if self.received.len() > MESSAGE_BYTES_MAX {
            return Err(EventExportError::NotNats);
        }
        let count = self.stream.read_buf(&mut self.received).await.map_err(EventExportError::Disconnected)?;
        if count == 0 {
            return Err(EventExportError::Disconnected(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Reads a line without its end.
    async fn line(&mut self) -> Result<String, EventExportError> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| EventExportError::NotNats);
            }
            self.receive().await?;
        }
    }

    /// Reads the bytes of a message.
    async fn content(&mut self, bytes: usize) -> Result<Vec<u8>, EventExportError> {
        if bytes > MESSAGE_BYTES_MAX {
            return Err(EventExportError::NotNats);
        }
        while self.received.len() < bytes + 2 {
            self.receive().await?;
        }
        Ok(self.received.drain(..bytes + 2).take(bytes).collect())
    }

    /// Waits until the stream has confirmed each of `count` messages, whose replies begin with `prefix`.
    async fn confirmed(&mut self, prefix: &str, count: usize) -> Result<(), EventExportError> {
        let mut is_confirmed = vec![false; count];
        while is_confirmed.contains(&false) {
            let (subject, head_bytes, bytes) = match line(&self.line().await?)? {
                ServerLine::Message { subject, head_bytes, bytes } => (subject, head_bytes, bytes),
                ServerLine::Ping => {
                    self.write("PONG\r\n").await?;
                    continue;
                }
                ServerLine::Other => continue,
            };
            let content = self.content(bytes).await?;
            if content.starts_with(b"NATS/1.0 503") {
                return Err(EventExportError::NoStream);
            }
            let of: Confirmation = serde_json::from_slice(content.get(head_bytes..).unwrap_or_default())
                .map_err(|_| EventExportError::NotNats)?;
            if let Some(error) = of.error {
                return Err(refused(&error.description));
            }
            let nth: Option<usize> = subject.strip_prefix(prefix).and_then(|nth| nth.parse().ok());
            if of.stream.is_some()
                && let Some(one) = nth.and_then(|nth| is_confirmed.get_mut(nth))
            {
                *one = true;
            }
        }
        Ok(())
    }
}

fn line(line: &str) -> Result<ServerLine, EventExportError> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |word: &str| word.parse().map_err(|_| EventExportError::NotNats);
    match *words.as_slice() {
        ["MSG", subject, _, bytes] => {
            Ok(ServerLine::Message { subject: subject.to_owned(), head_bytes: 0, bytes: number(bytes)? })
        }
        ["HMSG", subject, _, head_bytes, bytes] => {
            let head_bytes = number(head_bytes)?;
            let bytes = number(bytes)?;
            Ok(ServerLine::Message { subject: subject.to_owned(), head_bytes, bytes })
        }
        ["PING"] => Ok(ServerLine::Ping),
        ["PONG" | "+OK"] | ["INFO", ..] => Ok(ServerLine::Other),
        ["-ERR", ..] => Err(refused(line.trim_start_matches("-ERR"))),
        _ => Err(EventExportError::NotNats),
    }
}

/// Servers describe errors without credentials; the description is bounded and has no control characters.
fn refused(reason: &str) -> EventExportError {
    let reason = reason.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect::<String>();
    EventExportError::NatsRefused { reason: reason.trim().to_owned() }
}

//! Responses that are invalid HTTP, or no HTTP. They are written to the socket directly, as hyper refuses to send them.

use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::timing::MockTiming;

/// The time in which the bytes before a reset are sent. An immediate reset would discard them.
const RESET_PAUSE: Duration = Duration::from_millis(20);
const CONTINUE_EVERY: Duration = Duration::from_millis(10);
const SLOW_HEAD_EVERY: Duration = Duration::from_millis(100);
const CONTINUES_MAX: u32 = 100_000;
/// The time for which the client may keep a finished connection open.
const LINGER: Duration = Duration::from_secs(5);

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One violation of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpViolation {
    /// Send interim responses: without end for `1xx`, N for `1xx-N`.
    Continues(Option<u32>),
    Twice,
    TooShort,
    TwoLengths,
    LengthAndChunked,
    BareLf,
    NotHttp,
    SlowHead,
    Close,
    Reset,
    ResetHead,
    ResetBody,
}

/// The bytes of one violation, to write instead of a response.
#[derive(Debug)]
pub(crate) struct RawResponse {
    violation: HttpViolation,
    body: Bytes,
    kind: &'static str,
    for_long: Duration,
}

impl HttpViolation {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "1xx" => Self::Continues(None),
            "twice" => Self::Twice,
            "too-short" => Self::TooShort,
            "two-lengths" => Self::TwoLengths,
            "length-and-chunked" => Self::LengthAndChunked,
            "bare-lf" => Self::BareLf,
            "not-http" => Self::NotHttp,
            "slow-head" => Self::SlowHead,
            "close" => Self::Close,
            "reset" => Self::Reset,
            "reset-head" => Self::ResetHead,
            "reset-body" => Self::ResetBody,
            _ => Self::Continues(Some(name.strip_prefix("1xx-")?.parse::<u32>().ok()?.min(CONTINUES_MAX))),
        })
    }
}

impl RawResponse {
    /// A violation around `body`, of this content type.
    pub(crate) const fn new(violation: HttpViolation, body: Bytes, kind: &'static str, options: &MockTiming) -> Self {
        Self { violation, body, kind, for_long: options.long_for }
    }

    /// Writes the bytes. An error means that the client disconnected.
    pub(crate) async fn play(self, mut stream: TcpStream) -> std::io::Result<()> {
        match self.violation {
            HttpViolation::Continues(times) => {
                let continues = async {
                    for _ in 0..times.unwrap_or(u32::MAX) {
                        stream.write_all(CONTINUE).await?;
                        if times.is_none() {
                            sleep(CONTINUE_EVERY).await;
                        }
                    }
                    Ok::<_, std::io::Error>(())
                };
                let Ok(written) = timeout(self.for_long, continues).await else { return Ok(()) };
                written?;
                stream.write_all(&self.response(&self.length())).await?;
            }
            HttpViolation::SlowHead => {
                let whole = self.response(&self.length());
                let (head, body) = whole.split_at(whole.len() - self.body.len());
                for byte in head {
                    stream.write_all(&[*byte]).await?;
                    sleep(SLOW_HEAD_EVERY).await;
                }
                stream.write_all(body).await?;
            }
            HttpViolation::Close => return Ok(()),
            HttpViolation::Reset | HttpViolation::ResetHead | HttpViolation::ResetBody => {
                stream.write_all(&self.bytes()).await?;
                sleep(RESET_PAUSE).await;
                return stream.set_zero_linger();
            }
            HttpViolation::Twice
            | HttpViolation::TooShort
            | HttpViolation::TwoLengths
            | HttpViolation::LengthAndChunked
            | HttpViolation::BareLf
            | HttpViolation::NotHttp => stream.write_all(&self.bytes()).await?,
        }
        stream.shutdown().await?;
        // Dropping a socket with unread bytes would reset the connection.
        let mut rest = [0; 1_024];
        let done = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
        drop(timeout(LINGER, done).await);
        Ok(())
    }

    /// The bytes that are written at once.
    fn bytes(&self) -> Vec<u8> {
        let length = self.length();
        let half = self.body.len() / 2;
        match self.violation {
            HttpViolation::Twice => [self.response(&length), self.response(&length)].concat(),
            HttpViolation::TooShort => self.response(&format!("content-length: {half}\r\n")),
            HttpViolation::TwoLengths => self.response(&format!("content-length: {half}\r\n{length}")),
            HttpViolation::LengthAndChunked => {
                let mut head = self.head(&format!("content-length: {half}\r\ntransfer-encoding: chunked\r\n"));
                head.extend(format!("{:x}\r\n", self.body.len()).into_bytes());
                head.extend_from_slice(&self.body);
                head.extend_from_slice(b"\r\n0\r\n\r\n");
                head
            }
            HttpViolation::BareLf => {
                let mut head = self.head(&length);
                head.retain(|byte| *byte != b'\r');
                head.extend_from_slice(&self.body);
                head
            }
            HttpViolation::NotHttp => b"220 mail.example.com ESMTP ready\r\n".to_vec(),
            HttpViolation::ResetHead => b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec(),
            HttpViolation::ResetBody => {
                let mut whole = self.response(&length);
                whole.truncate(whole.len() - self.body.len().div_ceil(2));
                whole
            }
            HttpViolation::Close | HttpViolation::Reset => Vec::new(),
            HttpViolation::Continues(_) | HttpViolation::SlowHead => self.response(&length),
        }
    }

    fn length(&self) -> String {
        format!("content-length: {}\r\n", self.body.len())
    }

    fn response(&self, framing: &str) -> Vec<u8> {
        let mut bytes = self.head(framing);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn head(&self, framing: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\ncontent-type: {}\r\n{framing}\r\n", self.kind).into_bytes()
    }
}

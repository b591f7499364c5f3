//! The reading half of a connection: heads and content at a random pace. No operation panics.

use std::time::Duration;

use e2e::Head;
use e2e::wire::Framing;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::sleep;

/// Maximum size of a head that is read.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// How fast a peer reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Bytes of one read.
    pub(crate) bytes: usize,
    /// The pause before each read.
    pub(crate) pause: Duration,
}

impl Pace {
    pub(crate) const FAST: Self = Self { bytes: 32 * 1024, pause: Duration::ZERO };
}

/// The reason for which a message is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// The connection ended before the first byte.
    Nothing,
    /// The connection ended, or was reset, within the message.
    Cut,
    /// The bytes are no valid message.
    Malformed(String),
}

/// The reading half with bytes that were received and not yet used.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) half: OwnedReadHalf,
    pub(crate) pace: Pace,
    buffer: Vec<u8>,
}

impl Incoming {
    pub(crate) const fn new(half: OwnedReadHalf) -> Self {
        Self { half, pace: Pace::FAST, buffer: Vec::new() }
    }

    /// Reads more bytes; returns `false` at the end of the connection.
    async fn fill(&mut self) -> bool {
        if !self.pace.pause.is_zero() {
            sleep(self.pace.pause).await;
        }
        let mut piece = vec![0; self.pace.bytes];
        match self.half.read(&mut piece).await {
            Ok(bytes @ 1..) => {
                self.buffer.extend_from_slice(piece.get(..bytes).unwrap_or_default());
                true
            }
            Ok(0) | Err(_) => false,
        }
    }

    /// Reads the next head.
    pub(crate) async fn head(&mut self) -> Result<Head, ReadEnd> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                return Ok(Head::parse(self.buffer.drain(..at + 4).collect()));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(ReadEnd::Malformed("a head does not end".to_owned()));
            }
            if !self.fill().await {
                return Err(if self.buffer.is_empty() { ReadEnd::Nothing } else { ReadEnd::Cut });
            }
        }
    }

    /// Reads the next piece of content; `None` at its end. Updates `framing` to the rest.
    pub(crate) async fn piece(&mut self, framing: &mut Framing) -> Result<Option<Vec<u8>>, ReadEnd> {
        match framing {
            Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                if self.buffer.is_empty() && !self.fill().await {
                    return Err(ReadEnd::Cut);
                }
                let bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= bytes as u64;
                Ok(Some(self.buffer.drain(..bytes).collect()))
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && !self.fill().await {
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Framing::Chunked => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ReadEnd> {
        let line = self.line().await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            return Err(ReadEnd::Malformed(format!("a chunk begins with {line:?}")));
        };
        if size == 0 {
            while !self.line().await?.is_empty() {}
            return Ok(None);
        }
        while self.buffer.len() < size + 2 {
            if !self.fill().await {
                return Err(ReadEnd::Cut);
            }
        }
        let data = self.buffer.drain(..size).collect();
        let end: Vec<u8> = self.buffer.drain(..2).collect();
        if end == b"\r\n" { Ok(Some(data)) } else { Err(ReadEnd::Malformed(format!("a chunk ends with {end:?}"))) }
    }

    async fn line(&mut self) -> Result<String, ReadEnd> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.fill().await {
                return Err(ReadEnd::Cut);
            }
        }
    }

    /// Discards bytes until the peer ends the connection.
    pub(crate) async fn ended(&mut self) {
        while self.fill().await {
            self.buffer.clear();
        }
    }

    /// Resets the connection instead of closing it.
    pub(crate) fn reset(&self) {
        let _ = self.half.as_ref().set_zero_linger();
    }
}

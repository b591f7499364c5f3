//! HTTP/1.1 on a plain socket for clients and servers: heads and bodies exactly as transferred.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Timeout of each operation on a socket, after which the test fails. Some calls hang until the others of their test end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Awaits `future`; panics with `what` after [`PATIENCE`].
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// A start line with its header fields.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The received bytes, including the empty line.
    pub raw: Vec<u8>,
    /// The start line without CRLF.
    pub first: String,
    /// Header fields: names as written, values without surrounding whitespace; each character is one byte.
    pub headers: Vec<(String, String)>,
}

/// The next part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the body as received; in a chunked body, the content of one chunk.
    Data(Vec<u8>),
    /// The body ended as its framing requires.
    End,
    /// The connection ended before the body.
    Cut,
}

/// The framing of a body with the rest to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes remain.
    Length(u64),
    /// Chunked transfer coding (RFC 9112).
    Chunked,
    /// The body extends until the connection ends.
    UntilClose,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Head {
    /// Parses `raw`, which ends with the empty line.
    #[must_use]
    pub fn parse(raw: Vec<u8>) -> Self {
        let text: String = raw.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
            .collect();
        Self { raw, first, headers }
    }

    /// Returns the first value of field `name`, ignoring case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Returns every value of field `name`, ignoring case, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns word `at` of the start line.
    #[must_use]
    pub fn word(&self, at: usize) -> &str {
        self.first.split(' ').nth(at).unwrap_or_default()
    }

    /// Returns the framing of the body; `None` if the head does not define one.
    #[must_use]
    pub fn framing(&self) -> Option<Framing> {
        if self.all("transfer-encoding").iter().any(|value| value.to_ascii_lowercase().contains("chunked")) {
            return Some(Framing::Chunked);
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Framing::Length)
    }
}

impl Wire {
    /// Wraps an open connection.
    #[must_use]
    pub const fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Opens a connection without Nagle's algorithm.
    ///
    /// # Errors
    /// The error of the operating system.
    pub async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = patiently("a connection", TcpStream::connect(to)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    /// Connects to `to` from another address of this machine.
    ///
    /// # Errors
    /// Those of connecting.
    pub async fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = patiently("a connection", socket.connect(to)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    /// Returns the underlying socket.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The peer has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        patiently("room to write", self.stream.write_all(bytes)).await
    }

    /// Closes the sending direction of the connection.
    ///
    /// # Errors
    /// The peer has closed the connection.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads more bytes; false at the end of the connection or on an error.
    async fn fill(&mut self) -> bool {
        self.buffer.reserve(16 * 1024);
        matches!(patiently("bytes from the peer", self.stream.read_buf(&mut self.buffer)).await, Ok(1..))
    }

    /// Reads the next head; `None` if the connection ends first.
    pub async fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(Head::parse(self.buffer.drain(..at + 4).collect()));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Like [`Wire::head`], without a timeout for the first byte: between two requests no byte is due.
    pub async fn idle_head(&mut self) -> Option<Head> {
        if self.buffer.is_empty() {
            let mut first = [0_u8; 1];
            if !matches!(self.stream.read(&mut first).await, Ok(1)) {
                return None;
            }
            self.buffer.extend(first);
        }
        self.head().await
    }

    /// Reads the next piece of a body; updates `framing` to the rest.
    pub async fn piece(&mut self, framing: &mut Framing) -> Piece {
        match framing {
            Framing::Length(0) => Piece::End,
            Framing::Length(left) => {
                if self.buffer.is_empty() && !self.fill().await {
                    return Piece::Cut;
                }
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= most as u64;
                Piece::Data(self.buffer.drain(..most).collect())
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && !self.fill().await {
                    return Piece::End;
                }
                Piece::Data(std::mem::take(&mut self.buffer))
            }
            Framing::Chunked => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> Piece {
        let Some(line) = self.line().await else { return Piece::Cut };
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { panic!("not a chunk's size: {line:?}") };
        if size == 0 {
            // Skips trailers up to the empty line.
            loop {
                match self.line().await {
                    Some(line) if line.is_empty() => return Piece::End,
                    Some(_) => {}
                    None => return Piece::Cut,
                }
            }
        }
        while self.buffer.len() < size + 2 {
            if !self.fill().await {
                return Piece::Cut;
            }
        }
        let data = self.buffer.drain(..size).collect();
        let end: Vec<u8> = self.buffer.drain(..2).collect();
        assert_eq!(end, b"\r\n", "a chunk must end with CRLF");
        Piece::Data(data)
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads the rest of a body; returns it and whether it was complete.
    pub async fn body(&mut self, mut framing: Framing) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.piece(&mut framing).await {
                Piece::Data(data) => body.extend(data),
                Piece::End => return (body, true),
                Piece::Cut => return (body, false),
            }
        }
    }

    /// Discards bytes until the peer closes the connection.
    pub async fn closed(&mut self) {
        while self.fill().await {
            self.buffer.clear();
        }
    }
}

//! A caller: one request on a connection of its own.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::sse::{self, Event};
use crate::wire::{Framing, Head, Piece, Wire};

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request that was sent, with the head of its answer.
#[derive(Debug)]
pub struct Exchange {
    /// The answer's head.
    pub head: Head,
    framing: Framing,
    wire: Wire,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body, chunks joined.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub whole: bool,
}

impl Call {
    /// `method` on `target` (path and query).
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// POST of bytes that claim to be JSON.
    #[must_use]
    pub fn post(target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target).header("content-type", "application/json").body(body)
    }

    /// POST of JSON.
    #[must_use]
    pub fn json(target: &str, body: &Value) -> Self {
        Self::post(target, body.to_string())
    }

    /// With one more header, as written.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `key` as a bearer token.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// With this body; `content-length` is added unless a header frames it.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Method and target.
    #[must_use]
    pub fn line(&self) -> (&str, &str) {
        (&self.method, &self.target)
    }

    /// The head as it is sent.
    #[must_use]
    pub fn head(&self, to: SocketAddr) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !has("host") {
            let _ = write!(head, "host: {to}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let framed = has("content-length") || has("transfer-encoding");
        if !framed && (!self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")) {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        head.push_str("\r\n");
        head
    }

    /// The whole request as it is sent; a character of the head is a byte.
    #[must_use]
    pub fn bytes(&self, to: SocketAddr) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.head(to).chars().filter_map(|c| u8::try_from(c).ok()).collect();
        bytes.extend(&self.body);
        bytes
    }

    /// Sends it and reads the whole answer.
    pub async fn send(&self, to: SocketAddr) -> Answer {
        self.open(to).await.rest().await
    }

    /// Sends it and reads the answer's head.
    pub async fn open(&self, to: SocketAddr) -> Exchange {
        match self.attempt(to).await {
            Ok(exchange) => exchange,
            Err(error) => panic!("{} {} at {to} was not answered: {error}", self.method, self.target),
        }
    }

    /// Sends it and reads the answer's head.
    ///
    /// # Errors
    /// There is no connection, or it ends without an answer.
    pub async fn attempt(&self, to: SocketAddr) -> io::Result<Exchange> {
        let wire = Wire::connect(to).await?;
        self.over(wire, to).await
    }

    /// The same on a connection that is open already.
    ///
    /// # Errors
    /// The connection ends without an answer.
    pub async fn over(&self, mut wire: Wire, to: SocketAddr) -> io::Result<Exchange> {
        // An early answer may close the connection while the body is on its way: what counts is the answer.
        let written = wire.write(&self.bytes(to)).await;
        match wire.head().await {
            Some(head) => Ok(Exchange::new(wire, head, &self.method)),
            None => Err(written.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Exchange {
    /// Around a connection whose answer's head was read.
    #[must_use]
    pub fn new(wire: Wire, head: Head, method: &str) -> Self {
        let bodyless = method == "HEAD" || matches!(head.word(1), "204" | "304");
        let framing = if bodyless { Framing::Length(0) } else { head.framing().unwrap_or(Framing::UntilClose) };
        Self { head, framing, wire }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.word(1).parse().unwrap_or(0)
    }

    /// The next piece of the answer's body.
    pub async fn next(&mut self) -> Piece {
        self.wire.piece(&mut self.framing).await
    }

    /// The whole answer.
    pub async fn rest(self) -> Answer {
        self.reuse().await.0
    }

    /// The whole answer, and the connection for another request.
    pub async fn reuse(mut self) -> (Answer, Wire) {
        let (body, whole) = self.wire.body(self.framing).await;
        (Answer { head: self.head, body, whole }, self.wire)
    }
}

impl Answer {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.word(1).parse().unwrap_or(0)
    }

    /// The first value of header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not JSON ({error}): {} {:?}", self.head.first, self.text()),
        }
    }

    /// The body as events of a stream.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        sse::parse(&self.body)
    }

    /// The same answer, which must have `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{} {}", self.head.first, self.text());
        self
    }
}

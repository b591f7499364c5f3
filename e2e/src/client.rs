//! A client that sends one request per connection.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::sse::{self, Event};
use crate::wire::{Framing, Head, Piece, Wire};

/// A request that a test sends.
#[derive(Debug, Clone)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request that was sent, with the head of its response.
#[derive(Debug)]
pub struct Exchange {
    /// The head of the response.
    pub head: Head,
    framing: Framing,
    wire: Wire,
}

/// A response that was read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The head of the response.
    pub head: Head,
    /// The body of the response, chunks joined.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing requires.
    pub whole: bool,
}

impl Call {
    /// Builds a request with `method` for `target` (path and query).
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Builds a GET request for `target`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Builds a POST request whose body is sent with the content type of JSON.
    #[must_use]
    pub fn post(target: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target).header("content-type", "application/json").body(body)
    }

    /// Builds a POST request with a JSON body.
    #[must_use]
    pub fn json(target: &str, body: &Value) -> Self {
        Self::post(target, body.to_string())
    }

    /// Adds one header field exactly as written.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `key` as a bearer token.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sets the body; `content-length` is added unless a header field frames it.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Returns the method and the target.
    #[must_use]
    pub fn line(&self) -> (&str, &str) {
        (&self.method, &self.target)
    }

    /// Returns the head as it is sent.
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

    /// Returns the whole request as it is sent; each character of the head is one byte.
    #[must_use]
    pub fn bytes(&self, to: SocketAddr) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.head(to).chars().filter_map(|c| u8::try_from(c).ok()).collect();
        bytes.extend(&self.body);
        bytes
    }

    /// Sends the request and reads the whole response.
    pub async fn send(&self, to: SocketAddr) -> Answer {
        self.open(to).await.rest().await
    }

    /// Sends the request and reads the head of the response; panics if the connection fails or ends.
    pub async fn open(&self, to: SocketAddr) -> Exchange {
        match self.attempt(to).await {
            Ok(exchange) => exchange,
            Err(error) => panic!("{} {} at {to} has no response: {error}", self.method, self.target),
        }
    }

    /// Sends the request and reads the head of the response.
    ///
    /// # Errors
    /// The connection fails, or it ends without a response.
    pub async fn attempt(&self, to: SocketAddr) -> io::Result<Exchange> {
        let wire = Wire::connect(to).await?;
        self.over(wire, to).await
    }

    /// Sends the request on a connection that is already open.
    ///
    /// # Errors
    /// The connection ends without a response.
    pub async fn over(&self, mut wire: Wire, to: SocketAddr) -> io::Result<Exchange> {
        // An early response may close the connection before the body is written: the response decides.
        let written = wire.write(&self.bytes(to)).await;
        let head = loop {
            match wire.head().await {
                // Interim responses of an upstream are relayed.
                Some(head) if matches!(head.word(1), "102" | "103") => {}
                head => break head,
            }
        };
        match head {
            Some(head) => Ok(Exchange::new(wire, head, &self.method)),
            None => Err(written.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Exchange {
    /// Wraps a connection whose response head was read.
    #[must_use]
    pub fn new(wire: Wire, head: Head, method: &str) -> Self {
        let bodyless = method == "HEAD" || matches!(head.word(1), "204" | "304");
        let framing = if bodyless { Framing::Length(0) } else { head.framing().unwrap_or(Framing::UntilClose) };
        Self { head, framing, wire }
    }

    /// Returns the status code, or 0 if it is not a number.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.word(1).parse().unwrap_or(0)
    }

    /// Reads the next piece of the response body.
    pub async fn next(&mut self) -> Piece {
        self.wire.piece(&mut self.framing).await
    }

    /// Reads the rest of the response.
    pub async fn rest(self) -> Answer {
        self.reuse().await.0
    }

    /// Reads the rest of the response; returns it and the connection for another request.
    pub async fn reuse(mut self) -> (Answer, Wire) {
        let (body, whole) = self.wire.body(self.framing).await;
        (Answer { head: self.head, body, whole }, self.wire)
    }
}

impl Answer {
    /// Returns the status code, or 0 if it is not a number.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.word(1).parse().unwrap_or(0)
    }

    /// Returns the first value of header field `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON; panics if it is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not JSON ({error}): {} {:?}", self.head.first, self.text()),
        }
    }

    /// Returns the body as events of a stream.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        sse::parse(&self.body)
    }

    /// Returns the response itself; panics unless its status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{} {}", self.head.first, self.text());
        self
    }
}

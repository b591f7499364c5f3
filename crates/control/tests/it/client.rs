//! A minimal HTTP client that sends requests byte for byte.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::document;

/// A timeout against hangs only: on a busy machine, a storm of sign-ins takes a minute.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header fields by name; the last one if a name is repeated.
    pub(crate) headers: HashMap<String, String>,
    /// The values of all `Set-Cookie` fields.
    pub(crate) cookies: Vec<String>,
    pub(crate) body: String,
}

impl Answer {
    /// Parses a whole response from a connection that the server closed after it.
    pub(crate) fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let cookies = headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.clone()).collect();
        Self { status, headers: headers.into_iter().collect(), cookies, body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that this is a well-formed error: body, code, status, request id, and a challenge on 401. Returns the
    /// message.
    pub(crate) fn refuses(&self, status: u16, code: &str) -> String {
        let body = self.json();
        let error = body["error"].as_object().unwrap();
        assert_eq!((self.status, error["code"].as_str().unwrap()), (status, code), "{self:?}");
        assert_eq!(error["status"], status, "{self:?}");
        assert_eq!((body.as_object().unwrap().len(), error.len()), (1, 3), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401, "{self:?}");
        let id: uuid::Uuid = self.headers["x-request-id"].parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        error["message"].as_str().unwrap().to_owned()
    }
}

/// Sends `request` unchanged and reads until the server closes the connection.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    Answer::read(&rest(&mut stream).await)
}

/// Reads until the server closes the connection.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes in time").unwrap();
    // The body of an export is not text.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a POST request over HTTP/1.0, whose response has no chunks, and returns the bytes of the body.
pub(crate) async fn bytes(address: SocketAddr, path: &str, header: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n{header}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes in time").unwrap();
    let head = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head");
    bytes.split_off(head + 4)
}

/// Sends a GET request. `headers` are whole lines.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    call(address, &format!("GET {path}"), headers, "").await
}

/// Sends a POST request with a JSON body.
pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[&str], body: &str) -> Answer {
    let headers = [&["Content-Type: application/json"], headers].concat();
    call(address, &format!("POST {path}"), &headers, body).await
}

/// Sends a request; `line` is `METHOD PATH`. Without a body, no length is sent.
pub(crate) async fn call(address: SocketAddr, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let answer = raw(address, request.as_bytes()).await;
    document::check(line, &answer);
    answer
}

//! A mock on a free port, and a client that keeps the chunks of a response separate.

use std::time::Duration;

use mock::MockTiming;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const COMPLETIONS: &str = "/v1/completions";
/// The paths that respond with text, streamed if the body requests it.
pub(crate) const ALL: [&str; 4] = [CHAT, RESPONSES, MESSAGES, COMPLETIONS];

/// A running mock; dropping it stops the mock.
pub(crate) struct RunningMock {
    address: std::net::SocketAddr,
    _task: JoinSet<()>,
}

/// A response. A body with Content-Length is one chunk.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the body ended as its framing requires.
    pub(crate) complete: bool,
}

pub(crate) fn quick() -> MockTiming {
    let ms = Duration::from_millis;
    MockTiming { pace: ms(1), slow: ms(150), long_pace: ms(10), long_for: ms(200) }
}

pub(crate) async fn start(options: MockTiming) -> RunningMock {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(mock::serve_with(listener, options, std::future::pending::<()>()));
    RunningMock { address, _task: task }
}

/// Starts the stub of Midtrans, which sends notifications to `notification_url`.
pub(crate) async fn start_midtrans(notification_url: Option<String>) -> RunningMock {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = mock::MidtransOptions {
        server_key: "SB-Mid-server-test".to_owned(),
        merchant_id: "M000001".to_owned(),
        notification_url,
        clock: access::Clock::system(),
    };
    let mut task = JoinSet::new();
    task.spawn(mock::serve_midtrans(listener, options, std::future::pending::<()>()));
    RunningMock { address, _task: task }
}

impl RunningMock {
    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.with(&format!("{method} {path}"), &[], body.as_bytes()).await
    }

    /// Sends a request with additional headers; `line` is method and target.
    pub(crate) async fn with(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        Reply::parse(&self.bytes(line, headers, body).await)
    }

    /// Sends a form with a file named `file`, and these fields.
    pub(crate) async fn form(&self, path: &str, file: &[u8], fields: &[(&str, &str)]) -> Reply {
        let mut body = Vec::new();
        body.extend(b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n");
        body.extend(b"Content-Type: audio/wav\r\n\r\n");
        body.extend(file);
        for (name, value) in fields {
            let part = format!("\r\n--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
            body.extend(part.into_bytes());
        }
        body.extend(b"\r\n--edge--\r\n");
        self.with(&format!("POST {path}"), &[("content-type", "multipart/form-data; boundary=edge")], &body).await
    }

    /// The bytes that the mock sends until the connection ends.
    pub(crate) async fn bytes(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        self.until_its_end(line, headers, body).await.0
    }

    /// The bytes that the mock sends, and whether the connection was reset at the end.
    pub(crate) async fn until_its_end(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (Vec<u8>, bool) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: mock\r\nX-Test: 1\r\nX-Test: 2\r\n{more}Connection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut bytes = Vec::new();
        // A cut may arrive as a reset; the bytes before it are kept.
        let ended = loop {
            match socket.read_buf(&mut bytes).await {
                Ok(1..) => {}
                ended => break ended,
            }
        };
        (bytes, ended.is_err())
    }

    pub(crate) async fn seen(&self) -> Value {
        self.send("GET", "/mock/seen", "").await.json()
    }
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = find(bytes, b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let body = &bytes[end + 4..];
        let status = head[9..12].parse().unwrap();
        let head = head.to_lowercase();
        if let Some(length) = header(&head, "content-length") {
            let complete = body.len() == length.parse::<usize>().unwrap();
            return Self { status, head, chunks: vec![body.to_vec()], complete };
        }
        let mut rest = body;
        let mut chunks = Vec::new();
        while let Some(at) = find(rest, b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
            let after = &rest[at + 2..];
            if size == 0 {
                return Self { status, head, chunks, complete: true };
            }
            if after.len() < size + 2 {
                break;
            }
            chunks.push(after[..size].to_vec());
            rest = &after[size + 2..];
        }
        Self { status, head, chunks, complete: false }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The body as text. Bytes that are not UTF-8 are replaced.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap()
    }

    /// The `data` of each chunk. It panics unless each event is one chunk.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = |chunk: &Vec<u8>| {
            let chunk = std::str::from_utf8(chunk).unwrap();
            let event = chunk.strip_suffix("\n\n").or_else(|| chunk.strip_suffix("\r\n\r\n")).unwrap();
            let (name, data) = event.split_once('\n').map_or((None, event), |(name, data)| (Some(name), data));
            let data = data.strip_prefix("data: ").unwrap();
            if data == "[DONE]" {
                return Value::String(data.to_owned());
            }
            let value: Value = serde_json::from_str(data).unwrap();
            if let Some(name) = name {
                assert_eq!(name.strip_prefix("event: "), value["type"].as_str(), "the event's name is its type");
            }
            value
        };
        self.chunks.iter().map(data).collect()
    }
}

fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// A request body for any format except Gemini; `more` are additional fields.
pub(crate) fn ask(model: &str, more: &str) -> String {
    let turn = r#"[{"role":"user","content":"say é  this\nback"}]"#;
    format!(r#"{{"model":"{model}","max_tokens":9,"messages":{turn},"input":{turn}{more}}}"#)
}

/// A request body for Gemini.
pub(crate) fn ask_google(more: &str) -> String {
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"say é  this\nback"}}]}}]{more}}}"#)
}

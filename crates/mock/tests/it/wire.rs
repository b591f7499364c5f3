//! A mock on a free port, and a client that sees every chunk apart.

use std::time::Duration;

use mock::Options;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const ALL: [&str; 3] = [CHAT, RESPONSES, MESSAGES];

/// A running mock; it ends with this value.
pub(crate) struct Running {
    address: std::net::SocketAddr,
    _task: JoinSet<()>,
}

/// What came back. `chunks` is one piece where there was a Content-Length.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) chunks: Vec<String>,
    /// Whether the body ended as its framing says.
    pub(crate) complete: bool,
}

pub(crate) fn quick() -> Options {
    let ms = Duration::from_millis;
    Options { pace: ms(1), slow: ms(150), long_pace: ms(10), long_for: ms(200) }
}

pub(crate) async fn start(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(mock::serve_with(listener, options, std::future::pending::<()>()));
    Running { address, _task: task }
}

impl Running {
    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: mock\r\nX-Test: 1\r\nX-Test: 2\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A cut may arrive as a reset; what came before it is kept.
        while matches!(socket.read_buf(&mut bytes).await, Ok(1..)) {}
        Reply::parse(&String::from_utf8(bytes).unwrap())
    }

    pub(crate) async fn seen(&self) -> Value {
        self.send("GET", "/mock/seen", "").await.json()
    }
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        let head = head.to_lowercase();
        if let Some(length) = header(&head, "content-length") {
            let complete = body.len() == length.parse::<usize>().unwrap();
            return Self { status, head, chunks: vec![body.to_owned()], complete };
        }
        let mut rest = body;
        let mut chunks = Vec::new();
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return Self { status, head, chunks, complete: true };
            }
            chunks.push(after[..size].to_owned());
            rest = &after[size + 2..];
        }
        Self { status, head, chunks, complete: false }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn body(&self) -> String {
        self.chunks.concat()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap()
    }

    /// Each chunk's `data`, which also shows that each event is a chunk of its own.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = |chunk: &String| {
            let event = chunk.strip_suffix("\n\n").unwrap();
            let (name, data) = event.split_once('\n').map_or((None, event), |(name, data)| (Some(name), data));
            let data = data.strip_prefix("data: ").unwrap();
            if data == "[DONE]" {
                return Value::String(data.to_owned());
            }
            let value: Value = serde_json::from_str(data).unwrap();
            let kind = value["type"].as_str().map(|kind| format!("event: {kind}"));
            assert_eq!(name, kind.as_deref(), "the event's name is its type");
            value
        };
        self.chunks.iter().map(data).collect()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// A body for any format, `more` being further fields.
pub(crate) fn ask(model: &str, more: &str) -> String {
    let turn = r#"[{"role":"user","content":"say é  this\nback"}]"#;
    format!(r#"{{"model":"{model}","max_tokens":9,"messages":{turn},"input":{turn}{more}}}"#)
}

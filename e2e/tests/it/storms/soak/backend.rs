//! A backend that behaves at random: at once, slowly, early, incompletely, wrongly or not at all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use e2e::Head;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::incoming::{Incoming, Pace, ReadEnd};
use super::model::{Model, NO_ID, content, content_byte};
use crate::storms::dice::Dice;

/// The time after which the backend gives up an operation.
const STEP_MAX: Duration = Duration::from_secs(30);
/// Responses that no gateway may accept.
const MALFORMED: [&str; 10] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\na\0: b\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "hello\r\n\r\n",
    "\r\n\r\n\r\n\r\n\r\n",
];
/// A second response, which no client may receive. It is sent together with the end of the first one: if it arrived
/// after the next request was sent, no gateway could tell it from the response to that request.
const UNSOLICITED: &str = "HTTP/1.1 200 OK\r\nx-soak-id: 18446744073709551614\r\ncontent-length: 3\r\n\r\nbad";
const INTERIM: [&str; 3] = ["100 Continue", "102 Processing", "103 Early Hints\r\nlink: </a>"];

/// A running backend; dropping it closes its connections.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Backend {
    pub(crate) async fn start(model: Arc<Model>, mut dice: Dice) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                while connections.try_join_next().is_some() {}
                connections.spawn(BackendConnection::new(stream, Arc::clone(&model), dice.fork()).run());
            }
        });
        Self { address, _tasks: tasks }
    }
}

/// When the backend reads the content of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadOrder {
    BeforeResponse,
    AfterResponse,
    Never,
}

/// The framing of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResponseFraming {
    Length,
    Chunked,
    UntilClose,
}

struct BackendConnection {
    incoming: Incoming,
    out: OwnedWriteHalf,
    model: Arc<Model>,
    dice: Dice,
}

impl BackendConnection {
    fn new(stream: TcpStream, model: Arc<Model>, dice: Dice) -> Self {
        let _ = stream.set_nodelay(true);
        let (half, out) = stream.into_split();
        Self { incoming: Incoming::new(half), out, model, dice }
    }

    async fn run(mut self) {
        loop {
            // The end of an idle connection races with its next request.
            let idle = Duration::from_millis(200 + self.dice.below(2_500) as u64);
            let Ok(Ok(head)) = timeout(idle, self.incoming.head()).await else { break };
            if !matches!(self.respond(&head).await, Ok(true)) {
                break;
            }
        }
        if self.dice.below(4) == 0 {
            self.incoming.reset();
            self.out.forget();
        }
    }

    /// Handles one request; returns whether the connection stays open.
    async fn respond(&mut self, head: &Head) -> io::Result<bool> {
        // Requests in the format of a provider have no number: the header is not forwarded.
        let id = head.header("x-soak-id").and_then(|id| id.parse().ok());
        if let Some(id) = id {
            self.model.seen(id);
        }
        if self.dice.below(5) == 0 {
            self.pause(300).await;
        }
        match self.dice.below(50) {
            0 => return Ok(false),
            1 => {
                self.incoming.reset();
                return Ok(false);
            }
            2 => {
                self.model.count("backend never responds");
                let _ = timeout(STEP_MAX, self.incoming.ended()).await;
                return Ok(false);
            }
            3 | 4 => {
                let malformed = MALFORMED[self.dice.below(MALFORMED.len())];
                self.write(malformed.as_bytes()).await?;
                self.pause(20).await;
                return Ok(false);
            }
            5 => {
                // Beyond the timeout of the first byte in some cases.
                self.pause(4_500).await;
            }
            _ => {}
        }
        let order = match self.dice.below(10) {
            0 => UploadOrder::Never,
            1 | 2 => UploadOrder::AfterResponse,
            _ => UploadOrder::BeforeResponse,
        };
        if head.header("expect").is_some() && order == UploadOrder::BeforeResponse {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if order == UploadOrder::BeforeResponse && !self.upload(head, id).await {
            return Ok(false);
        }
        let keeps = self.send_response(head, id.unwrap_or(NO_ID)).await?;
        if order == UploadOrder::AfterResponse && !self.upload(head, id).await {
            return Ok(false);
        }
        Ok(keeps && order != UploadOrder::Never)
    }

    /// Reads the content of a request and checks it; returns whether it is complete.
    async fn upload(&mut self, head: &Head, id: Option<u64>) -> bool {
        let Some(mut framing) = head.framing() else { return true };
        self.incoming.pace = match self.dice.below(8) {
            0 => Pace { bytes: 700, pause: Duration::from_millis(5) },
            _ => Pace::FAST,
        };
        let mut read = 0;
        loop {
            let piece = match timeout(STEP_MAX, self.incoming.piece(&mut framing)).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                Ok(Err(ReadEnd::Malformed(what))) => {
                    self.model.contradict(format!("request {id:?}: the backend received malformed content: {what}"));
                    return false;
                }
                Ok(Err(_)) | Err(_) => return false,
            };
            if let Some(id) = id
                && piece.iter().enumerate().any(|(at, byte)| *byte != content_byte(id, read + at))
            {
                self.model.contradict(format!("request {id}: the backend received other bytes, after {read} bytes"));
                return false;
            }
            read += piece.len();
        }
        self.incoming.pace = Pace::FAST;
        let sent = head.header("x-soak-bytes").and_then(|bytes| bytes.parse().ok());
        if id.is_some() && sent != Some(read) {
            self.model
                .contradict(format!("request {id:?}: the backend received {read} of {sent:?} bytes as the whole"));
        }
        true
    }

    /// Sends a response; returns whether the connection stays open.
    async fn send_response(&mut self, head: &Head, id: u64) -> io::Result<bool> {
        if self.dice.below(10) == 0 {
            for _ in 0..=self.dice.below(3) {
                let interim = INTERIM[self.dice.below(INTERIM.len())];
                self.write(format!("HTTP/1.1 {interim}\r\n\r\n").as_bytes()).await?;
                self.pause(20).await;
            }
        }
        let bytes = match self.dice.below(20) {
            0..4 => 0,
            4..14 => self.dice.below(300),
            14..19 => self.dice.below(20_000),
            _ => self.dice.below(600_000),
        };
        let framing = match self.dice.below(10) {
            0 => ResponseFraming::UntilClose,
            1..5 => ResponseFraming::Chunked,
            _ => ResponseFraming::Length,
        };
        let status = match self.dice.below(30) {
            0 => "204 No Content",
            1 => "304 Not Modified",
            2 => "404 Not Found",
            _ => "200 OK",
        };
        let is_empty = matches!(&status[..3], "204" | "304") || head.word(0) == "HEAD";
        let mut text = format!("HTTP/1.1 {status}\r\nx-soak-id: {id}\r\n");
        match framing {
            ResponseFraming::Length if status.starts_with("204") => {}
            ResponseFraming::Length => text += &format!("content-length: {bytes}\r\nx-soak-bytes: {bytes}\r\n"),
            ResponseFraming::Chunked if is_empty => {}
            ResponseFraming::Chunked => text += &format!("transfer-encoding: chunked\r\nx-soak-bytes: {bytes}\r\n"),
            ResponseFraming::UntilClose => text += "connection: close\r\n",
        }
        text += "\r\n";
        if self.dice.below(40) == 0 {
            let end = self.dice.below(text.len());
            self.write(&text.as_bytes()[..end]).await?;
            return Ok(false);
        }
        let is_followed = framing != ResponseFraming::UntilClose && self.dice.below(50) == 0;
        let next = if is_followed { UNSOLICITED } else { "" };
        if is_empty || (bytes == 0 && framing == ResponseFraming::Length) {
            self.write((text + next).as_bytes()).await?;
        } else {
            self.write_slowly(text.as_bytes()).await?;
            if !self.send_content(framing, &content(id, bytes), next).await? {
                return Ok(false);
            }
        }
        Ok(framing != ResponseFraming::UntilClose)
    }

    /// Sends the content, or a part of it, and what follows it; returns whether it was all.
    async fn send_content(&mut self, framing: ResponseFraming, content: &[u8], next: &str) -> io::Result<bool> {
        let end = if self.dice.below(12) == 0 { self.dice.below(content.len() + 1) } else { usize::MAX };
        let piece_bytes = 1 + self.dice.below(1 + (content.len() / 3).max(4_000));
        let is_slow = self.dice.below(6) == 0;
        let mut pieces: Vec<Vec<u8>> = content.chunks(piece_bytes).map(<[u8]>::to_vec).collect();
        if framing == ResponseFraming::Chunked {
            for piece in &mut pieces {
                *piece = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            }
            let last = if self.dice.below(4) == 0 { "0\r\nx-soak-trailer: a\r\n\r\n" } else { "0\r\n\r\n" };
            pieces.push(last.as_bytes().to_vec());
        }
        if let Some(last) = pieces.last_mut() {
            last.extend_from_slice(next.as_bytes());
        }
        let mut sent = 0;
        for piece in pieces {
            if sent + piece.len() > end {
                return Ok(false);
            }
            self.write(&piece).await?;
            sent += piece.len();
            if is_slow {
                self.pause(100).await;
            }
        }
        Ok(true)
    }

    async fn write_slowly(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.dice.below(10) > 0 {
            return self.write(bytes).await;
        }
        let piece_bytes = 1 + self.dice.below(bytes.len());
        for piece in bytes.chunks(piece_bytes.max(8)) {
            self.write(piece).await?;
            self.pause(30).await;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(STEP_MAX, self.out.write_all(bytes)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn pause(&mut self, ms_max: usize) {
        sleep(Duration::from_millis(self.dice.below(ms_max) as u64)).await;
    }
}

//! A client that sends and reads at random: whole, slowly, partly, in pairs, and that cancels in every state.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use e2e::Head;
use e2e::wire::Framing;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{sleep, timeout};

use super::incoming::{Incoming, Pace, ReadEnd};
use super::model::{Model, NO_ID, content_byte};
use super::request::{GeneratedRequest, RequestKind, Target};
use crate::storms::dice::Dice;

/// Tollgate ends each exchange within its timeouts; later, the request hangs.
const HANG: Duration = Duration::from_secs(60);
/// The status of an internal error.
const INTERNAL: u16 = 500;

/// When the client cancels an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CancelAt {
    Never,
    Time(Duration),
    /// After this many bytes of the requests.
    Sent(usize),
    /// After this many bytes of the responses.
    Received(usize),
}

/// How the client ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Reset,
    /// The client sends nothing more, and waits for the end.
    Wait,
}

/// The speed of sending, and the point of cancelling.
#[derive(Debug, Clone, Copy)]
struct ExchangePlan {
    piece_bytes: usize,
    pause: Duration,
    cancel: CancelAt,
    half_closes: bool,
}

/// The state of a connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExchangeEnd {
    /// All responses arrived, and the connection stays open.
    Open,
    /// Tollgate closes the connection, or the client must.
    Closing,
    Cancelled,
}

pub(crate) struct Client {
    target: Arc<Target>,
    model: Arc<Model>,
    dice: Dice,
}

impl Client {
    pub(crate) const fn new(target: Arc<Target>, model: Arc<Model>, dice: Dice) -> Self {
        Self { target, model, dice }
    }

    /// Opens connections until the load ends.
    pub(crate) async fn run(mut self) {
        while !self.model.is_over() {
            if self.connection().await.is_err() {
                self.model.count("connect failed");
                self.pause(200).await;
            }
            self.pause(150).await;
        }
    }

    async fn connection(&mut self) -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        let is_slow_reader = self.dice.below(12) == 0;
        if is_slow_reader {
            // The kernel buffers little for a client that does not read.
            socket.set_recv_buffer_size(4_096)?;
        }
        let stream = socket.connect(self.target.proxy).await?;
        stream.set_nodelay(true)?;
        let (half, mut out) = stream.into_split();
        let mut incoming = Incoming::new(half);
        if is_slow_reader {
            let pause = Duration::from_millis([1, 20, 300][self.dice.below(3)]);
            incoming.pace = Pace { bytes: 200 + self.dice.below(4_000), pause };
        }
        for _ in 0..=self.dice.below(6) {
            match self.exchange(&mut incoming, &mut out).await {
                ExchangeEnd::Open if !self.model.is_over() => self.pause(30).await,
                ExchangeEnd::Open | ExchangeEnd::Closing => break,
                ExchangeEnd::Cancelled => {
                    self.end_cancelled(&mut incoming, out).await;
                    return Ok(());
                }
            }
        }
        if self.dice.below(5) == 0 {
            incoming.reset();
            out.forget();
        }
        Ok(())
    }

    async fn end_cancelled(&mut self, incoming: &mut Incoming, out: OwnedWriteHalf) {
        let ending = [Ending::Close, Ending::Close, Ending::Reset, Ending::Reset, Ending::Wait][self.dice.below(5)];
        self.model.count(&format!("cancelled by {ending:?}"));
        match ending {
            Ending::Close => {}
            Ending::Reset => {
                incoming.reset();
                out.forget();
            }
            Ending::Wait => {
                incoming.pace = Pace::FAST;
                if timeout(HANG, incoming.ended()).await.is_err() {
                    self.model.contradict("a connection whose client sends nothing more does not end".to_owned());
                }
            }
        }
    }

    /// Sends one to three requests at once, and reads their responses.
    async fn exchange(&mut self, incoming: &mut Incoming, out: &mut OwnedWriteHalf) -> ExchangeEnd {
        let pipelined = [1, 1, 1, 1, 1, 1, 1, 1, 2, 3][self.dice.below(10)];
        let batch: Vec<GeneratedRequest> =
            (0..pipelined).map(|_| GeneratedRequest::new(&self.target, &self.model, &mut self.dice)).collect();
        let plan = self.plan(batch.iter().map(|request| request.bytes.len()).sum());
        let is_fast = incoming.pace.pause.is_zero();
        let sending = send(out, &batch, plan, &self.model);
        let reading = Reading { model: &self.model, incoming, left: plan.cancel }.responses(&batch);
        let lines: Vec<String> = batch.iter().map(GeneratedRequest::line).collect();
        tokio::pin!(sending, reading);
        let cancelled = async {
            match plan.cancel {
                CancelAt::Time(after) => sleep(after).await,
                _ => std::future::pending().await,
            }
        };
        tokio::pin!(cancelled);
        let mut is_sent = false;
        let both = async {
            loop {
                tokio::select! {
                    () = &mut cancelled => return ExchangeEnd::Cancelled,
                    sent = &mut sending, if !is_sent => match sent {
                        Ok(false) => return ExchangeEnd::Cancelled,
                        // A response may explain the error.
                        Ok(true) | Err(_) => is_sent = true,
                    },
                    // After an early response, the rest of the request is not sent.
                    end = &mut reading => return if is_sent { end } else { ExchangeEnd::Closing },
                }
            }
        };
        timeout(HANG, both).await.unwrap_or_else(|_| {
            if is_fast {
                self.model.contradict(format!("no end within {HANG:?}: {lines:?} {plan:?}"));
            } else {
                // The kernel holds what Tollgate has sent long ago.
                self.model.count("slow reader gave up");
            }
            ExchangeEnd::Cancelled
        })
    }

    fn plan(&mut self, bytes: usize) -> ExchangePlan {
        let (piece_bytes, pause) = match self.dice.below(10) {
            0 => (1 + bytes / 10, self.dice.below(120) as u64),
            1 => (1 + bytes / 3, self.dice.below(400) as u64),
            _ => (usize::MAX, 0),
        };
        let cancel = match self.dice.below(12) {
            0 => CancelAt::Sent(self.dice.below(bytes)),
            1 => CancelAt::Sent(self.dice.below(bytes.min(400))),
            2 => CancelAt::Time(Duration::from_micros(self.dice.below(3_000) as u64)),
            3 => CancelAt::Time(Duration::from_millis(self.dice.below(1_500) as u64)),
            4 => CancelAt::Received(self.dice.below(40_000)),
            _ => CancelAt::Never,
        };
        ExchangePlan { piece_bytes, pause: Duration::from_millis(pause), cancel, half_closes: self.dice.below(40) == 0 }
    }

    async fn pause(&mut self, ms_max: usize) {
        sleep(Duration::from_millis(self.dice.below(ms_max) as u64)).await;
    }
}

impl GeneratedRequest {
    /// Describes the request in a report.
    fn line(&self) -> String {
        let line = self.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        format!("{} ({:?}, {} bytes)", String::from_utf8_lossy(line), self.kind, self.bytes.len())
    }
}

/// Sends the requests; returns `false` if the client cancels before their end.
async fn send(
    out: &mut OwnedWriteHalf,
    batch: &[GeneratedRequest],
    plan: ExchangePlan,
    model: &Model,
) -> io::Result<bool> {
    let all: Vec<u8> = batch.iter().flat_map(|request| request.bytes.iter().copied()).collect();
    let end = if let CancelAt::Sent(bytes) = plan.cancel { bytes } else { all.len() };
    let mut at = 0;
    while at < end {
        let next = at.saturating_add(plan.piece_bytes).min(end);
        let mut start = 0;
        for request in batch {
            let point = start + request.forwarded_after;
            if at < point && point <= next {
                match (request.kind, request.id) {
                    (RequestKind::Open | RequestKind::Keyed, Some(id)) => model.may_forward(id),
                    (RequestKind::Chat, _) => model.count("chat sent"),
                    _ => {}
                }
            }
            start += request.bytes.len();
        }
        out.write_all(&all[at..next]).await?;
        at = next;
        if !plan.pause.is_zero() {
            sleep(plan.pause).await;
        }
    }
    if end < all.len() {
        return Ok(false);
    }
    if plan.half_closes {
        out.shutdown().await?;
    }
    Ok(true)
}

/// Reads responses and compares them with their requests.
struct Reading<'a> {
    model: &'a Model,
    incoming: &'a mut Incoming,
    left: CancelAt,
}

impl Reading<'_> {
    async fn responses(mut self, batch: &[GeneratedRequest]) -> ExchangeEnd {
        for request in batch {
            match self.response(request).await {
                Ok(ExchangeEnd::Open) => {}
                Ok(end) => return end,
                Err(ReadEnd::Malformed(what)) => {
                    self.model.contradict(format!("{}: the response is malformed: {what}", request.line()));
                    return ExchangeEnd::Closing;
                }
                Err(end) => {
                    self.model.count(if end == ReadEnd::Nothing { "no response" } else { "response cut" });
                    return ExchangeEnd::Closing;
                }
            }
        }
        ExchangeEnd::Open
    }

    async fn response(&mut self, request: &GeneratedRequest) -> Result<ExchangeEnd, ReadEnd> {
        let head = loop {
            let head = self.incoming.head().await?;
            match head.word(1).parse() {
                Ok(200..=599_u16) if head.word(0) == "HTTP/1.1" => break head,
                Ok(100 | 102 | 103) if head.word(0) == "HTTP/1.1" => {}
                _ => return Err(ReadEnd::Malformed(head.first)),
            }
        };
        let status: u16 = head.word(1).parse().unwrap_or(0);
        let id = head.header("x-soak-id").and_then(|id| id.parse::<u64>().ok());
        self.check_origin(request, &head, status);
        let is_empty = request.method == "HEAD" || matches!(status, 204 | 304);
        let mut framing = if is_empty { Framing::Length(0) } else { head.framing().unwrap_or(Framing::UntilClose) };
        let persists = framing != Framing::UntilClose
            && !head.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
        let mut content = Vec::new();
        let mut read = 0;
        while let Some(piece) = self.incoming.piece(&mut framing).await? {
            if let Some(id) = id
                && piece.iter().enumerate().any(|(at, byte)| *byte != content_byte(id, read + at))
            {
                self.model.contradict(format!("{}: other bytes after {read}: {}", request.line(), head.first));
            }
            read += piece.len();
            if status >= 400 && content.len() < 2_000 {
                content.extend_from_slice(&piece);
            }
            if let CancelAt::Received(most) = self.left {
                if read >= most {
                    return Ok(ExchangeEnd::Cancelled);
                }
                self.left = CancelAt::Received(most - piece.len().min(most));
            }
        }
        let announced = head.header("x-soak-bytes").and_then(|bytes| bytes.parse::<usize>().ok());
        let is_until_close = framing == Framing::UntilClose;
        if !is_empty && announced.is_some_and(|announced| announced < read || (announced > read && !is_until_close)) {
            self.model.contradict(format!("{}: {read} of {announced:?} bytes are the whole", request.line()));
        }
        self.count(request, status, &content);
        Ok(if persists { ExchangeEnd::Open } else { ExchangeEnd::Closing })
    }

    /// Asserts that the response belongs to the request.
    fn check_origin(&self, request: &GeneratedRequest, head: &Head, status: u16) {
        let id = head.header("x-soak-id");
        let own = request.id.map(|id| id.to_string());
        let is_own = match (request.kind, id) {
            (RequestKind::Open | RequestKind::Keyed, Some(_)) => id == own.as_deref(),
            (RequestKind::Open | RequestKind::Keyed, None) => status >= 400,
            (RequestKind::Refused, _) => id.is_none() && (400..500).contains(&status),
            (RequestKind::Chat, _) => id.is_none_or(|id| id == NO_ID.to_string()),
        };
        if !is_own {
            self.model.contradict(format!("{}: another response: {} of {id:?}", request.line(), head.first));
        }
    }

    fn count(&self, request: &GeneratedRequest, status: u16, content: &[u8]) {
        let text = String::from_utf8_lossy(content);
        let code = serde_json::from_str::<Value>(&text).map(|body| body["error"]["code"].clone()).unwrap_or_default();
        self.model.count(&format!("{:?} {status} {}", request.kind, code.as_str().unwrap_or_default()));
        if status == INTERNAL {
            self.model.contradict(format!("{}: an internal error: {text}", request.line()));
        }
        if request.kind == RequestKind::Chat && status == 200 {
            self.model.count("chat answered");
        }
    }
}

//! Generated requests: valid and invalid ones, of all routes, with content in both framings.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::json;

use super::model::{Model, content};
use crate::bodies::CHAT;
use crate::storms::dice::Dice;

/// What the mock provider does, by the name of the model; see `tollgate mock --help`.
const MODELS: [&str; 24] = [
    "instant",
    "instant",
    "instant",
    "tokens-5-0",
    "tokens-5-0",
    "tokens-20-20",
    "tokens-300-5",
    "echo",
    "bytewise",
    "event-200000",
    "long",
    "hang",
    "stall",
    "cut",
    "close",
    "reset",
    "reset-head",
    "reset-body",
    "slow-head",
    "429",
    "503",
    "1xx-5",
    "twice",
    "two-lengths",
];
/// Lines that make a head invalid.
const INVALID: [&str; 6] = [
    "content-length: 1\r\ncontent-length: 1\r\n",
    "content-length: 1\r\ntransfer-encoding: chunked\r\n",
    "a: b\nc: d\r\n",
    "a: b\r\n c\r\n",
    "a: b\0\r\n",
    "host: another\r\n",
];

/// The addressee of a request, and its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// An ordinary route without a key.
    Open,
    /// An ordinary route with a key.
    Keyed,
    /// An LLM call, which the mock provider or the random backend serves.
    Chat,
    /// A request that Tollgate must refuse.
    Refused,
}

/// A request as it is sent.
#[derive(Debug)]
pub(crate) struct GeneratedRequest {
    pub(crate) kind: RequestKind,
    pub(crate) method: &'static str,
    /// The number of a request to an ordinary route.
    pub(crate) id: Option<u64>,
    pub(crate) bytes: Vec<u8>,
    /// How many of the bytes Tollgate needs before it can forward the request.
    pub(crate) forwarded_after: usize,
}

/// The server and its keys.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) proxy: SocketAddr,
    /// The key of the ordinary route, and that of LLM calls. Their users differ.
    pub(crate) plain_key: String,
    pub(crate) chat_key: String,
}

impl GeneratedRequest {
    pub(crate) fn new(target: &Target, model: &Model, dice: &mut Dice) -> Self {
        match dice.below(20) {
            0..6 => Self::plain(RequestKind::Open, target, model, dice),
            6..13 => Self::plain(RequestKind::Keyed, target, model, dice),
            13..18 => Self::chat(target, dice),
            _ => Self::plain(RequestKind::Refused, target, model, dice),
        }
    }

    fn plain(kind: RequestKind, target: &Target, model: &Model, dice: &mut Dice) -> Self {
        let id = model.begin(kind == RequestKind::Keyed);
        let method = ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"][dice.below(8)];
        let version = if dice.below(20) == 0 { "HTTP/1.0" } else { "HTTP/1.1" };
        let mut path = if kind == RequestKind::Open { "/open" } else { "/keyed" };
        let mut lines = format!("host: {}\r\nx-soak-id: {id}\r\n", target.proxy);
        if kind == RequestKind::Keyed {
            let _ = write!(lines, "authorization: Bearer {}\r\n", target.plain_key);
        }
        if kind == RequestKind::Refused {
            match dice.below(4) {
                0 => lines += INVALID[dice.below(INVALID.len())],
                1 => path = "/nowhere",
                2 => path = "/keyed/../open",
                _ => lines += "authorization: Bearer tollgate_00000000000000000000000000000000\r\n",
            }
        }
        let bytes = match dice.below(10) {
            0..5 => dice.below(500),
            5..9 => dice.below(30_000),
            _ => dice.below(500_000),
        };
        let content = if matches!(method, "POST" | "PUT") { content(id, bytes) } else { Vec::new() };
        let has_content = matches!(method, "POST" | "PUT");
        let is_chunked = has_content && version == "HTTP/1.1" && dice.below(2) == 0;
        let _ = write!(lines, "x-soak-bytes: {}\r\n", content.len());
        if is_chunked {
            lines += "transfer-encoding: chunked\r\n";
        } else if has_content {
            let _ = write!(lines, "content-length: {}\r\n", content.len());
        }
        if has_content && version == "HTTP/1.1" && dice.below(15) == 0 {
            lines += "expect: 100-continue\r\n";
        }
        if dice.below(15) == 0 {
            lines += "connection: close\r\n";
        }
        let mut sent = format!("{method} {path}/{id} {version}\r\n{lines}\r\n").into_bytes();
        let forwarded_after = sent.len();
        if is_chunked {
            chunks(&mut sent, &content, dice);
        } else {
            sent.extend(content);
        }
        Self { kind, method, id: Some(id), bytes: sent, forwarded_after }
    }

    fn chat(target: &Target, dice: &mut Dice) -> Self {
        let name = MODELS[dice.below(MODELS.len())];
        let provider = if dice.below(6) == 0 { "rough" } else { "up" };
        let text = "x".repeat(if dice.below(10) == 0 { dice.below(300_000) } else { dice.below(2_000) });
        let body = json!({
            "model": format!("{provider}/{name}"), "stream": dice.below(2) == 0,
            "messages": [{"role": "user", "content": text}],
        });
        let body = body.to_string().into_bytes();
        let head = |framing: &str| {
            format!(
                "POST {CHAT} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
                 {framing}\r\n\r\n",
                target.proxy, target.chat_key
            )
        };
        let sent = if dice.below(3) == 0 {
            let mut sent = head("transfer-encoding: chunked").into_bytes();
            chunks(&mut sent, &body, dice);
            sent
        } else {
            [head(&format!("content-length: {}", body.len())).into_bytes(), body].concat()
        };
        Self { kind: RequestKind::Chat, method: "POST", id: None, forwarded_after: sent.len(), bytes: sent }
    }
}

/// Appends the content in chunks of random sizes.
fn chunks(out: &mut Vec<u8>, content: &[u8], dice: &mut Dice) {
    let mut rest = content;
    while !rest.is_empty() {
        let (piece, remaining) = rest.split_at(rest.len().min(1 + dice.below(8_000)));
        let extension = if dice.below(20) == 0 { ";a=b" } else { "" };
        out.extend_from_slice(format!("{:x}{extension}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        rest = remaining;
    }
    out.extend_from_slice(if dice.below(5) == 0 { b"0\r\nx-soak-trailer: a\r\n\r\n" } else { b"0\r\n\r\n" });
}

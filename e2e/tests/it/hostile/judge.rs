//! Sends a row of the table and checks the client's response and the requests at the backend.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use e2e::reading::Request;
use e2e::recorder::RecorderEntry;
use e2e::{Gateway, Head, Recorder, Setup, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::backend;
use super::requests::{Requirement, Row};

/// A valid request after each row: a server that finds the end of the row elsewhere does not serve it correctly.
const NEXT: &str = "GET /o/next";
const NEXT_BYTES: &[u8] = b"GET /o/next HTTP/1.1\r\nhost: next\r\nconnection: close\r\n\r\n";
/// Timeout for one row.
const ROW_TIME_MAX: Duration = Duration::from_secs(20);
/// Tollgate's own bound for a head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Number of writes into which a row is split.
const PIECES: usize = 150;

/// The path of most rows, and its replacement for LLM endpoints.
const PATH: &[u8] = b" /o/a ";
const LLM_PATH: &[u8] = b" /v1/messages ";

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}, \
        transformations: {request: {rewrite: {host: backend}}}}, \
    {path: {prefix: /k}, upstreams: backend, transformations: {request: {rewrite: {host: backend}}}}";
/// By default, an open route beside a protected one refuses these paths.
const PATHS: &str = "{merge_slashes: false, encoded_slashes: keep, semicolons: keep}";

/// A server with a backend that records all requests.
pub(crate) struct RowJudge {
    pub(crate) gateway: Gateway,
    pub(crate) backend: Recorder,
    key: String,
    /// Codes of refusals with their documented statuses.
    codes: HashMap<String, u16>,
}

/// The way in which a row's bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All bytes in one write.
    Whole,
    /// Many writes, each one a segment.
    Pieces,
    /// One write to an LLM path; only for rows that are refused on every path.
    Llm,
}

/// Status, head and body of a response that is not 1xx.
type FinalAnswer = (u16, Head, Vec<u8>);

/// The responses that a client received.
#[derive(Debug, Default)]
struct ClientReceipt {
    answers: Vec<FinalAnswer>,
    /// The bytes after the last complete response.
    rest: Vec<u8>,
    closed: bool,
}

/// Returns whether a row can be sent in this manner.
pub(crate) fn suits(row: &Row, manner: Manner) -> bool {
    let is_refused = matches!(row.must, Requirement::Refused(_) | Requirement::Cut(_));
    let goes_there = row.before.is_empty() && row.sent.windows(PATH.len()).any(|part| part == PATH);
    manner != Manner::Llm || (is_refused && goes_there)
}

impl RowJudge {
    pub(crate) async fn sit() -> Self {
        let backend = Recorder::start().await;
        let address = backend.address();
        let kinds = [("up", "openai"), ("claude", "anthropic"), ("google", "gemini")];
        let providers = kinds.map(|(name, kind)| e2e::setup::provider(name, kind, address)).join(", ");
        let setup = Setup::routed(address, ROUTES)
            .section("paths", PATHS)
            .section("providers", &format!("[{providers}]"))
            .section("sizes", "{body: 1MiB}");
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        Self { gateway, backend, key, codes: codes() }
    }

    /// Sends a row and checks the result.
    ///
    /// # Errors
    /// The difference from the expected result.
    pub(crate) async fn try_row(&self, row: &Row, manner: Manner) -> Result<(), String> {
        let lines = self.backend.lines();
        let bytes = if manner == Manner::Llm { self.to_llm(row) } else { expand(row.sent, &self.key) };
        let got = self.send(&bytes, row, manner).await;
        let seen = self.seen(row, lines).await;
        let with: Vec<String> = row.with.iter().map(|spec| self.expand_text(spec)).collect();
        let judged = self
            .judge(row, &got, &seen)
            .and_then(|()| shaped(row, &bytes, &got))
            .and_then(|()| fields(row, &with, &seen))
            .and_then(|()| backend::check(row, &bytes, &with, &seen, self.backend.address()));
        judged.map_err(|why| {
            let answers: Vec<String> =
                got.answers.iter().map(|(status, _, body)| format!("{status} {}", clip(body))).collect();
            let summaries: Vec<String> = seen.iter().map(tell).collect();
            format!(
                "{} (RFC {}), {manner:?}: {why}\n    sent: {}\n    got: {answers:?}{}, {}\n    backend: {summaries:?}",
                row.name,
                row.rfc,
                clip(&bytes),
                if got.rest.is_empty() { String::new() } else { format!(" and {}", clip(&got.rest)) },
                if got.closed { "closed" } else { "left open" },
            )
        })
    }

    /// Returns the entries of a row. A request that is cut is recorded when its connection to the backend has ended.
    async fn seen(&self, row: &Row, lines: usize) -> Vec<RecorderEntry> {
        if matches!(row.must, Requirement::Cut(_) | Requirement::Unfinished) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        eventually("every request that began has ended", async || (self.backend.begun() == 0).then_some(())).await;
        self.backend.log(lines)
    }

    fn expand_text(&self, text: &str) -> String {
        let bytes: Vec<u8> = text.chars().map(|byte| u8::try_from(u32::from(byte)).expect("one byte")).collect();
        expand(&bytes, &self.key).into_iter().map(char::from).collect()
    }

    /// Returns the row's bytes as a Messages request with a valid key.
    fn to_llm(&self, row: &Row) -> Vec<u8> {
        let sent = expand(row.sent, &self.key);
        let path = sent.windows(PATH.len()).position(|part| part == PATH).expect("the row names the path");
        let mut bytes = [&sent[..path], LLM_PATH, &sent[path + PATH.len()..]].concat();
        if matches!(row.must, Requirement::Cut(_)) {
            // The head of such a row is valid.
            let line_end = bytes.windows(2).position(|two| two == b"\r\n").expect("a line");
            bytes.splice(line_end..line_end, format!("\r\nx-api-key: {}", self.key).into_bytes());
        }
        bytes
    }

    async fn send(&self, bytes: &[u8], row: &Row, manner: Manner) -> ClientReceipt {
        let mut all = bytes.to_vec();
        let unfinished = matches!(row.must, Requirement::Unfinished);
        if !unfinished {
            all.extend(NEXT_BYTES);
        }
        let stream = TcpStream::connect(self.gateway.proxy).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut from, mut to) = stream.into_split();
        let writing = async {
            let piece = if manner == Manner::Pieces { all.len().div_ceil(PIECES) } else { all.len() };
            for piece in all.chunks(piece) {
                // A refusal may arrive, and the connection end, before all bytes are written.
                if to.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if unfinished {
                let _ = to.shutdown().await;
            }
        };
        let mut came = Vec::new();
        let reading = async {
            loop {
                match from.read_buf(&mut came).await {
                    Ok(0) => return true,
                    Ok(_) => {}
                    // A reset counts as closed; lost responses are detected below.
                    Err(error) => return error.kind() == ErrorKind::ConnectionReset,
                }
            }
        };
        let both = async { tokio::join!(writing, reading).1 };
        let closed = tokio::time::timeout(ROW_TIME_MAX, both).await.unwrap_or(false);
        let (answers, rest) = split(&came, &methods(row));
        ClientReceipt { answers, rest, closed }
    }

    fn judge(&self, row: &Row, got: &ClientReceipt, seen: &[RecorderEntry]) -> Result<(), String> {
        let own: Vec<(u16, &str)> = got.answers.iter().map(|(status, _, body)| (*status, self.code(body))).collect();
        let (served, refusal, next): (Vec<&str>, Option<&str>, bool) = match row.must {
            Requirement::Refused(code) | Requirement::Cut(code) => (row.before.to_vec(), Some(code), false),
            Requirement::Answered(code) => (row.before.to_vec(), Some(code), own.len() > row.before.len() + 1),
            Requirement::Read(reads) => (row.before.iter().chain(reads).copied().collect(), None, true),
            Requirement::Unfinished => (Vec::new(), None, false),
        };
        if let Some(wrong) = seen.iter().find(|entry| matches!(entry, RecorderEntry::Wrong(..))) {
            return Err(format!("the backend received an ambiguous request: {}", tell(wrong)));
        }
        let mut expected: Vec<&str> = served.clone();
        expected.extend(next.then_some(NEXT));
        let summaries: Vec<String> = whole(seen).map(Request::summary).collect();
        if summaries != expected {
            return Err(format!("the backend must receive {expected:?} and nothing else"));
        }
        let has_key = |request: &Request| format!("{request:?}").contains(&self.key);
        if whole(seen).any(has_key) {
            return Err("the backend must not receive the client's key".to_owned());
        }
        if matches!(row.must, Requirement::Unfinished) {
            return Ok(());
        }
        let mut answers: Vec<(u16, &str)> = served.iter().map(|_| (200, "")).collect();
        if let Some(code) = refusal {
            let Some(status) = self.codes.get(code) else { return Err(format!("{code} is not a documented code")) };
            answers.push((*status, code));
        }
        answers.extend(next.then_some((200, "")));
        if own != answers || !got.rest.is_empty() {
            return Err(format!("the client must receive {answers:?} and nothing else"));
        }
        if got.closed { Ok(()) } else { Err("the connection must be closed".to_owned()) }
    }

    /// Returns the code of a refusal; empty for the backend's own response.
    fn code(&self, body: &[u8]) -> &str {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let error = &value["error"];
        // Google's field for the code.
        let code = error["code"].as_str().or(error["details"][0]["reason"].as_str()).unwrap_or_default();
        let of_backend = if body == b"{}" || body.is_empty() { "" } else { "none of ours" };
        self.codes.get_key_value(code).map_or(of_backend, |(code, _)| code.as_str())
    }
}

/// Returns the requested path, if the request line is valid and within the size limit.
fn called(sent: &[u8]) -> String {
    let end = sent.windows(2).position(|two| two == b"\r\n").filter(|end| *end < HEAD_BYTES_MAX);
    let line = String::from_utf8_lossy(sent.get(..end.unwrap_or(0)).unwrap_or_default());
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["CONNECT", ..] => String::new(),
        [method, path, "HTTP/1.1" | "HTTP/1.0"] if method.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            (*path).to_owned()
        }
        _ => String::new(),
    }
}

/// Checks status and format of a refusal: those of the requested path, if the request line is valid.
fn shaped(row: &Row, sent: &[u8], got: &ClientReceipt) -> Result<(), String> {
    let Some((status, head, body)) = got.answers.iter().find(|(status, ..)| *status != 200) else { return Ok(()) };
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let error = &value["error"];
    let path = called(sent);
    // The fault may be in a later request, whose path differs from the row's first line.
    let good = match path.as_str() {
        "/v1/messages" | "/v1/messages/" | "//v1/messages" if row.before.is_empty() => {
            value["type"] == "error" && error["type"].is_string() && value["request_id"].is_string()
        }
        "/v1/chat/completions" | "/v1/responses" if row.before.is_empty() => {
            error["type"].is_string() && value["type"].is_null()
        }
        // A path that is not served also uses the format of its API.
        path if path.starts_with("/v1beta/") && !matches!(row.must, Requirement::Refused(_)) => {
            error["code"] == *status && error["status"].is_string()
        }
        _ => error["status"] == *status,
    };
    let json = head.header("content-type") == Some("application/json");
    if good && json && (400..500).contains(status) && error["message"].is_string() {
        return Ok(());
    }
    Err(format!("a refusal at {path:?} has the wrong format"))
}

/// Checks the fields that the backend must and must not receive.
fn fields(row: &Row, with: &[String], seen: &[RecorderEntry]) -> Result<(), String> {
    let requests: Vec<&Request> = whole(seen).filter(|request| request.target != "/o/next").collect();
    let has = |spec: &str| {
        let (name, value) = spec.split_once(": ").map_or((spec, None), |(name, value)| (name, Some(value)));
        requests
            .iter()
            .any(|request| value.map_or(!request.all(name).is_empty(), |value| request.all(name).contains(&value)))
    };
    if let Some(missing) = with.iter().find(|spec| !has(spec)) {
        return Err(format!("the backend must receive {missing:?}: {requests:?}"));
    }
    if let Some(there) = row.without.iter().find(|spec| has(spec)) {
        return Err(format!("the backend must not receive {there:?}: {requests:?}"));
    }
    Ok(())
}

fn whole(seen: &[RecorderEntry]) -> impl Iterator<Item = &Request> {
    seen.iter().filter_map(|entry| match entry {
        RecorderEntry::Whole(request) => Some(request),
        RecorderEntry::Cut(_) | RecorderEntry::Wrong(..) => None,
    })
}

/// Returns the methods of the served requests in order, because a response to HEAD has no body.
fn methods(row: &Row) -> Vec<&'static str> {
    let reads = if let Requirement::Read(reads) = row.must { reads } else { &[] };
    row.before.iter().chain(reads).map(|summaries| summaries.split(' ').next().unwrap_or_default()).collect()
}

/// Splits bytes into final responses and the rest.
fn split(bytes: &[u8], methods: &[&str]) -> (Vec<FinalAnswer>, Vec<u8>) {
    let mut answers = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = Head::parse(rest[..at + 4].to_vec());
        let status: u16 = head.word(1).parse().unwrap_or(0);
        let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let length = if status < 200 || methods.get(answers.len()) == Some(&"HEAD") { 0 } else { length };
        let Some(body) = rest.get(at + 4..at + 4 + length) else { break };
        rest = &rest[at + 4 + length..];
        if status >= 200 {
            answers.push((status, head, body.to_vec()));
        }
    }
    (answers, rest.to_vec())
}

/// Returns the documented error codes, with the status that their section names.
fn codes() -> HashMap<String, u16> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md")).unwrap();
    let sections = page.split("\n### `").skip(1).map(|section| {
        let code = section.split('`').next().unwrap().to_owned();
        let status = section.lines().find_map(|line| line.strip_prefix("Status ")?.get(..3)?.parse().ok());
        (code, status.unwrap())
    });
    sections.collect()
}

/// Replaces `<<KEY>>` and `<<N*TEXT>>`.
fn expand(sent: &[u8], key: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = sent;
    while let Some(at) = rest.windows(2).position(|two| two == b"<<") {
        out.extend(&rest[..at]);
        let end = at + rest[at..].windows(2).position(|two| two == b">>").expect("<< has its >>");
        let inside = &rest[at + 2..end];
        match inside.iter().position(|byte| *byte == b'*') {
            Some(star) => {
                let count: usize = std::str::from_utf8(&inside[..star]).unwrap().parse().unwrap();
                out.extend(inside[star + 1..].repeat(count));
            }
            None => out.extend(key.as_bytes()),
        }
        rest = &rest[end + 2..];
    }
    out.extend(rest);
    out
}

fn tell(entry: &RecorderEntry) -> String {
    match entry {
        RecorderEntry::Whole(request) => request.summary(),
        RecorderEntry::Cut(bytes) => format!("cut: {}", clip(bytes)),
        RecorderEntry::Wrong(why, bytes) => format!("wrong ({why}): {}", clip(bytes)),
    }
}

fn clip(bytes: &[u8]) -> String {
    const SHOWN: usize = 300;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
    if bytes.len() > SHOWN { format!("{shown}… ({} bytes)", bytes.len()) } else { shown.to_string() }
}

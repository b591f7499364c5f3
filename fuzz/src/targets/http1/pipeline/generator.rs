//! Pipelines of requests with what a server must read of them.

use super::super::reference::FieldPair;
use crate::random::InputChoices;

/// A generated request and its meaning.
#[derive(Debug)]
pub(super) struct PlannedRequest {
    pub(super) bytes: Vec<u8>,
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    pub(super) fields: Vec<FieldPair>,
    /// The data that arrives, also of content that is refused.
    pub(super) data: Vec<u8>,
    pub(super) fate: Fate,
}

/// What a server must do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server reads it completely, and then the next one.
    Served,
    /// The client asked for the end of the connection: nothing after it is a request.
    ServedLast,
    /// Its content is refused: nothing after it is a request.
    ContentRefused,
    /// It is refused, and so is everything after it.
    HeadRefused,
}

const REQUESTS_MAX: usize = 8;
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "M-SEARCH"];
const TARGETS: &[&str] = &[
    "/",
    "/a?b=c",
    "/%20/y;z",
    "/a//b",
    "http://a/x?y",
    "HTTP://A",
    "https://a?q",
    "/{}|\"?\\",
    "/%e0%a0%80",
    "/.well-known/...",
];
const BAD_TARGETS: &[&str] = &[
    "/a b",
    "/a#b",
    "/a/../b",
    "/%2e%2e/x",
    "/%c0%af",
    "/%",
    "/%00",
    "/a\\b",
    "a",
    "",
    "*x",
    "http:///b",
    "http://u@a/",
    "/\u{e9}",
    "/\u{0}",
];
const BAD_METHODS: &[&str] = &["GET@", " GET", "G\u{e9}T", "(", "", "GET ", "GET\t"];
const BAD_VERSIONS: &[&str] = &["", " HTTP/2.1", " HTTP/2", " http/1.1", " HTTP/1.1 ", " HTTP/1.1x", "\tHTTP/1.1"];
/// Names and values with the whitespace around them.
const FIELDS: &[(&str, &str)] = &[
    ("X", " y"),
    ("Accept", "*/*"),
    ("Cookie", "\ta=b; c=d \t"),
    ("x-empty", ""),
    ("X-Obs", " \u{e4}"),
    ("conversation_id", " 1"),
    ("Expect", " 100-continue"),
    ("Upgrade", " h2c"),
    ("TE", " trailers"),
    ("Trailer", " X-Sum"),
    ("X-Forwarded-For", " 192.0.2.1"),
    ("X_Forwarded_For", " 192.0.2.1"),
    ("X-Colons", ":::"),
    ("X-Line", " GET / HTTP/1.1"),
];
/// Options of the connection: value, whether it closes, whether it keeps alive.
const CONNECTIONS: &[(&str, bool, bool)] = &[
    (" close", true, false),
    ("Keep-Alive", false, true),
    (" x, keep-alive", false, true),
    (" x ,CLOSE", true, false),
    ("upgrade", false, false),
    ("close, keep-alive", true, true),
    ("closed", false, false),
    ("", false, false),
];
const BAD_LINES: &[&str] = &[
    "Content-Length : 5",
    "Content_Length: 5",
    "transfer_encoding: chunked",
    "Transfer-Encoding\t: chunked",
    "X y: z",
    ": y",
    "X",
    "X: \u{0}",
    "X: \u{7f}",
    " X: y",
    "\tX: y",
    "X\u{e9}: y",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 0x5",
    "Content-Length:",
    "Content-Length: 18446744073709551616",
    "Transfer-Encoding:",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 0",
    "Content-Length: 3\r\nContent-Length: 3",
    "Host: a",
    "host: b",
];
const BAD_ENDS: &[&str] = &["\n", "\r", "\r\r\n", "\n\r\n", "\0\r\n", "\r\n ", "\r\n\t"];
const DATA: &[&str] = &[
    "hello",
    "0\r\n\r\n",
    "\r\n",
    "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n",
    "x",
    "\0\u{ff}\n",
    "5\r\nhello\r\n0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
];
const EXTENSIONS: &[&str] = &["", "", "", ";a", ";a=\"b;c\"", "; x\t= y", ";"];
const BAD_EXTENSIONS: &[&str] = &[" ", "\t;a", ";a\nb", ";\u{0}", ";\u{e9}", "x", ",", "\n", ";a\rb"];
const TRAILERS: &[&str] = &[
    "",
    "",
    "X-Sum: 1\r\n",
    "a:\r\nb: \u{e9}\t\r\n",
    "ETag: x\r\nx: y\r\nx: z\r\n",
    "If_Match: x\r\nContent-Digest: y\r\nRequest-Id: z\r\n",
];
const BAD_TRAILERS: &[&str] = &[
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "transfer_encoding: chunked\r\n",
    "X-Forwarded-For: a\r\n",
    "X: y\n",
    "X : y\r\n",
    " X: y\r\n",
    "X: y\r\n z\r\n",
    "X\r\n",
    "X: \u{0}\r\n",
    "\n",
    "Authorization: Bearer z\r\n",
];

/// A pipeline that ends with the choices, with the first request after which nothing is served included.
pub(super) fn pipeline(choices: &mut InputChoices<'_>) -> Vec<PlannedRequest> {
    let mut requests = Vec::new();
    while !choices.is_empty() && requests.len() < REQUESTS_MAX {
        requests.push(request(choices));
    }
    requests
}

/// The lines of a head without their ends.
struct Head {
    method: &'static str,
    target: &'static str,
    version: &'static str,
    lines: Vec<String>,
}

fn request(choices: &mut InputChoices<'_>) -> PlannedRequest {
    let is_http11 = !choices.one_in(8);
    let mut head = Head {
        method: choices.pick(METHODS),
        target: choices.pick(TARGETS),
        version: if is_http11 { " HTTP/1.1" } else { " HTTP/1.0" },
        lines: Vec::new(),
    };
    let mut fields = Vec::new();
    let mut field = |head: &mut Head, name: &str, value: &str| {
        head.lines.push(format!("{name}:{value}"));
        let value = value.trim_matches([' ', '\t']);
        fields.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    };
    for _ in 0..choices.below(3) {
        let (name, value) = choices.pick(FIELDS);
        field(&mut head, name, value);
    }
    field(&mut head, choices.pick(&["Host", "host", "hOST"]), choices.pick(&[" a", "A", "\ta "]));
    let mut closes = false;
    let mut keeps_alive = false;
    for _ in 0..choices.below(3) {
        if choices.one_in(3) {
            let (value, close, keep_alive) = choices.pick(CONNECTIONS);
            (closes, keeps_alive) = (closes || close, keeps_alive || keep_alive);
            field(&mut head, "Connection", value);
        } else {
            let (name, value) = choices.pick(FIELDS);
            field(&mut head, name, value);
        }
    }
    let persists = !closes && (is_http11 || keeps_alive);
    let mut fate = if persists { Fate::Served } else { Fate::ServedLast };
    let mut content = Vec::new();
    let mut data = Vec::new();
    match choices.below(4) {
        0 | 1 => {}
        2 if is_http11 => {
            field(&mut head, "Transfer-Encoding", choices.pick(&[" chunked", "Chunked", "\t CHUNKED\t"]));
            if chunks(choices, &mut content, &mut data) {
                fate = Fate::ContentRefused;
            }
        }
        _ => {
            data.extend_from_slice(choices.pick(DATA).as_bytes());
            let (before, after) = choices.pick(&[(" ", ""), ("", ""), (" 00", " "), ("\t", "\t")]);
            field(&mut head, "Content-Length", &format!("{before}{}{after}", data.len()));
            content.clone_from(&data);
        }
    }
    let method = head.method;
    let target = head.target;
    let mut bytes = if choices.one_in(6) {
        fate = Fate::HeadRefused;
        refused_head(choices, head)
    } else {
        let blank = if choices.one_in(8) { "\r\n" } else { "" };
        format!("{blank}{method} {target}{}\r\n{}\r\n\r\n", head.version, head.lines.join("\r\n")).into_bytes()
    };
    bytes.extend_from_slice(&content);
    PlannedRequest { bytes, method, target, fields, data, fate }
}

/// A head with one defect.
fn refused_head(choices: &mut InputChoices<'_>, mut head: Head) -> Vec<u8> {
    let mut ends = vec!["\r\n"; head.lines.len() + 1];
    let mut before = "";
    match choices.below(10) {
        0 => head.method = choices.pick(BAD_METHODS),
        1 => head.target = choices.pick(BAD_TARGETS),
        2 => head.version = choices.pick(BAD_VERSIONS),
        3 | 4 => {
            let at = choices.below(ends.len());
            ends[at] = choices.pick(BAD_ENDS);
        }
        5 => before = choices.pick(&["\r\n\r\n", "\n", "\r", " ", "\0", "\r\n ", "\u{16}\u{3}\u{1}"]),
        6 => {
            head.lines.retain(|line| !line.to_ascii_lowercase().starts_with("host:"));
            head.version = " HTTP/1.1";
        }
        7 => head.lines.extend(vec!["X: y".to_owned(); super::super::head_limits::FIELDS_MAX]),
        _ => {
            let at = choices.below(head.lines.len() + 1);
            head.lines.insert(at, choices.pick(BAD_LINES).to_owned());
        }
    }
    let mut bytes = format!("{before}{} {}{}{}", head.method, head.target, head.version, ends[0]);
    for (at, line) in head.lines.iter().enumerate() {
        bytes += line;
        bytes += ends.get(at + 1).unwrap_or(&"\r\n");
    }
    bytes += "\r\n";
    bytes.into_bytes()
}

/// Chunked content and its data up to a defect. Returns whether there is a defect.
fn chunks(choices: &mut InputChoices<'_>, content: &mut Vec<u8>, data: &mut Vec<u8>) -> bool {
    for _ in 0..choices.below(4) {
        let chunk = choices.pick(DATA).as_bytes();
        let defect = if choices.one_in(10) { 1 + choices.below(3) } else { 0 };
        if defect == 1 {
            content
                .extend_from_slice(choices.pick(&["-", "+", "0x", " ", "\r\n", "00000000000000000", ";"]).as_bytes());
        }
        let size = match choices.below(3) {
            0 => format!("{:x}", chunk.len()),
            1 => format!("{:X}", chunk.len()),
            _ => format!("{:04X}", chunk.len()),
        };
        content.extend_from_slice(size.as_bytes());
        content.extend_from_slice(choices.pick(if defect == 2 { BAD_EXTENSIONS } else { EXTENSIONS }).as_bytes());
        content.extend_from_slice(b"\r\n");
        content.extend_from_slice(chunk);
        if !matches!(defect, 1 | 2) {
            data.extend_from_slice(chunk);
        }
        let end = if defect == 3 { choices.pick(&["\n", "!\r\n", "\r\r\n", "\rx", "\n\r"]) } else { "\r\n" };
        content.extend_from_slice(end.as_bytes());
        if defect > 0 {
            return true;
        }
    }
    let is_refused = choices.one_in(8);
    content.extend_from_slice(choices.pick(&["0", "00", "0;last", "0000000000000000"]).as_bytes());
    content.extend_from_slice(b"\r\n");
    content.extend_from_slice(choices.pick(if is_refused { BAD_TRAILERS } else { TRAILERS }).as_bytes());
    content.extend_from_slice(b"\r\n");
    is_refused
}

//! Every byte that the backend received for a row: the fields that pass are named by the row, all others are Tollgate's
//! own, and of a body that was cut only the valid beginning arrived.

use std::net::SocketAddr;

use e2e::is_uuid_v7;
use e2e::reading::{Reading, Request, read};
use e2e::recorder::RecorderEntry;

use super::requests::{Requirement, Row};

/// Fields that Tollgate writes, as `name: value`; those without a value differ in each request.
const OWN: [&str; 5] =
    ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-forwarded-host: x", "x-request-id", "traceparent"];

/// Checks the entries of one row, of which the request behind the row is left out.
///
/// # Errors
/// The difference from what the row requires.
pub(crate) fn check(
    row: &Row,
    sent: &[u8],
    with: &[String],
    seen: &[RecorderEntry],
    address: SocketAddr,
) -> Result<(), String> {
    let mut passed = Vec::new();
    let mut is_cut = false;
    for entry in seen {
        match entry {
            RecorderEntry::Whole(request) if request.target == "/o/next" => own(request, address).map(drop)?,
            RecorderEntry::Whole(request) => passed.extend(own(request, address)?),
            RecorderEntry::Cut(bytes) => {
                if !matches!(row.must, Requirement::Cut(_) | Requirement::Unfinished) {
                    return Err(format!("the backend must receive no part of a request: {}", bytes.escape_ascii()));
                }
                is_cut = true;
                partly(bytes, sent, address)?;
            }
            RecorderEntry::Wrong(why, _) => return Err(format!("the backend received no request: {why}")),
        }
    }
    let is_own = |spec: &&String| OWN.contains(&spec.as_str()) || *spec == "host" || spec.starts_with("x-request-id: ");
    let mut expected: Vec<&String> = with.iter().filter(|spec| !is_own(spec)).collect();
    expected.sort_unstable();
    passed.sort_unstable();
    if passed.iter().collect::<Vec<_>>() == expected || (is_cut && passed.is_empty()) {
        return Ok(());
    }
    Err(format!("the backend must receive the fields {expected:?} beside Tollgate's own, and received {passed:?}"))
}

/// Checks Tollgate's own fields, and returns the others as `name: value`.
fn own(request: &Request, address: SocketAddr) -> Result<Vec<String>, String> {
    let mut others = Vec::new();
    let mut seen = Vec::new();
    let is_llm = !["/o", "/%6f", "/k"].iter().any(|route| request.target.starts_with(route));
    for (name, value) in &request.fields {
        let line = format!("{name}: {value}");
        let is_own = match name.as_str() {
            "host" => value == &address.to_string(),
            "x-request-id" => is_uuid_v7(value),
            "traceparent" => is_trace(value),
            "accept-encoding" if is_llm => value == "identity",
            "content-length" if !request.body.is_empty() => *value == request.body.len().to_string(),
            _ => OWN.contains(&line.as_str()),
        };
        if is_own && !seen.contains(name) {
            seen.push(name.clone());
        } else {
            others.push(line);
        }
    }
    let needed: &[&str] = if is_llm {
        &["host", "accept-encoding", "traceparent"]
    } else {
        &["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id", "traceparent"]
    };
    match needed.iter().find(|name| !seen.iter().any(|seen| seen == *name)) {
        Some(missing) => Err(format!("the backend must receive a valid {missing}: {request:?}")),
        None => Ok(others),
    }
}

fn is_trace(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [2, 32, 16, 2] && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Checks a request whose end did not arrive: its head is valid, and its body begins as the valid part of the row's.
fn partly(bytes: &[u8], sent: &[u8], address: SocketAddr) -> Result<(), String> {
    let why =
        |what: &str| Err(format!("{what}: {}", bytes.get(..bytes.len().min(600)).unwrap_or(bytes).escape_ascii()));
    let Some(end) = end_of_head(bytes) else { return why("the backend received a part of a head") };
    let (head, body) = bytes.split_at(end);
    let is_chunked = is_chunked(head);
    // A strict parser finds no fault in the head, whatever body follows.
    let request = match read(&[head, if is_chunked { b"0\r\n\r\n" } else { b"" }].concat()) {
        Reading::Whole(request, _) => request,
        Reading::Part => Request { body: body.to_vec(), ..head_alone(head)? },
        Reading::Wrong(fault) => return why(fault),
    };
    own(&Request { body: Vec::new(), ..request }, address)?;
    let arrived = if is_chunked { valid_chunks(body) } else { body.to_vec() };
    let valid = valid_body(sent);
    if valid.starts_with(&arrived) {
        return Ok(());
    }
    why(&format!("the backend must receive at most {:?}", valid.escape_ascii().to_string()))
}

/// The head of a request with a length, as the parser reads it with an empty body.
fn head_alone(head: &[u8]) -> Result<Request, String> {
    let text = String::from_utf8_lossy(head).into_owned();
    let without: Vec<&str> =
        text.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("content-length:")).collect();
    match read(without.join("\r\n").as_bytes()) {
        Reading::Whole(request, _) => Ok(request),
        other @ (Reading::Part | Reading::Wrong(_)) => {
            Err(format!("the backend received a part of no request: {other:?}"))
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn is_chunked(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).to_ascii_lowercase().contains("\r\ntransfer-encoding:")
}

/// The content of a request's body before its first fault.
fn valid_body(sent: &[u8]) -> Vec<u8> {
    let Some(end) = end_of_head(sent) else { return Vec::new() };
    let (head, body) = sent.split_at(end);
    if is_chunked(head) { valid_chunks(body) } else { body.to_vec() }
}

/// The content of chunks before their first fault, or before their end.
fn valid_chunks(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut rest = bytes;
    while let Some(line_end) = rest.windows(2).position(|two| two == b"\r\n") {
        let line = &rest[..line_end];
        let data = &rest[line_end + 2..];
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let extension = &line[digits..];
        let is_valid = (1..=16).contains(&digits)
            && (extension.is_empty() || extension.starts_with(b";"))
            && !extension.iter().any(u8::is_ascii_control);
        let size = std::str::from_utf8(&line[..digits]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        if !is_valid {
            break;
        }
        let Some(size @ 1..) = size else { break };
        content.extend_from_slice(&data[..data.len().min(size)]);
        match data.get(size..).and_then(|after| after.strip_prefix(b"\r\n")) {
            Some(after) => rest = after,
            None => break,
        }
    }
    content
}

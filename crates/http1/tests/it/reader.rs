//! A connection in memory: messages are read from bytes that arrive in pieces.

use http1::{
    AnnouncedContent, BodyScanner, Expectation, Framing, HeadLimits, RequestParser, RequestTarget, ResponseParser,
    ResponseTo, Version, Violation,
};

/// The messages that were read from a connection, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// One line for each message whose head was accepted.
    pub(crate) messages: Vec<String>,
    /// Why the connection is refused, and whether in a head.
    pub(crate) refused: Option<(Violation, bool)>,
    /// Bytes that belong to complete heads and to their content.
    pub(crate) taken: usize,
}

/// Which end of the connection is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Requests,
    Responses(ResponseTo),
}

pub(crate) const LIMITS: (usize, usize, usize) = (4096, 2048, 100);

/// Reads messages until the bytes end or are refused. The last piece length is repeated.
pub(crate) fn read(side: Side, bytes: &[u8], pieces: &[usize]) -> Outcome {
    let (head_bytes_max, line_bytes_max, fields_max) = LIMITS;
    let limits = HeadLimits::new(head_bytes_max, line_bytes_max, fields_max);
    let mut requests = RequestParser::new(limits);
    let mut responses = ResponseParser::new(limits);
    let mut body: Option<BodyScanner> = None;
    let mut outcome = Outcome { messages: Vec::new(), refused: None, taken: 0 };
    let mut end = 0;
    let mut pieces = pieces.iter().copied();
    let mut piece = usize::MAX;
    while end < bytes.len() && outcome.refused.is_none() {
        piece = pieces.next().unwrap_or(piece).max(1);
        end = end.saturating_add(piece).min(bytes.len());
        loop {
            let buffer = &bytes[outcome.taken..end];
            if let Some(scanner) = &mut body {
                match scanner.take(buffer) {
                    Ok(len) => {
                        outcome.taken += len;
                        let ended = if scanner.has_ended() { "" } else { "+" };
                        let message = outcome.messages.last_mut().unwrap();
                        let head = message.split(" content ").next().unwrap().to_owned();
                        *message = format!("{head} content {}{ended}", scanner.content_bytes());
                        if scanner.has_ended() {
                            body = None;
                        } else if len == 0 {
                            break;
                        }
                    }
                    Err(violation) => {
                        outcome.refused = Some((violation, false));
                        break;
                    }
                }
                continue;
            }
            let head = match side {
                Side::Requests => request(&mut requests, buffer),
                Side::Responses(to) => response(&mut responses, buffer, to),
            };
            match head {
                Ok(Some((line, len, framing))) => {
                    outcome.taken += len;
                    let scanner = match side {
                        Side::Requests => BodyScanner::new(framing),
                        Side::Responses(_) => BodyScanner::of_response(framing),
                    };
                    body = Some(scanner).filter(|body| !body.has_ended());
                    let incomplete = if body.is_some() { "+" } else { "" };
                    outcome.messages.push(format!("{line} content 0{incomplete}"));
                }
                Ok(None) => break,
                Err(violation) => {
                    outcome.refused = Some((violation, true));
                    break;
                }
            }
        }
    }
    outcome
}

fn request(parser: &mut RequestParser, buffer: &[u8]) -> Result<Option<(String, usize, Framing)>, Violation> {
    let Some(head) = parser.parse(buffer)? else { return Ok(None) };
    // Positions hold in a copy.
    let copy = buffer[..head.len()].to_vec();
    let request = head.over(&copy);
    let form = match request.target() {
        RequestTarget::Origin { .. } => "origin",
        RequestTarget::Absolute { is_https: false, .. } => "http",
        RequestTarget::Absolute { is_https: true, .. } => "https",
        RequestTarget::Authority(_) => "authority",
        RequestTarget::Asterisk => "asterisk",
    };
    let mut line =
        format!("{} {} {form} {}", text(request.method()), text(request.target_bytes()), version(head.version()));
    line += &traits(head.persists(), head.announced());
    match request.expectation() {
        Expectation::None => {}
        Expectation::Continue => line += " expects",
        Expectation::Unknown => line += " expects-unknown",
    }
    line += if request.upgrade().is_some() { " upgrade" } else { "" };
    let len = head.len();
    let framing = head.framing();
    parser.recycle(head);
    Ok(Some((line, len, framing)))
}

fn response(
    parser: &mut ResponseParser,
    buffer: &[u8],
    to: ResponseTo,
) -> Result<Option<(String, usize, Framing)>, Violation> {
    let Some(head) = parser.parse(buffer)? else { return Ok(None) };
    let copy = buffer[..head.len()].to_vec();
    let response = head.over(&copy);
    let mut line = format!("{} {:?} {}", head.status(), text(response.reason()), version(head.version()));
    line += &traits(head.persists(to), head.announced());
    line += if head.is_interim() { " interim" } else { "" };
    line += if response.upgrade().is_some() { " upgrade" } else { "" };
    line += match head.framing(to) {
        Framing::UntilClose => " until-close",
        Framing::Tunnel => " tunnel",
        Framing::Empty | Framing::Length(_) | Framing::Chunked => "",
    };
    Ok(Some((line, head.len(), head.framing(to))))
}

fn traits(persists: bool, announced: AnnouncedContent) -> String {
    let persists = if persists { " persists" } else { " closes" };
    match announced {
        AnnouncedContent::Nothing => persists.to_owned(),
        AnnouncedContent::Length(length) => format!("{persists} length={length}"),
        AnnouncedContent::Chunked => format!("{persists} chunked"),
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads the bytes whole and at every split; all must come to the same.
#[track_caller]
pub(crate) fn at_every_split(side: Side, bytes: &[u8]) -> Outcome {
    let whole = in_pieces(side, bytes);
    for at in 1..bytes.len() {
        assert_eq!(read(side, bytes, &[at, usize::MAX]), whole, "cut at {at}");
    }
    whole
}

/// Reads the bytes whole and in small pieces; all must come to the same.
#[track_caller]
pub(crate) fn in_pieces(side: Side, bytes: &[u8]) -> Outcome {
    let whole = read(side, bytes, &[]);
    for pieces in [&[1][..], &[2], &[3, 7]] {
        assert_eq!(read(side, bytes, pieces), whole, "in pieces of {pieces:?}");
    }
    whole
}

/// Bytes that are refused in a head, alone and after a valid message.
#[track_caller]
pub(crate) fn head_refused(side: Side, first: &str, violation: Violation, bytes: &[u8]) {
    let outcome = at_every_split(side, bytes);
    assert_eq!(outcome.refused, Some((violation, true)), "{:?}", text(bytes));
    assert!(outcome.messages.is_empty() && outcome.taken == 0);
    let second = [first.as_bytes(), bytes].concat();
    let outcome = read(side, &second, &[]);
    assert_eq!((outcome.messages.len(), outcome.refused), (1, Some((violation, true))), "{:?}", text(bytes));
    assert_eq!(outcome, read(side, &second, &[1]));
}

/// One complete message; returns its line.
#[track_caller]
pub(crate) fn accepted(side: Side, bytes: &[u8]) -> String {
    let outcome = at_every_split(side, bytes);
    assert_eq!((outcome.refused, outcome.taken), (None, bytes.len()), "{:?}", text(bytes));
    assert_eq!(outcome.messages.len(), 1, "{:?}", text(bytes));
    outcome.messages[0].clone()
}

//! A connection in memory that `http1` parses.

use http1::{BodyScanner, Framing, HeadLimits, RequestParser, ResponseParser, ResponseTo, Violation};

/// The direction of the parsed messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReaderSide {
    Requests,
    Responses(ResponseTo),
}

/// The result of parsing a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectionOutcome {
    /// The offset of each accepted head.
    pub(super) heads: Vec<usize>,
    /// The data length of each message, `None` if it is incomplete.
    pub(super) content_bytes: Vec<Option<u64>>,
    pub(super) refused: Option<Violation>,
    /// The number of parsed bytes of heads and content.
    pub(super) taken: usize,
}

/// Parses bytes that arrive in these pieces.
pub(super) fn read(side: ReaderSide, pieces: &[&[u8]], limits: HeadLimits) -> ConnectionOutcome {
    let mut requests = RequestParser::new(limits);
    let mut responses = ResponseParser::new(limits);
    let mut outcome = ConnectionOutcome { heads: Vec::new(), content_bytes: Vec::new(), refused: None, taken: 0 };
    let mut body: Option<BodyScanner> = None;
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let read = match &mut body {
                Some(scanner) => scanner.take(&buffer),
                None => head(side, &mut requests, &mut responses, &buffer).map(|head| {
                    let Some((len, framing)) = head else { return 0 };
                    outcome.heads.push(outcome.taken);
                    outcome.content_bytes.push(None);
                    body = Some(BodyScanner::new(framing));
                    len
                }),
            };
            let len = match read {
                Ok(len) => len,
                Err(violation) => {
                    outcome.refused = Some(violation);
                    return outcome;
                }
            };
            outcome.taken += len;
            buffer.drain(..len);
            if let Some(scanner) = body.take_if(|scanner| scanner.has_ended()) {
                *outcome.content_bytes.last_mut().unwrap() = Some(scanner.content_bytes());
            } else if len == 0 {
                break;
            }
        }
    }
    outcome
}

fn head(
    side: ReaderSide,
    requests: &mut RequestParser,
    responses: &mut ResponseParser,
    buffer: &[u8],
) -> Result<Option<(usize, Framing)>, Violation> {
    match side {
        ReaderSide::Requests => {
            let Some(head) = requests.parse(buffer)? else { return Ok(None) };
            let found = (head.len(), head.framing());
            requests.recycle(head);
            Ok(Some(found))
        }
        ReaderSide::Responses(to) => {
            let Some(head) = responses.parse(buffer)? else { return Ok(None) };
            Ok(Some((head.len(), head.framing(to))))
        }
    }
}

//! hyper as the judge: what `CheckedIo` lets through must be to hyper the very requests that [`Scanner`] says.
//!
//! Called by tests and by the fuzzer; no server runs it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{BodyLength, CheckedIo, ScanEvent, ScanRefusal, ScanReport, Scanner, http1};

/// After so many polls in which nothing was read or written, and no body went on, nothing will be.
const STILL_POLLS_MAX: usize = 4;

/// A request, as far as its boundaries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedRequest {
    /// Method, a space, and the target as it was sent.
    pub line: String,
    /// Bytes of content; `None` if the body did not end, or its framing is broken.
    pub content_bytes: Option<u64>,
    /// Whether the caller may send another request after it; known of what hyper saw.
    persists: bool,
}

/// What a scan says about a connection's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanOutcome {
    /// The requests that pass.
    pub requests: Vec<ParsedRequest>,
    /// What ends them.
    pub refused: Option<ScanRefusal>,
    /// Bytes that passed; what is refused, and a head that has not ended, has not.
    pub passed_bytes: usize,
}

/// Scanner and hyper disagree.
#[derive(Debug, Error)]
#[error("{what}; scanned {scanned:?}; hyper saw {served:?} and wrote {written:?}")]
pub struct Disagreement {
    what: &'static str,
    scanned: Box<ScanOutcome>,
    served: Vec<ParsedRequest>,
    written: String,
}

/// Scans `bytes`, which come in pieces of `pieces` bytes; the last length goes on for what is left.
#[must_use]
pub fn scan(bytes: &[u8], pieces: &[usize], head_bytes_max: usize) -> ScanOutcome {
    let mut scanner = Scanner::new(head_bytes_max);
    let mut scanned = ScanOutcome { requests: Vec::new(), refused: None, passed_bytes: 0 };
    let mut held_bytes = 0;
    for piece in cut(bytes, pieces) {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = scanner.push(rest);
            let (used, left) = rest.split_at_checked(step.used).unwrap_or_default();
            rest = left;
            held_bytes += step.used;
            if matches!(step.found, ScanEvent::Head(_) | ScanEvent::Body { .. }) {
                scanned.passed_bytes += std::mem::take(&mut held_bytes);
            }
            match step.found {
                ScanEvent::Held => {}
                ScanEvent::Head(length) => {
                    let held = scanner.take_held();
                    let content_bytes = matches!(length, BodyLength::Nothing | BodyLength::Bytes(0)).then_some(0);
                    let line = first_line(if held.is_empty() { used } else { &held });
                    scanned.requests.push(ParsedRequest { line, content_bytes, persists: true });
                }
                ScanEvent::Body { ended } => {
                    drop(scanner.take_held());
                    if let Some(request) = scanned.requests.last_mut() {
                        request.content_bytes = ended;
                    }
                }
                ScanEvent::Refused(refused) => {
                    scanned.refused = Some(refused);
                    return scanned;
                }
            }
        }
    }
    scanned
}

/// Holds hyper against the scan of `bytes`, in `pieces` as in [`scan`].
///
/// # Errors
/// [`Disagreement`]: hyper saw another request, another length, none where there is one, or answered by itself.
pub fn check(bytes: &[u8], pieces: &[usize], head_bytes_max: usize) -> Result<(), Disagreement> {
    let scanned = scan(bytes, pieces, head_bytes_max);
    let mut expected = scanned.requests.clone();
    if let Some(ScanRefusal::Head(_)) = scanned.refused {
        expected.push(ParsedRequest { line: STAND_IN.to_owned(), content_bytes: Some(0), persists: false });
    }
    let HyperOutcome { requests, written, hangs } = serve(bytes, pieces, head_bytes_max);
    let common = requests.iter().zip(&expected);
    let is_same = |(one, other): (&ParsedRequest, &ParsedRequest)| {
        (&one.line, one.content_bytes) == (&other.line, other.content_bytes)
    };
    // After a request that asked for the end, or whose body has none, hyper reads no other.
    let may_end = requests.last().is_some_and(|last| !last.persists || last.content_bytes.is_none());
    let answers = written.matches("HTTP/1.1 200 OK\r\n").count() + written.matches("HTTP/1.0 200 OK\r\n").count();
    let what = if hangs {
        "the connection hangs"
    } else if requests.len() > expected.len() || !common.into_iter().all(is_same) {
        "the requests differ"
    } else if requests.len() < expected.len() && !may_end {
        "hyper saw fewer requests"
    } else if [" 400 ", " 414 ", " 431 "].iter().any(|status| written.contains(status)) {
        "hyper answered by itself"
    } else if answers != requests.len() {
        "a request has no answer"
    } else {
        return Ok(());
    };
    Err(Disagreement { what, scanned: Box::new(scanned), served: requests, written })
}

const STAND_IN: &str = "stand-in";

struct HyperOutcome {
    requests: Vec<ParsedRequest>,
    written: String,
    hangs: bool,
}

/// The caller sends everything, reads everything, and when nothing moves any more it closes.
fn serve(bytes: &[u8], pieces: &[usize], head_bytes_max: usize) -> HyperOutcome {
    let wire = Rc::new(ScriptedWire::default());
    let requests = Rc::new(RefCell::new(Vec::new()));
    let memory = ScriptedIo { pieces: cut(bytes, pieces).map(<[u8]>::to_vec).collect(), wire: wire.clone() };
    let report = Rc::new(ScanReport::default());
    let io = TokioIo::new(CheckedIo::new(memory, head_bytes_max, report.clone()));
    let (seen, moves) = (requests.clone(), wire.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, wire, stands_in) = (seen.clone(), moves.clone(), report.fault(&request).is_some());
        async move { Ok::<_, Infallible>(answer(request, stands_in, &seen, &wire).await) }
    });
    let mut connection = http1(head_bytes_max).serve_connection(io, service);
    let mut cx = Context::from_waker(Waker::noop());
    let mut still = 0;
    let hangs = loop {
        let moves = wire.moves.get();
        if Pin::new(&mut connection).poll(&mut cx).is_ready() {
            break false;
        }
        still = if wire.moves.get() == moves { still + 1 } else { 0 };
        if still > STILL_POLLS_MAX {
            if wire.closed.replace(true) {
                break true;
            }
            still = 0;
        }
    };
    drop(connection);
    let written = String::from_utf8_lossy(&wire.written.borrow()).into_owned();
    HyperOutcome { requests: requests.take(), written, hangs }
}

/// Reads the whole request before it answers. `Connection: close` is answered where the caller asked for it, and to a
/// stand-in, as the proxy does.
async fn answer(
    request: Request<Incoming>,
    stands_in: bool,
    seen: &RefCell<Vec<ParsedRequest>>,
    wire: &ScriptedWire,
) -> Response<Empty<Bytes>> {
    let line = if stands_in { STAND_IN.to_owned() } else { format!("{} {}", request.method(), request.uri()) };
    let asks_for_the_end = request.headers().contains_key(header::CONNECTION) || request.version() == Version::HTTP_10;
    let mut body = request.into_body();
    let mut bytes = 0;
    let content_bytes = loop {
        match body.frame().await {
            None => break Some(bytes),
            Some(Err(_)) => break None,
            Some(Ok(frame)) => {
                // hyper may have many frames from one read.
                wire.moves();
                bytes += frame.data_ref().and_then(|data| u64::try_from(data.len()).ok()).unwrap_or(0);
            }
        }
    };
    seen.borrow_mut().push(ParsedRequest { line, content_bytes, persists: !asks_for_the_end });
    let mut response = Response::new(Empty::new());
    if stands_in {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Method and target of a head as hyper shows them.
fn first_line(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match target.parse::<Uri>() {
        Ok(uri) => format!("{method} {uri}"),
        Err(_) => format!("{method} {target}"),
    }
}

fn cut<'a>(bytes: &'a [u8], pieces: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut lengths = pieces.iter().copied().chain(std::iter::repeat(pieces.last().copied().unwrap_or(usize::MAX)));
    std::iter::from_fn(move || {
        let length = lengths.next()?.clamp(1, rest.len().max(1));
        let (piece, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(piece)
    })
}

/// What goes over the wire.
#[derive(Default)]
struct ScriptedWire {
    written: RefCell<Vec<u8>>,
    moves: Cell<usize>,
    closed: Cell<bool>,
}

/// The server's end.
struct ScriptedIo {
    pieces: VecDeque<Vec<u8>>,
    wire: Rc<ScriptedWire>,
}

impl ScriptedWire {
    fn moves(&self) {
        self.moves.set(self.moves.get() + 1);
    }
}

impl AsyncRead for ScriptedIo {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.pieces.pop_front() else {
            return if self.wire.closed.get() { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        self.wire.moves();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ScriptedIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.written.borrow_mut().extend_from_slice(bytes);
        self.wire.moves();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! A gateway's connection: a pipeline of generated requests is served as a model says, and an independent backend reads from
//! the forwarded bytes the same number of requests with the same content.

mod generator;

use http1::{
    BodyScanner, HeadEdits, KnownName, RequestHead, RequestParser, Violation, write_fields, write_request_line,
};

use super::hyper_server;
use super::reference::{self, FieldPair};
use crate::random::{InputChoices, SeededRandom};
use generator::{Fate, PlannedRequest};

/// A request as the gateway serves it, or as a backend reads it.
#[derive(Debug, Default, PartialEq, Eq)]
struct SeenRequest {
    method: String,
    target: String,
    fields: Vec<FieldPair>,
    data: Vec<u8>,
    is_complete: bool,
}

/// The gateway after its client closed the connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Gateway {
    served: Vec<SeenRequest>,
    /// The targets as they are forwarded.
    origin_targets: Vec<String>,
    forwarded: Vec<u8>,
    refused: Option<Violation>,
    is_closed: bool,
}

/// The requests that the model expects are served, nothing after a refused one is, and a backend reads the same.
pub fn pipeline(bytes: &[u8]) {
    let plan = generator::pipeline(&mut InputChoices::new(bytes));
    let mut random = SeededRandom::from_bytes(bytes);
    let stream: Vec<u8> = plan.iter().flat_map(|request| &request.bytes).copied().collect();
    let gateway = serve(&random.cut(&stream, 60));
    as_planned(&gateway, &plan);
    backend_agrees(&gateway);
    assert_eq!(serve(&[&stream]), gateway);

    // A damaged octet leaves the requests before it as they are, whatever follows.
    let Some(at) = Some(random.below(stream.len())).filter(|at| *at < stream.len()) else { return };
    let mut damaged = stream.clone();
    damaged[at] ^= 1 << random.below(8);
    let gateway = serve(&random.cut(&damaged, 60));
    let mut end = 0;
    let intact = plan.iter().take_while(|request| {
        end += request.bytes.len();
        end <= at && request.fate == Fate::Served
    });
    let intact = intact.count();
    let served: Vec<&SeenRequest> = gateway.served.iter().take(intact).collect();
    assert_eq!(served, plan[..intact].iter().map(seen).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    backend_agrees(&gateway);
}

fn as_planned(gateway: &Gateway, plan: &[PlannedRequest]) {
    let served = plan.iter().take_while(|request| request.fate == Fate::Served).count();
    let (last, is_served) = match plan.get(served).map(|request| request.fate) {
        None | Some(Fate::Served) => (None, false),
        Some(Fate::HeadRefused) => (Some(Fate::HeadRefused), false),
        Some(fate) => (Some(fate), true),
    };
    let expected: Vec<SeenRequest> = plan[..served + usize::from(is_served)].iter().map(seen).collect();
    assert_eq!(gateway.served, expected, "{:?}", gateway.refused);
    let is_refused = matches!(last, Some(Fate::HeadRefused | Fate::ContentRefused));
    assert_eq!(gateway.refused.is_some(), is_refused, "{gateway:?}");
    assert_eq!(gateway.is_closed, last == Some(Fate::ServedLast));
}

fn seen(request: &PlannedRequest) -> SeenRequest {
    SeenRequest {
        method: request.method.to_owned(),
        target: request.target.to_owned(),
        fields: request.fields.clone(),
        data: request.data.clone(),
        is_complete: request.fate != Fate::ContentRefused,
    }
}

/// Serves the connection and forwards each request as soon as its head is complete.
fn serve(pieces: &[&[u8]]) -> Gateway {
    let mut gateway = Gateway::default();
    let mut parser = RequestParser::new(super::head_limits::head_limits());
    let mut body = None::<Content>;
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if gateway.refused.is_some() {
            let refuses = match &mut body {
                Some(content) => content.scanner.take(&buffer).is_err(),
                None => parser.parse(&buffer).is_err(),
            };
            assert!(refuses, "a refused connection continues");
        }
        while gateway.refused.is_none() && !gateway.is_closed {
            let read = match &mut body {
                Some(content) => content.forward(&buffer, &mut gateway),
                None => parser.parse(&buffer).map(|head| {
                    let Some(head) = head else { return 0 };
                    body = Some(Content::begin(&head, &buffer, &mut gateway));
                    let len = head.len();
                    parser.recycle(head);
                    len
                }),
            };
            let len = match read {
                Ok(len) => len,
                Err(violation) => {
                    gateway.refused = Some(violation);
                    break;
                }
            };
            buffer.drain(..len);
            if let Some(content) = body.take_if(|content| content.scanner.has_ended()) {
                gateway.served.last_mut().unwrap().is_complete = true;
                gateway.is_closed = !content.persists;
            } else if len == 0 {
                break;
            }
        }
    }
    gateway
}

/// The content of the current request.
struct Content {
    scanner: BodyScanner,
    /// Decodes the data; the other scanner forwards chunks as they are.
    decoder: BodyScanner,
    persists: bool,
}

impl Content {
    fn begin(head: &RequestHead, buffer: &[u8], gateway: &mut Gateway) -> Self {
        let request = head.over(buffer);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        gateway.served.push(SeenRequest {
            method: text(request.method()),
            target: text(request.target_bytes()),
            fields: super::agreement::received(request.fields()),
            ..SeenRequest::default()
        });
        gateway.origin_targets.push(text(&request.origin_target().concat()));
        let mut edits = HeadEdits::for_forwarding();
        edits.set(KnownName::Host, b"backend").unwrap();
        write_request_line(&mut gateway.forwarded, request.method(), &request.origin_target()).unwrap();
        write_fields(&mut gateway.forwarded, request.fields(), &edits, head.announced());
        let scanner = BodyScanner::new(head.framing());
        let decoder = BodyScanner::new(head.framing());
        Self { scanner, decoder, persists: head.persists() }
    }

    fn forward(&mut self, buffer: &[u8], gateway: &mut Gateway) -> Result<usize, Violation> {
        let len = self.scanner.take(buffer)?;
        let taken = &buffer[..len];
        gateway.forwarded.extend_from_slice(taken);
        let mut at = 0;
        while let Some(piece) = self.decoder.next(&taken[at..]).unwrap() {
            if let http1::Piece::Content(len) = piece {
                gateway.served.last_mut().unwrap().data.extend_from_slice(&taken[at..at + len]);
            }
            at += piece.len();
        }
        assert_eq!(at, len);
        Ok(len)
    }
}

/// A backend that reads the forwarded bytes with `httparse` and the reference decoder, and one that reads them with hyper.
fn backend_agrees(gateway: &Gateway) {
    let mut at = 0;
    for (served, target) in gateway.served.iter().zip(&gateway.origin_targets) {
        let bytes = &gateway.forwarded[at..];
        let mut headers = [httparse::EMPTY_HEADER; super::head_limits::FIELDS_MAX + 10];
        let mut request = httparse::Request::new(&mut headers);
        let len = request.parse(bytes).unwrap().unwrap();
        assert_eq!((request.method.unwrap(), request.path.unwrap()), (served.method.as_str(), target.as_str()));
        let fields: Vec<FieldPair> =
            request.headers.iter().map(|field| (field.name.into(), field.value.to_vec())).collect();
        let content = reference::decode(reference::request_framing(&fields), &bytes[len..]);
        assert_eq!((&content.data, content.end.is_some()), (&served.data, served.is_complete));
        at += len + content.end.unwrap_or(bytes.len() - len);
    }
    assert_eq!(at, gateway.forwarded.len(), "the backend reads a request that was not served");
    // hyper serves a CONNECT request by a tunnel.
    if gateway.served.iter().any(|request| request.method == "CONNECT") {
        return;
    }
    let (requests, _) = hyper_server::read(&[&gateway.forwarded]);
    assert_eq!(requests.len(), gateway.served.len());
    for (request, served) in requests.iter().zip(&gateway.served) {
        assert_eq!(request.method, served.method);
        assert_eq!(request.data.as_ref(), served.is_complete.then_some(&served.data));
    }
}

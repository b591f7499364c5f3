//! One request on an HTTP/2 connection, until the head of its response has arrived.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;
use http1::{Announced, KnownName};
use thiserror::Error;

use super::streams::StreamSlot;
use crate::body::{Upload, UploadError};
use crate::upstream::INTERIM_RESPONSES_MAX;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::socket::Probe;

/// What of a caller's body is kept until the head of the answer is here, in case the upstream refuses the stream.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// And in so many pieces: each costs more than its bytes.
const KEPT_PIECES_MAX: usize = 1024;
/// What of a body is handed to h2 at a time.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Http2CallError {
    #[error(transparent)]
    Http2(#[from] h2::Error),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("more than {INTERIM_RESPONSES_MAX} interim responses")]
    Informational,
    #[error("the upstream switched protocols, which HTTP/2 cannot")]
    Switched,
}

/// A request that was handed over.
pub(crate) struct Http2Call {
    answer: ResponseFuture,
    upload: Option<Pump>,
    informational: u32,
}

/// A request that could not be handed over.
pub(crate) struct UnsentRequest {
    pub(crate) error: h2::Error,
    pub(crate) upload: Upload,
}

impl Http2CallError {
    /// Whether the upstream did nothing of the request (RFC 9113, 8.7): it refused the stream, or went away and said
    /// that it had not come to it. h2 gives a remote GOAWAY to those streams only.
    pub(crate) fn is_refused(&self) -> bool {
        match self {
            Self::Http2(error) => {
                error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
            }
            Self::Upload(_) | Self::Informational | Self::Switched => false,
        }
    }

    /// Whether it refused this stream alone, and the connection goes on.
    pub(crate) fn is_refused_stream(&self) -> bool {
        self.is_refused() && matches!(self, Self::Http2(error) if error.is_reset())
    }

    /// Whether the caller's body ended it.
    pub(crate) const fn is_of_caller(&self) -> bool {
        matches!(self, Self::Upload(_))
    }

    /// Whether the connection broke.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Http2(error) if error.is_io())
    }

    /// Whether what the upstream sent was wrong.
    pub(crate) fn is_protocol(&self) -> bool {
        match self {
            Self::Http2(error) => error.is_library(),
            Self::Informational | Self::Switched => true,
            Self::Upload(_) => false,
        }
    }
}

/// Returns the request's head for HTTP/2. Edits for forwarding have removed the fields of the client's connection.
///
/// # Errors
/// The method, the target or a field is not valid in HTTP/2.
pub(crate) fn head(outgoing: &OutgoingHead, upload: &Upload) -> Result<Request<()>, http::Error> {
    let pool = &outgoing.to.pool;
    let uri = Uri::builder().scheme(pool.scheme.clone()).authority(pool.authority.clone());
    let mut head = Request::new(());
    *head.method_mut() = Method::from_bytes(outgoing.head.method().as_bytes())?;
    *head.version_mut() = Version::HTTP_2;
    *head.uri_mut() = uri.path_and_query(outgoing.target().concat()).build()?;
    let headers = head.headers_mut();
    headers.reserve(outgoing.head.fields().len());
    for field in outgoing.edits.kept(outgoing.head.fields()).filter(|field| !is_host(field.known)) {
        let value = HeaderValue::from_maybe_shared(outgoing.head.bytes().slice_ref(field.value))?;
        headers.append(HeaderName::from_bytes(field.name)?, value);
    }
    for field in outgoing.edits.added().filter(|field| !is_host(field.known)) {
        let mut value = HeaderValue::from_bytes(field.value)?;
        value.set_sensitive(field.known.is_some_and(is_credential));
        headers.append(HeaderName::from_bytes(field.name)?, value);
    }
    if let Some(bytes) = length(outgoing, upload) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Ok(head)
}

/// `:authority` replaces `Host` (RFC 9113, 8.3.1).
fn is_host(name: Option<KnownName>) -> bool {
    name == Some(KnownName::Host)
}

/// Whether a field that the gateway adds is a provider's credential, which no compression table may store (RFC 7541, 7.1.3).
fn is_credential(name: KnownName) -> bool {
    matches!(name, KnownName::Authorization | KnownName::ApiKey | KnownName::XApiKey | KnownName::XGoogApiKey)
}

/// The length of the body to announce, if it is known and does not follow from the method.
fn length(outgoing: &OutgoingHead, upload: &Upload) -> Option<u64> {
    match outgoing.announced(upload) {
        Announced::Length(bytes) => Some(bytes),
        Announced::Nothing => (!matches!(outgoing.head.method(), "GET" | "HEAD" | "DELETE")).then_some(0),
        Announced::Chunked => None,
    }
}

impl Http2Call {
    /// Hands a request over; nothing is written yet. Where it cannot be, its body comes back.
    pub(crate) fn start(
        slot: &StreamSlot,
        head: Request<()>,
        upload: Upload,
    ) -> Result<(Self, Probe), Box<UnsentRequest>> {
        let ends_here = upload.is_end_stream();
        let mut sender = slot.session.sender.borrow().clone();
        let (answer, to) = match sender.send_request(head, ends_here) {
            Ok(sent) => sent,
            Err(error) => return Err(Box::new(UnsentRequest { error, upload })),
        };
        let probe = slot.session.gauge.probe_stream();
        let kept = Some(RetainedBody::default());
        let upload = (!ends_here).then(|| Pump { upload, to, kept, waiting: None, state: PumpState::Open });
        Ok((Self { answer, upload, informational: 0 }, probe))
    }

    /// The head of the answer; the body goes out meanwhile.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, Http2CallError>> {
        if let Some(upload) = &mut self.upload
            && upload.state == PumpState::Open
            && let Poll::Ready(sent) = upload.poll(cx)
        {
            sent?;
        }
        // An error shows in the answer itself.
        while let Poll::Ready(Some(Ok(interim))) = self.answer.poll_informational(cx) {
            self.informational += 1;
            if interim.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(Http2CallError::Switched));
            }
            if self.informational > INTERIM_RESPONSES_MAX {
                return Poll::Ready(Err(Http2CallError::Informational));
            }
        }
        Poll::Ready(Ok(ready!(Pin::new(&mut self.answer).poll(cx))?))
    }

    /// Whether the upstream has said anything of it.
    pub(crate) const fn is_answered(&self) -> bool {
        self.informational > 0
    }

    /// Whether all of the body was handed over. An upload that the upstream has aborted is not sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.state == PumpState::Sent)
    }

    /// The upload, if the upstream still takes more of the body.
    pub(crate) fn into_upload(self) -> Option<Pump> {
        self.upload.filter(|upload| upload.state == PumpState::Open)
    }

    /// The whole body, if it can be had once more.
    pub(crate) fn into_body(self) -> Option<Upload> {
        let Pump { upload, kept, .. } = self.upload?;
        kept.map(|kept| upload.rewound(kept.pieces))
    }
}

/// A body on its way out. Dropped before its end, the stream is reset.
pub(crate) struct Pump {
    upload: Upload,
    to: SendStream<Bytes>,
    /// What was taken of the body, while that is not too much.
    kept: Option<RetainedBody>,
    waiting: Option<Bytes>,
    state: PumpState,
}

/// How far an upload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PumpState {
    /// Parts of the body are still to be handed over.
    Open,
    /// All of the body was handed over.
    Sent,
    /// The upload ended early: the stream was reset, or the client's body failed.
    Aborted,
}

/// What was taken of a body so far.
#[derive(Default)]
struct RetainedBody {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl RetainedBody {
    /// With the next piece, unless that is too much.
    fn and(mut self, piece: Bytes) -> Option<Self> {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        (self.bytes <= KEPT_BYTES_MAX && self.pieces.len() <= KEPT_PIECES_MAX).then_some(self)
    }
}

impl Pump {
    /// Sends the body as far as it goes. An upstream that wants no more of it is no error: its answer says the rest.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let polled = self.poll_send(cx);
        self.state = match &polled {
            Poll::Pending => PumpState::Open,
            Poll::Ready(Ok(state)) => *state,
            Poll::Ready(Err(_)) => PumpState::Aborted,
        };
        polled.map_ok(|_| ())
    }

    /// The answer is here: nothing is sent again.
    pub(crate) fn forget(&mut self) {
        self.kept = None;
    }

    /// Ready when nothing more is handed over: the state says why.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<PumpState, UploadError>> {
        loop {
            if self.to.poll_reset(cx).is_ready() {
                return Poll::Ready(Ok(PumpState::Aborted));
            }
            if self.waiting.is_some() {
                while self.to.capacity() == 0 {
                    match ready!(self.to.poll_capacity(cx)) {
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return Poll::Ready(Ok(PumpState::Aborted)),
                    }
                }
            }
            if let Some(mut data) = self.waiting.take() {
                // h2 holds what it is given, however small the upstream's window is.
                let rest = data.split_off(data.len().min(PIECE_BYTES_MAX));
                self.waiting = (!rest.is_empty()).then_some(rest);
                let ends = self.waiting.is_none() && self.upload.is_end_stream();
                if self.to.send_data(data, ends).is_err() {
                    return Poll::Ready(Ok(PumpState::Aborted));
                }
                if ends {
                    return Poll::Ready(Ok(PumpState::Sent));
                }
                if self.waiting.is_some() {
                    self.to.reserve_capacity(1);
                    continue;
                }
            }
            match ready!(Pin::new(&mut self.upload).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    self.waiting = frame.into_data().ok().filter(|data| !data.is_empty());
                    if let Some(data) = self.waiting.clone() {
                        self.kept = self.kept.take().and_then(|kept| kept.and(data));
                    }
                    // A claim on the window, for data at hand only; h2 raises it to what it is given.
                    self.to.reserve_capacity(usize::from(self.waiting.is_some()));
                }
                Some(Err(failed)) => {
                    self.to.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(failed));
                }
                None => {
                    // The stream may be closed by now; the answer says why.
                    let sent = self.to.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(if sent.is_ok() { PumpState::Sent } else { PumpState::Aborted }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::head::tests::head as received;
    use crate::upstream::outgoing::OutgoingTarget;
    use crate::upstream::outgoing::tests::outgoing;

    /// The head that is sent for a request with a body of these bytes.
    fn sent(outgoing: &OutgoingHead, body: &'static str) -> Request<()> {
        let upload = Upload::segments([Bytes::from_static(body.as_bytes())], Instant::now()).0;
        head(outgoing, &upload).unwrap()
    }

    #[test]
    fn heads_have_the_kept_and_added_fields_but_none_of_http1() {
        let fields = [
            ("Host", "client.example"),
            ("X-A", "1"),
            ("x-a", "\u{e9}"),
            ("Connection", "X-Once"),
            ("X-Once", "1"),
            ("TE", "trailers"),
            ("Authorization", "Basic x"),
        ];
        let mut outgoing = outgoing(received("PUT /a?b", &fields), "/base", OutgoingTarget::Received { prefix_len: 0 });
        outgoing.edits.set(KnownName::Host, b"up.example").unwrap();
        outgoing.edits.set(KnownName::XApiKey, b"secret").unwrap();
        let head = sent(&outgoing, "abc");
        assert_eq!((head.method(), head.version()), (&Method::PUT, Version::HTTP_2));
        assert_eq!(head.uri(), "http://up.example/base/a?b");
        let fields: Vec<_> = head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 5] = [
            ("x-a", b"1"),
            ("x-a", "\u{e9}".as_bytes()),
            ("authorization", b"Basic x"),
            ("x-api-key", b"secret"),
            ("content-length", b"3"),
        ];
        assert_eq!(fields, expected);
        let sensitive: Vec<_> = head.headers().iter().filter(|(_, value)| value.is_sensitive()).collect();
        assert!(matches!(sensitive[..], [(name, _)] if name == "x-api-key"), "{sensitive:?}");
    }

    #[test]
    fn a_length_is_announced_unless_it_follows_from_the_method() {
        let check = |line: &str, fields: &[(&str, &str)], body, expected: Option<&str>| {
            let outgoing = outgoing(received(line, fields), "", OutgoingTarget::Received { prefix_len: 0 });
            let head = sent(&outgoing, body);
            let length = head.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap());
            assert_eq!(length, expected, "{line} {body}");
        };
        check("GET /", &[], "", None);
        check("GET /", &[("Content-Length", "0")], "", Some("0"));
        check("DELETE /", &[], "ab", Some("2"));
        check("POST /", &[], "", Some("0"));
        check("POST /", &[("Content-Length", "9")], "abc", Some("3"));
    }

    #[test]
    fn heads_that_http2_cannot_carry_are_refused() {
        let target = OutgoingTarget::Written(format!("/{}", "x".repeat(70_000)));
        let long = outgoing(received("GET /", &[]), "", target);
        assert!(head(&long, &Upload::segments([], Instant::now()).0).is_err());
    }

    /// How many of `pieces` equal ones are kept, up to the first that is one too many.
    fn kept(pieces: usize, bytes: usize) -> usize {
        let piece = Bytes::from(vec![b'x'; bytes]);
        let all = std::iter::successors(Some(RetainedBody::default()), |kept| {
            RetainedBody { pieces: kept.pieces.clone(), bytes: kept.bytes }.and(piece.clone())
        });
        all.take(pieces + 1).count() - 1
    }

    #[test]
    fn body_is_kept_up_to_its_bounds() {
        assert_eq!(kept(1, 64 * 1024), 1);
        assert_eq!(kept(1, 64 * 1024 + 1), 0);
        assert_eq!(kept(5, 16 * 1024), 4, "64 KiB together");
        assert_eq!(kept(65_536, 1), 1024, "small pieces are many");
    }
}

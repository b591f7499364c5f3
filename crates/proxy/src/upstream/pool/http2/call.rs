//! One request on an HTTP/2 connection, until the head of its response has arrived.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;
use http1::{AnnouncedContent, KnownName};
use thiserror::Error;

use super::streams::StreamSlot;
use crate::body::upload::{Upload, UploadError};
use crate::deadlines::probe::Probe;
use crate::upstream::outgoing::OutgoingHead;
use crate::upstream::response_head::UpstreamHead;
use crate::upstream::{HEAD_BYTES_MAX, INTERIM_RESPONSES_MAX};

/// Maximum number of bytes of the client's body that are kept until the head of the response arrives, in case the
/// upstream refuses the stream.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Maximum number of kept pieces. Each piece costs more memory than its bytes.
const KEPT_PIECES_MAX: usize = 1024;
/// Maximum number of bytes of a body that are passed to h2 at once.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// The reason for a missing response.
#[derive(Debug, Error)]
pub(crate) enum Http2CallError {
    #[error(transparent)]
    Http2(#[from] h2::Error),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("more than {INTERIM_RESPONSES_MAX} interim responses, or {HEAD_BYTES_MAX} bytes of them")]
    Informational,
    #[error("the upstream switched protocols, which HTTP/2 cannot")]
    Switched,
}

/// A request that was passed to h2.
pub(crate) struct Http2Call {
    answer: ResponseFuture,
    upload: Option<Pump>,
    informational: u32,
    informational_bytes: usize,
}

/// A request that could not be passed to h2, with its body.
pub(crate) struct UnsentRequest {
    pub(crate) error: h2::Error,
    pub(crate) upload: Upload,
}

impl Http2CallError {
    /// Returns whether the upstream did nothing with the request (RFC 9113, 8.7): it refused the stream, or sent a
    /// GOAWAY that excludes the request. h2 reports a GOAWAY of the upstream only to such streams.
    pub(crate) fn is_refused(&self) -> bool {
        match self {
            Self::Http2(error) => {
                error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
            }
            Self::Upload(_) | Self::Informational | Self::Switched => false,
        }
    }

    /// Returns whether the upstream refused only this stream, and the connection continues.
    pub(crate) fn is_refused_stream(&self) -> bool {
        self.is_refused() && matches!(self, Self::Http2(error) if error.is_reset())
    }

    /// Returns whether the client's body ended the call.
    pub(crate) const fn is_of_caller(&self) -> bool {
        matches!(self, Self::Upload(_))
    }

    /// Returns whether the connection failed.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Http2(error) if error.is_io())
    }

    /// Returns whether the upstream violated the protocol.
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
    let origin = &outgoing.origin;
    let host = outgoing.edits.added().find(|field| field.known == Some(KnownName::Host)).map(|field| field.value);
    let authority = match host {
        Some(host) if host != origin.authority.as_str().as_bytes() => Authority::try_from(host)?,
        Some(_) | None => origin.authority.clone(),
    };
    let uri = Uri::builder().scheme(origin.scheme.clone()).authority(authority);
    let mut head = Request::new(());
    *head.method_mut() = Method::from_bytes(outgoing.head.method_bytes())?;
    *head.version_mut() = Version::HTTP_2;
    *head.uri_mut() = uri.path_and_query(outgoing.target().concat()).build()?;
    let headers = head.headers_mut();
    headers.reserve(outgoing.head.fields().len());
    for field in outgoing.edits.kept(outgoing.head.fields()).filter(|field| !is_of_http1(field.known)) {
        let value = HeaderValue::from_maybe_shared(outgoing.head.bytes().slice_ref(field.value))?;
        headers.append(HeaderName::from_bytes(field.name)?, value);
    }
    for field in outgoing.edits.added().filter(|field| !is_of_http1(field.known)) {
        let mut value = HeaderValue::from_bytes(field.value)?;
        value.set_sensitive(field.known.is_some_and(is_credential));
        headers.append(HeaderName::from_bytes(field.name)?, value);
    }
    if let Some(bytes) = length(outgoing, upload) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Ok(head)
}

/// Returns whether the field is `Host`, which `:authority` replaces, or `Connection`, which HTTP/2 forbids (RFC 9113, 8.2.2
/// and 8.3.1).
fn is_of_http1(name: Option<KnownName>) -> bool {
    matches!(name, Some(KnownName::Host | KnownName::Connection))
}

/// Returns whether a field that the gateway adds is a provider's credential. No compression table may store a
/// credential (RFC 7541, 7.1.3).
fn is_credential(name: KnownName) -> bool {
    matches!(name, KnownName::Authorization | KnownName::ApiKey | KnownName::XApiKey | KnownName::XGoogApiKey)
}

/// Returns the length of the body to announce, if it is known and does not follow from the method.
fn length(outgoing: &OutgoingHead, upload: &Upload) -> Option<u64> {
    match outgoing.announced(upload) {
        AnnouncedContent::Length(bytes) => Some(bytes),
        AnnouncedContent::Nothing => (!matches!(outgoing.head.method(), "GET" | "HEAD" | "DELETE")).then_some(0),
        AnnouncedContent::Chunked => None,
    }
}

impl Http2Call {
    /// Passes a request to h2; nothing is written yet. If h2 does not accept the request, the error contains its body.
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
        Ok((Self { answer, upload, informational: 0, informational_bytes: 0 }, probe))
    }

    /// Returns the head of the response. The body is sent meanwhile. `relay` gets the interim responses before it.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        relay: impl Fn(UpstreamHead),
    ) -> Poll<Result<Response<RecvStream>, Http2CallError>> {
        if let Some(upload) = &mut self.upload
            && upload.state == PumpState::Open
            && let Poll::Ready(sent) = upload.poll(cx)
        {
            sent?;
        }
        // `answer` itself returns the error.
        while let Poll::Ready(Some(Ok(interim))) = self.answer.poll_informational(cx) {
            self.informational += 1;
            if interim.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(Http2CallError::Switched));
            }
            // A head that HTTP/1.1 could not carry is not relayed.
            let head = UpstreamHead::of_http2(interim.status(), interim.headers()).ok();
            self.informational_bytes += head.as_ref().map_or(0, UpstreamHead::len);
            if self.informational > INTERIM_RESPONSES_MAX || self.informational_bytes > HEAD_BYTES_MAX {
                return Poll::Ready(Err(Http2CallError::Informational));
            }
            head.into_iter().for_each(&relay);
        }
        Poll::Ready(Ok(ready!(Pin::new(&mut self.answer).poll(cx))?))
    }

    /// Returns whether the upstream has sent an interim response to the request.
    pub(crate) const fn is_answered(&self) -> bool {
        self.informational > 0
    }

    /// Returns whether all of the body was passed to h2. An upload that the upstream has aborted is not sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.state == PumpState::Sent)
    }

    /// Returns the upload, if the upstream still accepts more of the body.
    pub(crate) fn into_upload(self) -> Option<Pump> {
        self.upload.filter(|upload| upload.state == PumpState::Open)
    }

    /// Returns the whole body from its beginning, if it is still available.
    pub(crate) fn into_body(self) -> Option<Upload> {
        let Pump { upload, kept, .. } = self.upload?;
        kept.map(|kept| upload.rewound(kept.pieces))
    }
}

/// The upload of a body. If it is dropped before its end, the stream is reset.
pub(crate) struct Pump {
    upload: Upload,
    to: SendStream<Bytes>,
    /// The pieces read from the body so far, within the bounds.
    kept: Option<RetainedBody>,
    /// The piece that is to be sent next.
    waiting: Option<Bytes>,
    state: PumpState,
}

/// The state of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PumpState {
    /// Parts of the body are still to be passed to h2.
    Open,
    /// All of the body was passed to h2.
    Sent,
    /// The upload ended early: the stream was reset, or the client's body failed.
    Aborted,
}

/// The pieces that were read from a body so far.
#[derive(Default)]
struct RetainedBody {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl RetainedBody {
    /// Returns the pieces with one more, or `None` if they exceed the bounds.
    fn and(mut self, piece: Bytes) -> Option<Self> {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
        (self.bytes <= KEPT_BYTES_MAX && self.pieces.len() <= KEPT_PIECES_MAX).then_some(self)
    }
}

impl Pump {
    /// Sends as much of the body as possible. It is no error if the upstream accepts no more of it, because the
    /// response reports the reason.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let polled = self.poll_send(cx);
        self.state = match &polled {
            Poll::Pending => PumpState::Open,
            Poll::Ready(Ok(state)) => *state,
            Poll::Ready(Err(_)) => PumpState::Aborted,
        };
        polled.map_ok(|_| ())
    }

    /// Drops the kept pieces, because nothing is retried after the head of the response.
    pub(crate) fn forget(&mut self) {
        self.kept = None;
    }

    /// Ready when nothing more is to be passed to h2. The state contains the reason.
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
                // h2 buffers everything that it is given, however small the upstream's window is.
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
                Some(Ok(frame)) if frame.is_trailers() => {
                    let sent = self.to.send_trailers(frame.into_trailers().unwrap_or_default());
                    return Poll::Ready(Ok(if sent.is_ok() { PumpState::Sent } else { PumpState::Aborted }));
                }
                Some(Ok(frame)) => {
                    self.waiting = frame.into_data().ok().filter(|data| !data.is_empty());
                    if let Some(data) = self.waiting.clone() {
                        self.kept = self.kept.take().and_then(|kept| kept.and(data));
                    }
                    // Reserves a part of the window, only for available data; h2 raises the reservation to the data
                    // that it is given.
                    self.to.reserve_capacity(usize::from(self.waiting.is_some()));
                }
                Some(Err(failed)) => {
                    self.to.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(failed));
                }
                None => {
                    // The stream may be closed by now; the response reports the reason.
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
    use crate::client::head::tests::head as received;
    use crate::upstream::outgoing::OutgoingTarget;
    use crate::upstream::outgoing::tests::outgoing;

    /// Returns the head that is sent for a request with this body.
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

    /// Returns how many of `pieces` equal pieces are kept, up to the first one that exceeds a bound.
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

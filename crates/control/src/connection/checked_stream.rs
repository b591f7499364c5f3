//! A client's connection, of which hyper reads only requests that every server reads in the same way.
//!
//! In place of a refused head, hyper reads a stand-in: its request line, or `- *` if that is invalid, and no `Host`, which
//! no valid HTTP/1.1 request lacks. The stand-in is served in its turn, like any request, and answered with the
//! [`Violation`]. No later byte is read.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http::{Request, Version, header};
use http1::{BodyScanner, HeadLimits, KnownName, RequestHead, RequestParser, Violation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The fields of a head, and its bytes.
pub(crate) const HEAD_FIELDS_MAX: usize = 100;
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The maximum number of bytes of one read.
const READ_BYTES: usize = 8 * 1024;
/// A socket that is closed with unread bytes is reset, and the client may lose the response. So after a refusal, and after
/// a response to content that was not read to its end, bytes are discarded until the client closes the connection, but at
/// most this many, for up to this time.
const DISCARDED_BYTES_MAX: usize = 16 << 20;
const DISCARD_MAX: Duration = Duration::from_secs(2);

/// The violation of the head that ended a connection, if one did, and whether the connection has another protocol.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadReport(Arc<ReportState>);

#[derive(Debug, Default)]
struct ReportState {
    violation: OnceLock<Violation>,
    is_upgraded: AtomicBool,
}

impl HeadReport {
    /// Returns the violation if this request is the stand-in for a refused head.
    pub(crate) fn violation<B>(&self, request: &Request<B>) -> Option<Violation> {
        let is_stand_in = request.version() == Version::HTTP_11 && !request.headers().contains_key(header::HOST);
        if is_stand_in { self.0.violation.get().copied() } else { None }
    }

    /// Ends the checks: the server responds with 101, after which the client sends no requests.
    pub(crate) fn upgrade(&self) {
        self.0.is_upgraded.store(true, Ordering::Release);
    }

    fn is_upgraded(&self) -> bool {
        self.0.is_upgraded.load(Ordering::Acquire)
    }
}

/// A stream whose requests are checked before they are read.
#[derive(Debug)]
pub(crate) struct CheckedStream<Io> {
    io: Io,
    parser: RequestParser,
    /// The content of the current request.
    content: Option<BodyScanner>,
    /// Bytes that are not checked yet: at most one head or trailer section, and one read.
    received: BytesMut,
    /// Checked bytes that hyper has not read yet.
    passed: BytesMut,
    refusal: Option<StreamRefusal>,
    report: HeadReport,
    /// After the shutdown: the bytes discarded so far, and the end of the time for it.
    discarded: Option<(usize, Pin<Box<Sleep>>)>,
}

/// The reason for which nothing more is read.
#[derive(Debug, Clone, Copy)]
enum StreamRefusal {
    /// A head is invalid. The response to the stand-in closes the connection.
    Head,
    /// The framing of the content is invalid.
    Content(Violation),
}

impl<Io> CheckedStream<Io> {
    /// Returns a stream that reports the violation of a refused head to `report`.
    pub(crate) fn new(io: Io, report: HeadReport) -> Self {
        let parser = RequestParser::new(HeadLimits::new(HEAD_BYTES_MAX, HEAD_BYTES_MAX, HEAD_FIELDS_MAX));
        let content = None;
        let refusal = None;
        Self {
            io,
            parser,
            content,
            received: BytesMut::new(),
            passed: BytesMut::new(),
            refusal,
            report,
            discarded: None,
        }
    }

    /// Passes as many received bytes as are valid and complete.
    fn check(&mut self) {
        while !self.received.is_empty() && self.refusal.is_none() {
            let is_progress = match self.content.as_mut().filter(|content| !content.has_ended()) {
                Some(content) => match content.take(&self.received) {
                    Ok(bytes) => {
                        self.passed.unsplit(self.received.split_to(bytes));
                        bytes > 0
                    }
                    Err(violation) => {
                        self.refusal = Some(StreamRefusal::Content(violation));
                        false
                    }
                },
                None => self.check_head(),
            };
            if !is_progress {
                return;
            }
        }
    }

    /// Whether the client may still send bytes that nothing reads.
    fn is_client_sending(&self) -> bool {
        let is_content_open = self.content.as_ref().is_some_and(|content| !content.has_ended());
        !self.report.is_upgraded() && (self.refusal.is_some() || is_content_open)
    }

    /// Returns whether a head is complete and valid.
    fn check_head(&mut self) -> bool {
        let parsed = self.parser.parse(&self.received).and_then(|head| match head {
            Some(head) => checked(head, &self.received).map(Some),
            None => Ok(None),
        });
        match parsed {
            Ok(None) => false,
            Ok(Some(head)) => {
                self.content = Some(BodyScanner::new(head.framing()));
                self.passed.unsplit(self.received.split_to(head.len()));
                self.parser.recycle(head);
                true
            }
            Err(violation) => {
                let (method, target) = self.parser.line(&self.received).unwrap_or((b"-", b"*"));
                for part in [method, b" ", target, b" HTTP/1.1\r\nconnection: close\r\n\r\n"] {
                    self.passed.extend_from_slice(part);
                }
                // The first violation ends the connection, so there is no second one.
                let _ = self.report.0.violation.set(violation);
                self.refusal = Some(StreamRefusal::Head);
                false
            }
        }
    }
}

/// Refuses what the proxy reads and hyper would read otherwise: a `Host` that an absolute target replaces, and a query that is
/// not escaped.
fn checked(head: RequestHead, received: &[u8]) -> Result<RequestHead, Violation> {
    let request = head.over(received);
    if request.has_raw_query() {
        return Err(Violation::Target);
    }
    let host = request.fields().get(KnownName::Host);
    let is_same = |host: &[u8]| request.authority().is_some_and(|authority| authority.eq_ignore_ascii_case(host));
    if host.is_some_and(|host| !is_same(host)) {
        return Err(Violation::OtherHost);
    }
    Ok(head)
}

impl<Io: AsyncRead + Unpin> AsyncRead for CheckedStream<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.passed.is_empty() {
                let bytes = this.passed.len().min(buffer.remaining());
                buffer.put_slice(this.passed.get(..bytes).unwrap_or_default());
                this.passed.advance(bytes);
                return Poll::Ready(Ok(()));
            }
            match this.refusal {
                // An end that is seen before the response would abort it.
                Some(StreamRefusal::Head) => return Poll::Pending,
                Some(StreamRefusal::Content(violation)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
                }
                None => {}
            }
            if this.report.is_upgraded() {
                if this.received.is_empty() {
                    return Pin::new(&mut this.io).poll_read(cx, buffer);
                }
                this.passed = this.received.split();
                continue;
            }
            let mut piece = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.received.extend_from_slice(read.filled());
            this.check();
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for CheckedStream<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.discarded.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !this.is_client_sending() {
                return Poll::Ready(Ok(()));
            }
        }
        let (bytes, end) = this.discarded.get_or_insert_with(|| (0, Box::pin(sleep(DISCARD_MAX))));
        while end.as_mut().poll(cx).is_pending() && *bytes <= DISCARDED_BYTES_MAX {
            let mut piece = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                break;
            }
            *bytes += read.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// What hyper reads of these bytes, sent in pieces of this size, until the connection ends or no more passes.
    async fn passed(sent: &[u8], piece_bytes: usize) -> (Vec<u8>, Option<Violation>) {
        let report = HeadReport::default();
        let (mut client, server) = duplex(sent.len() + 1);
        let mut stream = CheckedStream::new(server, report.clone());
        let mut read = Vec::new();
        for piece in sent.chunks(piece_bytes) {
            client.write_all(piece).await.unwrap();
            let mut room = [0; 4096];
            while let Ok(Ok(bytes @ 1..)) =
                tokio::time::timeout(std::time::Duration::ZERO, stream.read(&mut room)).await
            {
                read.extend_from_slice(&room[..bytes]);
            }
        }
        (read, report.0.violation.get().copied())
    }

    #[tokio::test]
    async fn valid_requests_pass_unchanged_at_every_split() {
        let sent = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nt: v\r\n\r\n\
            GET /b HTTP/1.1\r\nHost: a\r\n\r\nPUT /c HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET /d HTTP/1.1\r\nHost: a\r\n\r\n";
        for piece_bytes in 1..sent.len() {
            let (read, violation) = passed(sent, piece_bytes).await;
            assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(sent), "{piece_bytes}");
            assert_eq!(violation, None);
        }
    }

    #[tokio::test]
    async fn stand_in_takes_the_place_of_a_refused_head_and_nothing_follows() {
        let good = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        for (bad, line, expected) in [
            ("GET /b HTTP/1.1\r\n\r\n", "GET /b", Violation::NoHost),
            ("GET /b HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET /b", Violation::TwoHosts),
            ("GET /b HTTP/1.1\nHost: a\n\n", "- *", Violation::BareLf),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "- *", Violation::OtherHost),
            ("GET /b?\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "- *", Violation::Target),
            ("GET /b HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "GET /b", Violation::BareLf),
            (
                "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                "POST /b",
                Violation::TwoLengths,
            ),
        ] {
            for piece_bytes in [1, 7, 4096] {
                let (read, violation) = passed(format!("{good}{bad}{good}").as_bytes(), piece_bytes).await;
                let stand_in = format!("{line} HTTP/1.1\r\nconnection: close\r\n\r\n");
                assert_eq!(String::from_utf8(read).unwrap(), format!("{good}{stand_in}"), "{bad} {piece_bytes}");
                assert_eq!(violation, Some(expected));
            }
        }
    }

    #[tokio::test]
    async fn bytes_after_a_change_of_the_protocol_pass_unchecked() {
        let (mut client, server) = duplex(1024);
        let report = HeadReport::default();
        let mut stream = CheckedStream::new(server, report.clone());
        let head = b"GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
        client.write_all(head).await.unwrap();
        let mut read = vec![0; head.len()];
        stream.read_exact(&mut read).await.unwrap();
        report.upgrade();
        client.write_all(b"\x81\x00GET /b HTTP/1.1\n\n").await.unwrap();
        drop(client);
        read.clear();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"\x81\x00GET /b HTTP/1.1\n\n");
        assert_eq!(report.0.violation.get(), None);
    }

    #[tokio::test]
    async fn invalid_chunk_is_an_error() {
        let (mut client, server) = duplex(1024);
        let mut stream = CheckedStream::new(server, HeadReport::default());
        client.write_all(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await.unwrap();
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
